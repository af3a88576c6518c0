-- Schemas and group roles. Everything here refuses what somebody else made first: a foreign schema or role could plant
-- objects that the rest of this script, or the views it makes, would pick up.
DO $bootstrap$
DECLARE
  r pg_catalog.pg_roles;
  wanted pg_catalog.text;
  member pg_catalog.text;
BEGIN
  IF (SELECT n.nspowner OPERATOR(pg_catalog.<>) (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname OPERATOR(pg_catalog.=) CURRENT_USER)
        FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) 'airlock') THEN
    RAISE EXCEPTION 'schema "airlock" exists and belongs to another role'
      USING HINT = 'DROP SCHEMA airlock, or rename it, then CREATE EXTENSION pg_airlock again.';
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace WHERE n.nspname OPERATOR(pg_catalog.=) 'airlock')
     OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace WHERE n.nspname OPERATOR(pg_catalog.=) 'airlock')
     OR EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace WHERE n.nspname OPERATOR(pg_catalog.=) 'airlock') THEN
    RAISE EXCEPTION 'schema "airlock" is not empty'
      USING HINT = 'DROP SCHEMA airlock CASCADE after a look at what is in it, then CREATE EXTENSION pg_airlock again.';
  END IF;
  FOREACH wanted IN ARRAY ARRAY['airlock_admin', 'airlock_auditor', 'airlock_view_owner'] LOOP
    SELECT * INTO r FROM pg_catalog.pg_roles u WHERE u.rolname OPERATOR(pg_catalog.=) wanted;
    IF NOT FOUND THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
    ELSIF r.rolcanlogin OR r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls THEN
      RAISE EXCEPTION 'role "%" exists and has rights that it must not have', wanted
        USING HINT = pg_catalog.format('ALTER ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
    END IF;
  END LOOP;
  SELECT m.rolname INTO member FROM pg_catalog.pg_auth_members a
    JOIN pg_catalog.pg_roles g ON g.oid OPERATOR(pg_catalog.=) a.roleid
    JOIN pg_catalog.pg_roles m ON m.oid OPERATOR(pg_catalog.=) a.member
   WHERE g.rolname OPERATOR(pg_catalog.=) 'airlock_view_owner' LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'role "%" is a member of "airlock_view_owner"', member
      USING HINT = pg_catalog.format('REVOKE airlock_view_owner FROM %I', member);
  END IF;
END
$bootstrap$;

CREATE SCHEMA airlock_catalog;
-- the inner views of all scopes: gate and row filter only
CREATE SCHEMA airlock_scope;
