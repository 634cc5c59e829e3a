//! Copies of mail from a journal or an archive. Only the header of the original mail is read.
//!
//! * [`Reader`] takes a copy as it arrives, all of it or its beginning, and keeps almost none of it in memory
//!
//! * `report` journal reports as Exchange, Microsoft 365 and Google Workspace write them, with the original
//!   mail inside as message/rfc822
//!
//! The text of a journal report also names blind copies and members of groups. Nobody was shown those, so
//! they are not read.

mod report;
#[cfg(test)]
mod tests;

use super::Header;
use super::gathering::{Gathering, MAX_HEADER};
use crate::clock::Timestamp;
use bytes::Bytes;
use mail_parser::parsers::MessageStream;
use report::Report;

/// Longest Message-ID: the longest line (RFC 5322 §2.1.1).
const LONGEST_ID: usize = 998;

/// Why a copy cannot be read. The texts contain nothing from the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The header block is larger than the limit.
    #[error("its header is larger than {MAX_HEADER} octets")]
    HeaderTooLarge,
    /// The copy does not begin with a header block.
    #[error("it does not begin with a mail header")]
    Header,
    /// The copy is empty.
    #[error("it is empty")]
    Empty,
    /// A journal report without the mail that it reports.
    #[error("it is a journal report without the mail it reports")]
    NoOriginal,
    /// A journal report that contains another mail than the one it names.
    #[error("it is a journal report, and the mail in it has another Message-ID than it says")]
    OtherMail,
    /// A journal report whose MIME structure is broken.
    #[error("it is a journal report whose parts cannot be told apart")]
    Parts,
}

/// Reads one copy as it arrives.
#[derive(Debug)]
pub struct Reader(State);

#[derive(Debug)]
enum State {
    /// The header is incomplete.
    Header(Gathering),
    /// The header may belong to a journal report; the first parts decide.
    Parts { header: Header, report: Box<Report> },
    /// Everything needed is known; further octets are ignored.
    Done(Result<Header, Unreadable>),
}

impl Default for Reader {
    fn default() -> Self {
        Self(State::Header(Gathering::default()))
    }
}

impl Reader {
    /// Takes the next octets, with CRLF line ends.
    pub fn feed(&mut self, octets: &[u8]) {
        match &mut self.0 {
            State::Done(_) => {}
            State::Parts { report, .. } => {
                report.feed(octets);
                self.conclude(false);
            }
            State::Header(gathering) => match gathering.feed(octets) {
                Ok(Some((header, body))) => self.open(header, &body),
                Ok(None) => {}
                Err(_) => self.header_too_large(),
            },
        }
    }

    /// Whether further octets are ignored.
    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done(_))
    }

    /// Ends the copy and returns the header of the original mail.
    ///
    /// # Errors
    /// The copy is empty, has no usable header, or is a journal report that cannot be read.
    pub fn finish(mut self) -> Result<Header, Unreadable> {
        if let State::Header(gathering) = &mut self.0 {
            let block = gathering.end();
            if block.is_empty() {
                return Err(Unreadable::Empty);
            }
            self.open(block, b"");
        }
        self.conclude(true);
        match self.0 {
            State::Done(result) => result,
            State::Header(_) | State::Parts { .. } => Err(Unreadable::Header),
        }
    }

    /// Takes the complete header block where somebody else found its end, and the octets of the body that came
    /// with it. [`Self::feed`] takes the rest.
    pub fn open(&mut self, block: Bytes, body: &[u8]) {
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

    /// The header block is larger than its limit: further octets are ignored.
    pub fn header_too_large(&mut self) {
        self.0 = State::Done(Err(Unreadable::HeaderTooLarge));
    }

    /// Ends reading if the parts so far are enough.
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

/// The Message-ID without brackets and folding, as the policy reads it.
fn message_id(header: &Header) -> Option<String> {
    header.named("message-id").next().and_then(|field| identifier(header.body(field)))
}

/// The text between angle brackets, or all of it, without white space.
fn identifier(body: &[u8]) -> Option<String> {
    let inside = memchr::memchr(b'<', body)
        .map(|open| &body[open + 1..])
        .and_then(|rest| memchr::memchr(b'>', rest).map(|close| &rest[..close]));
    let kept: Vec<u8> =
        inside.unwrap_or(body).iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let id = String::from_utf8_lossy(&kept).into_owned();
    (!id.is_empty() && id.len() <= LONGEST_ID).then_some(id)
}

/// When a mail was written: its Date, or the date of the topmost Received field, after its last semicolon
/// (RFC 5322 §3.6.7).
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
