//! The content of a mail as blocks in one language, which are rendered as text or as HTML. Both say the same.

use super::locale::{Values, number, say};
use super::safe;
use crate::policy::verdict::Language;
use std::fmt::Write as _;

/// Most addresses listed in one mail; the rest is counted.
pub(super) const MAX_LISTED: usize = 30;
/// Longest subject, reason, place or address, in characters.
pub(super) const MAX_LINE: usize = 300;

/// The tone of a mail, which sets its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// A decision is pending.
    Waiting,
    /// Everything went well.
    Done,
    /// It was not sent.
    Ended,
    /// Something is wrong.
    Alarm,
}

/// A block of a mail.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// The most important sentence.
    Lead(String),
    Paragraph(String),
    /// Numbers with captions, which illustrate the lead.
    Figures(Vec<(String, String)>),
    /// Labels and values.
    Facts(Vec<(String, String)>),
    Section(Section),
    /// One of several messages in a digest.
    Entry(Entered),
    /// A person's own words.
    Quote(String),
    /// Actions as buttons.
    Buttons(Vec<Button>),
}

#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) heading: String,
    pub(super) items: Vec<Item>,
}

/// A line of a section, with its indentation in spaces.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) depth: usize,
    pub(super) text: String,
    /// Whether it is shown in a monospaced font: an address, a command.
    pub(super) exact: bool,
}

impl Item {
    /// The indentation in pixels.
    pub(super) fn inset(&self) -> usize {
        self.depth.saturating_sub(2) * 6
    }
}

/// One of several messages in a digest.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    /// Subject.
    pub(super) title: String,
    /// The page where it is decided, if there is one.
    pub(super) url: Option<String>,
    /// What is dangerous about it.
    pub(super) said: String,
    /// Its sender and its deadline.
    pub(super) about: String,
}

#[derive(Clone, Debug)]
pub(super) struct Button {
    pub(super) label: String,
    /// An explanation, if the label is not enough.
    pub(super) hint: String,
    pub(super) url: String,
    /// Whether it is the primary button.
    pub(super) first: bool,
}

/// The content of a mail in one language.
pub(super) struct Page {
    pub(super) language: Language,
    pub(super) tone: Tone,
    pub(super) blocks: Vec<Block>,
}

impl Page {
    pub(super) fn new(language: Language, tone: Tone) -> Self {
        Self { language, tone, blocks: Vec::new() }
    }

    pub(super) fn say(&self, key: &str, values: &Values<'_>) -> String {
        say(self.language, key, values)
    }

    pub(super) fn lead(&mut self, key: &str, values: &Values<'_>) {
        self.blocks.push(Block::Lead(self.say(key, values)));
    }

    pub(super) fn paragraph(&mut self, key: &str, values: &Values<'_>) {
        self.blocks.push(Block::Paragraph(self.say(key, values)));
    }

    pub(super) fn heading(&mut self, key: &str) {
        let heading = self.say(key, &[]);
        self.blocks.push(Block::Section(Section { heading, items: Vec::new() }));
    }

    /// `Label: value`
    pub(super) fn labelled(&mut self, key: &str, value: &str) {
        let fact = (self.say(key, &[]), value.to_owned());
        match self.blocks.last_mut() {
            Some(Block::Facts(facts)) => facts.push(fact),
            _ => self.blocks.push(Block::Facts(vec![fact])),
        }
    }

    /// Adds one of several messages.
    pub(super) fn entry(&mut self, entry: Entered) {
        self.blocks.push(Block::Entry(entry));
    }

    /// Adds a phrase of one or more lines to the current section.
    pub(super) fn item(&mut self, depth: usize, text: &str) {
        self.push(Item { depth, text: text.to_owned(), exact: false });
    }

    /// Adds a line in a monospaced font to the current section.
    pub(super) fn exact(&mut self, depth: usize, text: &str) {
        self.push(Item { depth, text: text.to_owned(), exact: true });
    }

    fn push(&mut self, item: Item) {
        match self.blocks.last_mut() {
            Some(Block::Section(section)) => section.items.push(item),
            _ => self.blocks.push(Block::Section(Section { heading: String::new(), items: vec![item] })),
        }
    }

    /// Adds entries up to the limit, one per line, and how many more there are.
    pub(super) fn list(&mut self, depth: usize, entries: impl ExactSizeIterator<Item = String>) {
        let more = entries.len().saturating_sub(MAX_LISTED);
        for entry in entries.take(MAX_LISTED) {
            let indent = entry.len() - entry.trim_start().len();
            self.exact(depth + indent, &safe::line(&entry, MAX_LINE));
        }
        if more > 0 {
            let text = self.say("and-more-people", &[("count", number(more))]);
            self.item(depth, &text);
        }
    }

    pub(super) fn quote(&mut self, words: &str) {
        self.blocks.push(Block::Quote(words.to_owned()));
    }

    pub(super) fn figures(&mut self, figures: Vec<(String, String)>) {
        self.blocks.push(Block::Figures(figures));
    }

    /// Adds the buttons, if there are any.
    pub(super) fn buttons(&mut self, buttons: Vec<Button>) {
        if !buttons.is_empty() {
            self.blocks.push(Block::Buttons(buttons));
        }
    }

    /// Renders the page as plain text. Figures are left out, since the sentences contain them.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let (colon, open, close) = match self.language {
            Language::En => (": ", "(", ")"),
            Language::Ja => ("：", "（", "）"),
        };
        for block in &self.blocks {
            match block {
                Block::Lead(text) | Block::Paragraph(text) => {
                    let _ = write!(out, "{text}\n\n");
                }
                Block::Figures(_) => {}
                Block::Facts(facts) => {
                    for (label, value) in facts {
                        let _ = writeln!(out, "{label}{colon}{value}");
                    }
                    out.push('\n');
                }
                Block::Section(section) => {
                    if !section.heading.is_empty() {
                        let _ = writeln!(out, "{}", section.heading);
                    }
                    for item in &section.items {
                        let depth = item.depth;
                        for line in item.text.lines() {
                            let _ = writeln!(out, "{:depth$}{line}", "");
                        }
                    }
                    out.push('\n');
                }
                Block::Entry(entry) => {
                    let url = entry.url.as_deref().unwrap_or_default();
                    for (depth, line) in [(0, &*entry.title), (2, &*entry.said), (2, &*entry.about), (2, url)]
                    {
                        if !line.is_empty() {
                            let _ = writeln!(out, "{:depth$}{line}", "");
                        }
                    }
                    out.push('\n');
                }
                Block::Quote(words) => {
                    for line in words.lines() {
                        let _ = writeln!(out, "> {line}");
                    }
                    out.push('\n');
                }
                Block::Buttons(buttons) => {
                    for button in buttons {
                        let _ = writeln!(out, "  {}{}\n    {}", button.label, colon.trim_end(), button.url);
                        for line in button.hint.lines() {
                            let _ = writeln!(out, "    {open}{line}{close}");
                        }
                    }
                    out.push('\n');
                }
            }
        }
        out
    }
}
