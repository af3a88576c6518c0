//! A whole table through a scope, against a security barrier view by hand.

use super::Bench;
use crate::load::{milliseconds, script, thrown_away, with_workers};
use crate::protocol::Conn;
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::session;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    let mut lines = Vec::new();
    let (mut scope, mut view) = (cluster.connect("masked"), cluster.connect("plain"));

    // count(x) computes x and nothing more: neither hides what a mask costs behind an output
    let counted = |from: &str| format!("SELECT count(name), count(email), count(phone), count(code) FROM {from}");
    let (ours, theirs) = (counted("masked.person"), counted("plain.masked"));
    let [o, t] =
        interleaved(bench.rounds, [&mut || milliseconds(&mut scope, &ours), &mut || milliseconds(&mut view, &theirs)]);
    lines.push(Line::pair("scan, four masks, counted", "ms", &o, &t, Target::AtMost(1.2)));

    let sent = |from: &str| format!("COPY (SELECT name, email, phone, code FROM {from}) TO STDOUT");
    let (ours, theirs) = (sent("masked.person"), sent("plain.masked"));
    let [o, t] = interleaved(
        bench.rounds,
        [&mut || thrown_away(cluster, "masked", &ours), &mut || thrown_away(cluster, "plain", &theirs)],
    );
    lines.push(Line::pair("scan, four masks, sent by COPY", "ms", &o, &t, Target::AtMost(1.2)));

    // each mask beside its built-in
    for (column, mask) in [("name", "constant"), ("email", "email"), ("phone", "partial"), ("code", "pseudonym")] {
        let one = |from: &str| format!("SELECT count({column}) FROM {from}");
        let (ours, theirs) = (one("masked.person"), one("plain.masked"));
        let [o, t] = interleaved(
            bench.rounds,
            [&mut || milliseconds(&mut scope, &ours), &mut || milliseconds(&mut view, &theirs)],
        );
        lines.push(Line::pair(format!("scan, {mask} alone"), "ms", &o, &t, Target::Open));
    }

    let amounts = |from: &str| format!("SELECT sum(amount) FROM {from}");
    let (ours, theirs) = (amounts("clear.person"), amounts("plain.clear"));
    let mut clear = cluster.connect("clear");
    let [o, t] =
        interleaved(bench.rounds, [&mut || milliseconds(&mut clear, &ours), &mut || milliseconds(&mut view, &theirs)]);
    lines.push(Line::pair("scan, a clear column alone", "ms", &o, &t, Target::AtMost(1.05)));
    lines.push(joined(bench));

    let three = "count(name), count(email), count(phone)";
    let four = "count(name), count(email), count(phone), count(code)";
    lines.extend(parallel(bench, "three masks without a key", "keyless", three, Target::AtMost(0.75)));
    // a keyed mask is the leader's work, whatever scans
    lines.extend(parallel(bench, "four masks, one keyed", "masked", four, Target::Open));
    lines
}

/// Two scopes joined on a pseudonym, which the sub-processor sees the same in both.
fn joined(bench: &Bench) -> Line {
    let cluster = bench.shared();
    let rule = r#"{"id": "clear", "code": {"mask": "pseudonym", "domain": "code"}}"#;
    let sql = format!(
        "CREATE TABLE public.visit AS SELECT id, code FROM public.person;
         CREATE ROLE joiner LOGIN;
         SELECT airlock.create_subprocessor('joiner', role => 'joiner', legal_name => 'joiner', contract => 'DPA', purposes => '{{bench}}');
         SELECT airlock.create_scope('joiner', 'public.person', '{rule}'), airlock.create_scope('joiner', 'public.visit', '{rule}');
         CREATE VIEW plain.joined WITH (security_barrier) AS SELECT id, md5(code) AS code FROM public.person;
         CREATE VIEW plain.visit WITH (security_barrier) AS SELECT id, md5(code) AS code FROM public.visit;
         GRANT SELECT ON plain.joined, plain.visit TO plain"
    );
    script(cluster, "postgres", &sql);
    script(cluster, "postgres", "VACUUM (FREEZE, ANALYZE) public.visit");
    let (mut scope, mut view) = (cluster.connect("joiner"), cluster.connect("plain"));
    let sql = |a: &str, b: &str| format!("SELECT count(*) FROM {a} a JOIN {b} b USING (code)");
    let (ours, theirs) = (sql("joiner.person", "joiner.visit"), sql("plain.joined", "plain.visit"));
    let [o, t] =
        interleaved(bench.rounds, [&mut || milliseconds(&mut scope, &ours), &mut || milliseconds(&mut view, &theirs)]);
    Line::pair("join of two scopes on a pseudonym / of two views on md5", "ms", &o, &t, Target::AtMost(1.2))
}

/// With two workers and with none, through the scope; then through the view by hand, which shows what this machine gives.
fn parallel(bench: &Bench, what: &str, scope: &str, columns: &str, target: Target) -> [Line; 2] {
    let cluster = bench.shared();
    let wide = format!("wide_{scope}");
    let contest = |mut two: Conn, mut none: Conn, view: &str, whose: &str, target: Target| {
        let sql = format!("SELECT {columns} FROM {view}");
        let mut workers = 0;
        let [o, t] = interleaved(
            bench.rounds,
            [
                &mut || {
                    let (time, seen) = with_workers(cluster, &mut two, &sql);
                    workers = workers.max(seen);
                    time
                },
                &mut || milliseconds(&mut none, &sql),
            ],
        );
        Line::pair(format!("{whose}, {what}: parallel ({workers} workers seen) / not"), "ms", &o, &t, target)
    };
    let by_hand = session(cluster, "plain", "SET max_parallel_workers_per_gather = 2");
    [
        contest(cluster.connect(&wide), cluster.connect(scope), &format!("{scope}.person"), "scope", target),
        contest(by_hand, cluster.connect("plain"), &format!("plain.{scope}"), "view by hand", Target::Open),
    ]
}
