CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT NULL::pg_catalog.text AS "v",
       NULL::pg_catalog.text AS "ci",
       NULL::timestamp without time zone AS "ts",
       NULL::timestamp with time zone AS "tz",
       NULL::pg_catalog.date AS "d",
       NULL::smallint AS "i2",
       NULL::numeric AS "n",
       NULL::real AS "f4",
       NULL::double precision AS "f8",
       NULL::boolean AS "b",
       NULL::pg_catalog.uuid AS "u",
       NULL::pg_catalog.jsonb AS "j",
       NULL::pg_catalog.bytea AS "by",
       NULL::pg_catalog.point AS "spot",
       NULL::pg_catalog.inet AS "net",
       NULL::pg_catalog.text[] AS "tags",
       NULL::pg_catalog.date AS "birth"
  FROM "airlock_scope"."s3";
GRANT SELECT ("v") ON TABLE "app"."everything" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."everything" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."everything" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."everything" TO "acme";
DROP VIEW IF EXISTS "acme"."everything";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "v": text
-- "ci": text
-- "ts": timestamp without time zone
-- "tz": timestamp with time zone
-- "d": date
-- "i2": smallint
-- "n": numeric
-- "f4": real
-- "f8": double precision
-- "b": boolean
-- "u": uuid
-- "j": jsonb
-- "by": bytea
-- "spot": point
-- "net": inet
-- "tags": text[]
-- "birth": date
