//! `sekisho replay`: what the policy would have done to mail that was already sent.
//!
//! Nothing is sent or stored. Messages are read one at a time, so that memory is bounded by the largest
//! message.

pub(super) mod archive;

use super::ask::ask;
use super::explain::ground;
use super::layout::{Table, clean, count, shorten, thousands};
use super::out::{Progress, say};
use super::show::action_word;
use super::{Context, Failure, mail};
use crate::clock::{Clock, Day, SystemClock, Timestamp};
use crate::control::{Answer, Request};
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::message::copied;
use crate::policy::facts::Disclosed;
use crate::policy::learned::Shared;
use crate::policy::{Action, Knowledge, Mode};
use crate::rewrite::plan::Stamp;
use archive::{Archive, Item};
use bytes::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Senders and messages listed.
const TOP: usize = 10;
/// Maximum number of disclosures remembered, by which later messages of a thread are recognised.
const LEDGER: usize = 200_000;
/// How often progress is shown.
const EVERY: Duration = Duration::from_millis(200);

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An mbox, a Maildir, a message, or a folder of any of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Policy files instead of the configured ones (may be repeated)
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
}

/// The result of a run.
#[derive(Debug, Default, Serialize)]
struct Totals {
    /// Messages that were judged.
    messages: u64,
    /// By action.
    actions: BTreeMap<&'static str, u64>,
    /// Held, if nothing were known of people who wrote with each other.
    holds_without_knowledge: u64,
    /// Of those, not held with what the relay had learned by the day of each mail.
    holds_avoided: u64,
    /// Recipients who would not have seen each other: the sum of n×(n−1).
    exposures_prevented: u64,
    /// Mail from outside, which an outgoing relay never sees.
    not_ours: u64,
    /// Without a recipient in To, Cc or Bcc.
    without_recipients: u64,
    /// Messages that the relay would have refused (too large, nested too deep, in a loop).
    refused: u64,
    /// Files that could not be read.
    unreadable: u64,
    /// The senders who would have exposed most.
    top_senders: Vec<Sender>,
    /// The messages with the most exposures.
    top_messages: Vec<Message>,
    #[serde(skip)]
    senders: HashMap<String, Sender>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Sender {
    #[serde(rename = "sender")]
    address: String,
    messages: u64,
    exposures: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Message {
    place: String,
    sender: String,
    subject: String,
    external_addresses: usize,
    exposures: u64,
    action: &'static str,
    #[serde(skip)]
    prevents: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    if let Some(missing) = arguments.paths.iter().find(|path| !path.exists()) {
        return Err(Failure::failed(format!("there is no {}", missing.display())));
    }
    let ground = ground(context, &arguments.policy)?;
    let examiner = Examiner {
        policy: std::sync::Arc::new((*ground.examiner.policy).clone().in_mode(Mode::Enforce)),
        ..ground.examiner
    };
    let mut replay = Replay {
        examiner,
        totals: Totals::default(),
        ledger: HashMap::new(),
        now: SystemClock.now(),
        learned: ground.note.is_none().then_some(context),
    };
    let mut progress = Progress::new();
    let mut shown = Instant::now();
    for item in Archive::new(&arguments.paths) {
        match item {
            Ok(item) => replay.one(&item),
            Err(error) => {
                replay.totals.unreadable += 1;
                progress.clear();
                say(&format!("warning: {error}"));
            }
        }
        if shown.elapsed() > EVERY {
            shown = Instant::now();
            let totals = &replay.totals;
            progress.show(&format!(
                "{} read, {} exposures prevented",
                count(usize::try_from(totals.messages).unwrap_or(usize::MAX), "message", "messages"),
                thousands(totals.exposures_prevented)
            ));
        }
    }
    progress.clear();
    let totals = replay.totals.concluded();
    if context.out.json {
        context.out.json(&totals);
    } else {
        context.out.print(&text(context, &totals));
        if let Some(note) = ground.note {
            context.out.line(&format!("\n{}", context.out.paint.dim(note)));
        }
    }
    Ok(())
}

struct Replay<'a> {
    examiner: Examiner,
    totals: Totals,
    /// Earlier disclosures, by Message-ID.
    ledger: HashMap<String, Disclosed>,
    now: Timestamp,
    /// Used to ask what the relay learned; `None` if there is no relay.
    learned: Option<&'a Context>,
}

impl Replay<'_> {
    fn one(&mut self, item: &Item) {
        let message: Bytes = mail::crlf(&item.raw);
        let envelope = mail::envelope(&message);
        if envelope.recipients.is_empty() {
            self.totals.without_recipients += 1;
            return;
        }
        let Ok(examining) = self.examiner.read(envelope, &message) else {
            self.totals.refused += 1;
            return;
        };
        let threads = examining.references().iter().filter_map(|id| self.ledger.get(id)).cloned().collect();
        let references = examining.references().to_vec();
        let Ok(mut seen) = examining.finish(&Knowledge { threads, ..Knowledge::default() }) else {
            self.totals.refused += 1;
            return;
        };
        if !seen.facts.from_is_ours {
            self.totals.not_ours += 1;
            return;
        }
        if seen.verdict.action() == Action::Hold {
            self.totals.holds_without_knowledge += 1;
            let shared = self.shared(references, &seen);
            self.examiner.acquainted(&mut seen, &shared);
            self.totals.holds_avoided += u64::from(seen.verdict.action() != Action::Hold);
        }
        let stamp = Stamp {
            id: Id::new(self.now, 0),
            received: self.now,
            hostname: "localhost".to_owned(),
            client: String::new(),
            protocol: "ESMTP".to_owned(),
        };
        let settled = self.examiner.settle(&seen, &stamp);
        let action = settled.verdict.action();
        if let Some(ledger) = settled.copies.and_then(|copies| copies.ledger)
            && self.ledger.len() < LEDGER
        {
            self.ledger.insert(ledger.message_id.clone(), ledger);
        }
        let prevents = settled.prevents;
        let people = seen.facts.external_addresses.len();
        self.totals.count(&Message {
            place: item.place.clone(),
            sender: seen.facts.from.first().map(|from| from.address.to_string()).unwrap_or_default(),
            subject: seen.facts.subject,
            external_addresses: people,
            exposures: (people as u64) * (people as u64).saturating_sub(1),
            action: action_word(action),
            prevents,
        });
    }
}

