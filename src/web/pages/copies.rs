//! `/held/ID/copies`: what each recipient would get, before and after, for each way of sending.

use super::super::Site;
use super::super::words::calm;
use super::answer;
use super::visit::{Chrome, Visit, show};
use crate::desk::DeskError;
use crate::desk::dossier::{Closed, Dossier};
use crate::desk::wish::How;
use crate::id::Id;
use crate::message::header::decode_text;
use crate::message::{Address, Header};
use crate::rewrite::plan::Copies as Made;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Recipients on one page.
const ON_A_PAGE: usize = 25;
/// Longest address field shown, in characters.
const LONGEST_FIELD: usize = 4_000;
/// Longest other line shown, in characters.
const LONGEST_LINE: usize = 300;
/// Most changed lines listed for one copy.
const MOST_LINES: usize = 80;

/// The address fields that one recipient sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Side {
    /// To, decoded.
    pub to: String,
    /// Cc, decoded.
    pub cc: String,
}

/// One recipient's copy, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Pair {
    /// The recipient.
    pub recipient: String,
    /// As the sender wrote it.
    pub before: Side,
    /// As it would be sent; `None` if this recipient gets no copy.
    pub after: Option<Side>,
    /// Header lines that the copy lacks, without To and Cc.
    pub lacks: Vec<String>,
    /// Header lines that the copy has instead, without To and Cc.
    pub has: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    #[serde(default, rename = "as")]
    how: How,
    #[serde(default)]
    page: usize,
}

#[derive(Template)]
#[template(path = "copies.html")]
struct Copies {
    c: Chrome,
    id: Id,
    how: How,
    subject: String,
    pairs: Vec<Pair>,
    /// Why the mail cannot be sent in this way, in a sentence.
    closed: Option<String>,
    total: usize,
    first: usize,
    last: usize,
    page: usize,
    pages: usize,
}

impl Copies {
    fn tabs(&self) -> [(How, bool); 3] {
        [How::Split, How::Bcc, How::AsIs].map(|how| (how, how == self.how))
    }
}

/// `GET /held/{id}/copies`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let dossier = match site.desk.dossier(&who, id).await {
        Ok(dossier) if who.may_read(&dossier.parties) => dossier,
        Ok(_) => return answer::refused(c, id, &DeskError::NotAllowed(String::new())),
        Err(error) => return answer::refused(c, id, &error),
    };
    let Some(row) = &dossier.message.held else { return answer::gone(c) };
    let recipients = &dossier.message.envelope.recipients;
    let total = recipients.len();
    let pages = total.div_ceil(ON_A_PAGE).max(1);
    let page = asked.page.min(pages - 1);
    let shown: Vec<&Address> =
        recipients.iter().skip(page * ON_A_PAGE).take(ON_A_PAGE).map(|to| &to.address).collect();
    let (pairs, closed) = match pairs(&dossier, asked.how, &shown) {
        Ok(pairs) => (pairs, None),
        Err(Closed::Audit(_)) => (Vec::new(), Some(c.t.p("desk-note-audit").to_string())),
        Err(Closed::Unreadable(_)) => (Vec::new(), Some(c.t.p("desk-note-unreadable").to_string())),
    };
    let subject = super::parts::subject(&c.t, &row.subject);
    let first = page * ON_A_PAGE + 1;
    let last = (page * ON_A_PAGE + shown.len()).max(first);
    show(
        StatusCode::OK,
        &Copies { id, how: asked.how, subject, pairs, closed, total, first, last, page, pages, c },
    )
}

/// These recipients' copies, before and after.
pub(in crate::web) fn pairs(
    dossier: &Dossier,
    how: How,
    recipients: &[&Address],
) -> Result<Vec<Pair>, Closed> {
    let (after, _) = dossier.copies(how, &[])?;
    compared(dossier, &after, recipients)
}

/// The same for copies that have been built already.
pub(super) fn compared(
    dossier: &Dossier,
    after: &Made,
    recipients: &[&Address],
) -> Result<Vec<Pair>, Closed> {
    let original = dossier.message.header.clone();
    let written = Header::parse(original).map_err(|error| Closed::Unreadable(error.to_string()))?;
    let before = Side::of(&written);
    let mut theirs: HashMap<&Address, usize> = HashMap::new();
    for (number, delivery) in after.deliveries.iter().enumerate() {
        theirs.extend(delivery.recipients().iter().map(|to| (&to.address, number)));
    }
    // a copy for several people is built, marked and signed only once
    let mut made: HashMap<usize, Option<After>> = HashMap::new();
    Ok(recipients
        .iter()
        .map(|recipient| {
            let number = theirs.get(recipient).copied();
            let after = number.and_then(|number| {
                let copy = || dossier.header_of(&after.deliveries[number]);
                made.entry(number).or_insert_with(|| Some(After::of(&written, &copy()?))).clone()
            });
            let After { side, lacks, has } = after.unwrap_or_default();
            Pair {
                recipient: calm(recipient.as_str(), LONGEST_LINE),
                before: before.clone(),
                after: side,
                lacks,
                has,
            }
        })
        .collect())
}

/// A copy as it would be sent; the default is none.
#[derive(Clone, Default)]
struct After {
    side: Option<Side>,
    lacks: Vec<String>,
    has: Vec<String>,
}

impl After {
    fn of(written: &Header, copy: &Header) -> Self {
        let (lacks, has) = changes(written, copy);
        Self { side: Some(Side::of(copy)), lacks, has }
    }
}

impl Side {
    fn of(header: &Header) -> Self {
        let field = |name: &str| {
            let all: Vec<String> = header.named(name).map(|field| decode_text(header.body(field))).collect();
            calm(&all.join(", "), LONGEST_FIELD)
        };
        Self { to: field("to"), cc: field("cc") }
    }
}

/// Fields that only one of the two headers has, without To and Cc.
fn changes(before: &Header, after: &Header) -> (Vec<String>, Vec<String>) {
    let lines = |header: &Header| -> Vec<String> {
        let other = |name: &[u8]| !name.eq_ignore_ascii_case(b"to") && !name.eq_ignore_ascii_case(b"cc");
        let fields = header.fields().iter().filter(|field| other(header.name(field)));
        fields
            .map(|field| {
                let name = String::from_utf8_lossy(header.name(field)).into_owned();
                calm(&format!("{name}: {}", decode_text(header.body(field))), LONGEST_LINE)
            })
            .collect()
    };
    let (before, after) = (lines(before), lines(after));
    let without = |all: &[String], other: &[String]| {
        let other: HashSet<&String> = other.iter().collect();
        all.iter().filter(|line| !other.contains(line)).take(MOST_LINES).cloned().collect()
    };
    (without(&before, &after), without(&after, &before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_line_by_line() {
        let header = |text: &'static str| Header::parse(bytes::Bytes::from_static(text.as_bytes())).unwrap();
        let before =
            header("From: a@x.jp\r\nTo: b@y.jp, c@z.jp\r\nX-Trace: 1\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\n");
        let after =
            header("Received: by us\r\nFrom: a@x.jp\r\nTo: b@y.jp\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\n");
        let (lacks, has) = changes(&before, &after);
        assert_eq!(lacks, ["X-Trace: 1"]);
        assert_eq!(has, ["Received: by us"]);
        assert_eq!(Side::of(&before), Side { to: "b@y.jp, c@z.jp".to_owned(), cc: String::new() });
    }
}
