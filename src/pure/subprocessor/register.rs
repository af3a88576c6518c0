//! The register: networks, the validated keys of `details`, and changes to a contract, read from JSON. The keys are
//! those an auditor asks for (GDPR Art. 28 and 30, EDPB opinion 22/2024, 11 CCR 7051).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value};

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{json_path, shown};

/// A change to a sub-processor; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The company's name.
    pub legal_name: Option<String>,
    /// Number or name of the contract.
    pub contract: Option<String>,
    /// What it may read for.
    pub purposes: Option<Vec<String>>,
    /// Last valid day, days since 2000-01-01; `Some(None)` takes the end away.
    pub valid_until: Option<Option<i32>>,
    /// Where it may connect from; empty is anywhere (JSON `null` or `[]`).
    pub networks: Option<Vec<IpNet>>,
    /// Only over TLS.
    pub require_tls: Option<bool>,
    /// Most rows of a day; `Some(None)` takes the limit away.
    pub rows_per_day: Option<Option<i64>>,
    /// Most sessions that read on one day; `Some(None)` takes the limit away.
    pub connections_per_day: Option<Option<i64>>,
    /// The new `details`, whole.
    pub details: Option<Value>,
}

/// Reads addresses and networks, `203.0.113.0/24` or `2001:db8::1`. Bits behind the prefix must be 0, as in `cidr`.
///
/// # Errors
/// `22023` naming the text.
pub fn parse_networks(texts: &[String]) -> Result<Vec<IpNet>> {
    texts.iter().map(|text| network(text).map_err(|message| invalid(message, NETWORK_HINT))).collect()
}

const NETWORK_HINT: &str = "write a network such as 203.0.113.0/24 or an address such as 2001:db8::1";
const DATE_HINT: &str = "write a date as YYYY-MM-DD";

fn invalid(message: String, hint: &str) -> Error {
    Error::new(Kind::InvalidArgument, message).hint(hint)
}

fn network(text: &str) -> std::result::Result<IpNet, String> {
    let bad = || format!("{} is no network", shown(text));
    let parsed = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| bad())?),
    };
    if parsed != parsed.trunc() {
        return Err(format!("network {} has bits set behind its prefix", shown(text)));
    }
    // a client in ::ffff:0:0/96 is compared as the IPv4 client that it is
    if let (IpNet::V6(six), Some(four)) = (parsed, mapped(&parsed)) {
        let prefix = six.prefix_len().checked_sub(96).ok_or_else(bad)?;
        return Ipv4Net::new(four, prefix).map(IpNet::V4).map_err(|_| bad());
    }
    Ok(parsed)
}

fn mapped(network: &IpNet) -> Option<std::net::Ipv4Addr> {
    match network {
        IpNet::V6(six) => six.network().to_ipv4_mapped(),
        IpNet::V4(_) => None,
    }
}

/// Days since 2000-01-01 of an ISO date `YYYY-MM-DD`, years 1 to 9999, in the proleptic Gregorian calendar.
///
/// # Errors
/// `22023` naming the text.
pub fn parse_date(text: &str) -> Result<i32> {
    date(text).ok_or_else(|| invalid(format!("{} is no date", shown(text)), DATE_HINT))
}

fn date(text: &str) -> Option<i32> {
    let b = text.as_bytes();
    let shape = b.len() == 10
        && b.iter().enumerate().all(|(i, c)| if i == 4 || i == 7 { *c == b'-' } else { c.is_ascii_digit() });
    if !shape {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i32>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return None,
    };
    if year < 1 || !(1..=length).contains(&day) {
        return None;
    }
    // years begin in March, so that the leap day is the last
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some(days - 730_425) // 2000-01-01 on the same count
}

/// What a member of `details` must be.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Date,
    Texts,
    Digest,
    Object(&'static [(&'static str, Shape)]),
    Objects(&'static [(&'static str, Shape)]),
    Checklist,
}

use Shape as S;

