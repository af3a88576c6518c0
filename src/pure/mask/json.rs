//! The mask `json`: an allow-list of paths into a JSON text (RFC 8259), so that a new key never appears by itself.
//!
//! Nothing here builds a tree: what is kept is copied from the text, digit for digit, between marks of its own. White
//! space goes, since that between two dropped values would tell of them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::str::Chars;

use serde::de::IgnoredAny;

/// Levels of arrays and objects, above which a document is masked whole; the steps of a path have the same limit.
const DEPTH: usize = 64;

/// Bytes of a document, above which it is masked whole before it is parsed (C12).
///
/// More than the 64 KiB of the format masks on text: those parse one value of a few words, a document is many.
const LIMIT: usize = 1024 * 1024;

/// What a document gives of which nothing is left.
const NULL: &str = "null";

/// How a path is written, for hints.
pub const PATH: &str =
    r#"a path is $, then .name, ."any name" or [*] as often as needed, and .** at the end for a whole subtree"#;

/// The paths that the mask `json` keeps.
///
/// A path is `$`, then steps: `.name` (ASCII letters, digits and `_`) or `."any name"` (a JSON string) into an object,
/// `[*]` into all items of an array. It may end in `.**`, which keeps all there is at its place and below. There are at
/// most 64 steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    keep: Vec<String>,
    root: Node,
}

impl Paths {
    /// Reads the argument `keep`. No path at all is an allow-list that allows nothing.
    ///
    /// # Errors
    /// The index of the first member that is no path, and what is wrong with it; [`PATH`] is the hint.
    pub fn parse(keep: &[String]) -> Result<Paths, (usize, String)> {
        let mut root = Node::default();
        for (index, path) in keep.iter().enumerate() {
            root.add(path).map_err(|message| (index, message))?;
        }
        Ok(Paths { keep: keep.to_vec(), root })
    }

    /// The paths as they were written.
    pub fn keep(&self) -> &[String] {
        &self.keep
    }
}

/// A place in a document that a path leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// A path ends here: a scalar stays.
    ends: bool,
    /// A path ends here in `.**`: whatever is here stays.
    whole: bool,
    /// Where paths go on into an object.
    names: BTreeMap<String, Node>,
    /// Where paths go on into an array.
    items: Option<Box<Node>>,
}

impl Node {
    fn add(&mut self, path: &str) -> Result<(), String> {
        let wrong = |rest: &str| match rest {
            "" => format!("path {path:?} is empty"),
            rest => format!("path {path:?} cannot be read from {rest:?} on"),
        };
        let mut rest = path.strip_prefix('$').ok_or_else(|| wrong(path))?;
        let mut node = self;
        let mut steps = 0;
        while !rest.is_empty() {
            steps += 1;
            if steps > DEPTH {
                return Err(format!("path {path:?} has more than {DEPTH} steps"));
            }
            let (step, after) = Step::parse(rest).ok_or_else(|| wrong(rest))?;
            rest = after;
            node = match step {
                Step::Whole => {
                    node.whole = true;
                    return Ok(());
                }
                Step::Items => node.items.get_or_insert_default(),
                Step::Name(name) => node.names.entry(name).or_default(),
            };
        }
        node.ends = true;
        Ok(())
    }

    fn keeps_scalar(&self) -> bool {
        self.ends || self.whole
    }

    fn keeps_object(&self) -> bool {
        self.whole || !self.names.is_empty()
    }

    /// The place of the items, if a path goes on into an array.
    fn items(&self) -> Option<&Node> {
        if self.whole {
            return Some(self);
        }
        self.items.as_deref()
    }

    /// The place of a member, by its name as it is written between the quotes.
    fn member(&self, name: &str) -> Option<&Node> {
        if self.whole {
            return Some(self);
        }
        if !name.contains('\\') {
            return self.names.get(name);
        }
        // half of a surrogate pair is in no path
        let name: Option<String> = Name(name.chars()).map(char::from_u32).collect();
        self.names.get(&name?)
    }
}

/// One step of a path.
enum Step {
    Name(String),
    Items,
    Whole,
}

