//! What stands in a message, as its page shows it: the first lines of its text, and its attachments with what
//! they are and how they begin.

use super::super::words::{Tongue, Words, calm, calm_lines};
use super::people::LONGEST;
use crate::clock::Timestamp;
use crate::desk::contents::{Contents, File};
use crate::desk::preview::Preview;
use crate::desk::preview::calendar::{Invitation, When};

/// Lines of the text that are shown at once, and most characters of them.
const LINES: usize = 8;
const CHARACTERS: usize = 700;
/// Attachments that are shown at once.
const FILES: usize = 4;

/// What stands in it.
pub(super) struct Shown {
    /// The first lines of its text,
    pub(super) text: String,
    /// and the others.
    pub(super) rest: String,
    /// How many lines those are.
    pub(super) rest_lines: usize,
    /// The text goes on beyond what is read.
    pub(super) goes_on: bool,
    /// It has HTML.
    pub(super) html: bool,
    /// The first attachments, and the others.
    pub(super) files: Vec<Attached>,
    pub(super) more_files: Vec<Attached>,
}

/// An attachment.
pub(super) struct Attached {
    pub(super) number: usize,
    pub(super) name: String,
    /// What it is, in a word; its type, for who hovers.
    pub(super) sort: String,
    pub(super) kind: String,
    pub(super) size: u64,
    pub(super) inline: bool,
    /// How it begins, in words; nothing where nothing can be shown.
    pub(super) summary: String,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) lines: Vec<String>,
    /// What an invitation says: names of values, and these.
    pub(super) card: Vec<(String, String)>,
}

/// These contents, for this visitor.
pub(super) fn shown(t: &Words, contents: Contents) -> Shown {
    let whole = calm_lines(contents.text.trim());
    let (text, rest) = beginning(&whole);
    let mut files: Vec<Attached> = contents.files.into_iter().map(|file| attached(t, file)).collect();
    let more_files = if files.len() > FILES + 1 { files.split_off(FILES) } else { Vec::new() };
    Shown {
        rest_lines: rest.lines().count(),
        text: text.to_owned(),
        rest: rest.to_owned(),
        goes_on: contents.text_goes_on,
        html: contents.html.is_some(),
        files,
        more_files,
    }
}

/// The first lines of a text, and the others; nothing is cut off for a line or two.
fn beginning(text: &str) -> (&str, &str) {
    let bound = text.char_indices().nth(CHARACTERS).map_or(text.len(), |(at, _)| at);
    let line = |number: usize| text.match_indices('\n').nth(number - 1).map_or(text.len(), |(at, _)| at + 1);
    if bound == text.len() && line(LINES + 2) == text.len() {
        return (text, "");
    }
    let at = line(LINES);
    // Very long lines are cut where a line ends, else anywhere.
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

/// A moment of a calendar. A time of no zone is taken for one of the page's.
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
