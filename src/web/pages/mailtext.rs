//! The contents of a message on its page: the first lines of its text, and its attachments with kind and
//! preview.

use super::super::words::{Tongue, Words, calm, calm_lines};
use super::people::LONGEST;
use crate::clock::Timestamp;
use crate::desk::contents::{Contents, File};
use crate::desk::preview::Preview;
use crate::desk::preview::calendar::{Invitation, When};

/// Lines of text shown before unfolding, and most characters of them.
const LINES: usize = 8;
const CHARACTERS: usize = 700;
/// Attachments shown before unfolding.
const FILES: usize = 4;

/// The contents of a message.
pub(super) struct ContentsView {
    /// The first lines of its text.
    pub(super) text: String,
    /// The remaining lines.
    pub(super) rest: String,
    /// The number of remaining lines.
    pub(super) rest_lines: usize,
    /// Whether the text was cut.
    pub(super) goes_on: bool,
    /// Whether it has HTML.
    pub(super) html: bool,
    /// The first attachments, and the remaining ones.
    pub(super) files: Vec<Attached>,
    pub(super) more_files: Vec<Attached>,
}

/// An attachment.
pub(super) struct Attached {
    pub(super) number: usize,
    pub(super) name: String,
    /// Its kind in a word, and its type, shown on hover.
    pub(super) sort: String,
    pub(super) kind: String,
    pub(super) size: u64,
    pub(super) inline: bool,
    /// The preview in words; empty if there is none.
    pub(super) summary: String,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) lines: Vec<String>,
    /// The details of an invitation: labels and values.
    pub(super) card: Vec<(String, String)>,
}

/// Prepares contents for this visitor.
pub(super) fn shown(t: &Words, contents: Contents) -> ContentsView {
    let whole = calm_lines(contents.text.trim());
    let (text, rest) = beginning(&whole);
    let mut files: Vec<Attached> = contents.files.into_iter().map(|file| attached(t, file)).collect();
    let more_files = if files.len() > FILES + 1 { files.split_off(FILES) } else { Vec::new() };
    ContentsView {
        rest_lines: rest.lines().count(),
        text: text.to_owned(),
        rest: rest.to_owned(),
        goes_on: contents.text_goes_on,
        html: contents.html.is_some(),
        files,
        more_files,
    }
}

/// Divides a text into the first lines and the rest. A rest of one or two lines is not cut off.
fn beginning(text: &str) -> (&str, &str) {
    let bound = text.char_indices().nth(CHARACTERS).map_or(text.len(), |(at, _)| at);
    let line = |number: usize| text.match_indices('\n').nth(number - 1).map_or(text.len(), |(at, _)| at + 1);
    if bound == text.len() && line(LINES + 2) == text.len() {
        return (text, "");
    }
    let at = line(LINES);
    // very long lines are cut at a line end if possible
    let at = if at <= bound { at } else { text[..bound].rfind('\n').map_or(bound, |at| at + 1) };
    text.split_at(at)
}

fn attached(t: &Words, file: File) -> Attached {
    let mut one = Attached {
        number: file.number,
        name: if file.name.is_empty() {
            t.p("desk-file-unnamed").n("number", file.number + 1).to_string()
        } else {
            calm(&file.name, LONGEST)
        },
        sort: t.of("desk-sort-", file.sort.word()),
        kind: file.kind,
        size: file.size,
        inline: file.inline,
        summary: String::new(),
        rows: Vec::new(),
        lines: Vec::new(),
        card: Vec::new(),
    };
    match file.preview {
        Some(Preview::Rows(rows)) => {
            let key = if rows.more { "desk-rows-more" } else { "desk-rows" };
            let mut summary = t.p(key).n("rows", rows.rows).n("columns", rows.columns).to_string();
            if rows.addresses > 0 {
                summary += &t.p("desk-rows-addresses").n("count", rows.addresses).to_string();
            }
            one.summary = summary;
            let row = |row: Vec<String>| row.iter().map(|cell| calm(cell.trim(), LONGEST)).collect();
            one.rows = rows.first.into_iter().map(row).collect();
        }
        Some(Preview::Lines(lines)) => {
            one.summary = t.p("desk-lines").to_string();
            one.lines = lines.iter().map(|line| calm_lines(line)).collect();
        }
        Some(Preview::Invitation(event)) => one.card = card(t, &event),
        None => {}
    }
    one
}

fn card(t: &Words, event: &Invitation) -> Vec<(String, String)> {
    let attendees = (event.attendees > 0).then(|| t.p("desk-people").n("count", event.attendees).to_string());
    [
        ("desk-event-title", event.title.clone()),
        ("desk-event-when", event.starts.map(|when| moment(t, when)).unwrap_or_default()),
        ("desk-event-where", event.place.clone()),
        ("desk-event-organiser", event.organiser.clone()),
        ("desk-event-attendees", attendees.unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.trim().is_empty())
    .map(|(key, value)| (t.p(key).to_string(), calm(&value, LONGEST)))
    .collect()
}

/// A time in a calendar. Without a time zone, that of the page is assumed.
fn moment(t: &Words, when: When) -> String {
    match when {
        When::At(at) => t.moment(&Timestamp(at.as_millisecond())),
        When::Local(local) => local.to_zoned(t.zone.clone()).map_or_else(
            |_| local.to_string(),
            |zoned| t.moment(&Timestamp(zoned.timestamp().as_millisecond())),
        ),
        When::Day(day) => match t.tongue {
            Tongue::En => day.strftime("%-d %b %Y").to_string(),
            Tongue::Ja => day.strftime("%Y年%-m月%-d日").to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_with_eight_lines() {
        let lines = |count: usize| (1..=count).fold(String::new(), |all, n| all + &format!("line {n}\n"));
        for (count, first, rest) in [(0, 0, 0), (1, 1, 0), (8, 8, 0), (10, 10, 0), (11, 8, 3), (400, 8, 392)]
        {
            let text = lines(count);
            let (beginning, others) = beginning(&text);
            assert_eq!((beginning.lines().count(), others.lines().count()), (first, rest), "{count}");
            assert_eq!(format!("{beginning}{others}"), text);
        }
        let long = "長".repeat(5_000);
        let (first, rest) = beginning(&long);
        assert_eq!((first.chars().count(), rest.chars().count()), (CHARACTERS, 5_000 - CHARACTERS));
        let paragraphs = format!("{}\n{}", "a".repeat(600), "b".repeat(600));
        assert_eq!(beginning(&paragraphs).0.len(), 601);
    }
}
