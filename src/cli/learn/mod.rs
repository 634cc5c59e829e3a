//! `sekisho learn` learns who wrote with whom from archived mail; `sekisho forget` removes a person from
//! that.
//!
//! Mails are read one at a time and examined here. What they show is sent to the relay in batches, or written
//! into the database if none runs. Learning the same mail twice changes nothing, so a run can be interrupted
//! and repeated at any time; the position is saved after each batch (`checkpoint`).

mod checkpoint;

use super::ask::{answer, runtime, unexpected};
use super::layout::{clean, count, thousands};
use super::out::{Progress, say};
use super::replay::archive::{Archive, Item};
use super::{Context, Failure};
use crate::app;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::config::units::Span;
use crate::control::{Answer, Met, Request};
use crate::desk::learning::ArchiveRead;
use crate::message::copied::{self, Reader};
use crate::message::{Address, Header};
use crate::policy::Organisation;
use crate::policy::learned::{Began, Learned, Source, Untaught};
use checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Octets read of each mail: its header, and that of the mail in a journal report.
const HEAD: usize = 4 << 20;
/// Octets given to the reader at a time; most headers fit.
const PIECE: usize = 16 * 1024;
/// Maximum number of mails per batch.
const BATCH: usize = 1_000;
/// Maximum number of octets of addresses per batch, because requests are limited.
const BATCH_OCTETS: usize = 256 * 1024;
/// The position is saved after this many mails, even if nothing was learned from them.
const NOTE_EVERY: u64 = 10_000;
/// How often progress is shown.
const EVERY: Duration = Duration::from_millis(200);
/// Maximum number of warnings about unreadable mails.
const NAMED: u64 = 100;

/// Options of `learn`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An mbox, a Maildir, a message, or a folder of any of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only mail not older than this
    #[arg(long, value_name = "SPAN", default_value = "1y")]
    since: Span,
    /// Start from the beginning, even if an earlier run on the same paths was interrupted
    #[arg(long)]
    again: bool,
}

/// Options of `forget`.
#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    /// The address of the person
    #[arg(value_name = "ADDRESS")]
    address: Address,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    /// Mails that were read.
    mails: u64,
    /// Mails from which something new was learned.
    learned: u64,
    /// Mails that were learned before.
    known: u64,
    /// Mails older than `--since`.
    older: u64,
    /// Mails with fewer than two outside people.
    few_outsiders: u64,
    /// Mails with nobody of ours in From, To or Cc.
    nobody_of_ours: u64,
    /// Our own mails from the time since the relay began to record them.
    own: u64,
    /// Mails to too many people.
    mailings: u64,
    /// Mails without a usable date.
    undated: u64,
    /// Places at which no mail could be read.
    unreadable: u64,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    if let Some(missing) = arguments.paths.iter().find(|path| !path.exists()) {
        return Err(Failure::failed(format!("there is no {}", missing.display())));
    }
    let config = context.config()?;
    let organisation = app::examiner(Some(&config), &[])?.organisation;
    let mut relay = Relay { config: &config, runtime: runtime()? };
    let Answer::LearnBefore(began) = relay.ask(&Request::MayLearn)? else { return Err(unexpected()) };
    let paths: Vec<PathBuf> =
        arguments.paths.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let mut checkpoint = Checkpoint::new(&config.database, &paths, arguments.since);
    let stopped = if arguments.again { None } else { checkpoint.stopped() };
    let mut learning = Learning {
        organisation,
        began: Began(began),
        since: SystemClock.now().minus(arguments.since.0),
        totals: stopped.as_ref().map(|stopped| stopped.totals).unwrap_or_default(),
        batch: Vec::new(),
        octets: 0,
        noted: 0,
        shown: ProgressBar::new(&paths),
    };
    let mut archive = Archive::new(&paths).heads(HEAD);
    if let Some(stopped) = stopped {
        let mails = thousands(stopped.totals.mails);
        say(&format!("continuing after {mails} mails, where an earlier run stopped (--again starts over)"));
        archive = archive.after(stopped.path, stopped.offset);
    }
    for item in archive {
        match item {
            Ok(item) => learning.one(&item, &mut relay, &mut checkpoint)?,
            Err(error) => learning.cannot_read(&error),
        }
    }
    learning.send(&mut relay)?;
    let totals = learning.totals;
    let read = ArchiveRead { mails: totals.mails, learned: totals.learned, unreadable: totals.unreadable };
    relay.ask(&Request::ArchiveRead { read })?;
    checkpoint.done();
    drop(learning.shown);
    if context.out.json {
        context.out.json(&totals);
    } else {
        context.out.print(&text(&totals));
    }
    if totals.mails == 0 && totals.unreadable > 0 {
        return Err(Failure::failed("no mail could be read"));
    }
    Ok(())
}

