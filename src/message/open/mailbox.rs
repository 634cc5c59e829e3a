//! Mail that is kept as text under another name: a mailbox of several messages (RFC 4155), a message of Apple
//! Mail (`.emlx`), and a message without any name that says so.
//!
//! Only the first octets tell, so the text is searched as text too: whoever opens the file may see that.

use super::Context;
use super::parts::Inner;

/// How mail is kept in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One message.
    Message,
    /// Several messages; a line `From …` precedes each.
    Mailbox,
    /// A line with the length of the message in octets, the message, and properties.
    Counted,
}

/// Fields that hardly anything but mail has.
const STRONG: [&[u8]; 7] = [
    b"received",
    b"return-path",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"dkim-signature",
];
/// Fields that other texts begin with too.
const USUAL: [&[u8]; 12] = [
    b"from",
    b"to",
    b"cc",
    b"bcc",
    b"subject",
    b"date",
    b"sender",
    b"reply-to",
    b"delivered-to",
    b"content-disposition",
    b"content-id",
    b"x-mailer",
];
/// Longest name of a field, in octets.
const NAME: usize = 76;
/// Longest line that is taken for the one between two messages, in octets.
const SEPARATOR: usize = 256;
const FROM: &[u8] = b"From ";

/// How mail is kept in a text that begins like this, if it is mail.
pub(super) fn layout(head: &[u8]) -> Option<Layout> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let end = memchr::memchr(b'\n', text)?;
    let (first, rest) = (text[..end].trim_ascii_end(), &text[end + 1..]);
    if first.starts_with(FROM) {
        let field = rest.split(|&byte| byte == b'\n').next().and_then(name);
        return (separates(first, true) && field.is_some()).then_some(Layout::Mailbox);
    }
    if length(first).is_some() {
        return begins_message(rest).then_some(Layout::Counted);
    }
    begins_message(text).then_some(Layout::Message)
}

/// Whether a text begins with a header: nothing but fields, two of them known, and one of those hardly used
/// elsewhere.
fn begins_message(text: &[u8]) -> bool {
    let (mut known, mut strong) = (0, false);
    let mut lines = text.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let folded = known > 0 && matches!(line[0], b' ' | b'\t');
        let Some(name) = name(line) else {
            // The last line may be cut off.
            if folded || lines.peek().is_none() {
                continue;
            }
            return false;
        };
        let is = |field: &&[u8]| name.eq_ignore_ascii_case(field);
        strong |= STRONG.iter().any(is);
        known += usize::from(STRONG.iter().chain(&USUAL).any(is));
    }
    strong && known >= 2
}

/// The name of the field that this line begins.
fn name(line: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b':', &line[..line.len().min(NAME)])?;
    let name = line[..end].trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

/// The number that is all of this line: the length of a message in octets.
fn length(line: &[u8]) -> Option<u64> {
    let digits = (1..=12).contains(&line.len()) && line.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(line).ok().filter(|_| digits)?.parse().ok()
}

/// Whether this line, which begins with [`FROM`], precedes a message: it has a day and a time, as programs write
/// it, and not as a sentence has them.
fn separates(line: &[u8], after_blank: bool) -> bool {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
    let sender = words.next();
    let day = words.next();
    let dated = day.is_some_and(|day| DAYS.contains(&day.strip_suffix(b",").unwrap_or(day)));
    dated
        || (after_blank
            && day.is_none()
            && sender.is_none_or(|sender| sender == b"-" || sender.contains(&b'@')))
}

/// Reads the messages in a text, each as a message of its own.
#[derive(Debug)]
pub(super) struct Mailbox {
    layout: Layout,
    place: String,
    depth: usize,
    /// The message that is being read.
    inner: Option<Box<Inner>>,
    /// How many messages have begun.
    count: usize,
    /// How many octets of the message are left, if its length is given.
    left: u64,
    /// The beginning of a line that may stand between two messages.
    held: Vec<u8>,
    /// Only white space, if anything, has come.
    first: bool,
    /// The line before was empty.
    blank: bool,
    /// At the beginning of a line.
    fresh: bool,
}

