//! `sekisho trace`: everything about one message.

use super::ask::{ask, unexpected};
use super::layout::{clean, local, sender, some_of};
use super::show;
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::control::{Answer, Request, Trace};
use crate::journal::Event;
use std::fmt::Write;

/// Options of `trace`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Our id, a Message-ID, an address, or words of the subject
    text: String,
    /// At most this many messages, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let request = Request::Trace { text: arguments.text.clone(), limit: arguments.limit };
    let Answer::Traces(traces) = ask(context, &request)? else { return Err(unexpected()) };
    if context.out.json {
        context.out.json(&show::dated(&traces));
    }
    if traces.is_empty() {
        return Err(Failure::failed(format!(
            "no message was found for `{}`: give our id, a Message-ID, a sender's or recipient's address, or words of \
             the subject",
            arguments.text
        )));
    }
    if !context.out.json {
        let texts: Vec<String> = traces.iter().map(|trace| text(context, trace)).collect();
        context.out.print(&texts.join("\n"));
    }
    Ok(())
}

fn text(context: &Context, trace: &Trace) -> String {
    let paint = context.out.paint;
    let message = &trace.message;
    let mut text = String::new();
    let _ = writeln!(text, "{}  {}", paint.bold(message.id.as_str()), clean(&message.subject));
    let _ = writeln!(text, "  sender      {}", clean(&sender(&message.sender)));
    let _ = writeln!(text, "  recipients  {}", clean(&some_of(&message.recipients, 10)));
    let _ = writeln!(text, "  message-id  <{}>", clean(&message.message_id));
    let would = message.would.as_deref().map(|would| {
        let why = message.would_reasons.join("; ");
        let colon = if why.is_empty() { "" } else { ": " };
        format!("; {}{colon}{}", show::would_have(would), clean(&why))
    });
    let _ = writeln!(text, "  decided     {}{}", paint.state(&message.action), would.unwrap_or_default());
    if let Some(held) = &trace.held {
        let _ = writeln!(text, "  hold        {}", paint.state(&held.state.to_string()));
    }
    for entry in &trace.events {
        let _ = writeln!(text, "  {}  {}", paint.dim(&local(entry.at)), clean(&sentence(&entry.event)));
    }
    if !trace.deliveries.is_empty() {
        if let Some(progress) = super::queue::progress(&trace.deliveries, SystemClock.now()) {
            let _ = writeln!(text, "  progress    {progress}");
        }
        text.push_str(&super::queue::table(context, &trace.deliveries));
    }
    text
}

/// An event as a sentence.
fn sentence(event: &Event) -> String {
    match event {
        Event::Accepted { client, action, recipients, copies, exposures, would, .. } => {
            let from = if client.is_empty() { "from ourselves".to_owned() } else { format!("from {client}") };
            let would = would.as_ref().map(|would| format!("; {}", show::would_have(&would.action)));
            format!(
                "accepted {from}: {action}, {recipients} recipients, {copies} copies, {exposures} exposures at \
                 stake{}",
                would.unwrap_or_default()
            )
        }
        Event::Attempt { recipients, state, reply, attempt, possible_duplicate, .. } => {
            let twice = if *possible_duplicate { " (may be a duplicate)" } else { "" };
            format!("attempt {attempt} to {}: {state}{twice}: {reply}", some_of(recipients, 3))
        }
        Event::Released { by, how, dropped, .. } if dropped.is_empty() => {
            format!("released by {by} as {how}")
        }
        Event::Released { by, how, dropped, .. } => {
            format!("released by {by} as {how}, without {}", some_of(dropped, 5))
        }
        Event::Asked { by, reason } => format!("{by} asks that it be sent as it is: {reason}"),
        Event::Returned { by, reason } if reason.is_empty() => format!("returned by {by}"),
        Event::Returned { by, reason } => format!("returned by {by}: {reason}"),
        Event::Repeated { client, recipients } => {
            format!("received again from {client} for {recipients}: nothing was delivered for it")
        }
        Event::AskedAgain { by, anew } => format!("{by} asks to send it again openly, as {anew}"),
        Event::Again { of } => format!("created from {of}, which had been sent individually"),
        Event::Namesake { of } => format!("has the same Message-ID as {of}, which is another mail"),
        Event::Learned { by, mails, learned, unreadable } => format!(
            "{by} had {mails} mails of an archive learned from: {learned} taught something new, {unreadable} places \
             could not be read"
        ),
        Event::Forgotten { by, sets } => {
            format!("{by} had somebody taken out of {sets} sets of people that were learned")
        }
        Event::TakenBack { by } => format!("taken back by {by}"),
        Event::Undone { by } => format!("taking it back was undone by {by}"),
        Event::Joined { item, state } => format!("a further transaction of {item}, which is {state}"),
        Event::Expired {} => "nobody decided in time: returned".to_owned(),
        Event::Noticed { kind, notice } => format!("notice `{kind}` sent as {notice}"),
        Event::Queue { by, verb, deliveries } => format!("{verb} by {by}: {deliveries} deliveries"),
        Event::Stopped { places, left, total } => format!(
            "STOPPED at sending: there is a hidden address in {}; {left} of {total} had left",
            some_of(places, 3)
        ),
    }
}
