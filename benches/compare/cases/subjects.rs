//! Whose rows a scan touched: a scope that declares a subject against one that does not.

use super::Bench;
use crate::load::milliseconds;
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::settled;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    let (mut with, mut without) = (cluster.connect("tracked"), cluster.connect("clear"));
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                let time = milliseconds(&mut with, "SELECT sum(amount) FROM tracked.person");
                settled(cluster);
                time
            },
            &mut || milliseconds(&mut without, "SELECT sum(amount) FROM clear.person"),
        ],
    );
    vec![Line::pair("scan of clear columns, with a subject / without", "ms", &o, &t, Target::AtMost(1.08))]
}
