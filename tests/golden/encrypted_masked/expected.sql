CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "t", "d", "tz", "i8", "n", "u"
  FROM "app"."vault"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."vault" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "t") AS "t",
       airlock.disclose(12, "d") AS "d",
       airlock.disclose(13, "tz", NULL::timestamp with time zone) AS "tz",
       COALESCE(airlock.disclose(14, "i8", NULL::bigint), '0'::bigint) AS "i8",
       airlock.disclose(15, "n", NULL::numeric) AS "n",
       NULL::boolean AS "b",
       airlock.disclose(17, "u") AS "u",
       'null'::pg_catalog.jsonb AS "j"
  FROM "airlock_scope"."s3";
GRANT SELECT ("d", "i8", "n", "t", "tz", "u") ON TABLE "app"."vault" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."vault" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."vault" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."vault" TO "acme";
DROP VIEW IF EXISTS "acme"."vault";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "t": text
-- "d": text
-- "tz": timestamp with time zone
-- "i8": bigint
-- "n": numeric
-- "b": boolean
-- "u": text, domain app.vault.u
-- "j": jsonb
-- newly exposed: "t": {"mask":"partial","left":0,"right":4,"fill":"*","min_hidden":4}
-- newly exposed: "d": {"mask":"age_band","width":10,"cap":90}
-- newly exposed: "tz": {"mask":"date_trunc","unit":"day"}
-- newly exposed: "i8": {"mask":"bucket","step":10}
-- newly exposed: "n": {"mask":"bucket","step":0.01}
-- newly exposed: "u": {"mask":"pseudonym","length":26,"fold":false}
-- note: "t": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "d": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "tz": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "n": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "u": NULL stays NULL and tells that there is no value; null_as hides it
