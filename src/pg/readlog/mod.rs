//! The read log: what counts as a read, when its record is made durable, what happens when it cannot be kept.
//!
//! A read is a statement whose plan names a registered view. In `airlock.release = intent` its record is flushed to disk
//! before the executor starts; how it ended follows in a second record when it ends, by whatever way. If the first
//! cannot be written, nothing is read.

pub mod armed;
pub mod callbacks;
pub mod drift;
pub mod hooks;
pub mod identity;
pub mod materialiser;
pub mod record_of;
pub mod wal;
