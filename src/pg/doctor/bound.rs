//! Columns that are bound to their rows: the trigger that binds is there, enabled, last, and finds its columns.

use super::{query, Report};
use crate::pure::error::Result;

/// Tables with bound columns; of databases that know no binding, none.
const TABLES: &str = "WITH ours AS (
    SELECT c.oid, c.oid::pg_catalog.regclass::pg_catalog.text AS name, a.attname, a.atttypmod::pg_catalog.text AS number, e.bind
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typname IN ('encrypted', 'encrypted_eq')
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND n.nspname = 'airlock'
      JOIN (SELECT k.column_no, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(k) -> 'bind')) AS bind
              FROM airlock_catalog.encrypted_column k WHERE pg_catalog.to_jsonb(k) ? 'bind') e ON e.column_no = a.atttypmod AND e.bind <> '{}'
     WHERE a.attnum > 0 AND NOT a.attisdropped
  ), binder AS (
    SELECT g.*, pg_catalog.string_to_array(pg_catalog.encode(g.tgargs, 'escape'), '\\000') AS numbers FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid AND p.proname = 'bind_row'
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'airlock'
     -- BEFORE, ROW, INSERT and UPDATE, of all columns, without a condition
     WHERE g.tgtype & 23 = 23 AND g.tgattr = '' AND g.tgqual IS NULL
  )";

pub(super) fn examine(report: &mut Report) -> Result<()> {
    let tables = format!(
        "{TABLES} SELECT o.name, pg_catalog.string_agg(pg_catalog.format('%1$I = %1$I', o.attname), ', ' ORDER BY o.attname),
           CASE WHEN NOT pg_catalog.bool_and(EXISTS (SELECT FROM binder b WHERE b.tgrelid = o.oid AND o.number = ANY (b.numbers))) THEN 'missing'
                WHEN NOT pg_catalog.bool_and(EXISTS (SELECT FROM binder b WHERE b.tgrelid = o.oid AND o.number = ANY (b.numbers) AND b.tgenabled = 'A')) THEN 'off'
                ELSE '' END,
           pg_catalog.string_agg(o.number, ', ' ORDER BY o.attname),
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(g.tgname), ', ') FROM pg_catalog.pg_trigger g JOIN binder b ON b.tgrelid = g.tgrelid
             WHERE g.tgrelid = o.oid AND NOT g.tgisinternal AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0 AND g.tgname > b.tgname)
           FROM ours o GROUP BY o.oid, o.name ORDER BY o.name"
    );
    for row in query(&tables, 5, &[])? {
        let [table, set, state, numbers, later] = row.as_slice() else { continue };
        let trigger = "\"~airlock_bind\"";
        let enable = format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}");
        let bind = format!("UPDATE {table} SET {set}, for rows written meanwhile");
        let what = "new values of its bound columns are bound to no row and do not open";
        match state.as_str() {
            "missing" => report.error(
                "row binding",
                table.clone(),
                format!("the trigger that binds values to their rows is missing: {what}"),
                format!("CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION airlock.bind_row({numbers}); {enable}; {bind}"),
            ),
            "off" => report.error(
                "row binding",
                table.clone(),
                format!("the trigger that binds values to their rows does not always run: where it does not, {what}"),
                format!("{enable}; {bind}"),
            ),
            _ => {}
        }
        if !later.is_empty() {
            report.warning(
                "row binding",
                table.clone(),
                format!("triggers run after the one that binds: {later}; what they change of the row comes too late"),
                format!("ALTER TRIGGER … ON {table} RENAME TO a name that sorts before {trigger}"),
            );
        }
    }
    let lost = format!(
        "{TABLES} SELECT o.name || '.' || pg_catalog.quote_ident(o.attname), w.name
           FROM ours o CROSS JOIN LATERAL pg_catalog.unnest(o.bind) AS w (name)
          WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.oid AND a.attname::pg_catalog.text = w.name AND NOT a.attisdropped)
          ORDER BY 1, 2"
    );
    for row in query(&lost, 2, &[])? {
        report.error(
            "row binding",
            row[0].clone(),
            format!("column \"{}\", to which its values are bound, is not in the table: no row can be written", row[1]),
            "ALTER TABLE … RENAME COLUMN … TO that name",
        );
    }
    Ok(())
}
