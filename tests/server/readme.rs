//! Documentation runs: the marked blocks of README.md and docs/operations.md are executed from top to bottom on a fresh
//! cluster, and what they print is compared with what the page says.
//!
//! A fenced block is run when the line before it is an HTML comment:
//!
//! - `<!-- run: ROLE -->` before a block of SQL: psql as ROLE runs it, all statements must succeed.
//! - `<!-- run: ROLE -->` before a transcript, lines that begin with a psql prompt (`app=> `, `app=# `, and `-> ` or
//!   `-# ` to go on): each statement's output, errors included, must be what stands below it. `…` in a line of the page
//!   stands for anything.
//! - `<!-- run: ROLE hidden` … `-->`: SQL that the reader is not shown.
//!
//! psql runs in the cluster's directory; the library is preloaded, database `app` is empty.

use crate::cluster::{Cluster, Postgres, DATABASE};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// A block to run.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    role: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(mark) = line.trim().strip_prefix("<!-- run: ") else { continue };
        let role = mark.split_whitespace().next().unwrap_or_default().to_string();
        let hidden = !line.contains("-->");
        if !hidden {
            let fence = lines.next().map(|(_, l)| l.trim().to_string()).unwrap_or_default();
            assert!(fence.starts_with("```"), "line {}: a fenced block must follow the mark", number + 1);
        }
        let end = if hidden { "-->" } else { "```" };
        let text: Vec<&str> = lines.by_ref().map(|(_, l)| l).take_while(|l| l.trim() != end).collect();
        found.push(Block { line: number + 1, role, text: text.join("\n") });
    }
    found
}

/// What stands after a psql prompt, and whether it begins a statement.
fn typed(line: &str) -> Option<(bool, &str)> {
    let at = line.find(['>', '#']).filter(|at| line[at + 1..].starts_with(' ') || line.len() == at + 1)?;
    let prompt = &line[..at];
    let first = match prompt.chars().last()? {
        '=' => true,
        '-' | '(' | '\'' => false,
        _ => return None,
    };
    let name = &prompt[..prompt.len() - 1];
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| (first, line[at + 1..].trim_start()))
}

/// Statements with the output the page shows; `None` for plain SQL, whose output is not compared.
fn steps(text: &str) -> Vec<(String, Option<Vec<String>>)> {
    if !text.lines().any(|l| typed(l).is_some_and(|t| t.0)) {
        return vec![(text.to_string(), None)];
    }
    let mut steps: Vec<(String, Option<Vec<String>>)> = Vec::new();
    for line in text.lines() {
        match (typed(line), steps.last_mut()) {
            (Some((true, sql)), _) => steps.push((sql.to_string(), Some(Vec::new()))),
            (Some((false, sql)), Some((statement, _))) => {
                statement.push('\n');
                statement.push_str(sql);
            }
            (None, Some((_, Some(output)))) => output.push(line.trim_end().to_string()),
            _ => {}
        }
    }
    steps
}

