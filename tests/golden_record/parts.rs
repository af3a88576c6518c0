//! Bytes of the parts that travel with a record and are kept apart: `tests/vectors/{private,subjects}/`.

use data_encoding::HEXLOWER;
use pg_airlock::pure::keyring::{PrivateKey, Secret, SubjectKey};
use pg_airlock::pure::record::hash;
use pg_airlock::pure::record::private::{self, Private};
use pg_airlock::pure::subjects::{append, decode, encode, Certainty, Set, Touched, Value};

use super::{bytes, check, read, KEY_VERSION, LOG_SECRET, NONCE};

const SUBJECT_SECRET: [u8; 32] = [0x33; 32];
const EPOCH: u32 = 2;
const DOMAIN: &str = "public.passengers.id";
const SALT: [u8; 16] = *b"salt of 16 bytes";

/// What a statement held, with an empty text and a missing one.
pub fn private() -> Private {
    Private {
        salt: SALT,
        constants: vec!["'Zoë'".into(), "42".into(), String::new()],
        parameters: vec![Some("a@b.example".into()), None, Some(String::new())],
        cut: true,
    }
}

fn private_key() -> PrivateKey {
    PrivateKey::derive(&Secret::new(LOG_SECRET))
}

fn subject_key(domain: &str) -> SubjectKey {
    SubjectKey::derive(&Secret::new(SUBJECT_SECRET), domain)
}

/// Whose rows it touched: of one scope those of two persons and one looked at, of another anybody's.
pub fn subjects() -> Vec<u8> {
    encode(&SALT, vec![few(), Touched::undeclared(70_000)])
}

fn few() -> Touched {
    let key = subject_key(DOMAIN);
    let set = |ids: &[i64]| {
        let mut set = Set::default();
        ids.iter().map(|id| form(&[Value::Integer(*id)])).for_each(|person| set.insert(key.hash(&person), &person));
        set
    };
    Touched::new(7, (DOMAIN, EPOCH), &key, &set(&[42, -1]), &set(&[42, -1, 43]), false)
}

fn form(columns: &[Value<'_>]) -> Vec<u8> {
    let mut person = Vec::new();
    columns.iter().for_each(|column| append(&mut person, *column));
    person
}

#[test]
fn private_parts_keep_their_bytes_at_rest() {
    let part = private().encode();
    let stored = private::seal(&private_key(), KEY_VERSION, &NONCE, &part);
    let lines = [
        ("secret", HEXLOWER.encode(&LOG_SECRET)),
        ("key_version", KEY_VERSION.to_string()),
        ("nonce", HEXLOWER.encode(&NONCE)),
        ("part", HEXLOWER.encode(&part)),
        ("hash", HEXLOWER.encode(&hash(&part))),
        ("stored", HEXLOWER.encode(&stored)),
    ];
    check("private/part.txt", &lines);

    let values = read("private/part.txt");
    let (stored, of) = (bytes(&values, "stored"), bytes(&values, "hash").try_into().unwrap());
    assert_eq!(private::key_version(&stored), Some(KEY_VERSION));
    let opened = private::open(&private_key(), &stored, &of).unwrap();
    assert_eq!(opened, bytes(&values, "part"));
    assert!(Private::decode(&opened).is_ok_and(|read| read == private()));
}

#[test]
fn attack_private_parts_are_refused() {
    let good = private().encode();
    let stored = private::seal(&private_key(), KEY_VERSION, &NONCE, &good);
    assert_eq!(good[..3], [0x85, 0x01, 0x50]);
    let of = hash(&good);
    let other_key = PrivateKey::derive(&Secret::new([0x12; 32]));
    let mut other_version = stored.clone();
    other_version[3] ^= 1;
    for (name, stored, of) in [
        ("attack_stored_of_another_record", stored.clone(), hash(b"")),
        ("attack_stored_key_version_changed", other_version, of),
        ("attack_stored_under_another_key", private::seal(&other_key, KEY_VERSION, &NONCE, &good), of),
        ("attack_stored_tag_cut", stored[..stored.len() - 1].to_vec(), of),
        ("attack_stored_in_clear", [&stored[..28], &good, &[0; 16]].concat(), of),
    ] {
        let path = format!("private/{name}.txt");
        let (stored, of) = (HEXLOWER.encode(&stored), HEXLOWER.encode(&of));
        check(&path, &[("hash", of), ("stored", stored), ("sqlstate", "AL003".into())]);
        let values = read(&path);
        let of = bytes(&values, "hash").try_into().unwrap();
        let refused = private::open(&private_key(), &bytes(&values, "stored"), &of).unwrap_err();
        assert_eq!(refused.kind.sqlstate(), "AL003", "{name}");
    }
    for (name, part) in [
        ("attack_part_trailing_byte", [&good[..], &[0x00]].concat()),
        ("attack_part_long_integer", [&good[..1], &[0x18, 0x01], &good[2..]].concat()),
        ("attack_part_unknown_version", [&good[..1], &[0x02], &good[2..]].concat()),
        ("attack_part_short_salt", [&good[..2], &[0x4f], &good[4..]].concat()),
        ("attack_part_of_subjects", subjects()),
    ] {
        let path = format!("private/{name}.txt");
        check(&path, &[("part", HEXLOWER.encode(&part)), ("sqlstate", "XX001".into())]);
        let Err(refused) = Private::decode(&bytes(&read(&path), "part")) else { panic!("{name} is read") };
        assert_eq!(refused.kind.sqlstate(), "XX001", "{name}");
    }
}

/// Persons by their columns, as a reader of the file would write them, with what each stands for.
fn persons() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    const ID: [u8; 16] = [0x9b, 0x2d, 1, 2, 3, 4, 0x45, 6, 0x87, 8, 9, 10, 11, 12, 13, 14];
    let one = |value| form(&[value]);
    vec![
        ("integer 42", DOMAIN, one(Value::Integer(42))),
        ("integer -1", DOMAIN, one(Value::Integer(-1))),
        ("integer 43", DOMAIN, one(Value::Integer(43))),
        ("integer 42", "public.orders.id", one(Value::Integer(42))),
        ("numeric 42", DOMAIN, one(Value::Numeric(b"42"))),
        ("numeric 1.5", DOMAIN, one(Value::Numeric(b"1.5"))),
        ("numeric 9223372036854775808", DOMAIN, one(Value::Numeric(b"9223372036854775808"))),
        ("text Zoë", DOMAIN, one(Value::Text("Zoë".as_bytes()))),
        ("text", DOMAIN, one(Value::Text(b""))),
        ("uuid 9b2d0102-0304-4506-8708-090a0b0c0d0e", DOMAIN, one(Value::Uuid(&ID))),
        ("bytea 00ff", DOMAIN, one(Value::Bytes(&[0, 0xff]))),
        ("date 1999-12-31", DOMAIN, one(Value::Date(-1))),
        ("timestamp 2000-01-01 00:00:00.000001", DOMAIN, one(Value::Timestamp(1))),
        ("text SE, integer 7", "public.x.country,public.x.id", form(&[Value::Text(b"SE"), Value::Integer(7)])),
    ]
}

