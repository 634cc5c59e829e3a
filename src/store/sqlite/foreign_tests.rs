//! Foreign changes are recorded by the person who looked at them, and never linked silently. What the relay itself
//! linked is never removed because of them.

use super::*;
use crate::id::Id;
use crate::store::chain::Verified;
use crate::store::chain::format;
use crate::store::contract::{LEASE, NOW, at, held_message, message, result};
use crate::store::prelude::*;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::*;
use crate::store::{DeliveryState, HeldDecision, HeldState, InitialState, Retention};
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

struct Relay {
    _folder: TempDir,
    database: PathBuf,
}

impl Relay {
    /// Message 1 delivered, 2 held, 3 waiting.
    async fn filled() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Self { database: folder.path().join("sekisho.db"), _folder: folder };
        let store = relay.open();
        store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
        let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
        store.record(result(&claim, at(1), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
        store.accept(held_message(2, &["a@x.example"])).await.unwrap();
        store.accept(message(3, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
        relay
    }

    /// The held message is returned, on record.
    async fn with_a_decision(self) -> Self {
        let returned = HeldDecision {
            events: vec![crate::journal::Event::Returned { by: "soumu".to_owned(), reason: "no".to_owned() }],
            ..HeldDecision::new(Id::new(NOW, 2), HeldState::Returned, "soumu", at(2), "no")
        };
        self.open().decide(returned).await.unwrap();
        self
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.database, Options::default()).unwrap()
    }

    fn sql(&self, change: &str) {
        Connection::open(&self.database).unwrap().execute_batch(change).unwrap();
    }

    fn accept(&self) -> Result<Option<Accepted>, StoreError> {
        SqliteStore::accept_foreign(&self.database, None, "root", "restored by hand", at(5))
    }

    async fn verify(&self) -> Verified {
        self.open().verify_chain().await.unwrap()
    }
}

const FOREIGN_END: &str = "INSERT INTO chain (entry, digest) VALUES (9 << 24, zeroblob(32))";
const FORGED_LINK: &str =
    "INSERT INTO chain (entry, digest, mac) SELECT entry, digest, mac FROM chain WHERE seq = 1";
const FORGED_RELEASE: &str = r#"UPDATE held SET state = 1, decided_by = 'boss', decided_at = 1, decision = 'as-is'
        WHERE message = 2;
    INSERT INTO journal (row, at, event)
        VALUES ((2 << 24) + 1, 1, '{"event":"released","by":"boss","how":"as-is","dropped":[]}');
    INSERT INTO chain (entry, digest) VALUES ((2 << 24) + 1, zeroblob(32));"#;
const FORGED_PURGE: &str = "INSERT INTO purges (messages) VALUES ('[3]');
    INSERT INTO chain (entry, digest) SELECT -max(row), zeroblob(32) FROM purges;
    DELETE FROM contents WHERE message = 3; DELETE FROM deliveries WHERE row >> 24 = 3;
    DELETE FROM messages WHERE row = 3;";

/// Every kind of foreign row is found, and some stop the relay. Once it is recorded, the relay serves again, and
/// every later verification mentions it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_is_recorded_and_told_of_for_ever() {
    for (forged, stops) in [
        (FOREIGN_END, true),
        (FORGED_LINK, true),
        (FORGED_RELEASE, true),
        (FORGED_PURGE, true),
        ("INSERT INTO purges (messages) VALUES ('[3]')", false),
        ("UPDATE messages SET subject = 'other' WHERE row = 3", false),
        ("UPDATE held SET decided_by = 'boss' WHERE message = 2", false),
        ("DELETE FROM deliveries WHERE row >> 24 = 1", false),
    ] {
        let mut relay = Relay::filled().await;
        if forged.starts_with("UPDATE held SET decided_by") {
            relay = relay.with_a_decision().await;
        }
        relay.sql(forged);
        let store = relay.open();
        assert_eq!(store.accept(message(8, &[], InitialState::Ready)).await.is_err(), stops, "{forged}");
        drop(store);
        assert!(relay.verify().await.broken.is_some(), "{forged}");
        let accepted = relay.accept().unwrap().unwrap_or_else(|| panic!("nothing found: {forged}"));
        assert!(accepted.entries >= 1);
        let found = relay.verify().await;
        assert_eq!((found.broken, found.accepted), (None, vec![accepted]), "{forged}");
        let store = relay.open();
        store.accept(message(9, &[], InitialState::Ready)).await.unwrap();
        assert_eq!(store.verify_chain().await.unwrap().broken, None, "{forged}");
        drop(store);
        assert_eq!(relay.accept().unwrap(), None, "what is known is not found anew: {forged}");
    }
}

/// A record covers what was there when somebody looked, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_no_licence() {
    let subject = |text| format!("UPDATE messages SET subject = '{text}' WHERE row = 3");
    let relay = Relay::filled().await;
    relay.sql(&subject("other"));
    relay.accept().unwrap().unwrap();
    relay.sql(&subject("another"));
    assert!(relay.verify().await.broken.unwrap().1.contains("the acceptance of"));
    relay.sql(&subject("other"));
    assert_eq!(relay.verify().await.broken, None);
    for changed in [
        "UPDATE foreign_accepted SET why = 'other'",
        "UPDATE foreign_accepted SET by = 'boss'",
        "DELETE FROM foreign_accepted",
    ] {
        let relay = Relay::filled().await;
        relay.sql(&subject("other"));
        relay.accept().unwrap().unwrap();
        relay.sql(changed);
        assert!(relay.verify().await.broken.is_some(), "{changed}");
    }
    // A record that somebody else wrote is one more foreign row.
    let relay = Relay::filled().await;
    relay.sql(&subject("other"));
    let found = relay.verify().await.broken.unwrap();
    let text = r#"{"taken_off":[],"differs":[]}"#;
    let hash = format::hex(&format::foreign(1, 1, "root", "fine", text));
    relay.sql(&format!(
        "INSERT INTO foreign_accepted VALUES (1, 1, 'root', 'fine', '{text}');
         INSERT INTO chain (entry, digest, kind) VALUES (1, x'{hash}', 3)"
    ));
    assert!(relay.verify().await.broken.is_some(), "{found:?}");
}

