use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}\u{0}";

fn report() -> Report {
    let recipient = |name: &str| Recipient { name: name.into(), state: "active".into(), ..Recipient::default() };
    let field = |recipient: &str, column: &str, mask: Option<&str>| Field {
        recipient: recipient.into(),
        relation: "public.customers".into(),
        column: column.into(),
        mask: mask.map(Into::into),
        ..Field::default()
    };
    let day =
        |day: &str, recipient: &str, reads| Day { day: day.into(), recipient: recipient.into(), reads, rows: reads };
    Report {
        database: "app".into(),
        at: "2026-11-26 12:00".into(),
        recipients: vec![recipient("acme"), recipient("globex")],
        fields: vec![
            field("acme", "email", None),
            field("acme", "id", None),
            field("globex", "email", Some("pseudonym")),
        ],
        days: vec![day("2026-11-25", "acme", 3), day("2026-11-26", "acme", 0), day("2026-11-26", "globex", 7)],
        due: vec![Due { overdue: true, ..Due::default() }],
        findings: vec![Finding { severity: "error".into(), ..Finding::default() }],
        log: (true, "whole".into()),
        only: None,
    }
}

/// Elements that are opened and closed in pairs.
fn balanced(page: &str) {
    for tag in [
        "html", "head", "body", "table", "thead", "tbody", "tr", "th", "td", "svg", "div", "span", "small", "code",
        "p", "h2", "style",
    ] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_matrix_has_a_cell_for_each_field_and_recipient() {
    let page = html(&report());
    balanced(&page);
    assert_eq!(page.matches("class=\"clear\"").count(), 2);
    assert_eq!(page.matches("<td class=\"masked\">pseudonym").count(), 1);
    assert_eq!(page.matches("<td class=\"none\">").count(), 1, "globex has no id");
    assert_eq!(page.matches("<polyline").count(), 2);
    assert!(page.contains("10 reads from 2026-11-25 to 2026-11-26"));
}

#[test]
fn a_conditional_field_says_when() {
    let rule = |mask: Option<&str>, when: &str| Field {
        recipient: "acme".into(),
        relation: "public.customers".into(),
        column: "email".into(),
        mask: mask.map(Into::into),
        condition: Some(when.into()),
        ..Field::default()
    };
    let fields = vec![rule(Some("email"), "(a < b) IS NOT TRUE"), rule(None, "a < b")];
    let page = html(&Report { fields, ..report() });
    balanced(&page);
    let cell = "<td class=\"clear\">email where <code>(a &lt; b) IS NOT TRUE</code>; clear where <code>a &lt; b</code>";
    assert!(page.contains(cell), "{page}");
}

#[test]
fn an_empty_page_says_so() {
    let page = html(&Report { log: (true, "the log is empty".into()), ..Report::default() });
    balanced(&page);
    for said in
        ["There is no sub-processor.", "No field is shared.", "Nothing was read.", "Nothing is due", "the log is empty"]
    {
        assert!(page.contains(said), "{said}");
    }
}

/// Names are anybody's.
#[test]
fn attack_names_that_are_markup() {
    let hostile = || HOSTILE.to_string();
    let mut bad = report();
    bad.database = hostile();
    bad.only = Some(hostile());
    bad.recipients[0] = Recipient {
        name: hostile(),
        legal_name: hostile(),
        contract: hostile(),
        state: hostile(),
        purposes: vec![hostile()],
        valid_until: Some(hostile()),
        country: Some(hostile()),
        tested: Some((hostile(), false)),
    };
    bad.fields.push(Field {
        recipient: hostile(),
        relation: hostile(),
        column: hostile(),
        mask: Some(hostile()),
        ..Field::default()
    });
    bad.days.push(Day { day: hostile(), recipient: hostile(), reads: 1, rows: 1 });
    bad.due.push(Due { recipient: hostile(), what: hostile(), on_day: hostile(), overdue: true });
    bad.findings.push(Finding { severity: hostile(), object: hostile(), message: hostile(), fix: hostile() });
    bad.log = (false, hostile());
    let page = html(&bad);
    balanced(&page);
    assert!(!page.contains("<script") && !page.contains('\u{202e}') && !page.contains('\u{0}'));
    assert!(page.matches("&lt;script&gt;").count() > 15);
    for outside in ["http:", "https:", "url(", "src=", "href=", "@import", "javascript:"] {
        assert!(!html(&report()).contains(outside), "{outside}");
    }
}

#[test]
fn escapes() {
    assert_eq!(escape("a<b>&\"'\u{7}\n\u{2066}ä"), "a&lt;b&gt;&amp;&quot;&#39;\u{fffd} \u{fffd}ä");
}
