use super::*;
use crate::message::Address;
use crate::message::inspect::{Attachment, Calendar, Encrypted, Tnef};
use crate::policy::facts::tests::facts_of;
use crate::policy::facts::{Knowledge, WrittenOutside};
use crate::policy::{Action, Disclosure, Timing};
use std::fmt::Write as _;

pub(super) fn load(text: &str) -> Result<Policy, Vec<crate::diagnostic::Diagnostic>> {
    Policy::load(&[(PathBuf::from("dir/p.toml"), text.to_owned())], &|path| match path
        .to_str()
        .unwrap_or_default()
    {
        "dir/clients.txt" => Ok("# clients\n*.client.example\n boss@one.example # him\n".to_owned()),
        "dir/bad.txt" => Ok("ok.example\nnot a domain\n".to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    })
}

/// The verdict with the rules that did not match.
pub(super) fn in_full(policy: &Policy, facts: &Facts) -> Verdict {
    let mut verdict = policy.decide(facts);
    policy.complete(&mut verdict, facts);
    verdict
}

fn rule(when: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nwhen = {when}\ndemand = \"hold\"\n")
}

/// A mail to this many strangers at this many organisations.
pub(super) fn strangers(people: usize, organisations: usize, more: &str) -> Facts {
    let mut header = "From: me@example.co.jp\n".to_owned();
    for n in 0..people {
        let _ = writeln!(header, "Cc: p{n}@club{}.example", n % organisations.max(1));
    }
    header.push_str(more);
    facts_of(&header, "me@example.co.jp", &["p0@club0.example"], &Knowledge::default())
}

pub(super) fn sample() -> Facts {
    let header = "From: Me <me@example.co.jp>\nTo: a@one.example, b@two.example\nSubject: 【重要】Ｓｅｃｒｅｔ plans\n\
                  X-Class: internal\nX-Class: top\n";
    let recipients = ["a@one.example", "b@two.example", "c@sub.client.example"];
    let mut facts = facts_of(header, "me@example.co.jp", &recipients, &Knowledge::default());
    facts.size = 3 << 20;
    facts.body.attachments = vec![Attachment {
        path: "2".into(),
        name: "会員名簿.XLSX".into(),
        content_type: "application/vnd.ms-excel".into(),
        size: 2048,
        in_text: false,
    }];
    facts.written_outside = Some(WrittenOutside { path: "2".into(), count: 7, examples: Vec::new() });
    facts
}

