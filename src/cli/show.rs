//! An explained message as text: shared by `explain`, `held show` and `try`.

use super::Context;
use super::layout::{clean, count, some_of, thousands};
use super::out::Out;
use crate::clock::Timestamp;
use crate::desk::explain::{CopyView, Explanation, FactsView, KnownView, RuleView};
use crate::policy::Action;
use crate::rewrite::Hit;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// Copies listed before "and so many more".
const COPIES_SHOWN: usize = 20;

/// An explained message, verdict first.
pub(super) fn explanation(out: &Out, explained: &Explanation) -> String {
    let mut text = headline(out, explained);
    text.push('\n');
    text.push_str(&body(out, explained, explained.verdict.action == Action::Hold));
    text
}

/// What happens, and why.
pub(super) fn headline(out: &Out, explained: &Explanation) -> String {
    let paint = out.paint;
    let verdict = &explained.verdict;
    let word = action_word(verdict.action);
    let mut text = format!("{}  {}\n", paint.state(word), paint.bold(&clean(&explained.facts.subject)));
    if let Some(would) = verdict.would {
        let would = would_have(action_word(would));
        let _ = writeln!(text, "  observe mode: passes; {would}");
    }
    if let (Action::Delay, Some(seconds)) = (verdict.action, verdict.delay_seconds) {
        let _ = writeln!(text, "  leaves after {seconds} s");
    }
    if verdict.reasons.is_empty() {
        let _ = writeln!(text, "  no rule asks for anything");
    }
    // The risks repeat the reasons, and add what removes them.
    let said: Vec<&String> = match explained.risks.as_slice() {
        [] => verdict.reasons.iter().collect(),
        risks => risks.iter().map(|risk| &risk.en).collect(),
    };
    for line in said {
        let _ = writeln!(text, "  {}", clean(line));
    }
    text
}

/// The action as in JSON.
pub(super) fn action_word(action: Action) -> &'static str {
    action.word()
}

/// What would have been done to a message that passed in observe mode.
pub(super) fn would_have(action: &str) -> &'static str {
    match action {
        "pass" => "would have passed as well",
        "bcc" => "would have been sent with nobody outside named",
        "split" => "would have been split",
        "delay" => "would have been delayed",
        "hold" => "would have been held",
        "reject" => "would have been rejected",
        _ => "would have been something else",
    }
}

/// Facts, rules and copies.
pub(super) fn body(out: &Out, explained: &Explanation, held: bool) -> String {
    let paint = out.paint;
    let mut text = format!("{}\n", paint.bold("facts"));
    facts(&mut text, &explained.facts);
    let _ = writeln!(text, "\n{}", paint.bold("rules"));
    for rule in &explained.rules {
        text.push_str(&rule_line(out, rule));
    }
    hits(&mut text, &explained.hits);
    match (&explained.if_released, held) {
        (Some(released), true) if released.split.is_empty() => {
            let _ = writeln!(text, "\n{}\n  no safe copies can be made: see above", paint.bold("copies"));
        }
        (Some(released), true) => {
            let _ = writeln!(text, "\n{}", paint.bold("copies, if it is released to each individually"));
            copies(&mut text, &released.split);
        }
        _ => {
            let _ = writeln!(text, "\n{}", paint.bold("copies"));
            copies(&mut text, &explained.deliveries);
        }
    }
    text
}

/// For example: `all 6 were on the mail of 2026-11-12 that this answers; the first mail to its people was of
/// …`
fn acquaintance(mail: &KnownView) -> String {
    let which = if mail.answered { "the mail" } else { "a mail" };
    let answers = if mail.answered { " that this answers" } else { "" };
    let met = mail.people - mail.strangers.len().min(mail.people);
    let whom =
        if mail.strangers.is_empty() { format!("all {met}") } else { format!("{met} of {}", mail.people) };
    let not = match mail.strangers.as_slice() {
        [] => String::new(),
        strangers => format!(", and not {}", some_of(strangers, 6)),
    };
    let since = &mail.since;
    format!(
        "{whom} were on {which} of {}{answers}{not}; the first mail to its people was of {since}",
        mail.last
    )
}

