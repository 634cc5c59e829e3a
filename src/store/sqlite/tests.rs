//! The contract, and what is specific to SQLite: damage, full disks, old and foreign files.

use super::*;
use crate::id::Id;
use crate::store::InitialState;
use crate::store::contract::{Harness, NOW, at, contract_tests, message};
use crate::store::prelude::*;
use crate::store::sql::{accept, encode, repeats};
use crate::store::*;
use crate::store::{HeldFilter, QueueFilter};
use rusqlite::Connection;
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn database(&self) -> std::path::PathBuf {
        self.0.path().join("sekisho.db")
    }

    fn open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self.database(), Options::default())
    }
}

impl Harness for Folder {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.open().unwrap())
    }
}

contract_tests! { Folder::new();
    accepts_and_reads_back, accepts_many_at_once, one_refused_harms_no_other, bodies_come_back,
    orphans_are_swept, a_refused_message_leaves_no_body, finds_messages, own_mail_has_no_sender,
    purges_what_is_done, knowledge_outlives_a_restart_until_its_time,
    correspondents_are_those_reached, correspondents_are_forgotten_in_time, days_and_waits_are_counted, passkeys_are_their_owners, own_mail_is_found,
    claims_what_is_due, nobody_claims_twice, results_and_mail_come_at_once, a_fresh_delivery_is_claimed, stale_leases_are_fenced,
    recipients_part_ways, uncertain_is_flagged, recovers_after_a_crash, filters_the_queue,
    operators_change_the_queue, tells_what_was_spent, failed_is_retried_on_request, thousands_of_copies,
    holds_and_releases, one_of_many_decides, expires_no_sooner, stops_what_is_unsent,
    notices_are_answered_once, failures_are_reported, the_last_failure_is_reported_at_once,
    the_ledger_remembers, summarises,
    what_would_have_been_stands_apart, totals_never_fall, finds_by_subject,
    keeps_sessions, languages_are_kept, codes_are_good_once, tokens_have_names, links_are_used_once, lists_within_a_scope,
    absences_come_and_go, deputies_are_asked_about_what_waits, who_was_told_is_known, asked_as_is_is_found,
    asks_are_answered_once, digests_take_all_that_waits, untried_mail_is_noted, hooks_are_told,
    the_same_is_kept_once, what_failed_may_come_again, what_went_back_may_come_again, of_many_the_same_one_is_kept,
    transactions_are_one_item, an_item_is_decided_whole, taking_held_mail_back_is_undone,
    delayed_mail_is_taken_back, delayed_mail_goes_now_or_is_held, a_release_is_undone_before_it_leaves, an_undone_release_is_no_failure,
    an_undone_release_joins_what_waits, what_is_dropped_on_its_way_may_come_again_later,
    what_arrived_after_all_is_sent_again_marked,
    a_clock_that_was_set_back_leaves_no_held_mail_out,
    what_may_have_arrived_is_sent_again_marked,
    what_was_returned_in_between_is_sent_again_marked,
    circles_come_and_go, connections_read_after_a_rest, the_chain_holds,
    what_is_learned_counts_once, strangers_are_told_apart, people_are_forgotten, knowledge_has_its_time,
    two_nodes_claim_apart, a_lease_is_of_one_node, two_nodes_keep_the_same_once, two_nodes_make_one_item,
    what_one_node_changes_the_other_sees, two_nodes_tell_once, two_nodes_escalate_once,
    an_ended_circle_exempts_nowhere, two_nodes_look_after_it_at_once, two_nodes_call_once,
    a_rate_is_one_for_all_nodes, blocks_add_up_to_the_rate, a_budget_is_one_for_all_nodes,
    attempts_count_at_all_nodes, once_is_once_for_all_nodes, secrets_are_replaced_by_one, a_task_is_led_by_one,
    what_was_delivered_teaches, answers_are_those_of_a_plain_look, knowledge_is_shown,
}

fn refusal(result: Result<SqliteStore, StoreError>) -> (String, String) {
    let error = result.err().unwrap();
    (format!("{error:?}").split('(').next().unwrap().to_owned(), error.to_string())
}

