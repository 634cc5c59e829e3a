//! Opens what the MIME walk finds, as far as it can be opened, and hands on the text: character sets,
//! archives, winmail.dat, signed containers, embedded messages. Notes the facts a policy asks about.
//!
//! * [`parts`] what each part is, by its header
//! * [`leaf`] what a leaf is, by its first bytes
//! * [`text`] character sets, and the [`readings`] beside the declared one; [`written`] addresses in text; [`calendar`]; [`pgp`]
//! * [`zip`], [`tnef`] (with [`rtf`]), [`cms`]: containers, read from a [`spool`]

mod calendar;
mod cms;
mod leaf;
mod parts;
mod pgp;
mod readings;
mod rtf;
mod spool;
#[cfg(test)]
mod tests;
mod text;
mod tnef;
pub(super) mod written;
mod zip;

use super::inspect::{BodyFacts, Opaque};
use super::walk::{Part, Visitor};
use super::{Address, Header};
use parts::Nest;
use std::collections::HashSet;

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

/// Deepest nesting of containers inside a leaf.
const DEPTH: usize = 3;
/// Most octets all archives of one message may unpack to.
const UNPACKED: u64 = 100 * 1_024 * 1_024;
/// Most members of all archives of one message.
const MEMBERS: usize = 10_000;
/// Most entries kept of each list of facts.
const FACTS: usize = 1_000;
/// Most written addresses kept of one message.
const WRITTEN: usize = 50_000;

/// What is left of the bounds on unpacking.
#[derive(Debug)]
struct Budget {
    unpacked: u64,
    members: usize,
    written: usize,
}

/// What every step of the inspection needs.
struct Context<'a> {
    facts: &'a mut BodyFacts,
    listener: &'a mut dyn Listener,
    budget: &'a mut Budget,
}

impl Context<'_> {
    /// Something readers may see differently, or that could not be read.
    fn problem(&mut self, place: &str, why: &str) {
        let text = format!("{place}: {why}");
        if self.facts.problems.len() < FACTS && !self.facts.problems.contains(&text) {
            self.facts.problems.push(text);
        }
    }

    /// A part that cannot be looked into.
    fn opaque(&mut self, path: &str, name: &str, why: &str) {
        let opaque = Opaque { path: path.to_owned(), name: name.to_owned(), why: why.to_owned() };
        if self.facts.opaque.len() < FACTS && !self.facts.opaque.contains(&opaque) {
            self.facts.opaque.push(opaque);
        }
    }

    /// Recipients that stand where a split cannot change them.
    fn inner_recipients(&mut self, header: &Header) {
        let known: HashSet<Address> = self.facts.inner_recipients.iter().cloned().collect();
        let found = parts::recipients(header).into_iter().filter(|address| !known.contains(address));
        let room = FACTS.saturating_sub(known.len());
        self.facts.inner_recipients.extend(found.take(room));
    }
}

/// The inspection of one body: a visitor of the walk.
pub struct Inspector<L: Listener> {
    facts: BodyFacts,
    listener: L,
    budget: Budget,
    nest: Nest,
}

impl<L: Listener> Inspector<L> {
    /// An inspection that hands on text to this listener.
    pub fn new(listener: L) -> Self {
        Self {
            facts: BodyFacts::default(),
            listener,
            budget: Budget { unpacked: UNPACKED, members: MEMBERS, written: WRITTEN },
            nest: Nest::root(),
        }
    }

    /// The listener.
    pub fn listener(&mut self) -> &mut L {
        &mut self.listener
    }

    /// The facts, and the listener back.
    pub fn finish(self) -> (BodyFacts, L) {
        (self.facts, self.listener)
    }

    fn split(&mut self) -> (&mut Nest, Context<'_>) {
        let context =
            Context { facts: &mut self.facts, listener: &mut self.listener, budget: &mut self.budget };
        (&mut self.nest, context)
    }
}

impl<L: Listener> Visitor for Inspector<L> {
    fn begin(&mut self, part: &Part, header: &Header) {
        let (nest, mut cx) = self.split();
        nest.begin(part, header, &mut cx);
    }

    fn data(&mut self, _: &Part, decoded: &[u8]) {
        let (nest, mut cx) = self.split();
        nest.data(decoded, &mut cx);
    }

    fn end(&mut self, part: &Part) {
        let (nest, mut cx) = self.split();
        nest.end(part, &mut cx);
    }

    fn stray(&mut self, bytes: &[u8]) {
        self.listener.stray(bytes);
    }

    fn problem(&mut self, path: &str, why: String) {
        let (nest, mut cx) = self.split();
        nest.problem(path, &why, &mut cx);
    }
}
