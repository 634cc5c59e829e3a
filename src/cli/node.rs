//! `sekisho node`: the relays that share a database; `sekisho migrate` brings the database up to date.

use super::ask::runtime;
use super::layout::{Table, local};
use super::{Context, Failure};
use crate::app;
use clap::Subcommand;

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the relays that share the database, and when each last said that it is there
    List,
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    let Verb::List = verb;
    let config = context.config()?;
    let nodes = runtime()?.block_on(app::nodes(&config))?;
    if context.out.json {
        context.out.json(&nodes);
        return Ok(());
    }
    if nodes.is_empty() {
        context.out.line("one relay alone has this database: nodes share a PostgreSQL database");
        return Ok(());
    }
    let headings = ["NODE", "STATE", "VERSION", "STARTED", "SEEN", "SENDING"];
    let mut table = Table::new(&context.out, &headings, 0).state(1);
    for node in &nodes {
        let state = if node.here { "here" } else { "gone" };
        table.row([
            node.name.clone(),
            state.to_owned(),
            node.version.clone(),
            local(node.started),
            local(node.seen),
            node.sending.to_string(),
        ]);
    }
    context.out.line(&table.render());
    Ok(())
}

pub(super) fn migrate(context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    runtime()?.block_on(app::migrate(&config))?;
    context.out.line("the database is up to date");
    Ok(())
}
