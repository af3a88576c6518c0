CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT
  FROM "public"."passengers"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."passengers" WITH (security_barrier = true) AS
SELECT NULL::pg_catalog.text AS "sex",
       '1'::smallint AS "class"
  FROM "airlock_scope"."s3";
GRANT SELECT ("id") ON TABLE "public"."passengers" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."passengers" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."passengers" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."passengers" TO "acme";
DROP VIEW IF EXISTS "acme"."passengers";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "sex": text
-- "class": smallint
