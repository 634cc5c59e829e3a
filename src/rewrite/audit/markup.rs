//! The views of a page: its tags removed as a browser removes them, and as a coarser reader does.

use super::Needles;
use super::lazy::{Found, History, Lazy, Machine};
use super::page::Page;
use super::reading::{ESCAPED, Plan};
use super::sleep::Reading;
use super::tags::StripTags;

const TAGS: &str = "between tags";

/// The text with its tags removed as a browser does. Where a coarser reader, which looks only at `<` and `>`,
/// would show something else, a second view removes the tags as that reader does. Values of attributes that
/// hold a text of their own are searched, too.
pub(super) struct Markup {
    depth: u8,
    page: Page,
    shown: Reading,
    aside: Option<Box<Reading>>,
    before: History,
    coarse: Lazy<Coarse>,
    scratch: [Vec<u8>; 2],
}

impl Markup {
    /// For a page.
    pub(super) fn new(depth: u8) -> Self {
        Self::of(depth, Page::default())
    }

    /// For a page inside another text.
    pub(super) fn within(depth: u8) -> Self {
        Self::of(depth, Page::within())
    }

    fn of(depth: u8, page: Page) -> Self {
        Self {
            depth,
            page,
            shown: Reading::new(Plan::derived(TAGS, 0)),
            aside: None,
            before: History::default(),
            coarse: Lazy::default(),
            scratch: Default::default(),
        }
    }
}

impl Machine for Markup {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        let [shown, aside] = &mut self.scratch;
        shown.clear();
        aside.clear();
        self.page.feed(bytes, shown, aside);
        self.shown.feed(needles, shown, found);
        if self.depth > 0 && !aside.is_empty() {
            let plan = Plan { tokens: true, ..Plan::derived(ESCAPED, self.depth - 1) };
            let reading = self.aside.get_or_insert_with(|| Box::new(Reading::new(plan)));
            reading.feed(needles, aside, found);
        }
        let differs = self.page.take_differs();
        self.coarse.feed(needles, (&self.before, bytes, differs), Coarse::default, found);
        self.before.push(bytes);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        self.shown.finish(needles, found);
        self.coarse.finish(needles, found);
        if let Some(mut aside) = self.aside.take() {
            aside.finish(needles, found);
        }
    }
}

/// The text without anything that looks like a tag.
struct Coarse {
    tags: StripTags,
    reading: Reading,
    text: Vec<u8>,
}

impl Default for Coarse {
    fn default() -> Self {
        let reading = Reading::new(Plan::derived(TAGS, 0));
        Self { tags: StripTags::default(), reading, text: Vec::new() }
    }
}

impl Machine for Coarse {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        self.text.clear();
        self.tags.feed(bytes, &mut self.text);
        self.reading.feed(needles, &self.text, found);
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        self.reading.finish(needles, found);
    }
}
