//! How held messages are found: by terms for people and rules, and by pairs of characters for subjects.

use super::encode::{Meta, from_json};
use super::error::Failure;
use crate::message::address::parse_list;
use crate::message::{Address, Envelope, Header};
use crate::policy::Verdict;
use crate::policy::verdict::Demand;
use crate::store::sql::db::{Connection, Dialect, OptionalExtension, params};
use crate::store::{NewMessage, Origin, Scope};
use bytes::Bytes;
use std::collections::BTreeSet;

/// The term of every held message.
pub(in crate::store) const EVERYTHING: &str = "*";
/// The term of messages whose senders ask that they be sent as is.
pub(in crate::store) const AS_IS: &str = "q:as-is";
/// The maximum length, in characters, of the part of a subject or of attachment names that is searched, and of
/// a text to search for.
pub(in crate::store) const LONGEST: usize = 400;
/// The maximum number of addresses of one person.
pub(in crate::store) const MOST_ADDRESSES: usize = 50;

/// The terms of a message that is being accepted.
pub(in crate::store) fn terms_of_new(message: &NewMessage) -> Vec<String> {
    terms(&message.origin, &message.envelope, message.verdict.as_ref(), &message.header)
}

/// Senders are MAIL FROM, every From address and the authenticated identity: those that a person's permissions
/// for a message depend on.
fn terms(origin: &Origin, envelope: &Envelope, verdict: Option<&Verdict>, header: &Bytes) -> Vec<String> {
    let mut terms = BTreeSet::new();
    let mut add = |part: &str, address: &Address| {
        terms.insert(format!("{part}:{}", address.key()));
        terms.insert(format!("{part}:@{}", address.domain_key()));
    };
    let header = Header::parse(header.clone()).ok();
    let written = header
        .iter()
        .flat_map(|header| header.named("from").flat_map(|field| parse_list(header.body(field)).mailboxes));
    for mailbox in written {
        add("s", &mailbox.address);
    }
    if let Origin::Client { identity: Some(identity), .. } = origin
        && let Ok(address) = Address::parse(identity)
    {
        add("s", &address);
    }
    envelope.sender.iter().for_each(|sender| add("s", sender));
    envelope.recipients.iter().for_each(|recipient| add("r", &recipient.address));
    let rules = verdict.iter().flat_map(|verdict| &verdict.rules);
    for rule in rules.filter(|rule| rule.matched && rule.demand != Demand::default()) {
        terms.insert(format!("u:{}", rule.name));
    }
    terms.into_iter().collect()
}

/// Makes a message searchable by these terms, its subject and the names of its attachments.
pub(in crate::store) fn describe(
    tx: &Connection,
    message: i64,
    terms: &[String],
    subject: &str,
) -> Result<(), Failure> {
    let (state, files): (i64, String) = tx
        .prepare_cached("SELECT state, files FROM held WHERE message = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO held_terms (term, state, message) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for term in terms {
        insert.execute(params![term, state, message])?;
    }
    index(tx, message, subject, &files)
}

/// Makes a message searchable by its subject and the names of its attachments.
pub(in crate::store) fn index(
    tx: &Connection,
    message: i64,
    subject: &str,
    files: &str,
) -> Result<(), Failure> {
    tx.prepare_cached("DELETE FROM held_subjects WHERE rowid = ?1")?.execute([message])?;
    tx.prepare_cached("INSERT INTO held_subjects (rowid, pairs) VALUES (?1, ?2)")?
        .execute(params![message, pairs(subject).join(" ")])?;
    if !files.is_empty() {
        tx.prepare_cached("DELETE FROM held_files WHERE rowid = ?1")?.execute([message])?;
        tx.prepare_cached("INSERT INTO held_files (rowid, pairs) VALUES (?1, ?2)")?
            .execute(params![message, pairs(files).join(" ")])?;
    }
    Ok(())
}

/// Marks a held message as one whose sender asks that it be sent as is.
pub(in crate::store) fn mark_asked(tx: &Connection, message: i64) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO held_terms (term, state, message) \
         SELECT ?2, state, message FROM held WHERE message = ?1 ON CONFLICT DO NOTHING",
    )?
    .execute(params![message, AS_IS])?;
    Ok(())
}

