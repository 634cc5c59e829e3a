//! What a mail to people says, apart from how it looks: blocks that grow in one language, and are
//! written as text or as HTML. Both say the same.

use super::locale::{Values, number, say};
use super::safe;
use crate::policy::verdict::Language;
use std::fmt::Write as _;

/// Most addresses listed in one mail; the rest is counted.
pub(super) const MAX_LISTED: usize = 30;
/// Longest subject, reason, place and address, in characters.
pub(super) const MAX_LINE: usize = 300;

/// What a mail is about, which gives it its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something waits.
    Waiting,
    /// All is well.
    Done,
    /// It did not leave.
    Ended,
    /// Something is wrong.
    Alarm,
}

/// A piece of a mail.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// The one sentence that matters.
    Lead(String),
    Paragraph(String),
    /// Numbers with what they count: a picture of what the lead says.
    Figures(Vec<(String, String)>),
    /// Labels and values.
    Facts(Vec<(String, String)>),
    Section(Section),
    /// One of many mails, in a line or two.
    Entry(Entered),
    /// Words of a person.
    Quote(String),
    /// What can be done, by a press.
    Buttons(Vec<Button>),
}

#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) heading: String,
    pub(super) items: Vec<Item>,
}

/// A line of a section, set in by so many blanks.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) depth: usize,
    pub(super) text: String,
    /// Shown in letters of one width: an address, a command.
    pub(super) exact: bool,
}

impl Item {
    /// How far it is set in, in pixels.
    pub(super) fn inset(&self) -> usize {
        self.depth.saturating_sub(2) * 6
    }
}

/// One of many mails.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    /// Its subject.
    pub(super) title: String,
    /// Where it is decided on, where there is a page.
    pub(super) url: Option<String>,
    /// What is dangerous about it.
    pub(super) said: String,
    /// From whom, and until when.
    pub(super) about: String,
}

#[derive(Clone, Debug)]
pub(super) struct Button {
    pub(super) label: String,
    /// What it means, where the label does not say it all.
    pub(super) hint: String,
    pub(super) url: String,
    /// The one that most want.
    pub(super) first: bool,
}

/// A mail in one language.
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

    /// One of many mails.
    pub(super) fn entry(&mut self, entry: Entered) {
        self.blocks.push(Block::Entry(entry));
    }

    /// A line, or a phrase of several, of the section at hand.
    pub(super) fn item(&mut self, depth: usize, text: &str) {
        self.push(Item { depth, text: text.to_owned(), exact: false });
    }

    /// A line of the section at hand that is shown letter by letter.
    pub(super) fn exact(&mut self, depth: usize, text: &str) {
        self.push(Item { depth, text: text.to_owned(), exact: true });
    }

    fn push(&mut self, item: Item) {
        match self.blocks.last_mut() {
            Some(Block::Section(section)) => section.items.push(item),
            _ => self.blocks.push(Block::Section(Section { heading: String::new(), items: vec![item] })),
        }
    }

    /// As many of these as are listed, each on one line, and how many more there are.
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

    /// Puts buttons down, where there are any.
    pub(super) fn buttons(&mut self, buttons: Vec<Button>) {
        if !buttons.is_empty() {
            self.blocks.push(Block::Buttons(buttons));
        }
    }

    /// The page as plain text. Figures are left out: the sentences say them.
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
