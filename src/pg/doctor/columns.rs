//! Encrypted columns: what cannot be sealed or found, and what equality gives away.

use super::{query, Report};
use crate::pg::encrypted;
use crate::pg::sys::scan;
use crate::pure::error::Result;
use crate::pure::name::{ident, qualified};
use crate::pure::plaintext::PlainType;

/// Share of a column's values, in percent, from which equal ones are worth a word: whoever sees the table sees which are.
const COMMON: &str = "1";

pub(super) fn examine(report: &mut Report) -> Result<()> {
    if encrypted::type_oids().is_none() || scan::table_oid("encrypted_column").is_none() {
        return Ok(());
    }
    without_key(report)?;
    shared_numbers(report)?;
    searchable(report)?;
    guessable(report)
}

/// All columns of the encrypted types in tables: schema, table, column, number, whether searchable.
const COLUMNS: &str = "WITH columns AS (
    SELECT a.attrelid, a.attnum, n.nspname, c.relname, a.attname, a.atttypmod,
           a.atttypid = 'airlock.encrypted_eq'::pg_catalog.regtype AS searchable, c.relispartition OR a.attinhcount > 0 AS inherited, c.relkind
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm', 'f')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE a.atttypid IN ('airlock.encrypted'::pg_catalog.regtype, 'airlock.encrypted_eq'::pg_catalog.regtype) AND a.attnum > 0
       AND NOT a.attisdropped AND c.relpersistence <> 't')";

fn without_key(report: &mut Report) -> Result<()> {
    let sql = format!(
        "{COLUMNS} SELECT nspname::pg_catalog.text, relname::pg_catalog.text, attname::pg_catalog.text FROM columns
          WHERE NOT EXISTS (SELECT FROM airlock_catalog.encrypted_column e WHERE e.column_no = atttypmod) ORDER BY 1, 2, 3"
    );
    for row in query(&sql, 3, &[])? {
        report.error(
            "column without key",
            format!("{}.{}", qualified(&row[0], &row[1]), ident(&row[2])),
            "the column's number is unknown: nothing can be sealed or opened in it",
            "restore the rows of airlock_catalog from the dump of the whole database, or make the column anew with a key",
        );
    }
    Ok(())
}

fn shared_numbers(report: &mut Report) -> Result<()> {
    let sql = format!(
        "{COLUMNS} SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I.%I', nspname, relname, attname), ', ' ORDER BY nspname, relname)
           FROM columns WHERE NOT inherited GROUP BY atttypmod HAVING pg_catalog.count(*) > 1 ORDER BY 1"
    );
    for row in query(&sql, 1, &[])? {
        report.info(
            "shared column number",
            row[0].clone(),
            "these columns count as one: a value moved from one to the other opens there (LIKE and CREATE TABLE AS copy the number)",
            "for a number of its own: ALTER TABLE … ALTER COLUMN … TYPE airlock.encrypted('key') USING airlock.decrypt(…)",
        );
    }
    Ok(())
}

fn searchable(report: &mut Report) -> Result<()> {
    let sql = format!(
        "{COLUMNS}, found AS (
           SELECT k.*, x.indexrelid FROM columns k LEFT JOIN pg_catalog.pg_index x ON x.indrelid = k.attrelid AND x.indisvalid
              AND pg_catalog.pg_get_indexdef(x.indexrelid, 1, false)
                  IN ('airlock.match_tag(' || pg_catalog.quote_ident(k.attname) || ')', 'airlock.match_tag16(' || pg_catalog.quote_ident(k.attname) || ')')
            WHERE k.searchable AND k.relkind IN ('r', 'p', 'm') AND NOT k.inherited)
         -- of 0.1.0's objects the table has no tag_bytes
         SELECT f.nspname::pg_catalog.text, f.relname::pg_catalog.text, f.attname::pg_catalog.text,
                CASE WHEN pg_catalog.to_jsonb(e) ->> 'tag_bytes' = '16' THEN 'match_tag16' ELSE 'match_tag' END,
                (pg_catalog.bool_or(f.indexrelid IS NOT NULL))::pg_catalog.text,
                pg_catalog.max(CASE WHEN (s.stanumbers1)[1] * 100 > $1::pg_catalog.numeric AND s.stakind1 = 1
                                    THEN pg_catalog.round(((s.stanumbers1)[1] * 100)::pg_catalog.numeric, 1) END)::pg_catalog.text
           FROM found f JOIN airlock_catalog.encrypted_column e ON e.column_no = f.atttypmod
           LEFT JOIN pg_catalog.pg_statistic s ON s.starelid = f.indexrelid AND s.staattnum = 1
          GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3"
    );
    for row in query(&sql, 6, &[COMMON])? {
        let (table, column) = (qualified(&row[0], &row[1]), ident(&row[2]));
        let object = format!("{table}.{column}");
        if row[4] != "true" {
            report.info(
                "search without index",
                object,
                "the column is searchable, and each search reads the whole table",
                format!("CREATE INDEX ON {table} (airlock.{}({column}))", row[3]),
            );
        } else if !row[5].is_empty() {
            report.info(
                "common value",
                object,
                format!(
                    "{} % of the sampled values are equal, which whoever sees the table or its files can see",
                    row[5]
                ),
                "if that tells too much: airlock.decrypt_column, then encrypt_column without searchable",
            );
        }
    }
    Ok(())
}

/// Types with so few values that whoever may match can try them all.
fn guessable(report: &mut Report) -> Result<()> {
    let few = [PlainType::Bool, PlainType::Int2, PlainType::Int4, PlainType::Date].map(PlainType::sql_name);
    let sql = "SELECT k.name, pg_catalog.pg_get_userbyid(g.role)::pg_catalog.text, k.plaintext_type
        FROM airlock_catalog.key_grant g JOIN airlock_catalog.key k USING (key_no)
       WHERE g.access = 'match' AND k.plaintext_type = ANY (pg_catalog.string_to_array($1, ',')) ORDER BY 1, 2";
    for row in query(sql, 3, &[&few.join(",")])? {
        report.info(
            "guessable values",
            format!("key {}", ident(&row[0])),
            format!("role {} may match, and {} has so few values that it can try them all", ident(&row[1]), row[2]),
            format!(
                "grant_match on this key is close to grant_decrypt: SELECT airlock.revoke_match({}, {}) if that is too much",
                crate::pure::name::literal(&row[0]),
                crate::pure::name::literal(&row[1])
            ),
        );
    }
    Ok(())
}