/// Without space, requests are refused as `Full` and the stored data can still be read; with space again, everything
/// works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_survived() {
    let folder = Folder::new();
    let small = Options { max_pages: Some(170), ..Options::default() };
    let store = Arc::new(SqliteStore::open(folder.database(), small).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for random in 0..200 {
        let store = store.clone();
        let mut new = message(random, &[&["a@x.example"]], InitialState::Ready);
        new.body = Body::Inline(vec![b'x'; 4_000].into());
        tasks.spawn(async move { (new.id, store.accept(new).await) });
    }
    let (mut kept, mut full) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            (id, Ok(_)) => kept.push(id),
            (_, Err(StoreError::Full(_))) => full += 1,
            (id, other) => panic!("{id}: {other:?}"),
        }
    }
    assert!(kept.len() > 50 && full > 50, "{} kept, {full} refused", kept.len());
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap().len(), kept.len());
    drop(store);
    let store = folder.open().unwrap();
    for id in kept {
        assert!(store.message(id).await.is_ok(), "{id} was accepted and is lost");
    }
    store.accept(message(999, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    for random in 0..50 {
        store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    }
    drop(store);
    let whole = std::fs::read(folder.database()).unwrap();
    let mut scrambled = whole.clone();
    scrambled[8192..].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a);
    let cases: [(&str, Vec<u8>); 3] = [
        ("no database at all", b"this is a text, and has been one for a long time".repeat(100)),
        ("cut short", whole[..whole.len() / 2].to_vec()),
        ("scrambled", scrambled),
    ];
    for (name, bytes) in cases {
        std::fs::write(folder.database(), bytes).unwrap();
        let (kind, text) = refusal(folder.open());
        assert_eq!(kind, "Corrupt", "{name}: {text}");
        assert!(text.contains("sekisho.db") && text.contains(".recover"), "{name}: {text}");
    }
    std::fs::write(folder.database(), whole).unwrap();
    assert!(folder.open().is_ok());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    std::fs::write(folder.0.path().join("file"), "x").unwrap();
    for place in ["/nonexistent/sekisho.db".into(), folder.0.path().join("file/sekisho.db")] {
        let (kind, text) = refusal(SqliteStore::open(&place, Options::default()));
        assert_eq!(kind, "Unavailable");
        assert!(text.contains(place.to_str().unwrap()) && text.contains("folder must exist"), "{text}");
    }
    let (_, text) = refusal(SqliteStore::open(folder.0.path(), Options::default()));
    assert!(text.contains(folder.0.path().to_str().unwrap()), "{text}");
}

#[test]
fn newer_and_foreign_databases_are_refused() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let raw = Connection::open(folder.database()).unwrap();
    raw.pragma_update(None, "user_version", 1_000).unwrap();
    drop(raw);
    let (_, text) = refusal(folder.open());
    assert!(text.contains("newer sekisho") && text.contains("1000"), "{text}");

    let folder = Folder::new();
    let raw = Connection::open(folder.database()).unwrap();
    raw.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(raw);
    let (_, text) = refusal(folder.open());
    assert!(text.contains("some other program"), "{text}");
}

/// A database of the first version, with mail in it, is brought up to date, and its mail is sent.
#[tokio::test]
async fn the_first_version_is_brought_up() {
    let folder = Folder::new();
    let raw = Connection::open(folder.database()).unwrap();
    raw.execute_batch(include_str!("schema-1.sql")).unwrap();
    raw.execute_batch(
        r#"INSERT INTO messages VALUES (1, '01js9nx1r00000aa', 1760000000000, char(10) || 'sato@example.co.jp' ||
               char(10) || 'a@x.example' || char(10), NULL, 'm@x', 'old', 'hold', 2, 0, '[]');
           INSERT INTO contents VALUES (1, NULL, 4, '{"origin":{"from":"own","about":null},"envelope":{"sender":
               "sato@example.co.jp","recipients":[{"address":"a@x.example"}],"smtputf8":false,
               "eight_bit":false,"ret":null,"envid":null},"verdict":null}', '[]', x'413a0d0a', x'0d0a410a');
           INSERT INTO held VALUES (1, 0, 0, 1760000000000, '[["why","なぜ"]]', '[]', NULL, NULL, NULL);
           INSERT INTO notices VALUES (1, 1, 0, 1760000000000, 0);
           PRAGMA user_version = 1;
           PRAGMA application_id = 1399155561;"#,
    )
    .unwrap();
    drop(raw);
    let store = folder.open().unwrap();
    let held = store.held(&HeldFilter::default()).await.unwrap();
    assert_eq!((held[0].sender.as_str(), held[0].reasons[0].as_str()), ("sato@example.co.jp", "why"));
    let kept = store.message(held[0].id).await.unwrap();
    assert_eq!((kept.subject.as_str(), kept.body.size()), ("old", 4));
    assert_eq!(store.due_notices(NOW, 9).await.unwrap().len(), 1);
    let totals = store.totals(NOW.minus(Duration::from_hours(1))).await.unwrap();
    assert_eq!(totals.done.accepted.into_iter().collect::<Vec<_>>(), [("hold".to_owned(), 1)]);
    let found = store.find("OLD", 1).await.unwrap();
    assert_eq!((found[0].action.as_str(), found[0].would.as_deref()), ("hold", None));
}

