//! Databases of every earlier schema, with deliveries in every state, holds, notices and whatever else that schema
//! has, and with addresses that the present input grammar refuses.

use super::*;
use crate::id::Id;
use crate::message::HeaderEdits;
use crate::store::contract::{LEASE, NOW, at, result};
use crate::store::prelude::*;
use crate::store::sql::encode;
use crate::store::*;
use crate::store::{
    AskWhy, DeliveryState, HeldDecision, HeldFilter, HeldState, HookEvent, NoticeKind, QueueFilter,
};
use rusqlite::Connection;

/// Addresses that an earlier grammar accepted; the present one accepts only the first.
const ADDRESSES: [&str; 5] =
    ["a@x.example", "a b@x.example", "山田、太郎@x.example", "a@x..example", "a(b@x_.example"];

/// A copy as it was encoded before copies had a version.
fn unversioned(to: &str) -> Vec<u8> {
    let recipients = vec![(to, None::<()>, None::<()>)];
    postcard::to_stdvec(&(recipients, HeaderEdits::default(), false, Vec::<String>::new(), false)).unwrap()
}

/// The message whose first copy was delivered.
const DELIVERED: i64 = 6;

/// A delayed message that its sender took back; from version 3 on.
fn taken_back() -> Id {
    Id::new(at(1), 9_001)
}

/// A held message, and another transaction of its mail that joined it; from version 3 on.
const ITEM: usize = 8;
const JOINED: i64 = 9_002;

fn message(db: &Connection, row: i64, id: Id, to: &str) {
    db.execute(
        "INSERT INTO messages (row, id, received, people, message_id, subject, action, exposures, prevented, \
         events) VALUES (?1, ?2, ?3, ?4, 'm@x', 'old', 'pass', 0, 0, '[]')",
        rusqlite::params![row, id.as_str(), NOW.0, format!("\nsato@example.co.jp\n{to}\n")],
    )
    .unwrap();
    let meta = serde_json::json!({
        "origin": {"from": "client", "peer": "192.0.2.7:1", "helo": "x", "identity": null},
        "envelope": {"sender": "sato@example.co.jp", "recipients": [{"address": to}], "smtputf8": false,
            "eight_bit": false, "ret": null, "envid": null},
        "verdict": null
    });
    db.execute(
        "INSERT INTO contents VALUES (?1, NULL, 4, ?2, ?3, x'413a0d0a', x'0d0a410a')",
        rusqlite::params![row, meta.to_string(), serde_json::json!([to]).to_string()],
    )
    .unwrap();
}

fn delivery(
    db: &Connection,
    message: i64,
    state: i64,
    due: Option<i64>,
    attempts: i64,
    reply: &str,
    to: &str,
) {
    db.execute(
        "INSERT INTO deliveries VALUES (?1, ?2, ?3, 1, ?4, 0, ?5, ?6, 1, ?7, ?8)",
        rusqlite::params![
            (message << 24) + 1,
            state,
            due,
            attempts,
            NOW.0,
            (state == 5).then_some(NOW.0),
            reply,
            unversioned(to)
        ],
    )
    .unwrap();
}

fn held(db: &Connection, version: usize, message: i64) {
    db.execute(
        "INSERT INTO held (message, state, kind, expires, reasons, hits) \
         VALUES (?1, 0, 0, ?2, '[[\"why\",\"なぜ\"]]', '[]')",
        [message, at(60).0],
    )
    .unwrap();
    if version >= 3 {
        db.execute("UPDATE held SET item = message WHERE message = ?1", [message]).unwrap();
    }
}

