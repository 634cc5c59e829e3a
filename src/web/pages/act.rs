//! The decisions on one message: forms, and a page for those that need more than one click.

use super::super::Site;
use super::super::words::{Words, calm};
use super::answer;
use super::circles::{SPANS, USUAL, remembered};
use super::form::{Fields, value, values};
use super::people::LONGEST;
use super::risks::{RiskText, to_tick};
use super::visit::{Chrome, Visit, show};
use crate::desk::canned::{self, CANNED};
use crate::desk::circles::makes;
use crate::desk::dossier::Dossier;
use crate::desk::principal::{Parties, Principal};
use crate::desk::wish::{How, Wish};
use crate::desk::{Desk, DeskError};
use crate::id::Id;
use crate::message::Address;
use crate::policy::risks;
use crate::policy::risks::places::in_words;
use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::collections::HashSet;
use std::sync::Arc;

/// Longest reason, in characters.
const LONGEST_REASON: usize = 1_000;
/// Most fields of a form, enough for a checkbox for every recipient and for a risk at each of them.
const MOST_FIELDS: usize = 10_100;

/// Redirects to the page of a message, with the filters of the list.
fn onward(c: &Chrome, id: Id) -> Response {
    Redirect::to(&format!("/held/{id}{}", c.filters())).into_response()
}

/// What a release form asks for.
fn wish(fields: &Fields) -> Option<Wish> {
    if fields.len() > MOST_FIELDS {
        return None;
    }
    let how = match value(fields, "as")? {
        "split" => How::Split,
        "bcc" => How::Bcc,
        "as-is" => How::AsIs,
        _ => return None,
    };
    let drop: Result<Vec<Address>, _> = values(fields, "drop").map(Address::parse).collect();
    let acknowledge = values(fields, "acknowledge").map(str::to_owned).collect();
    let ticked = values(fields, "tick").map(str::to_owned).collect();
    let circle = remembered(fields);
    // a circle can be made only of people who see each other
    if circle.is_some() && how != How::AsIs {
        return None;
    }
    Some(Wish { how, drop: drop.ok()?, acknowledge, circle, ticked: Some(ticked) })
}

/// `POST /held/{id}/release`
pub(super) async fn release(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    let Some(wish) = wish(&fields) else { return answer::bad_form(c) };
    // a request to remove recipients that names none is a mistake, and must not send to everybody
    if value(&fields, "leave").is_some() && wish.drop.is_empty() {
        return answer::refused(c, id, &DeskError::NobodyDropped);
    }
    match site.desk.release_as(&who, id, &wish).await {
        Ok(released) => {
            tracing::info!(%id, by = who.name, how = %released.how, copies = released.copies, "released on a page");
            onward(&c, id)
        }
        Err(error) => answer::refused(c, id, &error),
    }
}

/// `POST /held/{id}/return`
pub(super) async fn give_back(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    match give_back_or_take(&site.desk, &who, id, &reason(&c.t, &fields)).await {
        Ok(()) => {
            tracing::info!(%id, by = who.name, "returned on a page");
            onward(&c, id)
        }
        Err(error) => answer::refused(c, id, &error),
    }
}

/// Returns a mail to its sender. If its sender does this, it is a take-back, which can be undone.
pub(super) async fn give_back_or_take(
    desk: &Desk,
    who: &Principal,
    id: Id,
    reason: &str,
) -> Result<(), DeskError> {
    let item = desk.item_seen_by(who, id).await?;
    if who.sent(&Parties::of(&item)) {
        desk.take_back(who, id).await
    } else {
        desk.give_back(who, id, reason).await
    }
}

/// The reason of a return: the chosen one, then the text.
pub(in crate::web) fn reason(t: &Words, fields: &Fields) -> String {
    let chosen = value(fields, "canned").and_then(|name| canned::sentence(name, t.tongue.language()));
    let chosen = chosen.unwrap_or_default();
    let written = value(fields, "reason").unwrap_or_default().trim();
    let whole =
        [chosen.as_str(), written].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
    whole.join("\n").chars().take(LONGEST_REASON).collect()
}

/// `POST /held/{id}/take-back`
pub(super) async fn take_back(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    match site.desk.take_back(&who, id).await {
        Ok(()) => {
            tracing::info!(%id, by = who.name, "taken back on a page");
            onward(&c, id)
        }
        Err(error) => answer::refused(c, id, &error),
    }
}

/// `POST /held/{id}/undo`: holds a decided message again if it was not sent yet.
pub(super) async fn undo(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    let Visit { who, c } = visit;
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    match site.desk.undo(&who, id).await {
        Ok(()) => {
            tracing::info!(%id, by = who.name, "undone on a page");
            Redirect::to(&format!("/held/{id}{}", c.filters_and("undone=1"))).into_response()
        }
        Err(error) => answer::refused(c, id, &error),
    }
}

