//! Sessions, links, codes and tokens.

use super::encode::{from_json, to_json};
use super::error::Failure;
use super::{SqlStore, held, journal, mine, notices, passkeys, read};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::verdict::Language;
use crate::store::sql::db::{Connection, OptionalExtension, Row, params};
use crate::store::{
    ApiTokenRow, CodeRow, HeldPage, HeldQuery, HeldRow, HeldState, LinkAction, LinkRow, NewNotice,
    PasskeyRow, PeopleStore, RecentRow, Scope, SessionRow, StoreError,
};
use crate::token::Digest;
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl PeopleStore for SqlStore {
    async fn open_session(&self, session: SessionRow) -> Result<(), StoreError> {
        self.write(move |tx| open_session(tx, &session)).await
    }

    async fn session(&self, hash: Digest, now: Timestamp) -> Result<Option<SessionRow>, StoreError> {
        self.readers.read(move |db| session(db, hash, now)).await
    }

    async fn touch_session(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("UPDATE sessions SET seen = ?2 WHERE hash = ?1")?
                .execute(params![hash.0, now.0])?;
            Ok(())
        })
        .await
    }

    async fn end_session(&self, hash: Digest) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM sessions WHERE hash = ?1")?.execute([hash.0])?;
            Ok(())
        })
        .await
    }

    async fn sessions_of(&self, name: &str, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
        let name = name.to_owned();
        self.readers.read(move |db| mine::sessions(db, &name, now)).await
    }

    async fn recent(&self, senders: &[String], limit: usize) -> Result<Vec<RecentRow>, StoreError> {
        let senders = senders.to_vec();
        self.readers.read(move |db| mine::recent(db, &senders, limit)).await
    }

    async fn end_sessions_of(&self, name: &str) -> Result<usize, StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            Ok(tx.prepare_cached("DELETE FROM sessions WHERE name = ?1")?.execute([&name])?)
        })
        .await
    }

    async fn put_links(&self, links: Vec<LinkRow>) -> Result<(), StoreError> {
        self.write(move |tx| links.iter().try_for_each(|link| put_link(tx, link))).await
    }

    async fn link(&self, hash: Digest) -> Result<Option<LinkRow>, StoreError> {
        self.readers.read(move |db| link(db, hash)).await
    }

    async fn use_link(&self, hash: Digest, now: Timestamp, outcome: &str) -> Result<(), StoreError> {
        let outcome = outcome.to_owned();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE links SET used = ?2, outcome = ?3 WHERE hash = ?1 AND used IS NULL")?
                .execute(params![hash.0, now.0, outcome])?;
            Ok(())
        })
        .await
    }

    async fn put_code(&self, code: CodeRow, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| put_code(tx, &code, now)).await
    }

    async fn code_sent(&self, browser: Digest, now: Timestamp) -> Result<Option<(Address, u32)>, StoreError> {
        let found = self.readers.read(move |db| {
            let mut query =
                db.prepare_cached("SELECT person, tries FROM codes WHERE browser = ?1 AND expires > ?2")?;
            let found: Option<(String, u32)> = query
                .query_row(params![browser.0, now.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(found)
        });
        let Some((person, tries)) = found.await? else { return Ok(None) };
        Ok(Some((address(&person)?, tries)))
    }

    async fn try_code(
        &self,
        browser: Digest,
        code: Digest,
        now: Timestamp,
        most: u32,
    ) -> Result<Option<Address>, StoreError> {
        self.write(move |tx| try_code(tx, browser, code, now, most)).await
    }

    async fn add_passkey(&self, key: PasskeyRow) -> Result<bool, StoreError> {
        self.write(move |tx| passkeys::add(tx, &key)).await
    }

    async fn passkey(&self, id: Vec<u8>) -> Result<Option<PasskeyRow>, StoreError> {
        self.readers.read(move |db| passkeys::one(db, &id)).await
    }

    async fn passkeys_of(&self, name: &str, keys: &[String]) -> Result<Vec<PasskeyRow>, StoreError> {
        let (name, keys) = (name.to_owned(), keys.to_vec());
        self.readers.read(move |db| passkeys::of(db, &name, &keys)).await
    }

    async fn all_passkeys(&self) -> Result<Vec<PasskeyRow>, StoreError> {
        self.readers.read(passkeys::all).await
    }

    async fn use_passkey(&self, id: Vec<u8>, count: u32, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| passkeys::used(tx, &id, count, now)).await
    }

    async fn choose_language(&self, people: &[String], language: Language) -> Result<(), StoreError> {
        let people = people.to_vec();
        self.write(move |tx| {
            let mut keep = tx.prepare_cached(
                "INSERT INTO languages (person, language) VALUES (?1, ?2) \
                 ON CONFLICT (person) DO UPDATE SET language = ?2",
            )?;
            for person in &people {
                keep.execute(params![person, to_json(&language)?])?;
            }
            Ok(())
        })
        .await
    }

    async fn chosen_language(&self, person: &str) -> Result<Option<Language>, StoreError> {
        let person = person.to_owned();
        self.readers
            .read(move |db| {
                let mut select = db.prepare_cached("SELECT language FROM languages WHERE person = ?1")?;
                let found: Option<String> = select.query_row([&person], |row| row.get(0)).optional()?;
                Ok(found.map(|text| from_json(&text)).transpose()?)
            })
            .await
    }

    async fn remove_passkey(&self, id: Vec<u8>) -> Result<bool, StoreError> {
        self.write(move |tx| passkeys::remove(tx, &id)).await
    }

    async fn add_api_token(&self, token: ApiTokenRow) -> Result<bool, StoreError> {
        self.write(move |tx| add_api_token(tx, &token)).await
    }

    async fn api_tokens(&self) -> Result<Vec<ApiTokenRow>, StoreError> {
        self.readers
            .read(|db| {
                let mut select = db.prepare_cached(&format!("{API_TOKENS} ORDER BY name"))?;
                Ok(select.query_map([], api_token)?.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn api_token(&self, hash: Digest, now: Timestamp) -> Result<Option<ApiTokenRow>, StoreError> {
        self.readers
            .read(move |db| {
                let sql = format!("{API_TOKENS} WHERE hash = ?1 AND (expires IS NULL OR expires > ?2)");
                let mut select = db.prepare_cached(&sql)?;
                Ok(select.query_row(params![hash.0, now.0], api_token).optional()?)
            })
            .await
    }

    async fn touch_api_token(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("UPDATE api_tokens SET used = ?2 WHERE hash = ?1")?
                .execute(params![hash.0, now.0])?;
            Ok(())
        })
        .await
    }

    async fn remove_api_token(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |tx| {
            Ok(tx.prepare_cached("DELETE FROM api_tokens WHERE name = ?1")?.execute([&name])? > 0)
        })
        .await
    }

    async fn note_held(
        &self,
        id: Id,
        at: Timestamp,
        event: Event,
        due: Vec<NewNotice>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| note_held(tx, id, at, &event, &due)).await
    }

    async fn held_page(&self, query: &HeldQuery) -> Result<HeldPage, StoreError> {
        let query = query.clone();
        self.readers.read(move |db| held::page(db, &query)).await
    }

    async fn held_count(&self, query: &HeldQuery, most: usize) -> Result<usize, StoreError> {
        let query = query.clone();
        self.readers.read(move |db| held::count(db, &query, most)).await
    }

    async fn held_counts(&self, scope: &Scope) -> Result<BTreeMap<HeldState, usize>, StoreError> {
        let scope = scope.clone();
        self.readers.read(move |db| held::counts(db, &scope)).await
    }

    async fn held_rows(&self, scope: &Scope, ids: &[Id]) -> Result<Vec<HeldRow>, StoreError> {
        let (scope, ids) = (scope.clone(), ids.to_vec());
        self.readers.read(move |db| held::rows(db, &scope, &ids)).await
    }

    async fn was_asked(&self, addresses: &[String]) -> Result<bool, StoreError> {
        let addresses = addresses.to_vec();
        self.readers.read(move |db| held::was_asked(db, &addresses)).await
    }
}

