//! The report on one message.

use super::super::layout::{clean, count, local, shorten, some_of, thousands};
use super::super::out::Out;
use super::super::show;
use crate::desk::MessageDetail;
use crate::desk::explain::{CopyView, Explanation};
use crate::policy::Action;
use crate::store::{DeliveryState, HeldRow, HeldState, QueueRow};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Copies listed before "and so many more".
const SHOWN: usize = 12;
/// Maximum number of files of the outbox that are read.
const FILES: usize = 10_000;
/// The field in which a delivery agent records the recipient of a copy.
const TO: &str = "Delivered-To: ";
/// Octets read of a copy; they contain its recipient and our id.
const HEAD: u64 = 8 * 1024;

/// The files of the copies of one message, by recipient (comparison form).
pub(super) fn files_of(outbox: &Path, id: &str) -> HashMap<String, PathBuf> {
    let mut files = HashMap::new();
    let Ok(list) = std::fs::read_dir(outbox.join("new")) else { return files };
    for entry in list.filter_map(Result::ok).take(FILES) {
        let mut head = Vec::new();
        let Ok(file) = std::fs::File::open(entry.path()) else { continue };
        if file.take(HEAD).read_to_end(&mut head).is_err() {
            continue;
        }
        let head = String::from_utf8_lossy(&head);
        if !head.contains(id) {
            continue;
        }
        let fields = head.lines().take_while(|line| line.contains("Return-Path: ") || line.starts_with(TO));
        for recipient in fields.filter_map(|line| line.strip_prefix(TO)) {
            files.insert(recipient.to_lowercase(), entry.path());
        }
    }
    files
}

/// Names for the commands that are suggested to the user.
pub(super) struct Hints<'a> {
    /// The program as it was called.
    pub(super) program: &'a str,
    /// The configuration.
    pub(super) config: &'a Path,
    /// The outbox.
    pub(super) outbox: &'a Path,
}

/// The report as text.
pub(super) fn text(out: &Out, look: &MessageDetail, hints: &Hints<'_>) -> String {
    let mut text = String::new();
    let id = look.message.id;
    match &look.explanation {
        Ok(explained) => {
            text.push_str(&show::headline(out, explained));
            let _ = writeln!(text, "  id {id}, from {}", clean(&sender(look)));
        }
        Err(why) => {
            let _ = writeln!(text, "id {id}: it cannot be shown: {}", clean(why));
        }
    }
    match look.message.held.as_ref().filter(|held| held.state == HeldState::Held) {
        Some(held) => text.push_str(&held_text(out, held, look, hints)),
        None => text.push_str(&copies_text(out, look, hints)),
    }
    text
}

fn sender(look: &MessageDetail) -> String {
    look.message.envelope.sender.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string)
}

fn held_text(out: &Out, held: &HeldRow, look: &MessageDetail, hints: &Hints<'_>) -> String {
    let mut text = String::new();
    for hit in held.hits.iter().take(SHOWN) {
        let _ = writeln!(text, "  {} stands in {} ({})", hit.address, clean(&hit.place), clean(&hit.form));
    }
    let split = look.explanation.as_ref().ok().and_then(|explained| explained.if_released.as_ref());
    let _ = match split.map(|split| split.split.len()).filter(|copies| *copies > 0) {
        Some(copies) => writeln!(text, "  nothing left; {} would leave", count(copies, "copy", "copies")),
        None => writeln!(text, "  nothing left, and no safe copies can be made of it"),
    };
    let _ = writeln!(
        text,
        "  look at it   {} held show {} --config {}",
        hints.program,
        held.id,
        hints.config.display()
    );
    let as_is = if split.is_some_and(|split| !split.split.is_empty()) { "" } else { " --as as-is" };
    let command =
        format!("{} held release {}{as_is} --config {}", hints.program, held.id, hints.config.display());
    let _ = writeln!(text, "  {}   {}", out.paint.bold("release it"), out.paint.bold(&command));
    text
}

fn copies_text(out: &Out, look: &MessageDetail, hints: &Hints<'_>) -> String {
    let mut text = String::new();
    let files = files_of(hints.outbox, look.message.id.as_str());
    let seen = look.explanation.as_ref().ok();
    let total = look.deliveries.len();
    if total > 0 {
        let _ = writeln!(text, "  {}", count(total, "copy", "copies"));
    }
    for row in look.deliveries.iter().take(SHOWN) {
        let copy = seen.and_then(|explained| view_of(explained, row));
        let to = copy.map(|copy| format!("  saw To: {}", shorten(&clean(&copy.to), 70))).unwrap_or_default();
        let cc = copy.filter(|copy| !copy.cc.is_empty());
        let cc = cc.map(|copy| format!("; Cc: {}", shorten(&clean(&copy.cc), 50))).unwrap_or_default();
        let _ = writeln!(text, "    {}{to}{cc}{}", clean(&some_of(&row.recipients, 3)), outcome(row));
        let file = row.recipients.first().and_then(|to| files.get(&to.to_lowercase()));
        if let Some(file) = file {
            let _ = writeln!(text, "      {}", out.paint.dim(&file.display().to_string()));
        }
    }
    if total > SHOWN {
        let _ = writeln!(text, "    and {} more", thousands((total - SHOWN) as u64));
    }
    if total > 0 {
        let _ = writeln!(text, "  they lie in {}", hints.outbox.join("new").display());
    }
    let rewritten = |action| matches!(action, Action::Split | Action::Bcc);
    if let Some(explained) = seen.filter(|explained| rewritten(explained.verdict.action)) {
        let exposures = thousands(explained.facts.exposures);
        let _ = writeln!(
            text,
            "  {}",
            out.paint.good(&format!("nobody outside saw anybody else: {exposures} exposures prevented"))
        );
    }
    text
}

/// What the recipients of a delivery see.
fn view_of<'a>(explained: &'a Explanation, row: &QueueRow) -> Option<&'a CopyView> {
    let copies = match &explained.if_released {
        Some(released) if explained.deliveries.is_empty() => &released.split,
        _ => &explained.deliveries,
    };
    copies.iter().find(|copy| copy.recipients.first() == row.recipients.first())
}

/// The outcome of a delivery, unless it is simply delivered.
fn outcome(row: &QueueRow) -> String {
    match (row.state, row.due) {
        (DeliveryState::Delivered, _) => String::new(),
        (DeliveryState::Waiting, Some(due)) if row.attempts == 0 => format!("  leaves at {}", local(due)),
        (state, _) => format!("  {state}: {}", clean(&row.last_reply)),
    }
}

/// The report as JSON.
pub(super) fn value(look: &MessageDetail, hints: &Hints<'_>) -> Value {
    let files = files_of(hints.outbox, look.message.id.as_str());
    let deliveries: Vec<Value> = look
        .deliveries
        .iter()
        .map(|row| {
            let file = row.recipients.first().and_then(|to| files.get(&to.to_lowercase()));
            json!({ "recipients": row.recipients, "state": row.state, "file": file })
        })
        .collect();
    json!({
        "id": look.message.id,
        "held": look.message.held.as_ref().map(|held| held.state),
        "explanation": look.explanation.as_ref().ok(),
        "deliveries": deliveries,
    })
}
