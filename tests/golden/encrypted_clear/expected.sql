CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "t", "d", "tz", "i8", "n", "b", "u", "j"
  FROM "app"."vault"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."vault" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "t") AS "t",
       airlock.disclose(12, "d", NULL::pg_catalog.date) AS "d",
       airlock.disclose(13, "tz", NULL::timestamp with time zone) AS "tz",
       airlock.disclose(14, "i8", NULL::bigint) AS "i8",
       airlock.disclose(15, "n", NULL::numeric) AS "n",
       airlock.disclose(16, "b", NULL::boolean) AS "b",
       airlock.disclose(17, "u", NULL::pg_catalog.uuid) AS "u",
       airlock.disclose(18, "j", NULL::pg_catalog.jsonb) AS "j"
  FROM "airlock_scope"."s3";
GRANT SELECT ("b", "d", "i8", "j", "n", "t", "tz", "u") ON TABLE "app"."vault" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."vault" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."vault" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."vault" TO "acme";
DROP VIEW IF EXISTS "acme"."vault";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "t": text
-- "d": date
-- "tz": timestamp with time zone
-- "i8": bigint
-- "n": numeric
-- "b": boolean
-- "u": uuid
-- "j": jsonb
-- newly exposed: "t": clear, decrypted
-- newly exposed: "d": clear, decrypted
-- newly exposed: "tz": clear, decrypted
-- newly exposed: "i8": clear, decrypted
-- newly exposed: "n": clear, decrypted
-- newly exposed: "b": clear, decrypted
-- newly exposed: "u": clear, decrypted
-- newly exposed: "j": clear, decrypted
