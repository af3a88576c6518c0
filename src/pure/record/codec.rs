//! Record ↔ bytes: deterministic CBOR (RFC 8949 section 4.2), read strictly.

use minicbor::{Decoder, Encoder};

use super::{code, from_code, Outcome, Record, RecordKind, StatementId, RECORD_VERSION};
use crate::pure::error::{Error, Kind, Result};

/// The record's bytes: deterministic CBOR, in the oldest version that has all it says. Give them to [`check_size`] before they are sealed.
pub fn encode(record: &Record) -> Vec<u8> {
    // A Vec takes every byte. Were it ever to fail, the empty result is refused by `check_size`: no record, no row.
    write(record).unwrap_or_default()
}

type Written<T> = std::result::Result<T, minicbor::encode::Error<std::convert::Infallible>>;

fn write(r: &Record) -> Written<Vec<u8>> {
    let texts = [&r.client_addr, &r.tls, &r.purpose, &r.sqlstate, &r.detail];
    let counts = [&r.rows_sent, &r.bytes_sent, &r.duration_us];
    let present = texts.iter().filter(|m| m.is_some()).count() + counts.iter().filter(|m| m.is_some()).count();
    let lists = [&r.returned, &r.filtered, &r.base_columns].iter().filter(|l| !l.is_empty()).count();
    let hashes = [&r.private, &r.subjects].iter().filter(|h| h.is_some()).count();
    let members = 14 + present + usize::from(r.outcome.is_some()) + lists + hashes + usize::from(!r.scopes.is_empty());

    let mut e = Encoder::new(Vec::with_capacity(512 + r.statement.len()));
    e.map(members as u64)?;
    e.u8(0)?.u8(r.version())?;
    e.u8(1)?.u8(code(&RecordKind::ALL, r.kind))?;
    e.u8(2)?.i64(r.at)?;
    e.u8(3)?.array(3)?.i64(r.statement_id.backend_start)?.i32(r.statement_id.pid)?.u64(r.statement_id.n)?;
    e.u8(4)?.str(&r.subprocessor)?;
    e.u8(5)?.str(&r.contract)?;
    e.u8(6)?.str(&r.login_role)?;
    e.u8(7)?.str(&r.session_role)?;
    e.u8(8)?.str(&r.acting_role)?;
    write_text(&mut e, 9, &r.client_addr)?;
    write_text(&mut e, 10, &r.tls)?;
    e.u8(11)?.str(&r.application_name)?;
    e.u8(12)?.str(&r.database)?;
    write_list(&mut e, 13, &r.views)?;
    write_list(&mut e, 14, &r.columns)?;
    write_text(&mut e, 15, &r.purpose)?;
    e.u8(16)?.str(&r.statement)?;
    if let Some(outcome) = r.outcome {
        e.u8(17)?.u8(code(&Outcome::ALL, outcome))?;
    }
    write_text(&mut e, 18, &r.sqlstate)?;
    write_count(&mut e, 19, r.rows_sent)?;
    write_count(&mut e, 20, r.bytes_sent)?;
    write_count(&mut e, 21, r.duration_us)?;
    write_text(&mut e, 22, &r.detail)?;
    for (key, list) in [(23, &r.returned), (24, &r.filtered), (25, &r.base_columns)] {
        // absent when empty, as every member that a first version does not have
        if !list.is_empty() {
            write_list(&mut e, key, list)?;
        }
    }
    for (key, hash) in [(26, &r.private), (27, &r.subjects)] {
        if let Some(hash) = hash {
            e.u8(key)?.bytes(hash)?;
        }
    }
    if !r.scopes.is_empty() {
        e.u8(28)?.array(r.scopes.len() as u64)?;
        for scope in &r.scopes {
            e.i32(*scope)?;
        }
    }
    Ok(e.into_writer())
}

fn write_text(e: &mut Encoder<Vec<u8>>, key: u8, value: &Option<String>) -> Written<()> {
    match value {
        Some(text) => e.u8(key)?.str(text)?.ok(),
        None => Ok(()),
    }
}

fn write_count(e: &mut Encoder<Vec<u8>>, key: u8, value: Option<i64>) -> Written<()> {
    match value {
        Some(count) => e.u8(key)?.i64(count)?.ok(),
        None => Ok(()),
    }
}

fn write_list(e: &mut Encoder<Vec<u8>>, key: u8, items: &[String]) -> Written<()> {
    e.u8(key)?.array(items.len() as u64)?;
    for item in items {
        e.str(item)?;
    }
    Ok(())
}

/// The record of its bytes.
///
/// Errors: `Unsupported` for another version; `Corrupt` for anything that [`encode`] would not write exactly so.
pub fn decode(bytes: &[u8]) -> Result<Record> {
    match decode_first(bytes)? {
        (record, length) if length == bytes.len() => Ok(record),
        _ => Err(not_canonical()),
    }
}

