//! In-backend tests: what one session can see of the log. Commits, crashes and the worker are for the server tests.

#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)] // reason: a test writes, and fails by panicking
mod tests {
    use pgrx::prelude::*;

    fn text(sql: &str) -> String {
        Spi::get_one::<String>(sql).unwrap().unwrap_or_else(|| "NULL".into())
    }

    /// One forged row, as somebody with all rights on the table would add it.
    fn forge(id: i64) {
        Spi::run(&format!(
            "INSERT INTO airlock_catalog.read_record (id, kind, logged_at, backend_start, backend_pid, statement_no, subprocessor,
               contract, login_role, session_role, acting_role, application_name, database, views, columns, statement, hash)
             VALUES ({id}, 'intent', now(), now(), 1, 1, 'acme', '', '', '', '', '', '', '{{}}', '{{}}', '', sha256('x'))"
        ))
        .unwrap();
    }

    #[pg_test]
    fn log_that_never_began_verifies() {
        assert_eq!(
            text("SELECT concat_ws('|', ok, checked, message) FROM airlock.verify_log()"),
            "t|0|the log is empty"
        );
        assert_eq!(text("SELECT count(*)::text FROM airlock.access_log"), "0");
    }

    #[pg_test]
    fn attack_row_in_a_log_that_has_no_cursor() {
        Spi::run("SELECT airlock.create_key('log_test')").unwrap();
        forge(1);
        assert_eq!(text("SELECT concat_ws('|', ok, checked, first_bad_id) FROM airlock.verify_log()"), "f|0|1");
    }

    #[pg_test]
    fn attack_row_with_an_id_that_no_record_has() {
        Spi::run("SELECT airlock.create_key('log_test')").unwrap();
        forge(-3);
        assert_eq!(text("SELECT concat_ws('|', ok, first_bad_id) FROM airlock.verify_log()"), "f|-3");
    }

    #[pg_test]
    fn attack_null_elements_in_a_row_are_no_empty_list() {
        Spi::run("SELECT airlock.create_key('log_test')").unwrap();
        for (change, named) in [
            ("views = '{NULL}'", "%unknown view"),
            ("columns = '{a,NULL}'", "%unknown column"),
            ("columns = '[2:2]={a}'", "%another shape"),
        ] {
            Spi::run("DELETE FROM airlock_catalog.read_record").unwrap();
            forge(1);
            Spi::run(&format!("UPDATE airlock_catalog.read_record SET {change} WHERE id = 1")).unwrap();
            let sql =
                format!("SELECT concat_ws('|', ok, first_bad_id, message LIKE '{named}') FROM airlock.verify_log()");
            assert_eq!(text(&sql), "f|1|t", "{change}");
        }
    }

    #[pg_test]
    fn rows_without_the_log_key_cannot_be_verified() {
        forge(1);
        Spi::run(
            "DO $$ BEGIN PERFORM * FROM airlock.verify_log(); RAISE 'was allowed'; EXCEPTION WHEN SQLSTATE 'AL001' THEN NULL; END $$",
        )
        .unwrap();
    }

    #[pg_test]
    fn execute_alone_does_not_show_unsettled_records() {
        Spi::run("CREATE ROLE log_nobody; GRANT USAGE ON SCHEMA airlock TO log_nobody").unwrap();
        Spi::run("GRANT SELECT ON airlock.access_log TO log_nobody; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA airlock TO log_nobody").unwrap();
        let sql = "SET LOCAL ROLE log_nobody; DO $$ DECLARE h text; BEGIN PERFORM * FROM airlock.access_log; RAISE 'was allowed';
                   EXCEPTION WHEN insufficient_privilege THEN GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT;
                     IF h NOT LIKE 'GRANT airlock_auditor%' THEN RAISE 'hint: %', h; END IF; END $$";
        Spi::run(sql).unwrap();
        Spi::run("RESET ROLE; GRANT airlock_auditor TO log_nobody; SET LOCAL ROLE log_nobody; SELECT * FROM airlock.access_log").unwrap();
    }

    #[pg_test]
    fn each_mask_declares_itself() {
        assert_eq!(
            text("SELECT string_agg(mask, ' ' ORDER BY mask) FROM airlock.masks WHERE keyed"),
            "date_shift fake fpe hash_bucket noise pseudonym pseudonym_int pseudonym_uuid"
        );
        let sql = "SELECT count(*)::text FROM airlock.masks WHERE mask IS NOT NULL AND types <> '' AND leaks <> '' AND result <> '' AND uniqueness IN ('exact', 'practical', 'formed', 'lossy')";
        assert_eq!(text(sql), crate::pure::mask::Mask::all().len().to_string());
    }
}
