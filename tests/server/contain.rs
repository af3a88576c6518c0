//! Containment, invariants 1 and 2: the attacks of `contain/attacks.rs`, tried by the sub-processor's own login, first
//! with the rights it has, then with far too many. Each refused statement has a positive twin: the superuser can run it
//! here, or the reader can read what it aimed at in the allowed way.

mod attacks;
mod limits;
mod masks;
mod matrix;
mod partitions;
mod revocation;

use crate::cluster::{Cluster, DATABASE};
use crate::fixture::{self, leaked, CANARIES, VISIBLE};
use attacks::{Attack, Twin, Verdict, ATTACKS, READABLE};

/// Everything that a careless administrator, or an attacker before us, may have granted.
const HOSTILE_GRANTS: &str = "
    GRANT ALL ON public.customers, public.consents TO acme;
    GRANT USAGE, CREATE ON SCHEMA public, airlock, airlock_catalog, airlock_scope, acme, globex TO acme;
    GRANT ALL ON ALL TABLES IN SCHEMA airlock, airlock_catalog, airlock_scope, acme, globex TO acme;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA airlock, public TO acme;
    GRANT CREATE, TEMP ON DATABASE app TO acme;
    CREATE SCHEMA acme_own AUTHORIZATION acme;
    GRANT pg_read_all_data, pg_write_all_data, pg_monitor, pg_signal_backend, pg_checkpoint TO acme;
    GRANT pg_read_server_files, pg_write_server_files, pg_execute_server_program TO acme;
    GRANT app, clerk, airlock_admin, airlock_auditor, airlock_view_owner TO acme;
    GRANT SELECT ON pg_catalog.pg_authid, pg_catalog.pg_statistic, pg_catalog.pg_largeobject TO acme;
    ALTER ROLE acme CREATEDB CREATEROLE BYPASSRLS";

/// What a privileged function of the application does; PUBLIC may call it.
const DEFINER_FUNCTIONS: &str = "
    CREATE FUNCTION public.customer_report() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN RETURN (SELECT string_agg(note, ',') FROM public.customers); END $$;
    CREATE FUNCTION public.customer_report_quietly() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN RETURN (SELECT string_agg(note, ',') FROM public.customers); EXCEPTION WHEN OTHERS THEN RETURN 'nothing'; END $$;
    CREATE FUNCTION public.customer_report_sql() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
      $$ SELECT string_agg(note, ',') FROM public.customers $$;
    CREATE TABLE public.scratch (x int)";

fn prepared(hostile: bool) -> Cluster {
    let cluster = fixture::running();
    cluster.admin(DEFINER_FUNCTIONS);
    if hostile {
        cluster.admin(HOSTILE_GRANTS);
    }
    cluster.admin("ANALYZE");
    cluster
}

/// What must be as it was after all attacks: the data, and every object that exists.
fn state(cluster: &Cluster) -> Vec<String> {
    let objects = "SELECT concat_ws(' ', 'relation', oid::regclass, relowner, relacl) FROM pg_class WHERE relnamespace::regnamespace::text NOT LIKE 'pg_toast%'
         UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure, prosrc) FROM pg_proc
         UNION ALL SELECT concat_ws(' ', 'type', oid, typname) FROM pg_type
         UNION ALL SELECT concat_ws(' ', 'schema', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
         UNION ALL SELECT concat_ws(' ', 'role', rolname, rolsuper) FROM pg_roles
         UNION ALL SELECT concat_ws(' ', 'large object', oid) FROM pg_largeobject_metadata
         UNION ALL SELECT concat_ws(' ', 'slot', slot_name) FROM pg_replication_slots
         UNION ALL SELECT concat_ws(' ', 'key grant', key_no, role, access) FROM airlock_catalog.key_grant
         UNION ALL SELECT concat_ws(' ', 'scope', scope_no, relation, definition) FROM airlock.scopes
         UNION ALL SELECT concat_ws(' ', 'data', md5(string_agg(c::text, '|' ORDER BY id))) FROM public.customers c ORDER BY 1";
    cluster.admin(objects).first()
}