impl Step {
    /// The first step and what follows it.
    fn parse(text: &str) -> Option<(Step, &str)> {
        if let Some(rest) = text.strip_prefix("[*]") {
            return Some((Step::Items, rest));
        }
        let text = text.strip_prefix('.')?;
        if text == "**" {
            return Some((Step::Whole, ""));
        }
        if text.starts_with('"') {
            let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
            let name = names.next()?.ok()?;
            return Some((Step::Name(name), text.get(names.byte_offset()..)?));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, rest) = text.split_at_checked(text.find(|c| !word(c)).unwrap_or(text.len()))?;
        (!name.is_empty()).then(|| (Step::Name(name.to_owned()), rest))
    }
}

/// `json`: of a document, what the paths lead to.
///
/// A scalar stays if a path ends at it; an object stays if a path goes on into it by a name, an array by `[*]`; the
/// rest goes, members with their names. Of members of one name the last one counts, at its own place. Order, numbers
/// and strings stay as they are written.
///
/// `null` if nothing is left, and for what is no JSON, nests more than 64 deep (also where it would be dropped), or is
/// longer than 1 MiB.
pub fn mask_json(paths: &Paths, text: &str) -> String {
    masked(paths, text).unwrap_or_else(|| NULL.to_owned())
}

fn masked(paths: &Paths, text: &str) -> Option<String> {
    if text.len() > LIMIT {
        return None;
    }
    // without recursion and without a value: serde_json ignores any depth with a byte per level
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let overridden = overridden(text)?;
    let out = String::with_capacity(text.len() + 1);
    let mut scan = Scan { text, at: 0, out, overridden: &overridden };
    scan.value(&paths.root)?.then_some(scan.out)
}

/// Where the names are of members that a later one of the same name overrides, in order; `None` if the document is too
/// deep. Four bytes a member, and sorted instead of hashed: no choice of names makes it slow.
fn overridden(text: &str) -> Option<Vec<u32>> {
    let mut scan = Scan { text, at: 0, out: String::new(), overridden: &[] };
    let (mut names, mut overridden) = (Vec::new(), Vec::new());
    // for each open array or object, the number of names outside
    let mut open = Vec::with_capacity(DEPTH);
    while let Some(byte) = scan.peek() {
        match byte {
            b'"' => {
                let at = scan.at;
                scan.string()?;
                if scan.peek() == Some(b':') {
                    names.push(u32::try_from(at).ok()?);
                }
                continue;
            }
            b'[' | b'{' if open.len() == DEPTH => return None,
            b'[' | b'{' => open.push(names.len()),
            b']' | b'}' => {
                let outside = open.pop()?;
                repeated(text, names.get_mut(outside..)?, &mut overridden);
                names.truncate(outside);
            }
            _ => {}
        }
        scan.at += 1;
    }
    overridden.sort_unstable();
    Some(overridden)
}

/// Of the names of one object, all but the last of each.
fn repeated(text: &str, names: &mut [u32], out: &mut Vec<u32>) {
    names.sort_unstable_by(|a, b| by_name(text, *a, *b).then(a.cmp(b)));
    out.extend(names.windows(2).filter_map(|pair| match pair {
        [a, b] => (by_name(text, *a, *b) == Ordering::Equal).then_some(*a),
        _ => None,
    }));
}

/// The order of the names at two places, by code points, which is that of UTF-8 bytes up to a quote or an escape.
fn by_name(text: &str, a: u32, b: u32) -> Ordering {
    let rest = |at: u32| text.get(at as usize + 1..).unwrap_or_default();
    let (a, b) = (rest(a), rest(b));
    let plain = |byte: &u8| !matches!(byte, b'"' | b'\\');
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b && plain(a)).count();
    match (a.as_bytes().get(same), b.as_bytes().get(same)) {
        (Some(a), Some(b)) if plain(a) && plain(b) => a.cmp(b),
        _ => {
            let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
            Name(a.chars()).cmp(Name(b.chars()))
        }
    }
}

/// The code points of a JSON string, from behind its first quote to its last or the end. Half of a surrogate pair,
/// which the type json takes, is a code point here, so that names which differ in it differ.
#[derive(Clone)]
struct Name<'t>(Chars<'t>);