#[test]
fn conditions_hold_as_written() {
    let cases = [
        ("{ external_addresses = { at_least = 2 } }", true),
        ("{ external_addresses = { at_least = 3 } }", false),
        (
            "{ external_addresses = { at_least = 1, at_most = 2 }, external_organisations = { at_most = 2 } }",
            true,
        ),
        ("{ external_organisations = { at_least = 3 } }", false),
        ("{ same_organisation = { at_least = 1 } }", true),
        ("{ same_organisation = { at_least = 2 } }", false),
        ("{ recipients = { at_least = 3, at_most = 3 } }", true),
        ("{ envelope_only = { at_least = 1 } }", true),
        ("{ envelope_only = { at_least = 2 } }", false),
        ("{ written_addresses = { at_least = 7 } }", true),
        ("{ written_addresses = { at_least = 8 } }", false),
        ("{ size = { at_least = \"3MB\" } }", true),
        ("{ size = { at_least = \"3 MB\", at_most = 3145728 } }", true),
        ("{ size = { at_most = \"2MB\" } }", false),
        ("{ sender = \"me@example.co.jp\" }", true),
        ("{ sender = [\"other.example\", \"example.co.jp\"] }", true),
        ("{ sender = \"<>\" }", false),
        ("{ from = \"*@example.co.jp\" }", true),
        ("{ recipient_any = \"*.client.example\" }", true),
        ("{ recipient_any = \"file:clients.txt\" }", true),
        ("{ recipient_all = \"file:clients.txt\" }", false),
        ("{ recipient_all = [\"one.example\", \"two.example\", \"file:clients.txt\"] }", true),
        ("{ recipient_any = \"three.example\" }", false),
        ("{ subject = { contains = \"secret\" } }", true),
        ("{ subject = { contains = [\"社外秘\", \"【重要】\"] } }", true),
        ("{ subject = { matches = \"^【.+】\" } }", true),
        ("{ subject = { matches = \"plans$\", contains = \"nothing\" } }", false),
        ("{ header = { name = \"x-CLASS\", contains = \"top\" } }", true),
        ("{ header = { name = \"X-Class\", matches = \"^to\" } }", true),
        ("{ header = { name = \"X-Other\", present = false } }", true),
        (
            "{ header = [{ name = \"X-Class\", present = true }, { name = \"X-Other\", present = true }] }",
            false,
        ),
        ("{ attachment = true }", true),
        ("{ attachment = false }", false),
        ("{ attachment = { name = \"*名簿*.xlsx\" } }", true),
        ("{ attachment = { name = \"*.xlsx\", at_least = \"1MB\" } }", false),
        ("{ attachment = { type = \"application/*\", at_least = 2048 } }", true),
        ("{ reply = false, circle = false, report = false, auto_forward = false }", true),
        ("{ calendar = true }", false),
        ("{ tnef = false, encrypted = false, signed = false, opaque = false }", true),
        ("{ internal_only = false, from_is_ours = true, unparseable = false }", true),
        ("{ from_is_ours = false }", false),
    ];
    let facts = sample();
    for (when, wanted) in cases {
        let policy = load(&rule(when)).unwrap_or_else(|wrong| panic!("{when}: {wrong:?}"));
        let verdict = in_full(&policy, &facts);
        assert_eq!(verdict.rules[0].matched, wanted, "{when}: {}", verdict.rules[0].why);
        assert_eq!(verdict.action() == Action::Hold, wanted, "{when}");
        assert!(!verdict.rules[0].why.is_empty() && !verdict.rules[0].why_ja.is_empty(), "{when}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn mistakes_are_told_at_their_place() {
    let base = "[[rule]]\nname = \"r\"\n";
    let cases = [
        ("when = {}\ndemand = \"ask\"\n", "dir/p.toml:3:8: there is no condition here"),
        (
            "when = { external_adresses = { at_least = 5 } }\ndemand = \"ask\"\n",
            "dir/p.toml:3:10: unknown key `external_adresses` (did you mean `external_addresses`?)",
        ),
        (
            "when = { external_addresses = { atleast = 5 } }\ndemand = \"ask\"\n",
            "dir/p.toml:3:33: unknown key `atleast` (did you mean `at_least`?)",
        ),
        (
            "when = { external_addresses = 5 }\ndemand = \"ask\"\n",
            "dir/p.toml:3:31: expected a range such as { at_least = 5 }, found integer `5`",
        ),
        ("when = { external_addresses = { at_least = -1 } }\ndemand = \"ask\"\n", "dir/p.toml:3:"),
        ("when = { external_addresses = {} }\ndemand = \"ask\"\n", "dir/p.toml:3:31: the range is empty"),
        (
            "when = { recipients = { at_least = 5, at_most = 4 } }\ndemand = \"ask\"\n",
            "dir/p.toml:3:23: the range is empty: no number is at least 5 and at most 4",
        ),
        (
            "when = { reply = \"yes\" }\ndemand = \"ask\"\n",
            "dir/p.toml:3:18: expected a boolean, found string \"yes\"",
        ),
        (
            "when = { reply = true }\ndemand = \"aks\"\n",
            "dir/p.toml:4:10: unknown demand `aks` (did you mean `ask`?)",
        ),
        ("when = { reply = true }\ndemand = \"delay\"\n", "dir/p.toml:4:10: `delay` needs a time"),
        (
            "when = { reply = true }\ndemand = \"delay 9 years\"\n",
            "dir/p.toml:4:10: `9 years` is not a duration",
        ),
        ("when = { reply = true }\ndemand = \"delay 30d\"\n", "dir/p.toml:4:10: a delay must be between"),
        (
            "when = { reply = true }\ndemand = [\"observe\", \"ask\"]\n",
            "dir/p.toml:4:10: `observe` cannot be combined",
        ),
        ("when = { reply = true }\ndemand = []\n", "dir/p.toml:4:10: there is no demand"),
        ("when = { reply = true }\ndemand = 5\n", "dir/p.toml:4:10: expected a text or a list of texts"),
        ("when = { reply = true }\n", "dir/p.toml:1:1: `demand` is missing"),
        ("demand = \"ask\"\n", "dir/p.toml:1:1: `when` is missing"),
        (
            "when = { reply = true }\nunless = {}\ndemand = \"ask\"\n",
            "dir/p.toml:4:10: there is no condition here",
        ),
        (
            "when = { subject = { matches = \"(\" } }\ndemand = \"ask\"\n",
            "dir/p.toml:3:20: the regular expression cannot be read",
        ),
        (
            "when = { subject = { matches = \"(a{1000}){1000}\" } }\ndemand = \"ask\"\n",
            "dir/p.toml:3:20: the regular expression needs",
        ),
        ("when = { subject = { contains = \"\" } }\ndemand = \"ask\"\n", "dir/p.toml:3:20: an empty text"),
        ("when = { subject = \"x\" }\ndemand = \"ask\"\n", "dir/p.toml:3:20: expected a test such as"),
        (
            "when = { header = { name = \"a b\", present = true } }\ndemand = \"ask\"\n",
            "dir/p.toml:3:19: `a b` is not the name",
        ),
        (
            "when = { sender = \"not an address\" }\ndemand = \"ask\"\n",
            "dir/p.toml:3:19: `not an address` is not an address pattern",
        ),
        ("when = { sender = [] }\ndemand = \"ask\"\n", "dir/p.toml:3:19: the list is empty"),
        (
            "when = { sender = \"file:none.txt\" }\ndemand = \"ask\"\n",
            "dir/p.toml:3:19: the list dir/none.txt cannot be read (no such file",
        ),
        (
            "when = { sender = \"file:bad.txt\" }\ndemand = \"ask\"\n",
            "dir/bad.txt:2:1: `not a domain` is not an address pattern",
        ),
        ("when = { size = { at_least = \"10 miles\" } }\ndemand = \"ask\"\n", "dir/p.toml:3:"),
        ("when = { attachment = {} }\ndemand = \"ask\"\n", "dir/p.toml:3:23: say which attachments"),
        (
            "when = { reply = true }\ndemand = \"ask\"\nenable = false\n",
            "dir/p.toml:5:1: unknown key `enable` (did you mean `enabled`?)",
        ),
        (
            "when = { reply = true }\ndemand = \"ask\"\n[[rule]]\nname = \"r\"\nwhen = { reply = true }\ndemand = \"ask\"\n",
            "dir/p.toml:6:8: a rule in dir/p.toml has the name `r` already",
        ),
        (
            "when = { reply = true }\ndemand = \"ask\"\n[[rules]]\nname = \"s\"\n",
            "dir/p.toml:5:3: unknown key `rules` (did you mean `rule`?)",
        ),
        ("when = { reply = true\ndemand = \"ask\"\n", "dir/p.toml:"),
    ];
    let mut different = Vec::new();
    for (text, wanted) in cases {
        let wrong = load(&format!("{base}{text}")).err().unwrap_or_else(|| panic!("{text} was taken"));
        if !wrong[0].to_string().starts_with(wanted) {
            different.push(format!("wanted `{wanted}`, said `{}`", wrong[0]));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    let name =
        load("[[rule]]\nname = \"builtin:x\"\nwhen = { reply = true }\ndemand = \"ask\"\n").unwrap_err();
    assert_eq!(name[0].position(), Some((2, 8)));
    let two = load("[[rule]]\nname = \"\"\nwhen = {}\ndemand = \"aks\"\n").unwrap_err();
    assert_eq!(two.len(), 3, "all mistakes at once: {two:?}");
}

#[test]
fn demands_are_read_and_joined() {
    let minutes = |number: u64| Timing::Delay(std::time::Duration::from_secs(60 * number));
    let cases = [
        ("\"observe\"", Disclosure::AsIs, Timing::Now),
        ("\"ask\"", Disclosure::Ask, Timing::Now),
        ("\"bcc\"", Disclosure::Bcc, Timing::Now),
        ("\"split\"", Disclosure::Split, Timing::Now),
        ("\"delay 5m\"", Disclosure::AsIs, minutes(5)),
        ("[\"delay 5m\", \"delay 1h\", \"delay 90s\"]", Disclosure::AsIs, minutes(60)),
        ("[\"hold\", \"split\"]", Disclosure::Split, Timing::Hold),
        ("[\"split\", \"ask\"]", Disclosure::Split, Timing::Now),
        ("\"reject\"", Disclosure::AsIs, Timing::Reject),
    ];
    for (demand, disclosure, timing) in cases {
        let text = format!("[[rule]]\nname = \"r\"\nwhen = {{ reply = false }}\ndemand = {demand}\n");
        let verdict = load(&text).unwrap().decide(&strangers(1, 1, ""));
        assert_eq!(verdict.demand, Demand { disclosure, timing }, "{demand}");
        assert!(verdict.rules[0].matched);
    }
}

#[test]
fn a_rule_that_is_off_is_read_but_says_nothing() {
    let off = rule("{ reply = false }") + "enabled = false\n";
    assert_eq!(load(&off).unwrap().rule_names().count(), 0);
    assert!(load(&(rule("{ replies = false }") + "enabled = false\n")).is_err());
}

#[test]
fn the_default_policy_decides_as_described() {
    let policy = Policy::shipped().unwrap();
    let reply = "In-Reply-To: <x@far.example>\n";
    let cases = [
        (4, 4, "", Action::Pass),
        (5, 1, "", Action::Pass),
        (5, 2, "", Action::Hold),
        (9, 9, "", Action::Hold),
        (10, 2, "", Action::Hold),
        (10, 3, "", Action::Delay),
        (10, 8, "", Action::Split),
        (20, 1, "", Action::Hold),
        (30, 3, "", Action::Split),
        (10, 3, reply, Action::Hold),
        (4_500, 900, "", Action::Split),
        (0, 1, "", Action::Pass),
    ];
    for (people, organisations, more, action) in cases {
        let facts = strangers(people, organisations, more);
        assert_eq!(policy.decide(&facts).action(), action, "{people} at {organisations} {more}");
        for exempting in [
            Facts { circle: true, ..facts.clone() },
            Facts { report: true, ..facts.clone() },
            Facts { auto_forward: true, ..facts.clone() },
        ] {
            assert_eq!(policy.decide(&exempting).action(), Action::Pass);
        }
        assert_eq!(policy.clone().in_mode(Mode::Observe).decide(&facts).action(), Action::Pass);
    }
}

#[test]
fn the_reasons_say_what_was_found() {
    let policy = Policy::shipped().unwrap();
    let why = |facts: &Facts| in_full(&policy, facts).rules[0].clone();
    let matched = why(&strangers(12, 9, ""));
    assert_eq!(
        matched.why,
        "12 outside addresses at 9 organisations would see each other (5 or more people, 2 or more organisations): \
         p0@club0.example, p1@club1.example, p2@club2.example and 9 more"
    );
    assert_eq!(
        matched.why_ja,
        "社外の12名（9組織）のアドレスが互いに見えます（基準：5名以上かつ2組織以上）：\
         p0@club0.example、p1@club1.example、p2@club2.example ほか9名"
    );
    assert_eq!(
        why(&strangers(1, 1, "")).why,
        "only 1 outside address at 1 organisation (5 or more people, 2 or more organisations)"
    );
    let circle = Facts { circle: true, ..strangers(12, 9, "") };
    assert_eq!(why(&circle).why, "exempt: all outsiders here were already openly together on this thread");
    let own = rule("{ external_addresses = { at_least = 2 } }")
        + "reason = { en = \"Use the mailing desk\", ja = \"配信窓口をお使いください\" }\n";
    let verdict = load(&own).unwrap().decide(&strangers(2, 2, ""));
    assert!(
        verdict.rules[0].why.starts_with("Use the mailing desk (2 outside addresses"),
        "{}",
        verdict.rules[0].why
    );
    assert!(verdict.rules[0].why_ja.starts_with("配信窓口をお使いください（社外の2名"));
    assert!(verdict.short_reason().len() <= 100);
}

/// A change to the facts.
type Change<'a> = Box<dyn Fn(&mut Facts) + 'a>;

#[test]
fn built_in_holds_bite_where_disclosure_is_asked() {
    let ask = load("[[rule]]\nname = \"r\"\nwhen = { recipients = { at_least = 1 } }\ndemand = \"split\"\n")
        .unwrap();
    let none = load("").unwrap();
    let two = ["a@one.example", "b@two.example"].map(|text| Address::parse(text).unwrap()).to_vec();
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut facts = strangers(6, 6, "");
        change(&mut facts);
        facts
    };
    let calendar = |method: &str| Some(Calendar { method: method.into(), addresses: two.clone() });
    // (change, name, holds if split, always holds)
    let cases: Vec<(Change<'_>, &str, bool, bool)> = vec![
        (
            Box::new(|facts: &mut Facts| facts.problems.push("To: odd".into())),
            "builtin:unparseable",
            true,
            true,
        ),
        (Box::new(|facts: &mut Facts| facts.from_is_ours = false), "builtin:foreign-from", true, false),
        (
            Box::new(|facts: &mut Facts| {
                facts.body.calendar = calendar("REQUEST");
                facts.calendar_outside.clone_from(&two);
            }),
            "builtin:calendar",
            true,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| {
                facts.body.calendar = calendar("REPLY");
                facts.calendar_outside.clone_from(&two);
            }),
            "builtin:calendar",
            false,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| facts.calendar_outside = two[..1].to_vec()),
            "builtin:calendar",
            false,
            false,
        ),
        (Box::new(|facts: &mut Facts| facts.body.tnef = Some(Tnef::Clean)), "builtin:tnef", false, false),
        (
            Box::new(|facts: &mut Facts| {
                facts.body.tnef = Some(Tnef::Unreadable { why: "truncated".into() });
            }),
            "builtin:tnef",
            true,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| {
                facts.body.encrypted = Some(Encrypted { kind: "pgp".into(), recipients: None });
            }),
            "builtin:encrypted",
            true,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| {
                facts.body.encrypted = Some(Encrypted { kind: "smime".into(), recipients: Some(1) });
            }),
            "builtin:encrypted",
            false,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| facts.body.inner_recipients.clone_from(&two)),
            "builtin:inner-headers",
            true,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| facts.body.problems.push("odd".into())),
            "builtin:unreadable-part",
            true,
            false,
        ),
        (
            Box::new(|facts: &mut Facts| facts.body.over_budget.push("part 2: too many members".into())),
            "builtin:over-budget",
            true,
            true,
        ),
    ];
    for (change, name, split, always) in cases {
        let facts = with(&*change);
        for (policy, wanted) in [(&ask, split), (&none, always)] {
            let verdict = policy.decide(&facts);
            let matched: Vec<_> = verdict
                .rules
                .iter()
                .filter(|rule| rule.matched && rule.name.starts_with("builtin:"))
                .map(|rule| rule.name.as_str())
                .collect();
            assert_eq!(matched.contains(&name), wanted, "{name}: {matched:?}");
            assert_eq!(verdict.action() == Action::Hold, wanted, "{name}");
        }
    }
}

