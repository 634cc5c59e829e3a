//! People in the store: sessions, links, codes, tokens, and scoped lists.

use super::*;
use crate::policy::verdict::Language;
use crate::token::{Digest, Token};
use std::collections::BTreeMap;

fn digest(text: &str) -> Digest {
    Digest::of(&[text.as_bytes()])
}

fn session(name: &str, until: Timestamp) -> SessionRow {
    SessionRow {
        hash: digest(name),
        name: name.to_owned(),
        who: "{}".to_owned(),
        made: NOW,
        seen: NOW,
        expires: until,
    }
}

/// A session lasts until it expires or is ended; only its hash is stored.
pub(in crate::store) async fn keeps_sessions(harness: &impl Harness) {
    let store = harness.open();
    for row in [session("sato", at(60)), session("suzuki", at(5))] {
        store.open_session(row).await.unwrap();
    }
    assert_eq!(store.session(digest("sato"), at(1)).await.unwrap(), Some(session("sato", at(60))));
    assert_eq!(store.session(digest("suzuki"), at(5)).await.unwrap(), None, "its time is over");
    store.touch_session(digest("sato"), at(2)).await.unwrap();
    assert_eq!(store.session(digest("sato"), at(3)).await.unwrap().unwrap().seen, at(2));
    let hashes = |rows: Vec<SessionRow>| rows.into_iter().map(|row| row.hash).collect::<Vec<_>>();
    assert_eq!(hashes(store.sessions_of("sato", at(3)).await.unwrap()), [digest("sato")]);
    assert_eq!(hashes(store.sessions_of("suzuki", at(5)).await.unwrap()), [], "over");
    store.end_session(digest("nobody")).await.unwrap();
    assert_eq!(store.end_sessions_of("sato").await.unwrap(), 1);
    assert_eq!(store.session(digest("sato"), at(3)).await.unwrap(), None);
}

/// A code works once, in one browser, for a limited time and number of tries.
pub(in crate::store) async fn codes_are_good_once(harness: &impl Harness) {
    let store = harness.open();
    let row = |browser: &str| CodeRow {
        browser: digest(browser),
        person: address("sato@example.co.jp"),
        code: digest("1234"),
        expires: at(10),
    };
    for browser in ["one", "two", "three"] {
        store.put_code(row(browser), NOW).await.unwrap();
    }
    let attempt = async |browser: &str, code: &str, when| {
        store.try_code(digest(browser), digest(code), when, 3).await.unwrap().map(|who| who.to_string())
    };
    assert_eq!(attempt("other", "1234", at(1)).await, None, "another browser");
    assert_eq!(attempt("one", "1234", at(1)).await.as_deref(), Some("sato@example.co.jp"));
    assert_eq!(attempt("one", "1234", at(1)).await, None, "a second time");
    for _ in 0..3 {
        assert_eq!(attempt("two", "9999", at(1)).await, None);
    }
    let sent = async |browser: &str, when| {
        let sent = store.code_sent(digest(browser), when).await.unwrap();
        sent.map(|(who, tries)| (who.to_string(), tries))
    };
    assert_eq!(sent("one", at(1)).await, None, "used up");
    assert_eq!(sent("two", at(1)).await, Some(("sato@example.co.jp".to_owned(), 3)));
    assert_eq!(sent("three", at(10)).await, None, "too late");
    assert_eq!(attempt("two", "1234", at(1)).await, None, "too many tries");
    assert_eq!(attempt("three", "1234", at(10)).await, None, "too late");
}

/// The language that a person chose applies to all their addresses, and the last choice counts.
pub(in crate::store) async fn languages_are_kept(harness: &impl Harness) {
    let store = harness.open();
    let both = ["sato@example.co.jp".to_owned(), "hanako@example.co.jp".to_owned()];
    assert_eq!(store.chosen_language("sato@example.co.jp").await.unwrap(), None);
    store.choose_language(&both, Language::En).await.unwrap();
    store.choose_language(&both[..1], Language::Ja).await.unwrap();
    assert_eq!(store.chosen_language("sato@example.co.jp").await.unwrap(), Some(Language::Ja));
    assert_eq!(store.chosen_language("hanako@example.co.jp").await.unwrap(), Some(Language::En));
    assert_eq!(store.chosen_language("sato").await.unwrap(), None);
}

