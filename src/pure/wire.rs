//! The wire gate's book-keeping: which bytes of an answer may leave, when a record is due, and how many rows it covers.
//!
//! A statement's record is written when its answer is about to leave, so that it says what left. Until then the bytes are
//! held. A small answer costs one record (`Exact`) at the flush that would send it; a large one costs an `Open` before
//! its first byte and a `Final` behind its last, which nobody waits for.
//!
//! ```text
//! read() ─ held, no record ──flush, answered──▶ Exact, then at rest: its portal may go on, see revive()
//!              │                └─ended──────▶ Exact, then gone
//!              └─too large, or flush in mid-answer─▶ Open ─ streams ─ended or answered─▶ Final
//! ```
//!
//! Rows are counted where they pass, as `DataRow` and `CopyData` messages, and belong to the portal that runs: what a
//! function inside a statement reads goes to the client through the statement's portal, and the rows of EXECUTE and
//! FETCH come out of a store after the executor has ended.

/// A read's number within its backend.
pub type Number = u64;

/// A portal's identity; never followed. An address, and another portal's after this one is dropped.
pub type Portal = usize;

/// Bytes of a message around its body: type and length.
const ENVELOPE: u64 = 5;

/// Most reads that wait for their record together; a pipeline of more is settled in pieces.
pub const MOST_WAITING: usize = 256;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Nothing is held: hand it on.
    Pass,
    /// Into the buffer, which must not be sent.
    Hold,
    /// First write the records that are due and make them durable, then hand it on.
    Settle,
}

/// What to do with a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Hand it on.
    Pass,
    /// Not now: it is a notice's own, in the middle of an answer.
    Hold,
    /// First write the records that are due; `durable` when bytes wait for them, so that they are waited for.
    Settle {
        /// Whether to wait for the disk.
        durable: bool,
    },
}

/// Which record is due for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The whole read in one record.
    Exact,
    /// The read has begun, and how much it will send is not known.
    Open,
    /// How a read that is on record as open ended.
    Final,
}

/// What one read has sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows.
    pub rows: i64,
    /// Bytes of their messages, type and length included.
    pub bytes: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its answer goes on.
    Answering,
    /// CommandComplete has been put, and the portal is still there.
    Answered,
    /// Answered and on record; counts nothing until it is revived.
    AtRest,
    /// Its executor has ended.
    Ended,
}

#[derive(Debug)]
struct Read {
    number: Number,
    counts: Counts,
    /// A durable record names it.
    recorded: bool,
    state: State,
}

/// Through which portal a read's rows leave. It is open until the portal has completed, failed or is gone: until then rows
/// may come, out of a store, although the executor has ended.
#[derive(Debug)]
struct Outlet {
    portal: Portal,
    number: Number,
    /// The read is the portal's own statement, so that its CommandComplete is the read's, and there is no store.
    direct: bool,
}

/// What of a COPY is no row.
#[derive(Debug, Default)]
struct Copy {
    portal: Portal,
    /// HEADER: the first CopyData is to come.
    header: bool,
    /// BINARY: the last CopyData is a trailer.
    binary: bool,
}

/// The limits of holding.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes to hold.
    pub bytes: u64,
    /// How long a notice's flush is put off, in microseconds.
    pub time: i64,
}

/// The state of one session.
#[derive(Debug, Default)]
pub struct Wire {
    reads: Vec<Read>,
    outlets: Vec<Outlet>,
    /// Bytes put since the last settlement, while a read waits for its record.
    held: u64,
    /// When the first of them was put.
    since: i64,
    last: u8,
    /// The portal that runs, once it has shown that it does: messages about its end come when none is active any more. A
    /// portal that sends nothing out of its store does not show itself, and then nobody is told complete.
    ran: Option<Portal>,
    copy: Copy,
}

impl Wire {
    /// A read begins. `recorded`: its record is durable already.
    pub fn read(&mut self, number: Number, recorded: bool) {
        self.reads.push(Read { number, counts: Counts::default(), recorded, state: State::Answering });
    }

    /// Whether there is anything to count or to write: also while a COPY runs, whose first message is counted or not before
    /// anything inside it is read.
    pub fn busy(&self) -> bool {
        self.copy.portal != 0 || self.reads.iter().any(|r| r.state != State::AtRest)
    }

