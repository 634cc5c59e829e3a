//! Nodes whose clocks are wrong, databases of newer programs, foreign rows, and how rows are compressed.

use super::tests::Database;
use super::*;
use crate::clock::SystemClock;
use crate::store::contract::{fork, held_message, message, passed};
use crate::store::prelude::*;
use crate::store::sql::encode;
use crate::store::*;
use std::time::Duration;

/// A clock that is wrong by so many milliseconds.
struct Wrong(i64);

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0)
    }
}

const HOUR: i64 = 3_600_000;
const LEASE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_secs(2);

fn open(database: &Database, node: &str, wrong: i64) -> SqlStore {
    let options = Options { clock: Arc::new(Wrong(wrong)), ..database.options(node) };
    std::thread::spawn(move || SqlStore::open_postgres(options)).join().unwrap().unwrap()
}

/// A node whose clock is an hour wrong neither takes over the leases of others nor has its own for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_by_the_clock_of_the_database() {
    let database = Database::new();
    let right = open(&database, "right", 0);
    let ready = async |random| {
        right.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    };
    ready(1).await;
    assert_eq!(right.claim(Wrong(0).now(), 9, LEASE).await.unwrap().len(), 1);
    let longest = || -> i64 {
        database.sql("SELECT coalesce(max(abs(due - now_in_millis())), 0) FROM deliveries WHERE state = 3")
    };
    for (number, wrong) in [(2, HOUR), (3, -HOUR)] {
        let clock = Wrong(wrong);
        let store = open(&database, &format!("wrong {number}"), wrong);
        assert_eq!(store.claim(clock.now(), 9, LEASE).await.unwrap().len(), 0, "{wrong}: it is another's");
        ready(10 * number).await;
        let claim = store.claim(clock.now(), 9, LEASE).await.unwrap().remove(0);
        assert!(longest() < 61_000, "{wrong}");
        assert!(store.renew(&[claim.lease], clock.now().plus(LEASE)).await.unwrap().is_empty());
        assert!(longest() < 61_000, "{wrong}");
        let until = clock.now().plus(LEASE);
        let fresh = message(10 * number + 1, &[&["a@x.example"]], InitialState::Sending { until });
        store.accept(fresh).await.unwrap();
        assert!(longest() < 61_000, "{wrong}");
        assert_eq!(right.claim(Wrong(0).now(), 9, LEASE).await.unwrap().len(), 0, "{wrong}: they last");
        // What it no longer renews is taken over in time, by a node whose clock is right.
        ready(10 * number + 2).await;
        assert_eq!(store.claim(clock.now(), 1, SHORT).await.unwrap().len(), 1);
        tokio::time::sleep(SHORT + Duration::from_millis(200)).await;
        let taken = right.claim(Wrong(0).now(), 9, LEASE).await.unwrap();
        assert_eq!(taken.iter().map(|claim| claim.possible_duplicate).collect::<Vec<_>>(), [true], "{wrong}");
        // And it takes over what another no longer renews.
        ready(10 * number + 3).await;
        assert_eq!(right.claim(Wrong(0).now(), 1, SHORT).await.unwrap().len(), 1);
        tokio::time::sleep(SHORT + Duration::from_millis(200)).await;
        assert_eq!(store.claim(clock.now(), 9, LEASE).await.unwrap().len(), 1, "{wrong}");
    }
}

/// A database of a newer program is refused in one sentence, unless that says that this one can go on beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_database_is_refused_in_a_sentence() {
    let database = Database::new();
    drop(open(&database, "one", 0));
    let _: i64 = database.sql("UPDATE sekisho_schema SET version = 99, oldest = 17 RETURNING 1");
    drop(open(&database, "one", 0));
    let _: i64 = database.sql("UPDATE sekisho_schema SET oldest = 98 RETURNING 1");
    let options = database.options("one");
    let refused = std::thread::spawn(move || SqlStore::open_postgres(options).err()).join().unwrap();
    let refused = refused.unwrap().to_string();
    assert!(refused.contains("newer sekisho") && refused.contains("99"), "{refused}");
    assert!(refused.contains("install") && refused.lines().count() == 1, "{refused}");
}

