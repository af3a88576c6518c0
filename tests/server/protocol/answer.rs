//! What comes back over the socket: errors and notices by field, rows, tags.

use std::collections::BTreeMap;

/// The fields of an ErrorResponse or NoticeResponse by their letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub BTreeMap<char, String>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Fields {
        let mut fields = BTreeMap::new();
        for part in body.split(|b| *b == 0).filter(|p| !p.is_empty()) {
            fields.insert(part[0] as char, String::from_utf8_lossy(&part[1..]).into_owned());
        }
        Fields(fields)
    }

    /// One field, empty when the server did not send it.
    pub fn get(&self, letter: char) -> &str {
        self.0.get(&letter).map_or("", String::as_str)
    }

    /// SQLSTATE.
    pub fn code(&self) -> &str {
        self.get('C')
    }

    /// Everything, to be searched.
    pub fn text(&self) -> String {
        self.0.iter().map(|(k, v)| format!("{k}={v}\n")).collect()
    }
}

/// One row as text; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// What came back until ReadyForQuery, or until the connection closed.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The first rows, as text.
    pub rows: Vec<Row>,
    /// DataRow messages read from the socket.
    pub received: usize,
    /// Bytes of DataRow and CopyData messages, type and length included.
    pub row_bytes: usize,
    /// CopyData messages of a COPY TO.
    pub copied: Vec<String>,
    /// The same as it came, in one piece.
    pub copied_bytes: Vec<u8>,
    /// Columns of the last RowDescription.
    pub columns: Vec<String>,
    /// Command tags.
    pub tags: Vec<String>,
    /// The first error.
    pub error: Option<Fields>,
    /// Notices and warnings.
    pub notices: Vec<Fields>,
    /// PortalSuspended came.
    pub suspended: bool,
    /// The server closed the connection.
    pub closed: bool,
}

impl Answer {
    /// Rows kept; all are counted.
    pub const KEPT: usize = 5_000;

    /// SQLSTATE of the error; empty when there was none.
    pub fn code(&self) -> &str {
        self.error.as_ref().map_or("", Fields::code)
    }

    /// The rows, when nothing went wrong.
    #[track_caller]
    pub fn ok(self) -> Answer {
        assert!(self.error.is_none() && !self.closed, "statement failed: {:?}, closed: {}", self.error, self.closed);
        self
    }

    /// The only value of the only row.
    #[track_caller]
    pub fn value(self) -> String {
        let answer = self.ok();
        assert_eq!(answer.rows.len(), 1, "one row expected: {:?}", answer.rows);
        answer.rows[0][0].clone().unwrap_or_default()
    }

    /// First column of all rows, NULL as empty.
    pub fn first(&self) -> Vec<String> {
        self.rows.iter().map(|r| r[0].clone().unwrap_or_default()).collect()
    }

    /// All that reached the client, to be searched for what must not.
    pub fn everything(&self) -> String {
        let mut all = String::new();
        for row in &self.rows {
            for value in row.iter().flatten() {
                all.push_str(value);
                all.push('\n');
            }
        }
        self.copied.iter().for_each(|c| all.push_str(c));
        self.notices.iter().chain(&self.error).for_each(|f| all.push_str(&f.text()));
        all
    }
}

/// A zero-terminated text.
pub(super) fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

/// The values of a DataRow.
pub(super) fn row(body: &[u8]) -> Row {
    let count = i16::from_be_bytes([body[0], body[1]]);
    let mut at = 2;
    (0..count)
        .map(|_| {
            let length = i32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
            at += 4;
            (length >= 0).then(|| {
                let value = String::from_utf8_lossy(&body[at..at + length as usize]).into_owned();
                at += length as usize;
                value
            })
        })
        .collect()
}

/// The names in a RowDescription.
pub(super) fn names(body: &[u8]) -> Vec<String> {
    let count = i16::from_be_bytes([body[0], body[1]]);
    let mut at = 2;
    (0..count)
        .map(|_| {
            let name = text(&body[at..]);
            at += name.len() + 1 + 18;
            name
        })
        .collect()
}
