CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "deck"
  FROM "public"."passengers"
 WHERE airlock.gate(3) AND ((embarked = 'Southampton'::text));
CREATE VIEW "harbour_stats"."passengers" WITH (security_barrier = true) AS
SELECT CASE WHEN survived THEN "deck" ELSE NULL::pg_catalog.text END AS "deck"
  FROM "airlock_scope"."s3";
GRANT SELECT ("deck", "embarked", "id") ON TABLE "public"."passengers" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "harbour_stats"."passengers" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "harbour_stats"."passengers" FROM PUBLIC;
GRANT USAGE ON SCHEMA "harbour_stats" TO "harbour_stats";
GRANT SELECT ON TABLE "harbour_stats"."passengers" TO "harbour_stats";
DROP VIEW IF EXISTS "harbour_stats"."passengers";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "deck": text
-- "deck": text
-- newly exposed: "deck": clear where survived
-- note: "deck": clear where survived; the condition can be read by the sub-processor
-- note: "deck": nullify where (survived) IS NOT TRUE; the condition can be read by the sub-processor
-- note: row_filter: its text can be read by the sub-processor