/// A passkey is read back, found by its owner's name and addresses, updated when it is used, and deleted.
pub(in crate::store) async fn passkeys_are_their_owners(harness: &impl Harness) {
    let store = harness.open();
    let key = |id: u8, name: &str, address: &str| PasskeyRow {
        id: vec![id; 16],
        name: name.to_owned(),
        keys: vec![address.to_owned()],
        label: "laptop".to_owned(),
        who: "{}".to_owned(),
        algorithm: -7,
        key: vec![4; 91],
        count: 0,
        made: at(u64::from(id)),
        used: None,
    };
    let (one, two) = (key(1, "soumu", "soumu@example.co.jp"), key(2, "boss", "boss@example.co.jp"));
    assert!(store.add_passkey(one.clone()).await.unwrap());
    assert!(!store.add_passkey(key(1, "boss", "boss@example.co.jp")).await.unwrap(), "the id is taken");
    assert!(store.add_passkey(two.clone()).await.unwrap());
    assert_eq!(store.passkey(vec![1; 16]).await.unwrap(), Some(one.clone()));
    assert_eq!(store.passkey(vec![3; 16]).await.unwrap(), None);
    let of = async |name: &str, address: &str| store.passkeys_of(name, &[address.to_owned()]).await.unwrap();
    assert_eq!(of("soumu", "x@example.co.jp").await, std::slice::from_ref(&one));
    assert_eq!(of("soumu@example.co.jp", "soumu@example.co.jp").await, std::slice::from_ref(&one));
    assert!(of("taro", "taro@example.co.jp").await.is_empty());
    assert_eq!(store.all_passkeys().await.unwrap(), [two, one.clone()]);
    store.use_passkey(one.id.clone(), 7, at(9)).await.unwrap();
    let used = PasskeyRow { count: 7, used: Some(at(9)), ..one.clone() };
    assert_eq!(store.passkey(one.id.clone()).await.unwrap(), Some(used));
    assert!(store.remove_passkey(one.id.clone()).await.unwrap());
    assert!(!store.remove_passkey(one.id).await.unwrap());
}

/// Tokens have unique names, and expire.
pub(in crate::store) async fn tokens_have_names(harness: &impl Harness) {
    let store = harness.open();
    let token = |name: &str, expires| ApiTokenRow {
        name: name.to_owned(),
        hash: digest(name),
        scopes: vec!["held:read".to_owned(), "report:read".to_owned()],
        made_by: "root".to_owned(),
        made: NOW,
        used: None,
        expires,
    };
    assert!(store.add_api_token(token("one", None)).await.unwrap());
    assert!(!store.add_api_token(token("one", Some(at(1)))).await.unwrap(), "the name is taken");
    assert!(store.add_api_token(token("two", Some(at(5)))).await.unwrap());
    store.touch_api_token(digest("one"), at(1)).await.unwrap();
    assert_eq!(store.api_token(digest("one"), at(9)).await.unwrap().unwrap().used, Some(at(1)));
    assert_eq!(store.api_token(digest("two"), at(4)).await.unwrap(), Some(token("two", Some(at(5)))));
    assert_eq!(store.api_token(digest("two"), at(5)).await.unwrap(), None, "it ended");
    let names = |all: Vec<ApiTokenRow>| all.into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names(store.api_tokens().await.unwrap()), ["one", "two"]);
    assert!(store.remove_api_token("one").await.unwrap());
    assert!(!store.remove_api_token("one").await.unwrap());
}

/// A link is read back, is used once, and is deleted with its message.
pub(in crate::store) async fn links_are_used_once(harness: &impl Harness) {
    let store = harness.open();
    let new = held_message(1, &["a@x.example"]);
    store.accept(new.clone()).await.unwrap();
    let hash = Token::new().unwrap().digest();
    let row = LinkRow {
        hash,
        message: new.id,
        person: address("Sato@example.co.jp"),
        action: LinkAction::TakeBack,
        content: digest("content"),
        made: NOW,
        expires: at(60),
        used: None,
    };
    store.put_links(vec![row.clone()]).await.unwrap();
    assert_eq!(store.link(hash).await.unwrap(), Some(row.clone()));
    store.use_link(hash, at(1), "taken back").await.unwrap();
    store.use_link(hash, at(2), "again").await.unwrap();
    let used = Some((at(1), "taken back".to_owned()));
    assert_eq!(store.link(hash).await.unwrap(), Some(LinkRow { used, ..row.clone() }));
    assert_eq!(store.link(digest("forged")).await.unwrap(), None);
    let foreign = LinkRow { hash: digest("x"), message: Id::new(NOW, 99), ..row };
    assert!(matches!(store.put_links(vec![foreign]).await, Err(StoreError::NotFound(_))));
}

