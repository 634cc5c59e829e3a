//! A database of the release before, with deliveries in every state and holds in it, and with addresses that
//! the grammar for input would refuse today.

use super::*;
use crate::message::HeaderEdits;
use crate::store::chain::ChainStore;
use crate::store::contract::{LEASE, NOW, at, result};
use crate::store::learned::LearnedStore;
use crate::store::{DeliveryState, HeldDecision, HeldState};

/// The schema up to this version.
const BEFORE: [&str; 8] = [
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
    include_str!("schema-8.sql"),
];

/// Stored by an earlier grammar: the present one takes none but the first.
const ADDRESSES: [&str; 5] =
    ["a@x.example", "a b@x.example", "山田、太郎@x.example", "a@x..example", "a(b@x_.example"];

/// A copy as it was encoded before copies had a version.
fn unversioned(to: &str) -> Vec<u8> {
    let recipients = vec![(to, None::<()>, None::<()>)];
    postcard::to_stdvec(&(recipients, HeaderEdits::default(), false, Vec::<String>::new(), false)).unwrap()
}

/// The message of which the first copy was delivered.
const DELIVERED: i64 = 6;

fn fill(db: &Connection) {
    for step in BEFORE {
        db.execute_batch(step).unwrap();
    }
    let mut row = 0_i64;
    let mut message = |to: &str, at: Timestamp| {
        row += 1;
        let id = Id::new(at, row.unsigned_abs());
        db.execute(
            "INSERT INTO messages (row, id, received, people, message_id, subject, action, exposures, prevented, \
             events) VALUES (?1, ?2, ?3, ?4, 'm@x', 'old', 'pass', 0, 0, '[]')",
            rusqlite::params![row, id.as_str(), at.0, format!("\nsato@example.co.jp\n{to}\n")],
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
        row
    };
    for to in ADDRESSES {
        // ready, waiting, uncertain, sending, paused, delivered, failed, dropped
        for state in 0..8_i64 {
            let row = message(to, NOW);
            let due = (state < 4).then_some(NOW.0);
            db.execute(
                "INSERT INTO deliveries VALUES (?1, ?2, ?3, 1, 1, 0, ?4, ?5, 1, '450 later', ?6)",
                rusqlite::params![
                    (row << 24) + 1,
                    state,
                    due,
                    NOW.0,
                    (state == 5).then_some(NOW.0),
                    unversioned(to)
                ],
            )
            .unwrap();
        }
        let row = message(to, NOW);
        db.execute(
            "INSERT INTO held (message, state, kind, expires, reasons, hits, item) \
             VALUES (?1, 0, 0, ?2, '[[\"why\",\"なぜ\"]]', '[]', ?1)",
            [row, at(60).0],
        )
        .unwrap();
    }
    let disclosed = r#"{"message_id":"m@x","from":null,"addresses":["a@x.example","b@y.example"]}"#;
    db.execute(
        "INSERT INTO ledger (week, message_id, message, disclosed) VALUES (?1, 'm@x', ?2, ?3)",
        rusqlite::params![encode::week(NOW), DELIVERED, disclosed],
    )
    .unwrap();
    db.execute_batch("PRAGMA user_version = 8; PRAGMA application_id = 1399155561;").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_of_the_release_before_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("sekisho.db");
    fill(&Connection::open(&database).unwrap());
    let store = SqliteStore::open(&database, Options::default()).unwrap();
    store.recover(at(1)).await.unwrap();
    let all = QueueFilter { all: true, ..QueueFilter::default() };
    assert_eq!(store.queue(&all).await.unwrap().len(), 8 * ADDRESSES.len());

    // What was delivered before is learned from, and account is kept since then.
    let through = store.through(0).await.unwrap().mails;
    assert_eq!(through.len(), 1);
    assert_eq!((through[0].number, through[0].reached.len()), (DELIVERED, 1));
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
        assert!(!store.journal(claim.message).await.unwrap().is_empty());
    }
    let held = store.held(&HeldFilter::default()).await.unwrap();
    assert_eq!(held.len(), ADDRESSES.len());
    for row in held {
        assert_eq!(row.reasons, ["why"]);
        let back = HeldDecision::new(row.id, HeldState::Returned, "soumu", at(3), "no");
        store.decide(back).await.unwrap();
    }
    assert_eq!(store.verify_chain().await.unwrap().broken, None);
    store.purge(at(999_999), Retention::default()).await.unwrap();
    assert_eq!(store.verify_chain().await.unwrap().broken, None);
}
