//! The audit: checks whether the address of a hidden recipient is anywhere in a copy of a message, in the encodings
//! that mail programs, office programs and mail gateways write (`docs/MAIL.md`).
//!
//! The decoded message is searched as a stream while it arrives. All copies share one body, which is searched
//! once. The header is rendered for each copy, and each rendered header is searched separately.
//!
//! * [`needles`]: the addresses to search for, and the rules for what counts as a written form of one
//! * [`stream`]: searches one view as a stream; [`tokens`] finds base64 inside it
//! * [`reading`]: the views of a text. Each is a chain of machines: [`fold`] handles compatibility forms and
//!   invisible characters, [`join`] broken lines, [`lines`] broken lines whose line ends are escaped,
//!   [`escapes`] escapes, [`markup`] tags, by [`tags`] and [`page`]. Most views run only where needed: see
//!   [`lazy`]. All of them [`sleep`] while the [`gate`] is closed.
//! * [`header`]: searches header blocks
//! * [`places`]: searches every place of a body in all views that suit its kind
//! * [`hits`]: the list of hits

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod characters;
mod escapes;
#[cfg(test)]
mod files;
mod fold;
mod foreign;
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

/// The maximum number of octets of a body that pass through the walk and the search at a time. It bounds
/// their buffers.
const PIECE: usize = 32 * 1_024;

/// A hidden address was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hit {
    /// The address that was found.
    pub address: Address,
    /// Where it was found: `header Subject`, `part 1.2 (text/html)`, `report.zip › list.csv`.
    pub place: String,
    /// How it was written: `as text`, `base64`, `escaped`, `VERP`, …
    pub form: String,
}

impl Hit {
    /// The address that was found, and where.
    pub fn whose_and_where(&self) -> (&Address, &str) {
        (&self.address, &self.place)
    }
}

impl Needles {
    /// Searches a rendered header block, whether folded or not: the raw, unfolded and decoded forms of each
    /// field, including its name.
    pub fn search_header(&self, block: &[u8]) -> Vec<Hit> {
        let mut hits = Hits::default();
        header::search(self, block, "", &mut hits);
        hits.into_hits(self, None)
    }

    /// Searches the sender of an envelope, whom recipients see as Return-Path, for the address of another recipient
    /// within it, as bounce addresses have it.
    pub fn search_sender(&self, sender: Option<&Address>) -> Vec<Hit> {
        let Some(sender) = sender else { return Vec::new() };
        let mut hits = self.search_header(format!("MAIL FROM: <{sender}>\r\n").as_bytes());
        hits.retain(|hit| hit.address != *sender);
        hits
    }
}

/// Scans one body as a stream: MIME walk, decoding, inspection and search in one pass.
pub struct BodyScan {
    walker: Result<Walker, WalkError>,
    inspector: Hashing,
}

/// Passes what the walk finds to the inspection, and hashes the decoded leaves on the way.
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

/// The result of the scan of a whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyReport {
    /// Facts for the policy.
    pub facts: BodyFacts,
    /// The hits, with each pair of address and place once. Their number is limited to 1,000, or to one for
    /// each address found if that is more: every address that was found has at least one hit.
    pub hits: Vec<Hit>,
    /// The hash of the decoded leaves of the body.
    pub variant: Variant,
}

impl BodyScan {
    /// Starts a scan. `header` is the header of the message itself.
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

    /// Ends the scan. This opens and searches the containers that were deferred until the end.
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
