//! Masks on text of a format: email addresses, payment cards, IBANs, URLs. Phone numbers are in `phone`.
//!
//! A value is read as a whole or not at all: what is not exactly of the format gives [`FULL`], and so does a value
//! above [`FORMAT_LIMIT`] bytes, unread. A checksum is part of the format. Nothing is trimmed or repaired first.

use unicode_segmentation::UnicodeSegmentation;

use super::text::{FORMAT_LIMIT, FULL};

/// The longest address that SMTP carries, in bytes (RFC 5321 with erratum 1690).
const ADDRESS: usize = 254;

/// The longest host name, in bytes without the root's dot (RFC 1035).
const HOST: usize = 253;

/// What an RFC 5322 `atext` holds besides letters and digits.
const ATEXT: &str = "!#$%&'*+-/=?^_`{|}~";

/// The most digits or characters that `card`, `iban` and `phone` keep on the right.
pub(super) const RIGHT: usize = 4;

/// The most digits that `card` keeps on the left: the BIN as PCI DSS lets it be shown.
const BIN: usize = 6;

/// What `email` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// the domain
    Domain,
    /// the domain, and the first character of a local part of five or more
    First,
    /// the last label of the domain
    Tld,
    /// only that it is an address
    None,
}

impl Show {
    /// Every choice, in the order of the documentation.
    pub const ALL: [Show; 4] = [Show::Domain, Show::First, Show::Tld, Show::None];

    /// The word in a scope definition.
    pub fn label(self) -> &'static str {
        match self {
            Show::Domain => "domain",
            Show::First => "first",
            Show::Tld => "tld",
            Show::None => "none",
        }
    }

    /// The choice of a word, exactly as [`Show::label`] writes it.
    pub fn from_label(label: &str) -> Option<Show> {
        Show::ALL.into_iter().find(|show| show.label() == label)
    }
}

/// `email`: `***`, and of the rest what `show` says.
///
/// The format is an RFC 5322 dot-atom of 1 to 64 bytes, `@`, a host name; at most 254 bytes; Unicode letters and
/// digits count as letters and digits (RFC 6531), combining marks do not. Quoted local parts, comments and address
/// literals are not of it.
pub fn email(value: &str, show: Show) -> String {
    formed(value, |value| {
        let (local, domain) = value.split_once('@')?;
        if value.len() > ADDRESS || !dot_atom(local) {
            return None;
        }
        let last = last_label(domain, char::is_alphanumeric)?;
        Some(match show {
            Show::Domain => ["***@", domain].concat(),
            Show::First => [first(local), "***@", domain].concat(),
            Show::Tld => format!("***@***.{last}"),
            Show::None => "***@***".to_owned(),
        })
    })
}

/// `card`: the first `bin` and the last `right` digits of a payment card number; spaces and hyphens stay.
///
/// The format is ISO/IEC 7812: 12 to 19 ASCII digits that pass the Luhn check, with at most one space or hyphen between
/// two of them. At least five digits must stay hidden, otherwise nothing is shown, not even the length.
pub fn card(value: &str, bin: u32, right: u32) -> String {
    formed(value, |value| {
        let (bin, right) = (within(bin, BIN)?, within(right, RIGHT)?);
        let n = card_digits(value)?;
        if n < bin + right + 5 {
            return None;
        }
        Some(hide(value, |c| c.is_ascii_digit(), |at| at < bin || at >= n - right))
    })
}

/// `iban`: the country and the last `right` characters of a bank account number; single spaces stay.
///
/// The format is ISO 13616 with its mod 97 check (ISO/IEC 7064): two of A–Z, two digits, 11 to 30 of A–Z and 0–9. The
/// check digits stay hidden: with the country and the end they would rule out 96 of 97 guesses at the rest.
pub fn iban(value: &str, right: u32) -> String {
    formed(value, |value| {
        let right = within(right, RIGHT)?;
        let n = iban_characters(value)?;
        Some(hide(value, |c| c != ' ', |at| at < 2 || at >= n - right))
    })
}

