//! Who is asked to decide on a held message. Pure functions.
//!
//! The rules that hold a message can name its approvers; otherwise the groups of its sender do, and otherwise
//! the approvers for everything are asked. Each can name addresses, or `manager`, which a file resolves for
//! the sender. Nobody is asked about their own mail; if that leaves nobody, the fallback approvers are asked.

use super::rules::pattern::Patterns;
use super::{Demand, Disclosure, Timing, Verdict};
use crate::diagnostic::Diagnostic;
use crate::message::Address;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The word that means the sender's manager in the configuration.
const MANAGER: &str = "manager";

/// An approver as the configuration names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum NamedApprover {
    /// This address.
    Address(Address),
    /// The manager of the sender.
    Manager,
}

impl NamedApprover {
    /// The address, unless this is [`NamedApprover::Manager`].
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Address(address) => Some(address),
            Self::Manager => None,
        }
    }
}

impl TryFrom<String> for NamedApprover {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == MANAGER {
            return Ok(Self::Manager);
        }
        Address::parse(&text)
            .map(Self::Address)
            .map_err(|error| format!("{error}; name an address, or \"{MANAGER}\" for the sender's manager"))
    }
}

/// Senders who have their own approvers.
#[derive(Clone, Debug)]
pub struct SenderGroup {
    /// Display name.
    pub name: String,
    senders: Patterns,
    /// Who is asked about its senders' mail.
    pub approvers: Vec<NamedApprover>,
}

impl SenderGroup {
    /// Creates a group of the senders that match one of these patterns: addresses, domains,
    /// `sales-*@example.jp`.
    ///
    /// # Errors
    /// Describes the pattern that cannot be parsed.
    pub fn new(name: &str, senders: &[String], approvers: Vec<NamedApprover>) -> Result<Self, String> {
        let mut patterns = Patterns::default();
        for sender in senders {
            patterns.add(sender)?;
        }
        let senders = patterns.finish()?;
        Ok(Self { name: name.to_owned(), senders, approvers })
    }

    /// Whether the sender belongs to the group.
    pub fn holds(&self, sender: &Address) -> bool {
        self.senders.holds(Some(sender))
    }
}

/// The manager of each sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers(HashMap<String, Address>);

impl Managers {
    /// Reads a file: TOML (`"sato@example.jp" = "boss@example.jp"`) if its name ends in `.toml`, otherwise
    /// lines of `sender,manager`. Blank lines, `#` comments and a line of column titles are skipped.
    ///
    /// # Errors
    /// Describes the first mistake, with its line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostic> {
        let pairs = if path.extension().is_some_and(|end| end == "toml") {
            toml(path, text)
        } else {
            csv(path, text)
        };
        let mut managers = HashMap::new();
        for Pair { sender, manager, at } in pairs? {
            if managers.insert(sender.key().to_owned(), manager).is_some() {
                let said = format!("{sender} occurs twice");
                return Err(Diagnostic::at(
                    path,
                    text,
                    at,
                    said,
                    Some("each sender has one manager".to_owned()),
                ));
            }
        }
        Ok(Self(managers))
    }

    /// The manager of a sender, if the file names one.
    pub fn of(&self, sender: &Address) -> Option<&Address> {
        self.0.get(sender.key())
    }
}

/// One entry of the file, with its line.
struct Pair {
    sender: Address,
    manager: Address,
    at: std::ops::Range<usize>,
}

fn toml(path: &Path, text: &str) -> Result<Vec<Pair>, Diagnostic> {
    let table: BTreeMap<toml::Spanned<String>, toml::Spanned<String>> =
        crate::diagnostic::read_toml(path, text)?;
    let pair = |(sender, manager): (toml::Spanned<String>, toml::Spanned<String>)| {
        let read = |one: &toml::Spanned<String>| {
            Address::parse(one.get_ref())
                .map_err(|error| Diagnostic::at(path, text, one.span(), error.to_string(), None))
        };
        Ok(Pair { sender: read(&sender)?, manager: read(&manager)?, at: sender.span() })
    };
    table.into_iter().map(pair).collect()
}

fn csv(path: &Path, text: &str) -> Result<Vec<Pair>, Diagnostic> {
    let mut pairs = Vec::new();
    let (mut start, mut first) = (0, true);
    for line in text.split_inclusive('\n') {
        let at = start..start + line.trim_end().len();
        start += line.len();
        let line = line.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let headings = std::mem::take(&mut first) && !line.contains('@');
        if headings {
            continue;
        }
        let wrong = |said: String| {
            let help = "each line must be `sender,manager`".to_owned();
            Diagnostic::at(path, text, at.clone(), said, Some(help))
        };
        let (sender, manager) =
            line.split_once(',').ok_or_else(|| wrong(format!("`{line}` has no comma")))?;
        let read = |one: &str| {
            Address::parse(one.trim().trim_matches('"')).map_err(|error| wrong(error.to_string()))
        };
        pairs.push(Pair { sender: read(sender)?, manager: read(manager)?, at: at.clone() });
    }
    Ok(pairs)
}

