//! What must not stop the store, and what must: large requests, refused requests, rows that cannot be read, damage, a
//! writer that panics, missing files.

use super::*;
use crate::id::Id;
use crate::message::Address;
use crate::message::Header;
use crate::message::fork::{Fork, Leaves};
use crate::message::walk::Part;
use crate::store::contract::{self, LEASE, NOW, at, held_message, message, passed, result, states};
use crate::store::prelude::*;
use crate::store::sql::{accept, claims, encode, read, transactions};
use crate::store::*;
use crate::store::{
    DeliveryState, HeldFilter, HeldState, InitialState, Lease, QueueChange, QueueFilter, RecipientResult,
};
use bytes::Bytes;
use rusqlite::Connection;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

/// How long a request of any size may take on the slowest test machine. A request with quadratic cost takes minutes
/// there for 4,500 recipients.
const GENEROUS: Duration = Duration::from_secs(5);

fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("sekisho.db");
    (folder, database)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

fn fork() -> Fork {
    let mut leaves = Leaves::default();
    leaves.data(b"text");
    leaves.end(&Part::default());
    let block = Bytes::from_static(
        b"From: sato@example.co.jp\r\nMessage-ID: <1@x>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0900\r\nSubject: one\r\n",
    );
    Fork::of(None, &Header::parse(block).unwrap(), leaves.finish(), None).unwrap()
}

fn crowd(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("p{n}@org{}.example", n % 97)).collect()
}

fn forked(random: u64, to: &[String]) -> NewMessage {
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    NewMessage { fork: Some(fork()), ..message(random, &[&to], InitialState::Ready) }
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    assert!(began.elapsed() < GENEROUS, "{what} took {:?}", began.elapsed());
    done
}

/// Requests about a mail with 4,500 recipients take linear time, not quadratic: all recipients are refused, each with
/// a text of its own, and the mail is repeated several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_hold_nobody_up() {
    let (_folder, database) = folder();
    let store = open(&database);
    let people = crowd(4_500);
    let fate = |n: usize, state| RecipientResult {
        state,
        reply: format!("550 5.1.1 <{}>: no such user", people[n]),
        due: None,
    };
    let first = forked(1, &people);
    in_time("the first", store.accept(first.clone())).await.unwrap();
    let claim = store.claim(NOW, 1, LEASE).await.unwrap().remove(0);
    let mut failed = result(&claim, at(1), &[]);
    failed.recipients = (0..people.len())
        .map(|n| (Address::parse(&people[n]).unwrap(), fate(n, DeliveryState::Failed)))
        .collect();
    in_time("4,500 replies", store.record(failed)).await.unwrap();
    assert_eq!(store.deliveries(first.id).await.unwrap().len(), 4_500);

    let again = forked(2, &people);
    in_time("a repetition of what failed", store.accept(again.clone())).await.unwrap();
    assert_eq!(states(&store, again.id).await[0].1.split(' ').count(), 4_500);
    let known = in_time("a repetition", store.accept(forked(3, &people))).await;
    assert!(matches!(known, Err(StoreError::Known { original, .. }) if original == again.id));
    let mut more = people.clone();
    more.extend(crowd(4_600).split_off(4_500));
    let rest = forked(4, &more);
    in_time("a repetition with some who are new", store.accept(rest.clone())).await.unwrap();
    assert_eq!(states(&store, rest.id).await[0].1.split(' ').count(), 100);
    in_time("a drop", store.change_queue(&QueueFilter::default(), QueueChange::Drop, "me", at(2)))
        .await
        .unwrap();
    let keep = Retention { contents: LEASE, messages: LEASE, ledger: LEASE, knowledge: LEASE };
    in_time("a purge", store.purge(at(600), keep)).await.unwrap();
}

/// A mail that is sent again fifty times, each time after its copies were given up: every earlier transaction is asked
/// whether a copy may have arrived, which takes linear time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_was_given_up_often_holds_nobody_up() {
    let (_folder, database) = folder();
    let store = open(&database);
    let people = crowd(500);
    for turn in 0..50 {
        in_time("a mail that was given up", store.accept(forked(turn, &people))).await.unwrap();
        let all = QueueFilter::default();
        in_time("giving it up", store.change_queue(&all, QueueChange::Drop, "me", at(2))).await.unwrap();
    }
}

