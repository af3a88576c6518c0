//! Every mask over real names and hostile values of each type, through a scope, over a plain and an encrypted column alike: no
//! value makes one fail, both columns show the same, the same as the SQL function where there is one, and whatever the
//! reader's settings are. Keyed masks join inside one sub-processor's scopes and nowhere else.

use crate::cluster::Cluster;
use crate::fixture::running;
use std::fmt::Write as _;
use std::path::Path;

/// A type, whether it can be sealed as it is written here, its values, and masks: rule, call of the SQL function on `v`.
struct Case {
    ty: &'static str,
    values: Vec<String>,
    masks: Vec<(&'static str, Option<&'static str>)>,
}

fn passengers() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/passengers.csv");
    let text = std::fs::read_to_string(path).expect("the passengers");
    // the name is the one field in quotes
    text.lines().skip(1).filter_map(|line| line.split('"').nth(1)).map(str::to_string).collect()
}

fn texts() -> Vec<String> {
    let mut values: Vec<String> = [
        "",
        " ",
        "a",
        "ada@example.com",
        "ada.lovelace+news@example.com",
        "x@localhost",
        "a@b@example.com",
        "+33 6 39 98 01 23",
        "(202) 555-0143",
        "911",
        "٠١٢٣٤٥٦٧٨٩",
        "4111 1111 1111 1111",
        "4111 1111 1111 1112",
        "GB29 NWBK 6016 1331 9268 19",
        "https://ada:pw@shop.example.com:8443/o/42?t=1#x",
        r"https://example.com\@shop.example.com/",
        "AB-1234567",
        "0639980123",
        "198.51.100.77",
        "2001:db8:1:2::5/64",
        "010.0.0.1",
        "E\u{301}va",
        "👩‍👩‍👧secret",
        "李 明",
        "'; DROP TABLE x; --",
        "\\",
        "\r\n",
        "\u{202e}gnp",
        "NULL",
        "{}",
        "\u{feff}",
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    values.extend(["long ".repeat(20_000), "\u{301}".repeat(5000), "🇫🇷".repeat(3000), "@".repeat(70_000)]);
    values.extend(passengers());
    assert!(values.len() > 900, "the passengers are there: {}", values.len());
    values
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

const PREFIX: &str = r#"{"mask": "ip_prefix", "v4": 16, "v6": 32}"#;
const ADDRESSES: [&str; 6] =
    ["198.51.100.77", "10.1.2.3/8", "2001:db8:1:2::5", "::ffff:198.51.100.77", "::", "255.255.255.255/0"];

fn cases() -> Vec<Case> {
    let numbers: Vec<(&str, Option<&str>)> = vec![
        (r#"{"mask": "bucket", "step": 10}"#, Some("mask_bucket(v, 10)")),
        (r#"{"mask": "round_sig", "digits": 2}"#, Some("mask_round_sig(v, 2)")),
        (r#"{"mask": "clamp", "low": -5, "high": 1000}"#, Some("mask_clamp(v, '-5', '1000')")),
        (r#"{"mask": "constant", "value": 7}"#, None),
        (r#"{"mask": "noise", "abs": 10, "ratio": 0.1, "domain": "d"}"#, None),
    ];
    let hashed = |mut masks: Vec<(&'static str, Option<&'static str>)>| {
        masks.push((r#"{"mask": "pseudonym", "domain": "d"}"#, None));
        masks.push((r#"{"mask": "hash_bucket", "domain": "d"}"#, None));
        masks
    };
    let dates: Vec<(&str, Option<&str>)> = vec![
        (r#"{"mask": "date_trunc", "unit": "month"}"#, Some("mask_date_trunc(v, 'month')")),
        (r#"{"mask": "age_band", "year": 2026}"#, Some("mask_age_band(v, 2026, 10, 90)")),
        (r#"{"mask": "clamp", "low": "1940-01-01"}"#, Some("mask_clamp(v, '1940-01-01')")),
        (r#"{"mask": "date_shift", "days": 30}"#, None),
    ];
    let ints = |ty, values: &[&str]| Case {
        ty,
        values: list(values),
        masks: hashed([&numbers[..], &[(r#"{"mask": "pseudonym_int", "domain": "d"}"#, None)]].concat()),
    };
    vec![
        Case {
            ty: "text",
            values: texts(),
            masks: hashed(vec![
                (r#"{"mask": "nullify"}"#, Some("mask_nullify(v)")),
                (r#"{"mask": "redact", "keep_length": true}"#, Some("mask_redact(v, keep_length => true)")),
                (r#"{"mask": "partial", "left": 1, "right": 2}"#, Some("mask_partial(v, 1, 2)")),
                (r#"{"mask": "email", "show": "first"}"#, Some("mask_email(v, 'first')")),
                (r#"{"mask": "phone"}"#, Some("mask_phone(v)")),
                (r#"{"mask": "card", "bin": 6}"#, Some("mask_card(v, 6)")),
                (r#"{"mask": "iban", "right": 4}"#, Some("mask_iban(v, 4)")),
                (r#"{"mask": "initials"}"#, Some("mask_initials(v)")),
                (r#"{"mask": "ip_prefix"}"#, Some("mask_ip_prefix(v)")),
                (r#"{"mask": "url", "path": true}"#, Some("mask_url(v, true)")),
                (
                    r#"{"mask": "regex", "pattern": "([A-Za-z]+), .*", "replace": "$1, …"}"#,
                    Some("mask_regex(v, '([A-Za-z]+), .*', '$1, …')"),
                ),
                (r#"{"mask": "fpe", "domain": "d"}"#, None),
                (r#"{"mask": "fake", "kind": "full_name", "domain": "d"}"#, None),
            ]),
        },
        ints("smallint", &["0", "-1", "32767", "-32768", "42"]),
        ints("integer", &["0", "-1", "2147483647", "-2147483648", "47"]),
        ints("bigint", &["0", "-1", "9223372036854775807", "-9223372036854775808", "4711"]),
        Case {
            ty: "numeric",
            values: list(&[
                "0",
                "-0.001",
                "NaN",
                "Infinity",
                "-Infinity",
                "1e100",
                "-12.50",
                "0.000000000000000000001",
            ]),
            masks: hashed(numbers.clone()),
        },
        Case {
            ty: "double precision",
            values: list(&["0", "NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "5e-324", "0.1"]),
            masks: numbers.clone(),
        },
        Case { ty: "real", values: list(&["0", "NaN", "-Infinity", "3.4028235e38", "0.1"]), masks: numbers },
        Case {
            ty: "date",
            values: list(&["1989-12-29", "infinity", "-infinity", "0044-03-15 BC", "4714-11-24 BC", "5874897-12-31"]),
            masks: hashed(dates.clone()),
        },
        Case {
            ty: "timestamp",
            values: list(&["1989-12-29 23:59:59.999999", "infinity", "-infinity", "4714-11-24 00:00 BC"]),
            masks: dates.clone(),
        },
        Case {
            ty: "timestamptz",
            values: list(&["2026-03-01 23:30:00+00", "infinity", "-infinity"]),
            masks: vec![
                dates[0],
                dates[1],
                dates[3],
                (
                    r#"{"mask": "clamp", "low": "1940-01-01 00:00:00+00"}"#,
                    Some("mask_clamp(v, '1940-01-01 00:00:00+00')"),
                ),
            ],
        },
        Case {
            ty: "jsonb",
            values: list(&[
                "{}",
                "[]",
                "null",
                "\"secret\"",
                r#"{"ssn": "1", "n": 2.50, "items": [{"sku": "A", "price": 3}, 7]}"#,
                "1e1000",
            ]),
            masks: vec![(
                r#"{"mask": "json", "keep": ["$.n", "$.items[*].sku"]}"#,
                Some("mask_json(v, '{$.n,$.items[*].sku}')"),
            )],
        },
        Case {
            ty: "json",
            values: list(&[
                "{}",
                " [ ] ",
                "null",
                "\"secret\"",
                r#"{"n": 1, "ssn": "1", "n": 2.50, "items": [{"sku": "A", "price": 3}, 7]}"#,
                r#"{"n": "\u0000", "\u0000": 1e1000}"#,
            ]),
            masks: vec![(
                r#"{"mask": "json", "keep": ["$.n", "$.items[*].sku"]}"#,
                Some("mask_json(v, '{$.n,$.items[*].sku}')"),
            )],
        },
        Case { ty: "inet", values: list(&ADDRESSES), masks: vec![(PREFIX, Some("mask_ip_prefix(v, 16, 32)"))] },
        Case {
            ty: "cidr",
            values: list(&["198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0", "10.1.2.3/32"]),
            masks: vec![(PREFIX, Some("mask_ip_prefix(v, 16, 32)"))],
        },
        Case {
            ty: "uuid",
            values: list(&[
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "123e4567-e89b-12d3-a456-426614174000",
            ]),
            masks: hashed(vec![(r#"{"mask": "pseudonym_uuid", "domain": "d"}"#, None)]),
        },
    ]
}

/// A table with a plain (`p`) and an encrypted (`e`) column for each mask, and its scope.
fn share(cluster: &Cluster, number: usize, case: &Case) -> String {
    let table = format!("public.masked{number}");
    // no key seals these three: their columns are plain, twice
    let sealed = !["inet", "cidr", "json"].contains(&case.ty);
    if sealed {
        let plain = case.ty.replace("timestamptz", "timestamp with time zone");
        cluster.admin(&format!("SELECT airlock.create_key('of{number}', plaintext_type => '{plain}')"));
    }
    let column = if sealed { format!("airlock.encrypted('of{number}')") } else { case.ty.to_string() };
    let (mut columns, mut names, mut rules) = (String::new(), Vec::new(), String::from("{\"id\": \"clear\""));
    for (i, (rule, _)) in case.masks.iter().enumerate() {
        write!(columns, ", p{i} {}, e{i} {column}", case.ty).unwrap();
        names.extend([format!("p{i}"), format!("e{i}")]);
        // noise is the column's own unless it has a domain, which makes both the same
        write!(rules, ", \"p{i}\": {rule}, \"e{i}\": {rule}").unwrap();
    }
    cluster.admin(&format!(
        "CREATE TABLE {table} (id int PRIMARY KEY, v {}{columns}); ALTER TABLE {table} OWNER TO app",
        case.ty
    ));
    let mut app = cluster.connect("app");
    for (id, value) in case.values.iter().map(Some).chain([None]).enumerate() {
        let quoted = value.map_or("NULL".to_string(), |v| format!("$q${v}$q$"));
        let all = vec![quoted.clone(); names.len() + 1].join(", ");
        app.query(&format!("INSERT INTO {table} (id, v, {}) VALUES ({id}, {all})", names.join(", "))).ok();
    }
    cluster.admin(&format!(
        "SELECT airlock.create_scope('acme', '{table}', '{}}}', subject => '{{id}}')",
        rules.replace('\'', "''")
    ));
    table
}

/// That a column of the view shows what it did; json has no equality but that of its text.
fn same_as(column: &str, i: usize, ty: &str) -> String {
    match ty {
        "json" => format!("m.{column}::text IS NOT DISTINCT FROM b.t{i}"),
        _ => format!("m.{column} IS NOT DISTINCT FROM b.t{i}::{ty}"),
    }
}

#[test]
fn every_mask_over_every_value_through_plain_and_encrypted_columns() {
    let cluster = running();
    let mut tested = Vec::new();
    for (number, case) in cases().iter().enumerate() {
        let table = share(&cluster, number, case);
        let view = table.replace("public.", "acme.");
        let names: Vec<String> =
            (0..case.masks.len()).flat_map(|i| [format!("p{i}::text"), format!("e{i}::text")]).collect();
        let sql = format!("SELECT {} FROM {view} ORDER BY id", names.join(", "));
        let shown = cluster.sql("acme", &sql).ok().rows;
        assert_eq!(shown.len(), case.values.len() + 1, "{}", case.ty);
        let mut other = cluster.connect("acme");
        other.query("SET extra_float_digits = 3; SET client_encoding = 'UTF8'").ok();
        for (i, (rule, function)) in case.masks.iter().enumerate() {
            let mask = rule.split('"').nth(3).unwrap();
            tested.push(mask.to_string());
            for (row, value) in shown.iter().zip(case.values.iter().map(Some).chain([None])) {
                assert_eq!(row[2 * i], row[2 * i + 1], "{} {rule}: {value:?}", case.ty);
                assert!(value.is_some() || row[2 * i].is_none() || mask == "constant", "{rule} of NULL: {row:?}");
            }
            if let Some(function) = function {
                let sql = format!("SELECT (airlock.{function})::text FROM {table} ORDER BY id");
                let wanted: Vec<_> = cluster.admin(&sql).rows.into_iter().map(|mut row| row.remove(0)).collect();
                let got: Vec<_> = shown.iter().map(|row| row[2 * i].clone()).collect();
                assert_eq!(got, wanted, "{} {rule}", case.ty);
            }
        }
        // the same values, however the session prints and reads: compared as values with what was shown before
        let columns: Vec<String> = (0..case.masks.len()).flat_map(|i| [format!("p{i}"), format!("e{i}")]).collect();
        let types = format!(
            "SELECT {} FROM {view} LIMIT 1",
            columns.iter().map(|c| format!("pg_typeof({c})::text")).collect::<Vec<_>>().join(", ")
        );
        let types = cluster.sql("acme", &types).ok().rows.remove(0);
        let quoted = |text: &Option<String>| text.as_ref().map_or("NULL".to_string(), |text| format!("$q${text}$q$"));
        let rows: Vec<String> = shown
            .iter()
            .enumerate()
            .filter(|(_, row)| row.iter().flatten().map(String::len).sum::<usize>() < 2000)
            .take(100)
            .map(|(id, row)| format!("({id}, {})", row.iter().map(quoted).collect::<Vec<_>>().join(", ")))
            .collect();
        let names: Vec<String> = (0..columns.len()).map(|i| format!("t{i}")).collect();
        let equal: Vec<String> = columns
            .iter()
            .zip(&types)
            .enumerate()
            .map(|(i, (column, ty))| same_as(column, i, ty.as_ref().unwrap()))
            .collect();
        let same = format!(
            "SELECT count(*) FROM {view} m JOIN (VALUES {}) AS b (id, {}) ON b.id = m.id WHERE {}",
            rows.join(", "),
            names.join(", "),
            equal.join(" AND ")
        );
        for settings in [
            "SET datestyle = 'German'",
            "SET timezone = 'Pacific/Kiritimati'",
            "SET extra_float_digits = -15",
            "SET intervalstyle = 'iso_8601'",
        ] {
            other.query(settings).ok();
            assert_eq!(other.query(&same).ok().value(), rows.len().to_string(), "{} {settings}", case.ty);
        }
    }
    tested.sort();
    tested.dedup();
    let all = cluster.admin("SELECT mask FROM airlock.masks ORDER BY mask COLLATE \"C\"").first();
    assert_eq!(tested, all, "each mask is tried");
}

/// Inside one sub-processor joins hold, over foreign keys and by a label; between two nothing meets.
#[test]
fn keyed_masks_join_inside_one_sub_processor_and_nowhere_else() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.people (id int PRIMARY KEY, mail text, number text); INSERT INTO public.people SELECT g, g || '@example.com', lpad(g::text, 8, '0') FROM generate_series(1, 50) g;
         CREATE TABLE public.visits (id int PRIMARY KEY, person int REFERENCES public.people, guest text, card text); INSERT INTO public.visits SELECT g, g, g || '@example.com', lpad(g::text, 8, '0') FROM generate_series(1, 50) g;
         ALTER TABLE public.people OWNER TO app; ALTER TABLE public.visits OWNER TO app",
    );
    for name in ["acme", "globex"] {
        cluster.admin(&format!(
            r#"SELECT airlock.create_scope('{name}', 'public.people', '{{"id": {{"mask": "pseudonym_int"}}, "mail": {{"mask": "pseudonym", "domain": "mail"}}, "number": {{"mask": "fpe", "domain": "card"}}}}'),
                      airlock.create_scope('{name}', 'public.visits', '{{"id": {{"mask": "pseudonym_int"}}, "person": {{"mask": "pseudonym_int"}}, "guest": {{"mask": "pseudonym", "domain": "mail"}}, "card": {{"mask": "fpe", "domain": "card"}}}}')"#
        ));
        for on in ["p.id = v.person", "p.mail = v.guest", "p.number = v.card"] {
            let sql = format!("SELECT count(*) FROM {name}.people p JOIN {name}.visits v ON {on}");
            assert_eq!(cluster.sql(name, &sql).value(), "50", "{name}: {on}");
        }
        // not what it is a pseudonym of, and not the other column's
        assert_eq!(
            cluster
                .sql(name, &format!("SELECT count(*) FROM {name}.people p JOIN {name}.visits v ON p.id = v.id"))
                .value(),
            "0"
        );
    }
    let column =
        |name: &str, column: &str| cluster.sql(name, &format!("SELECT {column} FROM {name}.people")).ok().first();
    for shown in ["id::text", "mail", "number"] {
        let (acme, globex) = (column("acme", shown), column("globex", shown));
        assert_eq!(acme.len(), 50);
        assert!(acme.iter().all(|value| !globex.contains(value)), "{shown} links two sub-processors");
    }
}

/// Whom a row is about decides, and nothing else: distances stay over tables and between plain, encrypted and bound columns;
/// another person, another recipient: another shift. Nobody in the subject: nothing shown.
#[test]
fn masks_per_subject_follow_the_person() {
    let cluster = running();
    cluster.admin(
        "SELECT airlock.create_key('birth', plaintext_type => 'date');
         CREATE TABLE public.patients (id int, born date, sealed airlock.encrypted('birth'), pay numeric);
         ALTER TABLE public.patients OWNER TO app;
         CREATE TABLE public.stays (stay int PRIMARY KEY, patient int, arrived timestamp); ALTER TABLE public.stays OWNER TO app",
    );
    cluster.sql("app", "INSERT INTO patients SELECT g, date '1980-01-01' + g, date '1980-01-01' + g, 1000 FROM generate_series(1, 200) g").ok();
    cluster.sql("app", "SELECT airlock.encrypt_column('patients', 'born', key => 'birth', bind => '{id}')").ok();
    cluster.sql("app", "INSERT INTO patients VALUES (NULL, NULL, '2000-01-01', 5); INSERT INTO stays SELECT g, g, timestamp '2020-01-01 10:30' + g * interval '1 day' FROM generate_series(1, 200) g").ok();
    let refused = cluster.sql(
        "postgres",
        r#"SELECT airlock.create_scope('acme', 'public.stays', '{"arrived": {"mask": "date_shift", "days": 60}}')"#,
    );
    assert_eq!(refused.code(), "AL010", "{refused:?}");
    for name in ["acme", "globex"] {
        cluster.admin(&format!(
            r#"SELECT airlock.create_scope('{name}', 'public.patients', '{{"id": "clear", "born": {{"mask": "date_shift", "days": 60}}, "sealed": {{"mask": "date_shift", "days": 60}}, "pay": {{"mask": "noise", "abs": 100}}}}', subject => '{{id}}'),
                      airlock.create_scope('{name}', 'public.stays', '{{"patient": "clear", "arrived": {{"mask": "date_shift", "days": 60}}}}', subject => '{{patient}}')"#
        ));
        let one = |sql: &str| cluster.sql(name, &sql.replace("S.", &format!("{name}."))).ok().value();
        let all = "FROM S.patients p JOIN S.stays s ON s.patient = p.id";
        assert_eq!(
            one(&format!(
                "SELECT count(*) {all} WHERE s.arrived - p.born = timestamp '2020-01-01 10:30' - date '1980-01-01'"
            )),
            "200",
            "distances"
        );
        assert_eq!(one("SELECT count(*) FROM S.patients WHERE born = sealed"), "200", "plain, sealed, bound");
        assert_eq!(one("SELECT count(*) FROM S.patients WHERE born <> date '1980-01-01' + id AND abs(born - (date '1980-01-01' + id)) <= 60"), "200");
        assert_eq!(
            one("SELECT count(DISTINCT born - (date '1980-01-01' + id)) > 40 FROM S.patients"),
            "t",
            "people differ"
        );
        assert_eq!(one("SELECT count(*) FROM S.patients WHERE pay BETWEEN 900 AND 1100"), "200");
        assert_eq!(one("SELECT count(DISTINCT pay) > 100 AND max(scale(pay)) = 0 FROM S.patients"), "t");
        assert_eq!(
            one("SELECT count(*) FROM S.patients WHERE id IS NULL AND sealed IS NULL AND pay IS NULL"),
            "1",
            "of nobody nothing"
        );
    }
    let shifts = |name: &str| {
        cluster.sql(name, &format!("SELECT born FROM {name}.patients WHERE id IS NOT NULL ORDER BY id")).ok().first()
    };
    let (acme, globex) = (shifts("acme"), shifts("globex"));
    assert!(acme.iter().zip(&globex).filter(|(a, b)| a == b).count() < 30, "two recipients have two shifts");
    assert_eq!(shifts("acme"), acme, "the same in every read");
}
