use super::*;

const LIMITS: Limits = Limits { bytes: 1000, time: 1_000_000 };

pub(super) fn put(wire: &mut Wire, kind: u8, length: usize, active: Portal) -> Put {
    wire.put(kind, &vec![0; length], active, || 0, LIMITS)
}

/// A read that is its portal's own statement.
pub(super) fn direct(portal: Portal, number: Number) -> Wire {
    let mut wire = Wire::default();
    wire.begin(portal);
    wire.read(number, false);
    wire.outlet(portal, number, true);
    wire.runs(portal);
    wire
}

/// Writes what is due, as the pg half does.
pub(super) fn settle(wire: &mut Wire) -> Vec<(Number, Form, i64)> {
    let due = wire.due();
    for (number, form, _) in &due {
        wire.settled(*number, *form);
    }
    wire.released();
    due.into_iter().map(|(number, form, counts)| (number, form, counts.rows)).collect()
}

#[test]
fn nothing_is_held_for_nobody() {
    let mut wire = Wire::default();
    assert!(!wire.busy());
    assert_eq!(put(&mut wire, b'D', 5000, 7), Put::Pass);
    assert_eq!(wire.flush(0, LIMITS), Flush::Pass);
    assert_eq!(wire.due(), []);
}

#[test]
fn a_small_answer_is_one_record() {
    let mut wire = direct(7, 1);
    assert_eq!(put(&mut wire, b'T', 20, 0), Put::Hold);
    for _ in 0..3 {
        assert_eq!(put(&mut wire, b'D', 10, 7), Put::Hold);
    }
    wire.end(1);
    assert_eq!(put(&mut wire, b'C', 10, 0), Put::Hold);
    assert_eq!(put(&mut wire, b'Z', 1, 0), Put::Hold);
    assert_eq!(wire.held, 25 + 45 + 15 + 6);
    assert_eq!(wire.flush(0, LIMITS), Flush::Settle { durable: true });
    assert_eq!(wire.due(), [(1, Form::Exact, Counts { rows: 3, bytes: 45 })]);
    settle(&mut wire);
    assert!(!wire.busy() && wire.held == 0);
    assert_eq!(put(&mut wire, b'D', 5000, 7), Put::Pass);
}

#[test]
fn a_large_answer_is_opened_before_its_first_byte_and_closed_without_waiting() {
    let mut wire = direct(7, 1);
    assert_eq!(put(&mut wire, b'D', 995, 7), Put::Hold, "to the limit, and not beyond");
    assert_eq!(put(&mut wire, b'D', 10, 7), Put::Settle);
    assert_eq!(settle(&mut wire), [(1, Form::Open, 2)]);
    assert_eq!(put(&mut wire, b'D', 50_000, 7), Put::Pass);
    assert_eq!(wire.flush(0, LIMITS), Flush::Pass, "in mid-answer nothing is due");
    wire.end(1);
    assert_eq!(wire.flush(0, LIMITS), Flush::Settle { durable: false });
    assert_eq!(settle(&mut wire), [(1, Form::Final, 3)]);
    assert!(!wire.busy());
}

#[test]
fn one_message_beyond_the_limit_is_not_held_at_all() {
    let mut wire = direct(7, 1);
    assert_eq!(put(&mut wire, b'D', 100_000, 7), Put::Settle);
}

#[test]
fn a_flush_in_mid_answer_opens() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b's', 0, 0);
    assert_eq!(wire.flush(0, LIMITS), Flush::Settle { durable: true });
    assert_eq!(settle(&mut wire), [(1, Form::Open, 1)]);
    put(&mut wire, b'D', 10, 7);
    wire.end(1);
    assert_eq!(settle(&mut wire), [(1, Form::Final, 2)]);
}

#[test]
fn a_notice_does_not_release_an_answer_before_its_time() {
    let mut wire = direct(7, 1);
    assert_eq!(wire.put(b'D', &[0; 10], 7, || 100, LIMITS), Put::Hold);
    assert_eq!(wire.put(b'N', &[0; 10], 7, || 200, LIMITS), Put::Hold);
    assert_eq!(wire.flush(200, LIMITS), Flush::Hold);
    assert_eq!(wire.flush(100 + LIMITS.time, LIMITS), Flush::Settle { durable: true });
    // many of them fill the buffer like anything else
    let puts: Vec<Put> = (0..100).map(|_| put(&mut wire, b'N', 10, 7)).collect();
    assert_eq!(puts.iter().position(|p| *p == Put::Settle), Some(64));
    // an error goes out at once, whatever came before it
    put(&mut wire, b'E', 10, 0);
    assert_eq!(wire.flush(200, LIMITS), Flush::Settle { durable: true });
}

#[test]
fn a_notice_of_a_session_that_holds_nothing_is_sent() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'D', 10, 7);
    settle(&mut wire);
    put(&mut wire, b'N', 10, 7);
    assert_eq!(wire.flush(0, LIMITS), Flush::Pass);
}