/// Statements of the mail path, and of tasks that run every few seconds.
fn frequent() -> [String; 5] {
    let expired = HeldFilter {
        state: Some(HeldState::Held),
        expired_by: Some(NOW),
        limit: Some(9),
        ..HeldFilter::default()
    };
    let one = HeldFilter { id: Some(Id::new(NOW, 1)), ..HeldFilter::default() };
    [
        read::held_text(&expired),
        read::held_text(&one),
        transactions::WHOLE_MAIL.to_owned(),
        claims::NEXT_DUE.to_owned(),
        claims::DUE.to_owned(),
    ]
}

/// Whatever values a statement gets, it is prepared once.
#[test]
fn values_do_not_change_plans() {
    let (_folder, database) = folder();
    drop(open(&database));
    let connections = [
        super::open::writer(&database, None).unwrap(),
        super::open::reader(&database).unwrap(),
        super::open::checkpointer(&database).unwrap(),
    ];
    for (db, text) in connections.iter().flat_map(|db| frequent().map(|text| (db, text))) {
        let mut statement = db.prepare(&text).unwrap();
        for value in [1, 2, 2] {
            let values = rusqlite::params_from_iter(std::iter::repeat_n(value, statement.parameter_count()));
            statement.query_map(values, |_| Ok(())).unwrap().for_each(Result::unwrap);
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{text}");
    }
}

/// No statement that the writer runs, or a task every few seconds, scans a whole table.
#[test]
fn no_statement_of_the_mail_path_scans() {
    let (_folder, database) = folder();
    drop(open(&database));
    let db = super::open::reader(&database).unwrap();
    for text in frequent() {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let parameters = plan.parameter_count();
        let values = rusqlite::params_from_iter(std::iter::repeat_n(1, parameters));
        let steps = plan.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(Result::unwrap) {
            // The rows that a recursion has found so far are its own.
            let found = ["SCAN back", "SCAN whole"].contains(&step.as_str());
            let bounded = !step.starts_with("SCAN")
                || step.contains("SCAN (subquery")
                || step.contains("CONSTANT")
                || found;
            assert!(bounded || step.contains("USING COVERING INDEX deliveries_open"), "{step}\nin {text}");
        }
    }
}

/// Connections that nobody used for a while read like all others, however many are used at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_read() {
    let (_folder, database) = folder();
    let store = open(&database);
    for _ in 0..2 {
        let all = Arc::new(std::sync::Barrier::new(3));
        for pool in [&store.readers, &store.mail] {
            let reads = (0..3).map(|number| {
                let (pool, all) = (pool.clone(), Arc::clone(&all));
                tokio::spawn(async move {
                    let work = move |db: &crate::store::sql::db::Connection| {
                        all.wait();
                        Ok(db.query_row("SELECT count(*) FROM messages", [], |row| row.get::<_, i64>(0))?)
                    };
                    if number == 1 { pool.read(work).await } else { pool.read_one(work).await }
                })
            });
            for read in reads.collect::<Vec<_>>() {
                assert_eq!(read.await.unwrap().unwrap(), 0);
            }
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
}

/// A refused request leaves nothing behind, whatever it had written before; the others of its commit are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_means_unwritten() {
    let (_folder, database) = folder();
    let store = Arc::new(open(&database));
    let mut tasks = tokio::task::JoinSet::new();
    for random in 0..60 {
        let store = store.clone();
        tasks.spawn(async move {
            if random % 3 > 0 {
                store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
                return;
            }
            let rows =
                encode::MessageRows::of(&message(random, &[&["a@x.example"]], InitialState::Ready)).unwrap();
            let refused: Result<(), StoreError> = store
                .write(move |tx| {
                    accept::insert(tx, &rows, &mut crate::store::sql::repeats::Repeats::default())?;
                    Err(StoreError::Fenced.into())
                })
                .await;
            assert!(matches!(refused, Err(StoreError::Fenced)));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.queue(&QueueFilter::default()).await.unwrap().len(), 40);
    assert_eq!(store.verify_chain().await.unwrap().broken, None);
}

/// What a request added in memory goes with it: the number of its message may become that of another mail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_was_rolled_back_is_new() {
    let (_folder, database) = folder();
    let store = open(&database);
    let rows = encode::MessageRows::of(&passed(1, &["a@x.example"])).unwrap();
    let mut insert = store.insert(rows, &Arc::default());
    let refused: Result<(), StoreError> = store
        .write(move |tx| {
            insert(tx)?;
            Err(StoreError::Fenced.into())
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Fenced)));
    let other = NewMessage { fork: Some(contract::fork("other", "text")), ..passed(2, &["a@x.example"]) };
    store.accept(other).await.unwrap();
    let [first, second] = [passed(3, &["a@x.example"]), passed(4, &["b@x.example"])];
    store.accept(first.clone()).await.unwrap();
    store.accept(second.clone()).await.unwrap();
    for one in [&first, &second] {
        assert_eq!(store.transactions(one.id).await.unwrap(), [first.id, second.id]);
    }
}

/// Copies and holds that cannot be read back, damaged in every way that a row can be, do not affect the others; what
/// was set aside is shown with its reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_stops_nothing() {
    let damages = [
        "UPDATE deliveries SET copy = x'00' WHERE row = (2 << 24) + 1",
        "UPDATE deliveries SET copy = x'00ff01' WHERE row = (2 << 24) + 1",
        "UPDATE deliveries SET copy = x'05ffffff' WHERE row = (2 << 24) + 1",
        "UPDATE deliveries SET copy = zeroblob(900) WHERE row = (2 << 24) + 1",
    ];
    for damage in damages {
        let (_folder, database) = folder();
        let store = open(&database);
        for random in 1..=5 {
            store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
        }
        Connection::open(&database).unwrap().execute_batch(damage).unwrap();
        let claims = store.claim(NOW, 10, LEASE).await.unwrap();
        assert_eq!(claims.len(), 4, "{damage}");
        for claim in &claims {
            store.record(result(claim, at(1), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
        }
        assert!(store.claim(at(9), 10, LEASE).await.unwrap().is_empty(), "it is not claimed for ever");
        let queue = store.queue(&QueueFilter::default()).await.unwrap();
        assert_eq!(queue.len(), 1);
        assert_eq!((queue[0].state, queue[0].attempts), (DeliveryState::Paused, 0));
        assert!(queue[0].last_reply.contains("cannot be read back"), "{:?}", queue[0]);
        let journal = format!("{:?}", store.journal(queue[0].message).await.unwrap());
        assert!(journal.contains("cannot be read back"), "{journal}");
        // An operator retries it. A crash while it is being sent changes nothing either.
        store.change_queue(&QueueFilter::default(), QueueChange::Resume, "me", at(10)).await.unwrap();
        let raw = Connection::open(&database).unwrap();
        raw.execute_batch("UPDATE deliveries SET state = 3 WHERE row = (2 << 24) + 1").unwrap();
        store.recover(at(11)).await.unwrap();
        assert!(store.claim(at(12), 10, LEASE).await.unwrap().is_empty());
        store.accept(message(9, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    }
    let damages = [
        "UPDATE held SET reasons = 'x' WHERE message = 2",
        "UPDATE held SET hits = '{}' WHERE message = 2",
        "UPDATE held SET awaited = '[3]' WHERE message = 2",
        "UPDATE messages SET subject = CAST(x'ff' AS TEXT) WHERE row = 2",
    ];
    for damage in damages {
        let (_folder, database) = folder();
        let store = open(&database);
        for random in 1..=3 {
            store.accept(held_message(random, &["a@x.example"])).await.unwrap();
        }
        Connection::open(&database).unwrap().execute_batch(damage).unwrap();
        let expired =
            HeldFilter { state: Some(HeldState::Held), expired_by: Some(at(61)), ..HeldFilter::default() };
        for filter in [HeldFilter::default(), expired] {
            let rows = store.held(&filter).await.unwrap();
            assert_eq!(rows.len(), 3, "{damage}");
            assert!(rows[1].reasons[0].contains("cannot be read back"), "{damage}: {:?}", rows[1]);
        }
        let page = store.held_page(&crate::store::HeldQuery::new(Scope::All)).await.unwrap();
        assert_eq!(page.lines.len(), 3, "{damage}");
    }
}

/// After damage that SQLite finds, nothing is accepted, claimed or reported as ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_stops_everything() {
    let (_folder, database) = folder();
    let store = open(&database);
    store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    let damaged = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Failure::from(rusqlite::Error::SqliteFailure(code, None))
    };
    let found: Result<(), StoreError> = store.readers.read(move |_| Err(damaged())).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.ready().await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.claim(NOW, 1, LEASE).await, Err(StoreError::Corrupt(_))));
    let refused = store.accept(message(2, &[&["a@x.example"]], InitialState::Ready)).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
}