fn of(senders: &[&str], approvers: &[&str]) -> Scope {
    let texts = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
    Scope::Of { senders: texts(senders), approvers: texts(approvers) }
}

/// The ids that a query finds.
async fn found(store: &dyn Store, query: HeldQuery) -> Vec<Id> {
    let page = store.held_page(&query).await.unwrap();
    page.lines.into_iter().map(|line| line.id).collect()
}

/// Lists show what the scope and the filters allow, newest first, page by page, and change with decisions.
pub(in crate::store) async fn lists_within_a_scope(harness: &impl Harness) {
    let store = harness.open();
    let mut ids = Vec::new();
    for (number, sender, subject, to) in [
        (1, "sato@example.co.jp", "会議のお知らせ", "a@x.example"),
        (2, "suzuki@example.co.jp", "Estimate", "a@x.example"),
        (3, "sato@example.co.jp", "見積り", "b@y.example"),
    ] {
        let mut new = held_message(number, &[to]);
        new.received = at(number);
        new.id = Id::new(at(number), number);
        new.envelope.sender = Some(address(sender));
        new.header = Bytes::from(format!("From: {sender}\r\n"));
        new.subject = subject.to_owned();
        let files = if number == 1 { vec!["会員名簿.csv".to_owned(), String::new()] } else { Vec::new() };
        new.held.as_mut().unwrap().glance = Glance { author: format!("{number}さん"), files };
        ids.push(new.id);
        store.accept(new).await.unwrap();
    }
    let [one, two, three] = ids[..] else { panic!("three") };
    let all = || HeldQuery::new(Scope::All);
    let text = |text: &str| Some(text.to_owned());
    for (what, query, wanted) in [
        ("everything", all(), vec![three, two, one]),
        ("their own", HeldQuery::new(of(&["sato@example.co.jp"], &[])), vec![three, one]),
        ("assigned", HeldQuery::new(of(&[], &["soumu@example.co.jp"])), vec![three, two, one]),
        (
            "both",
            HeldQuery::new(of(&["sato@example.co.jp"], &["soumu@example.co.jp"])),
            vec![three, two, one],
        ),
        ("a stranger's", HeldQuery::new(of(&["x@example.co.jp"], &["x@example.co.jp"])), vec![]),
        ("nobody's", HeldQuery::new(of(&[], &[])), vec![]),
        ("of one", HeldQuery { sender: text("Suzuki@Example.co.jp"), ..all() }, vec![two]),
        ("of a domain", HeldQuery { sender: text("example.co.jp"), ..all() }, vec![three, two, one]),
        ("to one", HeldQuery { recipient: text("a@x.example"), ..all() }, vec![two, one]),
        ("to a domain", HeldQuery { recipient: text("@y.example"), ..all() }, vec![three]),
        ("a subject", HeldQuery { subject: text("会議"), ..all() }, vec![one]),
        ("in any case", HeldQuery { subject: text("ESTIMATE"), ..all() }, vec![two]),
        ("one letter", HeldQuery { subject: text("見"), ..all() }, vec![three]),
        ("anywhere", HeldQuery { text: text("x.example"), ..all() }, vec![two, one]),
        ("an attachment", HeldQuery { text: text("名簿.CSV"), ..all() }, vec![one]),
        (
            "an attachment of somebody's",
            HeldQuery { text: text("名簿"), ..HeldQuery::new(of(&["sato@example.co.jp"], &[])) },
            vec![one],
        ),
        ("an attachment is no subject", HeldQuery { subject: text("名簿"), ..all() }, vec![]),
        ("by deadline", HeldQuery { order: Order::Deadline, ..all() }, vec![one, two, three]),
        (
            "by deadline, the next page",
            HeldQuery { order: Order::Deadline, after: Some(one), ..all() },
            vec![two, three],
        ),
        ("no such", HeldQuery { subject: text("nothing"), ..all() }, vec![]),
        ("no address", HeldQuery { sender: text("a b"), ..all() }, vec![]),
        ("since", HeldQuery { since: Some(at(2)), ..all() }, vec![three, two]),
        ("before", HeldQuery { before: Some(at(2)), ..all() }, vec![one]),
        ("an injection", HeldQuery { subject: text("\" OR 1 --"), ..all() }, vec![]),
        (
            "a foreign subject",
            HeldQuery { subject: text("Estimate"), ..HeldQuery::new(of(&["sato@example.co.jp"], &[])) },
            vec![],
        ),
    ] {
        assert_eq!(found(&*store, query).await, wanted, "{what}");
    }
    let first = store.held_page(&HeldQuery { limit: 2, ..all() }).await.unwrap();
    assert_eq!(first.next, Some(two));
    assert_eq!(found(&*store, HeldQuery { after: first.next, ..all() }).await, [one]);
    let line = |id| first.lines.iter().find(move |line| line.id == id).unwrap();
    assert_eq!((line(two).author.as_str(), line(two).files), ("2さん", 0));
    let own = HeldQuery { text: text("名簿"), ..HeldQuery::new(of(&["sato@example.co.jp"], &[])) };
    assert_eq!(store.held_page(&own).await.unwrap().lines[0].files, 2);
    for (query, most, wanted) in
        [(all(), 9, 3), (all(), 2, 2), (own, 9, 1), (HeldQuery { after: Some(three), ..all() }, 9, 2)]
    {
        assert_eq!(store.held_count(&query, most).await.unwrap(), wanted, "{query:?}");
    }
    follows_decisions(&*store, one).await;
}

