CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "id", "buyer", "price"
  FROM "shop"."items"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."items" WITH (security_barrier = true) AS
SELECT "id" AS "id",
       airlock.disclose(12, "buyer") AS "buyer",
       "price" AS "price"
  FROM "airlock_scope"."s3";
GRANT SELECT ("buyer", "id", "price") ON TABLE "shop"."items" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."items" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."items" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."items" TO "acme";
DROP VIEW IF EXISTS "acme"."items";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "id": bigint
-- "buyer": text, domain shop.customers.id
-- "price": numeric
-- newly exposed: "id": clear
-- newly exposed: "buyer": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "price": clear
-- note: "buyer": NULL stays NULL and tells that there is no value; null_as hides it
