//! What PostgreSQL 16, 17 and 18 brought: new doors for a sub-processor, and what administrators meet there. Each list
//! has a first major per entry; a server takes the entries it knows, and an older one must not know the rest, so no
//! entry is silent by a typing error.

use crate::cluster::{Cluster, DATABASE};
use crate::fixture::{self, leaked, logged, running, settled, VISIBLE};
use crate::process::eventually;
use crate::protocol::Conn;

const READ: &str = "SELECT id FROM acme.customers";

fn major(cluster: &Cluster) -> u32 {
    cluster.admin("SHOW server_version_num").value().parse::<u32>().unwrap() / 10_000
}

/// Too many rights, those that newer majors added among them.
fn generous(cluster: &Cluster) {
    cluster.admin(
        "CREATE MATERIALIZED VIEW public.notes AS SELECT note FROM public.customers;
         GRANT ALL ON public.customers, public.consents, public.notes, acme.customers TO acme;
         GRANT USAGE, CREATE ON SCHEMA public, airlock TO acme; GRANT CREATE, TEMP ON DATABASE app TO acme;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA airlock TO acme;
         GRANT pg_read_all_data, pg_write_all_data, pg_monitor, pg_read_server_files, app TO acme",
    );
    let roles = [
        (16, "pg_create_subscription, pg_use_reserved_connections"),
        (17, "pg_maintain"),
        (18, "pg_signal_autovacuum_worker"),
    ];
    for (_, role) in roles.iter().filter(|(since, _)| *since <= major(cluster)) {
        cluster.admin(&format!("GRANT {role} TO acme"));
    }
}

/// Since which major the statement is one, and the statement. No parse tree of 15 looks like these.
const REFUSED: &[(u32, &str)] = &[
    // the input function of a type is called by its name, or by the RETURNING of a constructor: no call, no cast to see
    (16, "SELECT pg_input_is_valid('x', 'airlock.encrypted_eq')"),
    (16, "SELECT * FROM pg_input_error_info('x', 'airlock.encrypted_eq')"),
    (17, "SELECT JSON_VALUE('\"x\"'::jsonb, '$' RETURNING airlock.encrypted_eq)"),
    (17, "SELECT JSON_QUERY('\"x\"'::jsonb, '$' RETURNING airlock.encrypted OMIT QUOTES)"),
    (17, "SELECT * FROM JSON_TABLE('[{\"a\":\"x\"}]'::jsonb, '$[*]' COLUMNS (a airlock.encrypted_eq PATH '$.a')) t"),
    (17, "SELECT jsonb_populate_record_valid(NULL::public.customers, '{\"ssn\":\"x\"}')"),
    // expressions inside nodes that 15 does not have
    (16, "SELECT JSON_ARRAY(SELECT note FROM public.customers)"),
    (16, "SELECT JSON_OBJECTAGG(id VALUE note) FROM public.customers"),
    (16, "SELECT JSON_ARRAYAGG(id ORDER BY pg_current_xact_id()) FROM acme.customers"),
    (16, "SELECT JSON_OBJECT('a' : pg_read_file('PG_VERSION'))"),
    (16, "SELECT pg_read_file('PG_VERSION') IS JSON"),
    (16, "SELECT ANY_VALUE(note) FROM public.customers"),
    (17, "SELECT JSON_VALUE('[]'::jsonb, '$[5]' DEFAULT pg_current_xact_id()::text ON EMPTY)"),
    (17, "SELECT JSON_EXISTS('[1]'::jsonb, '$ ? (@ == $x)' PASSING pg_read_file('PG_VERSION') AS x)"),
    (17, "SELECT JSON_SCALAR(pg_read_file('PG_VERSION'))"),
    (17, "SELECT * FROM JSON_TABLE((SELECT jsonb_agg(note) FROM public.customers), '$[*]' COLUMNS (a text PATH '$')) t"),
    (17, "SELECT * FROM JSON_TABLE('{}'::jsonb, '$' PASSING pg_read_file('PG_VERSION') AS y COLUMNS (a text PATH '$.x')) t"),
    (17, "SELECT * FROM JSON_TABLE('{}'::jsonb, '$' COLUMNS (a text PATH '$.x' DEFAULT pg_read_file('PG_VERSION') ON EMPTY)) t"),
    // writing, and what has rights of its own
    (17, "MERGE INTO public.consents c USING (VALUES (1)) v (i) ON c.customer = v.i WHEN MATCHED THEN DELETE RETURNING c.*"),
    (17, "WITH x AS (MERGE INTO public.consents c USING (VALUES (1)) v (i) ON c.customer = v.i WHEN MATCHED THEN DELETE RETURNING c.*) SELECT * FROM x"),
    (17, "COPY (MERGE INTO public.consents c USING (VALUES (1)) v (i) ON c.customer = v.i WHEN MATCHED THEN DELETE RETURNING c.*) TO STDOUT"),
    (18, "UPDATE public.customers SET city = city RETURNING old.note, new.note"),
    (18, "ALTER TABLE public.consents ADD CONSTRAINT n NOT NULL customer NOT VALID"),
    (18, "ALTER TABLE public.consents ADD COLUMN g bigint GENERATED ALWAYS AS (customer) VIRTUAL"),
    (18, "VACUUM ONLY public.customers"),
    (18, "ANALYZE ONLY public.customers"),
    (16, "VACUUM (BUFFER_USAGE_LIMIT '1MB') public.customers"),
    // 15 knows the words, but not that the relation is copied
    (18, "COPY public.notes TO STDOUT"),
    (16, "EXPLAIN (GENERIC_PLAN) SELECT id FROM acme.customers WHERE city = $1"),
    (17, "EXPLAIN (ANALYZE, SERIALIZE, MEMORY) SELECT id FROM acme.customers"),
    // statistics, WAL, other sessions
    (18, "SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', 'customers', 'relpages', 1)"),
    (18, "SELECT pg_clear_attribute_stats('public', 'customers', 'city', false)"),
    (17, "SELECT pg_logical_emit_message(false, 'airlock', 'x', true)"),
    (17, "SELECT * FROM pg_available_wal_summaries()"),
    (16, "SELECT pg_log_standby_snapshot()"),
    (18, "SELECT pg_get_multixact_members('1'::xid)"),
    (18, "SELECT * FROM pg_aios"),
    (18, "SELECT * FROM pg_shmem_allocations_numa"),
];

