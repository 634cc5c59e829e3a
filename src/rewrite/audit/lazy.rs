//! A view that runs only where it could see something else than the plain one: near a fold, an escape,
//! a tag. Elsewhere it costs the look for such a sign.

use super::Needles;
use super::stream::Form;

/// Octets of context on both sides of a sign that are given to the view: more than any address takes
/// that is written plainly.
const CONTEXT: usize = 4 * 1_024;
/// Stands where the text was cut, so that no word seems to begin or to end there.
pub(super) const CUT: &[u8] = b"x";

/// Who is told: the address, how it was written, and what kind of view saw it.
pub(super) type Found<'a> = dyn FnMut(u32, Form, &'static str) + 'a;

/// A view, or a chain of them.
pub(super) trait Machine {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>);
    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>);

    /// Whether it drops tags, or a machine within it does. What it sees can then depend on everything before.
    fn drops_tags(&self) -> bool {
        false
    }
}

/// The last octets of a text, for views that wake.
#[derive(Debug, Default)]
pub(super) struct History {
    tail: Vec<u8>,
    /// Some octets before the tail are forgotten.
    cut: bool,
}

impl History {
    /// Keeps octets that all views have had.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 3 * CONTEXT {
            let forgotten = self.tail.len() - CONTEXT;
            self.tail.drain(..forgotten);
            self.cut = true;
        }
    }

    /// What a view that wakes is given of them.
    fn context(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(CONTEXT)..]
    }

    /// Whether something stood before the context.
    fn is_cut(&self) -> bool {
        self.cut || self.tail.len() > CONTEXT
    }

    /// The last octets.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }
}

/// A view that sleeps.
pub(super) struct Lazy<M> {
    machine: Option<Box<M>>,
    /// Octets since the last sign.
    quiet: usize,
}

impl<M> Default for Lazy<M> {
    fn default() -> Self {
        Self { machine: None, quiet: 0 }
    }
}

impl<M: Machine> Lazy<M> {
    /// Takes the next octets; `hot` says that they have a sign in them, `before` what came before them.
    /// What is found must not depend on how a text was cut, so it has to come in the same pieces always.
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

    /// The text is over.
    pub(super) fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        if let Some(mut machine) = self.machine.take() {
            machine.finish(needles, found);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a machine makes of a text, in whatever pieces it comes.
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
        // Each run of a letter once, with how often it came.
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