/// The keys of `details`, in the groups of the register.
const DETAILS: &[(&str, Shape)] = &[
    // identity
    ("address", S::Text),
    ("country", S::Text),
    ("registration", S::Text),
    ("contact", S::Text),
    ("dpo", S::Text),
    ("representative", S::Text),
    ("kind", S::Text),
    ("parent", S::Text),
    // contract
    ("dpa", S::Object(&[("version", S::Text), ("signed", S::Date), ("uri", S::Text), ("sha256", S::Digest)])),
    ("authorisation", S::Text),
    ("notified", S::Date),
    ("objection_until", S::Date),
    ("gdpr_28_3", S::Checklist),
    ("ccpa_7051", S::Checklist),
    // processing
    ("legal_basis", S::Text),
    ("subject_categories", S::Texts),
    ("special_categories", S::Texts),
    ("retention", S::Text),
    ("deletion", S::Text),
    // transfer, security
    (
        "transfer",
        S::Object(&[("countries", S::Texts), ("mechanism", S::Text), ("module", S::Text), ("assessment", S::Text)]),
    ),
    ("measures", S::Texts),
    ("certificates", S::Objects(&[("name", S::Text), ("valid_until", S::Date), ("uri", S::Text)])),
    // review
    ("reviewed", S::Date),
    ("review_every", S::Text),
    ("approved_by", S::Text),
];

/// Checks the `details` of a sub-processor: an object of known keys with values of the right type.
///
/// # Errors
/// `AL010` with the JSON path.
pub fn check_details(json: &Value) -> Result<()> {
    object(json, DETAILS, "$")
}

fn object(json: &Value, known: &[(&str, Shape)], path: &str) -> Result<()> {
    let members = json.as_object().ok_or_else(|| wrong(path, "an object"))?;
    for (name, value) in members {
        let at = json_path(path, name);
        let shape = known.iter().find(|(key, _)| key == name).map(|(_, shape)| *shape);
        check(value, shape.ok_or_else(|| unknown(&at, name, known.iter().map(|(key, _)| *key)))?, &at)?;
    }
    Ok(())
}

fn check(value: &Value, shape: Shape, path: &str) -> Result<()> {
    match shape {
        S::Text => text(value, path).map(drop),
        S::Date => day(value, path).map(drop),
        S::Texts => texts(value, path).map(drop),
        S::Digest => {
            let hex = text(value, path)?;
            let good = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            good.then_some(()).ok_or_else(|| wrong(path, "a SHA-256 digest of 64 hexadecimal digits"))
        }
        S::Object(known) => object(value, known, path),
        S::Objects(known) => {
            let items = value.as_array().ok_or_else(|| wrong(path, "an array of objects"))?;
            items.iter().enumerate().try_for_each(|(i, item)| object(item, known, &format!("{path}[{i}]")))
        }
        S::Checklist => {
            let members = value.as_object().ok_or_else(|| wrong(path, "an object of true and false"))?;
            members.iter().try_for_each(|(name, value)| boolean(value, &json_path(path, name)).map(drop))
        }
    }
}

/// Reads a change for `alter_subprocessor`: an object with any of `legal_name`, `contract`, `purposes`, `valid_until`,
/// `networks`, `require_tls`, `rows_per_day`, `connections_per_day`, `details`.
///
/// # Errors
/// `AL010` with the JSON path: an unknown key or a value of the wrong type.
pub fn apply_changes(patch: &Value) -> Result<Changes> {
    const KEYS: [&str; 9] = [
        "legal_name",
        "contract",
        "purposes",
        "valid_until",
        "networks",
        "require_tls",
        "rows_per_day",
        "connections_per_day",
        "details",
    ];
    let members: &Map<String, Value> = patch.as_object().ok_or_else(|| wrong("$", "an object"))?;
    let mut changes = Changes::default();
    for (name, value) in members {
        let path = json_path("$", name);
        match name.as_str() {
            "legal_name" => changes.legal_name = Some(text(value, &path)?.to_string()),
            "contract" => changes.contract = Some(text(value, &path)?.to_string()),
            "purposes" => changes.purposes = Some(purposes(value, &path)?),
            "valid_until" if value.is_null() => changes.valid_until = Some(None),
            "valid_until" => changes.valid_until = Some(Some(day(value, &path)?)),
            "networks" if value.is_null() => changes.networks = Some(Vec::new()),
            "networks" => changes.networks = Some(networks(value, &path)?),
            "require_tls" => changes.require_tls = Some(boolean(value, &path)?),
            "rows_per_day" => changes.rows_per_day = Some(most(value, &path, "rows")?),
            "connections_per_day" => changes.connections_per_day = Some(most(value, &path, "sessions")?),
            "details" => {
                object(value, DETAILS, &path)?;
                changes.details = Some(value.clone());
            }
            _ => return Err(unknown(&path, name, KEYS.into_iter())),
        }
    }
    Ok(changes)
}

