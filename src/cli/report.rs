//! `sekisho report`: numbers over a span of time.

use super::ask::{ask, unexpected};
use super::layout::thousands;
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config::units::Span;
use crate::control::{Answer, Request};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What `report` is told.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How far back
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    since: Span,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let since = SystemClock.now().minus(arguments.since.0);
    let Answer::Report(summary) = ask(context, &Request::Report { since })? else { return Err(unexpected()) };
    if context.out.json {
        let mut value = serde_json::to_value(&summary).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("since".to_owned(), since.to_string().into());
        }
        context.out.json(&value);
        return Ok(());
    }
    let paint = context.out.paint;
    let mut text = format!("{}\n", paint.bold(&format!("since {since}")));
    section(&mut text, "accepted", &summary.accepted);
    section(&mut text, "held", &summary.held);
    section(&mut text, "deliveries", &summary.deliveries);
    let _ = writeln!(
        text,
        "exposures prevented  {} (recipients who would have seen each other, n × (n − 1))",
        paint.bold(&thousands(summary.exposures_prevented))
    );
    context.out.print(&text);
    Ok(())
}

fn section(text: &mut String, name: &str, numbers: &BTreeMap<String, u64>) {
    if numbers.is_empty() {
        let _ = writeln!(text, "{name:<11} none");
        return;
    }
    for (index, (what, number)) in numbers.iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        let _ = writeln!(text, "{name:<11} {what:<10} {:>12}", thousands(*number));
    }
}