    /// Whether bytes may be put that must not leave yet.
    pub fn holding(&self) -> bool {
        self.waiting() > 0
    }

    /// How many reads wait for their record.
    pub fn waiting(&self) -> usize {
        self.reads.iter().filter(|r| !r.recorded && r.state != State::AtRest).count()
    }

    /// Whether a durable record names the read.
    pub fn is_recorded(&self, number: Number) -> bool {
        self.reads.iter().any(|r| r.number == number && r.recorded)
    }

    /// What has been sent of a read whose record was durable before its first row.
    pub fn streamed(&self, number: Number) -> Option<Counts> {
        self.reads.iter().find(|r| r.number == number && r.recorded && r.state == State::Answering).map(|r| r.counts)
    }

    /// Whether the read has been answered and recorded, and must be [`Wire::revive`]d before it goes on.
    pub fn at_rest(&self, number: Number) -> bool {
        self.reads.iter().any(|r| r.number == number && r.state == State::AtRest)
    }

    /// A statement begins in a portal, which need not run yet. What ran in one of that address is over.
    pub fn begin(&mut self, portal: Portal) {
        self.outlets.retain(|o| o.portal != portal);
        self.copy = Copy::default();
    }

    /// A portal runs.
    pub fn runs(&mut self, portal: Portal) {
        self.ran = Some(portal);
    }

    /// It runs a COPY, with a header line or without.
    pub fn copies(&mut self, portal: Portal, header: bool) {
        self.copy = Copy { portal, header, binary: false };
    }

    /// The read's rows leave through this portal. `direct`: it is the portal's own statement.
    pub fn outlet(&mut self, portal: Portal, number: Number, direct: bool) {
        if !self.outlets.iter().any(|o| (o.portal, o.number) == (portal, number)) {
            self.outlets.push(Outlet { portal, number, direct });
        }
    }

    /// A portal that was answered and recorded runs again: from now on the read is another one.
    pub fn revive(&mut self, number: Number, anew: Number) {
        if let Some(read) = self.reads.iter_mut().find(|r| r.number == number) {
            *read = Read { number: anew, counts: Counts::default(), recorded: false, state: State::Answering };
        }
        self.outlets.iter_mut().filter(|o| o.number == number).for_each(|o| o.number = anew);
    }

    /// The read's executor has ended, or its portal is gone. True when nothing is left to say of it.
    pub fn end(&mut self, number: Number) -> bool {
        let rested = self.at_rest(number);
        if rested {
            self.forget(number);
        } else if let Some(read) = self.reads.iter_mut().find(|r| r.number == number) {
            read.state = State::Ended;
        }
        rested
    }

    /// No portal outlives the transaction.
    pub fn transaction_ends(&mut self) {
        self.outlets.clear();
    }

    /// Whether there is anything left to say of the read.
    pub fn knows(&self, number: Number) -> bool {
        self.reads.iter().any(|r| r.number == number)
    }

    /// What was held will never leave: the reads that have no record yet sent nothing.
    pub fn drop_held(&mut self) {
        self.reads.iter_mut().filter(|r| !r.recorded).for_each(|r| r.counts = Counts::default());
    }

    /// A message is put, while this portal is active (0: none).
    pub fn put(&mut self, kind: u8, body: &[u8], active: Portal, now: impl FnOnce() -> i64, limits: Limits) -> Put {
        self.last = kind;
        let size = body.len() as u64 + ENVELOPE;
        match kind {
            b'D' | b'd' => self.row(kind, size, active),
            // CopyOutResponse begins with the overall format
            b'H' if self.copy.portal == active => self.copy.binary = body.first() == Some(&1),
            b'c' => self.copied(active),
            b'C' => self.completed(),
            b's' => self.ran = None,
            b'E' => self.failed(),
            _ => {}
        }
        if !self.holding() {
            return Put::Pass;
        }
        if self.held == 0 {
            self.since = now();
        }
        self.held += size;
        if self.held > limits.bytes {
            return Put::Settle;
        }
        Put::Hold
    }

