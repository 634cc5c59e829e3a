//! The command line.
//!
//! One file per command. Answers go to stdout (with `--json` as JSON), errors and progress to stderr. Exit
//! codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod ask;
mod audit;
mod cert;
mod check;
mod circle;
mod completions;
mod dkim;
mod explain;
mod held;
mod layout;
mod learn;
mod mail;
mod node;
mod out;
mod policy;
mod queue;
mod replay;
mod report;
mod serve;
mod show;
mod store;
mod systemd;
mod token;
mod trace;
mod try_it;
mod user;

use crate::config::{Config, ConfigError};
use crate::diagnostic::Diagnostic;
use clap::{Parser, Subcommand};
use out::Out;
use std::path::PathBuf;
use std::process::ExitCode;

/// An outgoing SMTP relay that keeps recipients from being exposed to each other by a slip.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, arg_required_else_help = true)]
#[command(max_term_width = 100)]
pub struct Cli {
    /// The configuration [default: sekisho.toml here, then /etc/sekisho/sekisho.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything on this machine without a configuration; the given messages are sent through it
    Try(try_it::Arguments),
    /// Run the relay
    Serve,
    /// Check the configuration, the policies and what they need
    Check(check::Arguments),
    /// Show what would happen to a message, why, and every copy as it would leave
    Explain(explain::Arguments),
    /// Show what the policy would have done to sent mail: mbox, Maildir, folders of .eml
    Replay(replay::Arguments),
    /// Learn who wrote with whom from archived mail: mbox, Maildir, folders of .eml
    Learn(learn::Arguments),
    /// Remove a person from everything that was learned of who wrote with whom
    Forget(learn::Forget),
    /// Test the policy with its cases
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Held messages: list, show, release, return
    #[command(subcommand)]
    Held(held::Verb),
    /// Deliveries: list, show, retry, drop, pause, resume
    #[command(subcommand)]
    Queue(queue::Verb),
    /// People who may see each other: list, show, make, end
    #[command(subcommand)]
    Circle(circle::Verb),
    /// The journal: verify, export
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Show everything about one message: by our id, its Message-ID, an address or its subject
    Trace(trace::Arguments),
    /// Count what was passed, split, held and returned, and the exposures prevented
    Report(report::Arguments),
    /// DKIM keys: make one, show its DNS record
    #[command(subcommand)]
    Dkim(dkim::Verb),
    /// TLS certificates: make one, show those configured
    #[command(subcommand)]
    Cert(cert::Verb),
    /// Accounts in a file: add, roles, passwd, remove, list
    #[command(subcommand)]
    User(user::Verb),
    /// API tokens: add, list, remove
    #[command(subcommand)]
    Token(token::Verb),
    /// What is kept: copy it to another database
    #[command(subcommand)]
    Store(store::Verb),
    /// The relays that share a PostgreSQL database
    #[command(subcommand)]
    Node(node::Verb),
    /// Make the database's tables, or bring them up to date
    Migrate,
    /// Print completions for a shell
    Completions(completions::Arguments),
    /// Print the version
    Version,
}

/// What every command gets.
struct Context {
    /// `--config`.
    config: Option<PathBuf>,
    /// Where answers go.
    out: Out,
}

impl Context {
    /// The configuration; mistakes in it end the command with exit code 2.
    fn config(&self) -> Result<Config, Failure> {
        Ok(Config::find(self.config.as_deref())?)
    }
}

/// Why a command failed.
#[derive(Debug)]
struct Failure {
    /// The exit code.
    code: u8,
    /// For stderr; empty if everything was said already.
    text: String,
}

impl Failure {
    /// The command failed: exit code 1.
    fn failed(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    /// Wrong usage or configuration: exit code 2.
    fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Wrong(diagnostic) => Self::from(*diagnostic),
            ConfigError::NotFound { .. } => Self::usage(format!("error: {error}")),
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { code: 2, text: diagnostic.render(out::color_on_stderr()) }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context { config: cli.config, out: Out::new(cli.json) };
    let result = run(&context, cli.command);
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                let text = failure.text.trim_end();
                let prefix = if text.contains("error") { "" } else { "error: " };
                out::say(&format!("{prefix}{text}"));
            }
            ExitCode::from(failure.code)
        }
    };
    crate::app::log::finish();
    code
}

fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Try(arguments) => try_it::run(context, &arguments),
        Command::Serve => serve::run(context),
        Command::Check(arguments) => check::run(context, &arguments),
        Command::Explain(arguments) => explain::run(context, &arguments),
        Command::Replay(arguments) => replay::run(context, &arguments),
        Command::Learn(arguments) => learn::run(context, &arguments),
        Command::Forget(arguments) => learn::forget(context, arguments),
        Command::Policy(verb) => policy::run(context, &verb),
        Command::Audit(verb) => audit::run(context, &verb),
        Command::Circle(verb) => circle::run(context, verb),
        Command::Held(verb) => held::run(context, verb),
        Command::Queue(verb) => queue::run(context, verb),
        Command::Trace(arguments) => trace::run(context, &arguments),
        Command::Report(arguments) => report::run(context, &arguments),
        Command::Dkim(verb) => dkim::run(context, &verb),
        Command::Cert(verb) => cert::run(context, &verb),
        Command::User(verb) => user::run(context, &verb),
        Command::Token(verb) => token::run(context, verb),
        Command::Store(verb) => store::run(context, &verb),
        Command::Node(verb) => node::run(context, &verb),
        Command::Migrate => node::migrate(context),
        Command::Completions(arguments) => {
            completions::run(context, &arguments);
            Ok(())
        }
        Command::Version => {
            completions::version(context);
            Ok(())
        }
    }
}
