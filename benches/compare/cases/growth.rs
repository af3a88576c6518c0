//! Ten times as much of something, beside the same work before: what should grow, and what should not.

use super::lookup::by_key;
use super::Bench;
use crate::cluster::Cluster;
use crate::load::{milliseconds, script, Pgbench};
use crate::report::{figure, Line, Target};
use crate::rounds::interleaved;
use crate::world::{persons, scopes, settled, Kind, Place};

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.server(Place::Memory, Kind::Airlock);
    persons(&cluster, bench.rows / 10);
    scopes(&cluster);
    let mut lines = rows(bench, &cluster);
    lines.extend(columns(bench, &cluster));
    // last, since the others are to see none of these scopes
    lines.extend(many_scopes(bench, &cluster));
    lines
}

fn lookups(bench: &Bench, cluster: &Cluster, script: &str) -> f64 {
    let one = Pgbench { user: "keyless", script, protocol: "prepared", clients: 1, seconds: bench.seconds };
    let tps = one.transactions(cluster);
    settled(cluster);
    tps
}

fn rows(bench: &Bench, small: &Cluster) -> Vec<Line> {
    let large = bench.shared();
    let scan = "SELECT count(name), count(email), count(phone), count(code) FROM masked.person";
    let [o, t] = interleaved(
        bench.rounds,
        [&mut || milliseconds(&mut large.connect("masked"), scan), &mut || {
            milliseconds(&mut small.connect("masked"), scan)
        }],
    );
    let (many, few) = (by_key("keyless.person", bench.rows), by_key("keyless.person", bench.rows / 10));
    let [lo, lt] =
        interleaved(bench.rounds, [&mut || lookups(bench, large, &many), &mut || lookups(bench, small, &few)]);
    vec![
        Line::pair("10 × the rows / before: scan, four masks", "ms", &o, &t, Target::Open),
        Line::pair("10 × the rows / before: lookup by key", "tps", &lo, &lt, Target::Open),
    ]
}

fn columns(bench: &Bench, cluster: &Cluster) -> Vec<Line> {
    let make = |table: &str, count: usize| {
        let names: Vec<String> = (1..=count).map(|n| format!("c{n}")).collect();
        let columns: Vec<String> = names.iter().map(|n| format!("{n} text DEFAULT 'value of {n}'")).collect();
        script(
            cluster,
            "postgres",
            &format!(
                "CREATE TABLE public.{table} (id bigint PRIMARY KEY, {}); INSERT INTO public.{table} (id) SELECT generate_series(1, 1000)",
                columns.join(", ")
            ),
        );
        let rules: Vec<String> = names.iter().map(|n| format!(r#""{n}": {{"mask": "partial", "right": 2}}"#)).collect();
        format!(r#"{{"id": "clear", {}}}"#, rules.join(", "))
    };
    let (few, many) = (make("narrow", 20), make("broad", 200));
    let mut create = Vec::new();
    for (table, rules) in [("narrow", &few), ("broad", &many)] {
        let mut conn = cluster.connect("postgres");
        let sql = format!("SELECT airlock.create_scope('keyless', 'public.{table}', '{rules}')");
        create.push(milliseconds(&mut conn, &sql));
    }
    let read = |table: &str| format!("\\set id random(1, 1000)\nSELECT * FROM keyless.{table} WHERE id = :id;\n");
    let (few, many) = (read("narrow"), read("broad"));
    let [o, t] =
        interleaved(bench.rounds, [&mut || lookups(bench, cluster, &many), &mut || lookups(bench, cluster, &few)]);
    let target = Target::OursAtMost(1_000.0);
    vec![
        Line::pair("200 columns / 20: create_scope", "ms", &create[1..], &create[..1], target),
        Line::pair("200 masked columns / 20: lookup of all columns", "tps", &o, &t, Target::Open),
    ]
}

/// A thousand scopes of two hundred sub-processors, when there are a million rows.
fn many_scopes(bench: &Bench, cluster: &Cluster) -> Vec<Line> {
    let scopes = (bench.rows / 1_000).max(20) as usize;
    let (subprocessors, tables) = (scopes.div_ceil(5), 5);
    for table in 0..tables {
        let sql = format!("CREATE TABLE public.t{table} (id bigint PRIMARY KEY, email text)");
        script(cluster, "postgres", &sql);
    }
    let sql = by_key("keyless.person", bench.rows / 10);
    let before: Vec<f64> = (0..bench.rounds).map(|_| lookups(bench, cluster, &sql)).collect();
    let mut conn = cluster.connect("postgres");
    let (mut registered, mut created) = (Vec::new(), Vec::new());
    for n in 0..subprocessors {
        conn.query(&format!("CREATE ROLE s{n} LOGIN")).ok();
        let sql = format!(
            "SELECT airlock.create_subprocessor('s{n}', role => 's{n}', legal_name => 's{n}', contract => 'DPA', purposes => '{{bench}}')"
        );
        registered.push(milliseconds(&mut conn, &sql));
        for table in 0..tables {
            let rules = r#"{"id": "clear", "email": {"mask": "email"}}"#;
            let sql = format!("SELECT airlock.create_scope('s{n}', 'public.t{table}', '{rules}')");
            created.push(milliseconds(&mut conn, &sql));
        }
    }
    // the warm-up of these sessions is not what grows
    let part = |all: &[f64]| {
        let size = (all.len() / 10).max(1);
        (all[all.len() - size..].to_vec(), all[size..2 * size].to_vec())
    };
    let after: Vec<f64> = (0..bench.rounds).map(|_| lookups(bench, cluster, &sql)).collect();
    let ddl: Vec<f64> = (0..bench.rounds)
        .map(|n| milliseconds(&mut conn, &format!("ALTER TABLE public.t0 ADD COLUMN extra{n} text")))
        .collect();
    let (last, first) = part(&created);
    let (last_registered, first_registered) = part(&registered);
    let target = Target::OursAtMost(1_000.0);
    let at = format!("{} scopes", figure(scopes as f64));
    vec![
        Line::pair(format!("{at}: create_scope, last tenth / second tenth"), "ms", &last, &first, target),
        Line::pair(
            format!("{at}: create_subprocessor, last tenth / second tenth"),
            "ms",
            &last_registered,
            &first_registered,
            target,
        ),
        Line::alone(format!("{at}: ALTER TABLE ADD COLUMN"), "ms", &ddl, target),
        Line::pair(format!("{at} / before: lookup by key"), "tps", &after, &before, Target::Open),
    ]
}
