//! Header edits: what a copy keeps of the original header block, byte for byte, and what is put in.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A recipe that makes a copy's header block from the original's bytes. Small: neighbouring kept
/// ranges are one, and only new fields carry bytes of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderEdits {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Keep { start: u32, end: u32 },
    Insert(Vec<u8>),
}

/// The edits do not fit the header they are applied to: the two do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header edits reach beyond the header they are applied to")]
pub struct EditsDoNotFit;

impl HeaderEdits {
    /// An empty recipe: nothing kept, nothing put in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a range of the original's bytes next.
    pub fn keep(&mut self, range: Range<usize>) {
        let _ = range;
        todo!()
    }

    /// Puts bytes in next: whole fields, each ending in CRLF.
    pub fn insert(&mut self, bytes: impl Into<Vec<u8>>) {
        let _ = bytes.into();
        todo!()
    }

    /// The copy's header block (without the empty line).
    pub fn render(&self, original: &[u8]) -> Result<Bytes, EditsDoNotFit> {
        let _ = original;
        todo!()
    }

    /// The length of the rendered header in octets.
    pub fn rendered_len(&self) -> usize {
        todo!()
    }
}
