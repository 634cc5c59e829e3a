//! `sekisho policy test`: runs the test cases of the policy.

use super::layout::{clean, count};
use super::{Context, Failure};
use crate::app::check::{Finding, Severity};
use crate::cases::{CaseOutcome, run as run_cases};
use crate::config::{Config, ConfigError};
use clap::Subcommand;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What to do with the policy.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run its cases: messages, and the verdict that each must get
    Test {
        /// The folder of the cases [default: next to the configured policy, else policy/ here]
        dir: Option<PathBuf>,
    },
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    let Verb::Test { dir } = verb;
    let folder = match dir {
        Some(dir) => dir.clone(),
        None => configured(context)?,
    };
    let report = run_cases(&folder).map_err(|mistakes| {
        let color = super::out::color_on_stderr();
        let texts: Vec<String> = mistakes.iter().map(|mistake| mistake.render(color)).collect();
        Failure::usage(texts.join("\n\n"))
    })?;
    let failed = report.failed().count();
    if context.out.json {
        context.out.json(&json!({ "passed": report.passed(), "cases": report.cases }));
    } else {
        let mut text: String = report.cases.iter().map(|case| line(context, case)).collect();
        let all = count(report.cases.len(), "case", "cases");
        let _ = writeln!(text, "{all}, {failed} not as expected");
        context.out.print(&text);
    }
    match (report.cases.len(), failed) {
        (0, _) => Err(Failure::failed(format!("there is no case in {}", folder.display()))),
        (_, 0) => Ok(()),
        _ => Err(Failure { code: 1, text: String::new() }),
    }
}

fn configured(context: &Context) -> Result<PathBuf, Failure> {
    match Config::find(context.config.as_deref()) {
        Ok(config) => Ok(folders(&config).into_iter().next().unwrap_or_else(|| PathBuf::from("policy"))),
        Err(ConfigError::NotFound { .. }) if Path::new("policy").is_dir() => Ok(PathBuf::from("policy")),
        Err(ConfigError::NotFound { .. }) => {
            Err(Failure::usage("there is no policy here: name the folder of its cases"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The folders of the configured policy files, each once.
fn folders(config: &Config) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        config.policy.files.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
    folders.dedup();
    folders
}

fn line(context: &Context, case: &CaseOutcome) -> String {
    let paint = context.out.paint;
    let mark = if case.passed { paint.good("ok    ") } else { paint.bad("failed") };
    let mut text = format!("{mark}  {}\n", clean(&case.name));
    for difference in &case.differences {
        let _ = writeln!(text, "        {}:{}: {}", case.file.display(), case.line, clean(difference));
    }
    text
}

/// The cases next to the configured policy, as findings for `check`.
pub(super) fn check_cases(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in folders(config).iter().filter(|folder| folder.join("cases").is_dir()) {
        let mut found = |severity, text| findings.push(Finding { area: "policy", severity, text });
        match run_cases(folder) {
            Ok(report) => {
                let all = count(report.cases.len(), "case", "cases");
                if report.passed() {
                    found(Severity::Ok, format!("{all} decided as expected"));
                }
                for case in report.failed() {
                    let why = case.differences.join("; ");
                    found(
                        Severity::Error,
                        format!("{}:{}: {}: {why}", case.file.display(), case.line, case.name),
                    );
                }
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    found(Severity::Error, mistake.to_string());
                }
            }
        }
    }
    findings
}
