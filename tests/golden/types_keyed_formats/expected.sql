CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "v", "ch", "ci", "i2", "i4", "i8", "n", "u"
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "v"::pg_catalog.text) AS "v",
       airlock.disclose(12, "ch"::pg_catalog.text) AS "ch",
       airlock.disclose(13, "ci"::pg_catalog.text, NULL::integer) AS "ci",
       airlock.disclose(14, "i2", NULL::bigint) AS "i2",
       airlock.disclose(15, "i4", NULL::integer) AS "i4",
       airlock.disclose(16, "i8", NULL::bigint) AS "i8",
       airlock.disclose(17, "n", NULL::integer) AS "n",
       airlock.disclose(18, "u", NULL::pg_catalog.uuid) AS "u"
  FROM "airlock_scope"."s3";
GRANT SELECT ("ch", "ci", "i2", "i4", "i8", "n", "u", "v") ON TABLE "app"."everything" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."everything" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."everything" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."everything" TO "acme";
DROP VIEW IF EXISTS "acme"."everything";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "v": text, domain app.everything.v
-- "ch": text, domain app.everything.ch
-- "ci": integer, domain app.everything.ci
-- "i2": bigint, domain app.everything.i2
-- "i4": integer, domain app.everything.i4
-- "i8": bigint, domain customer
-- "n": integer, domain app.everything.n
-- "u": uuid, domain app.everything.u
-- newly exposed: "v": {"mask":"fpe","alphabet":"alnum"}
-- newly exposed: "ch": {"mask":"fpe","alphabet":"digits"}
-- newly exposed: "ci": {"mask":"hash_bucket","buckets":64}
-- newly exposed: "i2": {"mask":"pseudonym_int","bits":64}
-- newly exposed: "i4": {"mask":"pseudonym_int","bits":32}
-- newly exposed: "i8": {"mask":"pseudonym_int","bits":64}
-- newly exposed: "n": {"mask":"hash_bucket","buckets":16}
-- newly exposed: "u": {"mask":"pseudonym_uuid"}
-- note: "v": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ch": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ci": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i2": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i4": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i8": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "n": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "u": NULL stays NULL and tells that there is no value; null_as hides it
