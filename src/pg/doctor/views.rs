//! The views of the scopes against what the scopes say, the role that owns them, and columns of the encrypted types.

use super::{query, Report};
use crate::pg::readlog::materialiser::before_0_2;
use crate::pg::sys::fingerprint;
use crate::pg::sys::labels::{self as functions, Wrong};
use crate::pure::error::Result;
use pgrx::pg_sys;

pub(super) fn examine(report: &mut Report) -> Result<()> {
    drift(report)?;
    overlaps(report)?;
    distinct(report)?;
    subjects(report)?;
    owner(report)?;
    owner_grants(report)?;
    labels(report)?;
    columns(report)
}

/// Functions against what they were declared to be, as [`crate::pg::readlog`] looks at those that views call; the types'
/// own, whose declarations are made in loops, against rules of thumb.
fn labels(report: &mut Report) -> Result<()> {
    let sql = "SELECT p.oid::pg_catalog.text, p.oid::pg_catalog.regprocedure::pg_catalog.text, \
                 pg_catalog.format('ALTER FUNCTION %s OWNER TO %I', p.oid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(n.nspowner)) \
               FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'airlock' ORDER BY 2";
    let mut others = Vec::new();
    for row in query(sql, 3, &[])? {
        let [oid, name, own] = row.as_slice() else { continue };
        if before_0_2() {
            others.push(oid.clone());
            continue;
        }
        match functions::wrong(pg_sys::Oid::from(oid.parse::<u32>().unwrap_or(0))) {
            None => {}
            Some(Wrong::Labels(declared, now)) => {
                let message = format!("the function is not as the extension declares it: it is {now}");
                report.error("label", name.clone(), message, declared.repair());
            }
            Some(Wrong::Owner) => {
                let message = "the function belongs to another role than schema airlock";
                report.error("label", name.clone(), message, own.clone());
            }
            Some(Wrong::Unknown) => others.push(oid.clone()),
        }
    }
    other_labels(report, &format!("{{{}}}", others.join(",")))
}

/// A function of ours that somebody labelled LEAKPROOF sinks below both view levels; one labelled IMMUTABLE may be
/// folded, indexed and kept in statistics; without its search_path a definer function runs foreign code.
fn other_labels(report: &mut Report, functions: &str) -> Result<()> {
    let sql = "SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text, w.message, pg_catalog.format(w.fix, p.oid::pg_catalog.regprocedure) \
               FROM pg_catalog.pg_proc p CROSS JOIN LATERAL ( \
                 SELECT 'the function was labelled LEAKPROOF: it can be called on rows that a view hides', 'ALTER FUNCTION %s NOT LEAKPROOF' WHERE p.proleakproof AND p.proname !~ '^match_tag(16)?$' \
                 UNION ALL SELECT 'the function was labelled IMMUTABLE: what it opens can be kept in plans, indexes and statistics', 'ALTER FUNCTION %s STABLE' \
                   WHERE p.provolatile = 'i' AND p.proname IN ('decrypt', 'disclose', 'gate', 'eq', 'ne') \
                 UNION ALL SELECT 'the function seals and was relabelled: folded at plan time it repeats a nonce', 'ALTER FUNCTION %s VOLATILE' \
                   WHERE p.provolatile <> 'v' AND p.proname IN ('encrypted_coerce', 'encrypted_eq_coerce', 'encrypted_bind', 'encrypted_eq_bind', 'to_encrypted', 'to_encrypted_eq') \
                 UNION ALL SELECT 'the function lost its fixed search_path', 'ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp' \
                   WHERE p.prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)) AS w (message, fix) \
               WHERE p.oid = ANY ($1::pg_catalog.oid[])";
    for row in query(sql, 3, &[functions])? {
        let [name, message, fix] = row.as_slice() else { continue };
        report.error("label", name.clone(), message.clone(), fix.clone());
    }
    Ok(())
}

