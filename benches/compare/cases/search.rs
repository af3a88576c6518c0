//! Equality in an encrypted column with an index on its match tag, against text with an index.

use super::Bench;
use crate::load::{script, Pgbench};
use crate::report::{Line, Target};
use crate::rounds::interleaved;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    script(
        cluster,
        "postgres",
        &format!(
            "CREATE ROLE searcher LOGIN; SELECT airlock.grant_match('pii', 'searcher');
             CREATE TABLE public.by_text (id bigint, v text); CREATE TABLE public.by_tag (id bigint, v airlock.encrypted_eq('pii'));
             INSERT INTO public.by_text SELECT g, g::text FROM generate_series(1, {rows}) g;
             INSERT INTO public.by_tag SELECT g, g::text FROM generate_series(1, {rows}) g;
             CREATE INDEX ON public.by_text (v); CREATE INDEX ON public.by_tag (airlock.match_tag(v));
             GRANT SELECT ON public.by_text, public.by_tag TO searcher",
            rows = bench.rows
        ),
    );
    script(cluster, "postgres", "VACUUM (FREEZE, ANALYZE) public.by_text, public.by_tag");
    let sql = |table: &str| {
        format!("\\set v random(1, {})\nSELECT id FROM public.{table} WHERE v = (:v)::text;\n", bench.rows)
    };
    let (ours, theirs) = (sql("by_tag"), sql("by_text"));
    let mut lines = Vec::new();
    for protocol in ["prepared", "simple"] {
        let pgbench = |script| Pgbench { user: "searcher", script, protocol, clients: 1, seconds: bench.seconds };
        let [o, t] = interleaved(
            bench.rounds,
            [&mut || pgbench(&ours).transactions(cluster), &mut || pgbench(&theirs).transactions(cluster)],
        );
        let what = format!("equality, encrypted with index / text with index, {protocol}");
        lines.push(Line::pair(what, "tps", &o, &t, Target::AtLeast(0.7)));
    }
    lines
}
