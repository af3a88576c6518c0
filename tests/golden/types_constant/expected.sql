CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT E'it''s \\ "n/a"
'::pg_catalog.text AS "v",
       '1970-01-01'::pg_catalog.date AS "d",
       '1970-01-01 00:00:00+00'::timestamp with time zone AS "tz",
       '-1'::bigint AS "i8",
       '0.5'::numeric AS "n",
       'true'::boolean AS "b",
       '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid AS "u",
       E'\\x00ff'::pg_catalog.bytea AS "by",
       '{}'::pg_catalog.jsonb AS "j"
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
-- "d": date
-- "tz": timestamp with time zone
-- "i8": bigint
-- "n": numeric
-- "b": boolean
-- "u": uuid
-- "by": bytea
-- "j": jsonb