/// The running relay, or the database if none runs.
struct Relay<'a> {
    config: &'a Config,
    runtime: Runtime,
}

impl Relay<'_> {
    fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        match self.runtime.block_on(answer(self.config, request))? {
            Answer::Refused(why) => Err(Failure::failed(why)),
            answer => Ok(answer),
        }
    }
}

struct Learning {
    organisation: Arc<Organisation>,
    began: Began,
    since: Timestamp,
    totals: Totals,
    batch: Vec<Met>,
    octets: usize,
    /// Number of mails when the position was last saved.
    noted: u64,
    shown: ProgressBar,
}

impl Learning {
    fn one(
        &mut self,
        item: &Item,
        relay: &mut Relay<'_>,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Failure> {
        match header(&item.raw) {
            Ok(header) => {
                self.totals.mails += 1;
                self.judge(&header, item);
            }
            Err(why) => self.cannot_read(&format!("{}: no mail can be read there: {why}", at(item))),
        }
        let full = self.batch.len() >= BATCH || self.octets >= BATCH_OCTETS;
        if full || self.totals.mails >= self.noted + NOTE_EVERY {
            self.send(relay)?;
            self.noted = self.totals.mails;
            checkpoint.note(&item.path, item.end, self.totals);
        }
        self.shown.progress(item, &self.totals);
        Ok(())
    }

    fn judge(&mut self, header: &Header, item: &Item) {
        let Some(date) = copied::written(header) else {
            self.totals.undated += 1;
            return;
        };
        if date < self.since {
            self.totals.older += 1;
            return;
        }
        match Learned::read(&self.organisation, header, date, Source::Archive, self.began) {
            Ok(learned) => {
                let met = Met::of(&learned);
                self.octets += met.people.iter().map(|person| person.as_str().len() + 3).sum::<usize>();
                self.octets += met.message_id.as_ref().map_or(0, String::len) + 64;
                self.batch.push(met);
            }
            Err(Untaught::FewOutsiders) => self.totals.few_outsiders += 1,
            Err(Untaught::NobodyOfOurs) => self.totals.nobody_of_ours += 1,
            Err(Untaught::OwnMail) => self.totals.own += 1,
            Err(Untaught::TooMany(_)) => self.totals.mailings += 1,
            Err(why @ Untaught::Unreadable(_)) => self.cannot_read(&format!("{}: {why}", at(item))),
        }
    }

    fn cannot_read(&mut self, text: &str) {
        self.totals.unreadable += 1;
        match self.totals.unreadable {
            number if number <= NAMED => self.shown.warn(&clean(text)),
            number if number == NAMED + 1 => self.shown.warn("further places are only counted"),
            _ => {}
        }
    }

    /// Sends the batch; when the relay has answered, it is on disk.
    fn send(&mut self, relay: &mut Relay<'_>) -> Result<(), Failure> {
        self.octets = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let request = Request::Learn { mails: std::mem::take(&mut self.batch) };
        let Answer::Taught { learned, known } = relay.ask(&request)? else { return Err(unexpected()) };
        self.totals.learned += learned as u64;
        self.totals.known += known as u64;
        Ok(())
    }
}

/// `FILE` or `FILE at octet N`.
fn at(item: &Item) -> String {
    match item.offset {
        0 => item.path.display().to_string(),
        offset => format!("{} at octet {offset}", item.path.display()),
    }
}