/// `url`: scheme and host in lower case, and the path if it is to be kept; never the user, port, query or fragment.
///
/// The format is that of an RFC 3986 URI with `http` or `https`, an authority and a host name of ASCII; IP addresses
/// are not of it. A backslash is refused: browsers read it as a slash, other parsers do not, and so they find two
/// different hosts.
pub fn url(value: &str, path: bool) -> String {
    formed(value, |value| {
        if !value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return None;
        }
        let (scheme, rest) = value.split_once("://")?;
        let scheme = ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme))?;
        let (authority, tail) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
        // a second `@` is left in the host, which then is none
        let address = authority.split_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
        if host.len() > HOST || !port.is_none_or(is_port) {
            return None;
        }
        last_label(host, |c| c.is_ascii_alphanumeric())?;
        let path = if path { tail.split(['?', '#']).next().unwrap_or_default() } else { "" };
        Some(format!("{scheme}://{}{path}", host.to_ascii_lowercase()))
    })
}

/// What `read` makes of a value, [`FULL`] if that is nothing or the value is too long to be read.
pub(super) fn formed(value: &str, read: impl FnOnce(&str) -> Option<String>) -> String {
    Some(value).filter(|value| value.len() <= FORMAT_LIMIT).and_then(read).unwrap_or_else(|| FULL.to_owned())
}

/// A window as a length. Wider ones are refused before they get here; here they show nothing (fail closed).
pub(super) fn within(window: u32, most: usize) -> Option<usize> {
    usize::try_from(window).ok().filter(|window| *window <= most)
}

/// A star for every character that counts, but for those whose number (from 0, among the ones that count) is kept.
pub(super) fn hide(value: &str, counts: impl Fn(char) -> bool, keep: impl Fn(usize) -> bool) -> String {
    let mut out = String::with_capacity(value.len());
    let mut at = 0;
    for character in value.chars() {
        if !counts(character) {
            out.push(character);
            continue;
        }
        out.push(if keep(at) { character } else { '*' });
        at += 1;
    }
    out
}

/// RFC 5322 `dot-atom-text` of 1 to 64 bytes.
fn dot_atom(local: &str) -> bool {
    let atext = |c: char| c.is_alphanumeric() || ATEXT.contains(c);
    local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// The first character of a local part of five or more, otherwise nothing.
fn first(local: &str) -> &str {
    let mut characters = local.graphemes(true);
    let first = characters.next().unwrap_or_default();
    characters.nth(3).map_or("", |_| first)
}

/// The last label of a host name: two or more labels of 1 to 63 letters, digits and inner hyphens (RFC 1123).
fn last_label(host: &str, letter: impl Fn(char) -> bool) -> Option<&str> {
    let (_, last) = host.rsplit_once('.')?;
    let label = |label: &str| {
        (1..=63).contains(&label.chars().count())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || letter(c))
    };
    (host.split('.').all(label) && !is_number(last)).then_some(last)
}

/// Whether a host that ends in this label is read as an IPv4 address: the WHATWG rule, which takes hexadecimal too.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.chars().all(char::is_numeric) || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Digits, at most 65535. `u16` alone would take a plus sign.
fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// The number of digits of a card number; nothing if it is none.
fn card_digits(value: &str) -> Option<usize> {
    let (mut n, mut after_digit) = (0, false);
    for byte in value.bytes() {
        match byte {
            b'0'..=b'9' => n += 1,
            b' ' | b'-' if after_digit => {}
            _ => return None,
        }
        after_digit = byte.is_ascii_digit();
    }
    (after_digit && (12..=19).contains(&n) && luhn(value)).then_some(n)
}

/// The Luhn check (ISO/IEC 7812-1, annex B) over the digits of a value.
fn luhn(value: &str) -> bool {
    let digits = value.chars().rev().filter_map(|c| c.to_digit(10));
    let doubled = |digit: u32| digit * 2 - if digit > 4 { 9 } else { 0 };
    let sum: u32 = digits.enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}

/// The number of characters of an IBAN without its spaces; nothing if it is none.
fn iban_characters(value: &str) -> Option<usize> {
    let characters = || value.chars().filter(|c| *c != ' ');
    let fits = |(at, c): (usize, char)| match at {
        0 | 1 => c.is_ascii_uppercase(),
        2 | 3 => c.is_ascii_digit(),
        _ => c.is_ascii_uppercase() || c.is_ascii_digit(),
    };
    let n = characters().count();
    let single_spaces = value.split(' ').all(|group| !group.is_empty());
    if !single_spaces || !(15..=34).contains(&n) || !characters().enumerate().all(fits) {
        return None;
    }
    let rearranged = characters().skip(4).chain(characters().take(4));
    (mod97(rearranged) == 1).then_some(n)
}

