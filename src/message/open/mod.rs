//! Opens what the MIME walk finds, as far as it can be opened, and hands on the text: character sets,
//! archives, winmail.dat, signed containers, embedded messages. Notes the facts a policy asks about.
//!
//! * [`budget`] what all of it may cost
//! * [`parts`] what each part is, by its header
//! * [`leaf`] what a leaf is, by its first bytes; [`formats`] the table of what is done with it
//! * [`text`] character sets, and the [`readings`] beside the declared one; [`written`] addresses in text;
//!   [`calendar`]; [`pgp`]
//! * [`sheet`] the first rows of a workbook, to be looked at
//! * [`zip`], [`packed`] files, [`tar`], [`seven`], [`tnef`], [`cms`], [`rtf`], [`pdf`]: read from a
//!   [`spool`]

mod budget;
mod calendar;
mod cms;
pub mod formats;
mod leaf;
mod lzfu;
mod packed;
mod parts;
mod pdf;
mod pgp;
mod readings;
mod rtf;
mod seven;
pub mod sheet;
mod spool;
mod tar;
#[cfg(test)]
mod tests;
mod text;
mod tnef;
pub(super) mod written;
mod xml;
mod zip;

use super::Header;
use super::inspect::{BodyFacts, Opaque};
use super::walk::{Part, Visitor};
use budget::{Budget, DEPTH};
use leaf::Pending;
use parts::Nest;

/// What the bytes of a place are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything; UTF-16 may stand in it.
    Bytes,
    /// Text in UTF-8, or in bytes that hold ASCII as such.
    Text,
    /// HTML in the same.
    Html,
}

/// Who is handed the text of every place that can be opened.
pub trait Listener {
    /// A place begins, `part 1.2 (text/html)`; `form` says how its bytes were written. Returns the
    /// number its content comes under. Several may be open at a time.
    fn open(&mut self, place: &str, form: &'static str, kind: Kind) -> usize;
    /// The next bytes of a place.
    fn content(&mut self, stream: usize, bytes: &[u8]);
    /// The place is over.
    fn close(&mut self, stream: usize);
    /// A header block inside the body; file names and other short texts come as one too.
    fn header(&mut self, place: &str, block: &[u8]);
    /// Bytes that belong to no part.
    fn stray(&mut self, bytes: &[u8]);
}

/// Most entries kept of each list of facts.
const FACTS: usize = 1_000;

/// What every step of the inspection needs.
struct Context<'a> {
    facts: &'a mut BodyFacts,
    listener: &'a mut dyn Listener,
    budget: &'a mut Budget,
    /// Containers whose turn comes when the whole message is there.
    pending: &'a mut Vec<Pending>,
}

impl Context<'_> {
    /// Something readers may see differently, or that could not be read.
    fn problem(&mut self, place: &str, why: &str) {
        let text = format!("{place}: {why}");
        if self.facts.problems.len() < FACTS
            && !self.facts.problems.contains(&text)
            && (self.facts.problems.is_empty() || self.budget.keep(text.len()))
        {
            self.facts.problems.push(text);
        }
    }

    /// A part that cannot be looked into.
    fn opaque(&mut self, path: &str, name: &str, why: &str) {
        let opaque = Opaque { path: path.to_owned(), name: name.to_owned(), why: why.to_owned() };
        if self.facts.opaque.len() < FACTS
            && !self.facts.opaque.contains(&opaque)
            && (self.facts.opaque.is_empty() || self.budget.keep(path.len() + name.len() + why.len()))
        {
            self.facts.opaque.push(opaque);
        }
    }

    /// A part that stays closed because it, or the message, asks for too much: named, and a reason to
    /// hold the message.
    fn too_much(&mut self, info: &leaf::Info, why: &str) {
        self.opaque(&info.path, info.label(), why);
        self.over_budget(&info.place, why);
    }

    /// A part that stays closed because it stands in more containers than are opened in one another.
    fn too_deep(&mut self, info: &leaf::Info, label: &str) {
        self.opaque(&info.path, label, TOO_DEEP);
        self.note_over_budget(&info.place, TOO_DEEP);
    }

    /// A place that is not looked at to its end, for that costs too much.
    fn over_budget(&mut self, place: &str, why: &str) {
        self.problem(place, why);
        self.note_over_budget(place, why);
    }

    /// Notes it among the facts, where that alone holds the message whatever the rules say. The first
    /// always finds room.
    fn note_over_budget(&mut self, place: &str, why: &str) {
        let text = format!("{place}: {why}");
        let known = &self.facts.over_budget;
        if known.len() < FACTS && !known.contains(&text) && (known.is_empty() || self.budget.keep(text.len()))
        {
            self.facts.over_budget.push(text);
        }
    }

    /// A header block inside the body, or a name; not searched when there is no budget for it.
    fn header(&mut self, place: &str, block: &[u8]) {
        if self.budget.charge_header(block.len()) {
            self.listener.header(place, block);
        } else {
            self.over_budget(place, SPENT);
        }
    }

    /// Recipients that stand where a split cannot change them.
    fn inner_recipients(&mut self, header: &Header) {
        for address in parts::recipients(header) {
            if self.facts.inner_recipients.len() >= FACTS {
                return;
            }
            if self.budget.inner.insert(address.clone()) {
                self.facts.inner_recipients.push(address);
            }
        }
    }
}

