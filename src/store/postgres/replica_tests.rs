//! A synchronous replica that does not follow: nothing counts as stored that it does not have.

use super::cluster::Cluster;
use super::tests::Database;
use super::*;
use crate::store::contract::{held_message, passed};
use crate::store::*;
use std::time::Duration;

/// A server whose commits wait for a replica that is not there, or again for none. The server takes a moment to follow,
/// so a commit of our own is watched.
pub(super) async fn wait_for(cluster: &'static Cluster, replica: &str) {
    cluster.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{replica}'"));
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    let commit = || {
        let written = "SET application_name = 'probe'; SELECT pg_logical_emit_message(true, 'probe', '')";
        std::thread::spawn(move || cluster.sql("postgres", written))
    };
    let waits = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
        WHERE application_name = 'probe' AND wait_event = 'SyncRep'";
    for _ in 0..600 {
        let (commit, mut waited) = (commit(), false);
        while !commit.is_finished() {
            waited |= cluster.sql("postgres", waits).trim() == "1";
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if waited != replica.is_empty() {
            return;
        }
    }
    panic!("the server does not follow its settings");
}

/// Waits until a commit waits for the replica.
pub(super) async fn until_it_waits(database: &Database) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    for _ in 0..600 {
        if database.sql(waiting) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no commit waits for the replica");
}

/// Opens the store as this node, on a server of its own.
pub(super) fn open(database: &Database, node: &str) -> Arc<SqlStore> {
    let options = database.options(node);
    Arc::new(std::thread::spawn(move || SqlStore::open_postgres(options)).join().unwrap().unwrap())
}

/// However the wait for the replica ends (cancelled by an administrator, or by our own patience), nobody is told that a
/// message is stored, neither the first time nor when it is sent again, to this node or another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_replica_does_not_have_is_not_stored() {
    // Commits of other tests must not wait, so the server is this test's own.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start()));
    let database = Database::of(cluster);
    let (store, other) = (open(&database, "one"), open(&database, "two"));
    let accepting = |store: &Arc<SqlStore>, random, to: &'static str| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.accept(passed(random, &[to])).await })
    };
    accepting(&store, 1, "a@x.example").await.unwrap().unwrap();
    accepting(&other, 2, "b@x.example").await.unwrap().unwrap();
    wait_for(cluster, "nobody").await;

    let cancelled = accepting(&store, 3, "c@x.example");
    until_it_waits(&database).await;
    database.sql("SELECT pg_cancel_backend(pid)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    let cancelled = cancelled.await.unwrap();
    assert!(matches!(cancelled, Err(StoreError::Uncertain(_))), "{cancelled:?}");
    assert_eq!(database.sql("SELECT count(*) FROM messages"), 3, "the server shows it all the same");

    // Sent again it is known, but that, too, is said only after the replica has it.
    let again = accepting(&other, 4, "c@x.example");
    until_it_waits(&database).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!again.is_finished());
    wait_for(cluster, "").await;
    assert!(matches!(again.await.unwrap(), Err(StoreError::Known { .. })));

    // Our patience ends sooner than the server's.
    accepting(&store, 5, "d@x.example").await.unwrap().unwrap();
    wait_for(cluster, "nobody").await;
    let patience = store.accept(held_message(6, &["e@x.example"])).await;
    assert!(matches!(patience, Err(StoreError::Uncertain(_))), "{patience:?}");
    assert_eq!(database.sql("SELECT count(*) FROM messages"), 4, "it still waits there");
    wait_for(cluster, "").await;
    accepting(&store, 7, "f@x.example").await.unwrap().unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM messages"), 6);
    cluster.stop();
}
