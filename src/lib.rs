//! `pg_airlock`: scoped encrypted views for PostgreSQL, with a durable read log.
//!
//! `pure` holds every decision and never sees Postgres.

pub mod pure;
