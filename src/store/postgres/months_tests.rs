//! Contents and the journal by month: months that turn, numbers of other months, parts that are missing, kept and
//! taken away.

use super::connect::Use;
use super::months::Month;
use super::tests::Database;
use super::*;
use crate::clock::SystemClock;
use crate::journal::Event;
use crate::store::chain::ChainStore;
use crate::store::contract::{held_message, message};
use crate::store::copy::{self, Side};
use crate::store::*;
use std::time::Duration;

fn open(database: &Database, node: &str) -> SqlStore {
    let options = database.options(node);
    std::thread::spawn(move || SqlStore::open_postgres(options)).join().unwrap().unwrap()
}

/// A connection of somebody else.
fn session(database: &Database) -> session::Session {
    let place = database.options("").place;
    std::thread::spawn(move || place.connect(Use::Setup, "somebody")).join().unwrap().unwrap()
}

fn said(session: session::Session, text: &'static str) -> session::Session {
    let all = move || {
        session.batch(text).unwrap();
        session
    };
    std::thread::spawn(all).join().unwrap()
}

fn this_month() -> Month {
    Month::of(SystemClock.now())
}

/// A minute after a month began.
fn within(month: Month) -> Timestamp {
    Timestamp(month.begins().0 + 60_000)
}

/// Sets the database's clock.
fn set_clock(database: &Database, at: Timestamp) {
    let at = at.0;
    database.sql(&format!(
        "CREATE OR REPLACE FUNCTION now_in_millis() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$ SELECT {at}::BIGINT $$; \
         SELECT 1"
    ));
}

/// Both clocks say that a month has begun.
async fn begin(database: &Database, month: Month, stores: &[&SqlStore]) {
    set_clock(database, within(month));
    for store in stores {
        store.note_time(within(month), within(month)).await.unwrap();
    }
}

/// Mail without copies: nothing is left to do for it.
async fn accept(store: &SqlStore, random: u64) {
    store.accept(message(random, &[], InitialState::Ready)).await.unwrap();
}

fn count(database: &Database, table: &str) -> i64 {
    database.sql(&format!("SELECT count(*) FROM {table}"))
}

fn exists(database: &Database, table: &str) -> bool {
    database.sql(&format!("SELECT count(*) FROM pg_class WHERE relname = '{table}' AND relkind = 'r'")) == 1
}

fn highest(database: &Database) -> i64 {
    database.sql("SELECT max(row) FROM messages")
}

fn keep(days: u64) -> Retention {
    let span = Duration::from_secs(days * 86_400);
    Retention { contents: span, messages: span, ledger: span, knowledge: span }
}

async fn is_whole(store: &SqlStore) -> bool {
    store.verify_chain().await.unwrap().broken.is_none()
}

/// Two nodes accept mail while a month turns, and one of them notes it: what both accept goes on in the new month, and
/// nothing is lost or numbered twice. After clocks went back a month, and after a restart, it goes on there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_turns_while_two_nodes_accept() {
    let (database, month) = (Database::new(), this_month());
    let (one, two) = (Arc::new(open(&database, "one")), Arc::new(open(&database, "two")));
    begin(&database, month, &[&one, &two]).await;
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 1..=6 {
        let store = Arc::clone(if lane % 2 == 0 { &one } else { &two });
        lanes.spawn(async move {
            for random in 0..20 {
                accept(&store, 1_000 * lane + random).await;
            }
        });
    }
    accept(&two, 1).await;
    begin(&database, month.after(1), &[&one]).await;
    accept(&one, 2).await;
    accept(&two, 3).await;
    lanes.join_all().await;
    let (old, new) = (month.part("contents"), month.after(1).part("contents"));
    assert_eq!(count(&database, "messages"), 123);
    assert_eq!(count(&database, &old) + count(&database, &new), 123);
    assert!(count(&database, &old) > 0 && count(&database, &new) > 1);
    assert!(is_whole(&one).await && is_whole(&two).await);

    let reached = highest(&database);
    assert!(reached > month.after(1).base());
    begin(&database, month, &[&one, &two]).await;
    accept(&one, 4).await;
    accept(&two, 5).await;
    drop((one, two));
    let one = open(&database, "one");
    begin(&database, month, &[&one]).await;
    accept(&one, 6).await;
    assert_eq!(highest(&database), reached + 3);
    assert!(is_whole(&one).await);
}

/// A turn that was undone is made when the time is noted again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_was_undone_is_made_again() {
    let (database, month) = (Database::new(), this_month());
    let store = open(&database, "one");
    begin(&database, month, &[&store]).await;
    accept(&store, 1).await;
    let next = month.after(1);
    set_clock(&database, within(next));
    let refused: Result<(), StoreError> = store
        .write(move |tx| {
            months::turn(tx, within(next))?;
            Err(StoreError::Fenced.into())
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Fenced)));
    accept(&store, 2).await;
    assert_eq!(highest(&database), month.base() + 1);
    begin(&database, next, &[&store]).await;
    accept(&store, 3).await;
    assert_eq!(highest(&database), next.base());
    assert!(is_whole(&store).await);
}

