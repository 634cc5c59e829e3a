//! `sekisho held`: held messages.

use super::ask::{ask, unexpected};
use super::layout::{Table, clean, count, local, sender, some_of};
use super::show;
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::control::{Answer, Request};
use crate::desk::HeldDetail;
use crate::desk::wish::How;
use crate::id::Id;
use crate::message::Address;
use crate::store::{HeldRow, HeldState, HoldKind};
use clap::{Subcommand, ValueEnum};
use std::fmt::Write;

/// What to do with held messages.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List held messages; undecided ones first
    List {
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,
        /// At most this many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one: why it is held, who would see whom, what each recipient would get
    Show {
        /// The message's id
        id: Id,
    },
    /// Release it: individually, unless --as says otherwise
    Release {
        /// The message's id
        id: Id,
        /// How: an individual copy for each, one copy that names nobody for all, or as it was written
        #[arg(long = "as", value_name = "HOW", default_value = "split")]
        how: HowArgument,
        /// Leave out a recipient, in To and Cc too (may be repeated)
        #[arg(long = "drop", value_name = "ADDR")]
        drop: Vec<Address>,
    },
    /// Return it to its sender
    Return {
        /// The message's id
        id: Id,
        /// The reason, for the sender
        #[arg(long, value_name = "T", default_value = "")]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum State {
    Held,
    Released,
    Returned,
    Expired,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum HowArgument {
    Split,
    Bcc,
    AsIs,
}

pub(super) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { state, limit } => list(context, state, limit),
        Verb::Show { id } => detail(context, id),
        Verb::Release { id, how, drop } => release(context, id, how, drop),
        Verb::Return { id, reason } => give_back(context, id, reason),
    }
}

fn list(context: &Context, state: Option<State>, limit: Option<usize>) -> Result<(), Failure> {
    let state = state.map(|state| match state {
        State::Held => HeldState::Held,
        State::Released => HeldState::Released,
        State::Returned => HeldState::Returned,
        State::Expired => HeldState::Expired,
    });
    let Answer::Held(rows) = ask(context, &Request::Held { state, limit })? else { return Err(unexpected()) };
    if context.out.json {
        context.out.json(&show::dated(&rows));
    } else if rows.is_empty() {
        context.out.line("nothing is held");
    } else {
        context.out.print(&table(context, &rows));
    }
    Ok(())
}

fn table(context: &Context, rows: &[HeldRow]) -> String {
    let headings = ["ID", "STATE", "RECEIVED", "SENDER", "TO", "SUBJECT", "WHY"];
    let mut table = Table::new(&context.out, &headings, 6).state(1);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.state.to_string(),
            local(row.received),
            sender(&row.sender),
            match row.received_of() {
                (came, all) if came < all => format!("{came} of {all}"),
                (came, _) => came.to_string(),
            },
            row.subject.clone(),
            row.reasons.first().cloned().unwrap_or_default(),
        ]);
    }
    table.render()
}

fn detail(context: &Context, id: Id) -> Result<(), Failure> {
    let Answer::HeldDetail(detail) = ask(context, &Request::ShowHeld { id })? else {
        return Err(unexpected());
    };
    if context.out.json {
        let mut value = show::dated(&detail.row);
        if let (Some(object), Ok(explanation)) = (value.as_object_mut(), &detail.explanation) {
            object.insert("explanation".to_owned(), show::dated(explanation));
            object.insert("deliveries".to_owned(), show::dated(&detail.deliveries));
        }
        context.out.json(&value);
    } else {
        context.out.print(&text(context, &detail));
    }
    Ok(())
}

