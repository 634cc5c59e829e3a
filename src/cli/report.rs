//! `sekisho report`: statistics over a period, the same as on the desk's page for administrators.

use super::ask::{ask, unexpected};
use super::layout::{Table, count, thousands};
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::units::Span;
use crate::control::{Answer, Request};
use crate::desk::report::{Decisions, Numbers};
use crate::store::HeldState;
use crate::store::known::{Tally, WouldBe};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Maximum number of rules, groups or people listed under each heading.
const MOST: usize = 50;

/// Options of `report`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How far back
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    since: Span,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let now = SystemClock.now();
    let since = now.minus(arguments.since.0);
    // Days are those of the zone that the configuration names.
    let offset = i64::from(context.config()?.notices.zone.to_offset(now.to_jiff()).seconds()) * 1_000;
    let Answer::Report(numbers) = ask(context, &Request::Report { since, offset })? else {
        return Err(unexpected());
    };
    if context.out.json {
        context.out.json(&in_words(&numbers));
        return Ok(());
    }
    let paint = context.out.paint;
    let mut text = format!("{}\n", paint.bold(&format!("since {since}")));
    section(&mut text, "accepted", &numbers.accepted);
    section(&mut text, "held", &numbers.held);
    section(&mut text, "deliveries", &numbers.deliveries);
    if !numbers.would.accepted.is_empty() {
        section(&mut text, "would be", &numbers.would.accepted);
    }
    let _ = writeln!(
        text,
        "exposures prevented  {} (recipients who would have seen each other, n × (n − 1))",
        paint.bold(&thousands(numbers.exposures_prevented))
    );
    if !numbers.would.accepted.is_empty() {
        let _ = writeln!(
            text,
            "would be prevented   {} (mail that passed in observe mode, had its verdicts been carried out)",
            paint.bold(&thousands(numbers.would.exposures_prevented))
        );
    }
    let known: u64 = numbers.knowledge.mails.values().sum();
    if known > 0 {
        let _ = writeln!(
            text,
            "known to each other  {} passed for it (known are {} mails and {} people)",
            count(usize::try_from(numbers.knowledge.passed).unwrap_or(usize::MAX), "mail", "mails"),
            thousands(known),
            thousands(numbers.knowledge.people)
        );
    }
    if let Decisions { count, median_seconds: Some(half), nine_of_ten_seconds: Some(most) } =
        numbers.decisions
    {
        let decisions = thousands(count as u64);
        let (half, most) = (span(half), span(most));
        let _ = writeln!(
            text,
            "decisions by people  {decisions} (half of them within {half}, nine of ten within {most})"
        );
    }
    for (heading, tally) in
        [("RULE", &numbers.rules), ("SENDER'S GROUP", &numbers.groups), ("ASKED", &numbers.approvers)]
    {
        if !tally.is_empty() {
            text.push('\n');
            text.push_str(&table(context, heading, tally));
        }
    }
    for (heading, tally) in [("WOULD: RULE", &numbers.would.rules), ("WOULD: SENDER", &numbers.would.senders)]
    {
        if !tally.is_empty() {
            text.push('\n');
            text.push_str(&would_be(context, heading, tally));
        }
    }
    context.out.print(&text);
    Ok(())
}

/// Mail of observe mode that would not have passed, the largest number of exposures first, as a table.
fn would_be(context: &Context, heading: &str, tally: &BTreeMap<String, WouldBe>) -> String {
    let mut table = Table::new(&context.out, &[heading, "MESSAGES", "EXPOSURES"], 0);
    let mut rows: Vec<(&String, &WouldBe)> = tally.iter().collect();
    rows.sort_by_key(|(_, be)| std::cmp::Reverse((be.exposures_prevented, be.messages)));
    for (name, be) in rows.into_iter().take(MOST) {
        let name = if name.is_empty() { "<>".to_owned() } else { name.clone() };
        table.row([name, thousands(be.messages), thousands(be.exposures_prevented)]);
    }
    table.render()
}

/// Held messages by name, the largest number first, as a table.
fn table(context: &Context, heading: &str, tally: &Tally) -> String {
    let states = [HeldState::Held, HeldState::Released, HeldState::Returned, HeldState::Expired];
    let mut table = Table::new(&context.out, &[heading, "ALL", "HELD", "RELEASED", "RETURNED", "EXPIRED"], 0);
    let mut rows: Vec<(u64, &String, [u64; 4])> = tally
        .iter()
        .map(|(name, counts)| {
            let counts = states.map(|state| counts.get(&state).copied().unwrap_or(0));
            (counts.iter().sum(), name, counts)
        })
        .collect();
    rows.sort_by_key(|(all, ..)| std::cmp::Reverse(*all));
    for (all, name, counts) in rows.into_iter().take(MOST) {
        table.row([name.clone(), thousands(all)].into_iter().chain(counts.map(thousands)));
    }
    table.render()
}

/// A duration in its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The numbers as JSON, with times as text.
fn in_words(numbers: &Numbers) -> serde_json::Value {
    let mut value = serde_json::to_value(numbers).unwrap_or_default();
    let text = |at: Timestamp| serde_json::Value::from(at.to_string());
    if let Some(since) = value.get_mut("since") {
        *since = text(numbers.since);
    }
    let days = value.get_mut("days").and_then(serde_json::Value::as_array_mut);
    for (day, known) in days.into_iter().flatten().zip(&numbers.days) {
        if let Some(begins) = day.get_mut("begins") {
            *begins = text(known.begins);
        }
    }
    value
}

fn section(text: &mut String, name: &str, numbers: &BTreeMap<String, u64>) {
    if numbers.is_empty() {
        let _ = writeln!(text, "{name:<11} none");
        return;
    }
    for (index, (what, number)) in numbers.iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        let _ = writeln!(text, "{name:<11} {what:<10} {:>12}", thousands(*number));
    }
}
