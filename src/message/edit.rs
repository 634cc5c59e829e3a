//! Header edits: which bytes of the original header block a copy keeps, and which are inserted.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The edits that turn the original header block into that of a copy. They are compact: adjacent kept ranges
/// are merged, and only new fields carry bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderEdits {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Keep { start: u32, end: u32 },
    Insert(Vec<u8>),
}

/// The edits refer to bytes beyond the header: they were made for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header edits reach beyond the header they are applied to")]
pub struct EditsDoNotFit;

impl HeaderEdits {
    /// No edits: nothing kept, nothing inserted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps this range of the original's bytes next. A range that begins where the last one ended is merged
    /// with it.
    pub fn keep(&mut self, range: Range<usize>) {
        if range.start >= range.end {
            return;
        }
        // A range that does not fit into 32 bits is beyond any header: `render` refuses it.
        let start = u32::try_from(range.start).unwrap_or(u32::MAX);
        let end = u32::try_from(range.end).unwrap_or(u32::MAX);
        if let Some(Step::Keep { end: last, .. }) = self.steps.last_mut()
            && *last == start
        {
            *last = end;
            return;
        }
        self.steps.push(Step::Keep { start, end });
    }

    /// Inserts bytes next: whole fields, each ending in CRLF.
    pub fn insert(&mut self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return;
        }
        if let Some(Step::Insert(last)) = self.steps.last_mut() {
            last.extend_from_slice(&bytes);
            return;
        }
        self.steps.push(Step::Insert(bytes));
    }

    /// The copy's header block, without the empty line at its end.
    ///
    /// # Errors
    /// The edits refer to bytes beyond `original`.
    pub fn render(&self, original: &[u8]) -> Result<Bytes, EditsDoNotFit> {
        let mut parts = Vec::with_capacity(self.steps.len());
        let mut length = 0;
        for step in &self.steps {
            let part = step.bytes(original).ok_or(EditsDoNotFit)?;
            length += part.len();
            parts.push(part);
        }
        let mut out = Vec::with_capacity(length);
        for part in parts {
            out.extend_from_slice(part);
        }
        Ok(Bytes::from(out))
    }

    /// The length of the rendered header in octets.
    pub fn rendered_len(&self) -> usize {
        self.steps.iter().map(Step::len).sum()
    }
}

impl Step {
    /// The bytes that the step gives, or `None` if it refers to bytes beyond the original.
    fn bytes<'a>(&'a self, original: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Keep { start, end } => {
                original.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
            }
            Self::Insert(bytes) => Some(bytes),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Keep { start, end } => usize::try_from(end.saturating_sub(*start)).unwrap_or(usize::MAX),
            Self::Insert(bytes) => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbouring_ranges_are_one_step() {
        let mut edits = HeaderEdits::new();
        edits.keep(0..4);
        edits.keep(4..8);
        edits.insert("X: 1\r\n");
        edits.insert("Y: 2\r\n");
        edits.keep(8..8);
        edits.keep(12..16);
        assert_eq!(edits.steps.len(), 3);
        assert_eq!(edits.render(b"0123456789abcdef").unwrap(), "01234567X: 1\r\nY: 2\r\ncdef");
        assert_eq!(edits.rendered_len(), 24);
    }

    #[test]
    fn edits_of_another_header_are_refused() {
        let mut edits = HeaderEdits::new();
        edits.keep(3..9);
        assert_eq!(edits.render(b"short"), Err(EditsDoNotFit));
        let mut edits = HeaderEdits::new();
        edits.keep(usize::MAX - 1..usize::MAX);
        assert_eq!(edits.render(b"short"), Err(EditsDoNotFit));
    }

    proptest! {
        #[test]
        fn keeping_all_is_the_identity(original in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(0usize..200, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < original.len()).collect();
            cuts.push(original.len());
            cuts.sort_unstable();
            let mut edits = HeaderEdits::new();
            let mut from = 0;
            for cut in cuts {
                edits.keep(from..cut);
                from = cut;
            }
            prop_assert!(edits.steps.len() <= 1);
            prop_assert_eq!(edits.rendered_len(), original.len());
            prop_assert_eq!(&edits.render(&original).unwrap()[..], &original[..]);
        }

        #[test]
        fn the_length_is_told_before_rendering(steps in proptest::collection::vec((any::<bool>(), 0usize..60, 0usize..60), 0..12)) {
            let original = [b'o'; 60];
            let mut edits = HeaderEdits::new();
            for (keep, a, b) in steps {
                if keep { edits.keep(a.min(b)..a.max(b)) } else { edits.insert(vec![b'i'; a]) }
            }
            prop_assert_eq!(edits.render(&original).unwrap().len(), edits.rendered_len());
        }
    }
}