fn same(shown: &str, printed: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    if parts.len() == 1 {
        return shown == printed;
    }
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let Some(rest) = printed.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    parts[1..parts.len() - 1].iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// What psql prints for each step of one session.
fn play(cluster: &Cluster, role: &str, steps: &[(String, Option<Vec<String>>)]) -> Vec<Vec<String>> {
    const PART: &str = "----8<---- next";
    let script: String = steps.iter().map(|(sql, _)| format!("{sql}\n\\echo {PART}\n")).collect();
    let mut psql = cluster.client("psql", role);
    psql.current_dir(&cluster.dir).env("PGAPPNAME", "psql").args(["-X", "-d", DATABASE]);
    // one pipe for both, so that errors stand where they happened
    let (reader, writer) = std::io::pipe().expect("a pipe");
    psql.stdin(Stdio::piped()).stdout(writer.try_clone().expect("a pipe")).stderr(writer);
    let mut child = psql.spawn().expect("start psql");
    // our own ends of the pipe must be closed, or it never ends
    drop(psql);
    child.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("write to psql");
    let printed = std::io::read_to_string(reader).expect("read what psql prints");
    child.wait().expect("psql ends");
    let mut parts: Vec<Vec<String>> =
        printed.split(&format!("{PART}\n")).map(|p| p.lines().map(|l| l.trim_end().to_string()).collect()).collect();
    parts.truncate(steps.len());
    parts
}

fn trimmed(lines: &[String]) -> &[String] {
    let end = lines.iter().rposition(|l| !l.is_empty()).map_or(0, |i| i + 1);
    &lines[..end]
}

/// What a page says and a server does not do.
fn differences(cluster: &Cluster, page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for block in blocks(page) {
        let steps = steps(&block.text);
        for ((sql, shown), printed) in steps.iter().zip(play(cluster, &block.role, &steps)) {
            let place = format!("line {}, as {}: {sql}", block.line, block.role);
            match shown {
                None => {
                    let errors: Vec<&String> = printed
                        .iter()
                        .filter(|l| l.starts_with("ERROR") || l.starts_with("FATAL") || l.contains("psql: error"))
                        .collect();
                    wrong.extend(errors.iter().map(|e| format!("{place}\n  {e}")));
                }
                Some(shown) => {
                    let (shown, printed) = (trimmed(shown), trimmed(&printed));
                    let equal = shown.len() == printed.len() && shown.iter().zip(printed).all(|(s, p)| same(s, p));
                    if !equal {
                        wrong.push(format!(
                            "{place}\nthe page shows:\n{}\nthe server prints:\n{}",
                            shown.join("\n"),
                            printed.join("\n")
                        ));
                    }
                }
            }
        }
    }
    wrong
}

fn fresh() -> Cluster {
    let mut cluster = Cluster::initdb(Postgres::main());
    cluster.preload();
    cluster.start();
    cluster.login("postgres", "postgres", &[]).expect("connect").query(&format!("CREATE DATABASE {DATABASE}")).ok();
    cluster
}

#[test]
fn the_readme_does_what_it_says() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    assert!(blocks(&page).len() >= 3, "README.md has hardly a block to run");
    let wrong = differences(&fresh(), &page);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_operations_page_does_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = std::fs::read_to_string(path).expect("docs/operations.md");
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| ["```sql", "```console"].contains(line)) {
        assert!(i > 0 && lines[i - 1].starts_with("<!-- run: "), "line {}: {line} is run by no test", i + 1);
    }
    let cluster = fresh();
    // the one thing that the page's shell commands make
    let path = cluster.dir.join("root-2.key");
    std::fs::write(&path, "5a".repeat(32)).expect("write a root key");
    crate::cluster::give(&path, 0o400);
    let page = page.replace("/etc/pg_airlock", &cluster.dir.display().to_string());
    let (used, removed) = page.split_at(page.find("## 11. Uninstall").expect("it ends with how to uninstall"));
    let wrong = differences(&cluster, used);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // and at the end all of it has happened
    let sql = "SELECT string_agg(DISTINCT state || root_generation, ' ') FROM airlock.keys WHERE name = 'pii' AND use = 'seal'";
    assert_eq!(cluster.admin(sql).value(), "active2 destroyed1");
    cluster.admin("SELECT airlock.grant_decrypt('pii', 'postgres')");
    assert_eq!(cluster.admin("SELECT count(airlock.decrypt(ssn)) FROM public.customers").value(), "2");
    let wrong = differences(&cluster, removed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(cluster.admin("SELECT count(*) FROM pg_extension WHERE extname = 'pg_airlock'").value(), "0");
}

#[test]
fn control_a_page_that_is_wrong_is_found_out() {
    let cluster = fresh();
    let page =
        |shown: &str| format!("<!-- run: postgres -->\n```\napp=# SELECT 6 * 7\napp-# AS answer;\n{shown}\n```\n");
    assert_eq!(differences(&cluster, &page(" answer\n--------\n     42\n(1 row)\n")), Vec::<String>::new());
    assert_eq!(differences(&cluster, &page(" answer\n--------\n     …\n(1 row)\n")), Vec::<String>::new());
    assert_eq!(differences(&cluster, &page(" answer\n--------\n     43\n(1 row)\n")).len(), 1);
    assert_eq!(differences(&cluster, "<!-- run: postgres -->\n```sql\nSELECT 1 / 0;\n```\n").len(), 1);
    assert_eq!(
        differences(&cluster, "```sql\nSELECT 1 / 0;\n```\n"),
        Vec::<String>::new(),
        "unmarked blocks are not run"
    );
    let refused =
        "<!-- run: postgres -->\n```\napp=# SELECT 1 / 0;\nERROR:  division by zero\napp=# \\echo on\non\n```\n";
    assert_eq!(differences(&cluster, refused), Vec::<String>::new());
}
