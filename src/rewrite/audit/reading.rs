//! The views of a text: the text as it is and, wherever a reader's program could show something else, the
//! text with its lines joined, its escapes decoded, or its tags removed.

use super::Needles;
use super::escapes::{self, Digits, Unescape};
use super::fold::{Fold, Way};
use super::foreign::{self, Foreign, SYSTEMS};
use super::join::{self, Join, Lines};
use super::lazy::{Found, History, Lazy, Machine};
use super::lines;
use super::markup::Markup;
use super::sleep::Reading;
use super::stream::{Look, Stream};
use memchr::{memchr_iter, memchr3_iter, memmem};

pub(super) const ESCAPED: &str = "escaped";
const JOINED: &str = "folded";

/// What a [`Reading`] searches for, and in which views.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The name for a hit in the unchanged text.
    pub(super) form: &'static str,
    /// Whether base64 inside the text is searched.
    pub(super) tokens: bool,
    /// Whether lines are joined.
    pub(super) joins: bool,
    /// How many more levels are searched of markup inside escaped text, and of `data:` values inside markup.
    pub(super) depth: u8,
    /// How many more levels are searched of texts whose lines were broken before they were escaped.
    pub(super) lines: u8,
    /// The text is HTML. Its own tags are removed in a separate view ([`Markup`]).
    pub(super) is_html: bool,
}

impl Plan {
    /// For a text that is not part of another one.
    pub(super) fn text(form: &'static str, is_html: bool) -> Self {
        Self { form, tokens: true, joins: true, depth: 2, lines: 2, is_html }
    }

    /// For a text that was derived from another one.
    pub(super) fn derived(form: &'static str, depth: u8) -> Self {
        Self { form, tokens: false, joins: false, depth, lines: depth, is_html: false }
    }
}

/// Searches the text with look-alike characters replaced by plain ones. Invisible characters are removed; other views
/// replace them by blanks, and part words that change their origin (see [`Way`]).
struct Letters {
    form: &'static str,
    fold: Fold,
    stream: Stream,
    blanks: Lazy<Parted>,
    parted: Lazy<Parted>,
    before: History,
    /// The last octets, after characters were replaced.
    text: Vec<u8>,
}

/// The same text with more blanks.
struct Parted {
    form: &'static str,
    fold: Fold,
    stream: Stream,
    text: Vec<u8>,
}

impl Letters {
    fn new(form: &'static str, tokens: bool) -> Self {
        Self {
            form,
            fold: Fold::default(),
            stream: Stream::new(Look { verp: true, tokens, ..Look::default() }),
            blanks: Lazy::default(),
            parted: Lazy::default(),
            before: History::default(),
            text: Vec::new(),
        }
    }
}

impl Machine for Letters {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        let form = self.form;
        self.text.clear();
        self.fold.feed(bytes, &mut self.text);
        self.stream.feed(needles, &self.text, &mut |index, how| found(index, how, form));
        let (seen, turned) = (self.fold.take_seen(), self.fold.take_turned());
        let make = |way| Parted {
            form,
            fold: Fold::new(way),
            stream: Stream::new(Look { verp: true, ..Look::default() }),
            text: Vec::new(),
        };
        self.blanks.feed(needles, (&self.before, bytes, seen), || make(Way::Blanks), found);
        self.parted.feed(needles, (&self.before, bytes, turned), || make(Way::Parted), found);
        self.before.push(bytes);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        let form = self.form;
        self.text.clear();
        self.fold.finish(&mut self.text);
        self.stream.feed(needles, &self.text, &mut |index, how| found(index, how, form));
        self.stream.finish(needles, &mut |index, how| found(index, how, form));
        self.blanks.finish(needles, found);
        self.parted.finish(needles, found);
    }
}

impl Machine for Parted {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        let form = self.form;
        self.text.clear();
        self.fold.feed(bytes, &mut self.text);
        self.stream.feed(needles, &self.text, &mut |index, how| found(index, how, form));
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        let form = self.form;
        self.text.clear();
        self.fold.finish(&mut self.text);
        self.stream.feed(needles, &self.text, &mut |index, how| found(index, how, form));
        self.stream.finish(needles, &mut |index, how| found(index, how, form));
    }
}

/// All views of one text.
pub(super) struct Views {
    plan: Plan,
    /// The last octets as they are, and (`plain`) as [`Letters`] has changed them.
    raw: History,
    plain: History,
    letters: Letters,
    escapes: Lazy<Escapes>,
    octal: Lazy<Escapes>,
    form: Lazy<Escapes>,
    foreign: [Lazy<Foreign>; SYSTEMS],
    folded: Lazy<Joined>,
    flowed: Lazy<Joined>,
    /// For lines that were broken before the text was escaped.
    within: Lazy<Within>,
}

