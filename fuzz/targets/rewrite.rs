//! From message to copies: whatever the message is, a split copy that the audit lets out shows nobody
//! else's address, and a body is never changed.
#![cfg_attr(fuzzing, no_main)]

use sekisho::clock::Timestamp;
use sekisho::examine::Examiner;
use sekisho::id::Id;
use sekisho::message::Address;
use sekisho::message::envelope::{Envelope, Recipient};
use sekisho::policy::{Disclosure, Knowledge, Organisation, Policy};
use sekisho::rewrite::plan::{CopyOptions, Stamp};
use std::sync::{Arc, LazyLock};

/// The recipients; seeds of the corpus name some of them.
const PEOPLE: [&str; 4] = [
    "misaki.kobayashi1@example.jp",
    "makoto.watanabe2@example.or.jp",
    "hidden@example.net",
    "koho@example.co.jp",
];

static EXAMINER: LazyLock<Examiner> = LazyLock::new(|| Examiner {
    organisation: Arc::new(
        Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[]).expect("a sound organisation"),
    ),
    policy: Arc::new(Policy::shipped().expect("the shipped policy loads")),
    options: Arc::new(CopyOptions::default()),
    approvers: Arc::default(),
    budgets: Arc::default(),
});

/// Whether an address stands in a text as a word of its own, not as the end of a longer address.
fn stands(text: &str, address: &str) -> bool {
    let apart = |c: Option<char>| c.is_none_or(|c| " <>,;:\"()\t".contains(c));
    text.match_indices(address).any(|(at, _)| {
        apart(text[..at].chars().next_back()) && apart(text[at + address.len()..].chars().next())
    })
}

/// Checks one input.
pub fn check(input: &[u8]) {
    let envelope = Envelope {
        sender: Address::parse("hanako.sato@example.co.jp").ok(),
        recipients: PEOPLE
            .iter()
            .filter_map(|text| Address::parse(text).ok())
            .map(Recipient::plain)
            .collect(),
        smtputf8: false,
        eight_bit: true,
        ret: None,
        envid: None,
    };
    let Ok(seen) = EXAMINER.examine(envelope, input, &Knowledge::default()) else { return };
    let stamp = Stamp {
        id: Id::new(Timestamp(1_795_498_800_000), 1),
        received: Timestamp(1_795_498_800_000),
        hostname: "mx.example.co.jp".into(),
        client: "client.example ([192.0.2.1])".into(),
        protocol: "ESMTP".into(),
    };
    let _ = EXAMINER.settle(&seen, &stamp);
    let Ok(copies) = EXAMINER.copies(&seen, Disclosure::Split, &stamp, &[]) else { return };
    for delivery in &copies.deliveries {
        assert_eq!(delivery.recipients().len(), 1);
        let own = delivery.recipients()[0].address.as_str().to_ascii_lowercase();
        let header = delivery.edits().render(&seen.header).expect("edits fit the header they were made from");
        let text = String::from_utf8_lossy(&header).replace("\r\n", "").to_ascii_lowercase();
        // Who wrote it is no secret.
        let wrote = |person: &str| {
            let authors = seen.facts.from.iter().chain(&seen.facts.sender);
            authors.into_iter().any(|author| author.address.key() == person)
        };
        for hidden in PEOPLE.iter().take(3).filter(|person| **person != own && !wrote(person)) {
            assert!(!stands(&text, hidden), "{hidden} stands in the copy of {own}");
        }
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
