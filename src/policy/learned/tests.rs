//! What mails teach, and how it is used.

use super::*;
use crate::message::Recipient;
use crate::policy::{Action, Knowledge, Policy, Verdict};
use bytes::Bytes;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_794_000_000_000);
const DAY: i64 = 24 * 3_600_000;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn ours() -> Organisation {
    Organisation::new(&[("example.co.jp".into(), true)], &["partner.example".into()], &[]).unwrap()
}

fn header(text: &str) -> Header {
    Header::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap()
}

fn read(text: &str, source: Source) -> Result<Learned, Untaught> {
    Learned::read(&ours(), &header(text), NOW, source, Began(Timestamp(NOW.0 - DAY)))
}

/// A simple model of the store: what it knows about a message, given these mails.
fn shared(mails: &[Learned], references: &[String], people: &[Address]) -> Vec<Shared> {
    let mut found = Vec::new();
    for mail in mails {
        let on: HashSet<String> = mail.people().iter().map(counting_key).collect();
        let met: Vec<Address> =
            people.iter().filter(|one| on.contains(&counting_key(one))).cloned().collect();
        let day = Day::of(mail.date());
        let cited = mail.message_id().filter(|id| references.iter().any(|one| one == id)).map(str::to_owned);
        found.extend([cited.clone(), None].into_iter().map(|cited| Shared {
            cited,
            since: day,
            last: day,
            met: met.clone(),
        }));
    }
    found
}

fn facts(text: &str, bcc: &[&str], mails: &[Learned]) -> Facts {
    let header = header(text);
    let to: Vec<Address> = ["to", "cc"]
        .iter()
        .flat_map(|name| header.named(name))
        .flat_map(|field| crate::message::address::parse_list(header.body(field)).mailboxes)
        .map(|mailbox| mailbox.address)
        .chain(bcc.iter().map(|text| address(text)))
        .collect();
    let envelope = Envelope {
        sender: Some(address("sato@example.co.jp")),
        recipients: to.into_iter().map(Recipient::plain).collect(),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
    };
    let preface = Preface::read(&ours(), &envelope, Ok(&header));
    let concerned = preface.facts().concerned.clone();
    let shared = shared(mails, &preface.facts().references, &concerned);
    let knowledge = Knowledge { shared, ..Knowledge::default() };
    preface.complete(crate::message::BodyFacts::default(), 100, &knowledge, &ours())
}

fn decide(text: &str, mails: &[Learned]) -> Verdict {
    let (policy, facts) = (Policy::shipped().unwrap(), facts(text, &[], mails));
    let mut verdict = policy.decide(&facts);
    policy.complete(&mut verdict, &facts);
    verdict
}

const SIX: &str =
    "a@one.example, b@two.example, c@three.example, d@four.example, e@five.example, f@six.example";

/// A mail of 12 November 2026 from an outsider to five other outsiders and us.
fn thread() -> Learned {
    let text = format!(
        "From: A <a@one.example>\nTo: {}, sato@example.co.jp\nMessage-ID: <first@one.example>\n",
        &SIX[15..]
    );
    let noon = Timestamp(i64::from(Day::parse("2026-11-12").unwrap().0) * DAY + DAY / 2);
    Learned::read(&ours(), &header(&text), noon, Source::Journal, Began(NOW)).unwrap()
}

/// How many people a mail teaches, or a test of the reason why it teaches nothing.
type Taught = Result<usize, fn(&Untaught) -> bool>;

