//! The type of each part, by its header: attachments, signatures, protected and enclosed headers.

use super::leaf::{Info, Leaf};
use super::{Context, FACTS, Kind, SPENT};
use crate::message::address::parse_list;
use crate::message::encoded_word::decode_words;
use crate::message::inspect::{Attachment, Encrypted, Written};
use crate::message::walk::{Encoding, Part, Visitor, WalkError, Walker};
use crate::message::{Address, Header};
use memchr::memmem;
use std::borrow::Cow;

/// Fields of an enclosed header that name recipients.
const RECIPIENTS: [&str; 6] = ["to", "cc", "bcc", "resent-to", "resent-cc", "reply-to"];

/// Longest address field of an enclosed header that is parsed, in octets.
const LONGEST_FIELD: usize = 64 * 1_024;

/// The open parts of one message: of the message itself, or of one inside a leaf.
#[derive(Debug)]
pub(super) struct Nest {
    /// Precedes the name of each place; empty for the message itself.
    prefix: String,
    /// Number of containers around this message.
    depth: usize,
    /// A signature covers all of this message.
    signed: bool,
    frames: Vec<Frame>,
    leaf: Option<Box<Leaf>>,
}

#[derive(Debug)]
struct Frame {
    signed: bool,
    message: bool,
    /// The header of the enclosed message itself counts as protected.
    wrapped: bool,
    attachment: Option<usize>,
}

impl Nest {
    /// Whether the current part may be a container.
    pub(super) fn is_heavy(&self) -> bool {
        self.leaf.as_ref().is_some_and(|leaf| leaf.is_heavy())
    }

    /// The message itself.
    pub(super) fn root() -> Self {
        Self::inside(String::new(), 0, false)
    }

    /// A message inside a leaf.
    pub(super) fn inside(prefix: String, depth: usize, signed: bool) -> Self {
        Self { prefix, depth, signed, frames: Vec::new(), leaf: None }
    }

    fn place(&self, part: &Part) -> String {
        let name = part.filename.as_deref().filter(|name| !name.is_empty()).unwrap_or(&part.content_type);
        let name: String = name.chars().filter(|letter| !letter.is_control()).take(120).collect();
        format!("{}part {} ({name})", self.prefix, part.path)
    }

    pub(super) fn begin(&mut self, part: &Part, header: &Header, cx: &mut Context<'_>) {
        let is_root = self.frames.is_empty() && self.prefix.is_empty();
        let place = self.place(part);
        if !is_root {
            cx.header(&place, header.bytes());
            mailboxes(&place, header, cx);
        }
        if let Some(name) = &part.filename {
            // Decoded by us, in case the search decodes the header differently.
            cx.header(&place, format!("file name: {name}").as_bytes());
        }
        self.protected(part, header, is_root, cx);
        if is_root {
            cx.facts.report = part.content_type == "multipart/report";
        }
        match self.frames.last() {
            Some(frame) if frame.message => embedded(&part.path, header, cx),
            // A message inside a leaf: a file, or a returned header.
            None if !is_root && !self.signed => embedded(self.prefix.trim_end_matches(" › "), header, cx),
            _ => {}
        }
        Self::declared(part, &place, cx);
        let attachment = attachment(part, header, cx);
        let wrapped = part.parameter("forwarded").is_some_and(|value| value.eq_ignore_ascii_case("no"));
        let parent_signed = self.frames.last().map_or(self.signed, |frame| frame.signed);
        self.frames.push(Frame {
            signed: part.content_type == "multipart/signed",
            message: part.is_message(),
            wrapped: part.is_message() && (wrapped || parent_signed),
            attachment,
        });
        if !part.is_container() {
            self.leaf = Some(Box::new(Leaf::new(Info::of_part(part, place, self.depth))));
        }
    }

    /// Notes recipients in headers that are signed or wrapped (RFC 9788, "memory hole").
    fn protected(&self, part: &Part, header: &Header, is_root: bool, cx: &mut Context<'_>) {
        let parent = self.frames.last();
        let marked = part.parameter("protected-headers").is_some() || part.parameter("hp").is_some();
        let covered = match parent {
            Some(frame) => frame.signed || frame.wrapped,
            None => self.signed,
        };
        if !is_root && (marked || covered) {
            cx.inner_recipients(header);
        }
    }

