//! Renders pages as HTML for mail programs: tables and inline styles, which Outlook's Word engine needs; no
//! external content, no script; colours that stay readable in dark mode.

use super::page::{Block, Page, Tone};
use crate::policy::verdict::Language;
use askama::Template;

/// A whole mail.
#[derive(Template)]
#[template(path = "mail/notice.html")]
struct Mail<'a> {
    title: &'a str,
    language: &'static str,
    /// The preview text that lists of mails show beside the subject.
    preview: &'a str,
    sheets: Vec<Sheet<'a>>,
    feet: &'a [String],
}

/// The content in one language.
struct Sheet<'a> {
    language: &'static str,
    fonts: &'static str,
    tone: Colours,
    title: &'a str,
    blocks: &'a [Block],
    japanese: bool,
}

/// A bar colour and a background tint.
#[derive(Clone, Copy)]
struct Colours {
    strong: &'static str,
    tint: &'static str,
    line: &'static str,
}

impl Sheet<'_> {
    /// A phrase without its line breaks: they become spaces, except between Japanese characters.
    fn flow(&self, text: &str) -> String {
        if self.japanese { joined(text) } else { text.replace('\n', " ") }
    }
}

fn joined(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\n' {
            out.push(c);
        } else if out.ends_with(|c: char| c.is_ascii_alphanumeric())
            && rest.peek().is_some_and(char::is_ascii_alphanumeric)
        {
            out.push(' ');
        }
    }
    out
}

fn colours(tone: Tone) -> Colours {
    match tone {
        Tone::Waiting => Colours { strong: "#8a4b00", tint: "#fdf6ec", line: "#e8d3b0" },
        Tone::Done => Colours { strong: "#17633f", tint: "#eef7f2", line: "#bfdccb" },
        Tone::Ended => Colours { strong: "#3d4f66", tint: "#f2f5f8", line: "#cdd6e0" },
        Tone::Alarm => Colours { strong: "#a3262a", tint: "#fdf1f1", line: "#ebc3c4" },
    }
}

fn tag(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Ja => "ja",
    }
}

fn fonts(language: Language) -> &'static str {
    match language {
        Language::En => "'Segoe UI', -apple-system, BlinkMacSystemFont, 'Helvetica Neue', Arial, sans-serif",
        Language::Ja => {
            "'Hiragino Sans', 'Yu Gothic UI', 'Noto Sans CJK JP', 'Noto Sans JP', Meiryo, 'Segoe UI', sans-serif"
        }
    }
}

/// Renders the HTML of a mail; `titles` has one for each page. `None` if rendering fails.
pub(super) fn render(pages: &[Page], titles: &[String], feet: &[String]) -> Option<String> {
    let sheets: Vec<Sheet<'_>> = pages
        .iter()
        .zip(titles)
        .map(|(page, title)| Sheet {
            language: tag(page.language),
            fonts: fonts(page.language),
            tone: colours(page.tone),
            title,
            blocks: &page.blocks,
            japanese: page.language == Language::Ja,
        })
        .collect();
    let first = sheets.first()?;
    let preview = first.blocks.iter().find_map(|block| match block {
        Block::Lead(text) => Some(text.as_str()),
        _ => None,
    });
    let language = first.language;
    let title = first.title;
    // if the HTML cannot be rendered, the mail has only its text
    Mail { title, language, preview: preview.unwrap_or_default(), sheets, feet }.render().ok()
}