impl Name<'_> {
    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | self.0.next()?.to_digit(16)?))
    }
}

impl Iterator for Name<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let plain = match self.0.next()? {
            '"' => return None,
            '\\' => match self.0.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let first = self.hex()?;
                    let mut ahead = self.clone();
                    if (0xd800..0xdc00).contains(&first) && ahead.0.next() == Some('\\') && ahead.0.next() == Some('u')
                    {
                        if let Some(second @ 0xdc00..0xe000) = ahead.hex() {
                            *self = ahead;
                            return Some(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
                        }
                    }
                    return Some(first);
                }
                itself => itself,
            },
            plain => plain,
        };
        Some(plain.into())
    }
}

/// A walk over a document that was found to be JSON. `None` where it turns out to be none, which masks it whole.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    out: String,
    /// What is left of the places of overridden names.
    overridden: &'t [u32],
}

impl<'t> Scan<'t> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// From here to that many bytes on.
    fn take(&mut self, len: usize) -> Option<&'t str> {
        let taken = self.text.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'t str> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        let mut len = 1;
        loop {
            len += bytes.get(len..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            match bytes.get(len)? {
                b'"' => return self.take(len + 1),
                _ => len += 2,
            }
        }
    }

    /// A string, a number, or a word.
    fn scalar(&mut self) -> Option<&'t str> {
        if self.peek()? == b'"' {
            return self.string();
        }
        let rest = self.text.as_bytes().get(self.at..)?;
        let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
        // no walk may stand still
        (len > 0).then(|| self.take(len))?
    }

    /// Past a value that goes.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'[' | b'{' => {
                    depth += 1;
                    self.at += 1;
                }
                b']' | b'}' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                _ => {
                    self.scalar()?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Copies what stays of a value; false if it goes, and then nothing of it is written.
    fn value(&mut self, node: &Node) -> Option<bool> {
        match (self.peek()?, node.items()) {
            (b'{', _) if node.keeps_object() => self.object(node)?,
            (b'[', Some(items)) => self.array(items)?,
            (b'{' | b'[', _) => {
                self.skip()?;
                return Some(false);
            }
            _ => {
                let scalar = self.scalar()?;
                if !node.keeps_scalar() {
                    return Some(false);
                }
                self.out.push_str(scalar);
            }
        }
        Some(true)
    }

    fn object(&mut self, node: &Node) -> Option<()> {
        self.at += 1;
        self.out.push('{');
        loop {
            match self.peek()? {
                b'}' => return self.close('}'),
                b',' => self.at += 1,
                _ => self.member(node)?,
            }
        }
    }

    fn member(&mut self, node: &Node) -> Option<()> {
        let at = self.at;
        let name = self.string()?;
        (self.peek()? == b':').then(|| self.at += 1)?;
        // names inside values that are skipped are left behind here
        let passed = self.overridden.iter().take_while(|name| (**name as usize) < at).count();
        self.overridden = self.overridden.get(passed..)?;
        let overridden = self.overridden.first().is_some_and(|name| *name as usize == at);
        let start = self.out.len();
        match node.member(name.get(1..name.len().checked_sub(1)?)?) {
            Some(member) if !overridden => {
                self.out.push_str(name);
                self.out.push(':');
                if self.value(member)? {
                    self.out.push(',');
                } else {
                    self.out.truncate(start);
                }
            }
            _ => self.skip()?,
        }
        Some(())
    }

    fn array(&mut self, items: &Node) -> Option<()> {
        self.at += 1;
        self.out.push('[');
        loop {
            match self.peek()? {
                b']' => return self.close(']'),
                b',' => self.at += 1,
                _ => {
                    if self.value(items)? {
                        self.out.push(',');
                    }
                }
            }
        }
    }

    /// Ends an array or object: the comma behind the last that was kept goes.
    fn close(&mut self, mark: char) -> Option<()> {
        self.at += 1;
        if self.out.ends_with(',') {
            self.out.pop();
        }
        self.out.push(mark);
        Some(())
    }
}

#[cfg(test)]
mod tests;
