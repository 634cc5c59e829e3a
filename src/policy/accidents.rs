//! Real accidents, as a table of what each shipped policy decides on them. No policy may show the addresses
//! to strangers without asking.

use super::{Action, Disclosure, Facts, Knowledge, Organisation, Policy, Timing, Verdict};
use crate::message::envelope::Recipient;
use crate::message::{Address, BodyFacts, Envelope, Header};
use crate::policy::facts::Preface;
use bytes::Bytes;
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The number of recipients assumed where a published report gives none.
const ASSUMED: usize = 60;
const ACCIDENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/incidents.toml");

#[derive(Deserialize)]
struct File {
    incident: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    kind: String,
    field: Option<String>,
    exposed: Option<usize>,
}

/// The recipients: how many there are, and where they have their mailboxes.
struct Crowd {
    name: String,
    field: &'static str,
    people: Vec<String>,
}

/// A typical crowd of strangers: two of three at a company of their own, one at a provider.
fn strangers(count: usize) -> Vec<String> {
    const PROVIDERS: [&str; 5] = ["gmail.com", "docomo.ne.jp", "yahoo.co.jp", "i.softbank.jp", "nifty.com"];
    let one = |n: usize| match n % 3 {
        0 => format!("p{n}@{}", PROVIDERS[n / 3 % PROVIDERS.len()]),
        _ => format!("p{n}@company{n}.example"),
    };
    (0..count).map(one).collect()
}

fn at(domain: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n:04}@{domain}")).collect()
}

fn crowds() -> Vec<Crowd> {
    let file: File = toml::from_str(&std::fs::read_to_string(ACCIDENTS).unwrap()).unwrap();
    let visible = file.incident.into_iter().filter(|one| one.kind == "visible-recipients");
    let mut all: Vec<Crowd> = visible
        .map(|one| Crowd {
            field: if one.field.as_deref().is_some_and(|field| field == "Cc") { "Cc" } else { "To" },
            people: strangers(one.exposed.unwrap_or(ASSUMED)),
            name: one.id,
        })
        .collect();
    for (name, domain, count) in [
        ("hyogo-university-fair, to one students' domain", "stu.univ-minami.example", 4_500),
        ("569 of one university", "univ-minami.example", 569),
        ("200 students at one domain", "st.univ-minami.example", 200),
        ("116 alumni at one provider no list knows", "valley-cable.example", 116),
        ("116 alumni at one listed provider", "dokidoki.ne.jp", 116),
        ("40 people at one outside domain", "kita-kogyo.example", 40),
        ("20 people at one outside domain", "kita-kogyo.example", 20),
        ("200 students of our own, as individuals", "st.example.co.jp", 200),
    ] {
        all.push(Crowd { name: name.to_owned(), field: "To", people: at(domain, count) });
    }
    all
}

fn facts(organisation: &Organisation, crowd: &Crowd, reply: bool) -> Facts {
    let address = |text: &str| Address::parse(text).unwrap();
    let mut header = "From: hanako.sato@example.co.jp\r\nSubject: News\r\n".to_owned();
    if reply {
        header.push_str("In-Reply-To: <forged@example.co.jp>\r\n");
    }
    write!(header, "{}: {}\r\n", crowd.field, crowd.people.join(",\r\n ")).unwrap();
    let header = Header::parse(Bytes::from(header)).unwrap();
    let envelope = Envelope {
        sender: Some(address("hanako.sato@example.co.jp")),
        recipients: crowd.people.iter().map(|to| Recipient::plain(address(to))).collect(),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
    };
    Preface::read(organisation, &envelope, Ok(&header)).complete(
        BodyFacts::default(),
        1_000,
        &Knowledge::default(),
        organisation,
    )
}

fn shipped() -> Vec<(String, Policy)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), Policy::read(std::slice::from_ref(path)).unwrap())).collect()
}

