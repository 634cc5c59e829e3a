//! What somebody who has the database, but not the key, can do to the journal: every change is found, while the relay
//! runs and afterwards.

use super::*;
use crate::id::Id;
use crate::journal::Event;
use crate::store::HeldState;
use crate::store::InitialState;
use crate::store::chain::Head;
use crate::store::contract::{LEASE, NOW, at, held_message, message, result};
use crate::store::prelude::*;
use crate::store::*;
use crate::store::{DeliveryState, HeldDecision};
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

struct Relay {
    _folder: TempDir,
    database: PathBuf,
}

impl Relay {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("sekisho.db");
        Self { _folder: folder, database }
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.database, Options::default()).unwrap()
    }

    fn forge(&self, change: &str) {
        Connection::open(&self.database).unwrap().execute_batch(change).unwrap();
    }

    /// Message 1 delivered, 2 held and returned, 3 held, 4 waiting.
    async fn fill(&self, store: &SqliteStore) {
        store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
        let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
        store.record(result(&claim, at(1), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
        for random in [2, 3] {
            store.accept(held_message(random, &["a@x.example"])).await.unwrap();
        }
        let returned = HeldDecision {
            events: vec![Event::Returned { by: "soumu".to_owned(), reason: "no".to_owned() }],
            ..HeldDecision::new(Id::new(NOW, 2), HeldState::Returned, "soumu", at(2), "no")
        };
        store.decide(returned).await.unwrap();
        store.accept(message(4, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
        assert_eq!(store.verify_chain().await.unwrap().broken, None);
    }
}

/// Whether the relay still accepts mail.
async fn serves(store: &SqliteStore) -> bool {
    let ready = store.ready().await.is_ok();
    let accepted = store.accept(message(99, &[&["a@x.example"]], InitialState::Ready)).await.is_ok();
    assert_eq!(ready, accepted);
    ready
}

const FORGED_PURGE: &str = "INSERT INTO purges (messages) VALUES ('[4]');
    INSERT INTO chain (entry, digest) SELECT -max(row), zeroblob(32) FROM purges;
    DELETE FROM contents WHERE message = 4; DELETE FROM deliveries WHERE row >> 24 = 4;
    DELETE FROM messages WHERE row = 4;";
const FORGED_RELEASE: &str = r#"UPDATE held SET state = 1, decided_by = 'boss', decided_at = 1, decision = 'as-is'
        WHERE message = 3;
    INSERT INTO journal (row, at, event)
        VALUES ((3 << 24) + 1, 1, '{"event":"released","by":"boss","how":"as-is","dropped":[]}');
    INSERT INTO chain (entry, digest) VALUES ((3 << 24) + 1, zeroblob(32));"#;
const TRUNCATED: &str =
    "DELETE FROM chain WHERE seq > 4; DELETE FROM journal; DELETE FROM messages WHERE row > 2;";

/// Entries that somebody else wrote, or removed from the end, are never linked: the relay stops at its next commit,
/// and `audit verify` names them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_stops_a_running_relay() {
    for (forged, named) in [
        (FORGED_PURGE, "past the chain|never linked|not as it was written"),
        (FORGED_RELEASE, "not as it was written|never linked"),
        (TRUNCATED, ""),
        ("INSERT INTO chain (entry, digest) VALUES (5 << 24, zeroblob(32))", "gone|never linked"),
        (
            "INSERT INTO chain (entry, digest, mac) SELECT entry, digest, mac FROM chain WHERE seq = 1",
            "not what the key makes",
        ),
    ] {
        let relay = Relay::new();
        let store = relay.open();
        relay.fill(&store).await;
        let head = store.chain_head().await.unwrap();
        relay.forge(forged);
        assert!(!serves(&store).await, "it went on: {forged}");
        let found = store.verify_chain_from(Some(head)).await.unwrap().broken;
        let (_, why) = found.unwrap_or_else(|| panic!("not found: {forged}"));
        assert!(named.split('|').any(|part| why.contains(part)), "{forged}: {why}");
    }
    let relay = Relay::new();
    let store = relay.open();
    relay.fill(&store).await;
    assert!(serves(&store).await, "where nobody wrote, all goes on");
}

/// The same changes while the relay is down are found at its start, or by verifying the whole chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_while_nobody_looks_is_found() {
    for (forged, named) in [
        (FORGED_PURGE, "not as it was written"),
        (FORGED_RELEASE, ""),
        ("UPDATE held SET decided_by = 'boss' WHERE message = 2", "what was decided on"),
        ("UPDATE held SET decision = 'as-is' WHERE message = 2", "what was decided on"),
        (
            "UPDATE held SET state = 0, decided_by = NULL, decided_at = NULL, decision = NULL WHERE message = 2",
            "what was decided on",
        ),
        ("DELETE FROM held WHERE message = 2", "what was decided on"),
        ("UPDATE deliveries SET reply = '250 other' WHERE row = (1 << 24) + 1", "the success of delivery"),
        ("UPDATE deliveries SET ended = ended + 1 WHERE row = (1 << 24) + 1", "the success of delivery"),
        ("UPDATE deliveries SET state = 7 WHERE row = (1 << 24) + 1", "the success of delivery"),
        (
            "UPDATE deliveries SET copy = CAST(copy || x'00' AS BLOB) WHERE row = (1 << 24) + 1",
            "the success of delivery",
        ),
        ("DELETE FROM deliveries WHERE row = (1 << 24) + 1", "the success of delivery"),
        ("UPDATE deliveries SET state = 5, ended = 1 WHERE row = (4 << 24) + 1", "past the chain"),
        ("UPDATE messages SET subject = 'other' WHERE row = 2", "the acceptance of"),
        ("UPDATE messages SET sealed = NULL WHERE row = 2", "the acceptance of"),
        (
            "UPDATE contents SET header = CAST(header || x'0d0a' AS BLOB) WHERE message = 2",
            "the acceptance of",
        ),
        ("UPDATE chain SET kind = 1 WHERE seq = 1", "what was decided on"),
        ("UPDATE chain SET kind = 3 WHERE seq = 1", "and no purge removed it"),
        ("UPDATE chain SET kind = 4 WHERE seq = 1", "not as it was written"),
        ("UPDATE chain SET kind = 0 WHERE kind = 1 AND entry = 2 << 24", "not as it was written"),
        ("DELETE FROM chain WHERE seq = 3", "taken out of the chain"),
    ] {
        let relay = Relay::new();
        let store = relay.open();
        relay.fill(&store).await;
        drop(store);
        relay.forge(forged);
        let store = relay.open();
        let (_, why) =
            store.verify_chain().await.unwrap().broken.unwrap_or_else(|| panic!("not found: {forged}"));
        assert!(why.contains(named), "{forged}: {why}");
        if forged == FORGED_PURGE || forged == FORGED_RELEASE {
            assert!(!serves(&store).await, "{forged}");
        }
    }
}

/// An end that was removed while the relay was down is found by a head that was published before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_was_put_out_finds_what_was_taken_off() {
    let relay = Relay::new();
    let store = relay.open();
    store.accept(message(7, &[], InitialState::Ready)).await.unwrap();
    let early = store.chain_head().await.unwrap();
    for random in [8, 9] {
        store.accept(message(random, &[], InitialState::Ready)).await.unwrap();
    }
    let late = store.chain_head().await.unwrap();
    for head in [&early, &late] {
        let read: Head = head.to_string().parse().unwrap();
        assert_eq!(read, *head);
        let found = store.verify_chain_from(Some(read)).await.unwrap();
        assert_eq!((found.broken, found.compared), (None, true));
    }
    let other = Head { link: "0".repeat(64), ..early.clone() };
    let (at, why) = store.verify_chain_from(Some(other)).await.unwrap().broken.unwrap();
    assert!(at == early.entries && why.contains("written anew"), "{why}");
    drop(store);
    relay.forge(
        "DELETE FROM chain WHERE seq > 1; DELETE FROM journal; DELETE FROM deliveries; DELETE FROM held;
         DELETE FROM messages WHERE row > 1;",
    );
    let store = relay.open();
    assert_eq!(store.verify_chain().await.unwrap().broken, None, "it cannot be told from the database alone");
    assert_eq!(store.verify_chain_from(Some(early)).await.unwrap().broken, None);
    let (_, why) = store.verify_chain_from(Some(late)).await.unwrap().broken.unwrap();
    assert!(why.contains("its end was taken off"), "{why}");
    for text in ["", "1", "x:00", "1:zz", &format!("1:{}", "0".repeat(63))] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
}

/// The chain verifies after ordinary decisions and after undoing them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_that_are_undone_verify() {
    let relay = Relay::new();
    let store = relay.open();
    relay.fill(&store).await;
    let back = |minute| HeldDecision {
        undo_until: Some(at(60)),
        ..HeldDecision::new(Id::new(NOW, 3), HeldState::Returned, "sato", at(minute), "mine")
    };
    for minute in 3..6 {
        store.decide(back(minute)).await.unwrap();
        let again = crate::store::forks::Again {
            id: Id::new(NOW, 3),
            by: "sato".to_owned(),
            at: at(minute),
            expires: at(90),
        };
        store.hold_again(again).await.unwrap();
        assert_eq!(store.verify_chain().await.unwrap().broken, None);
    }
    let keep = Retention { contents: LEASE, messages: LEASE, ledger: LEASE, knowledge: LEASE };
    store.purge(at(600), keep).await.unwrap();
    assert_eq!(store.verify_chain().await.unwrap().broken, None);
}
