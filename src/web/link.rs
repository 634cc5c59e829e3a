//! `/l/{token}`: a link in a mail. GET shows what it would do, with one button; POST does it.

use super::Site;
use super::pages::risks::{RiskText, every};
use super::pages::visit::{Chrome, Open, show};
use super::pages::{answer, decide};
use super::routes::Routes;
use super::visitor::Client;
use super::words::calm;
use crate::desk::DeskError;
use crate::desk::deputies::DecisionRole;
use crate::desk::links::{LinkState, Offer, Outcome};
use crate::id::Id;
use crate::people::Denied;
use crate::people::rates::source;
use crate::store::was_taken_back;
use crate::store::{HeldState, LinkAction};
use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

/// Recipients that are shown; the rest is counted.
const SHOWN: usize = 10;
/// Longest subject, in characters.
const LONGEST: usize = 300;
/// Invalid links that one source may try within an hour.
const WRONG: usize = 100;

/// The routes of links.
pub(super) fn routes() -> Routes {
    Routes::new().get("/l/{token}", look).post("/l/{token}", follow)
}

/// The page of a link.
#[derive(Template)]
#[template(path = "link.html")]
struct Page {
    c: Chrome,
    title: String,
    text: String,
    /// The label of the button; empty if there is nothing to do.
    button: String,
    subject: String,
    recipients: Vec<String>,
    more: usize,
    /// Whether it asks for a reason.
    asks: bool,
    /// The risks that remain; each has to be ticked.
    ticks: Vec<RiskText>,
    /// Whether the action can be undone here.
    undo: bool,
    /// The CSS class of the note: `good`, `warn`, or empty.
    class: &'static str,
    /// What happens next.
    next: String,
    /// The path of the message's own page.
    message: String,
}

/// `GET /l/{token}`
async fn look(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    client: Client,
    Path(token): Path<String>,
    Query(asked): Query<Vec<(String, String)>>,
) -> Response {
    match site.links.look(&token).await {
        Ok(LinkState::Open(offer)) if is_approvers(offer.action) => {
            let undone = asked.iter().any(|(name, _)| name == "undone");
            decide::page(&site, c, &offer, StatusCode::OK, undone).await
        }
        Ok(LinkState::Open(offer)) if asked.iter().any(|(name, _)| name == "undone") => {
            let next = format!("{} {}", c.t.p("link-did-undone"), c.t.p("link-next-here"));
            show(StatusCode::OK, &Page { next, class: "good", ..open(c, &offer) })
        }
        Ok(look) => answer(&site, c, client, look).await,
        Err(error) => failed(c, &error),
    }
}

/// All values of a field.
fn all<'a>(form: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    form.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// `POST /l/{token}`
async fn follow(
    State(site): State<Arc<Site>>,
    Open(c): Open,
    client: Client,
    Path(token): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    let reason = super::pages::act::reason(&c.t, &form);
    let ticked: Vec<String> = all(&form, "tick").map(str::to_owned).collect();
    let done = if all(&form, "undo").next().is_some() {
        match site.links.undo(&token).await {
            Ok(LinkState::Open(_)) => return Redirect::to(&format!("/l/{token}?undone=1")).into_response(),
            done => done,
        }
    } else {
        site.links.follow(&token, &reason, &ticked).await
    };
    match done {
        // redirects to the page of the outcome, which can be reloaded
        Ok(LinkState::Over(_)) => Redirect::to(&format!("/l/{token}")).into_response(),
        Ok(look) => answer(&site, c, client, look).await,
        // the page asks for what is missing
        Err(DeskError::Unticked(_) | DeskError::NoReason) => match site.links.look(&token).await {
            Ok(LinkState::Open(offer)) if is_approvers(offer.action) => {
                decide::page(&site, c, &offer, StatusCode::UNPROCESSABLE_ENTITY, false).await
            }
            Ok(LinkState::Open(offer)) => show(StatusCode::UNPROCESSABLE_ENTITY, &open(c, &offer)),
            Ok(look) => answer(&site, c, client, look).await,
            Err(error) => failed(c, &error),
        },
        Err(error) => failed(c, &error),
    }
}

