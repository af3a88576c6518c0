CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "buyer"
  FROM "shop"."items"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."items" WITH (security_barrier = true) AS
SELECT airlock.mask_bucket("buyer", '10'::numeric) AS "buyer",
       NULL::bigint AS "id"
  FROM "airlock_scope"."s3";
GRANT SELECT ("buyer") ON TABLE "shop"."items" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."items" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."items" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."items" TO "acme";
DROP VIEW IF EXISTS "acme"."items";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "buyer": bigint
-- "id": bigint
-- newly exposed: "buyer": {"mask":"bucket","step":10}
-- note: "buyer": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "buyer": a foreign key may not join in the views
-- note: "id": the primary key may have duplicates in the view
