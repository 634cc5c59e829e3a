//! `sekisho completions` and `sekisho version`.

use super::{Cli, Context};
use clap::CommandFactory;
use serde_json::json;

/// Options of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(context: &Context, arguments: &Arguments) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "sekisho", &mut script);
    context.out.print(&String::from_utf8_lossy(&script));
}

pub(super) fn version(context: &Context) {
    let version = env!("CARGO_PKG_VERSION");
    if context.out.json {
        context.out.json(&json!({ "version": version }));
    } else {
        context.out.line(&format!("sekisho {version}"));
    }
}