/// Fills a database as a relay with this schema would leave it.
fn fill(db: &Connection, version: usize) {
    for step in &schema::MIGRATIONS[..version] {
        db.execute_batch(step).unwrap();
    }
    let mut row = 0_i64;
    for to in ADDRESSES {
        // ready, waiting, uncertain, sending, paused, delivered, failed, dropped
        for state in 0..8_i64 {
            row += 1;
            message(db, row, Id::new(NOW, row.unsigned_abs()), to);
            delivery(db, row, state, (state < 4).then_some(NOW.0), 1, "450 later", to);
            db.execute(
                "INSERT INTO journal VALUES (?1, ?2, '{\"event\":\"expired\"}')",
                [(row << 24) + 1, NOW.0],
            )
            .unwrap();
        }
        row += 1;
        message(db, row, Id::new(NOW, row.unsigned_abs()), to);
        held(db, version, row);
        // One to the sender, one to the approvers, and one that was sent.
        for (kind, state) in [(0, 0), (1, 0), (6, 1)] {
            db.execute(
                "INSERT INTO notices (message, kind, due, state) VALUES (?1, ?2, ?3, ?4)",
                [row, kind, NOW.0, state],
            )
            .unwrap();
        }
        if version >= 2 {
            db.execute("INSERT INTO held_approvers VALUES ('soumu@example.co.jp', ?1)", [row]).unwrap();
        }
        if version >= 5 {
            for (why, digest) in [(0, 0), (2, 1)] {
                db.execute(
                    "INSERT INTO asks (message, approver, why, digest, due, state) \
                     VALUES (?1, 'Soumu@example.co.jp', ?2, ?3, ?4, 0)",
                    [row, why, digest, NOW.0],
                )
                .unwrap();
            }
        }
    }
    if version >= 3 {
        message(db, JOINED, Id::new(NOW, JOINED.unsigned_abs()), "later@x.example");
        held(db, version, JOINED);
        db.execute("UPDATE held SET item = ?1 WHERE message = ?2", [item(), JOINED]).unwrap();
        db.execute("UPDATE held SET members = 2 WHERE message = ?1", [item()]).unwrap();
        if version >= 4 {
            // A relay with terms stores none for a member, which is found by its item.
            db.execute("DELETE FROM held_terms WHERE message = ?1", [JOINED]).unwrap();
        }
        let taken = 9_001;
        message(db, taken, taken_back(), "a@x.example");
        delivery(db, taken, 7, None, 0, "taken back by its sender before it was sent", "a@x.example");
        db.execute("INSERT INTO taken (message, at, by) VALUES (?1, ?2, 'sato')", [taken, NOW.0]).unwrap();
        db.execute(
            "INSERT INTO circles (name, members, expires, made_by, made_at) VALUES ('c', '[\"a@x.example\"]', ?1, \
             'soumu', 1)",
            [at(60).0],
        )
        .unwrap();
    }
    if version >= 5 {
        db.execute("INSERT INTO hooks VALUES ('https://h.example/', 3)", []).unwrap();
        db.execute(
            "INSERT INTO hook_calls (message, url, state, kind, expires, at, due) \
             VALUES (?1, 'https://h.example/', 0, 0, ?2, ?3, 0)",
            [item(), at(60).0, NOW.0],
        )
        .unwrap();
    }
    let disclosed = r#"{"message_id":"m@x","from":null,"addresses":["a@x.example","b@y.example"]}"#;
    db.execute(
        "INSERT INTO ledger (week, message_id, message, disclosed) VALUES (?1, 'm@x', ?2, ?3)",
        rusqlite::params![encode::week(NOW), DELIVERED, disclosed],
    )
    .unwrap();
    if version >= 12 {
        // A relay with this schema records both as mail is delivered.
        db.execute("INSERT INTO untaught (message) VALUES (?1)", [DELIVERED]).unwrap();
        db.execute("UPDATE learning SET began = ?1", [NOW.0]).unwrap();
    }
    db.execute_batch(&format!("PRAGMA user_version = {version}; PRAGMA application_id = 1399155561;"))
        .unwrap();
}

/// The row of the held message that another joined.
fn item() -> i64 {
    i64::try_from(ITEM + 1).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_of_every_earlier_release_goes_on() {
    for version in 1..=schema::MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("sekisho.db");
        fill(&Connection::open(&database).unwrap(), version);
        let store = SqliteStore::open(&database, Options::default()).unwrap();
        store.recover(at(1)).await.unwrap();
        people_are_told(&store, version).await;
        copies_go_on(&store, version).await;
        holds_are_decided(&store, version).await;
        assert_eq!(store.verify_chain().await.unwrap().broken, None, "{version}");
        store.purge(at(999_999), Retention::default()).await.unwrap();
        assert_eq!(store.verify_chain().await.unwrap().broken, None, "{version}");
    }
}

/// Which transactions were of one mail before it was noted (version 18) is noted by the step.
#[test]
fn earlier_transactions_are_noted_by_their_step() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("sekisho.db");
    let db = Connection::open(&database).unwrap();
    fill(&db, 17);
    for (row, fork) in [(20_001, "7"), (20_002, "8"), (20_003, "7"), (20_004, "7"), (20_005, "9")] {
        message(&db, row, Id::new(NOW, row.cast_unsigned()), "a@x.example");
        let fork = format!("{}{row}", fork.repeat(24)).into_bytes();
        db.execute("UPDATE messages SET fork = ?2 WHERE row = ?1", rusqlite::params![row, fork]).unwrap();
    }
    drop(db);
    drop(SqliteStore::open(&database, Options::default()).unwrap());
    let db = Connection::open(&database).unwrap();
    let mut noted = db.prepare("SELECT message, earlier FROM later_transactions ORDER BY message").unwrap();
    let noted = noted.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let noted: Vec<(i64, i64)> = noted.map(Result::unwrap).filter(|(message, _)| *message > 20_000).collect();
    assert_eq!(noted, [(20_003, 20_001), (20_004, 20_001)]);
}

