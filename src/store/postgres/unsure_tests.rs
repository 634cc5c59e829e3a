//! Leases whose commit ended without an answer: if the database has them, the next claim takes them up, and only once.

use super::cluster::Cluster;
use super::replica_tests::{open, until_it_waits, wait_for};
use super::tests::Database;
use crate::store::contract::{LEASE, NOW, at, message, result};
use crate::store::sql::SqlStore;
use crate::store::*;
use std::sync::Arc;
use std::time::Duration;

/// Loses the connection in the middle of each commit that changes a delivery, which then has not happened.
const LOSE: &str = "CREATE FUNCTION lose() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
     PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; \
     CREATE CONSTRAINT TRIGGER lose AFTER INSERT OR UPDATE ON deliveries DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW EXECUTE FUNCTION lose(); SELECT 1";
const LOSE_NO_MORE: &str = "DROP TRIGGER lose ON deliveries; DROP FUNCTION lose; SELECT 1";

/// Runs this while commits wait for a replica, until one is cancelled: it is in the database, but not confirmed.
async fn unconfirmed<T: Send + 'static>(
    database: &Database,
    cluster: &'static Cluster,
    what: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) {
    wait_for(cluster, "nobody").await;
    let asked = tokio::spawn(what);
    until_it_waits(database).await;
    database.sql("SELECT pg_cancel_backend(pid)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    assert!(matches!(asked.await.unwrap(), Err(StoreError::Uncertain(_))));
    wait_for(cluster, "").await;
}

fn claiming(
    store: &Arc<SqlStore>,
    now: Timestamp,
) -> impl Future<Output = Result<Vec<Claim>, StoreError>> + Send + 'static {
    let store = Arc::clone(store);
    async move { store.claim(now, 9, LEASE).await }
}

fn ready(random: u64) -> NewMessage {
    message(random, &[&["a@x.example"]], InitialState::Ready)
}

fn sending(random: u64) -> NewMessage {
    message(random, &[&["a@x.example"]], InitialState::Sending { until: NOW.plus(LEASE) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_without_an_answer_are_taken_up() {
    // Commits of other tests must not wait, so the server is this test's own.
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start()));
    let database = Database::of(cluster);
    let (store, other) = (open(&database, "one"), open(&database, "two"));
    let soon = NOW.plus(Duration::from_secs(30));
    for accepted in [false, true] {
        if accepted {
            let (store, new) = (Arc::clone(&store), sending(2));
            unconfirmed(&database, cluster, async move { store.accept(new).await }).await;
        } else {
            store.accept(ready(1)).await.unwrap();
            unconfirmed(&database, cluster, claiming(&store, NOW)).await;
        }
        assert!(other.claim(soon, 9, LEASE).await.unwrap().is_empty(), "{accepted}: the lease stands");
        assert!(store.next_due().await.unwrap().unwrap() <= soon, "{accepted}: it is not waited for");
        let claim = store.claim(soon, 9, LEASE).await.unwrap().remove(0);
        assert_eq!((claim.attempt, claim.possible_duplicate), (1, false), "{accepted}: it was never tried");
        assert!(store.claim(soon, 9, LEASE).await.unwrap().is_empty(), "{accepted}: it is taken up once");
        assert!(
            other.claim(at(1), 9, LEASE).await.unwrap().is_empty(),
            "{accepted}: the lease is longer now"
        );
        store.record(result(&claim, soon, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    }

    // Taking it up ends without an answer, too.
    store.accept(ready(3)).await.unwrap();
    unconfirmed(&database, cluster, claiming(&store, NOW)).await;
    unconfirmed(&database, cluster, claiming(&store, soon)).await;
    let claims = store.claim(soon, 9, LEASE).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [1]);
    store.record(result(&claims[0], soon, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();

    // Its lease has ended, and another node was faster.
    store.accept(ready(4)).await.unwrap();
    unconfirmed(&database, cluster, claiming(&store, NOW)).await;
    let claim = other.claim(at(2), 9, LEASE).await.unwrap().remove(0);
    assert!(store.claim(at(2), 9, LEASE).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(at(3)));
    other.record(result(&claim, at(2), &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    cluster.stop();
}

/// The commit failed: another lease may have the same numbers then, and is left to whoever has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_were_not_taken_are_not_taken_up() {
    let database = Database::new();
    let (store, other) = (open(&database, "one"), open(&database, "two"));
    let lost = async |what: &mut (dyn Future<Output = Result<Vec<Claim>, StoreError>> + Send + Unpin)| {
        database.sql(LOSE);
        let ended = what.await;
        assert!(matches!(ended, Err(StoreError::Uncertain(_))), "{ended:?}");
        database.sql(LOSE_NO_MORE);
    };
    store.accept(ready(1)).await.unwrap();
    lost(&mut Box::pin(claiming(&store, NOW))).await;
    let claim = other.claim(NOW, 9, LEASE).await.unwrap().remove(0);
    assert!(store.claim(NOW, 9, LEASE).await.unwrap().is_empty(), "the other node sends it");
    other.record(result(&claim, NOW, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();

    store.accept(ready(2)).await.unwrap();
    lost(&mut Box::pin(claiming(&store, NOW))).await;
    let claims = store.claim(NOW, 9, LEASE).await.unwrap();
    assert_eq!(
        claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(),
        [1],
        "it is claimed as it was due"
    );
    assert!(store.claim(NOW, 9, LEASE).await.unwrap().is_empty());
    store.record(result(&claims[0], NOW, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();

    lost(&mut store.accept(sending(3))).await;
    let claims = store.accept(sending(4)).await.unwrap();
    assert!(store.claim(NOW, 9, LEASE).await.unwrap().is_empty(), "a slot of this node sends it");
    store.record(result(&claims[0], NOW, &[("a@x.example", DeliveryState::Delivered)])).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
}
