//! The questions, by theme. Each gives lines of the table.

use crate::cluster::{Cluster, Postgres};
use crate::report::Line;
use crate::world::{persons, scopes, server, Kind, Place};
use std::cell::OnceCell;

mod cipher;
mod growth;
mod log;
mod lookup;
mod others;
mod records;
mod rewrite;
mod scan;
mod search;
mod subjects;

/// What a run was asked for, and the servers that several cases share.
pub struct Bench {
    /// The installation.
    pub postgres: Postgres,
    /// How many pairs of a figure.
    pub rounds: usize,
    /// Rows of the larger tables.
    pub rows: u64,
    /// Records of the larger log.
    pub records: u64,
    /// Seconds of one run of pgbench.
    pub seconds: u64,
    shared: OnceCell<Cluster>,
}

impl Bench {
    /// Nothing is started yet.
    pub fn new(postgres: Postgres, rounds: usize, rows: u64, records: u64, seconds: u64) -> Bench {
        Bench { postgres, rounds, rows, records, seconds, shared: OnceCell::new() }
    }

    /// A new server.
    pub fn server(&self, place: Place, kind: Kind) -> Cluster {
        server(&self.postgres, place, kind)
    }

    /// The server in memory with persons and scopes that most cases read.
    pub fn shared(&self) -> &Cluster {
        self.shared.get_or_init(|| {
            let cluster = self.server(Place::Memory, Kind::Airlock);
            persons(&cluster, self.rows);
            scopes(&cluster);
            cluster
        })
    }
}

/// A theme: its name, and what measures it.
pub type Case = (&'static str, fn(&Bench) -> Vec<Line>);

/// All of them, in the order of the table.
pub const ALL: &[Case] = &[
    ("scan", scan::run),
    ("lookup", lookup::run),
    ("others", others::run),
    ("cipher", cipher::run),
    ("search", search::run),
    ("log", log::lines),
    ("subjects", subjects::run),
    ("rewrite", rewrite::run),
    ("records", records::run),
    ("growth", growth::run),
];