fn open_session(tx: &Connection, session: &SessionRow) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM sessions WHERE expires <= ?1")?.execute([session.made.0])?;
    tx.prepare_cached(
        "INSERT INTO sessions (hash, name, who, made, seen, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        session.hash.0,
        session.name,
        session.who,
        session.made.0,
        session.seen.0,
        session.expires.0
    ])?;
    Ok(())
}

fn session(db: &Connection, hash: Digest, now: Timestamp) -> Result<Option<SessionRow>, Failure> {
    let found = db
        .prepare_cached(
            "SELECT name, who, made, seen, expires FROM sessions WHERE hash = ?1 AND expires > ?2",
        )?
        .query_row(params![hash.0, now.0], |row| {
            Ok(SessionRow {
                hash,
                name: row.get(0)?,
                who: row.get(1)?,
                made: Timestamp(row.get(2)?),
                seen: Timestamp(row.get(3)?),
                expires: Timestamp(row.get(4)?),
            })
        })
        .optional()?;
    Ok(found)
}

fn action(action: LinkAction) -> i64 {
    match action {
        LinkAction::Split => 0,
        LinkAction::TakeBack => 1,
        LinkAction::Undo => 2,
        LinkAction::AskAsIs => 3,
        LinkAction::View => 4,
        LinkAction::AskAgain => 5,
        LinkAction::ApproveSplit => 6,
        LinkAction::GiveBack => 7,
    }
}

fn to_action(code: i64) -> Result<LinkAction, StoreError> {
    Ok(match code {
        0 => LinkAction::Split,
        1 => LinkAction::TakeBack,
        2 => LinkAction::Undo,
        3 => LinkAction::AskAsIs,
        4 => LinkAction::View,
        5 => LinkAction::AskAgain,
        6 => LinkAction::ApproveSplit,
        7 => LinkAction::GiveBack,
        _ => return Err(StoreError::Unreadable(format!("there is no link that does {code}"))),
    })
}