    /// What follows from the declared type alone.
    fn declared(part: &Part, place: &str, cx: &mut Context<'_>) {
        match part.content_type.as_str() {
            "multipart/signed" => cx.facts.signed = true,
            "multipart/encrypted" if cx.facts.encrypted.is_none() => {
                cx.facts.encrypted = Some(Encrypted { kind: "pgp".to_owned(), recipients: None });
            }
            "message/partial" => {
                cx.opaque(&part.path, &part.content_type, "a piece of a message that was cut up");
                cx.problem(place, "a piece of a message (message/partial)");
            }
            "message/external-body" => {
                cx.opaque(&part.path, &part.content_type, "its content is kept elsewhere");
            }
            _ => {}
        }
        if part.encoding == Encoding::Unknown {
            cx.opaque(&part.path, &part.content_type, "its transfer encoding is unknown");
        }
    }

    pub(super) fn data(&mut self, decoded: &[u8], cx: &mut Context<'_>) {
        for frame in &self.frames {
            let known = frame.attachment.and_then(|index| cx.facts.attachments.get_mut(index));
            if let Some(attachment) = known {
                attachment.size += decoded.len() as u64;
            }
        }
        if let Some(leaf) = &mut self.leaf {
            leaf.feed(decoded, cx);
        }
    }

    pub(super) fn end(&mut self, part: &Part, cx: &mut Context<'_>) {
        self.frames.pop();
        if !part.is_container()
            && let Some(leaf) = self.leaf.take()
        {
            leaf.finish(cx);
        }
    }

    pub(super) fn problem(&self, path: &str, why: &str, cx: &mut Context<'_>) {
        cx.problem(&format!("{}part {path}", self.prefix), why);
    }
}

/// Recipients named in a header.
pub(super) fn recipients(header: &Header) -> Vec<Address> {
    RECIPIENTS
        .into_iter()
        .flat_map(|name| header.named(name))
        .flat_map(|field| parse_list(header.body(field)).mailboxes)
        .map(|mailbox| mailbox.address)
        .collect()
}

/// Whether the mailboxes of a field are passed on, in addition to its text.
fn is_address_field(name: &str) -> bool {
    const ENDINGS: [&str; 9] =
        ["to", "cc", "bcc", "from", "sender", "recipient", "recipients", "path", "contact"];
    ENDINGS.iter().any(|ending| {
        name.strip_suffix(ending).is_some_and(|before| before.is_empty() || before.ends_with('-'))
    })
}

/// Passes on each mailbox of an enclosed header as one address: comments, white space and folds may stand
/// between the parts of an address (RFC 5322 §3.4.1, §4.4), and a local part may be quoted.
fn mailboxes(place: &str, header: &Header, cx: &mut Context<'_>) {
    let mut plain = Vec::new();
    for field in header.fields() {
        let name = String::from_utf8_lossy(header.name(field)).to_ascii_lowercase();
        let body = header.body(field);
        if !is_address_field(&name) || body.len() > LONGEST_FIELD {
            continue;
        }
        let decoded = decode_words(body);
        for mailbox in [body, decoded.as_bytes()].into_iter().flat_map(|body| parse_list(body).mailboxes) {
            plain.extend_from_slice(header.name(field));
            plain.extend_from_slice(format!(": {}\r\n", mailbox.address.key()).as_bytes());
        }
    }
    if !plain.is_empty() {
        cx.sink.header(place, &plain);
    }
}

/// The header of an enclosed message: the people it names count as written in this message.
fn embedded(path: &str, header: &Header, cx: &mut Context<'_>) {
    let mut addresses: Vec<Address> = header
        .named("from")
        .flat_map(|field| parse_list(header.body(field)).mailboxes)
        .map(|mailbox| mailbox.address)
        .chain(recipients(header))
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses.truncate(cx.budget.written.min(10_000));
    cx.budget.written -= addresses.len();
    if !addresses.is_empty() && cx.facts.written.len() < FACTS {
        cx.facts.written.push(Written { path: format!("{path} (header)"), addresses });
    }
}

/// Notes an attachment; its size is counted as its bytes arrive.
fn attachment(part: &Part, header: &Header, cx: &mut Context<'_>) -> Option<usize> {
    let named = part.filename.is_some() && !part.is_container();
    if !(part.attachment || named) || cx.facts.attachments.len() >= FACTS {
        return None;
    }
    // Names in the message itself are bounded by its size; names inside archives may be longer.
    let kept = part.filename.as_ref().map_or(0, String::len) + part.content_type.len();
    if !cx.facts.attachments.is_empty() && !cx.budget.keep(kept) {
        return None;
    }
    cx.facts.attachments.push(Attachment {
        path: part.path.clone(),
        name: part.filename.clone().unwrap_or_default(),
        content_type: part.content_type.clone(),
        size: 0,
        in_text: !part.attachment
            && part.content_type.starts_with("image/")
            && header.named("content-id").next().is_some(),
    });
    Some(cx.facts.attachments.len() - 1)
}