/// After the clock was set back, the mail of a time is listed wherever its rows are; others of that hour may be, too.
pub(in crate::store) async fn a_clock_that_was_set_back_leaves_no_held_mail_out(harness: &impl Harness) {
    let store = harness.open();
    let mut ids = Vec::new();
    for (random, minute) in [(1, 40), (2, 10), (3, 20)] {
        let mut new = held_message(random, &["a@x.example"]);
        (new.received, new.id) = (at(minute), Id::new(at(minute), random));
        ids.push(new.id);
        store.accept(new).await.unwrap();
    }
    let all = || HeldQuery::new(Scope::All);
    for (query, wanted) in [
        (HeldQuery { since: Some(at(15)), ..all() }, [0, 2]),
        (HeldQuery { before: Some(at(30)), ..all() }, [1, 2]),
    ] {
        let listed = found(&*store, query.clone()).await;
        assert!(wanted.iter().all(|one| listed.contains(&ids[*one])), "{query:?}: {listed:?}");
    }
    for nothing in [HeldQuery { since: Some(at(500)), ..all() }, HeldQuery { before: Some(at(1)), ..all() }] {
        assert_eq!(found(&*store, nothing).await, []);
    }
}

async fn follows_decisions(store: &dyn Store, id: Id) {
    let decision = HeldDecision::new(id, HeldState::Returned, "soumu", at(10), "");
    store.decide(decision).await.unwrap();
    let returned = HeldQuery { state: Some(HeldState::Returned), ..HeldQuery::new(Scope::All) };
    assert_eq!(found(store, returned).await, [id]);
    let own = of(&["sato@example.co.jp"], &[]);
    let held = HeldQuery { state: Some(HeldState::Held), ..HeldQuery::new(own.clone()) };
    assert_eq!(found(store, held).await.len(), 1);
    let counts = store.held_counts(&own).await.unwrap();
    let wanted: BTreeMap<HeldState, usize> =
        [(HeldState::Held, 1), (HeldState::Released, 0), (HeldState::Returned, 1), (HeldState::Expired, 0)]
            .into();
    assert_eq!(counts, wanted);
    assert_eq!(store.held_counts(&of(&[], &[])).await.unwrap()[&HeldState::Held], 0);
    let foreign = of(&["x@example.co.jp"], &[]);
    assert_eq!(store.held_rows(&foreign, &[id]).await.unwrap(), []);
    assert_eq!(store.held_rows(&own, &[id]).await.unwrap().len(), 1);
    assert!(store.was_asked(&["soumu@example.co.jp".to_owned()]).await.unwrap());
    assert!(!store.was_asked(&["x@example.co.jp".to_owned()]).await.unwrap());
    let event = Event::Asked { by: "sato".to_owned(), reason: "x".to_owned() };
    let late = store.note_held(id, at(11), event, Vec::new()).await;
    assert!(matches!(late, Err(StoreError::Decided { .. })), "{late:?}");
}