/// Scopes that declare whom their rows are about, and cannot tell.
fn subjects(report: &mut Report) -> Result<()> {
    if before_0_2() {
        return Ok(());
    }
    let sql = "SELECT coalesce(c.view::pg_catalog.text, 'scope ' || c.id), \
                 CASE WHEN c.subject_domains = '{}' THEN 'the scope was made by 0.1.0, and notes no data subjects' \
                      ELSE pg_catalog.format('the subject''s column %I is not there any more: each read may have been of anybody', m.name) END, \
                 pg_catalog.format('SELECT airlock.replace_scope(%L, %L, …, subject => …) with the definition in airlock.scopes', s.name, c.relation::pg_catalog.text) \
               FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor \
               LEFT JOIN LATERAL (SELECT u.name FROM pg_catalog.unnest(c.subject) u (name) WHERE NOT EXISTS ( \
                 SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.relation::pg_catalog.oid AND a.attname = u.name::pg_catalog.name AND a.attnum > 0 AND NOT a.attisdropped) \
                 LIMIT 1) m ON true \
               WHERE c.dropped_at IS NULL AND c.subject <> '{}' AND (c.subject_domains = '{}' OR m.name IS NOT NULL) ORDER BY c.id";
    for row in query(sql, 3, &[])? {
        let [name, message, fix] = row.as_slice() else { continue };
        report.warning("subject", name.clone(), message.clone(), fix.clone());
    }
    Ok(())
}

fn drift(report: &mut Report) -> Result<()> {
    let sql = "SELECT c.id::pg_catalog.text, v.oid::pg_catalog.text, i.oid::pg_catalog.text, coalesce(c.view::pg_catalog.text, 'scope ' || c.id), coalesce(c.fingerprint, ''), \
                 pg_catalog.format('SELECT airlock.replace_scope(%L, %L, …) with the definition in airlock.scopes', s.name, c.relation::pg_catalog.text), \
                 CASE WHEN v.oid IS NULL OR i.oid IS NULL OR v.relkind <> 'v' OR i.relkind <> 'v' THEN 'a view of the scope is missing' \
                      WHEN v.relowner <> o.oid OR i.relowner <> o.oid OR o.oid IS NULL THEN 'a view of the scope belongs to another role than airlock_view_owner' \
                      WHEN NOT coalesce('security_barrier=true' = ANY (v.reloptions), false) OR NOT coalesce('security_barrier=true' = ANY (i.reloptions), false) THEN 'a view of the scope has lost its security_barrier' \
                      WHEN pg_catalog.strpos(pg_catalog.replace(pg_catalog.pg_get_viewdef(i.oid), 'airlock.gate_parallel(', 'airlock.gate('), 'airlock.gate(' || c.id || ')') = 0 THEN 'the inner view does not ask the gate' END \
               FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor \
               LEFT JOIN pg_catalog.pg_class v ON v.oid = c.view::pg_catalog.oid LEFT JOIN pg_catalog.pg_class i ON i.oid = c.inner_view::pg_catalog.oid \
               LEFT JOIN pg_catalog.pg_roles o ON o.rolname = 'airlock_view_owner' WHERE c.dropped_at IS NULL ORDER BY c.id";
    for row in query(sql, 7, &[])? {
        let [_, view, inner, name, stored, fix, wrong] = row.as_slice() else { continue };
        if !wrong.is_empty() {
            report.error("view", name.clone(), wrong.clone(), fix.clone());
            continue;
        }
        let oid = |text: &str| pg_sys::Oid::from(text.parse::<u32>().unwrap_or(0));
        match fingerprint::same(stored, oid(view), oid(inner)) {
            Ok(Some(true)) => {}
            Ok(Some(false)) => report.error("view", name.clone(), "a view of the scope was changed", fix.clone()),
            Ok(None) => {
                let message =
                    "whether the scope's views were changed cannot be said: they were made by 0.1.0 on another major";
                report.warning("view", name.clone(), message, format!("after a look at them, {fix}"));
            }
            Err(error) => report.failure("view", name.clone(), error),
        }
    }
    Ok(())
}