impl Views {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            raw: History::default(),
            plain: History::default(),
            letters: Letters::new(plan.form, plan.tokens),
            escapes: Lazy::default(),
            octal: Lazy::default(),
            form: Lazy::default(),
            foreign: Default::default(),
            folded: Lazy::default(),
            flowed: Lazy::default(),
            within: Lazy::default(),
        }
    }

    /// Feeds the views that work on the text as [`Letters`] has changed it.
    fn views(&mut self, needles: &Needles, found: &mut Found<'_>) {
        let text = self.letters.text.as_slice();
        let plan = self.plan;
        let tags = plan.depth > 0 && !plan.is_html && has_tag(text);
        let hot = escapes::may_begin(text) || tags;
        let make = || Escapes::new(Digits::Css, false, plan);
        self.escapes.feed(needles, (&self.plain, text, hot), make, found);
        let hot = escapes::may_be_octal(text);
        let make = || Escapes::new(Digits::Octal, false, Plan { depth: 0, ..plan });
        self.octal.feed(needles, (&self.plain, text, hot), make, found);
        if plan.lines > 0 {
            let hot = lines::may_join(self.plain.tail(), text);
            self.within.feed(needles, (&self.plain, text, hot), || Within::new(plan), found);
        }
        let hot = may_be_form(self.plain.tail(), text);
        let make = || Escapes::new(Digits::Css, true, Plan { depth: 0, ..plan });
        self.form.feed(needles, (&self.plain, text, hot), make, found);
        for (system, view) in self.foreign.iter_mut().enumerate() {
            let hot = foreign::is_near(system, self.plain.tail(), text);
            view.feed(needles, (&self.plain, text, hot), || Foreign::new(system, plan), found);
        }
        self.plain.push(text);
    }
}

impl Machine for Views {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        self.letters.feed(needles, bytes, found);
        self.views(needles, found);
        if self.plan.joins {
            let plan = self.plan;
            for (lines, view) in [(Lines::Folded, &mut self.folded), (Lines::Flowed, &mut self.flowed)] {
                let hot = join::may_join(lines, self.raw.tail(), bytes);
                view.feed(needles, (&self.raw, bytes, hot), || Joined::new(lines, plan), found);
            }
            self.raw.push(bytes);
        }
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        self.letters.finish(needles, found);
        self.views(needles, found);
        self.escapes.finish(needles, found);
        self.octal.finish(needles, found);
        self.form.finish(needles, found);
        self.foreign.iter_mut().for_each(|view| view.finish(needles, found));
        self.folded.finish(needles, found);
        self.flowed.finish(needles, found);
        self.within.finish(needles, found);
    }

    fn drops_tags(&self) -> bool {
        self.escapes.drops_tags()
            || self.folded.drops_tags()
            || self.flowed.drops_tags()
            || self.within.drops_tags()
    }
}

/// Whether these octets, or the boundary between `before` and them, contain `%40`. Such a text may be form
/// data, where a `+` before the address is a blank.
fn may_be_form(before: &[u8], text: &[u8]) -> bool {
    let seam: Vec<u8> =
        before[before.len().saturating_sub(2)..].iter().chain(text.iter().take(2)).copied().collect();
    memmem::find(&seam, b"%40").is_some() || memmem::find(text, b"%40").is_some()
}

/// All views of the text after its lines were joined.
struct Joined {
    join: Join,
    reading: Box<Reading>,
    text: Vec<u8>,
}

impl Joined {
    fn new(lines: Lines, plan: Plan) -> Self {
        // A text is formatted as flowed text only once, so at most one more level is searched.
        let lines_left = if lines == Lines::Flowed { plan.lines.min(1) } else { plan.lines };
        let plan = Plan { form: JOINED, joins: false, lines: lines_left, is_html: false, ..plan };
        Self { join: Join::new(lines), reading: Box::new(Reading::new(plan)), text: Vec::new() }
    }
}

impl Machine for Joined {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        self.text.clear();
        self.join.feed(bytes, &mut self.text);
        self.reading.feed(needles, &self.text, found);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        self.text.clear();
        self.join.finish(&mut self.text);
        self.reading.feed(needles, &self.text, found);
        self.reading.finish(needles, found);
    }

    fn drops_tags(&self) -> bool {
        self.reading.drops_tags()
    }
}

/// For a text that was escaped and put into another one. Decodes its escapes, including those of line ends,
/// and joins broken lines, in this text and in a text inside it. The view [`Escapes`] covers everything else.
struct Within {
    plan: Plan,
    unescape: Unescape,
    before: History,
    folded: Lazy<Joined>,
    flowed: Lazy<Joined>,
    deeper: Lazy<Within>,
    text: Vec<u8>,
}

impl Within {
    fn new(plan: Plan) -> Self {
        let (depth, lines) = (plan.depth.saturating_sub(1), plan.lines - 1);
        Self {
            plan: Plan { depth, lines, is_html: false, ..plan },
            unescape: Unescape::new(Digits::Lines),
            before: History::default(),
            folded: Lazy::default(),
            flowed: Lazy::default(),
            deeper: Lazy::default(),
            text: Vec::new(),
        }
    }