#[test]
fn rows_belong_to_the_portal_that_sends_them() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'D', 10, 7);
    wire.end(1);
    put(&mut wire, b'C', 10, 0);
    // the next statement of the same message reads nothing: SHOW
    wire.begin(8);
    put(&mut wire, b'D', 10, 8);
    put(&mut wire, b'D', 10, 8);
    assert_eq!(wire.due(), [(1, Form::Exact, Counts { rows: 1, bytes: 15 })]);
}

#[test]
fn rows_that_come_out_of_a_store_after_the_executor_ended_are_counted() {
    // EXECUTE fills a store, and its rows follow
    let mut wire = Wire::default();
    wire.begin(7);
    wire.read(1, false);
    wire.outlet(7, 1, false);
    wire.end(1);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b's', 0, 0);
    // nothing says that the rest will not be fetched, so this is not the end
    assert_eq!(settle(&mut wire), [(1, Form::Open, 1)]);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b'D', 10, 7);
    // another portal's completion is not this one's
    wire.begin(8);
    wire.runs(8);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), []);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Final, 4)]);
}

#[test]
fn a_cursor_is_one_read_however_often_it_is_fetched_from() {
    let mut wire = Wire::default();
    wire.begin(7); // DECLARE
    wire.runs(7);
    wire.read(1, false);
    wire.outlet(7, 1, false);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Open, 0)]);
    for (portal, rows) in [(8, 3), (9, 2), (8, 1)] {
        wire.begin(portal);
        wire.outlet(portal, 1, false);
        (0..rows).for_each(|_| assert_eq!(put(&mut wire, b'D', 10, portal), Put::Pass));
        put(&mut wire, b'C', 10, 0);
        assert_eq!(settle(&mut wire), []);
    }
    wire.end(1);
    assert_eq!(settle(&mut wire), [(1, Form::Final, 6)]);
}

#[test]
fn an_answered_portal_is_on_record_and_begins_anew_when_it_goes_on() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Exact, 1)]);
    assert!(wire.at_rest(1) && !wire.busy() && wire.due().is_empty());
    // FETCH BACKWARD from the portal of an extended query
    wire.begin(8);
    wire.revive(1, 2);
    wire.outlet(8, 2, false);
    assert!(wire.busy() && wire.holding());
    assert_eq!(put(&mut wire, b'D', 10, 8), Put::Hold);
    put(&mut wire, b'C', 10, 0);
    wire.end(2);
    assert_eq!(settle(&mut wire), [(2, Form::Exact, 1)]);
}

#[test]
fn a_portal_at_rest_ends_without_a_word() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'C', 10, 0);
    settle(&mut wire);
    assert!(wire.end(1), "nothing is left to say");
    assert!(!wire.at_rest(1));
    assert!(!direct(7, 2).end(2));
}

#[test]
fn the_completion_of_another_portal_answers_nothing() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b's', 0, 0);
    wire.begin(8);
    put(&mut wire, b'D', 10, 8);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Open, 1)]);
    wire.runs(7);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Final, 1)]);
}

#[test]
fn a_header_line_and_a_binary_trailer_are_no_rows() {
    for (header, binary, messages, rows) in
        [(false, false, 3, 3), (true, false, 3, 2), (true, false, 1, 0), (false, true, 3, 2), (false, true, 1, 0)]
    {
        let mut wire = Wire::default();
        wire.begin(7);
        wire.read(1, false);
        wire.runs(7);
        wire.copies(7, header);
        wire.outlet(7, 1, false);
        wire.put(b'H', &[u8::from(binary), 0, 0], 7, || 0, LIMITS);
        (0..messages).for_each(|_| {
            put(&mut wire, b'd', 10, 7);
        });
        put(&mut wire, b'c', 0, 7);
        wire.end(1);
        put(&mut wire, b'C', 0, 0);
        assert_eq!(wire.due(), [(1, Form::Exact, Counts { rows, bytes: messages * 15 })], "{header} {binary}");
    }
}

#[test]
fn a_binary_copy_that_fails_has_no_trailer() {
    let mut wire = Wire::default();
    wire.begin(7);
    wire.read(1, false);
    wire.outlet(7, 1, false);
    wire.put(b'H', &[1, 0, 0], 7, || 0, LIMITS);
    put(&mut wire, b'd', 10, 7);
    put(&mut wire, b'E', 10, 0);
    assert_eq!(wire.due(), [(1, Form::Open, Counts { rows: 1, bytes: 15 })]);
}

#[test]
fn several_reads_of_one_answer_count_what_it_sent() {
    // a statement of its own, and a function in it that reads as somebody else
    let mut wire = direct(7, 1);
    wire.read(2, false);
    wire.outlet(7, 2, false);
    wire.outlet(7, 2, false);
    put(&mut wire, b'D', 10, 7);
    wire.end(1);
    wire.end(2);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Exact, 1), (2, Form::Exact, 1)]);
}

