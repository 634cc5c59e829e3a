//! One budget a message: what may be opened, unpacked, kept and worked on is counted for the whole
//! message, through every nesting. When it is spent, what is left stays closed and the message says so.
//!
//! Work is counted in units of roughly a nanosecond, by octets and by steps, never by a clock: the same
//! message is always judged alike. Only what comes out of containers is charged; the rest of a message
//! costs as much as it is long.

use super::Kind;
use crate::message::Address;
use std::collections::HashSet;

/// Deepest nesting of containers inside a leaf.
pub(super) const DEPTH: usize = 5;
/// Most octets all containers of one message may unpack to.
const UNPACKED: u64 = 100 * 1_024 * 1_024;
/// Most members of all archives of one message.
const MEMBERS: usize = 10_000;
/// Most parts of all messages in one message, its own included.
const PARTS: usize = 1_000;
/// Deepest nesting of parts, over all messages within messages.
const NESTING: usize = 50;
/// Most written addresses kept of one message.
const WRITTEN: usize = 50_000;
/// Most octets of names and reasons kept of one message.
const KEPT: usize = 2 * 1_024 * 1_024;
/// Most octets of containers that wait in memory to be opened; more wait in files.
const WAITING: u64 = 1_024 * 1_024;
/// Most units of work on what containers hold. A unit is what the dearest content of its kind takes a
/// nanosecond for, so that this is a second at most; office files take a third of that, and those of
/// 5 MiB, packed, are read to their end.
const WORK: u64 = 900_000_000;

/// Units an octet of a header inside a container costs: it is parsed, and searched in many forms.
const HEADER: u64 = 60;
/// Units a step costs that reads a few octets: a property, an element, a token.
pub(super) const STEP: u64 = 100;
/// Units a member or part costs beside its octets.
pub(super) const MEMBER: u64 = 10_000;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) unpacked: u64,
    pub(super) members: usize,
    pub(super) written: usize,
    parts: usize,
    /// Parts that are open now.
    nested: usize,
    kept: usize,
    work: u64,
    /// Octets that containers may still wait with in memory.
    waiting: u64,
    /// Containers that are open now; only inside them work is charged.
    inside: usize,
    /// Something was asked for that was not left.
    exceeded: bool,
    /// Recipients noted already, see [`super::Context::inner_recipients`].
    pub(super) inner: HashSet<Address>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            unpacked: UNPACKED,
            members: MEMBERS,
            written: WRITTEN,
            parts: PARTS,
            nested: 0,
            kept: KEPT,
            work: WORK,
            waiting: WAITING,
            inside: 0,
            exceeded: false,
            inner: HashSet::new(),
        }
    }
}

impl Budget {
    /// Whether there is nothing left for what containers hold.
    pub(super) fn spent(&self) -> bool {
        self.work == 0
    }

    /// Whether anything was asked for that was not left: then something was not looked at, or not kept.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Takes units of work; whether there were enough. Once there were not, there is nothing left, so
    /// that nothing small slips through behind something large.
    pub(super) fn charge(&mut self, units: u64) -> bool {
        if self.inside == 0 {
            return true;
        }
        let enough = self.work > units;
        self.work = if enough { self.work - units } else { 0 };
        self.exceeded |= !enough;
        enough
    }

    /// Takes the work of searching these octets as a header.
    pub(super) fn charge_header(&mut self, octets: usize) -> bool {
        self.charge(HEADER * octets as u64 + MEMBER / 4)
    }

    /// Takes the work of searching octets of this kind.
    pub(super) fn charge_content(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let each = match kind {
            Kind::Bytes => 6,
            Kind::Text => 30,
            Kind::Html => 60,
        };
        self.charge_octets(each, bytes, |separators| separators)
    }

    /// The same for what a document is made of (see `xml`): mostly tags, whose attributes begin with a quote
    /// that no address begins with, and few references, which are what costs in HTML.
    pub(super) fn charge_document(&mut self, bytes: &[u8]) -> bool {
        let attributes = memchr::memmem::find_iter(bytes, b"=\"").count() as u64;
        let references = memchr::memchr_iter(b'&', bytes).count() as u64;
        self.charge_octets(25, bytes, |separators| separators + references - attributes)
    }

    /// Each separator is looked around, in every view; how many `count` of those there are.
    fn charge_octets(&mut self, each: u64, bytes: &[u8], count: impl Fn(u64) -> u64) -> bool {
        if self.inside == 0 {
            return true;
        }
        let separators = count(memchr::memchr3_iter(b'@', b'=', b'%', bytes).count() as u64);
        self.charge(each * (bytes.len() as u64 + 20 * separators))
    }

    /// Octets to be kept; whether there is room.
    pub(super) fn keep(&mut self, octets: usize) -> bool {
        let room = self.kept >= octets;
        self.kept = self.kept.saturating_sub(octets);
        self.exceeded |= !room;
        room
    }

    /// A part begins; whether that was one too many.
    pub(super) fn begin_part(&mut self) -> bool {
        self.nested += 1;
        let room = self.parts > 0;
        self.parts = self.parts.saturating_sub(1);
        self.exceeded |= !room;
        room && self.charge(MEMBER)
    }

    /// A part is over.
    pub(super) fn end_part(&mut self) {
        self.nested = self.nested.saturating_sub(1);
    }

    /// The limits of a message inside, from what is left.
    pub(super) fn limits(&self) -> crate::message::walk::Limits {
        crate::message::walk::Limits {
            depth: NESTING.saturating_sub(self.nested),
            parts: self.parts,
            ..crate::message::walk::Limits::default()
        }
    }

    /// How many parts are open; given to [`Self::leave_message`] when a message inside is over.
    pub(super) fn nested(&self) -> usize {
        self.nested
    }

    /// A message inside is over, or was given up with parts still open.
    pub(super) fn leave_message(&mut self, nested: usize) {
        self.nested = nested;
    }

    /// Whether a container is open.
    pub(super) fn is_inside(&self) -> bool {
        self.inside > 0
    }

    /// Whether so many octets more may wait in memory to be opened.
    pub(super) fn wait_in_memory(&mut self, octets: u64) -> bool {
        let room = self.waiting >= octets;
        self.waiting = if room { self.waiting - octets } else { self.waiting };
        room
    }

    /// A container is opened.
    pub(super) fn enter(&mut self) {
        self.inside += 1;
    }

    /// A container is closed.
    pub(super) fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }
}
