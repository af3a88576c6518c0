//! The read log: what counts as a read, when its record is made durable, what happens when it cannot be kept.
//!
//! A read is a statement whose plan names a registered view. In `airlock.release = wire` its answer is held where it would
//! leave, until one record that says what it holds is flushed; a large one is recorded as open before its first byte. In
//! `intent` the record is flushed before the executor starts, and how it ended follows in a second one. If the record
//! that must come first cannot be written, nothing leaves.

pub mod armed;
pub mod audit;
pub mod callbacks;
pub mod columns;
pub mod drift;
mod dropped;
pub mod estimates;
pub mod explain;
pub mod hooks;
mod hush;
pub mod identity;
pub mod materialiser;
pub mod private;
pub mod record_of;
mod relabel;
pub mod replicated;
pub mod subjects;
pub mod wal;
pub mod wire;
