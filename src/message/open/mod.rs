//! Opens what the MIME walk finds, as far as possible, and passes on the text: character sets, archives,
//! winmail.dat, signed containers, enclosed messages. Collects the facts that a policy can ask for.
//!
//! * [`budget`] limits the total cost
//! * [`parts`] the type of each part, by its header
//! * [`leaf`] the type of a leaf, by its first bytes; [`formats`] the table of formats
//! * [`mailbox`] mail that is kept as text
//! * [`text`] decodes text, and [`readings`] decodes it in other plausible ways; [`written`] finds addresses
//!   in text; [`calendar`]; [`pgp`]
//! * [`blocks`] opens files that are encoded within text; [`runs`] finds base64 in it
//! * [`sheet`] extracts the first rows of a workbook for a preview
//! * [`zip`], [`packed`] files, [`tar`], [`seven`], [`tnef`], [`cms`], [`rtf`], [`pdf`], [`png`]: read from a
//!   [`spool`]

mod blocks;
mod budget;
mod calendar;
mod cms;
pub mod formats;
mod leaf;
mod lzfu;
mod mailbox;
mod packed;
mod parts;
mod pdf;
mod pgp;
mod png;
mod readings;
mod rtf;
mod runs;
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

/// What kind of octets a stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything; they may contain UTF-16.
    Bytes,
    /// Text in UTF-8, or in another superset of ASCII.
    Text,
    /// HTML in the same.
    Html,
}

/// The number of a stream that the sink does not want: it need not be given its content.
pub const UNHEARD: usize = usize::MAX;

/// Receives the text of everything that can be opened.
pub trait TextSink {
    /// A stream begins, for example of `part 1.2 (text/html)`. `form` says how its bytes were encoded.
    /// Returns the number under which its content follows, or [`UNHEARD`]. Several streams may be open at a time.
    fn open(&mut self, place: &str, form: &'static str, kind: Kind) -> usize;
    /// The next bytes of a stream.
    fn content(&mut self, stream: usize, bytes: &[u8]);
    /// A stream has ended.
    fn close(&mut self, stream: usize);
    /// A header block inside the body. File names and other short texts are passed on in this way too.
    fn header(&mut self, place: &str, block: &[u8]);
    /// Bytes that belong to no part.
    fn stray(&mut self, bytes: &[u8]);
}

/// Maximum number of entries kept of each list of facts.
const FACTS: usize = 1_000;

/// What every step of the inspection needs.
struct Context<'a> {
    facts: &'a mut BodyFacts,
    sink: &'a mut dyn TextSink,
    budget: &'a mut Budget,
    /// Containers that are opened once the whole message is there.
    pending: &'a mut Vec<Pending>,
}

impl Context<'_> {
    /// Notes something that readers may interpret differently, or that could not be read.
    fn problem(&mut self, place: &str, why: &str) {
        let text = format!("{place}: {why}");
        if self.facts.problems.len() < FACTS
            && !self.facts.problems.contains(&text)
            && (self.facts.problems.is_empty() || self.budget.keep(text.len()))
        {
            self.facts.problems.push(text);
        }
    }

    /// Notes a part that cannot be opened.
    fn opaque(&mut self, path: &str, name: &str, why: &str) {
        let opaque = Opaque { path: path.to_owned(), name: name.to_owned(), why: why.to_owned() };
        if self.facts.opaque.len() < FACTS
            && !self.facts.opaque.contains(&opaque)
            && (self.facts.opaque.is_empty() || self.budget.keep(path.len() + name.len() + why.len()))
        {
            self.facts.opaque.push(opaque);
        }
    }

    /// Notes a part that stays closed because it, or the message, exceeds the budget: it is named, and the
    /// message is held.
    fn too_much(&mut self, info: &leaf::Info, why: &str) {
        self.opaque(&info.path, info.label(), why);
        self.over_budget(&info.place, why);
    }

    /// Notes a part that stays closed because it is nested in too many containers.
    fn too_deep(&mut self, info: &leaf::Info, label: &str) {
        self.opaque(&info.path, label, TOO_DEEP);
        self.note_over_budget(&info.place, TOO_DEEP);
    }

    /// Notes a place that is not read to its end because it exceeds the budget.
    fn over_budget(&mut self, place: &str, why: &str) {
        self.problem(place, why);
        self.note_over_budget(place, why);
    }

    /// Records it among the facts that hold the message whatever the rules say. There is always room for the
    /// first one.
    fn note_over_budget(&mut self, place: &str, why: &str) {
        let text = format!("{place}: {why}");
        let known = &self.facts.over_budget;
        if known.len() < FACTS && !known.contains(&text) && (known.is_empty() || self.budget.keep(text.len()))
        {
            self.facts.over_budget.push(text);
        }
    }

    /// Passes on a header block inside the body, or a name. It is not searched if the budget is spent.
    fn header(&mut self, place: &str, block: &[u8]) {
        if self.budget.charge_header(block.len()) {
            self.sink.header(place, block);
        } else {
            self.over_budget(place, SPENT);
        }
    }

    /// Notes recipients in places that a split cannot change.
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

/// The reason when the budget of work is spent.
const SPENT: &str = "more is packed in this message than is looked at";
/// The reason when a container is nested too deep.
const TOO_DEEP: &str = "containers nested too deep";

/// The inspection of one body, as a visitor of the walk.
pub struct Inspector<L: TextSink> {
    facts: BodyFacts,
    sink: L,
    budget: Budget,
    nest: Nest,
    pending: Vec<Pending>,
}

impl<L: TextSink> Inspector<L> {
    /// An inspection that passes text to this sink.
    pub fn new(sink: L) -> Self {
        Self {
            facts: BodyFacts::default(),
            sink,
            budget: Budget::default(),
            nest: Nest::root(),
            pending: Vec::new(),
        }
    }

    /// The sink.
    pub fn sink(&mut self) -> &mut L {
        &mut self.sink
    }

    /// Whether the end of the walk and [`Self::finish`] still have containers to open, which may take a
    /// while. A part that has not ended counts too: the only part of a message, or one without its closing
    /// delimiter.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.nest.is_heavy()
    }

    /// Opens the deferred containers. Returns the facts and the sink.
    pub fn finish(mut self) -> (BodyFacts, L) {
        for container in std::mem::take(&mut self.pending) {
            let (_, mut cx) = self.split();
            container.open(&mut cx);
        }
        // A reader may have left out the rest of a text, or facts may have been dropped, without a note.
        if self.budget.exceeded() && self.facts.over_budget.is_empty() {
            self.facts.over_budget.push(format!("the message: {SPENT}"));
        }
        (self.facts, self.sink)
    }

    fn split(&mut self) -> (&mut Nest, Context<'_>) {
        let context = Context {
            facts: &mut self.facts,
            sink: &mut self.sink,
            budget: &mut self.budget,
            pending: &mut self.pending,
        };
        (&mut self.nest, context)
    }
}

impl<L: TextSink> Visitor for Inspector<L> {
    fn begin(&mut self, part: &Part, header: &Header) {
        let (nest, mut cx) = self.split();
        // The walk itself rejects a message with too many parts of its own.
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
        self.sink.stray(bytes);
    }

    fn problem(&mut self, path: &str, why: String) {
        let (nest, mut cx) = self.split();
        nest.problem(path, &why, &mut cx);
    }
}