/// The header of the original mail; reads no more than needed.
fn header(raw: &[u8]) -> Result<Header, copied::Unreadable> {
    let mut reader = Reader::default();
    let mut rest = raw;
    while !rest.is_empty() && !reader.is_done() {
        // Whole lines, so that no CRLF is split.
        let from = rest.len().min(PIECE);
        let end = memchr::memchr(b'\n', &rest[from..]).map_or(rest.len(), |at| from + at + 1);
        let (piece, behind) = rest.split_at(end);
        reader.feed(&super::mail::crlf(piece));
        rest = behind;
    }
    reader.finish()
}

/// Shows progress.
struct ProgressBar {
    progress: Progress,
    last: Instant,
    /// Total octets, and those of the files before the current one.
    all: u64,
    done: u64,
    file: Option<(PathBuf, u64)>,
}

impl ProgressBar {
    fn new(paths: &[PathBuf]) -> Self {
        let all = paths.iter().map(|path| size(path, 0)).sum();
        Self { progress: Progress::new(), last: Instant::now(), all, done: 0, file: None }
    }

    fn progress(&mut self, item: &Item, totals: &Totals) {
        if self.file.as_ref().is_none_or(|(path, _)| *path != item.path) {
            self.done += self.file.take().map_or(0, |(_, size)| size);
            self.file = Some((item.path.clone(), size(&item.path, 0)));
        }
        if self.last.elapsed() < EVERY {
            return;
        }
        self.last = Instant::now();
        let within = self.file.as_ref().map_or(0, |(_, size)| item.end.min(*size));
        let share = (self.done + within).saturating_mul(100) / self.all.max(1);
        let bar = usize::try_from(share.min(100) / 5).unwrap_or_default();
        let mails = count(usize::try_from(totals.mails).unwrap_or(usize::MAX), "mail", "mails");
        self.progress.show(&format!("[{:<20}] {:>3} %  {mails}", "#".repeat(bar), share.min(100)));
    }

    fn warn(&mut self, text: &str) {
        self.progress.clear();
        say(&format!("warning: {text}"));
    }
}

/// Octets of all files below a path.
fn size(path: &Path, depth: usize) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() || depth > 32 {
        return if meta.is_file() { meta.len() } else { 0 };
    }
    let Ok(list) = std::fs::read_dir(path) else { return 0 };
    list.filter_map(Result::ok).map(|entry| size(&entry.path(), depth + 1)).sum()
}

fn text(totals: &Totals) -> String {
    let mut text = format!(
        "{} mails were read; {} show who knows whom ({} of them known before)\n",
        thousands(totals.mails),
        thousands(totals.learned + totals.known),
        thousands(totals.known)
    );
    let others = [
        (totals.few_outsiders, "show no two people outside"),
        (totals.nobody_of_ours, "have nobody of ours in From, To or Cc"),
        (totals.own, "are our own, from the time since the relay records what it sends"),
        (totals.mailings, "are mailings: too many people for a conversation"),
        (totals.older, "are older than --since"),
        (totals.undated, "have no date"),
        (totals.unreadable, "places could not be read"),
    ];
    for (number, what) in others.iter().filter(|(number, _)| *number > 0) {
        let _ = writeln!(text, "  {:>10} {what}", thousands(*number));
    }
    text
}

pub(super) fn forget(context: &Context, arguments: Forget) -> Result<(), Failure> {
    let address = arguments.address;
    let Answer::Forgotten(sets) = super::ask::ask(context, &Request::Forget { address: address.clone() })?
    else {
        return Err(unexpected());
    };
    if context.out.json {
        context.out.json(&serde_json::json!({ "address": address, "sets": sets }));
    } else if sets == 0 {
        context.out.line(&format!("nothing was learned of {address}"));
    } else {
        let sets = count(sets, "set", "sets");
        context.out.line(&format!("{address} was taken out of {sets} of people who know each other"));
    }
    Ok(())
}
