//! `sekisho user`: accounts in the file that `[auth] source` names.

use super::ask::{self, unexpected};
use super::layout::clean;
use super::show;
use super::{Context, Failure};
use crate::accounts::file::edit::Editor;
use crate::accounts::{Account, Role};
use crate::config::{AuthSource, Config};
use crate::control::{Answer, Request};
use crate::message::Address;
use clap::Subcommand;
use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Read, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Longest password that is read, in octets.
const LONGEST: u64 = 4_096;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add a user; asks for the password
    Add {
        /// The login name; an address may be one
        name: String,
        /// An address that the user may send from (may be repeated)
        #[arg(long = "address", value_name = "A")]
        addresses: Vec<Address>,
        /// A role at the desk: approver, auditor or admin (may be repeated)
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set the roles of a user at the desk
    Roles {
        /// The login name
        name: String,
        /// approver, auditor or admin (may be repeated); none removes all
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Change the password of a user
    Passwd {
        /// The login name
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user
    Remove {
        /// The login name
        name: String,
    },
    /// Show all users
    List,
    /// Say that an approver is away, and who decides in their place
    Away {
        /// The approver's address
        approver: Address,
        /// The last day, YYYY-MM-DD
        #[arg(long, value_name = "DATE")]
        until: Date,
        /// Who is asked meanwhile: somebody who decides on the same mail
        #[arg(long, value_name = "ADDR")]
        deputy: Address,
    },
    /// Say that an approver is back
    Back {
        /// The approver's address
        approver: Address,
    },
    /// Show who is away by their own word or by `away`
    Absences,
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Away { approver, until, deputy } => {
            let (deputy, until) = (deputy.clone(), until.to_string());
            return absent(context, approver, &Request::Away { approver: approver.clone(), deputy, until });
        }
        Verb::Back { approver } => {
            return absent(context, approver, &Request::Back { approver: approver.clone() });
        }
        Verb::Absences => return absences(context),
        _ => {}
    }
    let config = context.config()?;
    let path = file(&config)?;
    let mut editor = Editor::open(&path).map_err(Failure::failed)?;
    editor.owned_like(&config.database);
    let done = match verb {
        Verb::Add { name, addresses, roles, password_stdin } => {
            let password = password(*password_stdin)?;
            editor.add(name, addresses, roles, &password).map(|()| ("added", name))
        }
        Verb::Roles { name, roles } => editor.set_roles(name, roles).map(|()| ("roles set", name)),
        Verb::Passwd { name, password_stdin } => {
            let password = password(*password_stdin)?;
            editor.set_password(name, &password).map(|()| ("password set", name))
        }
        Verb::Remove { name } => editor.remove(name).map(|()| ("removed", name)),
        Verb::List => {
            list(context, &editor);
            return Ok(());
        }
        Verb::Away { .. } | Verb::Back { .. } | Verb::Absences => return Ok(()),
    };
    let (what, name) = done.map_err(Failure::failed)?;
    if context.out.json {
        context.out.json(&json!({ "user": name, "done": what, "file": path }));
    } else {
        context.out.line(&format!("{}: {what}", clean(name)));
    }
    Ok(())
}

/// Records an absence, or ends one.
fn absent(context: &Context, approver: &Address, request: &Request) -> Result<(), Failure> {
    let Answer::Absent(done) = ask::ask(context, request)? else { return Err(unexpected()) };
    let what = match request {
        Request::Away { .. } => "away",
        _ if done => "back",
        _ => "was not away",
    };
    if context.out.json {
        context.out.json(&json!({ "approver": approver.as_str(), "done": what }));
    } else {
        context.out.line(&format!("{}: {what}", clean(approver.as_str())));
    }
    Ok(())
}

fn absences(context: &Context) -> Result<(), Failure> {
    let Answer::Absences(all) = ask::ask(context, &Request::Absences)? else { return Err(unexpected()) };
    if context.out.json {
        context.out.json(&show::dated(&all));
    } else if all.is_empty() {
        context.out.line("nobody is away (absences in the configuration are not listed here)");
    } else {
        for one in &all {
            let (who, deputy) = (clean(one.approver.as_str()), clean(one.deputy.as_str()));
            context.out.line(&format!("{who}  until {}  {deputy} is asked", one.until));
        }
    }
    Ok(())
}

/// The file of accounts.
fn file(config: &Config) -> Result<PathBuf, Failure> {
    match config.auth.as_ref().map(|auth| &auth.source) {
        Some(AuthSource::File(path)) => Ok(path.clone()),
        _ if config.desk.people.is_some() => Ok(config.desk.people.clone().unwrap_or_default()),
        Some(_) => Err(Failure::usage(
            "accounts are not in a file: [auth] source names another place; those of the desk alone may be in \
             [desk] people = \"people.toml\"",
        )),
        None => Err(Failure::usage(format!(
            "there are no accounts: write [auth] with source = \"file:users.toml\" into {}",
            config.file.display()
        ))),
    }
}

fn list(context: &Context, editor: &Editor) {
    let addresses = |account: &Account| -> Vec<String> {
        account.addresses.iter().map(|address| address.as_str().to_owned()).collect()
    };
    if context.out.json {
        let users: Vec<_> = editor
            .users()
            .map(|user| {
                let account = &user.account;
                json!({ "name": account.name, "addresses": addresses(account), "roles": user.roles })
            })
            .collect();
        context.out.json(&users);
        return;
    }
    let mut text = String::new();
    for user in editor.users() {
        let account = &user.account;
        let roles: Vec<&str> = user.roles.iter().map(|role| role.text()).collect();
        let roles = if roles.is_empty() { String::new() } else { format!("  [{}]", roles.join(", ")) };
        let _ = writeln!(text, "{}  {}{roles}", clean(&account.name), clean(&addresses(account).join(", ")));
    }
    context.out.print(&text);
}

fn password(from_stdin: bool) -> Result<SecretString, Failure> {
    if from_stdin {
        return line();
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask for the password: use --password-stdin"));
    }
    let hidden = Hidden::new();
    let first = ask("Password: ")?;
    let second = ask("Again: ")?;
    drop(hidden);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::failed("the two passwords differ"))
    }
}

fn ask(prompt: &str) -> Result<SecretString, Failure> {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{prompt}").and_then(|()| stderr.flush());
    let password = line();
    let _ = writeln!(stderr);
    password
}

/// The first line of standard input.
fn line() -> Result<SecretString, Failure> {
    let mut text = String::new();
    let mut stdin = std::io::stdin().lock().take(LONGEST);
    let read = stdin.read_line(&mut text);
    let password = SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned());
    read.map(|_| password).map_err(|error| Failure::failed(format!("the password cannot be read: {error}")))
}

/// The terminal does not echo input while this value lives.
struct Hidden;

impl Hidden {
    fn new() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
    }
}

/// Without `stty` the password is visible while it is typed; that is not an error.
fn stty(what: &str) {
    let _ = Command::new("stty").arg(what).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
}
