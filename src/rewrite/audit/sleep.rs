//! The reading of a text. Its views sleep while the [`gate`](super::gate) is closed.

use super::Needles;
use super::gate::{Gate, Holds};
use super::lazy::{CUT, Found, Machine};
use super::reading::{Plan, Views};
use std::collections::VecDeque;

/// The number of octets before an open gate that the views are given, at least. While the gate is closed, at least a
/// quarter of the octets can be seen in every view, so these contain the longest local part; and at least three
/// quarters in all views but those that drop blanks, so these contain what a view needs that wakes.
pub(super) const BEFORE: usize = 12 * 1_024;
/// The views sleep after so many octets with a closed gate: more than the longest domain takes, and as much as a view
/// that joins escaped lines goes on for after the last of them.
const AFTER: usize = 8 * 1_024;
/// When the views had so many octets more than a quarter of those that they slept through, the gate is not asked for a
/// while: it would cost more than it saves.
const OFTEN: usize = 128 * 1_024;
/// How many octets the gate is not asked for. In tests less, so that their texts go beyond it.
const REST: usize = if cfg!(test) { 64 * 1_024 } else { 1_024 * 1_024 };

/// The views of a text, which run only where they could show an address.
pub(super) struct Reading {
    plan: Plan,
    /// `None` if there is no gate.
    gate: Option<Gate>,
    past: Past,
    views: Option<Box<Views>>,
    /// Octets since the gate was open.
    quiet: usize,
    /// Octets that the views had, less a quarter of those that they slept through.
    busy: usize,
    /// Octets before the gate is asked again.
    rest: usize,
}

impl Reading {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            gate: Some(Self::gate(plan)),
            past: Past::default(),
            views: None,
            quiet: 0,
            busy: 0,
            rest: 0,
        }
    }

    fn gate(plan: Plan) -> Gate {
        Gate::new(Holds { tokens: plan.tokens, tags: plan.depth > 0, is_html: plan.is_html })
    }

    /// Whether the gate is open for these octets.
    fn is_open(&mut self, needles: &Needles, bytes: &[u8]) -> bool {
        if self.rest > 0 {
            self.rest = self.rest.saturating_sub(bytes.len());
            return true;
        }
        let Some(gate) = &mut self.gate else { return true };
        if self.busy > OFTEN {
            self.busy = OFTEN / 2;
            self.rest = REST;
            *gate = Self::gate(self.plan);
            return true;
        }
        gate.feed(needles, bytes)
    }

    /// Wakes the views if the gate is open.
    fn views(&mut self, needles: &Needles, is_open: bool, found: &mut Found<'_>) -> Option<&mut Views> {
        if is_open && self.views.is_none() {
            let views = self.views.insert(Box::new(Views::new(self.plan)));
            let (is_cut, pieces) = self.past.pieces();
            if is_cut {
                views.feed(needles, CUT, found);
            }
            for piece in pieces {
                self.busy += piece.len();
                views.feed(needles, piece, found);
            }
        }
        self.views.as_deref_mut()
    }
}

impl Machine for Reading {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        if !needles.are_plain() {
            self.gate = None;
        }
        let is_open = self.is_open(needles, bytes);
        self.quiet = if is_open { 0 } else { self.quiet + bytes.len() };
        let quiet = self.quiet;
        self.busy = match (self.rest, is_open || self.views.is_some()) {
            (0, true) => self.busy + bytes.len(),
            (0, false) => self.busy.saturating_sub(bytes.len() / 4),
            _ => self.busy,
        };
        if let Some(views) = self.views(needles, is_open, found) {
            views.feed(needles, bytes, found);
            if quiet >= AFTER && !views.drops_tags() {
                views.feed(needles, CUT, found);
                views.finish(needles, found);
                self.views = None;
            }
        }
        // While the gate rests, the views run, so that the past is needed only when it is asked again.
        if self.rest > 4 * BEFORE {
            self.past.forget();
        } else if self.gate.is_some() {
            self.past.push(bytes);
        }
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        let is_open = self.gate.as_mut().is_some_and(|gate| gate.finish(needles));
        if let Some(views) = self.views(needles, is_open, found) {
            views.finish(needles, found);
        }
    }

    fn drops_tags(&self) -> bool {
        self.views.as_ref().is_some_and(|views| views.drops_tags())
    }
}

/// The last octets of a text, in the pieces in which they came: views wake by pieces.
#[derive(Debug, Default)]
struct Past {
    octets: Vec<u8>,
    lengths: VecDeque<usize>,
    /// Octets before these are forgotten.
    is_cut: bool,
}

impl Past {
    fn forget(&mut self) {
        self.is_cut = true;
        self.octets.clear();
        self.lengths.clear();
    }

    fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if bytes.len() >= 2 * BEFORE {
            self.forget();
        }
        let bytes = &bytes[bytes.len().saturating_sub(2 * BEFORE)..];
        self.octets.extend_from_slice(bytes);
        self.lengths.push_back(bytes.len());
        if self.octets.len() > 3 * BEFORE {
            let mut forgotten = 0;
            while let Some(length) =
                self.lengths.pop_front_if(|length| self.octets.len() - forgotten - *length >= BEFORE)
            {
                forgotten += length;
            }
            self.octets.drain(..forgotten);
            self.is_cut |= forgotten > 0;
        }
    }

    /// The last pieces that make [`BEFORE`] octets, and whether something came before them.
    fn pieces(&self) -> (bool, impl Iterator<Item = &[u8]>) {
        let mut octets = 0;
        let is_enough = |length: &usize| {
            octets += length;
            octets >= BEFORE
        };
        let first =
            self.lengths.iter().rev().position(is_enough).map_or(0, |back| self.lengths.len() - 1 - back);
        let mut start = self.octets.len() - octets;
        let pieces = self.lengths.iter().skip(first).map(move |length| {
            start += length;
            &self.octets[start - length..start]
        });
        (self.is_cut || first > 0, pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The views are given the last octets, whole pieces of them, without a gap, and enough of them.
        #[test]
        fn the_past_is_what_came_last(lengths in prop::collection::vec(0_usize..9_000, 0..40)) {
            let (mut past, mut all, mut next) = (Past::default(), Vec::new(), 0_u8);
            for length in lengths {
                let piece: Vec<u8> = (0..length).map(|_| { next = next.wrapping_mul(5).wrapping_add(7); next }).collect();
                past.push(&piece);
                all.extend_from_slice(&piece);
                let (is_cut, pieces) = past.pieces();
                let given: Vec<u8> = pieces.flatten().copied().collect();
                prop_assert!(all.ends_with(&given));
                prop_assert!(given.len() >= BEFORE.min(all.len()));
                prop_assert!(is_cut || given.len() == all.len());
            }
        }
    }
}
