//! The roles of sub-processors, and of whoever is a member of one: what they hold beyond their views.

use super::{query, value, Report};
use crate::pg::sys::compat;
use crate::pg::{gucs, shared};
use crate::pure::error::Result;

/// Every role that acts for a sub-processor: its own and all members, by whatever path.
fn sessions() -> String {
    format!(
        "WITH RECURSIVE session (name, role, own) AS ( \
           SELECT s.name, s.role::pg_catalog.oid, true FROM airlock_catalog.subprocessor s WHERE s.state <> 'terminated' \
           UNION SELECT m.name, a.member, false FROM session m JOIN pg_catalog.pg_auth_members a ON a.roleid = m.role AND {})",
        compat::USABLE_GRANT
    )
}

pub(super) fn examine(report: &mut Report) -> Result<()> {
    attributes(report)?;
    memberships(report)?;
    two_at_once(report)?;
    labels(report)?;
    relations(report)?;
    defaults(report)?;
    schemas(report)?;
    database(report)?;
    owned(report)?;
    limits(report)?;
    login_triggers(report)?;
    contracts(report)
}

/// A trigger that runs at each login (from 17 on) runs in sub-processors' sessions too, before any query of theirs, and
/// containment refuses what it calls: they may not be able to connect.
fn login_triggers(report: &mut Report) -> Result<()> {
    let sql = "SELECT t.evtname::pg_catalog.text, pg_catalog.format('ALTER EVENT TRIGGER %I DISABLE', t.evtname) FROM pg_catalog.pg_event_trigger t \
               WHERE t.evtevent = 'login' AND t.evtenabled <> 'D' AND EXISTS (SELECT FROM airlock_catalog.subprocessor s WHERE s.state <> 'terminated') ORDER BY 1";
    for row in query(sql, 2, &[])? {
        let message = "the event trigger runs at every login: what it calls and writes is refused in sub-processors' sessions, which may then not be able to connect";
        report.warning("event trigger", row[0].clone(), message, row[1].clone());
    }
    Ok(())
}

fn attributes(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT DISTINCT r.rolname::pg_catalog.text, w.word, pg_catalog.format('ALTER ROLE %I NO%s', r.rolname, w.word) FROM session s JOIN pg_catalog.pg_roles r ON r.oid = s.role \
         CROSS JOIN LATERAL (VALUES ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEROLE', r.rolcreaterole), \
           ('REPLICATION', r.rolreplication), ('CREATEDB', r.rolcreatedb)) AS w (word, holds) WHERE w.holds ORDER BY 1, 2"
    );
    for row in query(&sql, 3, &[])? {
        report.error(
            "role",
            row[0].clone(),
            format!("a sub-processor's role has the attribute {}", row[1]),
            row[2].clone(),
        );
    }
    Ok(())
}

fn memberships(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT DISTINCT m.rolname::pg_catalog.text, g.rolname::pg_catalog.text, pg_catalog.format('REVOKE %I FROM %I', g.rolname, m.rolname) FROM session s \
         JOIN pg_catalog.pg_auth_members a ON a.member = s.role JOIN pg_catalog.pg_roles g ON g.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = s.role \
         WHERE NOT EXISTS (SELECT FROM session o WHERE o.role = a.roleid) ORDER BY 1, 2"
    );
    for row in query(&sql, 3, &[])? {
        let message = format!("a sub-processor's role is a member of \"{}\"", row[1]);
        match row[1].starts_with("pg_") || row[1].starts_with("airlock_") {
            true => report.error("membership", row[0].clone(), message, row[2].clone()),
            false => report.warning("membership", row[0].clone(), message, row[2].clone()),
        }
    }
    Ok(())
}

fn two_at_once(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT r.rolname::pg_catalog.text, pg_catalog.string_agg(DISTINCT s.name, ', ') FROM session s JOIN pg_catalog.pg_roles r ON r.oid = s.role \
         GROUP BY r.rolname HAVING pg_catalog.count(DISTINCT s.name) > 1 ORDER BY 1"
    );
    for row in query(&sql, 2, &[])? {
        let message =
            format!("the role falls under more than one sub-processor ({}): its sessions may do nothing", row[1]);
        report.error("identity", row[0].clone(), message, "REVOKE all but one of the sub-processors' roles from it");
    }
    Ok(())
}

