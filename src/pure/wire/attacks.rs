//! Orders of messages that once closed a read too early.

use super::tests::{direct, put, settle};
use super::*;

/// EXECUTE, whose rows come out of a store after its executor has ended, in a portal of that address.
fn stored(portal: Portal, number: Number) -> Wire {
    let mut wire = Wire::default();
    wire.begin(portal);
    wire.runs(portal);
    wire.read(number, false);
    wire.outlet(portal, number, false);
    wire.end(number);
    wire
}

#[test]
fn attack_a_store_larger_than_what_is_held_is_not_closed_in_mid_answer() {
    let mut wire = stored(7, 1);
    let puts: Vec<Put> = (0..20).map(|_| put(&mut wire, b'D', 95, 7)).take_while(|p| *p == Put::Hold).collect();
    assert_eq!(settle(&mut wire), [(1, Form::Open, puts.len() as i64 + 1)]);
    put(&mut wire, b'D', 95, 7);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Final, puts.len() as i64 + 2)]);
}

#[test]
fn attack_a_read_does_not_rest_while_another_portal_has_rows_of_it() {
    // FETCH in a portal of its own, suspended; then the cursor itself is executed to its end
    let mut wire = direct(7, 1);
    wire.begin(8);
    wire.runs(8);
    wire.outlet(8, 1, false);
    put(&mut wire, b'D', 10, 8);
    put(&mut wire, b's', 0, 0);
    wire.runs(7);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Open, 2)]);
    put(&mut wire, b'D', 10, 8);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Final, 3)]);
}

#[test]
fn attack_a_completion_out_of_an_empty_store_is_nobodys() {
    let mut wire = stored(7, 1);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b's', 0, 0);
    // bound, not run
    wire.begin(8);
    wire.read(2, false);
    wire.outlet(8, 2, true);
    put(&mut wire, b'C', 10, 0);
    assert_eq!(settle(&mut wire), [(1, Form::Open, 1), (2, Form::Open, 0)]);
}

#[test]
fn attack_an_answered_read_that_goes_on_is_not_closed() {
    let mut wire = direct(7, 1);
    put(&mut wire, b'D', 10, 7);
    put(&mut wire, b'C', 10, 0);
    wire.runs(7);
    wire.outlet(7, 1, true);
    put(&mut wire, b'D', 10, 7);
    assert_eq!(settle(&mut wire), [(1, Form::Open, 2)]);
}
