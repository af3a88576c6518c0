CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "v", "ci", "spot", "net", "tags", "n", "tz", "j"
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT "v" AS "v",
       "ci" AS "ci",
       "spot" AS "spot",
       "net" AS "net",
       "tags" AS "tags",
       "n" AS "n",
       "tz" AS "tz",
       "j" AS "j"
  FROM "airlock_scope"."s3";
GRANT SELECT ("ci", "j", "n", "net", "spot", "tags", "tz", "v") ON TABLE "app"."everything" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."everything" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."everything" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."everything" TO "acme";
DROP VIEW IF EXISTS "acme"."everything";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "v": character varying(20)
-- "ci": public.citext
-- "spot": point
-- "net": inet
-- "tags": text[]
-- "n": numeric(10,2)
-- "tz": timestamp with time zone
-- "j": jsonb
-- newly exposed: "v": clear
-- newly exposed: "ci": clear
-- newly exposed: "spot": clear
-- newly exposed: "net": clear
-- newly exposed: "tags": clear
-- newly exposed: "n": clear
-- newly exposed: "tz": clear
-- newly exposed: "j": clear