    fn views(&mut self, needles: &Needles, found: &mut Found<'_>) {
        let (plan, text) = (self.plan, self.text.as_slice());
        for (lines, view) in [(Lines::Folded, &mut self.folded), (Lines::Flowed, &mut self.flowed)] {
            let hot = join::may_join(lines, self.before.tail(), text);
            view.feed(needles, (&self.before, text, hot), || Joined::new(lines, plan), found);
        }
        if plan.lines > 0 {
            let hot = lines::may_join(self.before.tail(), text);
            self.deeper.feed(needles, (&self.before, text, hot), || Self::new(plan), found);
        }
        self.before.push(text);
    }
}

impl Machine for Within {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        self.text.clear();
        self.unescape.feed(bytes, &mut self.text);
        self.views(needles, found);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        self.text.clear();
        self.unescape.finish(&mut self.text);
        self.views(needles, found);
        self.folded.finish(needles, found);
        self.flowed.finish(needles, found);
        self.deeper.finish(needles, found);
    }

    fn drops_tags(&self) -> bool {
        self.folded.drops_tags() || self.flowed.drops_tags() || self.deeper.drops_tags()
    }
}

/// How many layers of escapes are decoded: a link to a link to a link is escaped three times.
pub(super) const LAYERS: usize = 4;

/// The text with its layers of escapes decoded, because text is often escaped more than once.
pub(super) struct Escapes {
    plan: Plan,
    /// A `+` is a blank, as in form data (WHATWG URL §5.1).
    is_form: bool,
    layers: [Unescape; LAYERS],
    letters: Letters,
    before: History,
    markup: Lazy<Markup>,
    /// The octets, and what they are without their escapes.
    scratch: [Vec<u8>; 2],
}

impl Escapes {
    pub(super) fn new(digits: Digits, is_form: bool, plan: Plan) -> Self {
        Self {
            plan,
            is_form,
            layers: std::array::from_fn(|_| Unescape::new(digits)),
            letters: Letters::new(ESCAPED, false),
            before: History::default(),
            markup: Lazy::default(),
            scratch: [Vec::new(), Vec::new()],
        }
    }

    fn read(&mut self, needles: &Needles, escaped_tags: bool, found: &mut Found<'_>) {
        let text = self.scratch[1].as_slice();
        self.letters.feed(needles, text, found);
        if self.plan.depth > 0 {
            let hot = escaped_tags && has_tag(text);
            let depth = self.plan.depth - 1;
            self.markup.feed(needles, (&self.before, text, hot), || Markup::within(depth), found);
            self.before.push(text);
        }
    }
}

impl Machine for Escapes {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        let [from, to] = &mut self.scratch;
        to.clear();
        if self.is_form {
            to.extend(bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }));
        } else {
            to.extend_from_slice(bytes);
        }
        for layer in &mut self.layers {
            std::mem::swap(from, to);
            to.clear();
            layer.feed(from, to);
        }
        let escaped_tags = !self.plan.is_html || may_escape_tag(bytes) || doubles_quotes(bytes);
        self.read(needles, escaped_tags, found);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        let [from, to] = &mut self.scratch;
        to.clear();
        for layer in &mut self.layers {
            std::mem::swap(from, to);
            to.clear();
            layer.feed(from, to);
            layer.finish(to);
        }
        self.read(needles, !self.plan.is_html, found);
        self.letters.finish(needles, found);
        self.markup.finish(needles, found);
    }

    fn drops_tags(&self) -> bool {
        self.markup.is_awake()
    }
}

/// Whether a tag may begin in this text.
fn has_tag(text: &[u8]) -> bool {
    memchr_iter(b'<', text).any(|at| {
        text.get(at + 1).is_none_or(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?'))
    })
}

/// Whether this text may contain an escaped `<`.
fn may_escape_tag(text: &[u8]) -> bool {
    // The end of the piece may cut off an escape.
    memchr3_iter(b'&', b'%', b'\\', text).any(|at| is_escaped_tag(&text[at..]) || text.len() - at < 6)
}

/// Whether this text may begin with an escaped `<`.
pub(super) fn is_escaped_tag(text: &[u8]) -> bool {
    matches!(
        text,
        [b'&', b'l' | b'L', ..]
            | [b'&', b'#', b'6' | b'0' | b'x' | b'X', ..]
            | [b'&', b'a', b'm', b'p', b';', b'l' | b'L' | b'#', ..]
            | [b'%', b'3', b'c' | b'C', ..]
            | [b'%', b'2', b'5', ..]
            | [b'\\', ..]
    )
}

/// Whether the quotes around the value of an attribute are doubled. If so, what looks like a page is a string
/// in a CSV table, in SQL or in YAML.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "asked of each octet: without branches it is asked of many at once"
)]
pub(super) fn doubles_quotes(text: &[u8]) -> bool {
    lines::pairs(text, |one, other| (one == other) & ((one == b'"') | (one == b'\''))).any(|at| {
        let ends = |next: &u8| next.is_ascii_whitespace() || b">/".contains(next);
        at > 0 && text[at - 1] == b'=' && !text.get(at + 2).is_some_and(ends)
    })
}