/// Harmless news, which must work.
const READABLE: &[(u32, &str)] = &[
    (16, "SELECT JSON_ARRAYAGG(email ORDER BY id), ANY_VALUE(city), JSON_OBJECTAGG(id VALUE country) FROM acme.customers"),
    (16, "SELECT JSON_ARRAY(SELECT id FROM acme.customers), '1' IS JSON, SYSTEM_USER, random_normal()"),
    (16, "SELECT id FROM acme.customers WHERE pay = 0x1F4 OR pay = 1_001"),
    (17, "SELECT t.* FROM acme.customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (a text PATH '$.city')) t"),
    (17, "SELECT JSON_VALUE('[]'::jsonb, '$[5]' DEFAULT 'x' ON EMPTY), random(1, 5)"),
    (18, "SELECT uuidv7(), array_sort(ARRAY[2, 1]), casefold('A')"),
];

#[test]
fn statements_that_newer_majors_know_are_refused_or_read_only() {
    let cluster = running();
    generous(&cluster);
    let (now, mut wrong) = (major(&cluster), Vec::new());
    for (since, sql) in REFUSED {
        let answer = cluster.sql("acme", sql);
        if *since <= now && (answer.code() != "AL007" || leaked(&answer).is_some()) {
            wrong.push(format!("{sql}: {:?} {:?}", answer.error, answer.rows));
        }
        // an older server must not have run it either
        if *since > now && answer.error.is_none() {
            wrong.push(format!("known already: {sql}"));
        }
    }
    for (since, sql) in READABLE {
        let answer = cluster.sql("acme", sql);
        if (*since <= now) != answer.error.is_none() || leaked(&answer).is_some() {
            wrong.push(format!("{sql}: {:?}", answer.error));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.consents").code(), "");
}

/// What a member may do with a role is told apart since 16. Whoever can act as the sub-processor is contained from the
/// start, before it does.
#[test]
fn members_of_every_kind_are_contained() {
    let cluster = running();
    let kinds: &[&str] = match major(&cluster) {
        15 => &[""],
        _ => {
            &["WITH INHERIT TRUE, SET FALSE", "WITH INHERIT FALSE, SET TRUE", "WITH INHERIT TRUE, SET TRUE, ADMIN TRUE"]
        }
    };
    for (i, kind) in kinds.iter().enumerate() {
        let user = format!("member{i}");
        cluster.admin(&format!(
            "CREATE ROLE {user} LOGIN; GRANT SELECT ON public.customers TO {user}; GRANT acme TO {user} {kind}"
        ));
        assert_eq!(cluster.sql(&user, "SELECT note FROM public.customers").code(), "AL007", "{kind}");
        let mut conn = cluster.connect(&user);
        if kind.contains("INHERIT FALSE") {
            conn.query("SET ROLE acme").ok();
        }
        assert_eq!(conn.query(READ).ok().received, VISIBLE, "{kind}");
    }
}

/// A grant on a key is a right like another: from 16 on it comes with INHERIT, not with SET before SET ROLE was said, and
/// not by a path that is half the one and half the other.
#[test]
fn a_grant_on_a_key_is_inherited_as_other_rights_are() {
    let cluster = running();
    cluster.admin(
        "CREATE ROLE top; CREATE ROLE middle; CREATE ROLE mixed LOGIN; CREATE ROLE setter LOGIN; CREATE ROLE heir LOGIN;
         SELECT airlock.grant_decrypt('pii', 'top'); GRANT SELECT ON public.customers TO top, mixed, setter, heir",
    );
    let grants: [&str; 4] = match major(&cluster) {
        15 => ["GRANT middle TO mixed", "GRANT top TO middle", "GRANT top TO setter", "GRANT top TO heir"],
        _ => [
            "GRANT middle TO mixed WITH INHERIT TRUE, SET FALSE",
            "GRANT top TO middle WITH INHERIT FALSE, SET TRUE",
            "GRANT top TO setter WITH INHERIT FALSE, SET TRUE",
            "GRANT top TO heir WITH INHERIT TRUE, SET FALSE",
        ],
    };
    grants.iter().for_each(|sql| drop(cluster.admin(sql)));
    let decrypt = "SELECT ssn::text FROM public.customers WHERE id = 1";
    let without = if major(&cluster) == 15 { "" } else { "AL004" };
    for (role, code) in [("heir", ""), ("setter", without), ("mixed", without)] {
        assert_eq!(cluster.sql(role, decrypt).code(), code, "{role}");
    }
    let mut setter = cluster.connect("setter");
    setter.query("SET ROLE top").ok();
    assert_eq!(setter.query(decrypt).value(), "CANARYMASK_e0001");
}

/// Since 16 the maker of a role is its member, with ADMIN OPTION and nothing else, and cannot give that back: the grant
/// is the bootstrap superuser's. Such an administrator must be able to register the role, and go on afterwards.
#[test]
fn who_created_the_role_can_register_it_and_is_not_contained() {
    let cluster = running();
    cluster.admin(
        "CREATE ROLE boss LOGIN CREATEROLE; GRANT airlock_admin TO boss; GRANT CREATE ON DATABASE app TO boss;
         GRANT SELECT ON public.consents TO boss WITH GRANT OPTION",
    );
    let mut boss = cluster.connect("boss");
    for name in ["vendor1", "vendor2"] {
        boss.query(&format!("CREATE ROLE {name} LOGIN")).ok();
        boss.query(&format!("SELECT airlock.create_subprocessor('{name}', role => '{name}', legal_name => 'V', contract => 'C', purposes => '{{p}}')")).ok();
        boss.query(&format!("SELECT airlock.create_scope('{name}', 'public.consents', '{{\"customer\": \"clear\"}}')"))
            .ok();
        assert_eq!(cluster.sql(name, &format!("SELECT customer FROM {name}.consents")).ok().received, 100);
    }
    assert_eq!(cluster.sql("boss", "SELECT count(*) FROM public.consents").value(), "100");
}

/// A virtual generated column is replaced by its expression below both barriers, after a user's `=` on it was found
/// leakproof: the expression then runs on hidden rows, and its error quotes them. A stored one is a value.
#[test]
fn a_generated_column_raises_nothing_for_hidden_rows() {
    let cluster = running();
    let kinds: &[&str] = if major(&cluster) >= 18 { &["STORED", "VIRTUAL"] } else { &["STORED"] };
    // costs more than the expression, so the planner would rather try the user's predicate first
    let filter = "upper(lower(upper(lower(upper(lower(raw)))))) NOT LIKE ''CANARY%''";
    for kind in kinds {
        // stored, the value must exist for hidden rows too
        let (cast, hidden) = match *kind {
            "STORED" => ("CASE WHEN raw ~ '^[0-9]+$' THEN raw::int END", "'CANARYROW_p' || g"),
            _ => ("raw::int", "'CANARYROW_p' || g"),
        };
        cluster.admin(&format!(
            "DROP TABLE IF EXISTS public.bills; CREATE TABLE public.bills (id bigint PRIMARY KEY, raw text, amount int GENERATED ALWAYS AS ({cast}) {kind});
             INSERT INTO public.bills SELECT g, CASE WHEN g % 10 = 0 THEN {hidden} ELSE g::text END FROM generate_series(1, 100) g"
        ));
        let scope = format!("SELECT airlock.create_scope('acme', 'public.bills', '{{\"id\": \"clear\", \"amount\": \"clear\"}}', row_filter => '{filter}')");
        let made = cluster.sql("postgres", &scope);
        if *kind == "VIRTUAL" && made.code() == "AL010" {
            continue; // refused when the scope is made: the other way to be safe
        }
        made.ok();
        for sql in [
            "SELECT id FROM acme.bills WHERE amount = 5",
            "SELECT id FROM acme.bills WHERE amount IN (5, 10)",
            "SELECT b.id FROM acme.bills b JOIN (VALUES (5)) v (i) ON b.amount = v.i",
            "SELECT id FROM acme.bills WHERE amount IS NOT NULL AND id = 5",
        ] {
            let answer = cluster.sql("acme", sql);
            assert_eq!(
                (answer.code(), answer.received, leaked(&answer)),
                ("", 1, None),
                "{kind}: {sql}: {:?}",
                answer.error
            );
        }
        cluster.admin("SELECT airlock.drop_scope('acme', 'public.bills')");
    }
}

/// SET EXPRESSION (17) changes what a column of a scope is, under a view that stays as it was. Dropping and adding the
/// column, the only way before, is refused while the view stands on it.
#[test]
fn doctor_sees_a_generated_column_that_was_given_another_expression() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.posts (id int PRIMARY KEY, draft text, open text, shown text GENERATED ALWAYS AS (open) STORED);
         INSERT INTO public.posts VALUES (1, 'CANARYCOL_p', 'open'); ALTER TABLE public.posts OWNER TO app;
         SELECT airlock.create_scope('acme', 'public.posts', '{\"id\": \"clear\", \"shown\": \"clear\"}')",
    );
    let finding = "SELECT count(*) > 0 FROM airlock.doctor() WHERE object ~ 'acme.posts' AND \"check\" = 'view'";
    assert_eq!(cluster.admin(finding).value(), "f");
    let change = cluster.sql("app", "ALTER TABLE public.posts ALTER COLUMN shown SET EXPRESSION AS (draft)");
    if major(&cluster) < 17 {
        assert_eq!(change.code(), "42601");
        assert_eq!(cluster.sql("app", "ALTER TABLE public.posts DROP COLUMN shown").code(), "2BP01");
        return;
    }
    change.ok();
    assert_eq!(
        cluster.admin(finding).value(),
        "t",
        "now {:?}",
        cluster.sql("acme", "SELECT shown FROM acme.posts").rows
    );
}