/// A limit; `null` for none.
fn most(value: &Value, path: &str, of: &str) -> Result<Option<i64>> {
    if value.is_null() {
        return Ok(None);
    }
    let wrong = || wrong(path, "a whole number of at least 1").hint(format!("null for any number of {of}"));
    value.as_i64().filter(|most| *most > 0).map(Some).ok_or_else(wrong)
}

fn purposes(value: &Value, path: &str) -> Result<Vec<String>> {
    let purposes = texts(value, path)?;
    if purposes.is_empty() {
        return Err(Error::scope(path, "a contract needs at least one purpose").hint("name what the data is read for"));
    }
    Ok(purposes)
}

fn networks(value: &Value, path: &str) -> Result<Vec<IpNet>> {
    let read = |(i, text): (usize, String)| {
        network(&text).map_err(|message| Error::scope(&format!("{path}[{i}]"), message).hint(NETWORK_HINT))
    };
    texts(value, path)?.into_iter().enumerate().map(read).collect()
}

fn text<'a>(value: &'a Value, path: &str) -> Result<&'a str> {
    let text = value.as_str().ok_or_else(|| wrong(path, "a string"))?;
    if text.trim().is_empty() || text.contains('\0') {
        return Err(wrong(path, "a string that is not empty and has no NUL"));
    }
    Ok(text)
}

fn texts(value: &Value, path: &str) -> Result<Vec<String>> {
    let items = value.as_array().ok_or_else(|| wrong(path, "an array of strings"))?;
    let read = |(i, item)| text(item, &format!("{path}[{i}]")).map(String::from);
    items.iter().enumerate().map(read).collect()
}

fn day(value: &Value, path: &str) -> Result<i32> {
    date(text(value, path)?).ok_or_else(|| wrong(path, "a date").hint(DATE_HINT))
}

fn boolean(value: &Value, path: &str) -> Result<bool> {
    value.as_bool().ok_or_else(|| wrong(path, "true or false"))
}

fn wrong(path: &str, wanted: &str) -> Error {
    Error::scope(path, "value of the wrong type").hint(format!("write {wanted}"))
}