/// The record that these bytes begin with, and its length.
pub(super) fn decode_first(bytes: &[u8]) -> Result<(Record, usize)> {
    let mut d = Decoder::new(bytes);
    let members = d.map().map_err(malformed)?.ok_or_else(not_canonical)?;
    if d.u8().map_err(malformed)? != 0 {
        return Err(not_canonical());
    }
    let version = d.u64().map_err(malformed)?;
    if !(1..=u64::from(RECORD_VERSION)).contains(&version) {
        return Err(Error::new(Kind::Unsupported, format!("read record has unknown version {version}"))
            .hint("Run ALTER EXTENSION pg_airlock UPDATE with the release that wrote the record."));
    }
    let mut record = Record::new(RecordKind::Heartbeat, 0, StatementId { backend_start: 0, pid: 0, n: 0 });
    // The count may be a lie of any size: the loop ends at the first member that is not there.
    for _ in 1..members {
        read_member(&mut d, &mut record)?;
    }
    // Order, repeats, missing members, long forms: all show as another encoding of the same record.
    if bytes.get(..d.position()) != Some(&encode(&record)[..]) {
        return Err(not_canonical());
    }
    Ok((record, d.position()))
}

fn read_member(d: &mut Decoder<'_>, r: &mut Record) -> Result<()> {
    match d.u8().map_err(malformed)? {
        1 => r.kind = from_code(&RecordKind::ALL, d.u8().map_err(malformed)?).ok_or_else(not_canonical)?,
        2 => r.at = d.i64().map_err(malformed)?,
        3 => r.statement_id = read_statement_id(d)?,
        4 => r.subprocessor = read_text(d)?,
        5 => r.contract = read_text(d)?,
        6 => r.login_role = read_text(d)?,
        7 => r.session_role = read_text(d)?,
        8 => r.acting_role = read_text(d)?,
        9 => r.client_addr = Some(read_text(d)?),
        10 => r.tls = Some(read_text(d)?),
        11 => r.application_name = read_text(d)?,
        12 => r.database = read_text(d)?,
        13 => r.views = read_list(d)?,
        14 => r.columns = read_list(d)?,
        15 => r.purpose = Some(read_text(d)?),
        16 => r.statement = read_text(d)?,
        17 => r.outcome = Some(from_code(&Outcome::ALL, d.u8().map_err(malformed)?).ok_or_else(not_canonical)?),
        18 => r.sqlstate = Some(read_text(d)?),
        19 => r.rows_sent = Some(d.i64().map_err(malformed)?),
        20 => r.bytes_sent = Some(d.i64().map_err(malformed)?),
        21 => r.duration_us = Some(d.i64().map_err(malformed)?),
        22 => r.detail = Some(read_text(d)?),
        23 => r.returned = read_list(d)?,
        24 => r.filtered = read_list(d)?,
        25 => r.base_columns = read_list(d)?,
        26 => r.private = Some(read_hash(d)?),
        27 => r.subjects = Some(read_hash(d)?),
        28 => {
            for _ in 0..d.array().map_err(malformed)?.ok_or_else(not_canonical)? {
                r.scopes.push(d.i32().map_err(malformed)?);
            }
        }
        _ => return Err(not_canonical()),
    }
    Ok(())
}

fn read_statement_id(d: &mut Decoder<'_>) -> Result<StatementId> {
    if d.array().map_err(malformed)? != Some(3) {
        return Err(not_canonical());
    }
    let backend_start = d.i64().map_err(malformed)?;
    let pid = d.i32().map_err(malformed)?;
    let n = d.u64().map_err(malformed)?;
    Ok(StatementId { backend_start, pid, n })
}

fn read_text(d: &mut Decoder<'_>) -> Result<String> {
    d.str().map(str::to_owned).map_err(malformed)
}

fn read_hash(d: &mut Decoder<'_>) -> Result<[u8; 32]> {
    d.bytes().map_err(malformed)?.try_into().map_err(|_| not_canonical())
}

fn read_list(d: &mut Decoder<'_>) -> Result<Vec<String>> {
    let count = d.array().map_err(malformed)?.ok_or_else(not_canonical)?;
    // No capacity from the count: it is not to be believed before the items are there.
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read_text(d)?);
    }
    Ok(items)
}

// The decoder's own text is dropped: it may quote what it found.
pub(super) fn malformed(_: minicbor::decode::Error) -> Error {
    Error::new(Kind::Corrupt, "read record is malformed").hint("Run SELECT * FROM airlock.verify_log().")
}