/// The page of one decision, which asks for confirmation.
#[derive(Template)]
#[template(path = "act.html")]
struct Act {
    c: Chrome,
    id: Id,
    subject: String,
    kind: Kind,
    sentence: String,
    sum: String,
    /// The risks that remain in this way of sending; each has to be ticked.
    ticks: Vec<RiskText>,
    /// Whether outsiders would see each other.
    shows: bool,
    /// Recipients that can be removed.
    people: Vec<String>,
    /// Places to acknowledge, each with the addresses found there.
    places: Vec<Place>,
    /// Whether individual copies are safe.
    open: bool,
    /// The number of outsiders for whom a circle can be made; 0 if the person may not create circles.
    together: usize,
    /// The usual reasons for a return.
    canned: [&'static str; 3],
    /// The durations of a circle in days, and the default.
    spans: [u64; 5],
    usual: u64,
}

#[derive(PartialEq, Eq)]
enum Kind {
    AsIs,
    LeaveOut,
    GiveBack,
}

struct Place {
    /// The place as the audit writes it, which the checkbox stands for.
    name: String,
    /// The place in words.
    said: String,
    addresses: Vec<String>,
}

/// `GET /held/{id}/as-is`
pub(super) async fn as_is(State(site): State<Arc<Site>>, visit: Visit, Path(id): Path<String>) -> Response {
    ask(&site, visit, &id, Kind::AsIs).await
}

/// `GET /held/{id}/drop`
pub(super) async fn leave_out(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    ask(&site, visit, &id, Kind::LeaveOut).await
}

/// `GET /held/{id}/return`
pub(super) async fn return_form(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    ask(&site, visit, &id, Kind::GiveBack).await
}

async fn ask(site: &Site, visit: Visit, id: &str, kind: Kind) -> Response {
    let Ok(id) = id.parse::<Id>() else { return answer::gone(visit.c) };
    match prepare(&site.desk, &visit, id, kind).await {
        Ok(act) => show(StatusCode::OK, &act),
        Err(error) => answer::refused(visit.c, id, &error),
    }
}

async fn prepare(desk: &Desk, visit: &Visit, id: Id, kind: Kind) -> Result<Act, DeskError> {
    let Visit { who, c } = visit.clone().at("list");
    let dossier = desk.dossier(&who, id).await?;
    let row = dossier.message.held.clone().ok_or(DeskError::NeverHeld(id))?;
    crate::desk::decide::undecided(&row)?;
    let parties = &dossier.parties;
    let allowed = match kind {
        Kind::AsIs => who.may_release(parties, How::AsIs, false),
        Kind::LeaveOut => who.may_release(parties, How::Split, true),
        Kind::GiveBack => who.may_return(parties),
    };
    if !allowed {
        return Err(DeskError::NotAllowed(format!("{} may not do that", who.name)));
    }
    let headline = super::sentence::headline(&c.t, &row);
    let how = if kind == Kind::AsIs { How::AsIs } else { How::Split };
    let recipients = dossier.message.envelope.recipients.iter();
    Ok(Act {
        subject: super::parts::subject(&c.t, &row.subject),
        sentence: headline.text,
        sum: headline.sum,
        ticks: to_tick(&c.t, &row.risks, how),
        shows: row.risks.iter().any(|risk| risk.kind == risks::Kind::Exposed),
        people: if kind == Kind::LeaveOut {
            recipients.map(|to| calm(to.address.as_str(), LONGEST)).collect()
        } else {
            Vec::new()
        },
        places: if kind == Kind::AsIs { places(&dossier, &c.t) } else { Vec::new() },
        together: if kind == Kind::AsIs && makes(&who) { together(&dossier) } else { 0 },
        canned: CANNED,
        spans: SPANS,
        usual: USUAL,
        open: kind != Kind::LeaveOut || dossier.copies(How::Split, &[]).is_ok(),
        id,
        kind,
        c,
    })
}

/// The number of outsiders who would see each other.
fn together(dossier: &Dossier) -> usize {
    dossier.seen.as_ref().map_or(0, |seen| {
        let outside = seen.facts.visible.iter().filter(|shown| !shown.internal);
        outside.map(|shown| shown.mailbox.address.key()).collect::<HashSet<_>>().len()
    })
}

/// The places where the audit found something in the unmodified message, in order.
fn places(dossier: &Dossier, t: &Words) -> Vec<Place> {
    let hits = dossier.copies(How::AsIs, &[]).map(|(_, hits)| hits).unwrap_or_default();
    let mut places: Vec<Place> = Vec::new();
    for hit in hits {
        let address = calm(hit.address.as_str(), LONGEST);
        match places.iter_mut().find(|place| place.name == hit.place) {
            Some(place) if place.addresses.len() < 20 => place.addresses.push(address),
            Some(_) => {}
            None => {
                let said = in_words(&hit.place, t.tongue.language());
                places.push(Place { name: hit.place, said, addresses: vec![address] });
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn forms_that_no_page_sends_ask_for_nothing() {
        let good = wish(&fields(&[
            ("as", "as-is"),
            ("drop", "a@x.jp"),
            ("acknowledge", "Subject"),
            ("drop", "b@y.jp"),
        ]));
        let good = good.unwrap();
        assert_eq!((good.how, good.drop.len(), good.acknowledge.len()), (How::AsIs, 2, 1));
        let circle = [("as", "as-is"), ("remember", "yes"), ("name", "Board"), ("days", "90")];
        assert_eq!(wish(&fields(&circle)).unwrap().circle, Some(("Board".to_owned(), 90 * 86_400)));
        assert!(wish(&fields(&[&[("as", "split")], &circle[1..]].concat())).is_none());
        assert!(wish(&fields(&[])).is_none());
        assert!(wish(&fields(&[("as", "everything")])).is_none());
        assert!(wish(&fields(&[("as", "split"), ("drop", "no address")])).is_none());
        assert!(wish(&fields(&vec![("as", "split"); MOST_FIELDS + 1])).is_none());
    }
}