fn text(context: &Context, detail: &HeldDetail) -> String {
    let paint = context.out.paint;
    let row = &detail.row;
    let mut text = String::new();
    let state = row.state.to_string();
    let _ = writeln!(text, "{}  {}", paint.state(&state), paint.bold(&clean(&row.subject)));
    let _ = writeln!(text, "  id        {}", row.id);
    let _ = writeln!(text, "  sender    {}", clean(&sender(&row.sender)));
    let _ = writeln!(text, "  to        {}", clean(&some_of(&row.recipients, 20)));
    if let (came, all) = row.received_of()
        && (came < all || row.members > 1)
    {
        let times = count(row.members, "transaction", "transactions");
        let _ = writeln!(text, "            {came} of {all} recipients received, in {times}");
    }
    if let Some(item) = row.addendum_to {
        let _ = writeln!(
            text,
            "  addendum  to {item}: its recipients or contents were not part of that decision"
        );
    }
    let _ = writeln!(text, "  received  {}", local(row.received));
    if row.state == HeldState::Held {
        let _ = writeln!(text, "  expires   {} (then it goes back to the sender)", local(row.expires));
    }
    for reason in &row.reasons {
        let _ = writeln!(text, "  why       {}", clean(reason));
    }
    if let (Some(by), Some(at)) = (&row.decided_by, row.decided_at) {
        let how =
            row.decision.as_deref().filter(|how| !how.is_empty()).map(|how| format!(": {}", clean(how)));
        let _ = writeln!(
            text,
            "  decided   {state} by {} at {}{}",
            clean(by),
            local(at),
            how.unwrap_or_default()
        );
    }
    for hit in &row.hits {
        let _ = writeln!(text, "  found     {} in {} ({})", hit.address, clean(&hit.place), hit.form);
    }
    text.push('\n');
    match &detail.explanation {
        Ok(explanation) => {
            text.push_str(&show::body(&context.out, explanation, row.state == HeldState::Held));
        }
        Err(why) => {
            let _ = writeln!(text, "its content cannot be shown: {}", clean(why));
        }
    }
    if !detail.deliveries.is_empty() {
        let _ = writeln!(text, "\n{}", paint.bold("deliveries"));
        if let Some(progress) = super::queue::progress(&detail.deliveries, SystemClock.now()) {
            let _ = writeln!(text, "{progress}");
        }
        text.push_str(&super::queue::table(context, &detail.deliveries));
    }
    if row.state == HeldState::Held {
        let with = show::config_flag(context);
        text.push('\n');
        if row.kind != HoldKind::Unsafe {
            let _ = writeln!(text, "send individually  sekisho held release {}{with}", row.id);
        }
        let _ = writeln!(text, "send as it is      sekisho held release {} --as as-is{with}", row.id);
        let _ = writeln!(text, "give back          sekisho held return {}{with}", row.id);
    }
    text
}

fn release(context: &Context, id: Id, how: HowArgument, drop: Vec<Address>) -> Result<(), Failure> {
    let how = match how {
        HowArgument::Split => How::Split,
        HowArgument::Bcc => How::Bcc,
        HowArgument::AsIs => How::AsIs,
    };
    let Answer::Released(released) = ask(context, &Request::Release { id, how, drop })? else {
        return Err(unexpected());
    };
    if context.out.json {
        context.out.json(&released);
        return Ok(());
    }
    let copies = count(released.copies, "copy", "copies");
    let people = count(released.recipients.len(), "recipient", "recipients");
    context.out.line(&format!("released {id} as {how}: {copies} to {people}"));
    for hit in &released.acknowledged {
        context.out.line(&format!("acknowledged: {} in {} ({})", hit.address, clean(&hit.place), hit.form));
    }
    if !released.had_it_already.is_empty() {
        let had = count(released.had_it_already.len(), "recipient", "recipients");
        context.out.line(&format!("{had} had got it before it was stopped"));
    }
    Ok(())
}

fn give_back(context: &Context, id: Id, reason: String) -> Result<(), Failure> {
    let Answer::Returned(id) = ask(context, &Request::Return { id, reason })? else {
        return Err(unexpected());
    };
    if context.out.json {
        context.out.json(&serde_json::json!({ "id": id, "state": "returned" }));
    } else {
        context.out.line(&format!("returned {id}: nobody outside got it, and its sender is told"));
    }
    Ok(())
}
