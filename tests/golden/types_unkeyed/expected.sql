CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "v", "ch", "ci", "dom", "ts", "tz", "d", "birth", "i2", "i4", "i8", "n", "f4", "f8"
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT airlock.mask_partial("v"::pg_catalog.text, 2, 2, '#'::pg_catalog.text, 6) AS "v",
       airlock.mask_redact("ch"::pg_catalog.text, '*'::pg_catalog.text, true, true) AS "ch",
       airlock.mask_initials("ci"::pg_catalog.text, 1) AS "ci",
       airlock.mask_redact("dom"::pg_catalog.text, 'x'::pg_catalog.text, false, false) AS "dom",
       airlock.mask_date_trunc("ts", 'hour'::pg_catalog.text) AS "ts",
       COALESCE(airlock.mask_date_trunc("tz", 'week'::pg_catalog.text), '1970-01-01 00:00:00+00'::timestamp with time zone) AS "tz",
       airlock.mask_age_band("d", 2026, 20, 80) AS "d",
       airlock.mask_age_band("birth"::pg_catalog.date, EXTRACT(year FROM (pg_catalog.statement_timestamp() AT TIME ZONE 'UTC'::pg_catalog.text))::integer, 10, 90) AS "birth",
       airlock.mask_bucket("i2", '10'::numeric) AS "i2",
       airlock.mask_bucket("i4", '100'::numeric) AS "i4",
       airlock.mask_bucket("i8", '1000'::numeric) AS "i8",
       airlock.mask_bucket("n", '0.5'::numeric) AS "n",
       airlock.mask_bucket("f4", '2.5'::numeric) AS "f4",
       airlock.mask_bucket("f8", '0.1'::numeric) AS "f8"
  FROM "airlock_scope"."s3";
GRANT SELECT ("birth", "ch", "ci", "d", "dom", "f4", "f8", "i2", "i4", "i8", "n", "ts", "tz", "v") ON TABLE "app"."everything" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."everything" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."everything" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."everything" TO "acme";
DROP VIEW IF EXISTS "acme"."everything";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "v": text
-- "ch": text
-- "ci": text
-- "dom": text
-- "ts": timestamp without time zone
-- "tz": timestamp with time zone
-- "d": text
-- "birth": text
-- "i2": smallint
-- "i4": integer
-- "i8": bigint
-- "n": numeric
-- "f4": real
-- "f8": double precision
-- newly exposed: "v": {"mask":"partial","left":2,"right":2,"fill":"#","min_hidden":6}
-- newly exposed: "ch": {"mask":"redact","fill":"*","keep_length":true,"keep_space":true}
-- newly exposed: "ci": {"mask":"initials","max":1}
-- newly exposed: "dom": {"mask":"redact","fill":"x","keep_length":false,"keep_space":false}
-- newly exposed: "ts": {"mask":"date_trunc","unit":"hour"}
-- newly exposed: "tz": {"mask":"date_trunc","unit":"week"}
-- newly exposed: "d": {"mask":"age_band","width":20,"cap":80,"year":2026}
-- newly exposed: "birth": {"mask":"age_band","width":10,"cap":90}
-- newly exposed: "i2": {"mask":"bucket","step":10}
-- newly exposed: "i4": {"mask":"bucket","step":100}
-- newly exposed: "i8": {"mask":"bucket","step":1000}
-- newly exposed: "n": {"mask":"bucket","step":0.5}
-- newly exposed: "f4": {"mask":"bucket","step":2.5}
-- newly exposed: "f8": {"mask":"bucket","step":0.1}
-- note: "v": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ch": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ci": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "dom": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ts": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "d": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "birth": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i2": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i4": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i8": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "n": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "f4": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "f8": NULL stays NULL and tells that there is no value; null_as hides it
