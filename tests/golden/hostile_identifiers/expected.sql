CREATE VIEW "airlock_scope"."s3" WITH (security_barrier = true) AS
SELECT "a""; DROP TABLE x; --", "two
lines", "Größe 李 👩‍👩‍👧", "select", ")", "airlock.gate(3)"
  FROM "my ""schema"""."cust'omers\""; --"
 WHERE airlock.gate(3) AND (("a""; DROP TABLE x; --" = E'it''s \\ (back'::text));
CREATE VIEW "ac""me"."v'\
" WITH (security_barrier = true) AS
SELECT airlock.mask_partial("a""; DROP TABLE x; --", 1, 0, '*'::pg_catalog.text, 4) AS "a""; DROP TABLE x; --",
       E'''; DROP TABLE x; --\\'::pg_catalog.text AS "it's \ back",
       COALESCE(airlock.mask_date_trunc("two
lines", 'month'::pg_catalog.text), '1970-01-01'::pg_catalog.date) AS "two
lines",
       airlock.disclose(14, "Größe 李 👩‍👩‍👧") AS "Größe 李 👩‍👩‍👧",
       airlock.disclose(15, "select") AS "select",
       ")" AS ")",
       COALESCE(airlock.mask_redact("airlock.gate(3)", '*'::pg_catalog.text, false, false), E'\\''; --'::pg_catalog.text) AS "airlock.gate(3)"
  FROM "airlock_scope"."s3";
GRANT SELECT (")", "Größe 李 👩‍👩‍👧", "a""; DROP TABLE x; --", "airlock.gate(3)", "select", "two
lines") ON TABLE "my ""schema"""."cust'omers\""; --" TO "airlock_view_owner";
ALTER VIEW "airlock_scope"."s3" OWNER TO "airlock_view_owner";
ALTER VIEW "ac""me"."v'\
" OWNER TO "airlock_view_owner";
REVOKE ALL ON TABLE "airlock_scope"."s3", "ac""me"."v'\
" FROM PUBLIC;
GRANT USAGE ON SCHEMA "ac""me" TO "ro""le'; --";
GRANT SELECT ON TABLE "ac""me"."v'\
" TO "ro""le'; --";
DROP VIEW IF EXISTS "ac""me"."v'\
";
DROP VIEW IF EXISTS "airlock_scope"."s3";
-- "a\"; DROP TABLE x; --": text
-- "it's \\ back": text
-- "two\nlines": date
-- "Größe 李 👩\u{200d}👩\u{200d}👧": text
-- "select": text, domain d'"; --
-- ")": text
-- "airlock.gate(3)": text
-- newly exposed: "a"; DROP TABLE x; --": {"mask":"partial","left":1,"right":0,"fill":"*","min_hidden":4}
-- newly exposed: "two\nlines": {"mask":"date_trunc","unit":"month"}
-- newly exposed: "Größe 李 👩‍👩‍👧": clear, decrypted
-- newly exposed: "select": {"mask":"pseudonym","length":26,"fold":false}
-- newly exposed: ")": clear
-- newly exposed: "airlock.gate(3)": {"mask":"redact","fill":"*","keep_length":false,"keep_space":false}
-- note: "a"; DROP TABLE x; --": NULL stays NULL and tells that there is no value; null_as hides it
-- note: "select": NULL stays NULL and tells that there is no value; null_as hides it
-- note: row_filter: its text can be read by the sub-processor
