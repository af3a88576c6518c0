//! In-backend tests: findings that one session can bring about. Settings of the server are for the server tests.

#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)] // reason: a test writes, and fails by panicking
mod tests {
    use pgrx::prelude::*;

    fn count(condition: &str) -> i64 {
        Spi::get_one(&format!("SELECT count(*) FROM airlock.doctor() WHERE {condition}")).unwrap().unwrap_or(0)
    }

    fn doctored(name: &str) {
        Spi::run(&format!("CREATE ROLE {name} LOGIN")).unwrap();
        let sql = format!("SELECT airlock.create_subprocessor('{name}', '{name}', 'D', 'DPA', '{{p}}')");
        Spi::run(&sql).unwrap();
    }

    #[pg_test]
    fn doctor_gives_every_row_a_severity_and_a_message() {
        assert!(count("true") > 0);
        assert_eq!(count("severity NOT IN ('error', 'warning', 'info') OR message = '' OR \"check\" = ''"), 0);
    }

    #[pg_test]
    fn doctor_names_what_an_overgranted_role_holds() {
        doctored("doc_acme");
        assert_eq!(count("object = 'doc_acme' AND severity = 'error'"), 0);
        Spi::run("ALTER ROLE doc_acme CREATEROLE BYPASSRLS; GRANT pg_read_all_data TO doc_acme; GRANT USAGE ON SCHEMA airlock TO doc_acme").unwrap();
        for what in ["%CREATEROLE", "%BYPASSRLS", "%pg_read_all_data%", "%USAGE on schema airlock"] {
            assert_eq!(
                count(&format!("severity = 'error' AND object = 'doc_acme' AND message LIKE '{what}'")),
                1,
                "{what}"
            );
        }
    }

    #[pg_test]
    fn doctor_finds_a_login_under_two_subprocessors() {
        doctored("doc_acme");
        doctored("doc_globex");
        Spi::run("CREATE ROLE doc_both LOGIN IN ROLE doc_acme, doc_globex").unwrap();
        assert_eq!(count("\"check\" = 'identity' AND object = 'doc_both'"), 1);
    }

    #[pg_test]
    fn doctor_finds_a_role_that_lost_its_label() {
        doctored("doc_acme");
        Spi::run("SECURITY LABEL FOR airlock ON ROLE doc_acme IS NULL").unwrap();
        assert_eq!(count("\"check\" = 'label' AND severity = 'error' AND object = 'doc_acme'"), 1);
    }

    #[pg_test]
    fn doctor_finds_a_trigger_on_the_log() {
        Spi::run("CREATE FUNCTION doc_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'").unwrap();
        Spi::run("CREATE TRIGGER swallow BEFORE INSERT ON airlock_catalog.read_record FOR EACH ROW EXECUTE FUNCTION doc_trigger()").unwrap();
        assert_eq!(
            count("\"check\" = 'log tables' AND fix = 'DROP TRIGGER swallow ON airlock_catalog.read_record'"),
            1
        );
    }

    #[pg_test]
    fn doctor_says_that_a_scope_lost_its_key() {
        doctored("doc_acme");
        Spi::run("CREATE TABLE doc_people (id integer PRIMARY KEY, name text)").unwrap();
        Spi::run("SELECT airlock.create_scope('doc_acme', 'doc_people', '{\"id\": {\"mask\": \"pseudonym\"}, \"name\": \"clear\"}')")
            .unwrap();
        assert_eq!(count("\"check\" = 'key'"), 0);
        Spi::run("ALTER TABLE doc_people DROP CONSTRAINT doc_people_pkey").unwrap();
        assert_eq!(
            count(
                "\"check\" = 'key' AND severity = 'info' AND object = 'doc_acme.doc_people' AND message LIKE '% id %'"
            ),
            1
        );
        Spi::run("CREATE UNIQUE INDEX ON doc_people (id)").unwrap();
        assert_eq!(count("\"check\" = 'key'"), 0);
    }

    #[pg_test]
    fn doctor_finds_a_view_that_was_changed() {
        doctored("doc_acme");
        Spi::run("CREATE TABLE doc_people (id integer PRIMARY KEY, name text)").unwrap();
        Spi::run("SELECT airlock.create_scope('doc_acme', 'doc_people', '{\"id\": \"clear\"}')").unwrap();
        assert_eq!(count("\"check\" IN ('view', 'view owner')"), 0);
        Spi::run("DO $$ BEGIN EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_barrier = true) AS SELECT 7 AS id', (SELECT view FROM airlock.scopes)); END $$").unwrap();
        assert_eq!(count("\"check\" = 'view' AND message = 'a view of the scope was changed'"), 1);
        Spi::run("DO $$ BEGIN EXECUTE format('ALTER VIEW %s RESET (security_barrier)', (SELECT view FROM airlock.scopes)); END $$").unwrap();
        assert_eq!(count("\"check\" = 'view' AND message LIKE '%lost its security_barrier'"), 1);
    }
}
