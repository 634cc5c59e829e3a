//! `sekisho queue`: deliveries.

use super::ask::{ask, unexpected};
use super::layout::{Table, count, local, sender, some_of};
use super::show;
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::units::Span;
use crate::control::{Answer, Request};
use crate::store::{DeliveryState, QueueChange, QueueFilter, QueueRow};
use clap::{Args, Subcommand, ValueEnum};

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List deliveries; final ones only with --all
    List {
        #[command(flatten)]
        which: Which,
        /// Include final ones
        #[arg(long)]
        all: bool,
        /// At most this many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one in full: the deliveries of a message, or one of them (MESSAGE.N)
    Show {
        /// The id of a message or of a delivery
        id: String,
    },
    /// Try deliveries again now
    Retry(Which),
    /// Remove deliveries from the queue: their recipients get nothing
    Drop(Which),
    /// Pause deliveries: they are not tried until they are resumed
    Pause(Which),
    /// Resume paused deliveries
    Resume(Which),
}

/// Which deliveries: all filters must match.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// The id of a message or of a delivery (MESSAGE.N)
    id: Option<String>,
    /// MAIL FROM
    #[arg(long, value_name = "ADDR")]
    sender: Option<String>,
    /// One of its recipients
    #[arg(long, value_name = "ADDR")]
    recipient: Option<String>,
    /// In this state
    #[arg(long)]
    state: Option<State>,
    /// Received longer ago than this, such as 4h
    #[arg(long, value_name = "SPAN")]
    older_than: Option<Span>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Ready,
    Sending,
    Delivered,
    Waiting,
    Failed,
    Uncertain,
    Paused,
    Dropped,
}

impl Which {
    fn filter(&self) -> QueueFilter {
        QueueFilter {
            id: self.id.clone(),
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
            state: self.state.map(|state| match state {
                State::Ready => DeliveryState::Ready,
                State::Sending => DeliveryState::Sending,
                State::Delivered => DeliveryState::Delivered,
                State::Waiting => DeliveryState::Waiting,
                State::Failed => DeliveryState::Failed,
                State::Uncertain => DeliveryState::Uncertain,
                State::Paused => DeliveryState::Paused,
                State::Dropped => DeliveryState::Dropped,
            }),
            before: self.older_than.map(|span| SystemClock.now().minus(span.0)),
            all: false,
            limit: None,
        }
    }

    fn names_something(&self) -> bool {
        self.id.is_some()
            || self.sender.is_some()
            || self.recipient.is_some()
            || self.state.is_some()
            || self.older_than.is_some()
    }
}

pub(super) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { which, all, limit } => {
            let filter = QueueFilter { all, limit, ..which.filter() };
            list(context, filter, "nothing is queued")
        }
        Verb::Show { id } => {
            let filter = QueueFilter { id: Some(id), all: true, ..QueueFilter::default() };
            one(context, filter)
        }
        Verb::Retry(which) => change(context, &which, QueueChange::Retry, "to be tried again now"),
        Verb::Drop(which) if !which.names_something() => Err(Failure::usage(
            "`queue drop` needs to know which: an id, --sender, --recipient, --state or --older-than",
        )),
        Verb::Drop(which) => change(context, &which, QueueChange::Drop, "dropped"),
        Verb::Pause(which) => change(context, &which, QueueChange::Pause, "paused"),
        Verb::Resume(which) => change(context, &which, QueueChange::Resume, "resumed"),
    }
}

fn rows(context: &Context, filter: QueueFilter) -> Result<Vec<QueueRow>, Failure> {
    match ask(context, &Request::Queue { filter })? {
        Answer::Queue(rows) => Ok(rows),
        _ => Err(unexpected()),
    }
}

fn list(context: &Context, filter: QueueFilter, nothing: &str) -> Result<(), Failure> {
    let rows = rows(context, filter)?;
    if context.out.json {
        context.out.json(&show::dated(&rows));
    } else if rows.is_empty() {
        context.out.line(nothing);
    } else {
        context.out.print(&table(context, &rows));
    }
    Ok(())
}

fn one(context: &Context, filter: QueueFilter) -> Result<(), Failure> {
    let id = filter.id.clone().unwrap_or_default();
    let rows = rows(context, filter)?;
    if rows.is_empty() {
        return Err(Failure::failed(format!("there is no delivery {id}")));
    }
    if context.out.json {
        context.out.json(&show::dated(&rows));
    } else {
        if let Some(progress) = progress(&rows, SystemClock.now()) {
            context.out.line(&progress);
        }
        context.out.print(&table(context, &rows));
    }
    Ok(())
}

