//! The table of circles, and a copy in memory of those in force, because every message needs them.

use super::encode::{from_json, to_json};
use super::error::Failure;
use super::{SqlStore, codes};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::facts::KnownCircle;
use crate::store::StoreError;
use crate::store::circles::{Circle, CircleId, CircleStore, InForce, NewCircle};
use crate::store::sql::db::{Connection, params};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// The contents of the table, which people fill by hand; read once and again after every change. With two nodes it
/// keeps nothing and the table is read every time, because a circle must exempt nobody from the moment it ends.
pub(in crate::store) struct Known {
    kept: bool,
    snapshot: Mutex<Option<Snapshot>>,
}

#[derive(Clone)]
struct Snapshot {
    all: Arc<Vec<Circle>>,
    in_force: Arc<Vec<KnownCircle>>,
    /// When the next of them ends.
    until: Timestamp,
}

impl Snapshot {
    fn of(all: Arc<Vec<Circle>>, now: Timestamp) -> Self {
        let lasting = || all.iter().filter(|circle| circle.in_force(now));
        let in_force = Arc::new(lasting().map(Circle::known).collect());
        let until = lasting().map(|circle| circle.expires).min().unwrap_or(Timestamp(i64::MAX));
        Self { all, in_force, until }
    }
}

impl Known {
    pub(in crate::store) fn new(kept: bool) -> Self {
        Self { kept, snapshot: Mutex::default() }
    }

    fn get(&self) -> Option<Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, snapshot: Option<Snapshot>) {
        if self.kept {
            *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
        }
    }
}

/// The members of a circle, and the people who made it, as stored.
#[derive(Serialize, Deserialize)]
struct People {
    members: Vec<Address>,
    makers: Vec<Address>,
}

/// Circles that were made before the makers' addresses were stored have only members.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    People(People),
    Members(Vec<Address>),
}

impl From<Kept> for People {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::People(people) => people,
            Kept::Members(members) => Self { members, makers: Vec::new() },
        }
    }
}

#[async_trait]
impl CircleStore for SqlStore {
    async fn circles(&self) -> Result<Vec<Circle>, StoreError> {
        self.mail.read(all).await
    }

    async fn circles_in_force(&self, now: Timestamp) -> Result<InForce, StoreError> {
        let known = match self.circles.get() {
            Some(known) if now < known.until => known,
            Some(known) => Snapshot::of(known.all, now),
            None => Snapshot::of(Arc::new(self.circles().await?), now),
        };
        let ended = known.all.iter().filter(|circle| circle.ended_at.is_some()).count();
        let in_force = InForce { circles: Arc::clone(&known.in_force), ended: codes::number(ended) };
        self.circles.set(Some(known));
        Ok(in_force)
    }

    async fn make_circle(&self, circle: NewCircle) -> Result<CircleId, StoreError> {
        let members = to_json(&People { members: circle.members, makers: circle.makers })?;
        let made = self
            .write(move |tx| {
                tx.prepare_cached(
                    "INSERT INTO circles (name, members, expires, made_by, made_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                     RETURNING row",
                )?
                .query_row(
                    params![circle.name, members, circle.expires.0, circle.by, circle.at.0],
                    |row| row.get(0),
                )
                .map_err(Failure::from)
            })
            .await;
        self.circles.set(None);
        made.map(CircleId::from_engine)
    }

    async fn end_circle(&self, id: CircleId, by: &str, at: Timestamp) -> Result<(), StoreError> {
        let by = by.to_owned();
        let ended = self
            .write(move |tx| {
                let ended = tx
                    .prepare_cached(
                        "UPDATE circles SET ended_by = ?2, ended_at = ?3 \
                         WHERE row = ?1 AND ended_at IS NULL AND expires > ?3",
                    )?
                    .execute(params![id.for_engine(), by, at.0])?;
                if ended == 0 {
                    Err(StoreError::NotFound(format!("circle {id} in force")).into())
                } else {
                    Ok(())
                }
            })
            .await;
        self.circles.set(None);
        ended
    }
}

/// Refuses mail that a circle exempted if one has ended since: it exempts nowhere from that moment.
pub(in crate::store) fn unchanged(tx: &Connection, ended: i64) -> Result<(), Failure> {
    let now: i64 = tx
        .prepare_cached("SELECT count(*) FROM circles WHERE ended_at IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    if now == ended { Ok(()) } else { Err(StoreError::Moved.into()) }
}

fn all(db: &Connection) -> Result<Vec<Circle>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT row, name, members, expires, made_by, made_at, ended_by, ended_at FROM circles \
         ORDER BY row DESC",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let People { members, makers } = from_json::<Kept>(&row.get::<_, String>(2)?)?.into();
        found.push(Circle {
            id: CircleId::from_engine(row.get(0)?),
            name: row.get(1)?,
            members,
            makers,
            expires: Timestamp(row.get(3)?),
            made_by: row.get(4)?,
            made_at: Timestamp(row.get(5)?),
            ended_by: row.get(6)?,
            ended_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        });
    }
    Ok(found)
}