impl Replay<'_> {
    /// What the relay knew of a mail's outside recipients at the time, so that a mail is not judged by what
    /// was learned from itself. Mails that it refers to count if they are not later; all others if they are
    /// of earlier days.
    fn shared(&mut self, references: Vec<String>, seen: &Examination) -> Vec<Shared> {
        let concerned = seen.facts.concerned.clone();
        let written = seen.index.as_ref().ok().and_then(copied::written);
        let (Some(context), Some(day), true) = (self.learned, written.map(Day::of), concerned.len() > 1)
        else {
            return Vec::new();
        };
        if let Ok(Answer::Knowledge { mut shared, .. }) =
            ask(context, &Request::Knowledge { references, concerned })
        {
            shared.retain(|one| if one.cited.is_some() { one.last <= day } else { one.since < day });
            return shared;
        }
        // There is no database yet: nothing was learned.
        self.learned = None;
        Vec::new()
    }
}

impl Totals {
    fn count(&mut self, message: &Message) {
        self.messages += 1;
        *self.actions.entry(message.action).or_default() += 1;
        if message.exposures == 0 || !message.prevents {
            return;
        }
        self.exposures_prevented += message.exposures;
        let sender = self.senders.entry(message.sender.clone()).or_default();
        sender.messages += 1;
        sender.exposures += message.exposures;
        let at = self.top_messages.partition_point(|other| other.exposures >= message.exposures);
        if at < TOP {
            self.top_messages.insert(at, message.clone());
            self.top_messages.truncate(TOP);
        }
    }

    fn concluded(mut self) -> Self {
        let named = self.senders.drain().map(|(address, numbers)| Sender { address, ..numbers });
        self.top_senders = named.collect();
        self.top_senders
            .sort_by(|a, b| b.exposures.cmp(&a.exposures).then_with(|| a.address.cmp(&b.address)));
        self.top_senders.truncate(TOP);
        self
    }
}

fn text(context: &Context, totals: &Totals) -> String {
    let paint = context.out.paint;
    let mut text = format!("{}\n", paint.bold(&format!("{} messages", thousands(totals.messages))));
    for (action, number) in &totals.actions {
        let _ = writeln!(text, "  {} {:>12}", paint.state(&format!("{action:<10}")), thousands(*number));
    }
    if totals.holds_without_knowledge > 0 {
        let _ = writeln!(
            text,
            "holds avoided: {} of {}, because their people are known to each other",
            thousands(totals.holds_avoided),
            thousands(totals.holds_without_knowledge)
        );
    }
    let others = [
        (totals.not_ours, "from outside: an outgoing relay never sees them"),
        (totals.without_recipients, "without a recipient"),
        (totals.refused, "would have been refused: too large, nested too deep, or in a loop"),
        (totals.unreadable, "could not be read"),
    ];
    for (number, what) in others.iter().filter(|(number, _)| *number > 0) {
        let _ = writeln!(text, "  {} {what}", thousands(*number));
    }
    let _ = writeln!(
        text,
        "\nexposures prevented  {}  (recipients who would have seen each other, n × (n − 1))",
        paint.bold(&thousands(totals.exposures_prevented))
    );
    if !totals.top_senders.is_empty() {
        let _ = writeln!(text);
        let mut table = Table::new(&context.out, &["SENDER", "MESSAGES", "EXPOSURES"], 0);
        for sender in &totals.top_senders {
            table.row([sender.address.clone(), thousands(sender.messages), thousands(sender.exposures)]);
        }
        text.push_str(&table.render());
        let _ = writeln!(text);
        let headings = ["ACTION", "OUTSIDE", "EXPOSURES", "SUBJECT", "WHERE"];
        let mut table = Table::new(&context.out, &headings, 3).state(0);
        for message in &totals.top_messages {
            table.row([
                message.action.to_owned(),
                message.external_addresses.to_string(),
                thousands(message.exposures),
                shorten(&clean(&message.subject), 40),
                message.place.clone(),
            ]);
        }
        text.push_str(&table.render());
    }
    text
}