/// Why work stopped.
const SPENT: &str = "more is packed in this message than is looked at";
/// Why a container stays closed.
const TOO_DEEP: &str = "containers nested too deep";

/// The inspection of one body: a visitor of the walk.
pub struct Inspector<L: Listener> {
    facts: BodyFacts,
    listener: L,
    budget: Budget,
    nest: Nest,
    pending: Vec<Pending>,
}

impl<L: Listener> Inspector<L> {
    /// An inspection that hands on text to this listener.
    pub fn new(listener: L) -> Self {
        Self {
            facts: BodyFacts::default(),
            listener,
            budget: Budget::default(),
            nest: Nest::root(),
            pending: Vec::new(),
        }
    }

    /// The listener.
    pub fn listener(&mut self) -> &mut L {
        &mut self.listener
    }

    /// Whether the end of the walk and [`Self::finish`] have containers to open, which may take a while. A
    /// part that nothing has ended yet counts: the message's only one, or one without its last delimiter.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.nest.is_heavy()
    }

    /// Opens the containers that came by. The facts, and the listener back.
    pub fn finish(mut self) -> (BodyFacts, L) {
        for container in std::mem::take(&mut self.pending) {
            let (_, mut cx) = self.split();
            container.open(&mut cx);
        }
        // A reader may have left out the last of a text, or facts may have been dropped, and nobody said so.
        if self.budget.exceeded() && self.facts.over_budget.is_empty() {
            self.facts.over_budget.push(format!("the message: {SPENT}"));
        }
        (self.facts, self.listener)
    }

    fn split(&mut self) -> (&mut Nest, Context<'_>) {
        let context = Context {
            facts: &mut self.facts,
            listener: &mut self.listener,
            budget: &mut self.budget,
            pending: &mut self.pending,
        };
        (&mut self.nest, context)
    }
}

impl<L: Listener> Visitor for Inspector<L> {
    fn begin(&mut self, part: &Part, header: &Header) {
        let (nest, mut cx) = self.split();
        // The walk itself refuses a message with too many parts of its own.
        cx.budget.begin_part();
        nest.begin(part, header, &mut cx);
    }

    fn data(&mut self, _: &Part, decoded: &[u8]) {
        let (nest, mut cx) = self.split();
        nest.data(decoded, &mut cx);
    }

    fn end(&mut self, part: &Part) {
        let (nest, mut cx) = self.split();
        nest.end(part, &mut cx);
        cx.budget.end_part();
    }

    fn stray(&mut self, bytes: &[u8]) {
        self.listener.stray(bytes);
    }

    fn problem(&mut self, path: &str, why: String) {
        let (nest, mut cx) = self.split();
        nest.problem(path, &why, &mut cx);
    }
}
