//! `sekisho circle`: people who may see each other's addresses.

use super::ask::{ask, unexpected};
use super::layout::{Table, clean, local, some_of};
use super::show;
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config::units::Span;
use crate::control::{Answer, Request};
use crate::desk::circles::CircleWish;
use crate::message::Address;
use crate::store::circles::{Circle, CircleId};
use clap::Subcommand;
use std::fmt::Write;

/// What to do with circles.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List circles, newest first
    List {
        /// Include those that have ended
        #[arg(long)]
        all: bool,
    },
    /// Show one circle: its members, who made it, until when
    Show {
        /// Its number
        id: CircleId,
    },
    /// Make a circle: mail to outsiders who are all members is exempt where a rule says `circle = true`
    Make {
        /// A name for it
        name: String,
        /// Its members
        #[arg(required = true, num_args = 2.., value_name = "ADDR")]
        members: Vec<Address>,
        /// How long it lasts
        #[arg(long = "for", value_name = "SPAN", default_value = "90d")]
        lasts: Span,
    },
    /// End a circle now
    End {
        /// Its number
        id: CircleId,
    },
}

pub(super) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { all } => list(context, all),
        Verb::Show { id } => detail(context, id),
        Verb::Make { name, members, lasts } => {
            let wish = CircleWish { name, members, seconds: lasts.0.as_secs() };
            let Answer::Made(id) = ask(context, &Request::MakeCircle { wish })? else {
                return Err(unexpected());
            };
            done(context, id, "made");
            Ok(())
        }
        Verb::End { id } => {
            let Answer::Ended(id) = ask(context, &Request::EndCircle { id })? else {
                return Err(unexpected());
            };
            done(context, id, "ended");
            Ok(())
        }
    }
}

fn done(context: &Context, id: CircleId, what: &str) {
    if context.out.json {
        context.out.json(&serde_json::json!({ "id": id, "state": what }));
    } else {
        context.out.line(&format!("circle {id} was {what}"));
    }
}

fn circles(context: &Context) -> Result<Vec<Circle>, Failure> {
    match ask(context, &Request::Circles)? {
        Answer::Circles(circles) => Ok(circles),
        _ => Err(unexpected()),
    }
}

fn state(circle: &Circle) -> &'static str {
    match circle.ended_at {
        Some(_) => "ended",
        None if circle.in_force(SystemClock.now()) => "in force",
        None => "expired",
    }
}

fn list(context: &Context, all: bool) -> Result<(), Failure> {
    let mut circles = circles(context)?;
    circles.retain(|circle| all || state(circle) == "in force");
    if context.out.json {
        context.out.json(&show::dated(&circles));
    } else if circles.is_empty() {
        context.out.line("there are no circles");
    } else {
        let mut table = Table::new(&context.out, &["ID", "STATE", "UNTIL", "MADE BY", "MEMBERS", "NAME"], 5);
        for circle in &circles {
            table.row([
                circle.id.to_string(),
                state(circle).to_owned(),
                local(circle.expires),
                circle.made_by.clone(),
                circle.members.len().to_string(),
                circle.name.clone(),
            ]);
        }
        context.out.print(&table.render());
    }
    Ok(())
}

fn detail(context: &Context, id: CircleId) -> Result<(), Failure> {
    let found = circles(context)?.into_iter().find(|circle| circle.id == id);
    let circle = found.ok_or_else(|| Failure::failed(format!("there is no circle {id}")))?;
    if context.out.json {
        context.out.json(&show::dated(&circle));
        return Ok(());
    }
    let members: Vec<String> = circle.members.iter().map(ToString::to_string).collect();
    let mut text = format!("{}  {}\n", state(&circle), context.out.paint.bold(&clean(&circle.name)));
    let _ = writeln!(text, "  members   {}", clean(&some_of(&members, 100)));
    let _ = writeln!(text, "  made      by {} at {}", clean(&circle.made_by), local(circle.made_at));
    let _ = writeln!(text, "  until     {}", local(circle.expires));
    if let (Some(by), Some(at)) = (&circle.ended_by, circle.ended_at) {
        let _ = writeln!(text, "  ended     by {} at {}", clean(by), local(at));
    }
    context.out.print(&text);
    Ok(())
}
