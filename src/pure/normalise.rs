//! A statement without its constants, for the access log.
//!
//! Follows PostgreSQL's lexer (scan.l of versions 13 to 18) as far as literals, comments and names go; everything else
//! is copied. Constants become `?`, comments and runs of white space one space; names, quoted names, operators and
//! `$1` stay. Where the lexer would stop with an error, or a literal could end in two places, this side swallows rather
//! than shows: text that is lost from the log is a nuisance, a constant in the log is a leak.

/// `sql` without constants, at most `max` bytes; what is cut off at a token's end is marked by `…`.
///
/// Total, linear in the length of `sql`, and idempotent. A plain literal in which a backslash stands before a quote ends
/// in one place or another by `standard_conforming_strings`, which the reader may set: the rest goes with it.
pub fn normalise(sql: &str, max: usize) -> String {
    apart(sql, max).0
}

/// As [`normalise`], and the constants apart, as they were written, in the order of their `?`. Where the text is cut off,
/// so are they, but for some whose `?` no longer fitted.
pub fn apart(sql: &str, max: usize) -> (String, Vec<String>) {
    let (mut out, mut constants) = (Output::new(max), Vec::new());
    let mut scanner = Scanner { sql, bytes: sql.as_bytes(), at: 0 };
    loop {
        let start = scanner.at;
        let Some(token) = scanner.next_token() else { break };
        if matches!(token, Token::Constant | Token::Rest) {
            constants.push(scanner.text(start).to_string());
        }
        out.push(token);
        if out.is_full() {
            break;
        }
    }
    (out.finish(), constants)
}

/// What the scanner found.
enum Token<'a> {
    /// White space or a comment.
    Gap,
    /// Text to copy.
    Text(&'a str),
    /// A constant.
    Constant,
    /// A constant that takes the rest of the statement with it.
    Rest,
}

const CUT: &str = "…";

struct Output {
    text: String,
    max: usize,
    /// Longest length at a token's end that leaves room for the mark.
    room: usize,
    gap: bool,
}

impl Output {
    fn new(max: usize) -> Self {
        Output { text: String::new(), max, room: 0, gap: false }
    }

    fn push(&mut self, token: Token<'_>) {
        let (text, mark) = match token {
            Token::Gap => {
                self.gap = true;
                return;
            }
            Token::Text(text) => (text, ""),
            Token::Constant => ("?", ""),
            Token::Rest => ("?", CUT),
        };
        // written before a token only: none at the beginning or the end
        if std::mem::take(&mut self.gap) && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
        if self.text.len() + CUT.len() <= self.max {
            self.room = self.text.len();
        }
        self.text.push_str(mark);
    }

    fn is_full(&self) -> bool {
        self.text.len() > self.max
    }

    fn finish(mut self) -> String {
        if self.is_full() {
            self.text.truncate(self.room);
            if self.text.len() + CUT.len() <= self.max {
                self.text.push_str(CUT);
            }
        }
        self.text
    }
}

struct Scanner<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
}

// Every byte that ends a token is ASCII, and bytes of a longer character are name bytes that are taken together: `at` is
// always at a character's boundary when text is cut.
impl<'a> Scanner<'a> {
    fn next_token(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        let token = match self.peek(0)? {
            b if is_space(b) => self.gap(),
            b'-' if self.peek(1) == Some(b'-') => self.gap(),
            b'/' if self.peek(1) == Some(b'*') => self.gap(),
            b'\'' => self.literal(0, Escape::Perhaps),
            b'"' => self.quoted_name(start),
            b'$' => self.dollar(start),
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number(),
            b'.' if self.peek(1) == Some(b'.') => {
                self.at += 2; // one operator, so that 1..2 is two numbers and not 1. and .2
                Token::Text(self.text(start))
            }
            b if b.is_ascii_digit() => self.number(),
            b if is_name_start(b) => self.name(start),
            _ => {
                self.at += 1;
                Token::Text(self.text(start))
            }
        };
        Some(token)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn text(&self, start: usize) -> &'a str {
        self.sql.get(start..self.at).unwrap_or("")
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// White space and comments; a `/* … */` nests, and takes the rest when it is never closed.
    fn gap(&mut self) -> Token<'a> {
        self.at = self.gap_end(self.at).0;
        Token::Gap
    }

    /// Where the gap from `at` ends, whether a line ends in it, and whether it has a `/* … */`.
    fn gap_end(&self, mut at: usize) -> (usize, bool, bool) {
        let (mut newline, mut block) = (false, false);
        loop {
            match (self.bytes.get(at), self.bytes.get(at + 1)) {
                (Some(&b), _) if is_space(b) => {
                    newline |= b == b'\n' || b == b'\r';
                    at += 1;
                }
                (Some(b'-'), Some(b'-')) => {
                    while self.bytes.get(at).is_some_and(|b| !matches!(b, b'\n' | b'\r')) {
                        at += 1;
                    }
                }
                (Some(b'/'), Some(b'*')) => {
                    block = true;
                    at = self.block_comment_end(at + 2);
                }
                _ => return (at, newline, block),
            }
        }
    }