/// A failed flush is reported once, and nothing is confirmed after it.
#[tokio::test]
async fn nothing_is_promised_after_a_failed_flush() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    let on_fatal: OnFatal = Arc::new(move |why: &str| hear.lock().unwrap().push(why.to_owned()));
    let folder = Folder::new();
    let store = SqliteStore::open(folder.database(), Options { on_fatal, ..Options::default() }).unwrap();
    let flush = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Failure::from(rusqlite::Error::SqliteFailure(code, None))
    };
    let failed: Result<(), StoreError> = store.write(move |_| Err(flush())).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    let later = store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await;
    assert!(matches!(later, Err(StoreError::Unavailable(_))), "{later:?}");
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.message(crate::id::Id::new(NOW, 1)).await, Err(StoreError::NotFound(_))));
    assert_eq!(heard.lock().unwrap().len(), 1);
}

/// A request that fails half-way leaves nothing behind; the others of the same commit are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_leaves_nothing() {
    let folder = Folder::new();
    let store = Arc::new(folder.open().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for random in 0..60 {
        let store = store.clone();
        tasks.spawn(async move {
            if random % 3 == 0 {
                let rows =
                    encode::MessageRows::of(&message(random, &[&["a@x.example"]], InitialState::Ready));
                let rows = rows.unwrap();
                let failed: Result<(), StoreError> = store
                    .write(move |tx| {
                        accept::insert(tx, &rows, &mut repeats::Repeats::default())?;
                        tx.execute("INSERT INTO probe (row, beat) VALUES (1, 0)", [])?;
                        Ok(())
                    })
                    .await;
                assert!(failed.is_err());
            } else {
                store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap().len(), 40);
}

/// The log is moved into the database while mail is accepted, and starts over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_bounded() {
    let folder = Folder::new();
    let store = Arc::new(folder.open().unwrap());
    let log = || std::fs::metadata(folder.0.path().join("sekisho.db-wal")).map_or(0, |log| log.len());
    let (mut written, mut bounded) = (0_u64, false);
    // The test stops once much more was written than the log holds, however slow the machine is.
    for round in 0..20_u64 {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8_u64 {
            let store = store.clone();
            tasks.spawn(async move {
                for turn in 0..200 {
                    let random = (round * 8 + task) * 1_000 + turn;
                    let mut new = message(random, &[&["a@x.example"]], InitialState::Ready);
                    new.body = Body::Inline(vec![b'x'; 20_000].into());
                    store.accept(new).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        written += 8 * 200 * 20_000;
        bounded = written > 64 << 20 && log() < written / 2;
        if bounded {
            break;
        }
    }
    assert!(bounded, "the log has grown to {} octets of about {written} written", log());
    assert!(store.claim(at(1), 1, Duration::from_secs(9)).await.unwrap().len() == 1);
}

/// Every change to the journal is found, and named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_journal_is_found() {
    for (change, named) in [
        (
            "UPDATE journal SET event = replace(event, 'expired', 'released') WHERE row = (3 << 24) + 1",
            "entry 1 of",
        ),
        ("UPDATE messages SET people = people || 'x' WHERE row = 2", "the acceptance of"),
        ("DELETE FROM journal WHERE row = (3 << 24) + 1", "no purge removed it"),
        ("DELETE FROM chain WHERE seq = 2", "taken out of the chain"),
        ("UPDATE chain SET digest = zeroblob(32), mac = NULL WHERE seq = 6", "not as it was written"),
        ("UPDATE chain SET mac = zeroblob(32) WHERE seq = 4", "not what the key makes"),
        ("INSERT INTO journal (row, at, event) VALUES ((2 << 24) + 9, 1, '{}')", "past the chain"),
        ("INSERT INTO purges (messages) VALUES ('[3]'); DELETE FROM journal WHERE row >> 24 = 3", ""),
    ] {
        let folder = Folder::new();
        let store = folder.open().unwrap();
        for random in 0..4 {
            let new = message(random, &[&["a@x.example"]], InitialState::Ready);
            store.accept(new.clone()).await.unwrap();
            store.enter(new.id, at(1), crate::journal::Event::Expired {}, Vec::new()).await.unwrap();
        }
        assert_eq!(store.verify_chain().await.unwrap().broken, None);
        drop(store);
        rusqlite::Connection::open(folder.database()).unwrap().execute_batch(change).unwrap();
        let found = folder.open().unwrap().verify_chain().await.unwrap();
        let (_, why) = found.broken.unwrap_or_else(|| panic!("not found: {change}"));
        assert!(why.contains(named), "{change}: {why}");
    }
}

/// Entries past their retention leave the chain. The rest verifies from the cut, which only the holder of the key can
/// make.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_is_cut_behind_what_is_past_its_time() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let keep = Retention {
        contents: Duration::from_mins(1),
        messages: Duration::from_mins(1),
        ledger: Duration::from_mins(1),
        knowledge: Duration::from_mins(1),
    };
    let old = |random| message(random, &[], InitialState::Ready);
    for random in 0..30 {
        store.accept(old(random)).await.unwrap();
    }
    let before = store.verify_chain().await.unwrap();
    let first = store.purge(at(60), keep).await.unwrap();
    assert_eq!((first.messages, first.chain), (30, 30), "the purge's own record stays");
    let after = store.verify_chain().await.unwrap();
    assert_eq!((after.head.entries, after.cut, after.purged, after.broken.clone()), (31, 30, 0, None));
    assert_ne!(after.head.link, before.head.link);
    let mut young = crate::store::contract::held_message(1, &["a@x.example"]);
    (young.received, young.id) = (at(100), Id::new(at(100), 1));
    store.accept(young.clone()).await.unwrap();
    assert_eq!(store.purge(at(101), keep).await.unwrap().chain, 1, "now the record is past its time too");
    store.enter(young.id, at(102), crate::journal::Event::Expired {}, Vec::new()).await.unwrap();
    // A mail that is still stored keeps its entries, and those after them.
    let mut late = old(99);
    (late.received, late.id) = (at(102), Id::new(at(102), 2));
    store.accept(late).await.unwrap();
    assert_eq!(store.purge(at(102 + 60), keep).await.unwrap().chain, 0);
    let end = store.verify_chain().await.unwrap();
    assert_eq!((end.cut, end.broken), (31, None));
    drop(store);
    for (change, named) in [
        ("DELETE FROM chain_cut", "taken out of the chain"),
        ("UPDATE chain_cut SET first = 40", "not by whoever has the key"),
        ("DELETE FROM chain WHERE seq = 32; UPDATE chain_cut SET seq = 32", "not by whoever has the key"),
        ("UPDATE journal SET at = at + 1", "not as it was written"),
        ("INSERT INTO journal (row, at, event) VALUES ((2 << 24) + 9, 1, '{}')", "past the chain"),
    ] {
        let copy = Folder::new();
        for file in std::fs::read_dir(folder.0.path()).unwrap().map(Result::unwrap) {
            if file.path().is_file() {
                std::fs::copy(file.path(), copy.0.path().join(file.file_name())).unwrap();
            }
        }
        let db = rusqlite::Connection::open(copy.database()).unwrap();
        db.execute_batch(change).unwrap();
        drop(db);
        let store = copy.open().unwrap();
        let (_, why) = store.verify_chain().await.unwrap().broken.unwrap_or_else(|| panic!("{change}"));
        assert!(why.contains(named), "{change}: {why}");
        // A chain that does not verify is not cut.
        let cut = store.purge(at(9_999), keep).await.unwrap().chain;
        assert!(cut == 0 || !change.contains("chain_cut"), "{change}");
        assert!(store.verify_chain().await.unwrap().broken.is_some(), "{change}: cut away");
    }
}