async fn answer(site: &Site, c: Chrome, Client(from): Client, look: LinkState) -> Response {
    match look {
        LinkState::Open(offer) if offer.action == LinkAction::View => {
            Redirect::to(&format!("/held/{}", offer.message)).into_response()
        }
        LinkState::Open(offer) => show(StatusCode::OK, &open(c, &offer)),
        LinkState::Over(outcome) => show(StatusCode::OK, &over(c, &outcome)),
        LinkState::NotTheirs { message, stands } => not_theirs(c, message, stands),
        LinkState::Past => {
            let (title, text) = (c.t.p("link-past-title").to_string(), c.t.p("link-past-text").to_string());
            answer::say(c, StatusCode::GONE, title, text, "")
        }
        LinkState::Nothing => {
            let status = match site.people.admit("link-wrong", &source(from), WRONG).await {
                Err(Denied::TooMany) => StatusCode::TOO_MANY_REQUESTS,
                Ok(()) | Err(_) => StatusCode::NOT_FOUND,
            };
            let (title, text) = (c.t.p("link-nothing-title"), c.t.p("link-nothing-text"));
            answer::say(c.clone(), status, title.to_string(), text.to_string(), "")
        }
    }
}

/// Whether this is an approver's action.
fn is_approvers(action: LinkAction) -> bool {
    matches!(action, LinkAction::ApproveSplit | LinkAction::GiveBack)
}

/// The page of an approver's link that cannot be followed now: why, and where to continue.
fn not_theirs(c: Chrome, message: Id, stands: Option<DecisionRole>) -> Response {
    let title = c.t.p("link-not-done-title").to_string();
    let text = match stands {
        Some(DecisionRole::Away(deputies)) => {
            let names: Vec<String> = deputies.iter().map(|one| calm(one.as_str(), LONGEST)).collect();
            c.t.p("link-away-text").s("deputies", names.join(", ")).to_string()
        }
        Some(_) => c.t.p("link-no-approver-text").to_string(),
        None => c.t.p("link-mail-off-text").to_string(),
    };
    answer::say(c, StatusCode::FORBIDDEN, title, text, &format!("/held/{message}"))
}

fn failed(c: Chrome, error: &DeskError) -> Response {
    let (status, key) = match error {
        DeskError::Store(error) => {
            tracing::warn!(%error, "a link could not be followed");
            (StatusCode::SERVICE_UNAVAILABLE, "link-later-text")
        }
        DeskError::NotAllowed(_) => (StatusCode::FORBIDDEN, "link-not-allowed-text"),
        _ => (StatusCode::CONFLICT, "link-not-safe-text"),
    };
    let (title, text) = (c.t.p("link-not-done-title").to_string(), c.t.p(key).to_string());
    answer::say(c, status, title, text, "")
}

/// The last part of a phrase's key.
fn word(action: LinkAction) -> &'static str {
    match action {
        LinkAction::Split => "split",
        LinkAction::TakeBack => "take-back",
        LinkAction::Undo => "undo",
        LinkAction::AskAsIs => "ask",
        LinkAction::AskAgain => "again",
        LinkAction::View => "view",
        LinkAction::ApproveSplit => "approve-split",
        LinkAction::GiveBack => "give-back",
    }
}

fn open(c: Chrome, offer: &Offer) -> Page {
    let word = word(offer.action);
    Page {
        title: c.t.of("link-title-", word),
        text: c.t.of("link-text-", word),
        button: c.t.of("link-button-", word),
        subject: calm(&offer.subject, LONGEST),
        recipients: offer.recipients.iter().take(SHOWN).map(|one| calm(one, LONGEST)).collect(),
        more: offer.recipients.len().saturating_sub(SHOWN),
        asks: matches!(offer.action, LinkAction::AskAsIs | LinkAction::AskAgain),
        ticks: every(&c.t, &offer.left),
        undo: false,
        class: "",
        next: String::new(),
        message: String::new(),
        c,
    }
}