/// Rows that another program wrote stop the relays; an administrator records them, and the relays serve again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_rows_are_recorded() {
    let accept = |database: &Database| {
        let Options { place, journal_key, .. } = database.options("one");
        let accept = move || accept_foreign(&place, &journal_key, "root", "restored by hand", Timestamp(5));
        std::thread::spawn(accept).join().unwrap()
    };
    for (forged, stops) in [
        (
            "INSERT INTO chain (entry, digest) VALUES (9 << 24, decode(repeat('00', 32), 'hex')) RETURNING 1",
            true,
        ),
        ("UPDATE messages SET subject = 'other' WHERE row = 1 RETURNING 1", false),
    ] {
        let database = Database::new();
        let store = open(&database, "one", 0);
        store.accept(held_message(1, &["a@x.example"])).await.unwrap();
        let busy = accept(&database).unwrap_err().to_string();
        assert!(busy.contains("stop it first"), "{busy}");
        drop(store);
        assert_eq!(accept(&database).unwrap(), None, "nothing is foreign");
        let _: i64 = database.sql(forged);
        let store = open(&database, "one", 0);
        assert_eq!(store.accept(message(8, &[], InitialState::Ready)).await.is_err(), stops, "{forged}");
        drop(store);
        let accepted = accept(&database).unwrap().unwrap();
        let store = open(&database, "one", 0);
        store.accept(message(9, &[], InitialState::Ready)).await.unwrap();
        let found = store.verify_chain().await.unwrap();
        assert_eq!((found.broken, found.accepted), (None, vec![accepted]), "{forged}");
    }
}

/// A node knows what another one accepted under a number that was rolled back here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_took_a_number_that_was_rolled_back_is_known() {
    let database = Database::new();
    let (one, two) = (open(&database, "one", 0), open(&database, "two", 0));
    one.accept(passed(1, &["a@x.example"])).await.unwrap();
    let rows = encode::MessageRows::of(&passed(2, &["b@x.example"])).unwrap();
    let mut insert = one.insert(rows, &Arc::default());
    let refused: Result<(), StoreError> = one
        .write(move |tx| {
            insert(tx)?;
            Err(StoreError::Fenced.into())
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Fenced)));
    one.note_time(Wrong(0).now(), Wrong(0).now()).await.unwrap();
    two.accept(passed(3, &["c@x.example"])).await.unwrap();
    let again = one.accept(passed(4, &["c@x.example"])).await;
    assert!(matches!(again, Err(StoreError::Known { .. })), "{again:?}");
}

/// Nodes of version 18 did not note which transactions are of one mail: others do that for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_at_an_older_node_are_found() {
    let database = Database::new();
    let (new, old) = (open(&database, "new", 0), open(&database, "old", 0));
    let [first, second] = [passed(1, &["a@x.example"]), passed(2, &["b@x.example"])];
    new.accept(first.clone()).await.unwrap();
    old.accept(second.clone()).await.unwrap();
    assert_eq!(
        database.sql("WITH gone AS (DELETE FROM later_transactions RETURNING 1) SELECT count(*) FROM gone"),
        1
    );
    new.note_time(Wrong(0).now(), Wrong(0).now()).await.unwrap();
    for one in [&first, &second] {
        assert_eq!(new.transactions(one.id).await.unwrap(), [first.id, second.id]);
    }
}

/// A node that was away for long knows all that others accepted meanwhile, however much that is and however it was
/// committed; the chain is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_accepted_is_taken_in_piece_by_piece() {
    let database = Database::new();
    let (one, two) = (open(&database, "one", 0), Arc::new(open(&database, "two", 0)));
    let mail = |random: u64| NewMessage {
        fork: Some(fork(&format!("mail {random}"), "text")),
        ..passed(random, &["a@x.example"])
    };
    one.accept(mail(1)).await.unwrap();
    for random in 2..10 {
        two.accept(mail(random)).await.unwrap();
    }
    // These share commits.
    let mut tasks = tokio::task::JoinSet::new();
    for random in 10..40 {
        let (two, new) = (Arc::clone(&two), mail(random));
        tasks.spawn(async move { two.accept(new).await.unwrap() });
    }
    tasks.join_all().await;
    for random in 2..40 {
        let mut again = mail(100 + random);
        again.fork = mail(random).fork;
        assert!(matches!(one.accept(again).await, Err(StoreError::Known { .. })), "{random}");
    }
    assert_eq!(one.verify_chain().await.unwrap().broken, None);
}

/// Rows that are compressed are compressed by LZ4, which takes a fraction of the time, where the server has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_compressed_by_lz4() {
    let database = Database::new();
    let store = open(&database, "one", 0);
    let people: Vec<String> = (0..200).map(|number| format!("somebody-{number}@x.example")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    store.accept(message(1, &[&people], InitialState::Ready)).await.unwrap();
    for (method, rows) in [("lz4", 1), ("pglz", 0)] {
        let compressed =
            format!("SELECT count(*) FROM contents WHERE pg_column_compression(meta) = '{method}'");
        assert_eq!(database.sql(&compressed), rows, "{method}");
    }
}
