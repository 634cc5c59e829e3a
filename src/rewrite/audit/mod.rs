//! The audit: is a hidden recipient's address anywhere in a copy, in any encoding?
//!
//! One search over what is decoded, while it streams in; the shared body once for all copies, each
//! copy's rendered header on its own.
//!
//! * [`needles`] the addresses, and what counts as one of them being written somewhere
//! * [`stream`] a view searched as it streams by; [`tokens`] base64 inside it
//! * [`reading`] the views of a text, each a chain of machines: [`fold`] look-alike and invisible characters,
//!   [`join`] cut lines, [`lines`] in other texts, [`escapes`], [`markup`] by [`tags`] and [`page`]; most are
//!   [`lazy`], and all of them [`sleep`] while the [`gate`] is closed
//! * [`header`] header blocks
//! * [`places`] every place of a body, in every view
//! * [`hits`] what was found

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod characters;
mod escapes;
#[cfg(test)]
mod files;
mod fold;
mod gate;
mod header;
mod hits;
mod join;
mod lazy;
mod lines;
mod markup;
mod needles;
mod page;
mod places;
#[cfg(test)]
mod readers;
mod reading;
mod sleep;
mod stream;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use crate::message::fork::{Leaves, Variant};
use crate::message::open::Inspector;
use crate::message::walk::{Limits, Part, Visitor, WalkError, Walker};
use crate::message::{Address, BodyFacts, Header};
use hits::Hits;
pub use needles::Needles;
use places::Places;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Octets that go through all machines at a time: what bounds their buffers.
const PIECE: usize = 32 * 1_024;

/// A hidden address was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hit {
    /// Whose address.
    pub address: Address,
    /// Where: `header Subject`, `part 1.2 (text/html)`, `report.zip › list.csv`.
    pub place: String,
    /// How it was written: `as text`, `base64`, `escaped`, `VERP`, …
    pub form: String,
}

impl Hit {
    /// Whose address was found, and where.
    pub fn whose_and_where(&self) -> (&Address, &str) {
        (&self.address, &self.place)
    }
}

impl Needles {
    /// Searches a rendered header block (folded or not): every field's raw, unfolded and decoded
    /// forms, field names included.
    pub fn search_header(&self, block: &[u8]) -> Vec<Hit> {
        let mut hits = Hits::default();
        header::search(self, block, "", &mut hits);
        hits.into_hits(self, None)
    }
}

/// The streaming scan of one body: MIME walk, decoding, inspection and search in one pass.
pub struct BodyScan {
    walker: Result<Walker, WalkError>,
    inspector: Hashing,
}

/// The inspection, with the leaves hashed as they go by.
struct Hashing {
    inspector: Inspector<Places>,
    leaves: Leaves,
}

impl Visitor for Hashing {
    fn begin(&mut self, part: &Part, header: &Header) {
        self.inspector.begin(part, header);
    }

    fn data(&mut self, part: &Part, decoded: &[u8]) {
        self.leaves.data(decoded);
        self.inspector.data(part, decoded);
    }

    fn end(&mut self, part: &Part) {
        if !part.is_container() {
            self.leaves.end(part);
        }
        self.inspector.end(part);
    }

    fn stray(&mut self, bytes: &[u8]) {
        self.inspector.stray(bytes);
    }

    fn problem(&mut self, path: &str, why: String) {
        self.inspector.problem(path, why);
    }
}

/// What the scan of a whole body gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyReport {
    /// Facts for the policy.
    pub facts: BodyFacts,
    /// Every needle found, each (address, place) once; at most 1,000 kept, but every address that
    /// was found has at least one.
    pub hits: Vec<Hit>,
    /// The hash of its leaves.
    pub variant: Variant,
}

impl BodyScan {
    /// Starts a scan: `header` is the message's own header.
    pub fn new(header: &Header, needles: Arc<Needles>) -> Self {
        let inspector = Inspector::new(Places::new(needles));
        let mut inspector = Hashing { inspector, leaves: Leaves::default() };
        let walker = Walker::new(header, Limits::default(), &mut inspector);
        Self { walker, inspector }
    }

    /// Takes the next bytes of the body, in chunks of any size. The first bytes are those right
    /// after the header block (so the empty line comes first).
    ///
    /// # Errors
    /// The body exceeds a limit of the MIME walk.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), WalkError> {
        let walker = self.walker.as_mut().map_err(|error| *error)?;
        for piece in chunk.chunks(PIECE) {
            self.inspector.inspector.sink().raw(piece);
            walker.feed(piece, &mut self.inspector)?;
        }
        Ok(())
    }

    /// Whether [`Self::finish`] has containers to open, which may take a while.
    pub fn has_pending(&self) -> bool {
        self.inspector.inspector.has_pending()
    }

    /// Ends the scan: opens the containers that came by.
    ///
    /// # Errors
    /// The body exceeds a limit of the MIME walk.
    pub fn finish(self) -> Result<BodyReport, WalkError> {
        let Self { walker, mut inspector } = self;
        walker?.finish(&mut inspector)?;
        let (facts, places) = inspector.inspector.finish();
        Ok(BodyReport { facts, hits: places.finish(), variant: inspector.leaves.finish() })
    }
}

impl std::fmt::Debug for BodyScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyScan").finish_non_exhaustive()
    }
}
