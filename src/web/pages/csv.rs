//! The report's tables as CSV (RFC 4180), in UTF-8 with a byte order mark, which spreadsheets need for
//! Japanese. No cell can become a formula.

use super::super::words::Words;
use super::chart::day;
use crate::desk::report::Numbers;
use crate::policy::verdict::Bilingual;
use crate::store::HeldState;
use crate::store::known::Tally;
use std::collections::{BTreeMap, HashMap};

/// The names of the tables.
pub(super) const WORDS: [&str; 3] = ["days", "rules", "senders"];
/// The actions, one column each.
const ACTIONS: [&str; 6] = ["pass", "split", "hold", "bcc", "delay", "reject"];
/// The states of held messages, one column each.
const STATES: [HeldState; 4] =
    [HeldState::Held, HeldState::Released, HeldState::Returned, HeldState::Expired];

/// One of the tables.
pub(super) fn table(t: &Words, of: &str, numbers: &Numbers, titles: &HashMap<String, Bilingual>) -> String {
    let mut out = String::from("\u{feff}");
    match of {
        "rules" => rules(t, &mut out, &numbers.rules, titles),
        "senders" => senders(t, &mut out, &numbers.senders),
        _ => days(t, &mut out, numbers),
    }
    out
}

fn days(t: &Words, out: &mut String, numbers: &Numbers) {
    let mut head = vec![t.p("desk-report-day").to_string()];
    head.extend(ACTIONS.iter().map(|action| t.of("desk-action-", action)));
    head.push(t.p("desk-report-prevented").to_string());
    line(out, &head);
    for one in &numbers.days {
        let mut cells = vec![day(t, one.begins)];
        cells
            .extend(ACTIONS.iter().map(|action| one.accepted.get(*action).copied().unwrap_or(0).to_string()));
        cells.push(one.prevented.to_string());
        line(out, &cells);
    }
}

/// Rules by what people call them, and by their names in the policy.
fn rules(t: &Words, out: &mut String, tally: &Tally, titles: &HashMap<String, Bilingual>) {
    let mut head = vec![t.p("desk-filter-rule").to_string()];
    head.extend(states(t));
    head.push(t.p("desk-report-rule-name").to_string());
    line(out, &head);
    for (name, counts) in tally {
        let title = titles.get(name).map_or(name.as_str(), |title| title.text(t.tongue.language()));
        let mut cells = vec![title.to_owned()];
        cells.extend(counted(counts));
        cells.push(name.clone());
        line(out, &cells);
    }
}

fn senders(t: &Words, out: &mut String, tally: &Tally) {
    let mut head = vec![t.p("desk-from").to_string()];
    head.extend(states(t));
    line(out, &head);
    for (address, counts) in tally {
        let mut cells = vec![address.clone()];
        cells.extend(counted(counts));
        line(out, &cells);
    }
}

fn states(t: &Words) -> impl Iterator<Item = String> {
    STATES.iter().map(|state| t.of("desk-state-", state))
}

fn counted(counts: &BTreeMap<HeldState, u64>) -> impl Iterator<Item = String> {
    STATES.iter().map(|state| counts.get(state).copied().unwrap_or(0).to_string())
}

fn line(out: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    out.push_str(&cells.join(","));
    out.push_str("\r\n");
}

/// A text as a cell. One that a spreadsheet would evaluate gets a leading apostrophe.
fn cell(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if guard.is_empty() && !text.contains([',', '"', ' ']) {
        return text;
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_texts_whatever_stands_in_them() {
        for (text, expected) in [
            ("12", "12"),
            ("a@x.example", "a@x.example"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@x", "\"'@x\""),
            ("a\r\nb", "\"a  b\""),
        ] {
            assert_eq!(cell(text), expected, "{text}");
        }
    }
}
