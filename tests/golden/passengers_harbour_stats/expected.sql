CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "id", "name", "born", "fare", "class", "sex"
  FROM "public"."passengers"
 WHERE airlock.gate(3) AND ((embarked = 'Southampton'::text));
CREATE VIEW "harbour_stats"."passengers" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "id") AS "id",
       airlock.disclose(12, "name") AS "name",
       airlock.mask_age_band("born", EXTRACT(year FROM (pg_catalog.statement_timestamp() AT TIME ZONE 'UTC'::pg_catalog.text))::integer, 10, 90) AS "born",
       airlock.disclose(14, "fare", NULL::numeric) AS "fare",
       "class" AS "class",
       "sex" AS "sex"
  FROM "airlock_scope"."s3";
GRANT SELECT ("born", "class", "embarked", "fare", "id", "name", "sex") ON TABLE "public"."passengers" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "harbour_stats"."passengers" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "harbour_stats"."passengers" FROM PUBLIC;
GRANT USAGE ON SCHEMA "harbour_stats" TO "harbour_stats";
GRANT SELECT ON TABLE "harbour_stats"."passengers" TO "harbour_stats";
DROP VIEW IF EXISTS "harbour_stats"."passengers";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "id": text, domain public.passengers.id
-- "name": text
-- "born": text
-- "fare": numeric
-- "class": smallint
-- "sex": text
-- newly exposed: "id": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "name": {"mask":"initials","max":3}
-- newly exposed: "born": {"mask":"age_band","width":10,"cap":90}
-- newly exposed: "fare": {"mask":"bucket","step":10}
-- newly exposed: "class": clear
-- newly exposed: "sex": clear
-- note: "name": unique in the table, may have duplicates in the view
-- note: "born": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "fare": NULL stays NULL and tells that there is no value; null_as hides it
-- note: row_filter: its text can be read by the sub-processor
