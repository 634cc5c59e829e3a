//! `sekisho store`: moving what is kept from one engine to the other.

use super::ask::runtime;
use super::layout::thousands;
use super::{Context, Failure};
use crate::app;
use clap::Subcommand;

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Copy everything into a new database, and verify it there; no relay may run meanwhile
    Copy {
        #[arg(help = "From where: sqlite:FILE or postgres://USER@HOST/DATABASE")]
        from: String,
        /// To where, written in the same way; the configuration says where a password is
        to: String,
    },
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    let Verb::Copy { from, to } = verb;
    let config = context.config()?;
    let (copied, chain) = runtime()?.block_on(app::copy(&config, from, to))?;
    if context.out.json {
        context.out.json(&serde_json::json!({
            "rows": copied.rows.iter().map(|(table, rows)| (*table, *rows)).collect::<std::collections::BTreeMap<_, _>>(),
            "bodies": copied.bodies,
            "chain": chain,
        }));
        return Ok(());
    }
    for (table, rows) in &copied.rows {
        context.out.line(&format!("{:>12}  {table}", thousands(*rows)));
    }
    context.out.line(&format!("{:>12}  large bodies", thousands(copied.bodies)));
    context
        .out
        .line(&format!("the journal's chain was verified up to entry {}", thousands(chain.head.entries)));
    Ok(())
}
