CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "sex"
  FROM "public"."passengers"
 WHERE airlock.gate_parallel(3) AND ((name = 'x'));
CREATE VIEW "acme"."passengers" WITH (security_barrier = true) AS
SELECT "sex" AS "sex"
  FROM "airlock_scope"."s3";
GRANT SELECT ("name", "sex") ON TABLE "public"."passengers" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."passengers" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."passengers" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."passengers" TO "acme";
DROP VIEW IF EXISTS "acme"."passengers";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "sex": text
-- newly exposed: "sex": clear
-- note: "name": decrypted to decide what is shown, which tells the sub-processor about its values; so no row is shown here
-- note: row_filter: its text can be read by the sub-processor
