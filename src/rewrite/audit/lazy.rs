//! A view that runs only near a sign of something that it would undo, such as a folded line, an escape or a
//! tag. Elsewhere it would show the same text as the plain view, so only the search for such a sign costs
//! time.

use super::Needles;
use super::stream::Form;

/// The number of octets before and after a sign that the view receives as context. It is larger than any
/// address that is written without encoding.
const CONTEXT: usize = 4 * 1_024;
/// Replaces the text that is left out before and after the context, so that no word seems to begin or end at
/// the cut.
pub(super) const CUT: &[u8] = b"x";

/// The callback for each hit. It receives the index of the address, how the address was written, and the name
/// of the kind of view that found it.
pub(super) type Found<'a> = dyn FnMut(u32, Form, &'static str) + 'a;

/// A view, or a chain of views.
pub(super) trait Machine {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>);
    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>);

    /// Whether it drops tags, or a machine within it does. What it sees can then depend on everything before.
    fn drops_tags(&self) -> bool {
        false
    }
}

/// The last octets of a text. A view that starts receives them as context.
#[derive(Debug, Default)]
pub(super) struct History {
    tail: Vec<u8>,
    /// Whether octets before the tail were dropped.
    cut: bool,
}

impl History {
    /// Adds octets that all views have received.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 3 * CONTEXT {
            let forgotten = self.tail.len() - CONTEXT;
            self.tail.drain(..forgotten);
            self.cut = true;
        }
    }

    /// The part of the tail that a view receives when it starts.
    fn context(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(CONTEXT)..]
    }

    /// Whether there was text before the context.
    fn is_cut(&self) -> bool {
        self.cut || self.tail.len() > CONTEXT
    }

    /// The last octets of the text.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }
}

/// A view that runs only near signs.
pub(super) struct Lazy<M> {
    machine: Option<Box<M>>,
    /// The number of octets since the last piece with a sign.
    quiet: usize,
}

impl<M> Default for Lazy<M> {
    fn default() -> Self {
        Self { machine: None, quiet: 0 }
    }
}

impl<M: Machine> Lazy<M> {
    /// Takes the next octets. `hot` says whether they contain a sign, and `before` holds the octets before
    /// them.
    ///
    /// The pieces decide where the view starts and stops. The caller must therefore always divide the same
    /// text into the same pieces, or the hits would depend on the chunks in which the message arrived.
    pub(super) fn feed(
        &mut self,
        needles: &Needles,
        (before, bytes, hot): (&History, &[u8], bool),
        make: impl FnOnce() -> M,
        found: &mut Found<'_>,
    ) {
        if self.machine.is_none() && hot {
            let machine = self.machine.insert(Box::new(make()));
            if before.is_cut() {
                machine.feed(needles, CUT, found);
            }
            machine.feed(needles, before.context(), found);
        }
        let Some(machine) = &mut self.machine else { return };
        machine.feed(needles, bytes, found);
        self.quiet = if hot { 0 } else { self.quiet + bytes.len() };
        if self.quiet >= CONTEXT {
            machine.feed(needles, CUT, found);
            machine.finish(needles, found);
            self.machine = None;
        }
    }

    /// Whether the view runs.
    pub(super) fn is_awake(&self) -> bool {
        self.machine.is_some()
    }

    /// Whether the view runs and [`Machine::drops_tags`].
    pub(super) fn drops_tags(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.drops_tags())
    }

    /// Finishes the view, if it is running, at the end of the text.
    pub(super) fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        if let Some(mut machine) = self.machine.take() {
            machine.finish(needles, found);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The output of a machine for a text. Asserts that it is the same for chunks of any size.
    pub(in super::super) fn in_chunks(text: &str, run: impl Fn(&str, usize) -> Vec<u8>) -> String {
        let whole = run(text, text.len().max(1));
        for size in [1, 2, 3, 7] {
            assert_eq!(run(text, size), whole, "{text} in chunks of {size}");
        }
        String::from_utf8_lossy(&whole).into_owned()
    }

    #[derive(Default)]
    struct Echo(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Machine for Echo {
        fn feed(&mut self, _: &Needles, bytes: &[u8], _: &mut Found<'_>) {
            self.0.borrow_mut().extend_from_slice(bytes);
        }
        fn finish(&mut self, _: &Needles, _: &mut Found<'_>) {
            self.0.borrow_mut().push(b'|');
        }
    }

    #[test]
    fn only_what_is_near_a_sign_is_seen() {
        let seen = std::rc::Rc::default();
        let needles = Needles::default();
        let (mut lazy, mut history) = (Lazy::default(), History::default());
        let mut feed = |bytes: &[u8], hot| {
            let make = || Echo(std::rc::Rc::clone(&seen));
            lazy.feed(&needles, (&history, bytes, hot), make, &mut |_, _, _| {});
            history.push(bytes);
        };
        feed(&vec![b'a'; 5 * CONTEXT], false);
        feed(b"!", true);
        feed(&vec![b'b'; CONTEXT], false);
        feed(&vec![b'c'; CONTEXT], false);
        feed(b"?", true);
        lazy.finish(&needles, &mut |_, _, _| {});
        // Each run of equal octets as the octet and the length of the run.
        let seen = seen.borrow();
        let runs: Vec<(u8, usize)> =
            seen.chunk_by(|one, other| one == other).map(|run| (run[0], run.len())).collect();
        let expected = [
            (b'x', 1),
            (b'a', CONTEXT),
            (b'!', 1),
            (b'b', CONTEXT),
            (b'x', 1),
            (b'|', 1),
            (b'x', 1),
            (b'c', CONTEXT),
            (b'?', 1),
            (b'|', 1),
        ];
        assert_eq!(runs, expected);
    }
}
