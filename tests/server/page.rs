//! `airlock.report()` in a real browser: what it says is there, nothing in it runs or asks for anything, and names that are markup
//! are text.

use crate::fixture::{drained, running, settled, VISIBLE};
use std::path::Path;
use std::process::Command;

/// The document as a headless browser has it, and what the browser had to say about it.
fn rendered(html: &str, directory: &Path) -> (String, String) {
    let page = directory.join("report.html");
    std::fs::write(&page, html).expect("write the page");
    let profile = directory.join("browser");
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ])
        // whatever it asked for by name would be an error in what it says
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--window-size=1100,900"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--screenshot={}", directory.join("report.png").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .env("HOME", directory)
        .output()
        .expect("chromium, which make setup installs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn count(dom: &str, what: &str) -> usize {
    dom.matches(what).count()
}

#[test]
fn the_officers_page_in_a_browser() {
    let cluster = running();
    let mut acme = cluster.connect_as("acme", "page");
    for _ in 0..5 {
        assert_eq!(acme.query("SELECT id, city FROM acme.customers").ok().received, VISIBLE);
    }
    settled(&cluster, "page", 5);
    drained(&cluster);
    cluster.admin(r#"SELECT airlock.alter_subprocessor('globex', '{"legal_name": "<img src=x onerror=document.title=1>", "details": {"reviewed": "2020-01-31", "review_every": "1 year"}}')"#);
    // who may, and what is on record
    for (user, code) in [("clerk", "42501"), ("globex", "42501")] {
        let answer = cluster.sql(user, "SELECT airlock.report()");
        assert!(answer.code() == code || answer.code() == "AL007", "{answer:?}");
    }
    assert_eq!(cluster.admin_error("SELECT airlock.report('nobody')").code(), "42704");
    cluster.admin("CREATE ROLE officer LOGIN; GRANT airlock_auditor TO officer");
    let html = cluster.sql("officer", "SELECT airlock.report()").value();
    let noted = "SELECT count(*) FROM airlock.audit_log WHERE what = 'report' AND login_role = 'officer'";
    assert_eq!(cluster.admin(noted).value(), "1");

    let (dom, said) = rendered(&html, &cluster.dir);
    assert!(!said.contains("CONSOLE") && !said.contains("ERR_"), "{said}");
    assert!(dom.contains("<title>Sub-processors</title>"), "no script ran: {dom}");
    assert_eq!(count(&dom, "<script"), 0);
    assert_eq!(count(&dom, "<img"), 0, "a name is text");
    assert!(dom.contains("&lt;img src=x onerror=document.title=1&gt;"), "{dom}");
    // eight fields of acme, three of globex, of which globex lacks five
    let matrix = &dom[dom.find("id=\"fields\"").unwrap()..dom.find("id=\"reads\"").unwrap()];
    assert_eq!(count(matrix, "<th scope=\"row\">"), 8);
    assert_eq!(
        (
            count(matrix, "<td class=\"clear\">"),
            count(matrix, "<td class=\"masked\">"),
            count(matrix, "<td class=\"none\">")
        ),
        (5, 6, 5)
    );
    assert_eq!(count(matrix, "5 reads, last "), 2);
    assert_eq!(count(matrix, "encrypted at rest"), 2);
    let plot = &dom[dom.find("id=\"reads\"").unwrap()..dom.find("id=\"due\"").unwrap()];
    assert_eq!(count(plot, "<polyline"), 2, "the fixture's first read is globex's");
    assert!(plot.contains(&format!("acme: 5 reads, {} rows", 5 * VISIBLE)), "{plot}");
    let points = plot.split("points=\"").nth(1).and_then(|p| p.split('"').next()).unwrap();
    assert_eq!(points.split(' ').count(), 90, "days without reads are in it");
    assert!(dom[dom.find("id=\"due\"").unwrap()..].contains("<td class=\"overdue\">2021-01-31</td>"));
    assert!(dom.contains("Access log: <span class=\"masked\">the log is whole up to record"), "{dom}");
    // the browser has laid it out and drawn it
    let picture = std::fs::metadata(cluster.dir.join("report.png")).expect("a screenshot").len();
    assert!(picture > 10_000, "{picture} bytes");

    let one = cluster.sql("officer", "SELECT airlock.report('acme')").value();
    let (dom, said) = rendered(&one, &cluster.dir);
    assert!(!said.contains("CONSOLE"), "{said}");
    assert!(dom.contains("<h1>Who receives what: acme</h1>") && !dom.contains("globex"), "{dom}");
    // a log that was edited is on the first line
    cluster.admin("UPDATE airlock_catalog.read_record SET rows_sent = 1 WHERE id = 3");
    assert!(cluster.sql("officer", "SELECT airlock.report()").value().contains("Access log: <span class=\"error\">"));
}
