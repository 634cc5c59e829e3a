//! `sekisho audit`: verifies and exports the journal.

use super::ask::{ask, unexpected};
use super::{Context, Failure};
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::config::units::Span;
use crate::control::{self, Answer, Request};
use crate::journal::Entry;
use crate::store::chain::{Accepted, Head};
use clap::{Subcommand, ValueEnum};
use std::io::Write;

/// Messages requested at a time.
const BATCH: usize = 500;

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Check every entry and link of the chain; exit code 1 when something was changed
    Verify {
        /// A head from the log or a mail: detects whether entries were removed from the end since
        #[arg(long, value_name = "NUMBER:LINK")]
        head: Option<Head>,
    },
    /// Record entries that somebody else wrote to the database, so that the relay can run again
    AcceptForeign {
        /// Why they are accepted, for the record
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Write every entry to stdout, oldest message first
    Export {
        /// The format
        #[arg(long, value_enum, default_value = "json")]
        format: Format,
        /// How far back
        #[arg(long, value_name = "SPAN", default_value = "30d")]
        since: Span,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Csv,
    Json,
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Verify { head } => verify(context, head.clone()),
        Verb::AcceptForeign { why } => accept_foreign(context, why),
        Verb::Export { format, since } => export(context, *format, *since),
    }
}

fn verify(context: &Context, head: Option<Head>) -> Result<(), Failure> {
    let asked = head.is_some();
    let Answer::Verified(found) = ask(context, &Request::Verify { head })? else { return Err(unexpected()) };
    if context.out.json {
        context.out.json(&found);
    }
    if let Some((entry, why)) = &found.broken {
        return Err(Failure::failed(format!("the journal was changed, first at entry {entry}: {why}")));
    }
    if !context.out.json {
        for record in &found.accepted {
            context.out.line(&told(record));
        }
        let purged = if found.purged > 0 {
            format!(", {} of them purged, with only their hashes left", found.purged)
        } else {
            String::new()
        };
        let cut =
            if found.cut > 0 { format!("; {} older ones were purged", found.cut) } else { String::new() };
        let entries = found.head.entries.saturating_sub(found.cut);
        context.out.line(&format!("{entries} entries are as they were written{purged}{cut}"));
        if asked && !found.compared {
            context.out.line("the given head was purged: there is nothing to compare it with");
        }
        context.out.line(&format!("head {}", found.head));
    }
    Ok(())
}

/// A record of accepted entries, as a sentence.
fn told(record: &Accepted) -> String {
    let Accepted { at, by, why, entries } = record;
    format!("{entries} entries are not as this relay wrote them: recorded by {by} at {at}, because: {why}")
}

fn accept_foreign(context: &Context, why: &str) -> Result<(), Failure> {
    if why.trim().is_empty() {
        return Err(Failure::usage("--why is empty: say why what was found may stay"));
    }
    let user = control::own_uid().map_or_else(|| "unknown".to_owned(), control::user_name);
    let recorded = app::accept_foreign(&context.config()?, &user, why)
        .map_err(|error| Failure::failed(error.to_string()))?;
    if context.out.json {
        context.out.json(&recorded);
    } else {
        context.out.line(&match &recorded {
            Some(record) => told(record),
            None => "the journal is as it was written: there is nothing to record".to_owned(),
        });
    }
    Ok(())
}

fn export(context: &Context, format: Format, since: Span) -> Result<(), Failure> {
    let since = SystemClock.now().minus(since.0);
    let broken = |error: std::io::Error| Failure::failed(format!("cannot write: {error}"));
    let mut out = std::io::stdout().lock();
    if format == Format::Csv {
        out.write_all(b"time,message,event,detail\r\n").map_err(broken)?;
    }
    let mut after = None;
    loop {
        let request = Request::Journal { since, after, limit: BATCH };
        let Answer::Journal { entries, last } = ask(context, &request)? else { return Err(unexpected()) };
        let Some(last) = last else { return out.flush().map_err(broken) };
        for entry in &entries {
            out.write_all(line(entry, format).as_bytes()).map_err(broken)?;
        }
        after = Some(last);
    }
}

/// One entry per line: JSON, or four CSV fields (RFC 4180).
fn line(entry: &Entry, format: Format) -> String {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    let Some(object) = value.as_object_mut() else { return String::new() };
    object.insert("at".to_owned(), entry.at.to_string().into());
    if format == Format::Json {
        return format!("{value}\n");
    }
    let mut take = |name: &str| match object.remove(name) {
        Some(serde_json::Value::String(text)) => text,
        _ => String::new(),
    };
    let fields = [take("at"), take("message"), take("event")];
    let mut text: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    text.push(quoted(&value.to_string()));
    format!("{}\r\n", text.join(","))
}

/// A quoted CSV field that a spreadsheet does not interpret as a formula.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted() {
        for (field, wanted) in
            [("a", "\"a\""), ("a\"b", "\"a\"\"b\""), ("=1+1", "\"'=1+1\""), ("a,b", "\"a,b\"")]
        {
            assert_eq!(quoted(field), wanted);
        }
    }
}