#[test]
fn a_verdict_tells_of_every_built_in_hold() {
    let none = load("").unwrap();
    let facts = strangers(1, 1, "");
    let names: Vec<_> = in_full(&none, &facts).rules.into_iter().map(|rule| rule.name).collect();
    assert_eq!(names, BUILTIN_NAMES);
    assert_eq!(none.decide(&facts).rules, [], "most mail matches none, and nothing is said of it");
}

#[test]
fn no_policy_and_no_exemption_lets_pass_what_was_over_the_budget() {
    let shipped = [
        ("default", DEFAULT),
        ("press-office", include_str!("../../../policy/press-office.toml")),
        ("strict", include_str!("../../../policy/strict.toml")),
        ("none", ""),
    ];
    let reply = "In-Reply-To: <x@far.example>\n";
    let shapes: [(&str, Facts); 7] = [
        ("to one", strangers(1, 1, "")),
        ("to colleagues", strangers(0, 1, "")),
        ("to twelve", strangers(12, 9, "")),
        ("a reply to twelve", strangers(12, 9, reply)),
        ("a circle", Facts { circle: true, ..strangers(12, 9, reply) }),
        ("a report", Facts { report: true, ..strangers(1, 1, "") }),
        ("a forward", Facts { auto_forward: true, ..strangers(12, 9, "") }),
    ];
    let place = "part 2 (backup.zip): it unpacks to far more than it takes";
    for (policy, text) in shipped {
        let policy_of = load(text).unwrap_or_else(|wrong| panic!("{policy}: {wrong:?}"));
        for (shape, facts) in &shapes {
            let mut spent = facts.clone();
            spent.body.over_budget.push(place.to_owned());
            spent.body.problems.push(place.to_owned());
            let verdict = policy_of.decide(&spent);
            assert_eq!(verdict.action(), Action::Hold, "{policy}: {shape}");
            let rule = verdict.rules.iter().find(|rule| rule.name == "builtin:over-budget").unwrap();
            assert!(rule.matched && rule.why.contains(place) && rule.why_ja.contains(place), "{rule:?}");
            // an unreadable part is not counted as a person
            let mut unread = facts.clone();
            unread.body.problems.push("part 2: an S/MIME part that cannot be read".to_owned());
            let (unread, plain) = (policy_of.decide(&unread), policy_of.decide(facts));
            assert!(
                unread.action() == plain.action() || plain.demand.disclosure >= Disclosure::Ask,
                "{policy}: {shape}"
            );
        }
    }
}

#[test]
fn a_rule_names_its_approvers() {
    let rule = |demand: &str, approvers: &str| {
        format!(
            "[[rule]]\nname = \"x\"\nwhen = {{ calendar = true }}\ndemand = {demand}\napprovers = {approvers}\n"
        )
    };
    let read = |text: String| Policy::load(&[("p.toml".into(), text)], &|_| unreachable!());
    let policy = read(rule("\"hold\"", "[\"privacy@example.jp\", \"manager\"]")).unwrap();
    assert_eq!(policy.approvers()["x"].len(), 2);
    for (demand, approvers, said, line) in [
        ("\"hold\"", "[\"privacy\"]", "is not a mail address", 5),
        ("\"split\"", "[\"a@example.jp\"]", "does not hold mail", 4),
        ("\"ask\"", "\"a@example.jp\"", "", 5),
    ] {
        let mistakes = read(rule(demand, approvers)).unwrap_err();
        assert!(mistakes[0].to_string().contains(said), "{}", mistakes[0]);
        assert_eq!(mistakes[0].position().map(|at| at.0), Some(line), "{}", mistakes[0]);
    }
}
