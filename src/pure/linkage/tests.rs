use super::*;

fn column(values: &[u64]) -> Distinct {
    Distinct::of(values.iter().copied())
}

fn pair(a: &Distinct, b: &Distinct) -> Pair {
    Pair { values: (a.len(), b.len()), common: common(a, b), ..Pair::default() }
}

#[test]
fn counting() {
    let a = column(&[5, 7, 5, 9, NULL]);
    assert_eq!((a.len(), a.rows(), a.singles(), a.is_empty()), (3, 4, 2, false));
    let b = column(&[5, 9, 9, 9, 11]);
    let found = common(&a, &b);
    assert_eq!((found.values, found.rows_a, found.rows_b), (2, 3, 4));
    // 5: 2/4 * 1/5, 9: 1/4 * 3/5
    assert!((found.chance - 0.25).abs() < 1e-9);
    assert_eq!(common(&a, &Distinct::default()), Common::default());
    assert_eq!(singled_out([3, 3, 4, NULL, NULL, 8].into_iter()), (4, 2));
}

/// Both see the same column, clear.
#[test]
fn a_column_that_both_see_joins_however_few_rows_there_are() {
    for n in [2, 3, 90, 10_000] {
        let a = Distinct::of(1..=n);
        let aligned = Some(Aligned { rows: n, agree: n });
        let both = Pair { same_column: true, same_meaning: true, same_rule: true, aligned, ..pair(&a, &a) };
        assert_eq!(judge(&both), Some(Kind::Link), "{n}");
        // keyed apart: no value in common
        let other = Distinct::of(1_000_000..1_000_000 + n);
        let keyed = Pair {
            same_column: true,
            same_meaning: true,
            aligned: Some(Aligned { rows: n, agree: 0 }),
            ..pair(&a, &other)
        };
        assert_eq!(judge(&keyed), Some(Kind::None));
        assert!(message(&keyed, Kind::None, (true, true)).contains("a key of its own"));
    }
}

#[test]
fn few_values_narrow_and_one_tells_nothing() {
    let years = Distinct::of((0..900).map(|n| n % 30 + 1));
    let both = Pair { same_column: true, same_meaning: true, same_rule: true, ..pair(&years, &years) };
    let seen = Pair { aligned: Some(Aligned { rows: 900, agree: 900 }), ..both };
    assert_eq!(judge(&seen), Some(Kind::Weak));
    assert_eq!(
        message(&seen, Kind::Weak, (false, false)),
        "they narrow: a value in common stands for 30.0 rows and 30.0 rows"
    );
    // a name of rows joins although each stands in many
    assert_eq!(judge(&Pair { names: true, ..seen }), Some(Kind::Link));
    let one = column(&[7; 100]);
    let starred = Pair {
        same_column: true,
        same_rule: true,
        aligned: Some(Aligned { rows: 100, agree: 100 }),
        ..pair(&one, &one)
    };
    assert_eq!(judge(&starred), Some(Kind::None));
}

/// Buckets under two keys: the same numbers everywhere, and not in the same rows.
#[test]
fn buckets_meet_by_chance_only() {
    let buckets = Distinct::of((0..10_000).map(|n| n % 16 + 1));
    let both = Pair { same_column: true, same_meaning: true, ..pair(&buckets, &buckets) };
    let apart = Pair { aligned: Some(Aligned { rows: 10_000, agree: 640 }), ..both };
    assert_eq!(judge(&apart), Some(Kind::None));
    assert!(message(&apart, Kind::None, (true, true)).contains("no more than chance"));
    // under one key they are
    let same = Pair { aligned: Some(Aligned { rows: 10_000, agree: 10_000 }), ..both };
    assert_eq!(judge(&same), Some(Kind::Weak));
}

#[test]
fn columns_of_two_tables() {
    let ids = Distinct::of(1..=1000);
    let orders = Distinct::of((0..5000).map(|n| n % 500 + 1));
    // by a foreign key
    let referred = Pair { same_meaning: true, same_rule: true, names: true, expected: 1000.0, ..pair(&ids, &orders) };
    assert_eq!(judge(&referred), Some(Kind::Link));
    // numbers from 1 on, of other things
    let others = Pair { expected: 500.0, ..pair(&ids, &orders) };
    assert_eq!(judge(&others), None);
    // texts of which so many are no accident
    assert_eq!(judge(&Pair { expected: 0.1, ..pair(&ids, &Distinct::of(1..=800)) }), Some(Kind::Link));
    assert_eq!(judge(&Pair { expected: 0.1, ..pair(&ids, &orders) }), Some(Kind::Weak));
    // two columns of one table with the same words, in other rows
    let elsewhere = Pair { expected: 0.1, aligned: Some(Aligned { rows: 1000, agree: 1 }), ..pair(&ids, &ids) };
    assert_eq!(judge(&elsewhere), None);
    // a permutation of small numbers meets another now and then
    let few = Pair { same_meaning: true, expected: 2.3, ..pair(&ids, &Distinct::of(997..=2000)) };
    assert_eq!(judge(&few), Some(Kind::None));
}