/// A writer that panics ends the process; if `on_fatal` does not end it, nothing is reported as ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_panics_ends_the_relay() {
    let (_folder, database) = folder();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let on_fatal: OnFatal = Arc::new(move |why: &str| hear.lock().unwrap().push(why.to_owned()));
    let store = SqliteStore::open(&database, Options { on_fatal, ..Options::default() }).unwrap();
    let broken: Result<(), StoreError> = store.write(|_| panic!("a fault")).await;
    assert!(broken.is_err());
    assert!(store.ready().await.is_err());
    // The caller gets its answer before the hook is called.
    for _ in 0..500 {
        if !heard.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*heard.lock().unwrap(), ["the store's writer panicked"]);
}

/// A file that was renamed, removed or replaced is noticed at the next commit and by later requests. When the file is
/// back, everything works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_went_away_takes_nothing() {
    for name in ["sekisho.db", "sekisho.db-wal"] {
        for replace in [false, true] {
            let (folder, database) = folder();
            let store = open(&database);
            let new = |random| message(random, &[&["a@x.example"]], InitialState::Ready);
            store.accept(new(1)).await.unwrap();
            let (file, aside) = (folder.path().join(name), folder.path().join("aside"));
            std::fs::rename(&file, &aside).unwrap();
            if replace {
                std::fs::copy(&aside, &file).unwrap();
            }
            let text = store.accept(new(2)).await.unwrap_err().to_string();
            assert!(text.contains(name) && text.contains("renamed, removed or replaced"), "{text}");
            assert!(store.ready().await.is_err());
            std::fs::rename(&aside, &file).unwrap();
            store.ready().await.unwrap();
            store.accept(new(3)).await.unwrap();
            drop(store);
            assert_eq!(open(&database).queue(&QueueFilter::default()).await.unwrap().len(), 2);
        }
    }
}