    fn block_comment_end(&self, mut at: usize) -> usize {
        let mut depth = 1usize;
        while depth > 0 {
            match (self.bytes.get(at), self.bytes.get(at + 1)) {
                (None, _) => return self.bytes.len(),
                (Some(b'*'), Some(b'/')) => (depth, at) = (depth - 1, at + 2),
                (Some(b'/'), Some(b'*')) => (depth, at) = (depth + 1, at + 2),
                _ => at += 1,
            }
        }
        at
    }

    /// A literal whose opening quote stands `prefix` bytes ahead, with all its continuations on later lines.
    fn literal(&mut self, prefix: usize, escape: Escape) -> Token<'a> {
        self.at += prefix + 1;
        loop {
            match self.peek(0) {
                None => return Token::Constant, // never closed: swallowed whole
                Some(b'\\') => match (escape, self.peek(1)) {
                    (Escape::Perhaps, Some(b'\'')) => {
                        self.at = self.bytes.len();
                        return Token::Rest;
                    }
                    (Escape::Never, _) | (_, None) => self.at += 1,
                    _ => self.at += 2, // a longer character's other bytes are no quote and no backslash
                },
                Some(b'\'') if self.peek(1) == Some(b'\'') => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    // 'a' <newline> 'b' is one literal, and the second part is read as the first was
                    let (end, newline, block) = self.gap_end(self.at);
                    if !newline || block || self.bytes.get(end) != Some(&b'\'') {
                        return Token::Constant;
                    }
                    self.at = end + 1;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn quoted_name(&mut self, start: usize) -> Token<'a> {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => return Token::Constant, // no name: may be anything
                Some(b'"') if self.peek(1) == Some(b'"') => self.at += 2,
                Some(b'"') => {
                    self.at += 1;
                    return Token::Text(self.text(start));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// `$1`, `$tag$ … $tag$`, or a lone dollar sign.
    fn dollar(&mut self, start: usize) -> Token<'a> {
        self.at += 1;
        if self.peek(0).is_some_and(|b| b.is_ascii_digit()) {
            self.skip_while(|b| b.is_ascii_digit());
            return Token::Text(self.text(start));
        }
        if self.peek(0).is_some_and(is_name_start) {
            self.skip_while(|b| b != b'$' && is_name(b));
        }
        if self.peek(0) != Some(b'$') {
            self.at = start + 1;
            return Token::Text(self.text(start));
        }
        self.at += 1;
        let tag = self.text(start);
        let rest = self.sql.get(self.at..).unwrap_or("");
        self.at = rest.find(tag).map_or(self.bytes.len(), |found| self.at + found + tag.len());
        Token::Constant
    }

    /// `1`, `.5`, `1.5e-3`, `0xFF`, `1_000`, and whatever letters stick to it.
    fn number(&mut self) -> Token<'a> {
        let based = self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B'));
        loop {
            match self.peek(0) {
                // 1..2 is a range in PL/pgSQL: two numbers
                Some(b'.') if self.peek(1) != Some(b'.') => self.at += 1,
                Some(b'e' | b'E') if !based && matches!(self.peek(1), Some(b'+' | b'-')) => {
                    self.at += if self.peek(2).is_some_and(|b| b.is_ascii_digit()) { 2 } else { 1 };
                }
                Some(b) if b != b'$' && is_name(b) => self.at += 1,
                _ => return Token::Constant,
            }
        }
    }

    /// A name or key word; or the first letter of `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`, `U&"…"`.
    fn name(&mut self, start: usize) -> Token<'a> {
        match (self.peek(0), self.peek(1), self.peek(2)) {
            (Some(b'e' | b'E'), Some(b'\''), _) => return self.literal(1, Escape::Always),
            (Some(b'b' | b'B' | b'x' | b'X'), Some(b'\''), _) => return self.literal(1, Escape::Never),
            (Some(b'n' | b'N'), Some(b'\''), _) => return self.literal(1, Escape::Perhaps),
            (Some(b'u' | b'U'), Some(b'&'), Some(b'\'')) => return self.literal(2, Escape::Never),
            (Some(b'u' | b'U'), Some(b'&'), Some(b'"')) => {
                self.at += 2;
                return self.quoted_name(start);
            }
            _ => {}
        }
        self.skip_while(is_name);
        Token::Text(self.text(start))
    }
}

