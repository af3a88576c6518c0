//! The pure half: every decision, no Postgres, no I/O, no clock, no randomness.
//!
//! - Nothing here may import `pgrx` or anything of `crate::pg`; `tests/layers.rs` checks it.
//! - Time, nonces and catalog facts are arguments, so every rule can be tested without a server.
//! - `unsafe` does not exist here, and a bad input is an [`error::Error`], never a panic.
//! - No error, `Debug` output or panic message may hold a key, a plaintext, a nonce or a row's value.
#![forbid(unsafe_code)]

pub mod aead;
pub mod chain;
pub mod class;
pub mod contain;
pub mod envelope;
pub mod error;
pub mod head;
pub mod history;
pub mod index;
pub mod key_source;
pub mod keyring;
pub mod labels;
pub mod lag;
pub mod linkage;
pub mod mask;
pub mod name;
pub mod nonces;
pub mod normalise;
pub mod page;
pub mod plaintext;
pub mod record;
pub mod report;
pub mod retention;
pub mod scope;
pub mod seam;
pub mod self_test;
pub mod subjects;
pub mod subprocessor;
pub mod tag;
pub mod wire;
