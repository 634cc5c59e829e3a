//! Copies of mail, from a journal or an archive: the header of the mail itself, and nothing of its content.
//!
//! * [`Reader`] takes a copy as it arrives, whole or from its start, and keeps next to nothing of it
//! * `report` journal reports as Exchange, Microsoft 365 and Google Workspace write them: the mail itself
//!   stands within as message/rfc822
//!
//! What a report's text names beside it (blind copies, members of a group) was shown to nobody, and is not
//! read.

mod report;
#[cfg(test)]
mod tests;

use super::Header;
use crate::clock::Timestamp;
use bytes::{Bytes, BytesMut};
use mail_parser::parsers::MessageStream;
use report::Report;

/// Largest header block, as of a mail that is relayed (`docs/PROMISES.md` promise 4).
const HEADER: usize = 1024 * 1024;
/// No identifier is longer than a line (RFC 5322 §2.1.1).
const LONGEST_ID: usize = 998;

/// Why a copy cannot be read. Says nothing of what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The header goes on for longer than any mail's.
    #[error("its header is larger than {HEADER} octets")]
    HeaderTooLarge,
    /// The header is none.
    #[error("its header is no mail header")]
    Header,
    /// Nothing came.
    #[error("it is empty")]
    Empty,
    /// A journal report, but the mail it is about is not in it.
    #[error("it is a journal report without the mail it reports")]
    NoOriginal,
    /// A journal report with another mail in it.
    #[error("it is a journal report, and the mail in it has another Message-ID than it says")]
    OtherMail,
    /// A journal report whose parts cannot be told apart.
    #[error("it is a journal report whose parts cannot be told apart")]
    Parts,
}

/// Reads one copy as it arrives.
#[derive(Debug)]
pub struct Reader(State);

#[derive(Debug)]
enum State {
    /// The header is not complete.
    Header { gathered: BytesMut, searched: usize },
    /// The header says that it may be a report: whether it is, its first parts tell.
    Parts { header: Header, report: Box<Report> },
    /// All is known that is asked for; what follows is not looked at.
    Done(Result<Header, Unreadable>),
}

impl Default for Reader {
    fn default() -> Self {
        Self(State::Header { gathered: BytesMut::new(), searched: 0 })
    }
}

impl Reader {
    /// Takes the next octets. Line ends are CRLF.
    pub fn feed(&mut self, octets: &[u8]) {
        match &mut self.0 {
            State::Done(_) => {}
            State::Parts { report, .. } => {
                report.feed(octets);
                self.conclude(false);
            }
            State::Header { gathered, searched } => {
                gathered.extend_from_slice(octets);
                match end(gathered, searched) {
                    Some(end) if end <= HEADER => {
                        let mut whole = std::mem::take(gathered);
                        let body = whole.split_off(end);
                        self.opened(whole.freeze(), &body);
                    }
                    None if gathered.len() <= HEADER => {}
                    _ => self.0 = State::Done(Err(Unreadable::HeaderTooLarge)),
                }
            }
        }
    }

    /// Whether more octets tell anything more.
    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done(_))
    }

    /// The copy is over: the header of the mail itself.
    pub fn finish(mut self) -> Result<Header, Unreadable> {
        if let State::Header { gathered, .. } = &mut self.0 {
            let block = std::mem::take(gathered).freeze();
            if block.is_empty() {
                return Err(Unreadable::Empty);
            }
            self.opened(block, b"");
        }
        self.conclude(true);
        match self.0 {
            State::Done(result) => result,
            State::Header { .. } | State::Parts { .. } => Err(Unreadable::Header),
        }
    }

    /// The header is complete.
    fn opened(&mut self, block: Bytes, body: &[u8]) {
        let Ok(header) = Header::parse(block) else {
            self.0 = State::Done(Err(Unreadable::Header));
            return;
        };
        if header.fields().is_empty() {
            self.0 = State::Done(Err(Unreadable::Header));
            return;
        }
        match Report::begin(&header) {
            None => self.0 = State::Done(Ok(header)),
            Some(mut report) => {
                report.feed(body);
                self.0 = State::Parts { header, report: Box::new(report) };
                self.conclude(false);
            }
        }
    }

    /// Ends the reading where the parts that came say all.
    fn conclude(&mut self, over: bool) {
        let State::Parts { header, report } = &mut self.0 else { return };
        if over {
            report.end();
        }
        let outcome = match report.outcome(over) {
            None => return,
            Some(report::Outcome::Plain) => Ok(std::mem::take(header)),
            Some(report::Outcome::Original(original)) => Ok(original),
            Some(report::Outcome::Unreadable(why)) => Err(why),
        };
        self.0 = State::Done(outcome);
    }
}

/// Where the header ends: before the first empty line.
fn end(gathered: &BytesMut, searched: &mut usize) -> Option<usize> {
    if gathered.starts_with(b"\r\n") {
        return Some(0);
    }
    let from = searched.saturating_sub(3);
    *searched = gathered.len();
    memchr::memmem::find(&gathered[from..], b"\r\n\r\n").map(|at| from + at + 2)
}

/// The one identifier of a Message-ID field, without brackets and folding; as the policy reads it.
fn message_id(header: &Header) -> Option<String> {
    header.named("message-id").next().and_then(|field| identifier(header.body(field)))
}

/// What stands between angle brackets, else the whole text; without blanks.
fn identifier(body: &[u8]) -> Option<String> {
    let inside = memchr::memchr(b'<', body)
        .map(|open| &body[open + 1..])
        .and_then(|rest| memchr::memchr(b'>', rest).map(|close| &rest[..close]));
    let kept: Vec<u8> =
        inside.unwrap_or(body).iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let id = String::from_utf8_lossy(&kept).into_owned();
    (!id.is_empty() && id.len() <= LONGEST_ID).then_some(id)
}

/// When a mail was written: its Date, else what the topmost Received says behind its last semicolon (RFC
/// 5322 §3.6.7).
pub fn written(header: &Header) -> Option<Timestamp> {
    let written = header.named("date").next().and_then(|field| moment(header.body(field)));
    written.or_else(|| {
        let received = header.body(header.named("received").next()?);
        moment(&received[memchr::memrchr(b';', received)? + 1..])
    })
}

fn moment(text: &[u8]) -> Option<Timestamp> {
    let mut ended = text.to_vec();
    ended.extend_from_slice(b"\r\n");
    let read = MessageStream::new(&ended).parse_date();
    let date = read.as_datetime().filter(|date| date.is_valid())?;
    Some(Timestamp(date.to_timestamp().checked_mul(1_000)?))
}