/// The outcome of a message: what was done, by whom, and what happens next.
fn over(c: Chrome, outcome: &Outcome) -> Page {
    let t = &c.t;
    let took = outcome.decision.as_deref().is_some_and(was_taken_back);
    let soon = outcome.undo_until.is_some();
    let (word, class) = match (outcome.state, outcome.action) {
        _ if outcome.anew.is_some() => ("again", "good"),
        (Some(HeldState::Held), LinkAction::AskAsIs) => ("asked", "good"),
        (Some(HeldState::Held), LinkAction::Undo | LinkAction::TakeBack) => ("undone", "good"),
        (Some(HeldState::Released), _) => match outcome.decision.as_deref() {
            Some("split") if soon => ("split-soon", "good"),
            Some("split") => ("split", "good"),
            Some("bcc") => ("bcc", "good"),
            _ => ("as-is", "warn"),
        },
        (Some(HeldState::Returned), _) if took => ("taken-back", ""),
        (Some(HeldState::Returned), _) => ("returned", ""),
        (Some(HeldState::Expired), _) => ("expired", ""),
        (None, LinkAction::TakeBack) if soon => ("taken-back", ""),
        (None, LinkAction::TakeBack | LinkAction::Undo) => ("undone-later", "good"),
        (None, LinkAction::Split) => ("split", "good"),
        (Some(HeldState::Held) | None, _) => ("waits", ""),
    };
    let fill = |key: &'static str| {
        let approvers = outcome.approvers.iter().take(5).map(|one| calm(one, LONGEST)).collect::<Vec<_>>();
        let until = outcome.undo_until.map(|until| t.moment(&until)).unwrap_or_default();
        let separator = t.p("desk-or").to_string();
        t.p(key)
            .n("count", outcome.copies)
            .s("approvers", approvers.join(&separator))
            .s("until", until)
            .to_string()
    };
    let title = fill(match word {
        "again" => "link-did-again",
        "asked" => "link-did-asked",
        "undone" => "link-did-undone",
        "undone-later" => "link-did-undone-later",
        "split-soon" => "link-did-split-soon",
        "split" => "link-did-split",
        "bcc" => "link-did-bcc",
        "as-is" => "link-did-as-is",
        "taken-back" => "link-did-taken-back",
        "returned" => "link-did-returned",
        "expired" => "link-did-expired",
        _ => "link-did-waits",
    });
    let next = fill(match word {
        "again" => "link-next-asked-again",
        "asked" if outcome.approvers.is_empty() => "link-next-asked-admin",
        "asked" => "link-next-asked",
        "undone" | "waits" => "link-next-waits",
        "undone-later" => "link-next-later",
        "split-soon" => "link-next-split-soon",
        "taken-back" if soon => "link-next-undo",
        "taken-back" | "returned" | "expired" if !is_approvers(outcome.action) => "link-next-again",
        _ => "link-next-done",
    });
    let by = calm(outcome.by.as_deref().unwrap_or_default(), LONGEST);
    let decided = outcome.at.filter(|_| !by.is_empty() && outcome.state != Some(HeldState::Expired));
    let text = decided.map(|at| t.p("link-over-by").s("by", by).s("at", t.moment(&at)).to_string());
    Page {
        title,
        text: text.unwrap_or_default(),
        button: String::new(),
        subject: calm(&outcome.subject, LONGEST),
        recipients: Vec::new(),
        more: 0,
        asks: false,
        ticks: Vec::new(),
        undo: soon,
        class,
        next,
        message: format!("/held/{}", outcome.anew.unwrap_or(outcome.message)),
        c,
    }
}