/// The label on the role is what every session is judged by, the row is what the contract says: they must agree.
fn labels(report: &mut Report) -> Result<()> {
    let sql = "SELECT s.name, r.rolname::pg_catalog.text, pg_catalog.format('SECURITY LABEL FOR airlock ON ROLE %I IS %L', r.rolname, 'subprocessor:' || s.name) FROM airlock_catalog.subprocessor s \
               LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.role::pg_catalog.oid WHERE s.state <> 'terminated' AND NOT EXISTS (SELECT FROM pg_catalog.pg_shseclabel l \
               WHERE l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND l.objoid = s.role::pg_catalog.oid AND l.provider = 'airlock' AND l.label = 'subprocessor:' || s.name) ORDER BY 1";
    for row in query(sql, 3, &[])? {
        match row[1].is_empty() {
            true => report.error(
                "label",
                row[0].clone(),
                "the role of this sub-processor does not exist",
                format!("SELECT airlock.terminate('{}', 'role is gone')", row[0]),
            ),
            false => report.error(
                "label",
                row[1].clone(),
                format!("the role is not labelled as sub-processor \"{}\": its sessions are not contained", row[0]),
                row[2].clone(),
            ),
        }
    }
    let here = value("SELECT pg_catalog.current_database()::pg_catalog.text", &[])?;
    if !shared::preloaded() || here != gucs::database() {
        // labels are the cluster's, rows a database's: elsewhere a label without a row is no news
        return Ok(());
    }
    let sql = "SELECT r.rolname::pg_catalog.text, l.label, pg_catalog.format('SECURITY LABEL FOR airlock ON ROLE %I IS NULL', r.rolname) FROM pg_catalog.pg_shseclabel l \
               JOIN pg_catalog.pg_roles r ON r.oid = l.objoid WHERE l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND l.provider = 'airlock' AND NOT EXISTS (SELECT FROM airlock_catalog.subprocessor s \
               WHERE s.role::pg_catalog.oid = l.objoid AND l.label = 'subprocessor:' || s.name) ORDER BY 1";
    for row in query(sql, 3, &[])? {
        report.warning(
            "label",
            row[0].clone(),
            format!(
                "the role is labelled \"{}\", but there is no such sub-processor: its sessions can read nothing",
                row[1]
            ),
            row[2].clone(),
        );
    }
    Ok(())
}

/// Grants on base tables, whole or by column. Containment refuses them all the same.
fn relations(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions}, base (oid) AS (SELECT DISTINCT c.relation::pg_catalog.oid FROM airlock_catalog.scope c WHERE c.dropped_at IS NULL \
           UNION SELECT i.inhrelid FROM base b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid), \
         held (oid, grantee, privilege, what) AS ( \
           SELECT c.oid, a.grantee, a.privilege_type, pg_catalog.format('%s ON %s', a.privilege_type, c.oid::pg_catalog.regclass) FROM base b JOIN pg_catalog.pg_class c ON c.oid = b.oid CROSS JOIN pg_catalog.aclexplode(c.relacl) a \
           UNION ALL SELECT t.attrelid, a.grantee, a.privilege_type, pg_catalog.format('%s (%I) ON %s', a.privilege_type, t.attname, t.attrelid::pg_catalog.regclass) FROM base b JOIN pg_catalog.pg_attribute t ON t.attrelid = b.oid CROSS JOIN pg_catalog.aclexplode(t.attacl) a) \
         SELECT DISTINCT coalesce(r.rolname::pg_catalog.text, 'PUBLIC'), h.what, pg_catalog.format('REVOKE %s FROM %s', h.what, coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC')) \
           FROM held h LEFT JOIN pg_catalog.pg_roles r ON r.oid = h.grantee WHERE h.grantee = 0::pg_catalog.oid OR EXISTS (SELECT FROM session s WHERE s.role = h.grantee) ORDER BY 1, 2"
    );
    for row in query(&sql, 3, &[])? {
        let message = format!("{} is granted, though the table is shared only through views", row[1]);
        match row[0] == "PUBLIC" {
            true => report.warning("grant", row[0].clone(), message, row[2].clone()),
            false => report.error("grant", row[0].clone(), message, row[2].clone()),
        }
    }
    Ok(())
}

/// What will be granted on tables that are made later: a new partition of a shared table, by itself.
fn defaults(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT DISTINCT coalesce(r.rolname::pg_catalog.text, 'PUBLIC'), a.privilege_type, \
           pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON TABLES FROM %s', o.rolname, coalesce(' IN SCHEMA ' || pg_catalog.quote_ident(n.nspname), ''), a.privilege_type, coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC')) \
         FROM pg_catalog.pg_default_acl d CROSS JOIN pg_catalog.aclexplode(d.defaclacl) a JOIN pg_catalog.pg_roles o ON o.oid = d.defaclrole \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
         WHERE d.defaclobjtype = 'r' AND EXISTS (SELECT FROM session) AND (a.grantee = 0::pg_catalog.oid OR EXISTS (SELECT FROM session s WHERE s.role = a.grantee)) ORDER BY 1, 2, 3"
    );
    for row in query(&sql, 3, &[])? {
        let message =
            format!("{} will be granted on each table that is made, a new partition of a shared table too", row[1]);
        report.warning("grant", row[0].clone(), message, row[2].clone());
    }
    Ok(())
}