/// The journal of a message stands in its month's part, whenever it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_of_a_message_stays_in_its_month() {
    let (database, month) = (Database::new(), this_month());
    let store = open(&database, "one");
    begin(&database, month, &[&store]).await;
    let held = held_message(1, &["a@x.example"]);
    store.accept(held.clone()).await.unwrap();
    begin(&database, month.after(1), &[&store]).await;
    accept(&store, 2).await;
    store.enter(held.id, within(month.after(1)), Event::Expired {}, Vec::new()).await.unwrap();
    assert_eq!(count(&database, &month.part("journal")), 1);
    assert_eq!(count(&database, &month.after(1).part("journal")), 0);
    assert_eq!(store.journal(held.id).await.unwrap().len(), 2);
}

/// A month whose parts nobody made: mail goes on with the numbers of the month before, until they are made. A number
/// that no part takes stands in the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_on_in_a_month_without_parts() {
    let (database, month) = (Database::new(), this_month());
    let store = open(&database, "one");
    begin(&database, month, &[&store]).await;
    let late = month.after(5);
    begin(&database, late, &[&store]).await;
    accept(&store, 1).await;
    assert_eq!(count(&database, &month.part("contents")), 1);
    store.purge(within(late), keep(9_999)).await.unwrap();
    begin(&database, late, &[&store]).await;
    accept(&store, 2).await;
    assert_eq!(count(&database, &late.part("contents")), 1);

    let later = late.after(9);
    database.sql(&format!(
        "WITH now AS (UPDATE last_purged SET message = {} RETURNING 1) SELECT count(*) FROM now",
        later.base()
    ));
    drop(store);
    let store = open(&database, "one");
    // They are made for the numbers of messages, too, wherever they are.
    for part in [later.part("contents"), later.part("journal")] {
        database.sql(&format!("DROP TABLE {part}; SELECT 1"));
    }
    accept(&store, 3).await;
    assert_eq!(count(&database, "contents_rest"), 1);
    // A part of that month cannot be made beside what stands in the rest; the next one can.
    set_clock(&database, within(later));
    store.purge(within(later), keep(9_999)).await.unwrap();
    assert!(!exists(&database, &later.part("contents")));
    assert!(exists(&database, &later.after(1).part("contents")));
    accept(&store, 4).await;
    assert_eq!(count(&database, "contents_rest"), 2);
    begin(&database, later.after(1), &[&store]).await;
    accept(&store, 5).await;
    assert_eq!((count(&database, "contents"), count(&database, "contents_rest")), (5, 2));
    assert!(is_whole(&store).await);
}

/// A purge takes away the parts of past months of which nothing is left, and no others; the journal's chain is whole,
/// and what an older node adds to such a month is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_which_nothing_is_left_are_taken_away() {
    let (database, month) = (Database::new(), this_month());
    let store = open(&database, "one");
    begin(&database, month, &[&store]).await;
    let held = held_message(1, &["a@x.example"]);
    store.accept(held.clone()).await.unwrap();
    let new = message(2, &[], InitialState::Ready);
    store.accept(new.clone()).await.unwrap();
    store.enter(new.id, within(month), Event::Expired {}, Vec::new()).await.unwrap();
    let (contents, journal) = (month.part("contents"), month.part("journal"));
    // This month is not over.
    assert_eq!(store.purge(within(month), keep(1)).await.unwrap().messages, 1);
    assert!(exists(&database, &contents) && exists(&database, &journal));
    begin(&database, month.after(1), &[&store]).await;
    accept(&store, 3).await;
    // One message is held.
    assert_eq!(store.purge(within(month.after(1)), keep(1)).await.unwrap().messages, 1);
    assert!(exists(&database, &contents) && exists(&database, &journal));
    let back = HeldDecision::new(held.id, HeldState::Returned, "soumu", within(month.after(1)), "no");
    store.decide(back).await.unwrap();
    assert_eq!(store.purge(within(month.after(1)), keep(1)).await.unwrap().messages, 1);
    assert!(!exists(&database, &contents) && !exists(&database, &journal));
    for table in ["contents", "journal"] {
        assert!(exists(&database, &month.after(1).part(table)), "it is not over");
        assert!(exists(&database, &format!("{table}_old")), "a copied store may need it");
    }
    accept(&store, 4).await;
    assert!(is_whole(&store).await);

    let late = month.base() + 9;
    database.sql(&format!(
        "INSERT INTO messages (row, id, received, people, message_id, subject, action, exposures, prevented, events) \
         VALUES ({late}, lpad('9', 16, '0'), 1, chr(10) || 'a@x' || chr(10), '', '', 'pass', 0, 0, '[]'); \
         INSERT INTO contents VALUES ({late}, NULL, 1, '', '', 'a', 'b'); \
         INSERT INTO journal VALUES (({late}::BIGINT << 24) + 1, 1, 'x'); SELECT 1"
    ));
    assert_eq!((count(&database, "contents_rest"), count(&database, "journal_rest")), (1, 1));
}