/// Two scopes of a sub-processor that show the same rows, since ALTER TABLE made one relation a parent of the other: both are
/// shut.
fn overlaps(report: &mut Report) -> Result<()> {
    let sql = "WITH RECURSIVE above (relation, parent) AS ( \
                 SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i \
                 UNION SELECT a.relation, i.inhparent FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.parent) \
               SELECT coalesce(c.view::pg_catalog.text, 'scope ' || c.id), p.relation::pg_catalog.text, \
                 pg_catalog.format('SELECT airlock.drop_scope(%1$L, %2$L) or drop_scope(%1$L, %3$L), or take the one out of the other (ALTER TABLE … DETACH PARTITION, NO INHERIT)', \
                   s.name, c.relation::pg_catalog.text, p.relation::pg_catalog.text) \
               FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor \
               JOIN above a ON a.relation = c.relation::pg_catalog.oid \
               JOIN airlock_catalog.scope p ON p.subprocessor = c.subprocessor AND p.relation::pg_catalog.oid = a.parent AND p.dropped_at IS NULL \
               WHERE c.dropped_at IS NULL ORDER BY c.id, p.id";
    for row in query(sql, 3, &[])? {
        let [name, parent, fix] = row.as_slice() else { continue };
        let message = format!("its rows are also those of the sub-processor's scope of {parent}: both are shut");
        report.error("view", name.clone(), message, fix.clone());
    }
    Ok(())
}

/// Masks that keep different values apart, over a relation of which nothing says any more that its rows differ. Confidential is what
/// they show all the same, so it shuts nothing.
fn distinct(report: &mut Report) -> Result<()> {
    if before_0_2() {
        return Ok(());
    }
    let sql = "SELECT coalesce(c.view::pg_catalog.text, 'scope ' || c.id), pg_catalog.string_agg(pg_catalog.quote_ident(r.column_name), ', ' ORDER BY r.ordinal), \
                 pg_catalog.format('ALTER TABLE %s ADD PRIMARY KEY (…), if its rows are to be told apart', c.relation) \
               FROM airlock_catalog.scope c JOIN airlock_catalog.rule r ON r.scope = c.id AND r.until IS NULL \
               JOIN airlock.mask_properties() m ON m.mask = r.mask ->> 'mask' AND m.uniqueness IN ('exact', 'practical', 'formed') \
               JOIN pg_catalog.pg_class k ON k.oid = c.relation::pg_catalog.oid AND k.relkind IN ('r', 'p') \
               WHERE c.dropped_at IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = k.oid AND i.indisunique AND i.indisvalid) \
               GROUP BY c.id, c.view, c.relation ORDER BY c.id";
    for row in query(sql, 3, &[])? {
        let [name, columns, fix] = row.as_slice() else { continue };
        let message = format!(
            "the relation has no primary key or unique column: that {columns} tells rows apart is not said by it"
        );
        report.info("key", name.clone(), message, fix.clone());
    }
    Ok(())
}