fn put_link(tx: &Connection, link: &LinkRow) -> Result<(), Failure> {
    let message = read::row_of(tx, link.message)?;
    tx.prepare_cached(
        "INSERT INTO links (hash, message, person, action, content, made, expires) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        link.hash.0,
        message,
        link.person.as_str(),
        action(link.action),
        link.content.0,
        link.made.0,
        link.expires.0
    ])?;
    Ok(())
}

fn link(db: &Connection, hash: Digest) -> Result<Option<LinkRow>, Failure> {
    type Raw = (String, String, i64, [u8; 32], i64, i64, Option<i64>, Option<String>);
    let found: Option<Raw> = db
        .prepare_cached(
            "SELECT m.id, l.person, l.action, l.content, l.made, l.expires, l.used, l.outcome \
             FROM links l JOIN messages m ON m.row = l.message WHERE l.hash = ?1",
        )?
        .query_row([hash.0], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
            ))
        })
        .optional()?;
    let Some((id, person, does, content, made, expires, used, outcome)) = found else { return Ok(None) };
    Ok(Some(LinkRow {
        hash,
        message: read::id(&id)?,
        person: address(&person)?,
        action: to_action(does)?,
        content: Digest(content),
        made: Timestamp(made),
        expires: Timestamp(expires),
        used: used.map(Timestamp).zip(outcome),
    }))
}

fn address(text: &str) -> Result<Address, StoreError> {
    Address::parse(text).map_err(|_| StoreError::Unreadable("an address cannot be read back".to_owned()))
}

fn put_code(tx: &Connection, code: &CodeRow, now: Timestamp) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM codes WHERE expires <= ?1")?.execute([now.0])?;
    tx.prepare_cached(
        "INSERT INTO codes (browser, person, code, tries, expires) VALUES (?1, ?2, ?3, 0, ?4) \
         ON CONFLICT (browser) DO UPDATE SET person = ?2, code = ?3, tries = 0, expires = ?4",
    )?
    .execute(params![code.browser.0, code.person.as_str(), code.code.0, code.expires.0])?;
    Ok(())
}

fn try_code(
    tx: &Connection,
    browser: Digest,
    code: Digest,
    now: Timestamp,
    most: u32,
) -> Result<Option<Address>, Failure> {
    let counted = tx
        .prepare_cached(
            "UPDATE codes SET tries = tries + 1 WHERE browser = ?1 AND expires > ?2 AND tries < ?3",
        )?
        .execute(params![browser.0, now.0, most])?;
    if counted == 0 {
        return Ok(None);
    }
    let person: Option<String> = tx
        .prepare_cached("DELETE FROM codes WHERE browser = ?1 AND code = ?2 RETURNING person")?
        .query_row(params![browser.0, code.0], |row| row.get(0))
        .optional()?;
    Ok(person.map(|person| address(&person)).transpose()?)
}

const API_TOKENS: &str = "SELECT name, hash, scopes, made_by, made, used, expires FROM api_tokens";

fn api_token(row: &Row<'_>) -> Result<ApiTokenRow, crate::store::sql::error::Error> {
    Ok(ApiTokenRow {
        name: row.get(0)?,
        hash: Digest(row.get(1)?),
        scopes: row.get::<_, String>(2)?.split(' ').map(str::to_owned).collect(),
        made_by: row.get(3)?,
        made: Timestamp(row.get(4)?),
        used: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        expires: row.get::<_, Option<i64>>(6)?.map(Timestamp),
    })
}

fn add_api_token(tx: &Connection, token: &ApiTokenRow) -> Result<bool, Failure> {
    let added = tx
        .prepare_cached(
            "INSERT INTO api_tokens (name, hash, scopes, made_by, made, expires) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![
            token.name,
            token.hash.0,
            token.scopes.join(" "),
            token.made_by,
            token.made.0,
            token.expires.map(|at| at.0)
        ])?;
    Ok(added > 0)
}

fn note_held(
    tx: &Connection,
    id: Id,
    at: Timestamp,
    event: &Event,
    due: &[NewNotice],
) -> Result<(), Failure> {
    let message = read::row_of(tx, id)?;
    let found = read::held_of(tx, message)?;
    let Some(hold) = found else {
        return Err(StoreError::NotFound(format!("{id} among the held ones")).into());
    };
    if hold.state != HeldState::Held {
        let (by, at) = (hold.decided_by.unwrap_or_default(), hold.decided_at.unwrap_or(at));
        return Err(StoreError::Decided { state: hold.state, by, at }.into());
    }
    journal::append(tx, message, at, event)?;
    for notice in due {
        notices::put(tx, message, notice.kind, Some(notice.due.0))?;
    }
    Ok(())
}
