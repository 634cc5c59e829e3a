//! Journal reports: a text part that says who sent what to whom, and the original mail as message/rfc822.
//!
//! Exchange and Microsoft 365 mark them with `X-MS-Journal-Report`; others write the same form without the
//! field. A report about encrypted or protected mail contains the mail twice, as it was sent and as the host
//! decrypted it, with the same header. The form of the text is published: one line each for `Sender:`,
//! `Subject:`, `Message-ID:`, and one for each recipient.

use super::{Unreadable, identifier, message_id};
use crate::message::Header;
use crate::message::gathering::MAX_HEADER;
use crate::message::walk::{Limits, Part, Visitor, WalkError, Walker};

/// The header field that marks a journal report.
const MARK: &str = "x-ms-journal-report";
/// Octets of the text part that are read. Sender, Subject and Message-ID are on its first lines.
const TEXT: usize = 16 * 1024;
/// Maximum number of parts of a report: its text, two mails, and perhaps the text as HTML.
const MOST_PARTS: usize = 50;
/// Maximum nesting depth that is followed; nothing below the header of the original mail is needed.
const DEEPEST: usize = 8;

/// A mail that may be a journal report, read part by part.
#[derive(Debug)]
pub(super) struct Report {
    walker: Walker,
    parts: Parts,
    /// The error that ended the walk, if one did.
    broken: Option<WalkError>,
}

/// What the parts turned out to be.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Not a report but an ordinary mail.
    Plain,
    /// A report; this is the header of the mail in it.
    Original(Header),
    /// A report that cannot be used.
    Unreadable(Unreadable),
}

/// What is known from the parts so far.
#[derive(Debug, Default)]
struct Parts {
    /// The header has the marking field.
    marked: bool,
    text: Text,
    /// The path of the text part that is being read.
    reading: Option<String>,
    gathered: Vec<u8>,
    /// The Message-ID that the text names.
    id: Option<String>,
    /// Path of an enclosed mail whose header comes next.
    mail: Option<String>,
    /// Headers of the enclosed mails.
    originals: Vec<Header>,
}

/// What is known of the text part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    /// It has not come yet.
    #[default]
    Awaited,
    /// It has the form of a report.
    Report,
    /// It has another form, or the first part is not text.
    Other,
}

impl Report {
    /// `None` if the header cannot belong to a report.
    pub(super) fn begin(header: &Header) -> Option<Self> {
        let marked = header.named(MARK).next().is_some();
        let mut parts = Parts { marked, ..Parts::default() };
        let limits = Limits { depth: DEEPEST, parts: MOST_PARTS, header: MAX_HEADER };
        let mut broken = None;
        let (part, _) = crate::message::walk::read_part(header, "text/plain");
        let mixed = part.content_type == "multipart/mixed" && part.is_container();
        if !marked && !mixed {
            return None;
        }
        let walker = match Walker::new(header, limits, &mut parts) {
            Ok(walker) => walker,
            Err(error) => {
                broken = Some(error);
                Walker::whole(String::new(), limits)
            }
        };
        Some(Self { walker, parts, broken })
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        if self.broken.is_none() {
            self.broken = self.walker.feed(octets, &mut self.parts).err();
        }
    }

    pub(super) fn end(&mut self) {
        if self.broken.is_none() {
            self.broken = self.walker.finish(&mut self.parts).err();
        }
    }

    /// The result, once it is certain; `over` says that no more octets follow.
    pub(super) fn outcome(&mut self, over: bool) -> Option<Outcome> {
        let parts = &mut self.parts;
        let over = over || self.broken.is_some();
        if !parts.marked && (parts.text == Text::Other || (over && parts.text == Text::Awaited)) {
            return Some(Outcome::Plain);
        }
        let named = parts.id.as_deref();
        // A report without a Message-ID is about the one mail in it.
        let found = parts.originals.iter().position(|header| match (message_id(header), named) {
            (Some(own), Some(named)) => own == named,
            _ => true,
        });
        if (over || parts.text != Text::Awaited)
            && let Some(at) = found
        {
            return Some(Outcome::Original(parts.originals.swap_remove(at)));
        }
        if !over {
            return None;
        }
        Some(match (parts.originals.is_empty(), parts.marked, self.broken) {
            (false, ..) => Outcome::Unreadable(Unreadable::OtherMail),
            (true, true, Some(_)) => Outcome::Unreadable(Unreadable::Parts),
            (true, true, None) => Outcome::Unreadable(Unreadable::NoOriginal),
            // It begins like a report but is not one.
            (true, false, _) => Outcome::Plain,
        })
    }
}

impl Parts {
    /// The text part has ended, or its limit is reached.
    fn read_text(&mut self) {
        self.reading = None;
        let text = String::from_utf8_lossy(&self.gathered).into_owned();
        self.gathered = Vec::new();
        let mut lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
        let value = |line: &str, name: &str| -> Option<String> {
            let (written, value) = line.split_once(':')?;
            written.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        let begins =
            lines.by_ref().find(|line| !line.is_empty()).is_some_and(|line| value(line, "sender").is_some());
        let id = lines.take(20).find_map(|line| value(line, "message-id"));
        self.text = if begins && id.is_some() { Text::Report } else { Text::Other };
        if self.marked || self.text == Text::Report {
            self.id = id.and_then(|id| identifier(id.as_bytes()));
        }
    }
}

impl Visitor for Parts {
    fn begin(&mut self, part: &Part, header: &Header) {
        if let Some(mail) = self.mail.take()
            && part.path == format!("{mail}.1")
        {
            self.originals.push(header.clone());
            return;
        }
        // Parts inside the enclosed mails are not needed.
        if part.path == "0" || part.path.contains('.') && !self.originals.is_empty() {
            return;
        }
        if part.is_message() {
            self.mail = Some(part.path.clone());
        } else if self.text == Text::Awaited && self.reading.is_none() && !part.is_container() {
            if part.content_type == "text/plain" && !part.attachment {
                self.reading = Some(part.path.clone());
            } else {
                self.text = Text::Other;
            }
        }
    }

    fn data(&mut self, part: &Part, decoded: &[u8]) {
        if self.reading.as_deref() != Some(part.path.as_str()) {
            return;
        }
        let room = TEXT.saturating_sub(self.gathered.len());
        self.gathered.extend_from_slice(&decoded[..decoded.len().min(room)]);
        if self.gathered.len() >= TEXT {
            self.read_text();
        }
    }

    fn end(&mut self, part: &Part) {
        if self.reading.as_deref() == Some(part.path.as_str()) {
            self.read_text();
        }
    }

    fn stray(&mut self, _bytes: &[u8]) {}

    fn problem(&mut self, _path: &str, _why: String) {}
}