/// Pending notices and hook calls are still due after the upgrade.
async fn people_are_told(store: &SqliteStore, version: usize) {
    let notices = store.due_notices(at(1), 99).await.unwrap();
    for kind in [NoticeKind::Held, NoticeKind::HeldApprovers] {
        assert_eq!(notices.iter().filter(|one| one.kind == kind).count(), ADDRESSES.len(), "{version}");
    }
    assert_eq!(notices.len(), 2 * ADDRESSES.len(), "what was sent is not sent again: {version}");
    let asks = store.due_asks(at(1), 99).await.unwrap();
    assert_eq!(asks.len(), if version >= 5 { 2 * ADDRESSES.len() } else { 0 }, "{version}");
    assert!(asks.iter().all(|ask| matches!(ask.why, AskWhy::Asked | AskWhy::Escalated)));
    let calls = store.due_hooks(at(1), 99).await.unwrap();
    // Before version 8 a trigger called a hook for every transaction that was held.
    assert_eq!(!calls.is_empty(), version >= 5, "{version}");
    assert!(calls.iter().all(|call| call.event == HookEvent::Held));
}

async fn copies_go_on(store: &SqliteStore, version: usize) {
    let all = QueueFilter { all: true, ..QueueFilter::default() };
    let taken = usize::from(version >= 3);
    assert_eq!(store.queue(&all).await.unwrap().len(), 8 * ADDRESSES.len() + taken, "{version}");

    // Mail that was delivered before the upgrade is learned from, and `began` is set to that time.
    let through = store.through(None).await.unwrap().mails;
    assert_eq!(through.len(), 1);
    assert_eq!((through[0].id.for_engine(), through[0].reached.len()), (DELIVERED, 1));
    let began = store.began().await.unwrap().0;
    assert!(began <= NOW && NOW.since(began) < std::time::Duration::from_hours(24 * 7));

    let claims = store.claim(at(1), 99, LEASE).await.unwrap();
    assert_eq!(claims.len(), 4 * ADDRESSES.len(), "ready, waiting, uncertain, and what was being sent");
    for claim in &claims {
        let to = claim.delivery.recipients()[0].address.clone();
        assert!(ADDRESSES.contains(&to.as_str()));
        let kept = store.message(claim.message).await.unwrap();
        assert_eq!((&kept.envelope.recipients[0].address, kept.needles.len()), (&to, 1));
        let mut done = result(claim, at(2), &[]);
        done.recipients.push((
            to,
            crate::store::RecipientResult {
                state: DeliveryState::Delivered,
                reply: "250".to_owned(),
                due: None,
            },
        ));
        store.record(done).await.unwrap();
        assert!(store.journal(claim.message).await.unwrap().len() > 1);
    }
    if version >= 3 {
        assert_eq!(store.undo_take_back(taken_back(), "sato", at(2)).await.unwrap(), 1, "{version}");
        assert_eq!(store.claim(at(2), 9, LEASE).await.unwrap().len(), 1, "{version}");
    }
}

async fn holds_are_decided(store: &SqliteStore, version: usize) {
    let found = store.held(&HeldFilter::default()).await.unwrap();
    assert_eq!(found.len(), ADDRESSES.len(), "{version}");
    let page = store.held_page(&crate::store::HeldQuery::new(Scope::All)).await.unwrap();
    // There were no terms before version 4: its step creates them, for items only.
    assert_eq!(page.lines.len(), ADDRESSES.len(), "{version}");
    for row in found {
        assert_eq!(row.reasons, ["why"]);
        let asked: &[&str] = if version >= 2 { &["soumu@example.co.jp"] } else { &[] };
        assert_eq!(row.approvers, asked, "{version}");
        let joined = version >= 3 && row.id == Id::new(NOW, item().unsigned_abs());
        assert_eq!((row.members, row.recipients.len()), if joined { (2, 2) } else { (1, 1) }, "{version}");
        let back = HeldDecision {
            undo_until: Some(at(60)),
            ..HeldDecision::new(row.id, HeldState::Returned, "soumu", at(3), "no")
        };
        store.decide(back.clone()).await.unwrap();
        assert_eq!(store.members(row.id).await.unwrap().len(), row.members);
        let by = "sato".to_owned();
        let again = crate::store::forks::Again { id: row.id, by, at: at(4), expires: at(90) };
        store.hold_again(again).await.unwrap();
        store.decide(HeldDecision { at: at(5), ..back }).await.unwrap();
    }
    assert_eq!(store.circles().await.unwrap().len(), usize::from(version >= 3), "{version}");
}
