//! `pg_airlock`: scoped encrypted views for PostgreSQL, with a durable read log.
//!
//! `pure` holds every decision and never sees Postgres; `pg` is the only half that does. Imports go `lib → pg → pure`.
#![deny(ffi_unwind_calls)]

#[cfg(feature = "pg")]
pub mod pg;
pub mod pure;

#[cfg(feature = "pg")]
mod install {
    //! The install script, in the order of its parts.
    use pgrx::prelude::*;

    pgrx::pg_module_magic!(name, version);

    extension_sql_file!("../sql/bootstrap.sql", name = "bootstrap", bootstrap);
    extension_sql_file!("../sql/tables.sql", name = "tables", requires = ["bootstrap"]);
    extension_sql_file!("../sql/types.sql", name = "types", requires = ["tables"]);
    extension_sql_file!("../sql/equality.sql", name = "equality", requires = ["types"]);
    extension_sql_file!("../sql/functions.sql", name = "functions", requires = ["equality"]);
    extension_sql_file!("../sql/views.sql", name = "views", requires = ["functions"]);
    extension_sql_file!("../sql/privileges.sql", name = "privileges", requires = ["views"], finalize);

    /// Called by Postgres when the library is loaded.
    #[allow(non_snake_case)]
    #[pg_guard]
    pub extern "C-unwind" fn _PG_init() {
        crate::pg::init();
    }
}

/// Settings of the server that `cargo pgrx test` starts.
#[cfg(all(any(test, feature = "pg_test"), feature = "pg"))]
pub mod pg_test {
    /// Called once before the first test.
    pub fn setup(_options: Vec<&str>) {}

    /// Lines of its postgresql.conf.
    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        crate::pg::tests::server_settings()
    }
}
