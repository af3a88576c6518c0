//! What sub-processors share with others: connections, locks, temporary space, the log. Class H of the design's catalogue,
//! and from J what spills. Where PostgreSQL itself leaves it to a limit on the role, that limit holds, cannot be raised by the
//! reader, and `doctor()` misses it where it is not set.

use super::prepared;
use crate::cluster::{Cluster, DATABASE};
use crate::fixture::{self, settled, VISIBLE};
use crate::process::eventually;
use crate::sentinel::files_with;
use std::path::PathBuf;

const READ: &str = "SELECT id FROM acme.customers";

fn others_are_alive(cluster: &Cluster) {
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");
    assert_eq!(cluster.sql("globex", "SELECT count(*) FROM globex.customers").value(), VISIBLE.to_string());
}

#[test]
fn what_limits_a_login_is_missed_until_it_is_set() {
    let cluster = prepared(false);
    let missed = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'limits' AND object = 'acme' ORDER BY 1";
    let has_no = |what: &str| format!("a sub-processor's login has no {what}");
    let all =
        ["connection limit", "idle_in_transaction_session_timeout", "statement_timeout", "temp_file_limit"].map(has_no);
    assert_eq!(cluster.admin(missed).first(), all);
    // as the finding says; the limit of temporary files has another word for none
    for fix in cluster.admin("SELECT fix FROM airlock.doctor() WHERE \"check\" = 'limits' AND object = 'acme'").first()
    {
        cluster.admin(&fix);
    }
    assert_eq!(cluster.admin(missed).first(), Vec::<String>::new());
    cluster.admin("ALTER ROLE acme SET temp_file_limit = -1");
    assert_eq!(cluster.admin(missed).first(), [has_no("temp_file_limit")]);
    cluster.admin("ALTER ROLE acme SET temp_file_limit = '1GB'");
    assert_eq!(cluster.admin(missed).first(), Vec::<String>::new());
}

#[test]
fn attack_all_connections() {
    let cluster = prepared(false);
    cluster.admin("ALTER ROLE acme CONNECTION LIMIT 3");
    let open: Vec<_> = (0..20).filter_map(|_| cluster.login("acme", DATABASE, &[]).ok()).collect();
    assert_eq!(open.len(), 3);
    let refused = cluster.login("acme", DATABASE, &[]).err().map(|e| e.code().to_string());
    assert_eq!(refused.as_deref(), Some("53300"));
    others_are_alive(&cluster);
    // nor can it lift the limit
    let mut acme = open.into_iter().next().unwrap();
    assert_eq!(acme.query("ALTER ROLE acme CONNECTION LIMIT -1").code(), "AL007");
    assert_eq!(acme.query(READ).ok().received, VISIBLE);
}

#[test]
fn attack_a_transaction_left_open_before_an_alter_table() {
    let cluster = prepared(false);
    cluster.admin("ALTER ROLE acme SET idle_in_transaction_session_timeout = '1s'");
    let mut acme = cluster.connect("acme");
    assert_eq!(acme.query("SET idle_in_transaction_session_timeout = 0").code(), "AL007");
    acme.query("BEGIN").ok();
    assert_eq!(acme.query(READ).ok().received, VISIBLE);
    let mut owner = cluster.connect("app");
    owner.begin("ALTER TABLE public.customers ADD COLUMN more text");
    // all wait behind the one that waits for the reader, and go on when its time is over
    others_are_alive(&cluster);
    owner.finish().ok();
    assert!(acme.query(READ).closed);
}

#[test]
fn control_without_the_timeout_the_alter_table_waits_for_the_reader() {
    let cluster = prepared(false);
    let mut acme = cluster.connect("acme");
    acme.query("BEGIN").ok();
    acme.query(READ).ok();
    let mut owner = cluster.connect("app");
    owner.query("SET lock_timeout = '1500ms'").ok();
    assert_eq!(owner.query("ALTER TABLE public.customers ADD COLUMN more text").code(), "55P03");
    acme.query("COMMIT").ok();
    owner.query("ALTER TABLE public.customers ADD COLUMN more text").ok();
}

