//! `sekisho token`: API tokens.

use super::ask::{ask, unexpected};
use super::layout::{Table, clean, local};
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config::units::Span;
use crate::control::{Answer, Request};
use crate::people::scope::Scope;
use clap::Subcommand;
use serde_json::json;

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a token; it is shown once
    Add {
        /// Its name: letters, digits, `-`, `_` and `.`
        name: String,
        /// What it may do: held:read, held:decide, message:read, report:read, queue:read, queue:change,
        /// circles:read, circles:change, knowledge:change; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// When it expires, such as 90d; never by default
        #[arg(long, value_name = "SPAN")]
        expires: Option<Span>,
    },
    /// Show all tokens
    List,
    /// Revoke a token at once
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Add { name, scopes, expires } => {
            let expires = expires.map(|span| SystemClock.now().plus(span.0));
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            match ask(context, &Request::AddToken { name: name.clone(), scopes, expires })? {
                Answer::Token(token) if context.out.json => {
                    context.out.json(&json!({ "name": name, "token": token, "expires": expires }));
                }
                Answer::Token(token) => {
                    context.out.line(&token);
                    super::out::say(
                        "This is shown once: keep it where only the program that uses it can read it.",
                    );
                }
                _ => return Err(unexpected()),
            }
        }
        Verb::List => match ask(context, &Request::Tokens)? {
            Answer::Tokens(tokens) if context.out.json => context.out.json(&tokens),
            Answer::Tokens(tokens) => {
                let mut table =
                    Table::new(&context.out, &["NAME", "SCOPES", "BY", "MADE", "USED", "EXPIRES"], 1);
                for token in tokens {
                    let or = |at: Option<crate::clock::Timestamp>, never: &str| {
                        at.map_or_else(|| never.to_owned(), local)
                    };
                    table.row([
                        token.name,
                        token.scopes.join(" "),
                        token.made_by,
                        local(token.made),
                        or(token.used, "never"),
                        or(token.expires, "never"),
                    ]);
                }
                context.out.print(&table.render());
            }
            _ => return Err(unexpected()),
        },
        Verb::Remove { name } => match ask(context, &Request::RemoveToken { name: name.clone() })? {
            Answer::TokenRemoved(true) if context.out.json => {
                context.out.json(&json!({ "name": name, "done": "removed" }));
            }
            Answer::TokenRemoved(true) => context.out.line(&format!("{}: removed", clean(&name))),
            Answer::TokenRemoved(false) => {
                return Err(Failure::failed(format!("there is no token `{}`", clean(&name))));
            }
            _ => return Err(unexpected()),
        },
    }
    Ok(())
}
