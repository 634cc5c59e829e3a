//! The audit: is a hidden recipient's address anywhere in a copy, in any encoding?
//!
//! One multi-pattern search over what is decoded, while it streams in; the shared body once for all
//! copies, each copy's rendered header on its own.

use crate::message::{Address, BodyFacts, Header, walk::WalkError};
use serde::{Deserialize, Serialize};

/// The addresses to search for: built once a message, shared by body scan and header audits.
#[derive(Clone, Debug)]
pub struct Needles {
    addresses: Vec<Address>,
}

/// A hidden address was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hit {
    /// Whose address.
    pub address: Address,
    /// Where: `header Subject`, `part 1.2 (text/html)`, `report.zip › list.csv`.
    pub place: String,
    /// How it was written: `as text`, `base64`, `percent-encoded`, `VERP`, …
    pub form: String,
}

impl Needles {
    /// Builds the search for these addresses (up to tens of thousands).
    pub fn new(addresses: Vec<Address>) -> Self {
        Self { addresses }
    }

    /// What is searched for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Searches a rendered header block (folded or not): every field's raw, unfolded and decoded
    /// forms, field names included.
    pub fn search_header(&self, block: &[u8]) -> Vec<Hit> {
        let _ = block;
        todo!()
    }
}

/// The streaming scan of one body: MIME walk, decoding, inspection and search in one pass.
pub struct BodyScan {}

/// What the scan of a whole body gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyReport {
    /// Facts for the policy.
    pub facts: BodyFacts,
    /// Every needle found, each (address, place) once; at most 1,000 kept, but every address that
    /// was found has at least one.
    pub hits: Vec<Hit>,
}

impl BodyScan {
    /// Starts a scan: `header` is the message's own header.
    pub fn new(header: &Header, needles: std::sync::Arc<Needles>) -> Self {
        let _ = (header, needles);
        todo!()
    }

    /// Takes the next bytes of the body, in chunks of any size. The first bytes are those right
    /// after the header block (so the empty line comes first).
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), WalkError> {
        let _ = chunk;
        todo!()
    }

    /// Ends the scan.
    pub fn finish(self) -> Result<BodyReport, WalkError> {
        todo!()
    }
}
