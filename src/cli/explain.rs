//! `sekisho explain`: what would happen to a message, why, and every copy as it would leave.

use super::ask::ask;
use super::{Context, Failure, mail, show};
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigError, reason};
use crate::control::{Answer, Request};
use crate::desk::explain::{Explanation, OutgoingCopy, PreviewSeals, render};
use crate::examine::{Examiner, Examining};
use crate::id::Id;
use crate::message::gathering::header_length;
use crate::message::{Address, Envelope, Recipient};
use crate::policy::Knowledge;
use crate::policy::verdict::RuleOutcome;
use crate::rewrite::Delivery;
use crate::rewrite::plan::Stamp;
use std::fmt::Write;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The message; - reads it from stdin
    #[arg(value_name = "FILE.eml")]
    file: PathBuf,
    /// MAIL FROM [default: From]
    #[arg(long, value_name = "A")]
    from: Option<Address>,
    /// A RCPT TO (may be repeated) [default: To, Cc and Bcc]
    #[arg(long, value_name = "B")]
    to: Vec<Address>,
    /// Write every copy that would leave into this folder
    #[arg(long, value_name = "DIR")]
    copies: Option<PathBuf>,
    /// Policy files instead of the configured ones (may be repeated)
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
}

/// The rules and the organisation to examine messages with.
pub(super) struct Ground {
    /// The examiner with the policy in use.
    pub(super) examiner: Examiner,
    /// Our host name.
    pub(super) hostname: String,
    /// A note for the user if no configuration was found.
    pub(super) note: Option<&'static str>,
    /// Keys and marks, as far as they can be read here.
    pub(super) preview_seals: Arc<PreviewSeals>,
}

/// The configured examiner. Without a configuration, the sender's own domain is internal and the shipped
/// policy applies. `policy` replaces the policy files.
pub(super) fn ground(context: &Context, policy: &[PathBuf]) -> Result<Ground, Failure> {
    let config = match Config::find(context.config.as_deref()) {
        Ok(config) => Some(config),
        Err(ConfigError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let examiner = app::examiner(config.as_ref(), policy)?;
    let note =
        "no configuration found: the sender's own domain counts as ours, and the shipped policy applies";
    Ok(Ground {
        examiner,
        hostname: config.as_ref().map_or_else(|| "localhost".to_owned(), |config| config.hostname.clone()),
        note: config.is_none().then_some(note),
        preview_seals: config.as_ref().map_or_else(Arc::default, app::preview_seals),
    })
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let ground = ground(context, &arguments.policy)?;
    let message = mail::read(&arguments.file)?;
    let envelope = envelope(arguments, &message)?;
    let now = SystemClock.now();
    let sender = envelope.sender.clone();
    let stamp = Stamp {
        id: Id::new(now, 0),
        received: now,
        hostname: ground.hostname,
        client: String::new(),
        protocol: "ESMTP".to_owned(),
    };
    let refused =
        |refusal| Failure::failed(format!("the relay would refuse this message at once: {refusal}"));
    let examining = ground.examiner.read(envelope, &message).map_err(refused)?;
    let known = known(context, ground.note.is_none(), &examining);
    let seen = examining.finish(&known).map_err(refused)?;
    let (explained, deliveries) = Explanation::of(&ground.examiner, &seen, &stamp, |copies| {
        room(context, &ground.examiner, sender.as_ref(), copies)
    });
    let written = match &arguments.copies {
        Some(folder) => {
            Some(write_copies(folder, &deliveries, &message, &ground.preview_seals, &stamp, sender.as_ref())?)
        }
        None => None,
    };
    if context.out.json {
        context.out.json(&explained);
        return Ok(());
    }
    let mut text = show::explanation(&context.out, &explained);
    if let (Some(number), Some(folder)) = (written, &arguments.copies) {
        let _ = writeln!(text, "\n{number} copies written to {}", folder.display());
        for lacking in &ground.preview_seals.lacking {
            let _ = writeln!(text, "  {lacking}");
        }
    }
    if let Some(note) = ground.note {
        let _ = writeln!(text, "\n{}", context.out.paint.dim(note));
    }
    context.out.print(&text);
    Ok(())
}

/// What the relay's store knows about the message; nothing if there is neither a relay nor a database.
fn known(context: &Context, configured: bool, examining: &Examining) -> Knowledge {
    let (references, concerned) = (examining.references().to_vec(), examining.concerned().to_vec());
    let request = Request::Knowledge { references, concerned };
    match configured.then(|| ask(context, &request)) {
        Some(Ok(Answer::Knowledge { threads, circles, shared })) => {
            Knowledge { threads, circles: Arc::new(circles), shared, identity: None }
        }
        _ => Knowledge::default(),
    }
}

/// The budget that has no room for the copies, as far as this can be known here.
fn room(
    context: &Context,
    examiner: &Examiner,
    sender: Option<&Address>,
    copies: &[Delivery],
) -> Option<RuleOutcome> {
    if examiner.budgets.is_idle() {
        return None;
    }
    let recipients = copies.iter().flat_map(Delivery::recipients).map(|to| to.address.clone()).collect();
    match ask(context, &Request::Room { sender: sender.cloned(), recipients }) {
        Ok(Answer::Room(over)) => over,
        _ => None,
    }
}

fn envelope(arguments: &Arguments, message: &bytes::Bytes) -> Result<Envelope, Failure> {
    let mut envelope = mail::envelope(message);
    if let Some(from) = &arguments.from {
        envelope.sender = Some(from.clone());
    }
    if !arguments.to.is_empty() {
        let mut seen = std::collections::HashSet::new();
        let once = arguments.to.iter().filter(|address| seen.insert(*address));
        envelope.recipients = once.cloned().map(Recipient::plain).collect();
    }
    if envelope.recipients.is_empty() {
        return Err(Failure::failed(format!(
            "no recipient was found in To, Cc or Bcc of {}: name them with --to",
            arguments.file.display()
        )));
    }
    Ok(envelope)
}

/// Writes every copy as it would leave; returns how many.
fn write_copies(
    folder: &Path,
    deliveries: &[Delivery],
    message: &[u8],
    preview_seals: &PreviewSeals,
    stamp: &Stamp,
    sender: Option<&Address>,
) -> Result<usize, Failure> {
    let wrong = |path: &Path, error: &std::io::Error| {
        Failure::failed(format!("cannot write {}: {}", path.display(), reason(error)))
    };
    // Copies are mail: only their owner may read them.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| wrong(folder, &error))?;
    let (header, body) = message.split_at(header_length(message));
    for (index, delivery) in deliveries.iter().enumerate() {
        let path = folder.join(file_name(index + 1, delivery));
        let leaving = OutgoingCopy { id: stamp.id, sender, delivery, own: false, received: stamp.received };
        let copy = render(preview_seals, &leaving, header, body)
            .map_err(|why| Failure::failed(format!("a copy could not be rendered: {why}")))?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(&copy)).map_err(|error| wrong(&path, &error))?;
    }
    Ok(deliveries.len())
}

/// A file name with the recipient that is valid on any file system: `0001-a@example.jp.eml`.
fn file_name(number: usize, delivery: &Delivery) -> String {
    let first = delivery.recipients().first().map(|to| to.address.to_string()).unwrap_or_default();
    let safe: String = first
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+') { c } else { '_' })
        .take(80)
        .collect();
    let more = match delivery.recipients().len() {
        0 | 1 => String::new(),
        all => format!("-and-{}-more", all - 1),
    };
    format!("{number:04}-{safe}{more}.eml")
}