/// What went wrong with one attack; `None` when it ended as it should.
fn attempt(cluster: &Cluster, attack: &Attack, hostile: bool, parameters: &[(&str, &str)]) -> Option<String> {
    let mut conn = cluster.login("acme", DATABASE, parameters).expect("acme connects");
    let answers: Vec<_> = attack.sql.iter().map(|sql| conn.query(sql)).collect();
    if let Some(line) = answers.iter().find_map(leaked) {
        return Some(format!("leaked {line}"));
    }
    let last = answers.last().expect("an attack has a statement");
    match attack.verdict {
        Verdict::Refused | Verdict::RefusedAs(_) => {
            let also = if let Verdict::RefusedAs(code) = attack.verdict { code } else { "AL007" };
            // with the rights it has, PostgreSQL's own refusal is as good; with all rights granted, it is ours that counts
            let good =
                last.code() == "AL007" || last.code() == also || (!hostile && matches!(last.code(), "42501" | "3F000"));
            (!good).then(|| format!("not refused: {:?} {:?} {:?}", last.error, last.tags, last.rows))
        }
        Verdict::Silent => None,
        Verdict::Rows(n) => {
            let good = last.error.is_none() && last.received == n;
            (!good).then(|| format!("{} rows, {:?}", last.received, last.error))
        }
    }
}

/// Shows that the attack's statement itself is sound: refused is the reader, not a typing error.
fn twin(cluster: &Cluster, attack: &Attack) -> Option<String> {
    let (user, statements): (&str, Vec<&str>) = match attack.twin {
        Twin::None => return None,
        Twin::Superuser => {
            ("postgres", std::iter::once("BEGIN").chain(attack.sql.iter().copied()).chain(["ROLLBACK"]).collect())
        }
        Twin::Reader(sql) => ("acme", vec![sql]),
    };
    let mut conn = cluster.connect(user);
    let failed = statements.iter().map(|sql| conn.query(sql)).find(|a| a.error.is_some() || a.closed)?;
    Some(format!("its twin as {user} fails: {:?}", failed.error))
}