/// All configured approvers.
#[derive(Clone, Debug, Default)]
pub struct Approvers {
    /// Asked about mail for which no rule or group names an approver.
    pub everything: Vec<NamedApprover>,
    /// Approvers of the mail that a rule holds, by the name of the rule.
    pub by_rule: HashMap<String, Vec<NamedApprover>>,
    /// Groups of senders. If a sender belongs to several, the approvers of all are asked.
    pub groups: Vec<SenderGroup>,
    /// The manager of each sender.
    pub managers: Managers,
    /// Fallback: asked when nobody else is left. These are the people to whom holds escalate, and the
    /// administrators.
    pub behind: Vec<Address>,
}

impl Approvers {
    /// The approvers of a message that this verdict holds, each once. `senders` are the people whose mail it
    /// is (MAIL FROM, From, authenticated identity); they are never included.
    pub fn of(&self, verdict: &Verdict, senders: &[&Address]) -> Vec<Address> {
        let holds = |demand: Demand| {
            demand.timing == Timing::Hold
                || (demand.disclosure == Disclosure::Ask && verdict.demand.disclosure == Disclosure::Ask)
        };
        let rules = verdict.rules.iter().filter(|rule| rule.matched && holds(rule.demand));
        let by_rule = rules.filter_map(|rule| self.by_rule.get(&rule.name)).flatten();
        let by_group = self.groups.iter().filter(|group| senders.iter().any(|sender| group.holds(sender)));
        let by_group = by_group.flat_map(|group| &group.approvers);
        let mut found = self.named(by_rule, senders);
        if found.is_empty() {
            found = self.named(by_group, senders);
        }
        if found.is_empty() {
            found = self.otherwise(senders);
        }
        found
    }

    /// The approvers of a message that the final check before sending stopped, where no rule says who is
    /// asked.
    pub fn otherwise(&self, senders: &[&Address]) -> Vec<Address> {
        let found = self.named(self.everything.iter(), senders);
        if found.is_empty() { others(self.behind.iter(), senders) } else { found }
    }

    /// Every address that can be asked: approvers, managers and the fallback.
    pub fn all(&self) -> impl Iterator<Item = &Address> {
        let named = self.everything.iter().chain(self.by_rule.values().flatten());
        let named = named.chain(self.groups.iter().flat_map(|group| &group.approvers));
        named.filter_map(NamedApprover::address).chain(self.managers.0.values()).chain(&self.behind)
    }

    fn named<'a>(
        &'a self,
        asked: impl Iterator<Item = &'a NamedApprover>,
        senders: &[&Address],
    ) -> Vec<Address> {
        let managers: Vec<&Address> = senders.iter().filter_map(|sender| self.managers.of(sender)).collect();
        let mut found = Vec::new();
        for one in asked {
            match one {
                NamedApprover::Address(address) => found.push(address),
                NamedApprover::Manager => found.extend(&managers),
            }
        }
        others(found.into_iter(), senders)
    }
}