/// What others run holds their literals. `pg_stat_activity` is one way to it, its older sibling another; a membership in
/// the other's role opens both, no predefined role needed. On every major.
#[test]
fn statements_of_other_sessions_are_shown_to_no_member() {
    let cluster = running();
    let mut clerk = cluster.connect("clerk");
    clerk.query("SELECT 'CANARYCOL_literal'").ok();
    let each = "SELECT pg_stat_get_backend_activity(b) FROM pg_stat_get_backend_idset() b";
    let view = "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    let mut wrong = Vec::new();
    for grant in ["pg_monitor", "clerk"] {
        cluster.admin(&format!("GRANT {grant} TO acme"));
        wrong.extend(
            [each, view]
                .iter()
                .filter_map(|sql| leaked(&cluster.sql("acme", sql)).map(|l| format!("{grant}: {sql}: {l}"))),
        );
        cluster.admin(&format!("REVOKE {grant} FROM acme"));
    }
    // the control: it is there to be seen
    assert!(leaked(&cluster.sql("postgres", each)).is_some());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names in the record, where 16 to 18 keep rights and groups elsewhere (permission infos, RTE_GROUP).
#[test]
fn the_record_names_the_same_columns_on_every_major() {
    let cluster = running();
    let cases: &[(u32, &str, &str, usize)] = &[
        (15, "SELECT upper(city) FROM acme.customers GROUP BY upper(city) HAVING max(pay) > 0", "city pay", 3),
        (15, "SELECT city, count(*) FROM acme.customers GROUP BY ROLLUP (city, country)", "country city", 7),
        (15, "SELECT u.id FROM acme.customers a JOIN acme.customers b USING (id) AS u", "id", VISIBLE),
        (15, "SELECT v.i FROM (VALUES (1)) v (i) LEFT JOIN (SELECT DISTINCT id FROM acme.customers) l ON l.id = v.i", "id", 1),
        (15, "SELECT id FROM acme.customers WHERE city = 'x' AND city <> 'x'", "id city", 0),
        (16, "SELECT JSON_ARRAY(SELECT phone FROM acme.customers)", "phone", 1),
        (16, "SELECT JSON_OBJECTAGG(id VALUE ssn), ANY_VALUE(born) FROM acme.customers", "id born ssn", 1),
        (17, "SELECT t.a FROM acme.customers c, JSON_TABLE(jsonb_build_array(c.email), '$[*]' COLUMNS (a text PATH '$')) t", "email", VISIBLE),
    ];
    for (i, (since, sql, columns, rows)) in cases.iter().enumerate() {
        let name = format!("columns{i}");
        let answer = cluster.connect_as("acme", &name).query(sql);
        if *since > major(&cluster) {
            assert!(answer.error.is_some() && logged(&cluster, &name).is_empty(), "{sql}");
            continue;
        }
        assert_eq!(answer.ok().received, *rows, "{sql}");
        let named: Vec<String> = columns.split(' ').map(|c| format!("acme.customers.{c}")).collect();
        let log = settled(&cluster, &name, 1);
        assert_eq!(
            (log[0].get("columns"), log[0].rows()),
            (&*format!("{{{}}}", named.join(",")), Some(*rows)),
            "{sql}"
        );
    }
}

/// Settings that came after 15, by SET and by the connection string, and how a statement ends that one of them ends.
#[test]
fn newer_settings_are_the_controllers() {
    let cluster = running();
    let settings: &[(u32, &str)] = &[
        (16, "debug_parallel_query=on"),
        (16, "createrole_self_grant=set"),
        (16, "scram_iterations=1"),
        (16, "icu_validation_level=disabled"),
        (17, "transaction_timeout=0"),
        (17, "event_triggers=off"),
        (17, "restrict_nonsystem_relation_kind=view"),
        (18, "io_combine_limit=1"),
        (18, "log_connections=all"),
        (18, "vacuum_truncate=off"),
        (18, "track_cost_delay_timing=on"),
    ];
    for (_, setting) in settings.iter().filter(|(since, _)| *since <= major(&cluster)) {
        assert_eq!(cluster.sql("acme", &format!("SET {}'", setting.replace('=', " = '"))).code(), "AL007", "{setting}");
        let code = match cluster.login("acme", DATABASE, &[("options", &format!("-c {setting}"))]) {
            Ok(mut conn) => conn.query(READ).code().to_string(),
            Err(refusal) => refusal.code().to_string(),
        };
        assert!(["AL007", "42501"].contains(&&*code), "{setting}: {code}");
    }
    let (limit, code) =
        if major(&cluster) >= 17 { ("transaction_timeout", "25P04") } else { ("statement_timeout", "57014") };
    cluster.admin(&format!("ALTER ROLE acme SET {limit} = '500ms'"));
    let mut conn = cluster.connect_as("acme", "limited");
    let endless = "SELECT count(*) FROM acme.customers a, generate_series(1, 100000) b, generate_series(1, 100000) c";
    assert_eq!(conn.query(endless).code(), code);
    let outcome = if code == "57014" { "timeout cancelled" } else { "terminated" };
    let found = settled(&cluster, "limited", 1)[0].get("outcome").to_string();
    assert!(outcome.split(' ').any(|o| o == found), "{found}");
}

/// A login trigger (17) runs in a sub-processor's session before anything else; what it reads there is contained.
#[test]
fn a_login_trigger_shows_a_subprocessor_nothing() {
    let cluster = running();
    cluster.admin(
        "CREATE FUNCTION public.on_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
           BEGIN RAISE NOTICE 'last: %', (SELECT max(note) FROM public.customers); EXCEPTION WHEN OTHERS THEN NULL; END $$",
    );
    let made = cluster.sql("postgres", "CREATE EVENT TRIGGER greet ON login EXECUTE FUNCTION public.on_login()");
    assert_eq!(made.code(), if major(&cluster) >= 17 { "" } else { "42601" });
    let login = |user| cluster.login(user, DATABASE, &[("client_min_messages", "notice")]).expect("connect");
    let greeted = |conn: &Conn| conn.greeting.iter().any(|n| n.get('M').contains("CANARYCOL"));
    assert_eq!(greeted(&login("clerk")), major(&cluster) >= 17, "control: others are shown it");
    let mut acme = login("acme");
    assert!(!greeted(&acme), "{:?}", acme.greeting);
    let answer = acme.query(READ).ok();
    assert_eq!((answer.received, leaked(&answer)), (VISIBLE, None));
}

/// NOT NULL is a constraint object since 18, a column can be generated without being stored, and a check need not hold:
/// what stands in the way of a column's type is refused by name, and NOT NULL stands in nobody's way.
#[test]
fn columns_are_encrypted_and_decrypted_past_newer_constraints() {
    let cluster = running();
    cluster.admin("SELECT airlock.grant_decrypt('pii', 'postgres')");
    cluster.admin("CREATE TABLE public.people (id int PRIMARY KEY, name text CONSTRAINT named NOT NULL, ssn airlock.encrypted_eq('pii') NOT NULL);
                   INSERT INTO public.people VALUES (1, 'CANARYMASK_p', 'x')");
    cluster.admin("SELECT airlock.encrypt_column('public.people', 'name', 'pii'); SELECT airlock.decrypt_column('public.people', 'name')");
    cluster.admin("SELECT airlock.decrypt_column('public.people', 'ssn'); SELECT airlock.encrypt_column('public.people', 'ssn', 'pii', true)");
    let nulls = "INSERT INTO public.people VALUES (2, NULL, 'y')";
    assert_eq!(cluster.sql("postgres", nulls).code(), "23502");
    let refused: &[(u32, &str, &str)] = &[
        (18, "ALTER TABLE public.people ADD CHECK (ssn = 'literal') NOT ENFORCED", "42P17"),
        (18, "ALTER TABLE public.people ADD COLUMN same boolean GENERATED ALWAYS AS (ssn = 'literal') VIRTUAL", "42P17"),
        (18, "ALTER TABLE public.people ADD COLUMN seen text GENERATED ALWAYS AS (airlock.decrypt(ssn)) VIRTUAL", "42P17"),
        (18, "ALTER TABLE public.people ADD COLUMN u text GENERATED ALWAYS AS (upper(name)) VIRTUAL; SELECT airlock.encrypt_column('public.people', 'name', 'pii')", "55000"),
    ];
    for (_, sql, code) in refused.iter().filter(|(since, ..)| *since <= major(&cluster)) {
        assert_eq!(cluster.sql("postgres", sql).code(), *code, "{sql}");
    }
}

/// 18 can invalidate a slot that nobody connects to, which ours never is: doctor must name the setting that does it.
#[test]
fn doctor_names_what_took_the_slot() {
    let mut cluster = fixture::stopped();
    cluster.start();
    fixture::open(&cluster);
    if major(&cluster) < 18 {
        assert_eq!(cluster.sql("postgres", "SHOW idle_replication_slot_timeout").code(), "42704");
        return;
    }
    cluster.admin("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'");
    cluster.admin("SELECT pg_reload_conf()");
    eventually("the slot is invalidated", || {
        cluster.admin("CHECKPOINT");
        let status =
            cluster.admin("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'pg_airlock'").value();
        (status == "lost").then_some(())
    });
    let fixes = cluster.admin("SELECT fix FROM airlock.doctor() WHERE \"check\" = 'slot'").first();
    assert!(fixes.iter().any(|f| f.contains("idle_replication_slot_timeout")), "{fixes:?}");
    // reads go on: the worker makes the slot anew when there is something to settle
    assert_eq!(cluster.sql("acme", READ).ok().received, VISIBLE);
}
