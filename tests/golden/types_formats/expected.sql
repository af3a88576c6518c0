CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "v", "ch", "ci", "dom", "ts", "tz", "d", "i2", "i4", "i8", "n", "f4", "f8", "j"
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT airlock.mask_email("v"::pg_catalog.text, 'first'::pg_catalog.text) AS "v",
       airlock.mask_phone("ch"::pg_catalog.text, false, 3) AS "ch",
       airlock.mask_url("ci"::pg_catalog.text, true) AS "ci",
       airlock.mask_regex("dom"::pg_catalog.text, E'([^'']*)''\\s.*'::pg_catalog.text, '$1'''''::pg_catalog.text) AS "dom",
       airlock.mask_clamp("ts", '2000-01-01 00:00:00'::timestamp without time zone, NULL::timestamp without time zone) AS "ts",
       airlock.mask_clamp("tz", '2000-01-01 00:00:00+00'::timestamp with time zone, '2030-01-01 00:00:00+00'::timestamp with time zone) AS "tz",
       airlock.mask_clamp("d", NULL::pg_catalog.date, '2020-12-31'::pg_catalog.date) AS "d",
       airlock.mask_round_sig("i2", 1) AS "i2",
       airlock.mask_clamp("i4", '-5'::integer, '40000'::integer) AS "i4",
       airlock.mask_round_sig("i8", 3) AS "i8",
       airlock.mask_clamp("n", '0.5'::numeric, NULL::numeric) AS "n",
       airlock.mask_round_sig("f4", 2) AS "f4",
       airlock.mask_clamp("f8", NULL::double precision, '1.5'::double precision) AS "f8",
       airlock.mask_json("j", ARRAY['$.plan', '$."it''s"[*].sku', '$.address.**']::pg_catalog.text[]) AS "j"
  FROM "airlock_scope"."s3";
GRANT SELECT ("ch", "ci", "d", "dom", "f4", "f8", "i2", "i4", "i8", "j", "n", "ts", "tz", "v") ON TABLE "app"."everything" TO "airlock_view_owner";
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
-- "d": date
-- "i2": smallint
-- "i4": integer
-- "i8": bigint
-- "n": numeric
-- "f4": real
-- "f8": double precision
-- "j": jsonb
-- newly exposed: "v": {"mask":"email","show":"first"}
-- newly exposed: "ch": {"mask":"phone","country":false,"right":3}
-- newly exposed: "ci": {"mask":"url","path":true}
-- newly exposed: "dom": {"mask":"regex","pattern":"([^']*)'\\s.*","replace":"$1''"}
-- newly exposed: "ts": {"mask":"clamp","low":"2000-01-01 00:00:00"}
-- newly exposed: "tz": {"mask":"clamp","low":"2000-01-01 00:00:00+00","high":"2030-01-01 00:00:00+00"}
-- newly exposed: "d": {"mask":"clamp","high":"2020-12-31"}
-- newly exposed: "i2": {"mask":"round_sig","digits":1}
-- newly exposed: "i4": {"mask":"clamp","low":"-5","high":"40000"}
-- newly exposed: "i8": {"mask":"round_sig","digits":3}
-- newly exposed: "n": {"mask":"clamp","low":"0.5"}
-- newly exposed: "f4": {"mask":"round_sig","digits":2}
-- newly exposed: "f8": {"mask":"clamp","high":"1.5"}
-- newly exposed: "j": {"mask":"json","keep":["$.plan","$.\"it's\"[*].sku","$.address.**"]}
-- note: "v": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ch": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ci": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "dom": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ts": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "tz": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "d": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i2": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i4": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i8": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "n": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "f4": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "f8": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "j": NULL stays NULL and tells that there is no value; null_as hides it
