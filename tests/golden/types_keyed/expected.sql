CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "v", "ch", "ci", "dom", "i2", "n", "u", "d", "by", "birth"
  FROM "app"."everything"
 WHERE airlock.gate_parallel(3);
CREATE VIEW "acme"."everything" WITH (security_barrier = true) AS
SELECT airlock.disclose(11, "v"::pg_catalog.text) AS "v",
       airlock.disclose(12, "ch"::pg_catalog.text) AS "ch",
       airlock.disclose(13, "ci"::pg_catalog.text) AS "ci",
       airlock.disclose(14, "dom"::pg_catalog.text) AS "dom",
       airlock.disclose(15, "i2") AS "i2",
       airlock.disclose(16, "n") AS "n",
       airlock.disclose(17, "u") AS "u",
       airlock.disclose(18, "d") AS "d",
       airlock.disclose(19, "by") AS "by",
       airlock.disclose(20, "birth"::pg_catalog.date) AS "birth"
  FROM "airlock_scope"."s3";
GRANT SELECT ("birth", "by", "ch", "ci", "d", "dom", "i2", "n", "u", "v") ON TABLE "app"."everything" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "acme"."everything" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "acme"."everything" FROM PUBLIC;
GRANT USAGE ON SCHEMA "acme" TO "acme";
GRANT SELECT ON TABLE "acme"."everything" TO "acme";
DROP VIEW IF EXISTS "acme"."everything";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "v": text, domain app.everything.v
-- "ch": text, domain app.everything.ch
-- "ci": text, domain app.everything.ci
-- "dom": text, domain app.everything.dom
-- "i2": text, domain app.everything.i2
-- "n": text, domain app.everything.n
-- "u": text, domain app.everything.u
-- "d": text, domain app.everything.d
-- "by": text, domain app.everything.by
-- "birth": text, domain app.everything.birth
-- newly exposed: "v": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "ch": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "ci": {"mask":"pseudonym","length":26,"fold":true}
-- newly exposed: "dom": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "i2": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "n": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "u": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "d": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "by": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: "birth": {"mask":"pseudonym","length":26,"fold":false}
-- note: "v": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ch": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "ci": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "dom": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "i2": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "n": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "u": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "d": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "by": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "birth": NULL stays NULL and tells that there is no value; null_as hides it
