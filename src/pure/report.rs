//! A privacy officer's page: one HTML document that needs nothing else, made from plain facts.
//!
//! No script, no reference to anything outside, and a policy in the document that would forbid both (`Content-Security-Policy`).
//! Names, purposes and view names are anybody's text: they reach the page through [`escape`] alone.

mod plot;

use std::fmt::Write;

/// What the page says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Database that it is about.
    pub database: String,
    /// When it was made, in words (UTC).
    pub at: String,
    /// The sub-processor that it is about alone.
    pub only: Option<String>,
    /// Recipients.
    pub recipients: Vec<Recipient>,
    /// Fields by recipient.
    pub fields: Vec<Field>,
    /// Reads of a day by recipient; the days in order, none left out.
    pub days: Vec<Day>,
    /// What is due.
    pub due: Vec<Due>,
    /// What `doctor()` finds.
    pub findings: Vec<Finding>,
    /// Whether the log is whole, and in words.
    pub log: (bool, String),
}

/// A sub-processor.
#[derive(Clone, Debug, Default)]
pub struct Recipient {
    /// Its name here.
    pub name: String,
    /// The company's.
    pub legal_name: String,
    /// Contract.
    pub contract: String,
    /// active, suspended, terminated.
    pub state: String,
    /// What it may read for.
    pub purposes: Vec<String>,
    /// Last day.
    pub valid_until: Option<String>,
    /// Where it is.
    pub country: Option<String>,
    /// When containment was last tried for it, and whether it held.
    pub tested: Option<(String, bool)>,
}

/// A field that a recipient receives.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// Whose.
    pub recipient: String,
    /// The table.
    pub relation: String,
    /// The column.
    pub column: String,
    /// Its class, if it has one.
    pub class: Option<String>,
    /// The mask as it was given; `None` is clear.
    pub mask: Option<String>,
    /// Of one of two rules of the column, when it holds.
    pub condition: Option<String>,
    /// Whether the column is encrypted.
    pub encrypted: bool,
    /// Last day of reading.
    pub last_read: Option<String>,
    /// How often.
    pub reads: i64,
}

/// Reads of one recipient on one day.
#[derive(Clone, Debug, Default)]
pub struct Day {
    /// The day.
    pub day: String,
    /// Whose.
    pub recipient: String,
    /// Statements.
    pub reads: i64,
    /// Rows that they sent.
    pub rows: i64,
}

/// Something that is due.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// Whose.
    pub recipient: String,
    /// What.
    pub what: String,
    /// When.
    pub on_day: String,
    /// Whether it should have been done.
    pub overdue: bool,
}

/// A finding.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// error, warning, info.
    pub severity: String,
    /// Of what.
    pub object: String,
    /// In words.
    pub message: String,
    /// What to do.
    pub fix: String,
}

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "
:root{--ink:#1b2430;--soft:#5b6776;--line:#d9dee5;--clear:#b4521e;--masked:#2f6f4f;--bad:#a3261b;--page:#fff;--band:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa6b5;--line:#37404c;--clear:#f0a070;--masked:#8fd0ab;--bad:#ff9b8f;--page:#12171d;--band:#1a2028}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.5rem 4rem;max-width:70rem;color:var(--ink);background:var(--page);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;margin:0}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}
p{margin:.3rem 0;color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem;border-bottom:1px solid var(--line)}
thead th{font-weight:600;border-bottom-width:2px;white-space:nowrap}
tbody th{font-weight:500}tr.table th{background:var(--band);font-weight:600}
.clear{color:var(--clear);font-weight:600}.masked{color:var(--masked)}.none{color:var(--soft)}
.error,.overdue{color:var(--bad);font-weight:600}
small{display:block;color:var(--soft);font-weight:400}
code{font:.85em ui-monospace,monospace;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;max-height:18rem}svg text{fill:var(--soft);font-size:11px}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.85rem;color:var(--soft)}
.key i{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem;vertical-align:-.05rem}
@media print{body{padding:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}
";

/// The page.
pub fn html(report: &Report) -> String {
    let mut out = String::with_capacity(16 << 10);
    let subject = report.only.as_deref().map_or(String::new(), |name| format!(": {}", escape(name)));
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Sub-processors{subject}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Who receives what{subject}</h1>\n<p>Database {}, {} UTC</p>\n",
        escape(&report.database),
        escape(&report.at),
    );
    findings(&mut out, report);
    recipients(&mut out, report);
    matrix(&mut out, report);
    plot::reads(&mut out, report);
    due(&mut out, report);
    out.push_str("</body>\n</html>\n");
    out
}

fn findings(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"findings\">Findings</h2>\n");
    let class = if report.log.0 { "masked" } else { "error" };
    let _ = writeln!(out, "<p>Access log: <span class=\"{class}\">{}</span></p>", escape(&report.log.1));
    let rows = report.findings.iter().map(|f| {
        let class = if f.severity == "error" { "error" } else { "" };
        format!(
            "<td class=\"{class}\">{}</td><td>{}</td><td>{}<small><code>{}</code></small></td>",
            escape(&f.severity),
            escape(&f.object),
            escape(&f.message),
            escape(&f.fix)
        )
    });
    table(out, &["Severity", "Of", "What, and what to do"], rows, "doctor() finds nothing.");
}

