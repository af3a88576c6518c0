//! The life of a sub-processor's mask key: a rotation changes all its pseudonyms at once and nobody else's, ends who reads, and
//! is on record; a destroyed version makes no pseudonym again.

use crate::cluster::Cluster;
use crate::fixture::{open, running};

fn shared() -> Cluster {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.people (id int PRIMARY KEY, mail text, born date); INSERT INTO people SELECT g, g || '@example.com', date '1980-01-01' + g FROM generate_series(1, 20) g;
         CREATE TABLE public.visits (id int PRIMARY KEY, person int REFERENCES people); INSERT INTO visits SELECT g, g FROM generate_series(1, 20) g;
         ALTER TABLE people OWNER TO app; ALTER TABLE visits OWNER TO app",
    );
    for name in ["acme", "globex"] {
        cluster.admin(&format!(
            r#"SELECT airlock.create_scope('{name}', 'public.people', '{{"id": {{"mask": "pseudonym"}}, "mail": {{"mask": "fpe", "alphabet": "alnum"}}, "born": {{"mask": "date_shift", "days": 900}}}}', subject => '{{id}}'),
                      airlock.create_scope('{name}', 'public.visits', '{{"person": {{"mask": "pseudonym"}}}}')"#
        ));
    }
    cluster
}

fn pseudonyms(cluster: &Cluster, name: &str) -> Vec<String> {
    cluster.sql(name, &format!("SELECT id || ' ' || born FROM {name}.people ORDER BY 1")).ok().first()
}

fn joined(cluster: &Cluster, name: &str) -> String {
    cluster
        .sql(name, &format!("SELECT count(*) FROM {name}.people p JOIN {name}.visits v ON v.person = p.id"))
        .ok()
        .value()
}

#[test]
fn a_rotation_changes_all_pseudonyms_of_one_sub_processor_at_once() {
    let cluster = shared();
    let (acme, globex) = (pseudonyms(&cluster, "acme"), pseudonyms(&cluster, "globex"));
    let mut reader = cluster.connect("acme");
    reader.query("BEGIN").ok();
    reader.query("DECLARE c CURSOR FOR SELECT id FROM acme.people").ok();
    assert_eq!(reader.query("FETCH 1 FROM c").ok().rows.len(), 1);
    assert_eq!(cluster.admin("SELECT airlock.rotate_mask_key('acme', 'an export leaked')").value(), "2");
    let answer = reader.query("FETCH 1 FROM c");
    assert_eq!(answer.received, 0, "an open cursor mixes no two keys: {answer:?}");
    let after = pseudonyms(&cluster, "acme");
    assert_eq!(after.len(), 20);
    assert!(after.iter().all(|value| !acme.contains(value)), "every pseudonym and shift is another");
    assert_eq!(joined(&cluster, "acme"), "20", "joins hold across the scopes");
    assert_eq!((pseudonyms(&cluster, "globex"), joined(&cluster, "globex")), (globex, "20".into()), "nobody else's");
    // what a new rule pins is the same version
    cluster.admin(r#"SELECT airlock.replace_scope('acme', 'public.visits', '{"id": {"mask": "pseudonym"}, "person": {"mask": "pseudonym"}}')"#);
    assert_eq!(joined(&cluster, "acme"), "20");
    let versions = "SELECT version || ' ' || state || ' ' || rules FROM airlock.mask_keys WHERE subprocessor = 'acme'";
    assert_eq!(cluster.admin(versions).first(), ["1 decrypt-only 0", "2 active 6"]);
    let change = "SELECT action || ' ' || reason || ' ' || (changed -> 'mask_key_version')::text FROM airlock.subprocessor_history WHERE subprocessor = 'acme' AND action LIKE '%mask_key'";
    assert_eq!(cluster.admin(change).first(), ["rotate_mask_key an export leaked [1, 2]"]);
    let rules = "SELECT count(*) FROM airlock_catalog.rule WHERE mask_key_version = 1 AND until IS NOT NULL AND scope IN (SELECT id FROM airlock_catalog.scope WHERE subprocessor = 1)";
    assert_eq!(cluster.admin(rules).value(), "5", "what the rules were is kept");
}

#[test]
fn a_mask_key_is_destroyed_once_nothing_is_masked_with_it() {
    let mut cluster = shared();
    let old = pseudonyms(&cluster, "acme");
    let refused = cluster.sql("postgres", "SELECT airlock.destroy_mask_key('acme', 'why', 1)");
    assert_eq!(refused.code(), "55000", "{refused:?}");
    assert_eq!(cluster.sql("postgres", "SELECT airlock.destroy_mask_key('acme', 'why', 7)").code(), "42704");
    assert_eq!(cluster.sql("postgres", "SELECT airlock.destroy_mask_key('nobody', 'why')").code(), "42704");
    assert_eq!(cluster.sql("postgres", "SELECT airlock.rotate_mask_key('acme', ' ')").code(), "22023");
    assert_eq!(pseudonyms(&cluster, "acme"), old, "a refusal changes nothing");
    cluster.admin("SELECT airlock.rotate_mask_key('acme', 'why')");
    assert_eq!(cluster.admin("SELECT airlock.destroy_mask_key('acme', 'why', 1)").value(), "1");
    assert_eq!(cluster.sql("postgres", "SELECT airlock.destroy_mask_key('acme', 'why', 1)").code(), "55000");
    // not without a word of which: the other one is in use
    assert_eq!(cluster.sql("postgres", "SELECT airlock.destroy_mask_key('acme', 'why')").code(), "55000");
    cluster.restart();
    open(&cluster);
    assert_eq!((pseudonyms(&cluster, "acme").len(), joined(&cluster, "acme")), (20, "20".into()));
    cluster.admin("SELECT airlock.terminate('acme', 'contract ended')");
    assert_eq!(cluster.admin("SELECT airlock.destroy_mask_key('acme', 'contract ended')").value(), "1");
    let left = "SELECT count(*) FROM airlock_catalog.key_version v JOIN airlock_catalog.subprocessor s ON s.uuid = v.owner WHERE s.name = 'acme' AND (v.wrapped IS NOT NULL OR v.state <> 'destroyed')";
    assert_eq!(cluster.admin(left).value(), "0");
    assert_eq!(cluster.sql("postgres", "SELECT airlock.rotate_mask_key('acme', 'again')").code(), "55000");
    assert_eq!(joined(&cluster, "globex"), "20", "nobody else's");
    // a snapshot from before would miss what others committed
    let mut kept = cluster.connect("postgres");
    kept.query("BEGIN ISOLATION LEVEL REPEATABLE READ").ok();
    kept.query("SELECT 1").ok();
    assert_eq!(kept.query("SELECT airlock.rotate_mask_key('globex', 'why')").code(), "25001");
    kept.query("ROLLBACK; BEGIN ISOLATION LEVEL SERIALIZABLE").ok();
    let scope = r#"SELECT airlock.replace_scope('globex', 'public.visits', '{"id": "clear"}')"#;
    assert_eq!(kept.query(scope).code(), "25001");
    // nobody but administrators
    for role in ["acme", "globex", "app"] {
        let refused = cluster.sql(role, "SELECT airlock.rotate_mask_key('globex', 'mine')");
        assert!(["42501", "AL007"].contains(&refused.code()), "{role}: {refused:?}");
    }
}