/// Makes a message searchable that is held only after it was accepted.
pub(in crate::store) fn describe_stored(tx: &Connection, message: i64) -> Result<(), Failure> {
    let found: Option<(String, Vec<u8>, String)> = tx
        .prepare_cached(
            "SELECT c.meta, c.header, m.subject FROM contents c JOIN messages m ON m.row = c.message \
             WHERE c.message = ?1",
        )?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((meta, header, subject)) = found else { return Ok(()) };
    let Meta { origin, envelope, verdict } = from_json(&meta)?;
    let terms = terms(&origin, &envelope, verdict.as_ref(), &Bytes::from(header));
    describe(tx, message, &terms, &subject)
}

/// Pairs of adjacent characters, in hexadecimal. They make texts in any script searchable, from two characters
/// on.
fn pairs(text: &str) -> Vec<String> {
    let letters: Vec<char> = folded(text).chars().take(LONGEST).collect();
    letters.windows(2).map(|two| format!("{:x}g{:x}", u32::from(two[0]), u32::from(two[1]))).collect()
}

/// The form in which texts are compared, without regard to compatibility forms and case.
pub(in crate::store) fn folded(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// A text to search for in subjects.
pub(in crate::store) struct Phrase {
    /// Its pairs of characters, as a search expression.
    pub(in crate::store) pairs: String,
    /// The folded text.
    pub(in crate::store) text: String,
}

impl Phrase {
    /// The search expression for an engine.
    pub(in crate::store) fn sought(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Sqlite => self.pairs.clone(),
            // A stored pair has a blank on both sides; the beginning of a pair has one only before it.
            Dialect::Postgres => match self.pairs.strip_suffix('*') {
                Some(begins) => format!(" {begins}"),
                None => format!(" {} ", self.pairs.trim_matches('"')),
            },
        }
    }
}

/// The terms within a scope.
pub(in crate::store) fn scope_terms(scope: &Scope) -> Vec<String> {
    match scope {
        Scope::All => vec![EVERYTHING.to_owned()],
        Scope::Of { senders, approvers } => {
            let own = senders.iter().take(MOST_ADDRESSES).map(|key| format!("s:{key}"));
            own.chain(approvers.iter().take(MOST_ADDRESSES).map(|key| format!("a:{key}"))).collect()
        }
    }
}

/// The form of `taro@x.example`, `@x.example` or `x.example` in a term.
pub(in crate::store) fn person(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    if let Ok(address) = Address::parse(text) {
        return Some(address.key().to_owned());
    }
    let domain = text.strip_prefix('@').unwrap_or(text);
    let sample = Address::parse(&format!("x@{domain}")).ok()?;
    Some(format!("@{}", sample.domain_key()))
}

/// A text to search for; `None` if it is empty.
pub(in crate::store) fn phrase(text: &str) -> Option<Phrase> {
    let text: String = folded(text.trim()).chars().take(LONGEST).collect();
    let pairs = pairs(&text);
    let pairs = match (pairs.is_empty(), text.chars().next()) {
        (true, None) => return None,
        // A single character matches every pair that begins with it.
        (true, Some(letter)) => format!("{:x}g*", u32::from(letter)),
        (false, _) => format!("\"{}\"", pairs.join(" ")),
    };
    Some(Phrase { pairs, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_of_any_script_are_searched() {
        assert_eq!(pairs("会議室").len(), 2);
        for (text, pairs, folded) in
            [("会議", "\"4f1ag8b70\"", "会議"), (" ＡＢ ", "\"61g62\"", "ab"), ("あ", "3042g*", "あ")]
        {
            let found = phrase(text).unwrap();
            assert_eq!((found.pairs.as_str(), found.text.as_str()), (pairs, folded));
        }
        assert!(phrase("  ").is_none());
    }

    #[test]
    fn people_are_addresses_or_domains() {
        for (text, term) in [
            ("Taro@X.example", Some("taro@x.example")),
            ("<taro@x.example>", Some("taro@x.example")),
            ("@X.example", Some("@x.example")),
            ("x.example", Some("@x.example")),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(person(text).as_deref(), term, "{text}");
        }
    }
}