#[test]
fn persons_keep_their_names() {
    let mut lines = vec![("secret", HEXLOWER.encode(&SUBJECT_SECRET))];
    for (columns, domain, person) in persons() {
        let key = subject_key(domain);
        lines.push(("columns", columns.into()));
        lines.push(("domain", domain.into()));
        lines.push(("form", HEXLOWER.encode(&person)));
        lines.push(("token", HEXLOWER.encode(&key.token(&person))));
        lines.push(("hash", HEXLOWER.encode(&key.hash(&person).to_be_bytes())));
    }
    check("subjects/persons.txt", &lines);
}

#[test]
fn subject_parts_keep_their_bytes() {
    let place = || {
        let (epoch, domain) = (EPOCH.to_string(), DOMAIN.into());
        vec![("secret", HEXLOWER.encode(&SUBJECT_SECRET)), ("epoch", epoch), ("domain", domain)]
    };
    let part = subjects();
    let mut lines = place();
    lines.push(("part", HEXLOWER.encode(&part)));
    lines.push(("hash", HEXLOWER.encode(&hash(&part))));
    check("subjects/few.txt", &lines);

    let (salt, touched) = decode(&bytes(&read("subjects/few.txt"), "part")).unwrap();
    assert_eq!((salt, &touched[..]), (SALT, &[few(), Touched::undeclared(70_000)][..]));
    let key = subject_key(DOMAIN);
    let says = |id: i64| {
        let person = form(&[Value::Integer(id)]);
        touched[0].certainty(&key.token(&person), key.hash(&person))
    };
    assert_eq!((says(42), says(43), says(44)), (Some(Certainty::Exact), Some(Certainty::Possible), None));

    // a filter is too large for a file: its hash stands for it
    let mut many = Set::default();
    (1..=10_001).map(|id| form(&[Value::Integer(id)])).for_each(|p| many.insert(key.hash(&p), &p));
    let touched = Touched::new(7, (DOMAIN, EPOCH), &key, &many, &Set::default(), false);
    let [layer] = &touched.seen_filter[..] else { panic!("{} layers", touched.seen_filter.len()) };
    let mut lines = place();
    lines.push(("persons", "integer 1 to integer 10001".into()));
    lines.push(("seen", touched.seen.to_string()));
    lines.push(("layer_bytes", layer.len().to_string()));
    lines.push(("layer_sha256", HEXLOWER.encode(&hash(layer))));
    lines.push(("hash", HEXLOWER.encode(&hash(&encode(&SALT, vec![touched])))));
    check("subjects/many.txt", &lines);
}

#[test]
fn attack_subject_parts_are_refused() {
    let good = encode(&SALT, vec![few()]);
    assert_eq!(good[..3], [0x83, 0x01, 0x50]);
    // behind the salt: one scope, ten items, its number
    assert_eq!(good[19..22], [0x81, 0x8a, 0x07]);
    let tokens = good.windows(3).position(|bytes| bytes == [0x58, 0x30, few().tokens[0][0]]).unwrap();
    for (name, part) in [
        ("attack_trailing_byte", [&good[..], &[0x00]].concat()),
        ("attack_long_integer", [&good[..21], &[0x18, 0x07], &good[22..]].concat()),
        ("attack_indefinite_list", [&good[..19], &[0x9f], &good[20..], &[0xff]].concat()),
        ("attack_unknown_version", [&good[..1], &[0x02], &good[2..]].concat()),
        ("attack_short_salt", [&good[..2], &[0x4f], &good[4..]].concat()),
        ("attack_token_cut", [&good[..tokens], &[0x58, 0x2f], &good[tokens + 3..]].concat()),
        ("attack_private_part", private().encode()),
    ] {
        let path = format!("subjects/{name}.txt");
        check(&path, &[("part", HEXLOWER.encode(&part)), ("sqlstate", "XX001".into())]);
        let refused = decode(&bytes(&read(&path), "part")).unwrap_err();
        assert_eq!(refused.kind.sqlstate(), "XX001", "{name}");
    }
}
