//! The chart of the report: messages held, split and sent as Bcc, by day. A table has the same numbers.

use super::super::words::Words;
use crate::clock::Timestamp;
use crate::store::known::Day;
use std::collections::BTreeMap;

/// What is drawn, from the bottom up. Mail that passed is left out, because it would dwarf the rest.
const DRAWN: [&str; 5] = ["split", "hold", "bcc", "delay", "reject"];
/// How many of these the legend always shows.
const ALWAYS: usize = 2;
/// Width of the chart in its own units.
const WIDTH: u64 = 720;
const HEIGHT: u64 = 200;
/// Space for the scale on the left, and for the days below.
const LEFT: u64 = 44;
const BELOW: u64 = 24;

/// A chart of stacked bars, one per day.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) lines: Vec<(u64, String)>,
    pub(super) labels: Vec<(u64, String)>,
    pub(super) rows: Vec<Row>,
    pub(super) legend: Vec<(usize, String)>,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) left: u64,
}

pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) class: usize,
}

/// One row of the table: a day.
pub(super) struct Row {
    pub(super) day: String,
    pub(super) counts: Vec<u64>,
    pub(super) prevented: u64,
}

/// Draws the days of a period.
pub(super) fn chart(t: &Words, days: u64, found: &[Day]) -> Chart {
    let all = every_day(t, days, found);
    let of = |day: &Day| DRAWN.map(|action| day.accepted.get(action).copied().unwrap_or(0));
    let highest = all.iter().map(|day| of(day).iter().sum::<u64>()).max().unwrap_or(0);
    let top = round_up(highest.max(4));
    let room = HEIGHT - BELOW;
    let slot = (WIDTH - LEFT) / all.len().max(1) as u64;
    let mut chart = Chart {
        bars: Vec::new(),
        lines: (0..=4).map(|part| (room - room * part / 4 + 8, (top * part / 4).to_string())).collect(),
        labels: Vec::new(),
        rows: Vec::new(),
        legend: Vec::new(),
        width: WIDTH,
        height: HEIGHT + 8,
        left: LEFT,
    };
    for (index, day) in all.iter().enumerate() {
        let counts = of(day);
        let x = LEFT + slot * index as u64 + slot / 8;
        let mut below = 0;
        for (class, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (from, to) = (room * below / top, room * (below + count) / top);
            let height = (to - from).max(1);
            chart.bars.push(Bar {
                x,
                y: room + 8 - to,
                width: (slot * 3 / 4).max(2),
                height,
                class: class + 1,
            });
            below += count;
        }
        let name = short(t, day.begins);
        if index % all.len().div_ceil(8).max(1) == 0 {
            chart.labels.push((x, name.clone()));
        }
        if below > 0 || day.prevented > 0 {
            chart.rows.push(Row { day: name, counts: counts.to_vec(), prevented: day.prevented });
        }
    }
    // actions that never happened get neither colour nor column
    let shown: Vec<usize> = (0..DRAWN.len())
        .filter(|at| *at < ALWAYS || chart.rows.iter().any(|row| row.counts[*at] > 0))
        .collect();
    chart.legend = shown.iter().map(|at| (at + 1, t.of("desk-action-", DRAWN[*at]))).collect();
    for row in &mut chart.rows {
        row.counts = shown.iter().map(|at| row.counts[*at]).collect();
    }
    chart
}

/// Every day of the period, including those without mail, oldest first.
fn every_day(t: &Words, days: u64, found: &[Day]) -> Vec<Day> {
    let offset = i64::from(t.zone.to_offset(t.now.to_jiff()).seconds()) * 1_000;
    let length = 24 * 3600 * 1_000;
    let today = (t.now.0 + offset).div_euclid(length);
    (0..=i64::try_from(days).unwrap_or(0))
        .rev()
        .map(|back| {
            let begins = Timestamp((today - back) * length - offset);
            let same = found.iter().find(|day| day.begins == begins);
            same.cloned().unwrap_or_else(|| Day { begins, accepted: BTreeMap::new(), prevented: 0 })
        })
        .collect()
}

/// The next larger number that has one digit and zeros, and is divisible by four.
fn round_up(number: u64) -> u64 {
    let mut step = 4;
    while step < number {
        let eight = step.to_string().starts_with('8');
        step = if eight { step * 5 / 2 } else { step * 2 };
    }
    step
}

/// A day in machine-readable form.
pub(super) fn day(t: &Words, begins: Timestamp) -> String {
    begins.to_jiff().to_zoned(t.zone.clone()).strftime("%Y-%m-%d").to_string()
}

/// A day in short form.
fn short(t: &Words, begins: Timestamp) -> String {
    let zoned = begins.to_jiff().to_zoned(t.zone.clone());
    match t.lang() {
        "ja" => zoned.strftime("%-m/%-d").to_string(),
        _ => zoned.strftime("%-d %b").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::words::Tongue;
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn scales_are_round() {
        for (number, top) in [(0, 4), (4, 4), (5, 8), (9, 20), (21, 40), (41, 80), (150, 200), (5_000, 8_000)]
        {
            assert_eq!(round_up(number), top, "{number}");
        }
    }

    #[test]
    fn a_chart_has_every_day_and_stays_within_its_frame() {
        let t = Words { tongue: Tongue::Ja, now: Timestamp(1_790_000_000_000), zone: TimeZone::UTC };
        let empty = chart(&t, 30, &[]);
        assert!(empty.bars.is_empty() && empty.rows.is_empty());
        let begins = every_day(&t, 30, &[])[30].begins;
        let accepted =
            BTreeMap::from([("pass".to_owned(), 600), ("split".to_owned(), 7), ("hold".to_owned(), 1)]);
        let full = chart(&t, 30, &[Day { begins, accepted, prevented: 132 }]);
        assert_eq!(full.bars.len(), 2);
        assert!(full.bars.iter().all(|bar| bar.x + bar.width <= WIDTH && bar.y + bar.height <= HEIGHT));
        assert_eq!(full.rows[0].counts, [7, 1], "what passed does not hide the rest");
        assert_eq!(full.legend.len(), 2);
    }
}