/// ISO/IEC 7064 mod 97: the remainder of the number that digits, and letters as 10 to 35, spell.
fn mod97(characters: impl Iterator<Item = char>) -> u32 {
    characters.filter_map(|c| c.to_digit(36)).fold(0, |rest, n| (rest * if n > 9 { 100 } else { 10 } + n) % 97)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_shows_nothing() {
        let short = "| |a|1|@|+|-|.|:|\0|\r\n|\u{301}|１２３４|👩‍👩‍👧|://|@@|@.|*";
        let mut all: Vec<String> = short.split('|').map(str::to_owned).collect();
        for unit in ["1", " ", "a", "@", ".", "a.", "1 ", "\u{301}", "https://a", "\u{1f469}\u{200d}"] {
            all.push(unit.repeat(FORMAT_LIMIT / unit.len() + 1));
            all.push(unit.repeat(300));
        }
        for value in all {
            assert!(Show::ALL.into_iter().all(|show| email(&value, show) == FULL), "{value:.20}");
            assert_eq!(card(&value, 6, 4), FULL, "{value:.20}");
            assert_eq!(iban(&value, 4), FULL, "{value:.20}");
            assert_eq!(url(&value, true), FULL, "{value:.20}");
        }
    }

    #[test]
    fn labels_of_show() {
        assert_eq!(Show::ALL.map(Show::label), ["domain", "first", "tld", "none"]);
        assert!(Show::ALL.into_iter().all(|show| Show::from_label(show.label()) == Some(show)));
        assert_eq!(Show::from_label("Domain"), None);
    }

    #[test]
    fn email_shows_what_it_is_told_to() {
        let domain = |value| email(value, Show::Domain);
        assert_eq!(domain("ada@example.com"), "***@example.com");
        assert_eq!(domain("äda@bücher.example"), "***@bücher.example");
        assert_eq!(domain("１２@Example.COM"), "***@Example.COM");
        assert_eq!(domain("a!#$%&'*+-/=?^_`{|}~z@a-b.x1"), "***@a-b.x1");
        assert_eq!(email("ada@mail.example.com", Show::Tld), "***@***.com");
        assert_eq!(email("ada@example.com", Show::None), "***@***");
        for (value, masked) in [
            ("ada.lovelace+news@example.com", "a***@example.com"),
            ("ada@example.com", "***@example.com"),
            ("adal@example.com", "***@example.com"),
            ("adalo@example.com", "a***@example.com"),
            ("ädalo@example.com", "ä***@example.com"),
            // five letters of the alphabet, but two characters to a reader
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}@example.com", "***@example.com"),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}abc@example.com", "\u{1112}\u{1161}\u{11ab}***@example.com"),
        ] {
            assert_eq!(email(value, Show::First), masked);
        }
    }

    #[test]
    fn email_of_what_is_no_address() {
        let values = "no-at-sign|x@localhost|a@b@example.com| ada@example.com|ada@example.com |\
            \"a b\"@example.com|@example.com|ada@|ada@.com|ada@example.|ada@example.com.|ada@example..com|\
            .ada@example.com|ada.@example.com|a..da@example.com|ada@-example.com|ada@example-.com|ada@exa_mple.com|\
            ada@192.0.2.1|ada@[192.0.2.1]|ada@example.123|ada@example.１２|ada@example.0x7F|ada@1.0x|ada(x)@example.com|\
            <ada@example.com>|Ada <ada@example.com>|ada,b@example.com|a\\@example.com|ada＠example.com|ada@example．com|\
            ada@example.com\r\n|a\0da@example.com|ada@example.com\0|a\u{301}da@example.com|ada@bu\u{308}cher.example|\
            a\u{200d}da@example.com|a\u{202e}da@example.com";
        for value in values.split('|') {
            assert!(Show::ALL.into_iter().all(|show| email(value, show) == FULL), "{value}");
        }
    }

    #[test]
    fn email_at_its_lengths() {
        let address =
            |local: usize, label: usize, rest: &str| format!("{}@{}.{rest}", "a".repeat(local), "b".repeat(label));
        let masked = |value: &str| email(value, Show::None) == "***@***";
        assert!(masked(&address(64, 63, "c")) && !masked(&address(65, 63, "c")) && !masked(&address(64, 64, "c")));
        assert!(masked(&format!("{}@b.c", "ä".repeat(32))) && !masked(&format!("{}@b.c", "ä".repeat(33))));
        assert!(masked(&format!("a@{}.c", "ä".repeat(63))) && !masked(&format!("a@{}.c", "ä".repeat(64))));
        let rest = format!("{}.{}", "c".repeat(63), "d".repeat(61));
        let (longest, too_long) = (address(64, 63, &rest), address(64, 63, &format!("{rest}d")));
        assert_eq!((longest.len(), masked(&longest)), (254, true));
        assert_eq!((too_long.len(), masked(&too_long)), (255, false));
    }

    #[test]
    fn card_keeps_its_ends() {
        assert_eq!(card("4111 1111 1111 1111", 0, 4), "**** **** **** 1111");
        assert_eq!(card("4111111111111111", 0, 4), "************1111");
        assert_eq!(card("4111 1111 1111 1111", 6, 4), "4111 11** **** 1111");
        assert_eq!(card("4111-1111 1111-1111", 6, 0), "4111-11** ****-****");
        assert_eq!(card("3782 822463 10005", 6, 4), "3782 82**** *0005");
        assert_eq!(card("0000000000000", 0, 4), "*********0000");
        assert_eq!(card("000000000000", 3, 4), "000*****0000");
        assert_eq!(card("0 0-0 0-0 0-0 0-0 0-0 0-0 0-0 0-0 0-0", 0, 1), "* *-* *-* *-* *-* *-* *-* *-* *-* *-0");
    }

    #[test]
    fn card_hides_five_digits_or_shows_nothing() {
        assert_eq!(card("0000000000000", 6, 4), FULL);
        assert_eq!(card("00000000000000", 6, 4), FULL);
        assert_eq!(card("000000000000000", 6, 4), "000000*****0000");
        assert_eq!(card("000000000000", 4, 4), FULL);
        for (bin, right) in [(7, 0), (0, 5), (u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
            assert_eq!(card("0000000000000000000", bin, right), FULL);
        }
    }

    #[test]
    fn card_of_what_is_no_card() {
        let values = "4111 1111 1111 1112|4111  1111 1111 1111|4111 -1111 1111 1111| 4111111111111111|\
            4111111111111111 |-4111111111111111|4111111111111111-|4111.1111.1111.1111|4111\u{a0}1111 1111 1111|\
            4111111111111111\n|４１１１１１１１１１１１１１１１|4111111111111111\0|00000000000|00000000000000000000|\
            4111 1111 1111 111\u{301}1";
        for value in values.split('|') {
            assert_eq!(card(value, 0, 4), FULL, "{value}");
        }
    }

    #[test]
    fn luhn_finds_every_changed_digit() {
        let valid = "4111111111111111";
        assert!(luhn(valid) && luhn("79927398713"));
        let mut changed = 0;
        for (at, old) in valid.char_indices() {
            for new in ('0'..='9').filter(|new| *new != old) {
                let value = format!("{}{new}{}", &valid[..at], &valid[at + 1..]);
                assert_eq!(card(&value, 0, 4), FULL, "{value}");
                changed += 1;
            }
        }
        assert_eq!(changed, 144);
    }

    #[test]
    fn iban_keeps_country_and_end() {
        assert_eq!(iban("GB29 NWBK 6016 1331 9268 19", 0), "GB** **** **** **** **** **");
        assert_eq!(iban("NO9386011117947", 0), "NO*************");
        assert_eq!(iban("NO9386011117947", 4), "NO*********7947");
        assert_eq!(iban("GB29 NWBK 6016 1331 9268 19", 4), "GB** **** **** **** **68 19");
        assert_eq!(iban("DE89370400440532013000", 4), "DE****************3000");
        assert_eq!(iban("FR1420041010050500013M02606", 1), "FR************************6");
        assert_eq!(iban("MT84MALT011000012345MTLCAST001S", 0), format!("MT{}", "*".repeat(29)));
        // 34 characters, the most
        assert_eq!(iban("XX27ABCDEFGHIJKLMNOPQRSTUVWXYZ0123", 0), format!("XX{}", "*".repeat(32)));
        assert!([5, u32::MAX].into_iter().all(|right| iban("NO9386011117947", right) == FULL));
    }

    #[test]
    fn iban_of_what_is_no_account() {
        let values = "GB29|GB29 NWBK 6016 1331 9268 18|gb29 nwbk 6016 1331 9268 19|GB29  NWBK 6016 1331 9268 19|\
            GB29 NWBK 6016 1331 9268 19 | GB29 NWBK 6016 1331 9268 19|GB29-NWBK-6016-1331-9268-19|\
            GB29NWBK60161331926819\n|GB29\u{a0}NWBK 6016 1331 9268 19|ＧＢ29NWBK60161331926819|GB2９NWBK60161331926819|\
            GB29NWBK6016133192681９|GB29NWBK60161331926819\0|XX361234567890|XX43AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1|\
            GB29NWBK6016133192681\u{301}9|IBAN GB29 NWBK 6016 1331 9268 19";
        for value in values.split('|') {
            assert_eq!(iban(value, 4), FULL, "{value}");
        }
    }

    #[test]
    fn mod_97_finds_every_changed_character() {
        for valid in ["GB29NWBK60161331926819", "NO9386011117947", "FR1420041010050500013M02606"] {
            for (at, old) in valid.char_indices() {
                let class = if old.is_ascii_digit() { '0'..='9' } else { 'A'..='Z' };
                for new in class.filter(|new| *new != old) {
                    let value = format!("{}{new}{}", &valid[..at], &valid[at + 1..]);
                    assert_eq!(iban(&value, 4), FULL, "{value}");
                }
            }
        }
    }

    #[test]
    fn url_keeps_scheme_and_host() {
        let long = "https://ada:pw@shop.example.com:8443/o/42?t=1#x";
        assert_eq!(url(long, false), "https://shop.example.com");
        assert_eq!(url(long, true), "https://shop.example.com/o/42");
        for (value, kept) in [
            ("HTTPS://Shop.Example.COM", "https://shop.example.com"),
            ("hTTp://A.b/C/d;p@q:1//", "http://a.b/C/d;p@q:1//"),
            ("http://a.b?x=/y@c.d", "http://a.b"),
            ("http://a.b#/y@c.d", "http://a.b"),
            ("http://a.b/x#y?z", "http://a.b/x"),
            ("http://@a.b/", "http://a.b/"),
            ("http://a.b:80@c.d:0", "http://c.d"),
            ("http://a.b:65535/", "http://a.b/"),
            ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
            ("http://1.2.3.4a", "http://1.2.3.4a"),
        ] {
            assert_eq!(url(value, true), kept);
        }
    }

    #[test]
    fn url_of_what_is_no_url() {
        let values = "mailto:ada@example.com|shop.example.com/o/42|https://example.com\\@shop.example.com/|\
            https://a.b/x\\y|https://198.51.100.7/x|https://bücher.example/|https://[::1]/|https://[2001:db8::1]:443/|\
            https://a.b./|https://a.b:65536/|https://a.b:/|https://a.b:+80/|https://a.b:80:80/|https://a.b:8x/|\
            https://a@b@c.d/|https://localhost/|https:///x|https://|https:a.b|https:/a.b|//a.b/|ftp://a.b/|\
            httpss://a.b/| https://a.b/|https://a.b/ |https://a.b/\n|https://a.b/\0|https://a.b/é|https://a.b/x y|\
            https://a..b/|https://.a.b/|https://a_b.c/|https://-a.b/|https://a-.b/|https://a%2eb.c/|https://1.0x7f/|\
            https://0x7f.1/|https://1.0x|https://2130706433/|https://a.b/\u{7f}|https://@/";
        for value in values.split('|') {
            assert_eq!(url(value, true), FULL, "{value}");
        }
    }

    #[test]
    fn url_at_its_lengths() {
        let host = |last: usize| format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(last));
        let whole = format!("http://{}", host(61));
        assert_eq!((host(61).len(), url(&whole, true)), (253, whole));
        assert_eq!(url(&format!("http://{}", host(62)), true), FULL);
        assert_eq!(url(&format!("http://{}.b", "a".repeat(64)), true), FULL);
        let page = format!("http://a.b/{}", "c".repeat(FORMAT_LIMIT - 11));
        assert_eq!((page.len(), url(&page, true) == page), (FORMAT_LIMIT, true));
        assert_eq!(url(&format!("{page}c"), true), FULL);
    }
}
