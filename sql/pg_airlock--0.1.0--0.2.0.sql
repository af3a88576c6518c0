-- From 0.1.0 to 0.2.0. Install the library and restart the server first: what is declared here has to be in it.
\echo Use "ALTER EXTENSION pg_airlock UPDATE TO '0.2.0'" to load this file. \quit

-- the loaded library's version; that of these SQL objects is pg_extension.extversion
CREATE FUNCTION airlock.version() RETURNS text
  STABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_version';
REVOKE ALL ON FUNCTION airlock.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION airlock.version() TO airlock_admin, airlock_auditor;

-- what doctor() compares a scope's views with, in a form that is the same on every major
CREATE FUNCTION airlock.renew_fingerprints() RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_renew_fingerprints';
SELECT airlock.renew_fingerprints();
DROP FUNCTION airlock.renew_fingerprints();

-- pg_restore with several jobs fills tables of extensions in any order
ALTER TABLE airlock_catalog.key_version DROP CONSTRAINT IF EXISTS key_version_root_generation_fkey;
ALTER TABLE airlock_catalog.encrypted_column DROP CONSTRAINT IF EXISTS encrypted_column_key_no_fkey;
ALTER TABLE airlock_catalog.key_grant DROP CONSTRAINT IF EXISTS key_grant_key_no_fkey;
ALTER TABLE airlock_catalog.scope DROP CONSTRAINT IF EXISTS scope_subprocessor_fkey;
ALTER TABLE airlock_catalog.rule DROP CONSTRAINT IF EXISTS rule_scope_fkey;