/// The given addresses without the senders, each once, in order.
fn others<'a>(found: impl Iterator<Item = &'a Address>, senders: &[&Address]) -> Vec<Address> {
    let mut out: Vec<Address> = Vec::new();
    for address in found {
        let seen = senders.iter().any(|sender| sender.key() == address.key());
        if !seen && out.iter().all(|one| one.key() != address.key()) {
            out.push(address.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mode;
    use crate::policy::verdict::RuleOutcome;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn asked(texts: &[&str]) -> Vec<NamedApprover> {
        texts.iter().map(|text| NamedApprover::try_from((*text).to_owned()).unwrap()).collect()
    }

    fn outcome(name: &str, matched: bool, disclosure: Disclosure, timing: Timing) -> RuleOutcome {
        let demand = Demand { disclosure, timing };
        RuleOutcome { name: name.to_owned(), matched, demand, ..RuleOutcome::default() }
    }

    fn verdict(rules: &[(&str, bool, Disclosure, Timing)]) -> Verdict {
        let mut verdict = Verdict { demand: Demand::default(), mode: Mode::Enforce, rules: Vec::new() };
        for (name, matched, disclosure, timing) in rules {
            verdict.add(outcome(name, *matched, *disclosure, *timing));
        }
        verdict
    }

    fn approvers() -> Approvers {
        let managers =
            "sender,manager\nsato@example.jp, boss@example.jp # her own\nboss@example.jp,ceo@example.jp\n";
        Approvers {
            everything: asked(&["soumu@example.jp", "SOUMU@example.jp"]),
            by_rule: HashMap::from([
                ("personal".to_owned(), asked(&["privacy@example.jp", "manager"])),
                ("ask".to_owned(), asked(&["ask@example.jp"])),
            ]),
            groups: vec![
                SenderGroup::new(
                    "sales",
                    &["*.sales.example.jp".into(), "eigyo-*@example.jp".into()],
                    asked(&["sales@example.jp"]),
                )
                .unwrap(),
                SenderGroup::new("led", &["sato@example.jp".into()], asked(&["manager"])).unwrap(),
            ],
            managers: Managers::parse(Path::new("managers.csv"), managers).unwrap(),
            behind: vec![address("admin@example.jp")],
        }
    }

    /// A row of the table below.
    type Row<'a> = (&'a [(&'a str, bool, Disclosure, Timing)], &'a str, &'a [&'a str]);

    #[test]
    fn who_is_asked() {
        use Disclosure::{AsIs, Ask, Split};
        use Timing::{Hold, Now};
        let table: &[Row<'_>] = &[
            (&[("x", true, Ask, Now)], "tanaka@example.jp", &["soumu@example.jp"]),
            (&[("x", true, Ask, Now)], "a@tokyo.sales.example.jp", &["sales@example.jp"]),
            (&[("x", true, Ask, Now)], "eigyo-1@example.jp", &["sales@example.jp"]),
            (&[("x", true, Ask, Now)], "sato@example.jp", &["boss@example.jp"]),
            (
                &[("personal", true, AsIs, Hold)],
                "sato@example.jp",
                &["privacy@example.jp", "boss@example.jp"],
            ),
            (&[("personal", true, AsIs, Hold)], "tanaka@example.jp", &["privacy@example.jp"]),
            (
                &[("personal", false, AsIs, Hold), ("x", true, Ask, Now)],
                "tanaka@example.jp",
                &["soumu@example.jp"],
            ),
            (
                &[("personal", true, AsIs, Hold), ("ask", true, Ask, Now)],
                "t@example.jp",
                &["privacy@example.jp", "ask@example.jp"],
            ),
            // a stricter rule (split) settles the `ask`, so its approver is not asked
            (&[("ask", true, Ask, Hold), ("x", true, Split, Now)], "t@example.jp", &["ask@example.jp"]),
            (&[("ask", true, Ask, Now), ("x", true, Split, Hold)], "t@example.jp", &["soumu@example.jp"]),
            // nobody decides on their own mail
            (&[("ask", true, Ask, Now)], "ASK@example.jp", &["soumu@example.jp"]),
            (&[("x", true, Ask, Now)], "soumu@example.jp", &["admin@example.jp"]),
            (&[("x", true, Ask, Now)], "boss@example.jp", &["soumu@example.jp"]),
        ];
        for (rules, sender, expected) in table {
            let expected: Vec<Address> = expected.iter().map(|text| address(text)).collect();
            let sender = address(sender);
            let mut found = approvers().of(&verdict(rules), &[&sender]);
            found.sort_by_key(|one| expected.iter().position(|other| other == one));
            assert_eq!(found, expected, "{sender} {rules:?}");
        }
    }

    #[test]
    fn neither_mail_from_nor_from_decides() {
        let (bounce, from) = (address("bounce@example.jp"), address("soumu@example.jp"));
        let found = approvers().of(&verdict(&[("x", true, Disclosure::Ask, Timing::Now)]), &[&bounce, &from]);
        assert_eq!(found, [address("admin@example.jp")]);
        let alone = Approvers { behind: Vec::new(), ..approvers() };
        assert!(alone.otherwise(&[&from]).is_empty());
    }

    #[test]
    fn managers_are_read_and_mistakes_named_by_line() {
        let toml = "\"sato@example.jp\" = \"boss@example.jp\"\n";
        let read = Managers::parse(Path::new("m.toml"), toml).unwrap();
        assert_eq!(read.of(&address("Sato@EXAMPLE.jp")), Some(&address("boss@example.jp")));
        let table = [
            ("m.csv", "a@x.jp,b@x.jp\nnobody\n", "no comma", 2),
            ("m.csv", "a@x.jp,b@x.jp\n\nc@x.jp,boss\n", "is not a mail address", 3),
            ("m.csv", "a@x.jp,b@x.jp\nA@x.jp,c@x.jp\n", "occurs twice", 2),
            ("m.toml", "\"a@x.jp\" = \"b@x.jp\"\n\"c@x.jp\" = \"boss\"\n", "is not a mail address", 2),
            ("m.toml", "\"a@x.jp\" = 5\n", "", 1),
        ];
        for (path, text, said, line) in table {
            let mistake = Managers::parse(Path::new(path), text).unwrap_err();
            assert!(mistake.to_string().contains(said), "{mistake}");
            assert_eq!(mistake.position().map(|at| at.0), Some(line), "{mistake}");
        }
        assert!(SenderGroup::new("g", &[], Vec::new()).is_err());
        assert!(SenderGroup::new("g", &["a*b".into()], Vec::new()).unwrap_err().contains("wildcard"));
    }
}