/// Deliveries under leases that are still held are never claimed again by their holder, however late it renews them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_back_its_own() {
    let (_folder, database) = folder();
    let store = open(&database);
    for random in 1..=3 {
        store.accept(message(random, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
    }
    let mine: Vec<Lease> =
        store.claim(NOW, 2, LEASE).await.unwrap().iter().map(|claim| claim.lease).collect();
    let late = store.claim_beside(at(600), 9, LEASE, &mine).await.unwrap();
    assert_eq!(late.len(), 1, "the third alone");
    assert!(store.renew(&mine, at(700)).await.unwrap().is_empty());
}

/// The clock is set between two runs, forward or back, by any amount: nothing is given up or expires early, nothing
/// waits for a year, and what waits is tried within its hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_between_runs_changes_nothing() {
    const HOUR: i64 = 3_600_000;
    for (set, down) in
        [(0, 5), (120_000, 5), (HOUR, 5), (-HOUR, 5), (8_760 * HOUR, 5), (-8_760 * HOUR, 5), (0, 9_000)]
    {
        let (_folder, database) = folder();
        let store = open(&database);
        let now = at(1);
        store.accept(message(1, &[&["a@x.example"]], InitialState::Ready)).await.unwrap();
        let claim = store.claim(now, 1, LEASE).await.unwrap().remove(0);
        store.record(result(&claim, now, &[("a@x.example", DeliveryState::Waiting)])).await.unwrap();
        store.accept(held_message(2, &["a@x.example"])).await.unwrap();
        store.note_time(now, now).await.unwrap();
        drop(store);

        let stop = Duration::from_mins(down);
        let counted = stop.min(Duration::from_hours(1)) + Duration::from_mins(1);
        let start = Timestamp(now.plus(stop).0 + set);
        let store = open(&database);
        store.recover(start).await.unwrap();
        let due = store.next_due().await.unwrap().unwrap();
        assert!(due <= start.plus(Duration::from_mins(5)), "{set} {down}: it waits for a clock");
        let claim = store.claim(start.plus(Duration::from_mins(5)), 1, LEASE).await.unwrap().remove(0);
        let age = start.since(claim.queued);
        let most = counted + Duration::from_hours(1);
        assert!(age <= most, "{set} {down}: {age:?} old after {stop:?}");
        let held = store.held(&HeldFilter::default()).await.unwrap();
        let left = held[0].expires.since(start);
        assert!(left <= Duration::from_hours(1), "{set} {down}: {left:?} left");
        let least = if set == 0 || set == 120_000 {
            Duration::from_mins(59).saturating_sub(stop)
        } else {
            Duration::ZERO
        };
        assert!(left >= least.saturating_sub(Duration::from_mins(2)), "{set} {down}: {left:?} left");
        // Recovering again moves nothing more.
        store.recover(start).await.unwrap();
        assert_eq!(store.held(&HeldFilter::default()).await.unwrap()[0].expires, held[0].expires);
    }
}
