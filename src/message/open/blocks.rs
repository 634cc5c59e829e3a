//! Files within a text: uuencoded, `yEnc`, or base64 (see [`super::runs`]). Each becomes a leaf of its own.

use super::budget::MEMBER;
use super::formats::Reader;
use super::leaf::{Info, Leaf};
use super::runs::{Found, Runs};
use super::{Context, DEPTH};
use crate::message::walk::transfer::Uuencode;
use memchr::{memmem, memrchr};
use std::borrow::Cow;

/// What the first line of an encoded file has in it.
const BEGIN: &[u8] = b"begin ";
/// The most digits of the mode of a file, which follows in a uuencoded one.
const DIGITS: usize = 4;

/// The files that are open in one text.
#[derive(Debug)]
pub(super) struct Blocks {
    info: Info,
    lines: Uuencode,
    /// The end of what was read, if a first line may go on from it.
    held: Vec<u8>,
    by_lines: Option<Box<Leaf>>,
    runs: Option<Runs>,
    found: Vec<Found>,
    by_runs: Option<Box<Leaf>>,
    /// The budget allows no further file.
    closed: bool,
}

impl Blocks {
    /// `base64` says whether files in base64 are looked for.
    pub(super) fn new(info: Info, base64: bool) -> Self {
        Self {
            info,
            lines: Uuencode::default(),
            held: b"\n".to_vec(),
            by_lines: None,
            runs: base64.then(Runs::default),
            found: Vec::new(),
            by_runs: None,
            closed: false,
        }
    }

    /// Whether one of them may be a container.
    pub(super) fn is_heavy(&self) -> bool {
        [&self.by_lines, &self.by_runs].into_iter().flatten().any(|leaf| leaf.is_heavy())
    }

    /// Looks for uuencoded files in the octets of the text.
    pub(super) fn octets(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        let mut text = Cow::Borrowed(bytes);
        if !self.held.is_empty() {
            text = Cow::Owned([&self.held[..], bytes].concat());
            self.held.clear();
        }
        let (mut from, mut to) = (0, text.len() - open_end(&text));
        for at in memmem::find_iter(&text, BEGIN) {
            let before = &text[..at];
            let (start, begins) = if before.ends_with(b"\n") {
                (at, has_mode(&text[at + BEGIN.len()..]))
            } else {
                (at.saturating_sub(2), Some(before.ends_with(b"\n=y")))
            };
            match begins {
                // Each begins a leaf of its own, whether the one before has ended or not.
                Some(true) => {
                    self.lines(&text[from..start], cx);
                    from = start;
                    self.end_lines(cx);
                }
                Some(false) => {}
                None => to = start - 1,
            }
        }
        // A first line of yEnc that is whole has begun a file already.
        let to = to.max(from);
        self.lines(&text[from..to], cx);
        self.held.extend_from_slice(&text[to..]);
    }

    fn lines(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        let mut decoded = Vec::new();
        self.lines.feed(bytes, &mut decoded);
        self.line_data(&decoded, cx);
    }

    fn line_data(&mut self, decoded: &[u8], cx: &mut Context<'_>) {
        if decoded.is_empty() {
            return;
        }
        if self.by_lines.is_none() {
            self.by_lines = self.leaf("uuencode", false, cx);
        }
        if let Some(leaf) = &mut self.by_lines {
            leaf.feed(decoded, cx);
        }
    }

    fn end_lines(&mut self, cx: &mut Context<'_>) {
        let mut decoded = Vec::new();
        std::mem::take(&mut self.lines).finish(&mut decoded);
        self.line_data(&decoded, cx);
        if let Some(leaf) = self.by_lines.take() {
            leaf.finish(cx);
        }
    }

    /// Looks for base64 in the text as it is decoded.
    pub(super) fn text(&mut self, text: &[u8], cx: &mut Context<'_>) {
        if let Some(runs) = &mut self.runs {
            runs.feed(text, &mut self.found);
            self.take_found(cx);
        }
    }

    fn take_found(&mut self, cx: &mut Context<'_>) {
        if self.found.is_empty() {
            return;
        }
        let mut found = std::mem::take(&mut self.found);
        for event in found.drain(..) {
            match event {
                Found::Begin { deflated } => self.by_runs = self.leaf("base64", deflated, cx),
                Found::Data(data) => {
                    if let Some(leaf) = &mut self.by_runs {
                        leaf.feed(&data, cx);
                    }
                }
                Found::End => {
                    if let Some(leaf) = self.by_runs.take() {
                        leaf.finish(cx);
                    }
                }
            }
        }
        self.found = found;
    }

    /// A leaf for the next file, if the budget allows it.
    fn leaf(&mut self, form: &'static str, deflated: bool, cx: &mut Context<'_>) -> Option<Box<Leaf>> {
        let inner = self.info.inner("encoded block", form);
        if self.closed {
            return None;
        }
        if inner.depth > DEPTH {
            cx.too_deep(&inner, &inner.place);
            self.closed = true;
            return None;
        }
        if cx.budget.members == 0 || !cx.budget.charge(MEMBER) {
            cx.too_much(&inner, "too many encoded blocks");
            self.closed = true;
            return None;
        }
        cx.budget.members -= 1;
        let leaf = if deflated { Leaf::packed(inner, Reader::Deflate, cx) } else { Leaf::new(inner) };
        Some(Box::new(leaf))
    }

    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        let held = std::mem::take(&mut self.held);
        self.lines(&held, cx);
        self.end_lines(cx);
        if let Some(runs) = &mut self.runs {
            runs.finish(&mut self.found);
        }
        self.take_found(cx);
        if let Some(leaf) = self.by_runs.take() {
            leaf.finish(cx);
        }
    }
}

/// How many octets at the end of this text may begin the first line of a file, with the line end before it.
fn open_end(text: &[u8]) -> usize {
    let last = memrchr(b'\n', text).map_or(&[][..], |at| &text[at..]);
    if [&b"\nbegin "[..], b"\n=ybegin "].iter().any(|line| line.starts_with(last)) { last.len() } else { 0 }
}

/// Whether the mode of a file and a blank stand here; `None` if they are not whole yet.
fn has_mode(text: &[u8]) -> Option<bool> {
    let digits = text.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let next = text.get(digits)?;
    Some((DIGITS - 1..=DIGITS).contains(&digits) && *next == b' ')
}