fn try_all(hostile: bool, parameters: &[(&str, &str)]) {
    let cluster = prepared(hostile);
    let before = state(&cluster);
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        let problems = [attempt(&cluster, attack, hostile, parameters), twin(&cluster, attack)];
        wrong.extend(
            problems.into_iter().flatten().map(|p| format!("{}: {}: {p}", attack.class, attack.sql.join("; "))),
        );
    }
    for sql in READABLE {
        let mut conn = cluster.login("acme", DATABASE, parameters).expect("acme connects");
        for part in sql.split(";; ") {
            let answer = conn.query(part);
            if let Some(error) = answer.error {
                wrong.push(format!("refused, but harmless: {sql}: {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} attacks:\n{}", wrong.len(), ATTACKS.len(), wrong.join("\n"));
    assert_eq!(state(&cluster), before, "an attack changed something");
    let log = cluster.log();
    let line = log.lines().find(|l| CANARIES.iter().any(|c| l.contains(c)));
    assert_eq!(line, None, "the server's log holds a canary");
    // everybody else goes on as before
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
}

#[test]
fn attacks_fail_with_the_rights_a_subprocessor_has() {
    try_all(false, &[]);
    assert!(!ATTACKS.is_empty());
}

#[test]
fn attacks_fail_with_far_too_many_rights() {
    try_all(true, &[]);
    assert!(!ATTACKS.is_empty());
}

#[test]
fn attacks_fail_with_hostile_settings_from_the_connection_string() {
    let options = "-c plan_cache_mode=force_generic_plan -c search_path=public,airlock,airlock_catalog,acme -c jit=on -c jit_above_cost=0 \
                   -c DateStyle=German -c enable_seqscan=off";
    try_all(true, &[("options", options)]);
    assert!(!READABLE.is_empty());
}

#[test]
fn function_call_messages_are_refused() {
    let cluster = prepared(true);
    let oid = |f: &str| cluster.admin(&format!("SELECT '{f}'::regprocedure::oid")).value().parse::<u32>().unwrap();
    for (function, arguments) in [
        ("pg_catalog.pg_advisory_lock(bigint)", &["42"][..]),
        ("pg_catalog.pg_read_file(text)", &["PG_VERSION"]),
        ("pg_catalog.lo_creat(integer)", &["-1"]),
        ("pg_catalog.query_to_xml(text,boolean,boolean,text)", &["SELECT note FROM public.customers", "t", "f", ""]),
        ("pg_catalog.set_config(text,text,boolean)", &["debug_print_plan", "on", "f"]),
        ("public.customer_report()", &[]),
        ("airlock.grant_decrypt(text,regrole)", &["pii", "acme"]),
        ("airlock.create_key(text,text,integer,text)", &["mine", "text", "16", "none"]),
    ] {
        let answer = cluster.connect("acme").call(oid(function), arguments);
        // what PostgreSQL grants to no one it refuses before we are asked
        assert!(["AL007", "42501"].contains(&answer.code()) && leaked(&answer).is_none(), "{function}: {answer:?}");
    }
    // the same message works for somebody else, so it is well made
    let answer = cluster.connect("clerk").call(oid("pg_catalog.pg_advisory_lock(bigint)"), &["42"]).ok();
    assert_eq!(answer.rows.len(), 1);
}

#[test]
fn a_refused_setting_is_refused_by_every_way_in() {
    let cluster = prepared(true);
    const READ: &str = "SELECT id FROM acme.customers";
    for setting in ["debug_print_plan=on", "synchronous_commit=off", "statement_timeout=0", "work_mem=1GB"] {
        let (name, value) = setting.split_once('=').unwrap();
        assert_eq!(cluster.sql("acme", &format!("SET {name} = '{value}'")).code(), "AL007", "{setting}");
        assert_eq!(
            cluster.sql("acme", &format!("SELECT set_config('{name}', '{value}', false)")).code(),
            "AL007",
            "{setting}"
        );
    }
    let options = "-c client_min_messages=log -c debug_print_plan=on";
    let mut conn = cluster.login("acme", DATABASE, &[("options", options)]).expect("connect");
    let answer = conn.query(READ);
    assert_eq!((answer.code(), answer.received), ("AL007", 0), "by connection options");
    assert!(!answer.notices.iter().any(|n| n.text().contains("PLANNEDSTMT")), "no plan is printed: {answer:?}");
    cluster.admin("ALTER ROLE acme SET debug_print_plan = on");
    assert_eq!(cluster.sql("acme", READ).code(), "AL007", "by a role default");
    cluster.admin("ALTER ROLE acme RESET debug_print_plan");
    assert_eq!(cluster.sql("acme", READ).ok().received, VISIBLE);
    // a setting that is allowed is allowed by the same ways
    let mut conn = cluster.login("acme", DATABASE, &[("options", "-c extra_float_digits=1")]).expect("connect");
    assert_eq!(conn.query(READ).ok().received, VISIBLE);
}

#[test]
fn a_replication_connection_is_refused() {
    let cluster = prepared(true);
    let refused = cluster.login("acme", DATABASE, &[("replication", "database")]).err().map(|e| e.code().to_string());
    assert_eq!(refused.as_deref(), Some("42501"));
    assert!(cluster.login("postgres", DATABASE, &[("replication", "database")]).is_ok());
}

#[test]
fn a_login_under_two_subprocessors_reads_nothing() {
    let cluster = prepared(false);
    let mut conn = cluster.connect("acme");
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    cluster.admin("GRANT globex TO acme");
    for sql in ["SELECT id FROM acme.customers", "SELECT id FROM globex.customers", "SET ROLE globex"] {
        assert_eq!(conn.query(sql).code(), "AL007", "{sql}");
    }
    cluster.admin("REVOKE globex FROM acme");
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    // a pool's login that may become either
    cluster.admin("GRANT acme TO pooled");
    assert_eq!(cluster.sql("pooled", "SELECT id FROM acme.customers").ok().received, VISIBLE);
    cluster.admin("GRANT globex TO pooled");
    assert_eq!(cluster.sql("pooled", "SET ROLE acme; SELECT id FROM acme.customers").code(), "AL007");
}

#[test]
fn forged_log_messages_are_no_reads_and_are_noticed() {
    let cluster = prepared(false);
    let before = cluster.admin("SELECT count(*) FROM airlock.access_log").value();
    for payload in ["", "x", "nobody read anything", &"y".repeat(100_000)] {
        cluster.sql("clerk", &format!("SELECT pg_logical_emit_message(false, 'airlock', '{payload}')")).ok();
        cluster.sql("clerk", &format!("SELECT pg_logical_emit_message(true, 'airlock', '{payload}')")).ok();
    }
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.access_log").value(), before);
    crate::process::eventually("the worker reports the forgery", || {
        let findings = cluster.admin("SELECT count(*) FROM airlock_catalog.read_record WHERE kind = 'finding'").value();
        (findings != "0").then_some(())
    });
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.access_log").value(), before);
    let (ok, _, message) = fixture::verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message}");
    // reads go on and are logged
    assert_eq!(cluster.connect_as("acme", "after").query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    assert_eq!(fixture::settled(&cluster, "after", 1).len(), 1);
}
