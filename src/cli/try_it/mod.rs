//! `sekisho try`: runs everything on this machine without a configuration.
//!
//! It starts a relay, its desk, and an upstream that stores mail in a folder. The given files are sent
//! through the relay by SMTP and the results are printed; then the relay accepts mail from any client until
//! Ctrl-C.

mod client;
mod home;
mod story;

use super::layout::clean;
use super::out::{Progress, say};
use super::{Context, Failure, mail, serve};
use crate::app::{App, Running};
use crate::config::Config;
use crate::desk::principal::{Principal, Roles, Via};
use crate::id::Id;
use crate::intake::Answer;
use crate::store::{DeliveryState, HeldState};
use home::Home;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use story::Hints;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

/// How long to wait for the deliveries of one message.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often they are checked at first.
const LOOK: Duration = Duration::from_millis(50);
/// How often held messages are checked for decisions.
const WATCH: Duration = Duration::from_secs(1);

/// Options of `try`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Messages to send
    #[arg(value_name = "FILE.eml")]
    files: Vec<PathBuf>,
    /// Where SMTP listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2525")]
    listen: SocketAddr,
    /// Where HTTP listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8025")]
    desk: SocketAddr,
    /// Where everything is stored [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    serve::log(false, "warn");
    if let Some(missing) = arguments.files.iter().find(|file| !file.exists() && **file != Path::new("-")) {
        return Err(Failure::failed(format!("there is no file {}", missing.display())));
    }
    let home = Home::make(arguments.dir.as_deref(), arguments.listen, arguments.desk)?;
    let config = Config::find(Some(&home.config))?;
    serve::threads()?.block_on(whole(context, arguments, home, config))
}

async fn whole(context: &Context, arguments: &Arguments, home: Home, config: Config) -> Result<(), Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let running = App::start(config).await.map_err(|error| Failure {
        text: format!("{error}\nhelp: --listen and --desk take other addresses; port 0 takes a free one"),
        ..Failure::from(error)
    })?;
    let program = std::env::args().next().unwrap_or_else(|| "sekisho".to_owned());
    let mut trial = Trial {
        context,
        running: &running,
        home: &home,
        program,
        told: HashSet::new(),
        held: HashMap::new(),
    };
    let told = tokio::select! {
        result = trial.all(arguments) => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    drop(trial);
    running.shutdown().await;
    told
}

struct Trial<'a> {
    context: &'a Context,
    running: &'a Running,
    home: &'a Home,
    program: String,
    /// Messages that were reported.
    told: HashSet<Id>,
    /// Held messages, in the state that was last reported.
    held: HashMap<Id, HeldState>,
}