#[test]
fn a_read_on_record_from_the_start_holds_nothing() {
    let mut wire = Wire::default();
    wire.begin(7);
    wire.read(1, true);
    wire.outlet(7, 1, true);
    assert!(wire.busy() && !wire.holding() && wire.is_recorded(1));
    assert_eq!(put(&mut wire, b'D', 10, 7), Put::Pass);
    wire.end(1);
    assert_eq!(wire.flush(0, LIMITS), Flush::Settle { durable: false });
    assert_eq!(settle(&mut wire), [(1, Form::Final, 1)]);
}

#[test]
fn an_error_that_ends_the_session_is_told_by_its_fields() {
    assert_eq!(fatal(b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"), Some("57P01"));
    assert_eq!(fatal(b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0"), None);
    // in another language, and with a message that tries to look like a field
    assert_eq!(fatal("SFEHLER\0VERROR\0C22012\0MVFATAL\0\0".as_bytes()), None);
    assert_eq!(fatal(b"VPANIC\0"), Some(""));
    assert_eq!(fatal(b""), None);
}

/// Any order of events: nothing leaves before a record that names it, and no row is missing from the sum of the records.
#[test]
fn no_order_of_events_lets_an_unrecorded_byte_out() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    for _ in 0..20_000 {
        let mut wire = Wire::default();
        let mut next = 1;
        // what the buffer holds unsent, by read; what was sent; what is on record
        let (mut buffer, mut sent): (Vec<Number>, Vec<Number>) = (Vec::new(), Vec::new());
        let mut recorded: std::collections::HashMap<Number, (bool, i64)> = std::collections::HashMap::new();
        let mut portal_of: Vec<(Portal, Number)> = Vec::new();
        for _ in 0..random(40) {
            let send = match random(8) {
                0 => {
                    let portal = random(3) as usize + 1;
                    wire.begin(portal);
                    portal_of.retain(|(p, _)| *p != portal);
                    let recorded_already = random(4) == 0;
                    wire.read(next, recorded_already);
                    if recorded_already {
                        recorded.insert(next, (true, 0));
                    }
                    wire.outlet(portal, next, random(2) == 0);
                    portal_of.push((portal, next));
                    next += 1;
                    false
                }
                1 => {
                    if let Some((_, number)) = portal_of.get(random(3) as usize) {
                        wire.end(*number);
                    }
                    false
                }
                2 => {
                    put(&mut wire, b'C', 1, 0) == Put::Settle && {
                        note(&mut wire, &mut recorded);
                        true
                    }
                }
                3 => match wire.flush(0, LIMITS) {
                    Flush::Settle { .. } => {
                        note(&mut wire, &mut recorded);
                        true
                    }
                    Flush::Pass => true,
                    Flush::Hold => false,
                },
                _ => {
                    let Some((portal, number)) = portal_of.get(random(3) as usize).copied() else { continue };
                    let number = if wire.at_rest(number) {
                        wire.revive(number, next);
                        portal_of.iter_mut().filter(|(_, n)| *n == number).for_each(|(_, n)| *n = next);
                        next += 1;
                        next - 1
                    } else {
                        number
                    };
                    if !wire.reads.iter().any(|r| r.number == number && r.state != State::Ended) {
                        continue; // an executor that ended sends nothing
                    }
                    buffer.push(number);
                    wire.runs(portal);
                    wire.outlet(portal, number, random(2) == 0);
                    match put(&mut wire, b'D', random(400) as usize, portal) {
                        Put::Pass => true,
                        Put::Hold => false,
                        Put::Settle => {
                            note(&mut wire, &mut recorded);
                            true
                        }
                    }
                }
            };
            if send {
                sent.append(&mut buffer);
            }
            for number in &sent {
                assert!(recorded.contains_key(number), "row of {number} left without a record");
            }
        }
        // the end of the transaction and the last flush
        (1..next).for_each(|n| {
            wire.end(n);
        });
        wire.transaction_ends();
        note(&mut wire, &mut recorded);
        sent.append(&mut buffer);
        for number in 1..next {
            let rows = sent.iter().filter(|n| **n == number).count() as i64;
            if let Some((open, counted)) = recorded.get(&number) {
                assert_eq!((*open, *counted), (false, rows), "read {number}");
            } else {
                assert_eq!(rows, 0);
            }
        }
    }
}

fn note(wire: &mut Wire, recorded: &mut std::collections::HashMap<Number, (bool, i64)>) {
    for (number, form, counts) in wire.due() {
        recorded.insert(number, (form == Form::Open, counts.rows));
        wire.settled(number, form);
    }
    wire.released();
}
