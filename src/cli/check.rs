//! `sekisho check`: checks the configuration and everything that a relay with it needs.

use super::ask::runtime;
use super::layout::clean;
use super::{Context, Failure};
use crate::app::check::{Finding, Severity, check};
use serde_json::json;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also connect to the upstream: EHLO, TLS, authentication
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let config = context.config()?;
    let mut findings = runtime()?.block_on(check(&config, arguments.connect));
    findings.extend(super::policy::check_cases(&config));
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    if context.out.json {
        context.out.json(&json!({ "ok": worst < Severity::Error, "checks": findings }));
    } else {
        let lines: Vec<String> = findings.iter().map(|finding| line(context, finding)).collect();
        context.out.print(&lines.concat());
    }
    if worst < Severity::Error {
        return Ok(());
    }
    let broken = |finding: &Finding| finding.severity == Severity::Error && finding.area == "policy";
    // A mistake in a policy file counts as a mistake in the configuration.
    let code = if findings.iter().any(broken) { 2 } else { 1 };
    Err(Failure { code, text: "error: some checks failed".to_owned() })
}

fn line(context: &Context, finding: &Finding) -> String {
    let paint = context.out.paint;
    let mark = match finding.severity {
        Severity::Ok => paint.good("ok     "),
        Severity::Warning => paint.warn("warning"),
        Severity::Error => paint.bad("error  "),
    };
    format!("{mark}  {:<13}  {}\n", finding.area, clean(&finding.text))
}