impl Trial<'_> {
    async fn all(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        let mut arrivals = self.running.arrivals();
        self.greet();
        for (number, file) in arguments.files.iter().enumerate() {
            self.file(number + 1, arguments.files.len(), file).await?;
        }
        self.farewell(!arguments.files.is_empty()).await;
        let mut watch = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                answer = arrivals.recv() => match answer {
                    Ok(Answer::Queued(id) | Answer::Held(id, _)) if !self.told.contains(&id) => {
                        self.out("a message came in\n");
                        self.story(id).await?;
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
                _ = watch.tick() => self.decisions().await?,
                why = self.running.failed() => return Err(Failure::failed(why)),
            }
        }
    }

    fn out(&self, text: &str) {
        if !self.context.out.json {
            self.context.out.print(text);
        }
    }

    fn hints(&self) -> Hints<'_> {
        Hints { program: &self.program, config: &self.home.config, outbox: &self.home.outbox }
    }

    fn greet(&self) {
        let paint = self.context.out.paint;
        let smtp = self.running.smtp().map(|address| address.to_string()).unwrap_or_default();
        let web = self.running.web().map(|address| format!("http://{address}")).unwrap_or_default();
        self.out(&format!(
            "{}\n  SMTP     {smtp}  (no TLS, no password; this machine alone)\n  desk     {web}  (the link to sign in stands below)\n  upstream {}  (a Maildir: nothing leaves this machine)\n  all of it is kept in {}\n\n",
            paint.bold("sekisho runs"),
            self.home.outbox.display(),
            self.home.folder.display(),
        ));
    }

    async fn farewell(&self, sent: bool) {
        let smtp = self.running.smtp().map(|address| address.to_string()).unwrap_or_default();
        let more = if sent { "More" } else { "Send" };
        self.out(&format!(
            "{more} mail can be sent to {smtp} with any mail client; Ctrl-C ends the relay.\n"
        ));
        match self.sign_in().await {
            Some(link) => {
                let link = self.context.out.paint.bold(&link);
                self.out(&format!(
                    "Sign in at the desk with this link; it works once, on this machine:\n  {link}\n"
                ));
            }
            None => self.out("There is no link to sign in at the desk: the system gives no random bits.\n"),
        }
    }

    /// A link that signs in at the desk, once, and only on this machine.
    async fn sign_in(&self) -> Option<String> {
        let address = self.running.web()?;
        let who = Principal {
            name: "try".to_owned(),
            addresses: Vec::new(),
            roles: Roles { admin: true, approver: true, auditor: false },
            via: Via::Login,
        };
        let path = self.running.people().once(who).await.ok()?;
        Some(format!("http://{address}{path}"))
    }

    /// Sends one file and reports what happened to it.
    async fn file(&mut self, number: usize, of: usize, file: &Path) -> Result<(), Failure> {
        let message = mail::read(file)?;
        let envelope = mail::envelope(&message);
        self.out(&format!("[{number}/{of}] {}\n", file.display()));
        let Some(smtp) = self.running.smtp() else { return Ok(()) };
        if envelope.recipients.is_empty() {
            return Err(Failure::failed(format!(
                "no recipient was found in To, Cc or Bcc of {}",
                file.display()
            )));
        }
        let sent = client::send(smtp, &envelope, &message)
            .await
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
        for (recipient, said) in &sent.refused {
            self.out(&format!("  {recipient} was refused: {}\n", clean(said)));
        }
        if let Some(id) = id_in(&sent.answer).filter(|_| sent.taken) {
            return self.story(id).await;
        }
        let word = self.context.out.paint.state("reject");
        self.out(&format!("{word}  {}\n\n", clean(&sent.answer)));
        if self.context.out.json {
            self.context.out.json(&serde_json::json!({ "file": file, "refused": sent.answer }));
        }
        Ok(())
    }

    /// Waits until all deliveries of a message have ended, and reports them.
    async fn story(&mut self, id: Id) -> Result<(), Failure> {
        self.told.insert(id);
        let mut progress = Progress::new();
        let started = Instant::now();
        let failed = |error: crate::desk::DeskError| Failure::failed(error.to_string());
        let mut wait = LOOK;
        loop {
            let rows = self
                .running
                .desk()
                .store
                .deliveries(id)
                .await
                .map_err(|error| Failure::failed(error.to_string()))?;
            let open = |state| matches!(state, DeliveryState::Ready | DeliveryState::Sending);
            let left = rows.iter().filter(|row| open(row.state)).count();
            if left == 0 || started.elapsed() > PATIENCE {
                break;
            }
            progress.show(&format!("delivering: {} of {}", rows.len() - left, rows.len()));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        progress.clear();
        let look = self.running.desk().look(&Principal::console("try"), id).await.map_err(failed)?;
        if let Some(held) = &look.message.held {
            self.held.insert(id, held.state);
        }
        if self.context.out.json {
            self.context.out.json(&story::value(&look, &self.hints()));
        } else {
            self.out(&format!("{}\n", story::text(&self.context.out, &look, &self.hints())));
        }
        Ok(())
    }

    /// Reports held messages that were decided since.
    async fn decisions(&mut self) -> Result<(), Failure> {
        if !self.held.values().any(|state| *state == HeldState::Held) {
            return Ok(());
        }
        let rows = match self.running.desk().list(None, None).await {
            Ok(rows) => rows,
            Err(error) => {
                say(&format!("warning: {error}"));
                return Ok(());
            }
        };
        for row in rows {
            if row.state != HeldState::Held && self.held.get(&row.id) == Some(&HeldState::Held) {
                let by = row.decided_by.clone().unwrap_or_default();
                self.out(&format!("{} was {} by {}\n", row.id, row.state, clean(&by)));
                self.story(row.id).await?;
            }
        }
        Ok(())
    }
}

/// The id in `250 2.0.0 queued as ID` or `held as ID: …`.
fn id_in(answer: &str) -> Option<Id> {
    let (_, rest) = answer.split_once(" as ")?;
    rest.split([':', ' ']).next()?.parse().ok()
}
