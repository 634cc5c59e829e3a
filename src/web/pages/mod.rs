//! The pages of the desk: rendered on the server, with plain forms, one decision per page.
//!
//! * [`visit`] the visitor, the language, and what every page has
//! * `list` the list; `bulk` one decision on several messages; `live` responses for polling scripts
//! * `held` the page of a message; `act` decisions; `copies` previews of copies
//! * `sentence` a message in one sentence, before and after the decision
//! * `risks` the risks, and the checkboxes for them
//! * `people` its recipients; `mailtext` its text and attachments; `content` its HTML in a frame, and
//!   attachments to save
//! * `account` passkeys and sessions; `away` absences and deputies
//! * `asking` a sender asks to send it as it is; `decide` an approver's link in a mail
//! * `circles` the circles; `mine` a person's own mail; `admin` the relay, its queue, users, tokens
//! * `trace` the history of a message, `timeline` in words; `report` statistics, with `chart` and `csv`
//! * `answer` error pages

mod account;
pub(super) mod act;
mod admin;
pub(super) mod answer;
mod asking;
mod away;
mod bulk;
mod chart;
mod circles;
mod content;
pub(super) mod copies;
mod csv;
pub(super) mod decide;
mod filters;
mod form;
mod held;
mod list;
mod live;
mod mailtext;
mod mine;
mod parts;
mod people;
mod report;
pub(super) mod risks;
mod sentence;
mod timeline;
mod trace;
pub mod visit;

use super::routes::Routes;

/// Every page's route.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/", list::page)
        .get("/now", list::now)
        .get("/bulk", bulk::confirm)
        .post("/bulk", bulk::act)
        .get("/held/{id}", held::page)
        .get("/held/{id}/now", held::now::now)
        .post("/held/{id}/release", act::release)
        .get("/held/{id}/as-is", act::as_is)
        .get("/held/{id}/drop", act::leave_out)
        .get("/held/{id}/return", act::return_form)
        .post("/held/{id}/return", act::give_back)
        .post("/held/{id}/take-back", act::take_back)
        .post("/held/{id}/undo", act::undo)
        .get("/held/{id}/ask", asking::form)
        .post("/held/{id}/ask", asking::ask)
        .get("/held/{id}/copies", copies::page)
        .get("/held/{id}/html", content::html)
        .get("/held/{id}/attachment/{number}", content::attachment)
        .get("/m/{id}", trace::page)
        .post("/m/{id}/again", trace::again)
        .get("/report", report::page)
        .get("/report.csv", report::table)
        .get("/circles", circles::page)
        .post("/circles", circles::make)
        .post("/circles/{circle}/end", circles::end)
        .post("/language", visit::language)
        .get("/mine", mine::page)
        .post("/m/{id}/take-back", mine::take_back)
        .post("/m/{id}/undo", mine::undo)
        .post("/m/{id}/now", mine::now)
        .and(account::routes())
        .and(admin::routes())
}
