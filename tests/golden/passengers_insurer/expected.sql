CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "id", "name", "born", "fare", "deck", "embarked"
  FROM "public"."passengers"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "insurer"."passengers" WITH (security_barrier = true) AS
SELECT "id" AS "id",
       airlock.disclose(12, "name") AS "name",
       airlock.mask_date_trunc("born", 'year'::pg_catalog.text) AS "born",
       airlock.disclose(14, "fare", NULL::numeric) AS "fare",
       COALESCE(airlock.mask_partial("deck", 0, 1, '*'::pg_catalog.text, 4), '?'::pg_catalog.text) AS "deck",
       airlock.mask_redact("embarked", '*'::pg_catalog.text, false, false) AS "embarked",
       NULL::boolean AS "survived",
       'n/a'::pg_catalog.text AS "sex"
  FROM "airlock_scope"."s3";
GRANT SELECT ("born", "deck", "embarked", "fare", "id", "name") ON TABLE "public"."passengers" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "insurer"."passengers" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "insurer"."passengers" FROM PUBLIC;
GRANT USAGE ON SCHEMA "insurer" TO "insurer";
GRANT SELECT ON TABLE "insurer"."passengers" TO "insurer";
DROP VIEW IF EXISTS "insurer"."passengers";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "id": integer
-- "name": text
-- "born": date
-- "fare": numeric
-- "deck": text
-- "embarked": text
-- "survived": boolean
-- "sex": text
-- newly exposed: "id": clear
-- newly exposed: "name": clear, decrypted
-- newly exposed: "born": {"mask":"date_trunc","unit":"year"}
-- newly exposed: "fare": clear, decrypted
-- newly exposed: "deck": {"mask":"partial","left":0,"right":1,"fill":"*","min_hidden":4}
-- newly exposed: "embarked": {"mask":"redact","fill":"*","keep_length":false,"keep_space":false}
-- note: "born": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "embarked": NULL stays NULL and tells that there is no value; null_as hides it
