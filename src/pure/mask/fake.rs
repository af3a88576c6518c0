//! `fake`: a value of the same kind from built-in lists: another name, another company, another address.
//!
//! The lists are English. First and last names are common ones; cities and companies are made up, streets are named
//! after what streets are named after. All are ASCII, one entry a line in `fake/`, sorted, and no two entries of a list
//! start with the same word.
//!
//! The lists and the order of the picks never change (C13): one entry more moves every pick, and sub-processors have
//! stored the old ones. Other entries are another locale or another kind.

/// The one locale that there is.
pub const LOCALE: &str = "en";

/// Longest value, in bytes, that a pick is compared with. No fake is as long, so a longer value cannot be one.
const COMPARED: usize = 256;

/// The one character beside A to Z whose lower case is an ASCII letter: the kelvin sign, for k.
const KELVIN: char = '\u{212a}';

/// Numbers at the end of a fake address: 0000 to 9999.
const NUMBERS: u64 = 10_000;

static FIRST_NAMES: [&str; 1266] = lines(include_str!("fake/first_names.txt"));
static LAST_NAMES: [&str; 1515] = lines(include_str!("fake/last_names.txt"));
static COMPANIES: [&str; 741] = lines(include_str!("fake/companies.txt"));
static STREETS: [&str; 750] = lines(include_str!("fake/streets.txt"));
static CITIES: [&str; 784] = lines(include_str!("fake/cities.txt"));

/// What a fake is a fake of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// one word
    FirstName,
    /// one word
    LastName,
    /// a first and a last name
    FullName,
    /// a name and a suffix such as `Ltd`
    Company,
    /// a name and `Street`, `Road` or the like, without a house number
    Street,
    /// one word
    City,
    /// `first.last` and four digits at `example.com`, which RFC 2606 keeps free of mailboxes
    Email,
}

impl Kind {
    /// Every choice, in the order of the documentation.
    pub const ALL: [Kind; 7] =
        [Kind::FirstName, Kind::LastName, Kind::FullName, Kind::Company, Kind::Street, Kind::City, Kind::Email];

    /// The word in a scope definition.
    pub fn label(self) -> &'static str {
        match self {
            Kind::FirstName => "first_name",
            Kind::LastName => "last_name",
            Kind::FullName => "full_name",
            Kind::Company => "company",
            Kind::Street => "street",
            Kind::City => "city",
            Kind::Email => "email",
        }
    }

    /// The choice of a word, exactly as [`Kind::label`] writes it.
    pub fn from_label(label: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

/// `fake`: a fake of that kind for `value`, picked by `bits`, the PRF of the value. Never the value itself, in any case
/// of letters.
///
/// Four picks have eight bytes each, big endian: first name, last name, the four digits, and whatever else there is one
/// of. So the fake first name of a value is the one in its fake full name. A pick is those bytes modulo the length of
/// the list; with at most 10,000 to pick from the bias is below 2^-50.
///
/// An entry whose first word is a word of the value gives way to the next one, the last to the first: `Ada Lovelace`
/// becomes neither an Ada nor a Lovelace, `12 Alder Street` no other Alder either. Words are runs of A to Z, whatever the
/// case; a value above 256 bytes is no name and is not compared, so the work is bounded. Nothing about the value's form
/// matters: an empty value and garbage have a fake like any other.
pub fn fake(bits: &[u8; 32], value: &str, kind: Kind) -> String {
    let [first, last, digits, other] = chunks(bits);
    let first = || pick(&FIRST_NAMES, first, value);
    let last = || pick(&LAST_NAMES, last, value);
    match kind {
        Kind::FirstName => first().to_owned(),
        Kind::LastName => last().to_owned(),
        Kind::FullName => format!("{} {}", first(), last()),
        Kind::Company => pick(&COMPANIES, other, value).to_owned(),
        Kind::Street => pick(&STREETS, other, value).to_owned(),
        Kind::City => pick(&CITIES, other, value).to_owned(),
        Kind::Email => {
            let mut out = format!("{}.{}{:04}@example.com", first(), last(), digits % NUMBERS);
            out.make_ascii_lowercase();
            out
        }
    }
}

/// Four disjoint numbers of the PRF.
fn chunks(bits: &[u8; 32]) -> [u64; 4] {
    let (chunks, _) = bits.as_chunks();
    [0, 1, 2, 3].map(|n: usize| u64::from_be_bytes(chunks[n]))
}

/// The entry at `number` modulo the length, or the next one that the value does not hold.
///
/// There is one: a value that is compared has at most 128 words, and a list holds more first words than that.
fn pick(list: &[&'static str], number: u64, value: &str) -> &'static str {
    let start = (number % list.len() as u64) as usize;
    let (before, from) = list.split_at(start);
    from.iter().chain(before).find(|entry| !holds(value, entry)).copied().unwrap_or(list[start])
}

/// Whether the first word of an entry is a word of the value. The value is walked, not copied.
fn holds(value: &str, entry: &str) -> bool {
    let name = entry.split(' ').next().unwrap_or(entry);
    value.len() <= COMPARED
        && value.split(|c: char| !c.is_ascii_alphabetic() && c != KELVIN).any(|word| lower(word).eq(lower(name)))
}

/// The lower case of each character.
fn lower(word: &str) -> impl Iterator<Item = char> + '_ {
    word.chars().flat_map(char::to_lowercase)
}

/// The lines of a list, cut when this is compiled. Their number is part of the type: another one does not compile.
const fn lines<const N: usize>(text: &'static str) -> [&'static str; N] {
    let mut out = [""; N];
    let (mut rest, mut at, mut n) = (text, 0, 0);
    while at < rest.len() {
        if rest.as_bytes()[at] == b'\n' {
            let (line, tail) = rest.split_at(at);
            out[n] = line;
            (rest, at, n) = (tail.split_at(1).1, 0, n + 1);
        } else {
            at += 1;
        }
    }
    assert!(n == N && rest.is_empty(), "a list has another number of lines");
    out
}

#[cfg(test)]
mod tests;