/// Whether a backslash in a literal takes the next character with it.
#[derive(Clone, Copy)]
enum Escape {
    /// `E'…'`
    Always,
    /// `B'…'`, `X'…'`, `U&'…'`
    Never,
    /// `'…'`, `N'…'`: by `standard_conforming_strings`
    Perhaps,
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_name(b: u8) -> bool {
    is_name_start(b) || b.is_ascii_digit() || b == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_kept_apart_in_their_order() {
        let (text, constants) =
            apart("SELECT a, 1 FROM t WHERE b = 'x''y' -- 'no'\n AND c = $1 AND d IN (-2.5, E'\\n')", 200);
        assert_eq!(text, "SELECT a, ? FROM t WHERE b = ? AND c = $1 AND d IN (-?, ?)");
        assert_eq!(constants, ["1", "'x''y'", "2.5", "E'\\n'"]);
        // one that takes the rest with it holds the rest
        assert_eq!(apart("SELECT 'a\\' OR 'b'", 200).1, ["'a\\' OR 'b'"]);
    }

    fn n(sql: &str) -> String {
        normalise(sql, 8192)
    }

    #[test]
    fn names_stay_and_constants_go() {
        assert_eq!(
            n("SELECT \"E mail\", t1.a2 FROM acme.t1\n WHERE x = 'it''s' AND y>=1.5e-3 AND z=$1"),
            "SELECT \"E mail\", t1.a2 FROM acme.t1 WHERE x = ? AND y>=? AND z=$1"
        );
        assert_eq!(n("SELECT U&\"d\\0061t\" , u&\"a\"\"b\""), "SELECT U&\"d\\0061t\" , u&\"a\"\"b\"");
        assert_eq!(n("SELECT grüße, foo$bar$baz"), "SELECT grüße, foo$bar$baz");
        assert_eq!(n(""), "");
    }

    #[test]
    fn every_form_of_literal() {
        for sql in [
            "'a'",
            "E'a\\'b'",
            "e'a\\\\'",
            "B'101'",
            "x'FF'",
            "U&'\\0061'",
            "N'a'",
            "$$a$$",
            "$q$a $$ b$q$",
            "$ü$a$ü$",
            "1",
            "1.",
            ".5",
            "0xFF",
            "0b01",
            "0o17",
            "1_000",
            "1e10",
            "1.5E+10",
            "1.e5",
            "'a''b'",
            "''",
            "E''",
            "'a'\n  'b'",
            "E'a' -- c\n 'b\\'c'",
            "'ä\\ö'",
        ] {
            assert_eq!(n(sql), "?", "{sql}");
        }
        assert_eq!(n("nameE'a' bb'x' 'a' 'b' 1..2 a[1:2]"), "nameE? bb? ? ? ?..? a[?:?]");
        assert_eq!(n("0x1e+5 1e+a"), "?+? ?+a");
    }

    #[test]
    fn comments_and_white_space() {
        assert_eq!(n("  a -- x 'y\n\t b /* c /* d */ e */ f;\r\n "), "a b f;");
        assert_eq!(n("a/**/b-/**/-1"), "a b- -?");
        assert_eq!(n("a /* never closed 'x'"), "a");
        assert_eq!(n("\"a  b\""), "\"a  b\"");
    }

    #[test]
    fn attack_unterminated_literals_are_swallowed() {
        for sql in ["'secret", "E'secret\\'", "$a$secret$b$", "\"secret", "'a''secret", "E'secret\\", "'secret\\"] {
            assert_eq!(n(&format!("x {sql}")), "x ?", "{sql}");
        }
        assert_eq!(n("$secret"), "$secret"); // a lone dollar and a name, as PostgreSQL reads it
    }

    #[test]
    fn attack_backslash_read_both_ways() {
        // one ends after the backslash, the other after "secret": nothing of either is shown
        assert_eq!(n("SELECT 'a\\' , secret, 'b'"), "SELECT ?…");
        assert_eq!(n("SELECT 'a\\'secret'"), "SELECT ?…");
        assert_eq!(n("SELECT 'C:\\\\dir\\\\', b"), "SELECT ?, b");
        // digits and a literal prefix: versions below 15 read a number and an E literal
        assert_eq!(n("SELECT 1e'a\\'secret'"), "SELECT ??…");
    }

    #[test]
    fn attack_escape_carries_over_a_line() {
        assert_eq!(n("SELECT E'a'\n'b\\'secret', c"), "SELECT ?, c");
        assert_eq!(n("SELECT E'a' -- x\n -- y\n'b\\'secret', c"), "SELECT ?, c");
        assert_eq!(n("SELECT 'a' 'b', 'a' /* \n */ 'b'"), "SELECT ? ?, ? ?");
    }

    #[test]
    fn cuts_at_a_token() {
        assert_eq!(normalise("abc def ghi", 11), "abc def ghi");
        assert_eq!(normalise("abc def ghi", 10), "abc def…");
        assert_eq!(normalise("abc def ghi", 9), "abc…");
        assert_eq!(normalise("äöü äöü", 9), "äöü…");
        assert_eq!(normalise("abcdef", 3), "…");
        assert_eq!(normalise("abcdef", 2), "");
        assert_eq!(normalise("a", 0), "");
        assert_eq!(normalise("\"a b c d e\"", 8), "…");
        assert_eq!(normalise("'a\\' b", 3), "…");
        assert_eq!(normalise("'a\\' b", 4), "?…");
    }

    #[test]
    fn long_input_takes_linear_time() {
        // quadratic would be 10^12 steps here
        for unit in ["$a", "'a'\n", "/*", "-- x\n", "E'", "\"", "1.", "$a$b", "((", "'a'-"] {
            assert!(normalise(&unit.repeat(500_000), 8192).len() <= 8192);
            let full = normalise(&unit.repeat(500_000), usize::MAX);
            assert!(full.len() <= 2_000_000);
        }
    }
}