/// A verdict in short: `hold (ask)`, `split`, `delay (split, 600 s)`.
fn told(verdict: &Verdict) -> String {
    let demand = verdict.demand;
    let name = |disclosure| match disclosure {
        Disclosure::AsIs => "as-is",
        Disclosure::Ask => "ask",
        Disclosure::Bcc => "bcc",
        Disclosure::Split => "split",
    };
    match (verdict.action(), demand.timing) {
        (Action::Pass, _) => "pass".to_owned(),
        (Action::Bcc, _) => "bcc".to_owned(),
        (Action::Split, _) => "split".to_owned(),
        (Action::Delay, Timing::Delay(span)) => {
            format!("delay ({}, {} s)", name(demand.disclosure), span.as_secs())
        }
        (Action::Hold | Action::Delay, _) => format!("hold ({})", name(demand.disclosure)),
        (Action::Reject, _) => "reject".to_owned(),
    }
}

/// Every accident under every shipped policy, as a new mail and as a reply: no address is shown as it was
/// written.
#[test]
fn no_accident_passes_under_any_shipped_policy() {
    let organisation = Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[])
        .and_then(|ours| ours.with_individuals(&["st.example.co.jp".to_owned()]))
        .unwrap();
    let policies = shipped();
    assert_eq!(policies.len(), 3, "every shipped policy is in this table");
    let mut table = String::from("| accident | addresses | organisations |");
    for (name, _) in &policies {
        write!(table, " {name} | as a reply |").unwrap();
    }
    table.push('\n');
    let mut passed = Vec::new();
    for crowd in crowds() {
        let (fresh, reply) = (facts(&organisation, &crowd, false), facts(&organisation, &crowd, true));
        assert_eq!(fresh.external_addresses.len(), crowd.people.len(), "{}", crowd.name);
        let (people, groups) = (crowd.people.len(), fresh.external_organisations);
        write!(table, "| {} | {people} | {groups} |", crowd.name).unwrap();
        for (name, policy) in &policies {
            for facts in [&fresh, &reply] {
                let verdict = policy.decide(facts);
                write!(table, " {} |", told(&verdict)).unwrap();
                let shows = verdict.demand.disclosure == Disclosure::AsIs && verdict.action() != Action::Hold;
                if shows {
                    passed.push(format!("{} under {name}", crowd.name));
                }
            }
        }
        table.push('\n');
    }
    println!("{table}");
    assert_eq!(passed, Vec::<String>::new(), "\n{table}");
}

/// The default thresholds and the values next to them: (addresses, organisations, reply, verdict).
#[test]
fn the_thresholds_of_the_default_policy() {
    let organisation = Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[]).unwrap();
    let policy = Policy::shipped().unwrap();
    for (addresses, organisations, reply, wanted) in [
        (4, 4, false, "pass"),
        (5, 1, false, "pass"),
        (5, 2, false, "hold (ask)"),
        (9, 9, false, "hold (ask)"),
        (10, 2, false, "hold (ask)"),
        (10, 3, false, "delay (split, 600 s)"),
        (10, 7, false, "delay (split, 600 s)"),
        (10, 8, false, "split"),
        (10, 8, true, "hold (ask)"),
        (10, 3, true, "hold (ask)"),
        (29, 3, false, "delay (split, 600 s)"),
        (29, 7, false, "delay (split, 600 s)"),
        (30, 3, false, "split"),
        (30, 2, false, "hold (ask)"),
        (30, 3, true, "hold (ask)"),
        (19, 1, false, "pass"),
        (20, 1, false, "hold (ask)"),
        (20, 1, true, "hold (ask)"),
        (500, 400, true, "hold (ask)"),
    ] {
        let people = (0..addresses).map(|n| format!("p{n}@org{}.example", n % organisations)).collect();
        let crowd = Crowd { name: String::new(), field: "To", people };
        let verdict = policy.decide(&facts(&organisation, &crowd, reply));
        assert_eq!(told(&verdict), wanted, "{addresses} of {organisations}, reply {reply}");
    }
}
