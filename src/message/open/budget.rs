//! One budget per message: everything that is opened, unpacked, kept or processed counts against it, through
//! every nesting. When the budget is spent, the rest stays closed, and the message is held for that.
//!
//! Work is counted in units of about a nanosecond, derived from octets and steps and never from a clock, so
//! that the same message always gets the same verdict. Only what comes out of containers is charged; the cost
//! of everything else is bounded by the size of the message.

use super::Kind;
use crate::message::Address;
use std::collections::HashSet;

/// Maximum nesting depth of containers inside a leaf.
pub(super) const DEPTH: usize = 5;
/// Maximum number of octets that all containers of one message may unpack to.
const UNPACKED: u64 = 100 * 1_024 * 1_024;
/// Maximum number of members of all archives of one message.
const MEMBERS: usize = 10_000;
/// Maximum number of parts of all messages in one message, itself included.
const PARTS: usize = 1_000;
/// Maximum nesting depth of parts, summed over messages within messages.
const NESTING: usize = 50;
/// Maximum number of written addresses kept of one message.
const WRITTEN: usize = 50_000;
/// Maximum number of octets of names and reasons kept for one message.
const KEPT: usize = 2 * 1_024 * 1_024;
/// Maximum number of octets of unopened containers in memory; the others wait in files.
const WAITING: u64 = 1_024 * 1_024;
/// Maximum number of units of work on the contents of containers. A unit is a nanosecond for the most
/// expensive content of its kind, so the total is at most a second. Office files take a third of that, and
/// those of 5 MiB, compressed, are read completely.
const WORK: u64 = 900_000_000;

/// Units per octet of a header inside a container: it is parsed, and searched in many forms.
const HEADER: u64 = 60;
/// Units per step that reads a few octets: a property, an element, a token.
pub(super) const STEP: u64 = 100;
/// Units per member or part, in addition to its octets.
pub(super) const MEMBER: u64 = 10_000;

/// What is left of the budget.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) unpacked: u64,
    pub(super) members: usize,
    pub(super) written: usize,
    parts: usize,
    /// Number of parts that are open now.
    nested: usize,
    kept: usize,
    work: u64,
    /// Octets of unopened containers that may still be kept in memory.
    waiting: u64,
    /// Number of containers that are open now. Work is charged only inside them.
    inside: usize,
    /// Something asked for more than was left.
    exceeded: bool,
    /// Recipients that were noted already, see [`super::Context::inner_recipients`].
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
    /// Whether no work is left for the contents of containers.
    pub(super) fn spent(&self) -> bool {
        self.work == 0
    }

    /// Whether something asked for more than was left. Then something was not read, or not kept.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Charges units of work; returns whether there were enough. If not, nothing is left, so that nothing
    /// small gets through after something large.
    pub(super) fn charge(&mut self, units: u64) -> bool {
        if self.inside == 0 {
            return true;
        }
        let enough = self.work > units;
        self.work = if enough { self.work - units } else { 0 };
        self.exceeded |= !enough;
        enough
    }

    /// Charges for searching these octets as a header.
    pub(super) fn charge_header(&mut self, octets: usize) -> bool {
        self.charge(HEADER * octets as u64 + MEMBER / 4)
    }

    /// Charges for searching octets of this kind.
    pub(super) fn charge_content(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let each = match kind {
            Kind::Bytes => 6,
            Kind::Text => 30,
            Kind::Html => 60,
        };
        self.charge_octets(each, bytes, |separators| separators)
    }

    /// The same for the XML of a document (see `xml`): mostly tags, whose attributes begin with a quote that
    /// no address begins with, and few character references, which are the expensive part of HTML.
    pub(super) fn charge_document(&mut self, bytes: &[u8]) -> bool {
        let attributes = memchr::memmem::find_iter(bytes, b"=\"").count() as u64;
        let references = memchr::memchr_iter(b'&', bytes).count() as u64;
        self.charge_octets(25, bytes, |separators| separators + references - attributes)
    }

    /// The search looks around each separator in every view; `count` says how many separators matter.
    fn charge_octets(&mut self, each: u64, bytes: &[u8], count: impl Fn(u64) -> u64) -> bool {
        if self.inside == 0 {
            return true;
        }
        let separators = count(memchr::memchr3_iter(b'@', b'=', b'%', bytes).count() as u64);
        self.charge(each * (bytes.len() as u64 + 20 * separators))
    }

    /// Reserves octets to be kept; returns whether there was room.
    pub(super) fn keep(&mut self, octets: usize) -> bool {
        let room = self.kept >= octets;
        self.kept = self.kept.saturating_sub(octets);
        self.exceeded |= !room;
        room
    }

    /// A part begins; returns whether the budget allows it.
    pub(super) fn begin_part(&mut self) -> bool {
        self.nested += 1;
        let room = self.parts > 0;
        self.parts = self.parts.saturating_sub(1);
        self.exceeded |= !room;
        room && self.charge(MEMBER)
    }

    /// A part has ended.
    pub(super) fn end_part(&mut self) {
        self.nested = self.nested.saturating_sub(1);
    }

    /// The limits for an enclosed message, from what is left.
    pub(super) fn limits(&self) -> crate::message::walk::Limits {
        crate::message::walk::Limits {
            depth: NESTING.saturating_sub(self.nested),
            parts: self.parts,
            ..crate::message::walk::Limits::default()
        }
    }

    /// The number of open parts; pass it to [`Self::leave_message`] when the enclosed message has ended.
    pub(super) fn nested(&self) -> usize {
        self.nested
    }

    /// An enclosed message has ended, or was given up with parts still open.
    pub(super) fn leave_message(&mut self, nested: usize) {
        self.nested = nested;
    }

    /// Whether a container is open.
    pub(super) fn is_inside(&self) -> bool {
        self.inside > 0
    }

    /// Whether so many more octets may wait in memory; if so, they are reserved.
    pub(super) fn wait_in_memory(&mut self, octets: u64) -> bool {
        let room = self.waiting >= octets;
        self.waiting = if room { self.waiting - octets } else { self.waiting };
        room
    }

    /// A container is being opened.
    pub(super) fn enter(&mut self) {
        self.inside += 1;
    }

    /// A container is closed.
    pub(super) fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }
}