fn recipients(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"recipients\">Recipients</h2>\n");
    let rows = report.recipients.iter().map(|r| {
        let class = if r.state == "active" { "" } else { "error" };
        format!(
            "<th scope=\"row\">{}<small>{}</small></th><td>{}</td><td class=\"{class}\">{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{}\">{}</td>",
            escape(&r.name),
            escape(&r.legal_name),
            escape(&r.contract),
            escape(&r.state),
            escape(r.valid_until.as_deref().unwrap_or("no end")),
            escape(&r.purposes.join("; ")),
            escape(r.country.as_deref().unwrap_or("–")),
            if r.tested.as_ref().is_some_and(|(_, held)| !held) { "error" } else { "" },
            r.tested.as_ref().map_or("never".to_string(), |(what, _)| escape(what)),
        )
    });
    let head = ["Recipient", "Contract", "State", "Until", "Purposes", "Country", "Self test"];
    table(out, &head, rows, "There is no sub-processor.");
}

/// Fields down, recipients across.
fn matrix(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"fields\">Fields by recipient</h2>\n");
    let names: Vec<&str> = report.recipients.iter().map(|r| r.name.as_str()).collect();
    let mut fields: Vec<(&str, &str)> =
        report.fields.iter().map(|f| (f.relation.as_str(), f.column.as_str())).collect();
    fields.sort_unstable();
    fields.dedup();
    // by place, so that a page of many fields and recipients is written in one pass
    let mut of: std::collections::HashMap<(&str, &str, &str), Vec<&Field>> = std::collections::HashMap::new();
    for field in &report.fields {
        of.entry((field.relation.as_str(), field.column.as_str(), field.recipient.as_str())).or_default().push(field);
    }
    let head: Vec<&str> = std::iter::once("Field").chain(names.iter().copied()).collect();
    let mut last = "";
    let rows = fields.iter().map(|(relation, column)| {
        let mut row = String::new();
        if *relation != last {
            let _ =
                write!(row, "<th colspan=\"{}\" scope=\"rowgroup\">{}</th></tr>\n<tr>", head.len(), escape(relation));
            row.insert(0, '\u{0}');
            last = relation;
        }
        let class = report.fields.iter().find_map(|f| {
            f.class.as_deref().filter(|_| (f.relation.as_str(), f.column.as_str()) == (*relation, *column))
        });
        let class = class.map_or(String::new(), |class| format!("<small>{}</small>", escape(class)));
        let _ = write!(row, "<th scope=\"row\">{}{class}</th>", escape(column));
        for name in &names {
            row.push_str(&cell(of.get(&(*relation, *column, *name)).map_or(&[], Vec::as_slice)));
        }
        row
    });
    table(out, &head, rows, "No field is shared.");
}

/// What a recipient receives of a field: one rule, or two that share the column.
fn cell(rules: &[&Field]) -> String {
    let Some(field) = rules.first() else { return "<td class=\"none\">–</td>".to_string() };
    // a field that is clear anywhere is told by that
    let class = if rules.iter().any(|rule| rule.mask.is_none()) { "clear" } else { "masked" };
    let shown = rules.iter().map(|rule| {
        let shown = rule.mask.as_deref().map_or("clear".to_string(), escape);
        rule.condition.as_ref().map_or(shown.clone(), |when| format!("{shown} where <code>{}</code>", escape(when)))
    });
    let shown = shown.collect::<Vec<_>>().join("; ");
    let encrypted = if field.encrypted { ", encrypted at rest" } else { "" };
    let read = match (&field.last_read, field.reads) {
        (Some(day), reads) => format!("{reads} reads, last {}", escape(day)),
        (None, _) => "never read".to_string(),
    };
    format!("<td class=\"{class}\">{shown}<small>{read}{encrypted}</small></td>")
}

fn due(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"due\">Due</h2>\n");
    let rows = report.due.iter().map(|d| {
        let class = if d.overdue { "overdue" } else { "" };
        format!(
            "<td class=\"{class}\">{}</td><td>{}</td><td>{}</td>",
            escape(&d.on_day),
            escape(&d.recipient),
            escape(&d.what)
        )
    });
    table(out, &["On", "Recipient", "What"], rows, "Nothing is due within 90 days.");
}

/// A table, or a sentence where it would be empty. A row that begins with NUL begins a group.
fn table(out: &mut String, head: &[&str], rows: impl Iterator<Item = String>, empty: &str) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        let _ = writeln!(out, "<p>{}</p>", escape(empty));
        return;
    }
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    head.iter().for_each(|h| {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(h));
    });
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        match row.strip_prefix('\u{0}') {
            Some(row) => {
                let _ = writeln!(out, "<tr class=\"table\">{row}</tr>");
            }
            None => {
                let _ = writeln!(out, "<tr>{row}</tr>");
            }
        }
    }
    out.push_str("</tbody></table></div>\n");
}

/// Text as HTML shows it, in elements and in attributes in double quotes. Control characters and what turns the direction of
/// writing become a replacement character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