/// The progress of a message with several recipients, such as `36 of 500 sent, next at …`; `None` if nothing
/// is waiting.
pub(super) fn progress(rows: &[QueueRow], now: Timestamp) -> Option<String> {
    let count = |wanted: &dyn Fn(&QueueRow) -> bool| -> usize {
        rows.iter().filter(|row| wanted(row)).map(|row| row.recipients.len()).sum()
    };
    let total = count(&|_| true);
    // while a delivery is being sent, its due time is the end of its lease
    let waiting = || rows.iter().filter(|row| row.state != DeliveryState::Sending).filter_map(|row| row.due);
    let next = waiting().min()?;
    if total < 2 {
        return None;
    }
    let sent = count(&|row| row.state == DeliveryState::Delivered);
    let next = if next <= now { "next at once".to_owned() } else { format!("next at {}", local(next)) };
    let last = waiting().max().filter(|last| *last > now);
    let last = last.map(|last| format!(", last at {}", local(last))).unwrap_or_default();
    Some(format!("{sent} of {total} sent, {next}{last}"))
}

/// Deliveries as a table.
pub(super) fn table(context: &Context, rows: &[QueueRow]) -> String {
    // In observe mode: what would have been done.
    let observed = rows.iter().any(|row| row.would.is_some());
    let mut headings = vec!["ID", "STATE", "TRIED", "DUE", "SENDER", "RECIPIENTS", "LAST REPLY"];
    if observed {
        headings.push("WOULD");
    }
    let mut table = Table::new(&context.out, &headings, 6).state(1);
    for row in rows {
        let twice = if row.possible_duplicate { " (possible duplicate)" } else { "" };
        let cells = [
            row.id.clone(),
            row.state.to_string(),
            row.attempts.to_string(),
            row.due.map(local).unwrap_or_default(),
            sender(&row.sender),
            some_of(&row.recipients, 2),
            format!("{}{twice}", row.last_reply),
        ];
        let would = observed.then(|| row.would.clone().unwrap_or_default());
        table.row(cells.into_iter().chain(would));
    }
    table.render()
}

fn change(context: &Context, which: &Which, change: QueueChange, done: &str) -> Result<(), Failure> {
    let Answer::Changed(changed) = ask(context, &Request::Change { filter: which.filter(), change })? else {
        return Err(unexpected());
    };
    if context.out.json {
        context.out.json(&serde_json::json!({ "changed": changed }));
    } else {
        context.out.line(&format!("{} {done}", count(changed, "delivery", "deliveries")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    fn row(state: DeliveryState, recipients: usize, due: Option<i64>) -> QueueRow {
        QueueRow {
            id: String::new(),
            message: Id::new(Timestamp(0), 0),
            sender: String::new(),
            recipients: vec![String::new(); recipients],
            state,
            attempts: 0,
            last_reply: String::new(),
            due: due.map(Timestamp),
            received: Timestamp(0),
            possible_duplicate: false,
            would: None,
        }
    }

    #[test]
    fn progress_is_told_while_something_waits() {
        use DeliveryState::{Delivered, Failed, Ready, Sending};
        let now = Timestamp(1_000_000);
        let tell = |rows: &[QueueRow]| progress(rows, now);
        assert_eq!(tell(&[]), None);
        assert_eq!(tell(&[row(Ready, 1, Some(5))]), None, "one alone has no progress");
        assert_eq!(tell(&[row(Delivered, 2, None), row(Failed, 1, None)]), None);
        assert_eq!(tell(&[row(Delivered, 2, None), row(Sending, 1, Some(2_000_000))]), None);
        let told = tell(&[row(Delivered, 36, None), row(Ready, 464, Some(0))]).unwrap();
        assert_eq!(told, "36 of 500 sent, next at once");
        let told =
            tell(&[row(Delivered, 1, None), row(Ready, 1, Some(9_000_000)), row(Ready, 1, Some(5_000_000))]);
        let (next, last) = (local(Timestamp(5_000_000)), local(Timestamp(9_000_000)));
        assert_eq!(told.unwrap(), format!("1 of 3 sent, next at {next}, last at {last}"));
    }
}
