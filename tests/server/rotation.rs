//! A version is not retired by what nobody but the transaction itself knows of.

use crate::fixture::running;

/// Until a rotation is committed, others seal under the version before, in transactions that the proof cannot wait for: with
/// `destroy_key_version` in the same one, what they commit would be lost.
#[test]
fn a_rotation_that_is_not_committed_retires_nothing() {
    let cluster = running();
    cluster.admin("SELECT airlock.create_key('young')");
    let mut admin = cluster.connect("postgres");
    for (rotate, retire) in [
        ("SELECT airlock.rotate_key('young')", "SELECT airlock.retire_key_version('young', 1)"),
        ("SAVEPOINT a; SELECT airlock.rotate_key('young'); RELEASE a", "SELECT airlock.retire_key_version('young', 1)"),
    ] {
        admin.query("BEGIN").ok();
        admin.query(rotate).ok();
        let refused = admin.query(retire).error.unwrap();
        let said = (refused.get('C'), refused.get('M'));
        assert_eq!(said, ("55000", "the active version of key \"young\" is not committed yet"));
        assert!(refused.get('D').contains("seal under version 1") && refused.get('H').starts_with("COMMIT"));
        admin.query("ROLLBACK").ok();
    }
    cluster.admin("SELECT airlock.rotate_key('young')");
    // nor by what a transaction saw first
    for function in ["retire", "destroy"] {
        admin.query("BEGIN ISOLATION LEVEL REPEATABLE READ").ok();
        assert_eq!(admin.query(&format!("SELECT airlock.{function}_key_version('young', 1)")).code(), "25001");
        admin.query("ROLLBACK").ok();
    }
    // committed, both may go at once
    admin.query("BEGIN").ok();
    admin.query("SELECT airlock.retire_key_version('young', 1), airlock.destroy_key_version('young', 1)").ok();
    admin.query("COMMIT").ok();
    let states = "SELECT state FROM airlock.keys WHERE name = 'young' AND use = 'seal' ORDER BY version";
    assert_eq!(cluster.admin(states).first(), ["destroyed", "active"]);
}
