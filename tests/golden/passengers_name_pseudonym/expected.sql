CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "name"
  FROM "public"."passengers"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "mailer"."people" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "name") AS "name",
       '0'::numeric AS "fare"
  FROM "airlock_scope"."s3";
GRANT SELECT ("name") ON TABLE "public"."passengers" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "mailer"."people" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "mailer"."people" FROM PUBLIC;
GRANT USAGE ON SCHEMA "mailer" TO "mailer";
GRANT SELECT ON TABLE "mailer"."people" TO "mailer";
DROP VIEW IF EXISTS "mailer"."people";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "name": text, domain person
-- "fare": numeric
-- newly exposed: "name": {"mask":"pseudonym","length":16,"fold":true}
