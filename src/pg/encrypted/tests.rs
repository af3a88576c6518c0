//! In-backend tests: what goes in, what comes out, what is refused with which SQLSTATE.

#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)] // reason: a test writes, and fails by panicking
mod tests {
    use pgrx::prelude::*;

    /// Keys `enc_pii` (text) and `enc_born` (date), a table under them, and `pg_temp.state(sql)`: its SQLSTATE or `ok`.
    fn set_up() {
        for sql in [
            "SELECT airlock.create_key('enc_pii')",
            "SELECT airlock.create_key('enc_born', 'date')",
            "SELECT airlock.grant_decrypt('enc_pii', current_user::regrole)",
            "SELECT airlock.grant_decrypt('enc_born', current_user::regrole)",
            "CREATE TABLE person (id integer PRIMARY KEY, c airlock.encrypted('enc_pii'), d airlock.encrypted('enc_pii'),
                 ssn airlock.encrypted_eq('enc_pii'), born airlock.encrypted('enc_born'))",
            "CREATE FUNCTION pg_temp.state(sql text) RETURNS text LANGUAGE plpgsql AS $f$
               BEGIN EXECUTE sql; RETURN 'ok'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $f$",
            "CREATE FUNCTION pg_temp.message(sql text) RETURNS text LANGUAGE plpgsql AS $f$
               DECLARE m text; d text; h text; c text;
               BEGIN EXECUTE sql; RETURN 'ok'; EXCEPTION WHEN OTHERS THEN
                 GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT; RETURN m || d || h; END $f$",
        ] {
            Spi::run(sql).unwrap();
        }
    }

    fn text(sql: &str) -> String {
        Spi::get_one::<String>(sql).unwrap().unwrap_or_else(|| "NULL".into())
    }

    fn count(sql: &str) -> i64 {
        Spi::get_one::<i64>(sql).unwrap().unwrap()
    }

    fn state(sql: &str) -> String {
        Spi::get_one_with_args::<String>("SELECT pg_temp.state($1)", &[sql.into()]).unwrap().unwrap()
    }

    #[pg_test]
    fn enc_literals_casts_and_parameters_are_sealed() {
        set_up();
        Spi::run("INSERT INTO person (id, c, born) VALUES (1, 'one', '1980-02-03')").unwrap();
        Spi::run("INSERT INTO person (id, c) SELECT 2, 'tw' || 'o'").unwrap();
        Spi::run("INSERT INTO person (id, c) VALUES (3, 'x'::char(3)), (4, 4), (5, ''), (6, NULL)").unwrap();
        Spi::run("PREPARE p AS INSERT INTO person (id, c) VALUES ($1, $2)").unwrap();
        Spi::run("EXECUTE p (7, 'seven')").unwrap();
        Spi::run(
            "INSERT INTO person SELECT * FROM jsonb_populate_record(NULL::person, '{\"id\": 8, \"c\": \"eight\"}')",
        )
        .unwrap();
        let all = text("SELECT string_agg(id || airlock.decrypt(c), ',' ORDER BY id) FROM person");
        assert_eq!(all, "1one,2two,3x,44,5,7seven,8eight");
        assert_eq!(
            text("SELECT airlock.decrypt(born) || (airlock.decrypt(born, NULL::date) + 1) FROM person WHERE id = 1"),
            "1980-02-031980-02-04"
        );
        // output shows ciphertext, never a carrier, each with a nonce of its own
        assert_eq!(
            count("SELECT count(DISTINCT format('%s', c)) FROM person WHERE format('%s', c) LIKE 'airlock:1:4Q%'"),
            7
        );
    }

    #[pg_test]
    fn enc_no_plan_repeats_a_nonce() {
        set_up();
        Spi::run("SET LOCAL plan_cache_mode = force_generic_plan").unwrap();
        Spi::run("DO $d$ BEGIN FOR i IN 1..20 LOOP INSERT INTO person (id, c) VALUES (i, 'same'); END LOOP; END $d$")
            .unwrap();
        Spi::run("INSERT INTO person (id, c) SELECT g, 'same' FROM generate_series(21, 40) g").unwrap();
        Spi::run("ALTER TABLE person ADD COLUMN n airlock.encrypted('enc_pii') DEFAULT 'same'::text").unwrap();
        assert_eq!(count("SELECT count(DISTINCT format('%s', c)) FROM person"), 40);
        assert_eq!(count("SELECT count(DISTINCT format('%s', n)) FROM person"), 40);
    }

    #[pg_test]
    fn enc_settings_do_not_shape_values() {
        set_up();
        Spi::run("SET LOCAL datestyle = 'SQL, DMY'").unwrap();
        assert_eq!(state("INSERT INTO person (id, born) VALUES (1, '01/02/2020')"), "22003");
        Spi::run("INSERT INTO person (id, born) VALUES (1, '2020-12-31'), (2, '0044-03-15 BC'), (3, 'infinity')")
            .unwrap();
        assert_eq!(
            text("SELECT string_agg(airlock.decrypt(born), ' ' ORDER BY id) FROM person"),
            "2020-12-31 0044-03-15 BC infinity"
        );
    }

    #[pg_test]
    fn enc_errors_show_no_value() {
        set_up();
        assert_eq!(state("INSERT INTO person (id, born) VALUES (1, 'sentinel')"), "22P02");
        assert_eq!(state("INSERT INTO person (id, born) SELECT 1, 'sentinel'::text"), "22P02");
        let shown = text("SELECT pg_temp.message($$INSERT INTO person (id, born) VALUES (1, 'sentinel')$$)");
        assert!(!shown.contains("sentinel"), "{shown}");
    }

    #[pg_test]
    fn enc_a_value_stays_in_its_column() {
        set_up();
        Spi::run("INSERT INTO person (id, c) VALUES (1, 'one')").unwrap();
        assert_eq!(state("UPDATE person SET d = c"), "AL003");
        assert_eq!(state("UPDATE person SET d = airlock.decrypt(c), c = coalesce(c, 'none')"), "ok");
        assert_eq!(text("SELECT airlock.decrypt(c) || airlock.decrypt(d) FROM person"), "oneone");
        for sql in [
            "SELECT airlock.decrypt(coalesce(c, d)) FROM person",
            "SELECT airlock.decrypt('x'::airlock.encrypted('enc_pii'))",
            "SELECT airlock.decrypt(c) FROM (SELECT c FROM person UNION ALL SELECT d FROM person) q",
        ] {
            assert_eq!(state(sql), "AL003", "{sql}");
        }
    }

    #[pg_test]
    fn enc_ciphertext_is_taken_only_when_asked_for() {
        set_up();
        Spi::run("INSERT INTO person (id, c) VALUES (1, 'one')").unwrap();
        let stored = text("SELECT format('%s', c) FROM person");
        let insert = format!("INSERT INTO person (id, c) VALUES (2, '{stored}')");
        assert_eq!(state(&insert), "22P02");
        Spi::run("SET LOCAL airlock.encrypted_input = ciphertext").unwrap();
        assert_eq!(state(&insert), "ok");
        assert_eq!(state("INSERT INTO person (id, c) VALUES (3, 'plain')"), "22P02");
        assert_eq!(state(&format!("INSERT INTO person (id, ssn) VALUES (3, '{stored}')")), "AL003");
        // the key version's id is in the bytes 2 to 5 (4 characters are 3 bytes): another one is of no key here
        let (head, tail) = (&stored[..14], &stored[18..]);
        let forged = format!("{head}AAAA{tail}");
        assert_eq!(state(&format!("INSERT INTO person (id, c) VALUES (4, '{forged}')")), "ok");
        // a number that the catalog does not know holds ciphertext, as in a restore
        assert_eq!(state("CREATE TABLE restored (c airlock.encrypted(1))"), "ok");
        assert_eq!(state(&format!("INSERT INTO restored VALUES ('{stored}')")), "ok");
        Spi::run("SET LOCAL airlock.encrypted_input = plaintext").unwrap();
        assert_eq!(text("SELECT airlock.decrypt(c) FROM person WHERE id = 2"), "one");
        assert_eq!(state("SELECT airlock.decrypt(c) FROM person WHERE id = 4"), "AL003");
        assert_eq!(state("INSERT INTO restored VALUES ('plain')"), "42704");
        assert_eq!(state("SELECT airlock.decrypt(c) FROM restored"), "42704");
    }

    #[pg_test]
    fn enc_equality_is_by_tag() {
        set_up();
        Spi::run("INSERT INTO person (id, ssn) VALUES (1, 'a'), (2, 'a'), (3, 'b'), (4, NULL)").unwrap();
        for (condition, ids) in [
            ("ssn = 'a'", 2),
            ("'b' = ssn", 1),
            ("ssn <> 'a'", 1),
            ("ssn IN ('a', 'b', 'z')", 3),
            ("ssn = 'a'::text", 2),
            ("ssn = ANY (ARRAY['b', 'z'])", 1),
            ("ssn = (SELECT ssn FROM person WHERE id = 1)", 2),
        ] {
            assert_eq!(count(&format!("SELECT count(*) FROM person WHERE {condition}")), ids, "{condition}");
        }
        Spi::run("SELECT airlock.create_key('enc_other')").unwrap();
        Spi::run("CREATE TABLE other (ssn airlock.encrypted_eq('enc_other'))").unwrap();
        Spi::run("INSERT INTO other VALUES ('a')").unwrap();
        assert_eq!(state("SELECT FROM person JOIN other ON person.ssn = other.ssn"), "42804");
        assert_eq!(state("SELECT 'a'::airlock.encrypted_eq = 'a'"), "42804");
        // nobody was granted enc_other
        assert_eq!(state("SELECT FROM other WHERE ssn = 'a'"), "AL004");
        assert_eq!(state("SELECT airlock.decrypt(ssn) FROM other"), "AL004");
        // nor is a column of one's own a way to test guesses
        Spi::run("CREATE TABLE guess (ssn airlock.encrypted_eq('enc_other'))").unwrap();
        Spi::run("INSERT INTO guess VALUES ('a'), ('b')").unwrap();
        let guessed = "SELECT count(*) FROM other JOIN guess ON other.ssn = guess.ssn";
        assert_eq!(state(guessed), "AL004");
        assert_eq!(state("SELECT FROM other JOIN guess ON other.ssn <> guess.ssn"), "AL004");
        Spi::run("CREATE ROLE enc_matcher").unwrap();
        Spi::run("SELECT airlock.grant_match('enc_other', 'enc_matcher')").unwrap();
        assert_eq!(state(guessed), "AL004");
        Spi::run("GRANT SELECT ON other, guess TO enc_matcher").unwrap();
        Spi::run("SET LOCAL ROLE enc_matcher").unwrap();
        assert_eq!(count(guessed), 1);
        Spi::run("RESET ROLE").unwrap();
        assert_eq!(state(guessed), "AL004");
        assert_eq!(state("SELECT DISTINCT ssn FROM person"), "42883");
    }

    #[pg_test]
    fn enc_columns_without_key_and_stored_literals_are_refused() {
        set_up();
        for sql in [
            "CREATE TABLE x (c airlock.encrypted)",
            "CREATE TABLE x (c airlock.encrypted[])",
            "ALTER TABLE person ADD COLUMN x airlock.encrypted_eq",
            "CREATE DOMAIN x AS airlock.encrypted",
            "CREATE TYPE x AS (c airlock.encrypted)",
            "CREATE TABLE x AS SELECT 'x'::airlock.encrypted('enc_pii') AS c",
            "CREATE TABLE x AS SELECT coalesce(c, 'x') AS c FROM person",
            "SELECT coalesce(c, 'x') AS c INTO x FROM person",
            "EXPLAIN ANALYZE CREATE TABLE x AS SELECT coalesce(c, 'x') AS c FROM person",
        ] {
            assert_eq!(state(sql), "42P16", "{sql}");
        }
        for sql in [
            "CREATE TABLE x (c airlock.encrypted('enc_pii') DEFAULT 'x')",
            "CREATE VIEW x AS SELECT id FROM person WHERE ssn = 'x'",
            "CREATE MATERIALIZED VIEW x AS SELECT id FROM person WHERE ssn = 'x'",
            "CREATE POLICY x ON person USING (ssn = 'x')",
            "ALTER TABLE person ADD CHECK (ssn <> 'x')",
            "CREATE FUNCTION x() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM person WHERE ssn = 'x'; END",
        ] {
            assert_eq!(state(sql), "42P17", "{sql}");
        }
        assert_eq!(
            state("CREATE FUNCTION x(c airlock.encrypted DEFAULT 'x') RETURNS text LANGUAGE sql AS $f$ SELECT '' $f$"),
            "42P17"
        );
        // a body in a string is parsed when it runs
        Spi::run(
            "CREATE FUNCTION pg_temp.matches(integer) RETURNS bigint LANGUAGE sql AS
               $f$ SELECT count(*) FROM public.person WHERE ssn = 'x' AND $1 > 0 $f$",
        )
        .unwrap();
        assert_eq!(count("SELECT pg_temp.matches(1)"), 0);
        assert_eq!(state("CREATE TABLE x (c airlock.encrypted('none'))"), "42704");
        assert_eq!(state("CREATE MATERIALIZED VIEW x AS SELECT c::text FROM person"), "42P17");
        Spi::run("INSERT INTO person (id, c) VALUES (0, 'x')").unwrap();
        Spi::run("CREATE VIEW open AS SELECT airlock.decrypt(c) AS c FROM person").unwrap();
        assert_eq!(state("CREATE MATERIALIZED VIEW x AS SELECT c FROM open"), "42501");
        assert_eq!(state("CREATE TABLE x AS SELECT c FROM person"), "ok");
        // an error on the way leaves no "defining" behind
        assert_eq!(state("INSERT INTO person (id, c) VALUES (1, 'x')"), "ok");
    }

    #[pg_test]
    fn enc_each_column_has_its_own_number() {
        set_up();
        Spi::run("CREATE DOMAIN enc_dom AS airlock.encrypted('enc_pii')").unwrap();
        Spi::run("CREATE TABLE more (LIKE person, x airlock.encrypted('enc_pii')[], y enc_dom)").unwrap();
        assert_eq!(
            count("SELECT count(DISTINCT atttypmod) FROM pg_attribute WHERE attrelid IN ('person'::regclass, 'more'::regclass) AND atttypmod > 0"),
            5
        );
        Spi::run("INSERT INTO more (id, x, y) VALUES (1, '{a,b}', 'dom')").unwrap();
        assert_eq!(text("SELECT airlock.decrypt(x[2]) || airlock.decrypt(y) FROM more"), "bdom");
    }

    #[pg_test]
    fn enc_every_plaintext_type_comes_back() {
        set_up();
        for (ty, values) in [
            ("smallint", vec!["-32768", "1"]),
            ("integer", vec!["0", "2147483647"]),
            ("bigint", vec!["-9223372036854775808"]),
            ("numeric", vec!["-12.50", "NaN", "Infinity", "1e30"]),
            ("real", vec!["1.5", "NaN", "-Infinity"]),
            ("double precision", vec!["0.1", "5e-324"]),
            ("boolean", vec!["t", "f"]),
            ("date", vec!["0044-03-15 BC", "-infinity"]),
            ("timestamp", vec!["2020-01-01 12:00:00.5"]),
            ("timestamptz", vec!["2020-01-01 12:00:00+02", "infinity"]),
            ("uuid", vec!["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
            ("jsonb", vec!["{\"b\": 1.0, \"a\": null}"]),
            ("bytea", vec!["\\x00ff80", "\\x"]),
        ] {
            let key = format!("enc_{}", ty.replace(' ', "_"));
            Spi::run(&format!("SELECT airlock.create_key('{key}', '{ty}')")).unwrap();
            Spi::run(&format!("SELECT airlock.grant_decrypt('{key}', current_user::regrole)")).unwrap();
            Spi::run(&format!(
                "CREATE TABLE typed (p {ty}, v airlock.encrypted('{key}'), e airlock.encrypted_eq('{key}'))"
            ))
            .unwrap();
            for v in &values {
                Spi::run(&format!("INSERT INTO typed VALUES ('{v}', '{v}', '{v}'), ('{v}', '{v}'::{ty}, '{v}'::text)"))
                    .unwrap();
            }
            let good = format!(
                "SELECT count(*) FROM typed WHERE airlock.decrypt(v, NULL::{ty}) = p AND airlock.decrypt(e)::{ty} = p"
            );
            assert_eq!(count(&good), 2 * values.len() as i64, "{ty}");
            assert_eq!(count(&format!("SELECT count(*) FROM typed WHERE e = '{}'", values[0])), 2, "{ty}");
            Spi::run("DROP TABLE typed").unwrap();
        }
    }

    #[pg_test]
    fn enc_columns_are_encrypted_and_decrypted_in_place() {
        set_up();
        Spi::run("CREATE TABLE plain (id integer PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'none', born date)")
            .unwrap();
        Spi::run("INSERT INTO plain SELECT g, 'name' || g % 3, date '2000-01-01' + g FROM generate_series(1, 100) g")
            .unwrap();
        Spi::run("COMMENT ON COLUMN plain.name IS 'a comment'").unwrap();
        Spi::run("CREATE INDEX plain_name ON plain (name)").unwrap();
        Spi::run("ANALYZE plain").unwrap();
        assert_eq!(state("SELECT airlock.encrypt_column('plain', 'none', 'enc_pii')"), "42704");
        assert_eq!(state("SELECT airlock.encrypt_column('plain', 'id', 'enc_pii')"), "42804");
        Spi::run("CREATE VIEW on_plain AS SELECT name FROM plain").unwrap();
        assert_eq!(state("SELECT airlock.encrypt_column('plain', 'name', 'enc_pii')"), "55000");
        assert!(text("SELECT pg_temp.message($$SELECT airlock.encrypt_column('plain', 'name', 'enc_pii')$$)")
            .contains("on_plain"));
        Spi::run("DROP VIEW on_plain").unwrap();
        Spi::run("SELECT airlock.encrypt_column('plain', 'name', 'enc_pii', true)").unwrap();
        Spi::run("SELECT airlock.encrypt_column('plain', 'born', 'enc_born')").unwrap();
        assert_eq!(state("SELECT airlock.encrypt_column('plain', 'born', 'enc_born')"), "55000");
        assert_eq!(
            count(
                "SELECT count(*) FROM plain WHERE name = 'name1' AND airlock.decrypt(born, NULL::date) > '2000-01-01'"
            ),
            34
        );
        assert_eq!(count("SELECT count(*) FROM pg_statistic WHERE starelid = 'plain'::regclass AND staattnum > 1"), 0);
        assert_eq!(text("SELECT col_description('plain'::regclass, 2)"), "a comment");
        let index = "SELECT indexdef FROM pg_indexes WHERE indexname = 'plain_name'";
        assert!(text(index).ends_with("(airlock.match_tag(name))"));
        assert_eq!(state("INSERT INTO plain (id, name) VALUES (200, NULL)"), "23502");
        Spi::run("INSERT INTO plain (id) VALUES (200)").unwrap();
        Spi::run("SELECT airlock.decrypt_column('plain', 'name')").unwrap();
        Spi::run("SELECT airlock.decrypt_column('plain', 'born')").unwrap();
        assert!(text(index).ends_with("(name)"));
        assert_eq!(text("SELECT name || born::text FROM plain WHERE id = 1"), "name12000-01-02");
        assert_eq!(text("SELECT name FROM plain WHERE id = 200"), "none");
        assert_eq!(state("SELECT airlock.decrypt_column('plain', 'name')"), "55000");
    }

    #[pg_test]
    fn enc_the_right_is_asked_of_each_role_between_the_rows() {
        set_up();
        Spi::run("INSERT INTO person (id, c) SELECT g, 'value' FROM generate_series(1, 3) g").unwrap();
        for sql in [
            "CREATE ROLE enc_reader; CREATE ROLE enc_other; GRANT SELECT ON person TO enc_reader, enc_other",
            "GRANT USAGE ON SCHEMA airlock TO enc_other",
            "SELECT airlock.grant_decrypt('enc_pii', 'enc_reader')",
            "CREATE FUNCTION pg_temp.as_role(name text) RETURNS text LANGUAGE plpgsql AS $f$
               DECLARE before text := current_user; found text;
               BEGIN
                 PERFORM set_config('role', name, true);
                 found := pg_temp.state('SELECT airlock.decrypt(c) FROM person');
                 PERFORM set_config('role', before, true);
                 RETURN found;
               END $f$",
        ] {
            Spi::run(sql).unwrap();
        }
        let told = |names: &str| {
            text(&format!("SELECT string_agg(pg_temp.as_role(n), ' ' ORDER BY i) FROM unnest(string_to_array('{names}', ' ')) WITH ORDINALITY AS u (n, i)"))
        };
        assert_eq!(told("enc_reader enc_other enc_reader enc_other"), "ok AL004 ok AL004");
        Spi::run("GRANT enc_reader TO enc_other").unwrap();
        assert_eq!(told("enc_other enc_reader"), "ok ok");
        Spi::run("REVOKE enc_reader FROM enc_other").unwrap();
        assert_eq!(told("enc_other enc_reader enc_other"), "AL004 ok AL004");
        Spi::run("SELECT airlock.revoke_decrypt('enc_pii', 'enc_reader')").unwrap();
        assert_eq!(told("enc_reader"), "AL004");
    }
}