    /// What is in the buffer is about to be sent.
    pub fn flush(&self, now: i64, limits: Limits) -> Flush {
        match (self.holding(), self.last) {
            (true, b'N') if now.saturating_sub(self.since) < limits.time => Flush::Hold,
            (durable, _) if durable || !self.due().is_empty() => Flush::Settle { durable },
            _ => Flush::Pass,
        }
    }

    /// The records that are due now, in the order in which the reads began.
    pub fn due(&self) -> Vec<(Number, Form, Counts)> {
        let form = |read: &Read| {
            let complete = match read.state {
                State::Answering => false,
                State::Answered => !self.outlets.iter().any(|o| o.number == read.number),
                State::AtRest => return None,
                // rows in a store outlive their executor
                State::Ended => !self.outlets.iter().any(|o| o.number == read.number && !o.direct),
            };
            match (read.recorded, complete) {
                (false, true) => Some(Form::Exact),
                (false, false) => Some(Form::Open),
                (true, true) => Some(Form::Final),
                (true, false) => None,
            }
        };
        self.reads.iter().filter_map(|r| form(r).map(|f| (r.number, f, r.counts))).collect()
    }

    /// The record is written (and durable, where it has to be). True when nothing is left to say of the read.
    pub fn settled(&mut self, number: Number, form: Form) -> bool {
        let Some(read) = self.reads.iter_mut().find(|r| r.number == number) else { return true };
        read.recorded = true;
        match (form, read.state) {
            (Form::Open, _) => false,
            (_, State::Answered) => {
                read.state = State::AtRest;
                false
            }
            _ => {
                self.forget(number);
                true
            }
        }
    }

    /// All that was due is settled: what is in the buffer may leave.
    pub fn released(&mut self) {
        self.held = 0;
    }

    fn forget(&mut self, number: Number) {
        self.reads.retain(|r| r.number != number);
        self.outlets.retain(|o| o.number != number);
    }

    fn row(&mut self, kind: u8, size: u64, active: Portal) {
        self.ran = Some(active);
        let header = kind == b'd' && self.copy.portal == active && std::mem::take(&mut self.copy.header);
        for outlet in self.outlets.iter().filter(|o| o.portal == active) {
            let Some(read) = self.reads.iter_mut().find(|r| r.number == outlet.number) else { continue };
            read.counts.bytes = read.counts.bytes.saturating_add(size as i64);
            read.counts.rows = read.counts.rows.saturating_add(i64::from(!header));
        }
    }

    /// CopyDone: the trailer of a binary copy went before it.
    fn copied(&mut self, active: Portal) {
        if self.copy.portal != active || !self.copy.binary {
            return;
        }
        for outlet in self.outlets.iter().filter(|o| o.portal == active) {
            if let Some(read) = self.reads.iter_mut().find(|r| r.number == outlet.number) {
                read.counts.rows = (read.counts.rows - 1).max(0);
            }
        }
    }

    /// CommandComplete: the portal that ran has sent all it has.
    fn completed(&mut self) {
        let Some(portal) = self.ran.take() else { return };
        for outlet in self.outlets.iter().filter(|o| o.portal == portal && o.direct) {
            if let Some(read) = self.reads.iter_mut().find(|r| r.number == outlet.number) {
                if read.state == State::Answering {
                    read.state = State::Answered;
                }
            }
        }
        self.outlets.retain(|o| o.portal != portal);
        self.copy = Copy::default();
    }

    /// ErrorResponse: the portal that ran sends nothing more.
    fn failed(&mut self) {
        self.copy = Copy::default();
        if let Some(portal) = self.ran.take() {
            self.outlets.retain(|o| o.portal != portal);
        }
    }
}

/// Whether an ErrorResponse ends the session, and its SQLSTATE: fields `V` (or `S`) and `C` of the message.
pub fn fatal(body: &[u8]) -> Option<&str> {
    let (mut fatal, mut code) = (false, "");
    for field in body.split(|b| *b == 0) {
        match field.split_first() {
            Some((b'V', word)) => fatal = word == b"FATAL" || word == b"PANIC",
            Some((b'C', word)) => code = std::str::from_utf8(word).unwrap_or(""),
            _ => {}
        }
    }
    fatal.then_some(code)
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