#[test]
fn what_a_mail_teaches() {
    let six = format!("From: {}\nTo: {}\n", &SIX[..13], &SIX[15..]);
    let by_us = format!("From: sato@example.co.jp\nTo: {SIX}\n");
    let crowd = (0..=MOST_PEOPLE).map(|n| format!("p{n}@x.example, ")).collect::<Vec<_>>().concat();
    let cases: &[(String, Source, Taught)] = &[
        (format!("{six}Cc: sato@example.co.jp\n"), Source::Journal, Ok(6)),
        (
            format!("{six}Cc: sato@sub.example.co.jp, A@One.example, p@partner.example\n"),
            Source::Archive,
            Ok(7),
        ),
        // nobody of ours, or only where nobody sees them
        (six.clone(), Source::Journal, Err(|why| matches!(why, Untaught::NobodyOfOurs))),
        (
            format!("{six}Bcc: sato@example.co.jp\n"),
            Source::Journal,
            Err(|why| matches!(why, Untaught::NobodyOfOurs)),
        ),
        (
            format!("{six}Reply-To: sato@example.co.jp\n"),
            Source::Journal,
            Err(|why| matches!(why, Untaught::NobodyOfOurs)),
        ),
        // mail that one of ours wrote may never have been sent
        (by_us.clone(), Source::Journal, Err(|why| matches!(why, Untaught::OwnMail))),
        (by_us.clone(), Source::Archive, Err(|why| matches!(why, Untaught::OwnMail))),
        (
            "From: a@one.example\nTo: sato@example.co.jp\n".into(),
            Source::Journal,
            Err(|why| matches!(why, Untaught::FewOutsiders)),
        ),
        (
            "From: a@one.example\nTo: A@ONE.example, sato@example.co.jp\n".into(),
            Source::Journal,
            Err(|why| matches!(why, Untaught::FewOutsiders)),
        ),
        // hidden recipients and reply addresses were not shown as people of this mail
        (
            "From: a@one.example\nTo: sato@example.co.jp\nBcc: b@two.example\nReply-To: c@x.example\n".into(),
            Source::Journal,
            Err(|why| matches!(why, Untaught::FewOutsiders)),
        ),
        (
            format!("From: a@one.example\nTo: {crowd}sato@example.co.jp\n"),
            Source::Journal,
            Err(|why| matches!(why, Untaught::TooMany(_))),
        ),
        // nothing is learned from what cannot be read reliably
        (
            format!("{six}From: sato@example.co.jp\n"),
            Source::Journal,
            Err(|why| matches!(why, Untaught::Unreadable(_))),
        ),
        (
            format!("{six}Cc: <sato@example.co.jp\n"),
            Source::Journal,
            Err(|why| matches!(why, Untaught::Unreadable(_))),
        ),
        (
            "To: a@one.example, b@two.example, sato@example.co.jp\n".into(),
            Source::Journal,
            Err(|why| matches!(why, Untaught::Unreadable(_))),
        ),
    ];
    for (text, source, wanted) in cases {
        match (read(text, *source), wanted) {
            (Ok(learned), Ok(people)) => assert_eq!(learned.people().len(), *people, "{text}"),
            (Err(why), Err(is)) => assert!(is(&why), "{text}: {why}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
    // an archive from before the relay was installed shows what was sent, but a large crowd may have been an
    // accident
    let before = |text: &str, source| {
        Learned::read(
            &ours(),
            &header(text),
            Timestamp(NOW.0 - 9 * DAY),
            source,
            Began(Timestamp(NOW.0 - DAY)),
        )
    };
    assert_eq!(before(&by_us, Source::Archive).unwrap().people().len(), 6);
    assert!(matches!(before(&by_us, Source::Journal), Err(Untaught::OwnMail)));
    // a Date may be wrong by hours, so mail from about that time does not count
    let about = Learned::read(&ours(), &header(&by_us), Timestamp(NOW.0 - DAY), Source::Archive, Began(NOW));
    assert!(matches!(about, Err(Untaught::OwnMail)));
    let ten = (0..10).map(|n| format!("p{n}@x.example")).collect::<Vec<_>>().join(", ");
    let ten = format!("From: sato@example.co.jp\nTo: {ten}\n");
    assert!(matches!(before(&ten, Source::Archive), Err(Untaught::TooMany(10))));
}

/// Replies as Outlook, Gmail, Apple Mail and Thunderbird write them, threads that were cut or rewritten on
/// the way, and people who were added, removed and moved.
#[test]
fn threads_as_mail_programs_write_them() {
    let all_to = format!("To: {SIX}\n");
    let split = format!("To: {}\nCc: {}\n", &SIX[..28], &SIX[30..]);
    let spelt = "To: =?utf-8?Q?A?= <A@ONE.example>, \"b\" <b@two.example>, c@three.example\nCc: d@four.example (D), <e@five.example>, f@six.example\n";
    let outlook = "In-Reply-To: <first@one.example>\nReferences: <first@one.example>\nThread-Topic: x\nThread-Index: AQHc\n";
    let gmail =
        "References: <first@one.example>\n <CAF=x@mail.gmail.com>\nIn-Reply-To: <CAF=x@mail.gmail.com>\n";
    let apple = "In-Reply-To: <first@one.example>\nReferences: <first@one.example> <B2@one.example>\nX-Mailer: Apple Mail (2.3826)\n";
    let thunderbird = "References: <0@x> <first@one.example>\nIn-Reply-To: <first@one.example>\nUser-Agent: Mozilla Thunderbird\n";
    let cut = "In-Reply-To: <first@one.example>\n";
    let lost = "";
    let rewritten = "In-Reply-To: <rewritten.7@lists.example>\nReferences: <rewritten.7@lists.example>\n";
    for thread_fields in [outlook, gmail, apple, thunderbird, cut, lost, rewritten] {
        for people in [all_to.as_str(), split.as_str(), spelt] {
            let text = format!("From: sato@example.co.jp\n{people}{thread_fields}");
            let verdict = decide(&text, &[thread()]);
            assert_eq!(verdict.action(), Action::Pass, "{text}");
            let why = &verdict.rules[0].why;
            let answers = thread_fields.contains("first@one.example");
            let wanted = if answers {
                "exempt: all six outsiders were on the mail of 12 November 2026 that this answers"
            } else {
                "exempt: all six outsiders were on a mail of 12 November 2026"
            };
            assert_eq!(why, wanted, "{text}");
            assert_eq!(decide(&text, &[]).action(), Action::Hold, "{text}");
        }
        // fewer of them, and more colleagues
        let fewer = format!(
            "From: sato@example.co.jp\nTo: {}\nCc: boss@example.co.jp, p@partner.example\n{thread_fields}",
            &SIX[15..]
        );
        assert_eq!(decide(&fewer, &[thread()]).action(), Action::Pass, "{fewer}");
        // one additional stranger in each field
        for stranger in [
            "Cc: Tanaka <tanaka@new.example>\n",
            "Reply-To: tanaka@new.example\n",
            "X-Copy: tanaka@new.example\n",
        ] {
            let text = format!("From: sato@example.co.jp\n{all_to}{stranger}{thread_fields}");
            let verdict = decide(&text, &[thread()]);
            assert_eq!(verdict.action(), Action::Hold, "{text}");
            let mail = if thread_fields.contains("first@one.example") {
                "the mail of 12 November 2026 that this answers"
            } else {
                "a mail of 12 November 2026"
            };
            let named = format!("; tanaka@new.example was not on {mail}, which the 6 others were on");
            assert!(verdict.rules[0].why.ends_with(&named), "{}", verdict.rules[0].why);
            assert!(verdict.rules[0].why_ja.contains("tanaka@new.example"), "{}", verdict.rules[0].why_ja);
        }
    }
}

#[test]
fn one_mail_must_account_for_all() {
    let mail = |id: &str, people: &str| {
        read(
            &format!("From: a@one.example\nTo: {people}, sato@example.co.jp\nMessage-ID: <{id}>\n"),
            Source::Journal,
        )
        .unwrap()
    };
    let two = [mail("1@x", "b@two.example, c@three.example"), mail("2@x", "d@four.example")];
    let known = |people: &str, bcc: &[&str], mails: &[Learned]| {
        let text = format!("From: sato@example.co.jp\nTo: {people}\nReferences: <1@x> <2@x> <forged@x>\n");
        facts(&text, bcc, mails).acquaintance.is_some_and(|one| one.complete())
    };
    assert!(known("a@one.example, b@two.example", &[], &two));
    // two mails are not added up
    assert!(!known("b@two.example, d@four.example", &[], &two));
    assert!(!known("a@one.example, b@two.example, d@four.example", &[], &two));
    // a hidden stranger sees the others, so the message is not exempt
    assert!(!known("a@one.example, b@two.example", &["hidden@new.example"], &two));
    assert!(known("a@one.example, b@two.example", &["c@three.example", "me@example.co.jp"], &two));
    // a single outsider and an unknown id give no answer
    assert!(!known("a@one.example", &[], &two));
    assert!(!known("a@one.example, b@two.example", &[], &[]));
    // other spellings of an address are the same mailbox; other mailboxes are not
    let gmail = [mail("1@x", "taro.yamada@gmail.com, x@xn--bcher-kva.example")];
    assert!(known("TaroYamada+work@googlemail.com, X@bücher.example", &[], &gmail));
    assert!(!known("taro.yamada@gmail.co.jp, x@xn--bcher-kva.example", &[], &gmail));
    // citing a mail that another store knows has no effect
    let facts = facts("From: sato@example.co.jp\nTo: a@one.example, b@two.example\n", &[], &[]);
    let foreign =
        Shared { cited: Some("1@x".into()), since: Day(1), last: Day(1), met: facts.concerned.clone() };
    assert!(!Acquaintance::of(&facts, &[foreign]).unwrap().complete());
}

#[test]
fn it_is_said_in_two_languages() {
    let why = |text: &str| {
        let rule = decide(text, &[thread()]).rules.remove(0);
        (rule.why, rule.why_ja)
    };
    let (_, ja) = why(&format!("From: sato@example.co.jp\nTo: {SIX}\nIn-Reply-To: <first@one.example>\n"));
    assert_eq!(ja, "適用除外：社外の6名は全員、返信元の2026年11月12日のメールで互いに見えています");
    // if most are strangers, none of them is named
    let (en, _) = why(
        "From: sato@example.co.jp\nTo: a@one.example, b@two.example, v@v.example, w@w.example, x@x.example, y@y.example\n",
    );
    assert!(en.ends_with("and 3 more"), "{en}");
    // under `when` the condition has its own wording
    let text = "[[rule]]\nname = \"r\"\nwhen = { known_to_each_other = false, external_addresses = { at_least = 2 } }\ndemand = \"ask\"\n";
    let policy =
        Policy::load(&[("p.toml".into(), text.into())], &|_| Err(std::io::ErrorKind::NotFound.into()))
            .unwrap();
    let facts = facts("From: sato@example.co.jp\nTo: v@v.example, w@w.example\n", &[], &[thread()]);
    let verdict = policy.decide(&facts);
    assert!(verdict.rules[0].matched);
    assert!(
        verdict.rules[0].why.contains("no mail is known that showed these two outsiders to each other"),
        "{}",
        verdict.rules[0].why
    );
}

fn people() -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence((0..9).map(|n| format!("p{n}@org{n}.example")).collect::<Vec<_>>(), 1..9)
}

fn mails() -> impl Strategy<Value = Vec<(usize, Vec<String>)>> {
    proptest::collection::vec((0..4_usize, people()), 0..5)
}

fn taught(mails: &[(usize, Vec<String>)], without: Option<&str>) -> Vec<Learned> {
    let on = |people: &[String]| {
        people.iter().filter(|one| Some(one.as_str()) != without).map(|one| address(one)).collect::<Vec<_>>()
    };
    mails
        .iter()
        .filter_map(|(id, people)| {
            Learned::together(Some(format!("{id}@x")), NOW, on(people), Source::Journal).ok()
        })
        .collect()
}

proptest! {
    /// More knowledge never makes a verdict stricter, removing a person never makes it looser, and a mail
    /// with one stranger is never exempt.
    #[test]
    fn knowledge_never_makes_it_stricter(
        mails in mails(), more in mails(), to in people(), cited in proptest::collection::vec(0..4_usize, 0..3),
        gone in 0..9_usize, strict in any::<bool>(),
    ) {
        let references = cited.iter().map(|id| format!("<{id}@x> ")).collect::<Vec<_>>().concat();
        let references = if references.is_empty() { references } else { format!("References: {references}\n") };
        let text = format!("From: sato@example.co.jp\nTo: {}\n{references}", to.join(", "));
        let policy = if strict {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy/strict.toml");
            Policy::read(&[path]).unwrap()
        } else {
            Policy::shipped().unwrap()
        };
        let demand = |mails: &[Learned], text: &str| policy.decide(&facts(text, &[], mails)).demand;
        let base = taught(&mails, None);
        let with_more: Vec<Learned> = base.iter().cloned().chain(taught(&more, None)).collect();
        let (before, after) = (demand(&base, &text), demand(&with_more, &text));
        prop_assert_eq!(before.join(after), before, "{}", text);
        let without = demand(&taught(&mails, Some(&format!("p{gone}@org{gone}.example"))), &text);
        prop_assert_eq!(without.join(before), without, "{}", text);
        let stranger = format!("{text}Cc: stranger@nobody.example\n");
        prop_assert_eq!(demand(&with_more, &stranger), demand(&[], &stranger));
        prop_assert!(!facts(&stranger, &[], &with_more).acquaintance.is_some_and(|one| one.complete()));
    }
}
