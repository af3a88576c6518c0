//! Tables that are elsewhere: their servers have a say in plans.

use super::{is_refused, shops};

/// What a foreign server says of a partition cannot be kept out of a plan.
#[test]
fn a_foreign_partition_is_read_and_not_explained() {
    let cluster = shops();
    let there = "SELECT count(*) FROM pg_available_extensions WHERE name = 'file_fdw'";
    if cluster.admin(there).value() == "0" {
        return; // PostgreSQL was built without its own wrapper
    }
    let foreign = "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE public.sale_0 PARTITION OF public.sale FOR VALUES FROM (-10) TO (0) SERVER files OPTIONS (program 'printf -- \"-1,1,1,t\\n\"', format 'csv')";
    let mut acme = cluster.connect("acme");
    let read = "SELECT id, price FROM acme.sale";
    assert_eq!(acme.query(read).ok().received, 2000);
    acme.query(&format!("EXPLAIN {read}")).ok();
    cluster.admin(foreign);
    assert_eq!(acme.query(read).ok().received, 2001);
    is_refused(&acme.query(&format!("EXPLAIN {read}")), "a foreign partition");
    is_refused(&acme.query("EXPLAIN SELECT a.id FROM acme.shop a JOIN acme.sale b ON a.id = b.shop"), "joined");
    // one that it does not read
    acme.query("EXPLAIN SELECT id FROM acme.shop").ok();
}