fn schemas(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT DISTINCT coalesce(r.rolname::pg_catalog.text, 'PUBLIC'), a.privilege_type || ' on schema ' || n.nspname, \
           pg_catalog.format('REVOKE %s ON SCHEMA %I FROM %s', a.privilege_type, n.nspname, coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC')) \
         FROM pg_catalog.pg_namespace n CROSS JOIN pg_catalog.aclexplode(n.nspacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
         WHERE (n.nspname IN ('airlock', 'airlock_catalog', 'airlock_scope') OR n.nspname = 'public' AND a.privilege_type = 'CREATE') \
           AND (a.grantee = 0::pg_catalog.oid OR EXISTS (SELECT FROM session s WHERE s.role = a.grantee)) ORDER BY 1, 2"
    );
    for row in query(&sql, 3, &[])? {
        report.error("grant", row[0].clone(), format!("a sub-processor's session holds {}", row[1]), row[2].clone());
    }
    Ok(())
}

fn database(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT DISTINCT coalesce(r.rolname::pg_catalog.text, 'PUBLIC'), a.privilege_type, \
           pg_catalog.format('REVOKE %s ON DATABASE %I FROM %s', a.privilege_type, d.datname, coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC')) \
         FROM pg_catalog.pg_database d CROSS JOIN pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
         WHERE d.datname = pg_catalog.current_database() AND a.privilege_type IN ('CREATE', 'TEMPORARY') AND EXISTS (SELECT FROM session) \
           AND (a.grantee = 0::pg_catalog.oid OR EXISTS (SELECT FROM session s WHERE s.role = a.grantee)) ORDER BY 1, 2"
    );
    for row in query(&sql, 3, &[])? {
        report.warning(
            "grant",
            row[0].clone(),
            format!("a sub-processor's session holds {} on the database", row[1]),
            row[2].clone(),
        );
    }
    Ok(())
}

fn owned(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT r.rolname::pg_catalog.text, pg_catalog.count(*)::pg_catalog.text, pg_catalog.min(CASE WHEN d.dbid IN (0::pg_catalog.oid, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())) \
           THEN pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) END), pg_catalog.format('REASSIGN OWNED BY %I TO the owner of the data', r.rolname) \
         FROM (SELECT DISTINCT role FROM session) s JOIN pg_catalog.pg_roles r ON r.oid = s.role JOIN pg_catalog.pg_shdepend d ON d.refobjid = s.role \
           AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.deptype = 'o' GROUP BY r.rolname ORDER BY 1"
    );
    for row in query(&sql, 4, &[])? {
        let first = if row[2].is_empty() { "in other databases".to_string() } else { format!("such as {}", row[2]) };
        report.error(
            "ownership",
            row[0].clone(),
            format!("a sub-processor's role owns {} objects, {first}", row[1]),
            row[3].clone(),
        );
    }
    Ok(())
}

/// What keeps one recipient from taking the server down.
fn limits(report: &mut Report) -> Result<()> {
    let sessions = sessions();
    let sql = format!(
        "{sessions} SELECT DISTINCT r.rolname::pg_catalog.text, w.what, w.fix FROM session s JOIN pg_catalog.pg_roles r ON r.oid = s.role \
         CROSS JOIN LATERAL (VALUES ('connection limit', pg_catalog.format('ALTER ROLE %I CONNECTION LIMIT 20', r.rolname), r.rolconnlimit >= 0, ''), \
           ('statement_timeout', pg_catalog.format('ALTER ROLE %I SET statement_timeout = %L', r.rolname, '60s'), NULL, '0'), \
           ('idle_in_transaction_session_timeout', pg_catalog.format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', r.rolname, '60s'), NULL, '0'), \
           ('temp_file_limit', pg_catalog.format('ALTER ROLE %I SET temp_file_limit = 0', r.rolname), NULL, '-1')) AS w (what, fix, has, without) \
         WHERE r.rolcanlogin AND NOT coalesce(w.has, \
           EXISTS (SELECT FROM pg_catalog.pg_db_role_setting g CROSS JOIN pg_catalog.unnest(g.setconfig) AS c (c) WHERE g.setrole IN (r.oid, 0::pg_catalog.oid) \
             AND g.setdatabase IN (0::pg_catalog.oid, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())) AND c.c LIKE w.what || '=%' AND c.c NOT LIKE w.what || '=' || w.without || '%') \
           OR EXISTS (SELECT FROM pg_catalog.pg_settings p WHERE p.name = w.what AND p.reset_val <> w.without)) ORDER BY 1, 2"
    );
    for row in query(&sql, 3, &[])? {
        report.warning("limits", row[0].clone(), format!("a sub-processor's login has no {}", row[1]), row[2].clone());
    }
    Ok(())
}

fn contracts(report: &mut Report) -> Result<()> {
    let sql = "SELECT s.name, s.valid_until::pg_catalog.text, pg_catalog.format('SELECT airlock.terminate(%L, %L), or alter_subprocessor with a new valid_until', s.name, 'contract ended') FROM airlock_catalog.subprocessor s \
               WHERE s.state = 'active' AND s.valid_until < (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::pg_catalog.date ORDER BY 1";
    for row in query(sql, 3, &[])? {
        report.warning(
            "contract",
            row[0].clone(),
            format!("the contract ended on {}; reads are refused since", row[1]),
            row[2].clone(),
        );
    }
    Ok(())
}