/// Values of an encrypted column that its scope shows in clear, too many to sort in memory; what lies in temporary files
/// while they are sorted.
fn spill(cluster: &Cluster, limit: &str) -> (String, Vec<PathBuf>) {
    cluster.admin(
        "CREATE TABLE public.long (id int PRIMARY KEY, v airlock.encrypted('pii'));
         INSERT INTO public.long SELECT g, 'SPILLED' || md5(g::text) || repeat('x', 100) FROM generate_series(1, 3000) g;
         SELECT airlock.create_scope('acme', 'public.long', '{\"id\": \"clear\", \"v\": \"clear\"}')",
    );
    cluster.admin(&format!("ALTER ROLE acme SET work_mem = '64kB'; ALTER ROLE acme SET temp_file_limit = '{limit}'"));
    let mut acme = cluster.connect("acme");
    assert_eq!(acme.query("SET temp_file_limit = -1").code(), "AL007");
    assert_eq!(acme.query("SET work_mem = '1GB'").code(), "AL007");
    acme.query("BEGIN").ok();
    acme.query("DECLARE c CURSOR FOR SELECT v FROM acme.long ORDER BY v").ok();
    let code = acme.query("FETCH 1 FROM c").code().to_string();
    let temporary = cluster.data().join("base/pgsql_tmp");
    let found = if temporary.exists() { files_with(b"SPILLED", &temporary) } else { Vec::new() };
    others_are_alive(cluster);
    (code, found)
}

#[test]
fn attack_values_that_spill_to_temporary_files() {
    let cluster = prepared(false);
    assert_eq!(spill(&cluster, "0"), ("53400".to_string(), Vec::new()));
    assert_eq!(files_with(b"SPILLED", &cluster.data()), Vec::<PathBuf>::new());
}

#[test]
fn control_without_a_limit_values_spill() {
    let cluster = prepared(false);
    let (code, found) = spill(&cluster, "-1");
    assert_eq!(code, "");
    assert!(!found.is_empty());
}

#[test]
fn attack_a_log_of_long_statements() {
    let cluster = prepared(false);
    let mut acme = cluster.connect_as("acme", "long");
    let megabytes = "x".repeat(20 << 20);
    acme.query(&format!("SELECT id FROM acme.customers -- {megabytes}")).ok();
    acme.query(&format!("SELECT id FROM acme.customers WHERE city <> '{megabytes}'")).ok();
    acme.extended("SELECT id FROM acme.customers WHERE city <> $1", &[Some(&megabytes)]).ok();
    assert_eq!(settled(&cluster, "long", 3).len(), 3);
    fixture::drained(&cluster);
    let size = "SELECT max(pg_column_size(r)) < 20000 FROM airlock_catalog.read_record r";
    assert_eq!(cluster.admin(size).value(), "t");
    let parts = "SELECT coalesce(sum(octet_length(p.sealed)), 0) < 200000 FROM airlock_catalog.read_private p";
    assert_eq!(cluster.admin(parts).value(), "t");
    others_are_alive(&cluster);
}

#[test]
fn attack_a_name_of_several_lines() {
    let cluster = prepared(false);
    let forged = "x\n2030-01-01 00:00:00.000 UTC [1] globex@app LOG:  forged";
    let mut acme = cluster.connect_as("acme", forged);
    acme.query(READ).ok();
    acme.query("SET application_name = E'y\\n2030-01-01 LOG:  forged'").ok();
    acme.query(READ).ok();
    let named = "SELECT count(*) FROM airlock.access_log WHERE application_name LIKE E'%\\n%'";
    assert_eq!(cluster.admin(named).value(), "0");
    let logged =
        "SELECT count(*) FROM airlock.access_log WHERE application_name LIKE '%forged' AND login_role = 'acme'";
    eventually("both reads are logged", || (cluster.admin(logged).value() == "2").then_some(()));
    assert!(!cluster.log().lines().any(|line| line.starts_with("2030-")));
}