/// A part that somebody reads is taken away by a later purge, and nobody waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_part_that_is_read() {
    let (database, month) = (Database::new(), this_month());
    let store = open(&database, "one");
    begin(&database, month, &[&store]).await;
    accept(&store, 1).await;
    begin(&database, month.after(1), &[&store]).await;
    accept(&store, 2).await;
    let reader =
        said(session(&database), "BEGIN; SELECT count(*) FROM contents; SELECT count(*) FROM journal");
    let began = std::time::Instant::now();
    store.purge(within(month.after(1)), keep(1)).await.unwrap();
    accept(&store, 3).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(exists(&database, &month.part("contents")) && exists(&database, &month.part("journal")));
    let _reader = said(reader, "ROLLBACK");
    store.purge(within(month.after(1)), keep(1)).await.unwrap();
    assert!(!exists(&database, &month.part("contents")) && !exists(&database, &month.part("journal")));
    assert!(is_whole(&store).await);
}

/// What a database had before it was parted is the part of all before this month. Its space is freed when nothing is
/// left of it.
#[test]
fn what_was_there_becomes_the_first_part() {
    let cluster = cluster::Cluster::get();
    let name = cluster.database();
    let place = Place::parse(&cluster.url(&name), None).unwrap();
    let session = place.connect(Use::Setup, "old").unwrap();
    schema::prepare_by(&session, &place, &schema::STEPS[..4]).unwrap();
    let fill = |from: i64| {
        let to = from + 99;
        cluster.sql(&name, &format!(
            "INSERT INTO messages (row, id, received, people, message_id, subject, action, exposures, prevented, events) \
             SELECT r, lpad(r::text, 16, '0'), 1, chr(10) || 'a@x' || chr(10), '', '', 'pass', 0, 0, '[]' \
             FROM generate_series({from}, {to}) r; \
             INSERT INTO contents SELECT r, NULL, 1, '', '', 'a', 'b' FROM generate_series({from}, {to}) r; \
             INSERT INTO journal SELECT (r::BIGINT << 24) + 1, 1, 'x' FROM generate_series({from}, {to}) r"
        ));
    };
    fill(1);
    for steps in 5..=schema::STEPS.len() {
        schema::prepare_by(&session, &place, &schema::STEPS[..steps]).unwrap();
        // A node of the version before goes on.
        fill(100 * i64::try_from(steps).unwrap());
    }
    months::ahead(&session, SystemClock.now());
    let asked = |text: &str| cluster.sql(&name, text);
    for table in ["contents", "journal"] {
        assert_eq!(asked(&format!("SELECT count(*) FROM {table}_old")), "400");
        for part in ["_old".to_owned(), "_rest".to_owned(), this_month().after(2).part("")] {
            let all =
                format!("SELECT count(*) FROM pg_constraint WHERE conrelid = '{table}{part}'::regclass");
            assert_eq!(asked(&all), if table == "contents" { "4" } else { "1" }, "{table}{part}");
        }
    }
    let out_of_line = "SELECT count(*) FROM pg_attribute WHERE attrelid::regclass::text LIKE 'contents%' \
                       AND attname IN ('header', 'body') AND attstorage = 'e'";
    // The whole, the old, the rest and three months.
    assert_eq!(asked(out_of_line), "12");
    assert_eq!(asked("DELETE FROM messages WHERE row < 50; SELECT count(*) FROM contents"), "351");
    months::clear(&session);
    assert_eq!(asked("SELECT count(*) FROM contents"), "351");
    let alone = "DO $$ BEGIN INSERT INTO contents VALUES (77777, NULL, 1, '', '', 'a', 'b'); RAISE 'it has no message'; \
                 EXCEPTION WHEN foreign_key_violation THEN NULL; END $$";
    asked(alone);
    asked("DELETE FROM messages; DELETE FROM journal");
    months::clear(&session);
    for table in ["contents", "journal"] {
        assert_eq!(asked(&format!("SELECT pg_relation_size('{table}_old')")), "0");
    }
}

/// A store goes to SQLite and back with the numbers of its months, and mail goes on after them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_keeps_the_numbers_of_months() {
    let (database, back, month) = (Database::new(), Database::new(), this_month());
    let store = open(&database, "one");
    begin(&database, month, &[&store]).await;
    accept(&store, 1).await;
    begin(&database, month.after(1), &[&store]).await;
    accept(&store, 2).await;
    drop(store);
    let folder = tempfile::tempdir().unwrap();
    let file = Side::Sqlite(folder.path().join("sekisho.db"));
    let (from, to) = (Side::Postgres(database.options("").place), Side::Postgres(back.options("").place));
    let copied = std::thread::spawn(move || {
        copy::copy(&from, &file)?;
        copy::copy(&file, &to)
    });
    assert_eq!(copied.join().unwrap().unwrap().rows.first(), Some(&("messages", 2)));
    std::fs::copy(&database.options("").journal_key, &back.options("").journal_key).unwrap();
    let store = open(&back, "one");
    accept(&store, 3).await;
    assert_eq!(highest(&back), highest(&database) + 1);
    assert_eq!((count(&back, "contents"), count(&back, "contents_rest")), (3, 0));
    assert!(is_whole(&store).await);
}