fn unknown<'a>(path: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    Error::scope(path, format!("unknown key {}", shown(name))).hint(format!("keys are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn networks_are_read_strictly() {
        let read = |text: &str| parse_networks(&[text.to_string()]).map(|n| n[0].to_string());
        assert_eq!(read("203.0.113.0/24").as_deref(), Ok("203.0.113.0/24"));
        assert_eq!(read("203.0.113.7").as_deref(), Ok("203.0.113.7/32"));
        assert_eq!(read("2001:db8::1").as_deref(), Ok("2001:db8::1/128"));
        assert_eq!(read("::ffff:203.0.113.0/120").as_deref(), Ok("203.0.113.0/24"));
        assert_eq!(read("::/0").as_deref(), Ok("::/0"));
        for bad in ["", "203.0.113.7/24", "203.0.113.0/33", "example.com", "10.0.0.0/8 ", "010.0.0.1"] {
            assert_eq!(read(bad).unwrap_err().kind, Kind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn dates_are_days_since_2000() {
        for (text, days) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("2000-02-29", 59),
            ("2000-03-01", 60),
            ("2026-01-01", 9497),
            ("2027-12-31", 10226),
            ("0001-01-01", -730119),
            ("9999-12-31", 2921939),
        ] {
            assert_eq!(parse_date(text), Ok(days), "{text}");
        }
        for bad in [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-04-31",
            "0000-01-01",
            "today",
            "2024-1-1",
            "2024-01-01 ",
            "+024-01-01",
        ] {
            assert!(parse_date(bad).is_err(), "{bad}");
        }
    }

    fn path(result: Result<impl Sized>) -> String {
        let error = result.err().unwrap();
        assert_eq!(error.kind, Kind::ScopeRefused);
        error.detail.unwrap().trim_start_matches("at ").to_string()
    }

    #[test]
    fn details_have_known_keys_and_types() {
        let good = json!({
            "country": "DE", "dpa": {"version": "3", "signed": "2026-01-31", "sha256": "ab".repeat(32)},
            "subject_categories": ["customers"], "transfer": {"countries": ["US"], "mechanism": "SCC"},
            "certificates": [{"name": "ISO 27001", "valid_until": "2028-01-01"}],
            "gdpr_28_3": {"a": true, "h": false}, "reviewed": "2026-05-01"
        });
        assert_eq!(check_details(&good), Ok(()));
        assert_eq!(check_details(&json!({})), Ok(()));
        assert_eq!(path(check_details(&json!([]))), "$");
        assert_eq!(path(check_details(&json!({"contry": "DE"}))), "$.contry");
        assert_eq!(path(check_details(&json!({"country": 1}))), "$.country");
        assert_eq!(path(check_details(&json!({"dpa": {"signed": "soon"}}))), "$.dpa.signed");
        assert_eq!(path(check_details(&json!({"dpa": {"sha256": "xyz"}}))), "$.dpa.sha256");
        assert_eq!(path(check_details(&json!({"measures": ["a", 2]}))), "$.measures[1]");
        assert_eq!(path(check_details(&json!({"certificates": [{}, {"nam": "x"}]}))), "$.certificates[1].nam");
        assert_eq!(path(check_details(&json!({"gdpr_28_3": {"a b": 1}}))), "$.gdpr_28_3.\"a b\"");
    }

    #[test]
    fn changes_are_read_and_nothing_else() {
        let changes = apply_changes(&json!({
            "contract": "DPA-2026-020", "purposes": ["support"], "valid_until": null,
            "networks": ["203.0.113.0/24"], "require_tls": false, "details": {"country": "DE"}
        }))
        .unwrap();
        assert_eq!(changes.contract.as_deref(), Some("DPA-2026-020"));
        assert_eq!(changes.legal_name, None);
        assert_eq!(changes.valid_until, Some(None));
        assert_eq!(changes.networks.unwrap().len(), 1);
        assert_eq!(apply_changes(&json!({"networks": null})).unwrap().networks, Some(vec![]));
        assert_eq!(apply_changes(&json!({"valid_until": "2027-12-31"})).unwrap().valid_until, Some(Some(10226)));
        assert_eq!(apply_changes(&json!({})), Ok(Changes::default()));
        assert_eq!(path(apply_changes(&json!(null))), "$");
        assert_eq!(path(apply_changes(&json!({"role": "x"}))), "$.role");
        assert_eq!(path(apply_changes(&json!({"purposes": []}))), "$.purposes");
        assert_eq!(path(apply_changes(&json!({"purposes": "x"}))), "$.purposes");
        assert_eq!(path(apply_changes(&json!({"valid_until": "31.12.2027"}))), "$.valid_until");
        assert_eq!(path(apply_changes(&json!({"networks": ["10.0.0.0/8", "x"]}))), "$.networks[1]");
        assert_eq!(path(apply_changes(&json!({"require_tls": "yes"}))), "$.require_tls");
        assert_eq!(path(apply_changes(&json!({"details": {"x": 1}}))), "$.details.x");
        assert_eq!(path(apply_changes(&json!({"legal_name": " "}))), "$.legal_name");
    }
}
