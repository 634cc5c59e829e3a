//! The desk's pages: server-made, plain forms, one decision a page.
//!
//! * [`visit`] who looks at a page, in which language, and what every page has
//! * `list` what waits; `bulk` the same decision on several; `live` what open pages are told
//! * `held` one message and what may be done with it; `act` the decisions; `copies` what each would get
//! * `sentence` a message in one sentence, before and after it was decided
//! * `risks` what is dangerous about it, and the ticks that are asked for
//! * `people` its recipients; `mailtext` its text and attachments as the page shows them; `content` its HTML in
//!   a frame of its own, and attachments to be saved
//! * `account` passkeys, and where somebody is signed in; `away` who decides while they are away
//! * `asking` the sender asks that it leave as it is; `decide` an approver's link out of a mail
//! * `circles` who may see each other; `mine` one's own mail; `admin` the relay, its queue, users, tokens
//! * `trace` what happened to a message, `timeline` in words; `report` numbers, with its `chart` and `csv`
//! * `answer` pages for what did not work out

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
