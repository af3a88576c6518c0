CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "ssn", "born", "pay", "tenant", "free", "id", "odd ""name"""
  FROM "app"."vault"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."vault" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "ssn", NULL::pg_catalog.text, "id") AS "ssn",
       airlock.disclose(12, "born", NULL::pg_catalog.date, "tenant", "id") AS "born",
       COALESCE(airlock.disclose(13, "pay", NULL::numeric, "odd ""name"""), '0'::numeric) AS "pay",
       "tenant" AS "tenant",
       NULL::pg_catalog.text AS "gone",
       airlock.disclose(16, "free") AS "free"
  FROM "airlock_scope"."s3";
GRANT SELECT ("born", "free", "id", "odd ""name""", "pay", "ssn", "tenant") ON TABLE "app"."vault" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."vault" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."vault" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."vault" TO "acme";
DROP VIEW IF EXISTS "acme"."vault";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "ssn": text
-- "born": date
-- "pay": numeric
-- "tenant": uuid
-- "gone": text
-- "free": text
-- newly exposed: "ssn": {"mask":"partial","left":0,"right":4,"fill":"*","min_hidden":4}
-- newly exposed: "born": clear, decrypted
-- newly exposed: "pay": {"mask":"bucket","step":100}
-- newly exposed: "tenant": clear
-- newly exposed: "free": clear, decrypted
-- note: "ssn": NULL stays NULL and tells that there is no value; null_as hides it
