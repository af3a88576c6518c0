//! Masks on text. A character is an extended grapheme cluster (UAX 29): what a reader calls one letter, never a byte.
//!
//! Nothing here fails and nothing is trimmed first: a value that is not of a mask's format gives [`FULL`].

use unicode_segmentation::UnicodeSegmentation;

/// The full mask: what a value gives that must not show any part of itself, not even its length.
pub const FULL: &str = "********";

/// The fill characters a text mask may use.
pub const FILLS: [char; 7] = ['*', '#', 'x', 'X', '.', '_', '-'];

/// Characters of a full mask.
const FULL_LENGTH: usize = 8;

/// A mask that parses its input answers [`FULL`] above this many bytes, before it parses.
pub(super) const FORMAT_LIMIT: usize = 64 * 1024;

/// `redact`: eight fills, or with `keep_length` one fill per character; with `keep_space` too, every white-space
/// character becomes one space.
pub fn redact(value: &str, fill: char, keep_length: bool, keep_space: bool) -> String {
    if !keep_length {
        return fills(fill, FULL_LENGTH);
    }
    if !keep_space {
        return fills(fill, count(value));
    }
    let mut out = String::with_capacity(value.len());
    for character in value.graphemes(true) {
        let space = character.chars().all(char::is_whitespace);
        out.push(if space { ' ' } else { fill });
    }
    out
}

/// `partial`: the first `left` and the last `right` characters, fills between them.
///
/// Of n characters the windows are kept only if `n - left - right >= max(min_hidden, ceil(n / 2))`; otherwise every
/// character is a fill, so a short value shows nothing.
pub fn partial(value: &str, left: u32, right: u32, fill: char, min_hidden: u32) -> String {
    let n = count(value);
    let (left, right) = (left as usize, right as usize);
    let hidden = n.saturating_sub(left).saturating_sub(right);
    if hidden < n.div_ceil(2).max(min_hidden as usize) {
        return fills(fill, n);
    }
    let head = offset(value, left);
    let tail = offset(value, n - right);
    let mut out = String::with_capacity(head + hidden * fill.len_utf8() + (value.len() - tail));
    out.push_str(&value[..head]);
    out.extend(std::iter::repeat_n(fill, hidden));
    out.push_str(&value[tail..]);
    out
}

/// `initials`: of the first `max` words that hold a letter, its first letter and a full stop.
///
/// A word of one letter gives `*.`, since its initial is the whole of it. No word with a letter: [`FULL`].
pub fn initials(value: &str, max: u32) -> String {
    if value.len() > FORMAT_LIMIT {
        return FULL.to_owned();
    }
    let mut out = String::new();
    for initial in value.split(char::is_whitespace).filter_map(initial).take(max as usize) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(initial);
        out.push('.');
    }
    if out.is_empty() {
        return FULL.to_owned();
    }
    out
}

/// A word's first letter if it has two or more, `*` if it has one, nothing if it has none.
fn initial(word: &str) -> Option<&str> {
    let mut letters = word.graphemes(true).filter(|character| character.chars().any(char::is_alphabetic));
    let first = letters.next()?;
    Some(if letters.next().is_some() { first } else { "*" })
}

/// That many fills.
fn fills(fill: char, n: usize) -> String {
    std::iter::repeat_n(fill, n).collect()
}

/// ASCII without a carriage return: every byte is one character (CR LF is the one ASCII cluster of two).
fn byte_per_character(value: &str) -> bool {
    value.is_ascii() && !value.contains('\r')
}

/// The number of characters.
fn count(value: &str) -> usize {
    if byte_per_character(value) {
        return value.len();
    }
    value.graphemes(true).count()
}

/// The byte at which character number `n` (from 0) starts; the length if there are no more than `n`.
///
/// A second walk instead of a list of offsets: a list would be eight times the size of an ASCII value (C12).
fn offset(value: &str, n: usize) -> usize {
    if byte_per_character(value) {
        return n.min(value.len());
    }
    value.grapheme_indices(true).nth(n).map_or(value.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_hides_even_the_length() {
        for value in ["", "a", "Ada Lovelace", "\u{0}", "👩‍👩‍👧"] {
            assert_eq!(redact(value, '*', false, false), FULL);
        }
        assert_eq!(redact("Ada", '#', false, false), "########");
    }

    #[test]
    fn redact_with_the_length_counts_characters() {
        assert_eq!(redact("Ada Lovelace", '*', true, false), "************");
        assert_eq!(redact("Zoe\u{308}", '*', true, false), "***");
        assert_eq!(redact("", '*', true, false), "");
        assert_eq!(redact("a\r\nb", '*', true, false), "***");
        assert_eq!(redact("🇫🇷🇳🇴", 'x', true, false), "xx");
    }

    #[test]
    fn redact_with_spaces() {
        assert_eq!(redact("Ada Lovelace", '*', true, true), "*** ********");
        assert_eq!(redact("a\tb\r\nc\u{a0}d\u{3000}e", '*', true, true), "* * * * *");
        // a space that carries a mark is no space, or the mark would be told
        assert_eq!(redact("a \u{301}b", '*', true, true), "***");
    }

    #[test]
    fn partial_keeps_windows_only_if_enough_stays_hidden() {
        assert_eq!(partial("0639980123", 2, 2, '*', 4), "06******23");
        assert_eq!(partial("abcdefgh", 2, 2, '*', 4), "ab****gh");
        assert_eq!(partial("abcdefg", 2, 2, '*', 4), "*******");
        assert_eq!(partial("ab", 2, 2, '*', 4), "**");
        assert_eq!(partial("", 2, 2, '*', 4), "");
        assert_eq!(partial("123-45-6789", 0, 4, '*', 4), "*******6789");
        assert_eq!(partial("123456789", 0, 4, '*', 4), "*****6789");
        assert_eq!(partial("abcdefgh", 2, 2, '*', 5), "********");
    }

    #[test]
    fn partial_counts_characters_not_bytes() {
        assert_eq!(partial("👩‍👩‍👧secret", 1, 0, '*', 4), "👩‍👩‍👧******");
        assert_eq!(partial("secre\u{301}te\u{301}", 0, 1, '*', 4), "******e\u{301}");
        assert_eq!(partial("ab\r\ncdefg", 3, 0, '*', 4), "ab\r\n*****");
    }

    #[test]
    fn partial_survives_absurd_windows() {
        assert_eq!(partial("abcdefgh", u32::MAX, u32::MAX, '*', 4), "********");
        assert_eq!(partial("abcdefgh", 0, 0, '*', u32::MAX), "********");
    }

    #[test]
    fn initials_of_names() {
        assert_eq!(initials("Ada Lovelace", 3), "A. L.");
        assert_eq!(initials("Abbing, Mr. Anthony", 3), "A. M. A.");
        assert_eq!(initials("Abbing, Mr. Anthony", 1), "A.");
        assert_eq!(initials("J. Lovelace", 3), "*. L.");
        assert_eq!(initials("李 明", 3), "*. *.");
        assert_eq!(initials("E\u{301}va", 3), "E\u{301}.");
        assert_eq!(initials("  (Ada)\t 42 \"Lovelace\"", 3), "A. L.");
    }

    #[test]
    fn initials_of_what_is_no_name() {
        for value in ["", "42", "   ", "... !!", "\u{301}"] {
            assert_eq!(initials(value, 3), FULL);
        }
        assert_eq!(initials(&"ab ".repeat(FORMAT_LIMIT), 3), FULL);
    }
}
