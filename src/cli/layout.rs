//! Text layout for a terminal: tables whose columns are aligned in any script, and text from mail made safe.

use super::out::{Out, Paint};
use crate::clock::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A table: cells of plain text, each column as wide as its widest cell.
pub(super) struct Table<'a> {
    out: &'a Out,
    rows: Vec<Vec<String>>,
    /// The column that is shortened if the terminal is narrow.
    elastic: usize,
    /// The column that is coloured as a state.
    state: Option<usize>,
}

impl<'a> Table<'a> {
    /// A table with these headings; `elastic` is the column that is shortened to fit the terminal.
    pub(super) fn new(out: &'a Out, headings: &[&str], elastic: usize) -> Self {
        Self { out, rows: vec![headings.iter().map(|h| (*h).to_owned()).collect()], elastic, state: None }
    }

    /// Sets the column that contains a state.
    pub(super) fn state(mut self, column: usize) -> Self {
        self.state = Some(column);
        self
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// The table as text.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0))
            .collect();
        let total: usize = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        if let Some(limit) = self.out.width
            && total > limit
            && let Some(width) = widths.get_mut(self.elastic)
        {
            *width = width.saturating_sub(total - limit).max(12);
        }
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let cell = pad(&shorten(cell, widths[column]), widths[column]);
                line.push_str(&self.painted(number, column, &cell));
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn painted(&self, row: usize, column: usize, cell: &str) -> String {
        let paint: Paint = self.out.paint;
        match row {
            0 => paint.dim(cell),
            _ if self.state == Some(column) => paint.state(cell),
            _ => cell.to_owned(),
        }
    }
}

/// Text from a mail, safe for a terminal: no control characters, no bidirectional overrides.
pub(super) fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// The text truncated to a width in columns; `…` marks the cut.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > width {
            break;
        }
        used += wide;
        cut.push(c);
    }
    cut.push('…');
    cut
}

fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// The first of many, with the number of the others.
pub(super) fn some_of(list: &[String], most: usize) -> String {
    let shown = list.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match list.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 copy`, `12 copies`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number as u64), if number == 1 { one } else { many })
}

/// `12345` as `12,345`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in the configured time zone, to the second.
pub(super) fn local(at: Timestamp) -> String {
    at.to_jiff().to_zoned(crate::clock::zone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `<>` for the null sender.
pub(super) fn sender(text: &str) -> String {
    if text.is_empty() { "<>".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_in_japanese_too() {
        let out = Out { json: false, paint: Paint::plain(), width: None };
        let mut table = Table::new(&out, &["SUBJECT", "N"], 0);
        table.row(["説明会のご案内".to_owned(), "1".to_owned()]);
        table.row(["hello".to_owned(), "2".to_owned()]);
        let text = table.render();
        let starts: Vec<usize> = text.lines().map(|line| line[..=line.rfind(' ').unwrap()].width()).collect();
        assert_eq!(starts, [16, 16, 16], "{text}");
    }

    #[test]
    fn a_narrow_terminal_shortens_one_column() {
        let out = Out { json: false, paint: Paint::plain(), width: Some(24) };
        let mut table = Table::new(&out, &["SUBJECT", "STATE"], 0);
        table.row(["とても長い件名のついたメール".to_owned(), "held".to_owned()]);
        for line in table.render().lines() {
            assert!(line.width() <= 24, "{line}");
        }
    }

    #[test]
    fn mail_cannot_play_with_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\n"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(thousands(12_345_678), "12,345,678");
        assert_eq!(shorten("日本語", 4), "日…");
    }
}
