//! The relays that share a database. Each reserves its name by a lock that ends with its connection, regularly
//! records that it is running, and is notified by the others when something is due.

#![allow(clippy::similar_names, reason = "two sides, and what each is told, have names alike")]

use super::connect::{Messages, Place, runtime};
use super::months::Months;
use crate::clock::Timestamp;
use crate::store::sql::db::{Connection, params};
use crate::store::sql::error::Failure;
use crate::store::{NodeRow, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio_postgres::AsyncMessage;

/// How long a starting relay waits for its name: a predecessor of that name may be stopping.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// This relay, as one of those that share the database.
#[derive(Clone)]
pub(in crate::store) struct Node(Arc<Inner>);

struct Inner {
    name: String,
    heard: watch::Receiver<u64>,
    months: Months,
    /// When this is dropped, the connection that holds the name ends.
    _end: oneshot::Sender<()>,
}

impl Node {
    /// Reserves the name, and starts to listen.
    pub(super) fn begin(place: Arc<Place>, name: String) -> Result<Self, StoreError> {
        let (end, ended) = oneshot::channel();
        let (hears, heard) = watch::channel(0);
        let (began, begun) = std::sync::mpsc::channel();
        let (runtime, called, months) = (runtime()?, name.clone(), Months::new(&place, &name));
        std::thread::Builder::new()
            .name("store-listener".to_owned())
            .spawn(move || runtime.block_on(stay(&place, &called, hears, ended, began)))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        let gone = |_| StoreError::Unavailable("the listener has ended".to_owned());
        begun.recv().map_err(gone)??;
        Ok(Self(Arc::new(Inner { name, heard, months, _end: end })))
    }

    pub(in crate::store) fn name(&self) -> &str {
        &self.0.name
    }

    /// The months by which large tables are parted.
    pub(in crate::store) fn months(&self) -> &Months {
        &self.0.months
    }

    /// Changes whenever another node notifies that something is due.
    pub(in crate::store) fn heard(&self) -> watch::Receiver<u64> {
        self.0.heard.clone()
    }

    /// Records that this node is running.
    pub(in crate::store) fn seen(&self, tx: &Connection) -> Result<(), Failure> {
        tx.prepare_cached(
            "INSERT INTO nodes (name, version, started, seen) \
             VALUES (?1, ?2, now_in_millis(), now_in_millis()) \
             ON CONFLICT (name) DO UPDATE SET version = ?2, seen = now_in_millis()",
        )?
        .execute(params![self.0.name, env!("CARGO_PKG_VERSION")])?;
        Ok(())
    }
}

/// Holds the name and listens until the relay ends. Reconnects when the connection is lost.
async fn stay(
    place: &Place,
    name: &str,
    hears: watch::Sender<u64>,
    mut ended: oneshot::Receiver<()>,
    began: std::sync::mpsc::Sender<Result<(), StoreError>>,
) {
    let hears = Arc::new(hears);
    let mut began = Some(began);
    loop {
        let (told, own) = (Arc::clone(&hears), name.to_owned());
        let heard = move |said: &str| {
            if said != own {
                told.send_modify(|count| *count += 1);
            }
        };
        let connected = tokio::select! {
            connected = named(place, name, heard) => connected,
            _ = &mut ended => return,
        };
        let (client, driven) = match (connected, began.take()) {
            (Ok(connected), first) => {
                if let Some(began) = first {
                    let _ = began.send(Ok(()));
                }
                // Notifications may have been missed meanwhile.
                hears.send_modify(|count| *count += 1);
                connected
            }
            (Err(why), Some(began)) => {
                let _ = began.send(Err(why));
                return;
            }
            (Err(error), None) => {
                tracing::debug!(%error, "not connected to hear from other nodes");
                tokio::select! {
                    () = tokio::time::sleep(5 * PAUSE) => continue,
                    _ = &mut ended => return,
                }
            }
        };
        let over = tokio::select! {
            _ = driven => false,
            _ = &mut ended => true,
        };
        drop(client);
        if over {
            return;
        }
        tracing::warn!(
            "the connection that hears from other nodes is lost: they are looked for now and then"
        );
    }
}

/// Opens a connection that holds the name. Returns it with the future that drives it.
async fn named(
    place: &Place,
    name: &str,
    heard: impl Fn(&str) + Send + 'static,
) -> Result<(tokio_postgres::Client, tokio::task::JoinHandle<()>), StoreError> {
    let (client, driver) = place.open(&format!("sekisho {name} listens")).await?;
    let driven = tokio::spawn(driver.drive(move |said| {
        if let AsyncMessage::Notification(said) = said {
            heard(said.payload());
        }
    }));
    let failed = |error: tokio_postgres::Error| super::error::classify(&error);
    let began = tokio::time::Instant::now();
    loop {
        let row = client
            .query_one("SELECT pg_try_advisory_lock(1399155561, hashtext($1))", &[&name])
            .await
            .map_err(failed)?;
        if row.get(0) {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(StoreError::Unavailable(format!(
                "another relay named {name} is at work in the database {place}: give each its own name by `node` in \
                 [store]"
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    client.batch_execute("LISTEN sekisho").await.map_err(failed)?;
    Ok((client, driven))
}

/// The nodes that hold a name now, as the second part of the lock's key.
const HERE: &str = "SELECT l.objid::bigint FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
     AND l.classid = 1399155561 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Whether no other node is running, so that this node's clock is the only one.
pub(in crate::store) fn is_alone(tx: &Connection) -> Result<bool, Failure> {
    let text = format!(
        "SELECT count(*) FROM ({HERE}) h (key) WHERE key IS DISTINCT FROM \
         hashtext(current_setting('sekisho.node', true))::bigint & 4294967295"
    );
    let others: i64 = tx.prepare_cached(&text)?.query_row([], |row| row.get(0))?;
    Ok(others == 0)
}

/// All nodes that ever ran, by name.
pub(in crate::store) fn list(db: &Connection) -> Result<Vec<NodeRow>, Failure> {
    let mut select = db.prepare_cached(&format!(
        "SELECT n.name, n.version, n.started, n.seen, (hashtext(n.name)::bigint & 4294967295) IN ({HERE}), \
         (SELECT count(*) FROM deliveries d WHERE d.state = 3 AND d.node = n.name) FROM nodes n ORDER BY n.name",
    ))?;
    let rows = select.query_map([], |row| {
        Ok(NodeRow {
            name: row.get(0)?,
            version: row.get(1)?,
            started: Timestamp(row.get(2)?),
            seen: Timestamp(row.get(3)?),
            here: row.get(4)?,
            sending: usize::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
