//! Observe mode records what enforce mode would do, including the result of the audit, and passes everything.

use super::*;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Recipient;
use std::path::PathBuf;

const POLICY: &str = r#"
[[rule]]
name = "refuse"
when = { subject = { contains = "[reject]" } }
demand = "reject"
[[rule]]
name = "wait"
when = { subject = { contains = "[hold]" } }
demand = "hold"
[[rule]]
name = "later"
when = { subject = { contains = "[delay]" } }
demand = "delay 5m"
[[rule]]
name = "later-apart"
when = { subject = { contains = "[later-apart]" } }
demand = ["split", "delay 5m"]
[[rule]]
name = "apart"
when = { subject = { contains = "[split]" } }
demand = "split"
[[rule]]
name = "blind"
when = { subject = { contains = "[bcc]" } }
demand = "bcc"
[[rule]]
name = "question"
when = { subject = { contains = "[ask]" } }
demand = "ask"
"#;

fn examiner(mode: Mode) -> Examiner {
    let organisation = Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[]).unwrap();
    let file = (PathBuf::from("policy.toml"), POLICY.to_owned());
    let policy = Policy::load(&[file], &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
    Examiner {
        organisation: Arc::new(organisation),
        policy: Arc::new(policy.in_mode(mode)),
        options: Arc::default(),
        approvers: Arc::default(),
        budgets: Arc::default(),
    }
}

fn settled(mode: Mode, to: &str, subject: &str, body: &str) -> Settled {
    let address = |text: &str| Address::parse(text).unwrap();
    let recipients = ["a@one.example", "b@two.example", "c@three.example"];
    let envelope = Envelope {
        sender: Some(address("hanako@example.co.jp")),
        recipients: recipients.iter().map(|to| Recipient::plain(address(to))).collect(),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
    };
    let message = format!("From: hanako@example.co.jp\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{body}\r\n");
    let stamp = Stamp {
        id: Id::new(Timestamp(0), 1),
        received: Timestamp(0),
        hostname: "relay.example.co.jp".to_owned(),
        client: String::new(),
        protocol: "ESMTP".to_owned(),
    };
    let examiner = examiner(mode);
    let seen = examiner.examine(envelope, message.as_bytes(), &Knowledge::default()).unwrap();
    examiner.settle(&seen, &stamp)
}

#[test]
fn observe_mode_says_what_enforce_mode_does() {
    const TO: &str = "a@one.example, b@two.example, c@three.example";
    let cases = [
        (TO, "[none]", "hello", Action::Pass, false),
        (TO, "[delay]", "hello", Action::Delay, false),
        (TO, "[later-apart]", "hello", Action::Delay, true),
        (TO, "[split]", "hello", Action::Split, true),
        (TO, "[bcc]", "hello", Action::Bcc, true),
        (TO, "[ask]", "hello", Action::Hold, true),
        (TO, "[hold]", "hello", Action::Hold, true),
        (TO, "[reject]", "hello", Action::Reject, true),
        // Findings of the audit count as well,
        (TO, "[split]", "with b@two.example", Action::Hold, true),
        (TO, "[later-apart]", "with b@two.example", Action::Hold, true),
        // and so does a header that cannot be parsed.
        ("\"a@one.example", "[none]", "hello", Action::Hold, true),
    ];
    for (to, subject, body, action, prevents) in cases {
        let enforced = settled(Mode::Enforce, to, subject, body);
        let observed = settled(Mode::Observe, to, subject, body);
        let case = format!("{to} {subject} {body}");
        assert_eq!((enforced.verdict.action(), enforced.verdict.would()), (action, None), "{case}");
        assert_eq!(
            (observed.verdict.action(), observed.verdict.would()),
            (Action::Pass, Some(action)),
            "{case}"
        );
        assert_eq!((enforced.prevents, observed.prevents), (prevents, prevents), "{case}");
        assert_eq!(observed.verdict.rules, enforced.verdict.rules, "{case}");
        assert_eq!(observed.verdict.demand, enforced.verdict.demand, "{case}");
        let copies = observed.copies.unwrap_or_else(|| panic!("{case}: everything passes"));
        assert!(!copies.deliveries.iter().any(Delivery::is_rewritten), "{case}");
        let reached: usize = copies.deliveries.iter().map(|copy| copy.recipients().len()).sum();
        assert_eq!(reached, 3, "{case}");
    }
}