/// What the relay linked is never removed, whatever comes before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_was_changed_inside_is_not_mended() {
    for changed in [
        "UPDATE chain SET digest = zeroblob(32) WHERE seq = 1",
        "UPDATE chain SET mac = zeroblob(32) WHERE seq = 1",
        "DELETE FROM chain WHERE seq = 2",
    ] {
        let relay = Relay::filled().await;
        relay.sql(changed);
        let before = relay.verify().await;
        let error = relay.accept().unwrap_err().to_string();
        assert!(error.contains("no record can mend that"), "{changed}: {error}");
        assert_eq!(relay.verify().await, before, "{changed}: something was written");
    }
    let relay = Relay::filled().await;
    assert_eq!(relay.accept().unwrap(), None);
}

/// A record is removed only when nothing is left of what it covers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_goes_with_what_it_names() {
    let keep = Retention { contents: LEASE, messages: LEASE, ledger: LEASE, knowledge: LEASE };
    let relay = Relay::filled().await;
    relay.sql("UPDATE messages SET subject = 'other' WHERE row = 2");
    relay.accept().unwrap().unwrap();
    let store = relay.open();
    store.purge(at(600), keep).await.unwrap();
    let found = store.verify_chain().await.unwrap();
    assert_eq!((found.broken, found.accepted.len()), (None, 1), "message 2 is still held");
    let id = Id::new(NOW, 2);
    store.decide(HeldDecision::new(id, HeldState::Returned, "soumu", at(6), "no")).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    store.record(result(&claim, at(1), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    for later in [7, 8, 9] {
        store.accept(message(later * 10, &[], InitialState::Ready)).await.unwrap();
        store.purge(at(600 + later), keep).await.unwrap();
        assert_eq!(store.verify_chain().await.unwrap().broken, None);
    }
}

/// Verifying the whole chain works while the relay writes, purges and cuts, and finds no fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_look_meanwhile_finds_nothing() {
    let relay = Relay::filled().await;
    let store = std::sync::Arc::new(relay.open());
    let keep = Retention { contents: LEASE, messages: LEASE, ledger: LEASE, knowledge: LEASE };
    let writer = std::sync::Arc::clone(&store);
    let writing = tokio::spawn(async move {
        for number in 100..220 {
            writer.accept(held_message(number, &["a@x.example"])).await.unwrap();
            let id = Id::new(NOW, number);
            let decision = HeldDecision::new(id, HeldState::Returned, "soumu", at(2), "no");
            writer.decide(decision).await.unwrap();
            if number % 10 == 0 {
                writer.purge(at(600), keep).await.unwrap();
            }
        }
    });
    let mut looks = 0;
    while !writing.is_finished() {
        assert_eq!(store.verify_chain().await.unwrap().broken, None);
        looks += 1;
    }
    writing.await.unwrap();
    assert!(looks > 1);
    assert_eq!(store.verify_chain().await.unwrap().broken, None);
}
