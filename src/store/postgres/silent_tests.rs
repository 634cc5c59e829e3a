//! A server that says nothing: clients are told so soon, and mail goes on when it answers again.

use super::cluster::Cluster;
use super::replica_tests::open;
use super::tests::Database;
use crate::store::contract::passed;
use crate::store::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement is waited for at most, and how much longer a client may wait.
const PATIENCE: Duration = Duration::from_secs(15);
const MORE: Duration = Duration::from_secs(5);

/// Many clients come, at once and later: those that come while the silence is new wait for one statement at most, and
/// those that come later do not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_for_a_server_that_says_nothing() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start()));
    let database = Database::of(cluster);
    let store = open(&database, "one");
    let group = passed(1, &["a@x.example"]).fork.unwrap().group;
    store.accept(passed(1, &["a@x.example"])).await.unwrap();
    store.group_items(group).await.unwrap();
    // Connections that were used a moment ago are not tested, others are.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    cluster.pause();
    let mut clients = tokio::task::JoinSet::new();
    for (wave, most) in [(0, PATIENCE + MORE), (8, PATIENCE + MORE), (20, MORE), (24, MORE)] {
        for client in 0..40 {
            let store = Arc::clone(&store);
            clients.spawn(async move {
                tokio::time::sleep(Duration::from_secs(wave)).await;
                let began = Instant::now();
                let refused = if client % 2 == 0 {
                    let new = passed(100 * wave + client, &["b@x.example"]);
                    store.accept(new).await.map(drop)
                } else {
                    store.group_items(group).await.map(drop)
                };
                let told = matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Uncertain(_)));
                assert!(told, "after {wave} s: {refused:?}");
                assert!(began.elapsed() < most, "who came after {wave} s waited {:?}", began.elapsed());
            });
        }
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    cluster.resume();
    let began = Instant::now();
    while store.accept(passed(9_999, &["c@x.example"])).await.is_err()
        || store.group_items(group).await.is_err()
    {
        assert!(began.elapsed() < PATIENCE, "it does not go on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.stop();
}