/// A message inside a leaf, walked like the outer one.
#[derive(Debug)]
pub(super) struct Inner {
    walker: Walker,
    nest: Nest,
    place: String,
    failed: bool,
    /// Number of parts that were open around it.
    nested: usize,
    returns: Returns,
}

struct Steps<'a, 'b> {
    nest: &'a mut Nest,
    cx: &'a mut Context<'b>,
    /// The budget is spent: what still comes is ignored.
    spent: bool,
}

/// Collapses repeated carriage returns: some quoted-printable encoders double them, and readers of an
/// enclosed message still see lines.
#[derive(Debug, Default)]
struct Returns {
    /// The last octet was a carriage return.
    open: bool,
}

impl Returns {
    /// The octets with one carriage return in place of several.
    fn single<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let doubled = (self.open && bytes.first() == Some(&b'\r')) || memmem::find(bytes, b"\r\r").is_some();
        let before = self.open;
        self.open = bytes.last().map_or(before, |byte| *byte == b'\r');
        if !doubled {
            return Cow::Borrowed(bytes);
        }
        let mut last = before;
        let keep = |byte: &u8| {
            let again = last && *byte == b'\r';
            last = *byte == b'\r';
            !again
        };
        Cow::Owned(bytes.iter().copied().filter(keep).collect())
    }
}

impl Inner {
    /// `place` names where the message was found; `signed` says whether a signature covers all of it.
    pub(super) fn new(place: &str, depth: usize, signed: bool, cx: &Context<'_>) -> Self {
        Self {
            walker: Walker::whole("0".to_owned(), cx.budget.limits()),
            nest: Nest::inside(format!("{place} › "), depth, signed),
            place: place.to_owned(),
            failed: false,
            nested: cx.budget.nested(),
            returns: Returns::default(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if self.failed {
            return;
        }
        let bytes = self.returns.single(bytes);
        let mut steps = Steps { nest: &mut self.nest, cx, spent: false };
        let result = self.walker.feed(&bytes, &mut steps);
        let spent = steps.spent;
        self.check(result, spent, cx);
    }

    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        if !self.failed {
            let mut steps = Steps { nest: &mut self.nest, cx, spent: false };
            let result = self.walker.finish(&mut steps);
            let spent = steps.spent;
            self.check(result, spent, cx);
        }
        cx.budget.leave_message(self.nested);
    }

    fn check(&mut self, result: Result<(), WalkError>, spent: bool, cx: &mut Context<'_>) {
        let (over, why) = match result {
            Err(WalkError::TooMany(_)) => (true, "more MIME parts in all than are looked at".to_owned()),
            Err(WalkError::TooDeep(_)) => {
                (true, "MIME parts nested deeper in all than is looked at".to_owned())
            }
            Err(error) => (false, error.to_string()),
            Ok(()) if spent => (true, SPENT.to_owned()),
            Ok(()) => return,
        };
        self.failed = true;
        if over {
            cx.over_budget(&self.place, &why);
        } else {
            cx.problem(&self.place, &why);
        }
    }
}

impl Visitor for Steps<'_, '_> {
    fn begin(&mut self, part: &Part, header: &Header) {
        self.spent |= !self.cx.budget.begin_part() || self.cx.budget.spent();
        if !self.spent {
            self.nest.begin(part, header, self.cx);
        }
    }
    fn data(&mut self, _: &Part, decoded: &[u8]) {
        if !self.spent {
            self.nest.data(decoded, self.cx);
        }
    }
    fn end(&mut self, part: &Part) {
        if !self.spent {
            self.nest.end(part, self.cx);
            self.cx.budget.end_part();
        }
    }
    fn stray(&mut self, bytes: &[u8]) {
        if self.cx.budget.charge_content(Kind::Text, bytes) {
            self.cx.sink.stray(bytes);
        } else {
            self.spent = true;
        }
    }
    fn problem(&mut self, path: &str, why: String) {
        self.nest.problem(path, &why, self.cx);
    }
}