/// `airlock_view_owner` must be nobody and hold nothing but columns.
fn owner(report: &mut Report) -> Result<()> {
    let sql = "SELECT w.message, w.fix FROM pg_catalog.pg_roles r CROSS JOIN LATERAL ( \
                 SELECT 'the owner of the views has rights that it must not have', 'ALTER ROLE airlock_view_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS' \
                   WHERE r.rolcanlogin OR r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls \
                 UNION ALL SELECT pg_catalog.format('role %I is a member of the owner of the views', m.rolname), pg_catalog.format('REVOKE airlock_view_owner FROM %I', m.rolname) \
                   FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles m ON m.oid = a.member WHERE a.roleid = r.oid \
                 UNION ALL SELECT pg_catalog.format('the owner of the views is a member of %I', g.rolname), pg_catalog.format('REVOKE %I FROM airlock_view_owner', g.rolname) \
                   FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid WHERE a.member = r.oid \
                 UNION ALL SELECT pg_catalog.format('the owner of the views owns the table %s', c.oid::pg_catalog.regclass), pg_catalog.format('ALTER TABLE %s OWNER TO the owner of the data', c.oid::pg_catalog.regclass) \
                   FROM pg_catalog.pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'm', 'f') \
                 UNION ALL SELECT pg_catalog.format('the owner of the views holds %s on all of %s', a.privilege_type, c.oid::pg_catalog.regclass), pg_catalog.format('REVOKE %s ON %s FROM airlock_view_owner', a.privilege_type, c.oid::pg_catalog.regclass) \
                   FROM pg_catalog.pg_class c CROSS JOIN pg_catalog.aclexplode(c.relacl) a WHERE a.grantee = r.oid AND c.relowner <> r.oid AND c.relkind <> 'S') AS w (message, fix) \
               WHERE r.rolname = 'airlock_view_owner'";
    for row in query(sql, 2, &[])? {
        report.error("view owner", "airlock_view_owner", row[0].clone(), row[1].clone());
    }
    if query(
        "SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = 'airlock_view_owner'",
        1,
        &[],
    )?
    .is_empty()
    {
        report.error(
            "view owner",
            "airlock_view_owner",
            "the role that owns the views does not exist",
            "CREATE ROLE airlock_view_owner NOLOGIN, then replace_scope for every scope",
        );
    }
    Ok(())
}

/// Column grants that no inner view needs: a column of a scope that was dropped or narrowed by hand.
fn owner_grants(report: &mut Report) -> Result<()> {
    let sql = "SELECT t.attrelid::pg_catalog.regclass::pg_catalog.text, pg_catalog.format('%s (%I)', a.privilege_type, t.attname), \
                 pg_catalog.format('REVOKE %s (%I) ON %s FROM airlock_view_owner', a.privilege_type, t.attname, t.attrelid::pg_catalog.regclass) \
               FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class k ON k.oid = t.attrelid CROSS JOIN pg_catalog.aclexplode(t.attacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee AND r.rolname = 'airlock_view_owner' \
               WHERE NOT t.attisdropped AND k.relowner <> r.oid AND (a.privilege_type <> 'SELECT' OR NOT EXISTS ( \
                 SELECT FROM airlock_catalog.scope c LEFT JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.inner_view::pg_catalog.oid \
                   LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                     AND d.refobjid = t.attrelid AND d.refobjsubid = t.attnum \
                  WHERE c.dropped_at IS NULL AND (d.refobjid IS NOT NULL OR c.relation::pg_catalog.oid = t.attrelid AND t.attname = ANY (c.subject)))) ORDER BY 1, 2";
    for row in query(sql, 3, &[])? {
        report.warning(
            "view owner",
            row[0].clone(),
            format!("the owner of the views holds {}, which no scope needs", row[1]),
            row[2].clone(),
        );
    }
    Ok(())
}

/// Columns of the encrypted types that name no key: what is in them cannot be opened by anybody.
fn columns(report: &mut Report) -> Result<()> {
    let sql = "SELECT c.oid::pg_catalog.regclass::pg_catalog.text || '.' || pg_catalog.quote_ident(a.attname), \
                 CASE WHEN a.atttypmod < 0 THEN 'the column has an encrypted type and no key' ELSE 'the column''s number is not in the catalog of encrypted columns' END \
               FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm') JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                 JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND n.nspname = 'airlock' AND t.typname IN ('encrypted', 'encrypted_eq') \
               WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (SELECT FROM airlock_catalog.encrypted_column e WHERE e.column_no = a.atttypmod) ORDER BY 1";
    for row in query(sql, 2, &[])? {
        report.error(
            "encrypted column",
            row[0].clone(),
            row[1].clone(),
            "ALTER TABLE … ALTER COLUMN … TYPE airlock.encrypted('key'), or restore the catalog's rows",
        );
    }
    Ok(())
}