impl Mailbox {
    /// `place` names the file, which is inside `depth` containers.
    pub(super) fn new(layout: Layout, place: &str, depth: usize) -> Self {
        Self {
            layout,
            place: place.to_owned(),
            depth,
            inner: None,
            count: 0,
            left: u64::MAX,
            held: Vec::new(),
            first: true,
            blank: true,
            fresh: true,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) {
        if self.first {
            let bom = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            bytes = bom.trim_ascii_start();
            if bytes.is_empty() {
                return;
            }
            self.first = false;
            if self.layout == Layout::Message {
                self.begin(cx);
            }
        }
        match self.layout {
            Layout::Message => self.pass(bytes, cx),
            Layout::Mailbox => self.lines(bytes, cx),
            Layout::Counted => self.counted(bytes, cx),
        }
    }

    fn counted(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) {
        if self.inner.is_none() {
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            if self.held.len() < SEPARATOR {
                self.held.extend_from_slice(&bytes[..end]);
            }
            if !self.held.ends_with(b"\n") {
                return;
            }
            self.left = length(self.held.trim_ascii()).unwrap_or(u64::MAX);
            bytes = &bytes[end..];
            self.begin(cx);
        }
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= take as u64;
        self.pass(&bytes[..take], cx);
    }

    fn lines(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) {
        while !bytes.is_empty() {
            let may_separate = self.fresh && {
                let begun = self.held.len().min(FROM.len());
                let more = bytes.len().min(FROM.len() - begun);
                FROM[begun..].starts_with(&bytes[..more])
            };
            if may_separate {
                bytes = self.separator(bytes, cx);
                continue;
            }
            let held = std::mem::take(&mut self.held);
            self.pass(&held, cx);
            // Whole lines up to the next that may separate messages go in one piece.
            let end = memchr::memmem::find(bytes, b"\nFrom ")
                .or_else(|| memchr::memrchr(b'\n', bytes))
                .map_or(bytes.len(), |at| at + 1);
            let piece = &bytes[..end];
            let whole = self.fresh && held.is_empty();
            self.fresh = piece.ends_with(b"\n");
            let lines = &piece[..piece.len() - usize::from(self.fresh)];
            let before = memchr::memrchr(b'\n', lines);
            let last = &lines[before.map_or(0, |at| at + 1)..];
            self.blank = self.fresh && (whole || before.is_some()) && last.trim_ascii().is_empty();
            self.pass(piece, cx);
            bytes = &bytes[end..];
        }
    }

    /// Gathers a line that begins with [`FROM`], or with a part of that so far; gives the octets after it.
    fn separator<'a>(&mut self, bytes: &'a [u8], cx: &mut Context<'_>) -> &'a [u8] {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let take = end.min(SEPARATOR - self.held.len());
        self.held.extend_from_slice(&bytes[..take]);
        let whole = self.held.ends_with(b"\n");
        if !whole && self.held.len() < SEPARATOR {
            return &bytes[take..];
        }
        let held = std::mem::take(&mut self.held);
        if whole && held.starts_with(FROM) && separates(held.trim_ascii_end(), self.blank) {
            self.end(cx);
            self.begin(cx);
        } else {
            self.pass(&held, cx);
        }
        (self.fresh, self.blank) = (whole, whole && held.trim_ascii().is_empty());
        &bytes[take..]
    }

    fn begin(&mut self, cx: &Context<'_>) {
        self.count += 1;
        let place = match self.layout {
            Layout::Mailbox => format!("{} › message {}", self.place, self.count),
            _ => self.place.clone(),
        };
        self.inner = Some(Box::new(Inner::new(&place, self.depth + 1, false, cx)));
    }

    fn pass(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if let Some(inner) = &mut self.inner
            && !bytes.is_empty()
        {
            inner.feed(bytes, cx);
        }
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        if let Some(inner) = self.inner.take() {
            inner.finish(cx);
        }
    }

    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        if self.layout == Layout::Mailbox {
            let held = std::mem::take(&mut self.held);
            self.pass(&held, cx);
        }
        self.end(cx);
    }
}