pub(super) fn not_canonical() -> Error {
    Error::new(Kind::Corrupt, "read record is not in its one canonical form")
        .hint("Run SELECT * FROM airlock.verify_log().")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> StatementId {
        StatementId { backend_start: 1, pid: 2, n: 3 }
    }

    fn full() -> Record {
        Record {
            subprocessor: "acme".into(),
            client_addr: Some("192.0.2.7".into()),
            views: vec!["acme.customers".into()],
            columns: vec!["acme.customers.email".into(), "acme.customers.id".into()],
            returned: vec!["acme.customers.email".into()],
            outcome: Some(Outcome::Cancelled),
            sqlstate: Some("57014".into()),
            rows_sent: Some(i64::MAX),
            bytes_sent: Some(0),
            duration_us: Some(-1),
            ..Record::new(RecordKind::Outcome, i64::MIN, id())
        }
    }

    // Members after the version: a valid minimal record to damage by hand.
    fn minimal() -> Vec<u8> {
        encode(&Record::new(RecordKind::Heartbeat, 0, id()))
    }

    #[test]
    fn encodes_as_written_down() {
        assert_eq!(minimal()[..6], [0xae, 0x00, 0x01, 0x01, 0x07, 0x02]); // map(14), 0: 1, 1: 7, 2: …
        assert_eq!(decode(&minimal()), Ok(Record::new(RecordKind::Heartbeat, 0, id())));
        assert_eq!(decode(&encode(&full())), Ok(full()));
    }

    #[test]
    fn absent_is_not_empty() {
        let empty = Record { purpose: Some(String::new()), ..full() };
        assert_ne!(encode(&empty), encode(&full()));
        assert_eq!(decode(&encode(&empty)), Ok(empty));
    }

    #[test]
    fn refuses_an_unknown_version() {
        let mut bytes = minimal();
        bytes[2] = 3;
        assert_eq!(decode(&bytes).unwrap_err().kind, Kind::Unsupported);
        bytes[2] = 0;
        assert_eq!(decode(&bytes).unwrap_err().kind, Kind::Unsupported);
    }

    #[test]
    fn members_of_a_later_version_make_a_record_one_of_it() {
        let plain = Record { returned: Vec::new(), ..full() };
        assert_eq!(encode(&plain)[2], 1);
        for record in [
            full(),
            Record { filtered: vec![String::new()], ..plain.clone() },
            Record { base_columns: vec!["public.customers.email".into(); 2], ..plain.clone() },
            Record { private: Some([1; 32]), ..plain.clone() },
            Record { subjects: Some([2; 32]), scopes: vec![3, -1], ..plain.clone() },
        ] {
            let bytes = encode(&record);
            assert_eq!(bytes[2], 2);
            assert_eq!(decode(&bytes), Ok(record));
        }
        // an empty list is written as an absent one, and only so
        let empty = [&minimal()[..], &[0x17, 0x80]].concat();
        let empty = [&[0xaf], &empty[1..]].concat();
        assert_eq!(decode(&empty).map_err(|e| e.kind), Err(Kind::Corrupt));
    }

    #[test]
    fn a_record_has_the_oldest_version_that_can_say_it() {
        for (kind, version) in
            [(RecordKind::Intent, 1), (RecordKind::Outcome, 1), (RecordKind::Exact, 2), (RecordKind::Open, 2)]
        {
            let record = Record { kind, returned: Vec::new(), ..full() };
            let mut bytes = encode(&record);
            assert_eq!(bytes[2], version, "{kind:?}");
            assert_eq!(decode(&bytes), Ok(record));
            bytes[2] = 3 - version;
            assert_eq!(decode(&bytes).unwrap_err().kind, Kind::Corrupt, "{kind:?} in the other version");
        }
    }

    #[test]
    fn refuses_other_encodings_of_the_same_record() {
        let good = minimal();
        let damaged: [(&str, Vec<u8>); 6] = [
            ("trailing byte", [&good[..], &[0]].concat()),
            ("long form of an integer", [&good[..4], &[0x18, 0x07], &good[5..]].concat()),
            ("long form of the version", [&good[..2], &[0x18, 0x01], &good[3..]].concat()),
            ("long form of the map's length", [&[0xb8, 14], &good[1..]].concat()),
            ("indefinite map", [&[0xbf], &good[1..], &[0xff]].concat()),
            ("members swapped", [&good[..3], &good[5..7], &good[3..5], &good[7..]].concat()),
        ];
        for (what, bytes) in damaged {
            assert_eq!(decode(&bytes).map_err(|e| e.kind), Err(Kind::Corrupt), "{what}");
        }
    }

    #[test]
    fn refuses_members_missing_repeated_or_unknown() {
        let good = minimal();
        let mut fewer = good[..good.len() - 2].to_vec(); // 16: "" is the last member of a minimal record
        fewer[0] = 0xad;
        let mut repeated = [&good[..], &[0x10, 0x60]].concat();
        repeated[0] = 0xaf;
        let mut unknown = [&good[..], &[0x18, 0x63, 0x60]].concat();
        unknown[0] = 0xaf;
        for bytes in [fewer, repeated, unknown] {
            assert_eq!(decode(&bytes).map_err(|e| e.kind), Err(Kind::Corrupt));
        }
    }

    #[test]
    fn a_lying_length_costs_nothing() {
        for lie in [
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x01][..],
            &[0xa2, 0x00, 0x01, 0x0d, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0xa2, 0x00, 0x01, 0x10, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        ] {
            assert_eq!(decode(lie).map_err(|e| e.kind), Err(Kind::Corrupt));
        }
        assert_eq!(decode(&[]).map_err(|e| e.kind), Err(Kind::Corrupt));
    }

    #[test]
    fn every_truncation_is_refused() {
        let good = encode(&full());
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_err(), "cut after {end} bytes");
        }
    }
}