fn facts(text: &mut String, facts: &FactsView) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<15} {}", clean(value));
    };
    let sender = if facts.sender.is_empty() { "<> (null sender: a report)" } else { &facts.sender };
    line("sender", sender);
    if !facts.from.contains(&facts.sender) || !facts.from_is_ours {
        let whose = if facts.from_is_ours { "" } else { " (not ours)" };
        line("from", &format!("{}{whose}", some_of(&facts.from, 3)));
    }
    line("recipients", &count(facts.recipients.len(), "in the envelope", "in the envelope"));
    line(
        "outside",
        &format!(
            "{} of {}; {} exposures if everybody saw everybody",
            count(facts.external_addresses.len(), "visible address", "visible addresses"),
            count(facts.external_organisations, "organisation", "organisations"),
            thousands(facts.exposures)
        ),
    );
    if !facts.external_addresses.is_empty() {
        line("", &some_of(&facts.external_addresses, 6));
    }
    if !facts.envelope_only.is_empty() {
        line("envelope only", &some_of(&facts.envelope_only, 6));
    }
    if !facts.bcc_header.is_empty() {
        line("bcc field", &some_of(&facts.bcc_header, 6));
    }
    let named = [
        (facts.reply, "reply"),
        (facts.circle, "circle"),
        (facts.known_to_each_other, "known to each other"),
        (facts.report, "report"),
        (facts.auto_forward, "auto-forward"),
        (facts.calendar.is_some(), "calendar"),
        (facts.tnef, "winmail.dat"),
        (facts.encrypted.is_some(), "encrypted"),
        (facts.signed, "signed"),
    ];
    let kinds: Vec<&str> = named.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    if !kinds.is_empty() {
        line("kind", &kinds.join(", "));
    }
    if let Some(mail) = &facts.nearest_mail {
        line("known", &acquaintance(mail));
    }
    line("size", &format!("{} octets", thousands(facts.size)));
    if !facts.attachments.is_empty() {
        line("attachments", &some_of(&facts.attachments, 6));
    }
    for part in facts.opaque_parts.iter().take(6) {
        line("cannot be opened", part);
    }
    for problem in facts.problems.iter().take(6) {
        line("unreadable", problem);
    }
}

fn rule_line(out: &Out, rule: &RuleView) -> String {
    let paint = out.paint;
    let demand =
        if rule.demand.is_empty() { String::new() } else { format!(" → {}", rule.demand.join(", ")) };
    let title = rule.title.as_ref().map(|title| format!("{} ", clean(&title.en))).unwrap_or_default();
    let line = format!("{title}[{}]: {}{demand}", clean(&rule.name), clean(&rule.why));
    if rule.matched {
        format!("  {} {line}\n", paint.warn("✓"))
    } else {
        format!("  {}\n", paint.dim(&format!("– {line}")))
    }
}

fn hits(text: &mut String, hits: &[Hit]) {
    if hits.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nhidden addresses that others would still get");
    for hit in hits.iter().take(COPIES_SHOWN) {
        let _ = writeln!(text, "  {} in {} ({})", hit.address, clean(&hit.place), clean(&hit.form));
    }
    if hits.len() > COPIES_SHOWN {
        let _ = writeln!(text, "  and {} more", hits.len() - COPIES_SHOWN);
    }
}

/// Each copy, with what its recipient sees in To and Cc.
pub(super) fn copies(text: &mut String, copies: &[CopyView]) {
    if copies.is_empty() {
        let _ = writeln!(text, "  none");
    }
    for copy in copies.iter().take(COPIES_SHOWN) {
        let cc = if copy.cc.is_empty() { String::new() } else { format!("; Cc: {}", shown(&copy.cc)) };
        let _ =
            writeln!(text, "  {}  sees To: {}{}", clean(&some_of(&copy.recipients, 3)), shown(&copy.to), cc);
    }
    if copies.len() > COPIES_SHOWN {
        let _ = writeln!(text, "  and {} more copies (--json shows all)", copies.len() - COPIES_SHOWN);
    }
}

/// A To or Cc field, shortened.
fn shown(field: &str) -> String {
    super::layout::shorten(&clean(field), 160)
}

/// Fields that contain times, which are milliseconds since 1970 inside the relay.
const MOMENTS: [&str; 5] = ["received", "expires", "decided_at", "due", "at"];

/// A value as JSON for other programs: times as RFC 3339.
pub(super) fn dated(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    date(&mut value);
    value
}

fn date(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(date),
        Value::Object(object) => {
            for (key, inner) in object.iter_mut() {
                match inner.as_i64().filter(|_| MOMENTS.contains(&key.as_str())) {
                    Some(millis) => *inner = Timestamp(millis).to_jiff().to_string().into(),
                    None => date(inner),
                }
            }
        }
        _ => {}
    }
}

/// ` --config FILE` as it was given, for commands that are suggested to the user.
pub(super) fn config_flag(context: &Context) -> String {
    match &context.config {
        Some(path) => format!(" --config {}", path.display()),
        None => String::new(),
    }
}
