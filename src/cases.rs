//! Test cases of a policy: messages, and the verdict that each must get from the code of the relay.
//!
//! A case file (`policy/cases/default.toml`) names its policy and organisation and contains cases;
//! `policy/README.md` describes the format. The message of a case is examined and its copies are planned and
//! audited; nothing is sent.

use crate::clock::{Day, Timestamp};
use crate::diagnostic::{Diagnostic, read_toml};
use crate::examine::Examiner;
use crate::id::Id;
use crate::message::address::parse_list;
use crate::message::envelope::Recipient;
use crate::message::gathering::header_length;
use crate::message::{Address, Envelope, Header};
use crate::policy::facts::Disclosed;
use crate::policy::learned::Shared;
use crate::policy::{Action, Disclosure, Knowledge, Organisation, Policy, Timing, Verdict};
use crate::rewrite::plan::{CopyOptions, Stamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// The results of all cases.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// All results, in the order of the files.
    pub cases: Vec<CaseOutcome>,
}

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseOutcome {
    /// The case file.
    pub file: PathBuf,
    /// The line at which it starts.
    pub line: usize,
    /// Name of the case.
    pub name: String,
    /// Whether every expectation was met.
    pub passed: bool,
    /// The expectations that were not met, one sentence each.
    pub differences: Vec<String>,
    /// What would be done with the message; `None` if it could not be examined.
    pub action: Option<Action>,
    /// The rules that matched.
    pub matched: Vec<String>,
}

impl Report {
    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CaseOutcome> {
        self.cases.iter().filter(|case| !case.passed)
    }

    /// Whether all cases passed.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// Policy files, relative to the case file; defaults to `../NAME.toml`.
    policy: Option<Vec<PathBuf>>,
    organisation: Spanned<RawOrganisation>,
    #[serde(default)]
    case: Vec<Spanned<RawCase>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOrganisation {
    domains: Vec<String>,
    #[serde(default)]
    partners: Vec<String>,
    #[serde(default)]
    not_ours: Vec<String>,
    #[serde(default)]
    individuals: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: Spanned<String>,
    /// MAIL FROM; defaults to the From address. Empty means the null sender.
    sender: Option<Spanned<String>>,
    /// RCPT TO; defaults to every address in To, Cc and Bcc.
    recipients: Option<Spanned<Vec<String>>>,
    /// Further recipients, which no header field names.
    #[serde(default)]
    envelope_only: Option<Spanned<Vec<String>>>,
    /// Entries of the disclosure ledger.
    #[serde(default)]
    disclosed: Vec<RawDisclosed>,
    /// Mails that showed people to each other, for the condition `known_to_each_other`.
    #[serde(default)]
    known: Vec<RawKnown>,
    /// The message itself; line ends are converted to CRLF.
    message: Option<Spanned<String>>,
    /// A file that contains it, relative to the case file.
    file: Option<Spanned<PathBuf>>,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDisclosed {
    id: String,
    from: Option<Spanned<String>>,
    addresses: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKnown {
    id: Option<String>,
    date: Spanned<String>,
    people: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    action: Action,
    disclosure: Option<Disclosure>,
    timing: Option<TimingName>,
    /// The rules that must match, and no others.
    matched: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum TimingName {
    Now,
    Delay,
    Hold,
    Reject,
}

/// Runs every case file in `folder`, or in its subfolder `cases` if there is one.
///
/// # Errors
/// Lists every mistake in the case files and policies.
pub fn run(folder: &Path) -> Result<Report, Vec<Diagnostic>> {
    let inner = folder.join("cases");
    let folder = if inner.is_dir() { inner.as_path() } else { folder };
    let mut report = Report::default();
    let mut wrong = Vec::new();
    for path in case_files(folder).map_err(|one| vec![one])? {
        match run_file(&path) {
            Ok(cases) => report.cases.extend(cases),
            Err(more) => wrong.extend(more),
        }
    }
    if wrong.is_empty() { Ok(report) } else { Err(wrong) }
}

fn case_files(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let missing = |why: &str| {
        let help = "name a folder with case files, such as `policy`".to_owned();
        Diagnostic::of_file(folder, why, Some(help))
    };
    let entries = std::fs::read_dir(folder).map_err(|_| missing("the folder cannot be read"))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    if paths.is_empty() { Err(missing("there are no case files here")) } else { Ok(paths) }
}

fn run_file(path: &Path) -> Result<Vec<CaseOutcome>, Vec<Diagnostic>> {
    let text = read(path).map_err(|one| vec![one])?;
    let file: RawFile = read_toml(path, &text).map_err(|one| vec![one])?;
    let here = path.parent().unwrap_or(Path::new(""));
    let policies: Vec<PathBuf> = match &file.policy {
        Some(names) => names.iter().map(|name| here.join(name)).collect(),
        None => vec![here.join("..").join(path.file_name().unwrap_or_default())],
    };
    let raw = file.organisation.get_ref();
    let domains: Vec<_> = raw.domains.iter().map(|name| (name.clone(), true)).collect();
    let organisation = Organisation::new(&domains, &raw.partners, &raw.not_ours)
        .and_then(|organisation| organisation.with_individuals(&raw.individuals))
        .map_err(|why| vec![Diagnostic::at(path, &text, file.organisation.span(), why, None)])?;
    let runner = Runner {
        path,
        text: &text,
        examiner: Examiner {
            organisation: Arc::new(organisation),
            policy: Arc::new(Policy::read(&policies)?),
            options: Arc::new(CopyOptions::default()),
            approvers: Arc::default(),
            budgets: Arc::default(),
        },
    };
    let mut outcomes = Vec::new();
    let mut wrong = Vec::new();
    for case in &file.case {
        match runner.run(case.get_ref()) {
            Ok(outcome) => outcomes.push(outcome),
            Err(one) => wrong.push(one),
        }
    }
    if wrong.is_empty() { Ok(outcomes) } else { Err(wrong) }
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::of_file(path, "the file cannot be read", Some(error.to_string())))
}

struct Runner<'a> {
    path: &'a Path,
    text: &'a str,
    examiner: Examiner,
}

impl Runner<'_> {
    fn run(&self, case: &RawCase) -> Result<CaseOutcome, Diagnostic> {
        let message = self.message(case)?;
        let envelope = self.envelope(case, &message)?;
        let knowledge = self.knowledge(case)?;
        let line = self.wrong(case.name.span(), String::new()).position().map_or(1, |(line, _)| line);
        let mut outcome = CaseOutcome {
            file: self.path.to_owned(),
            line,
            name: case.name.get_ref().clone(),
            passed: false,
            differences: Vec::new(),
            action: None,
            matched: Vec::new(),
        };
        match self.examiner.examine(envelope, &message, &knowledge) {
            Ok(seen) => {
                let verdict = self.examiner.settle(&seen, &stamp()).verdict;
                let matched = verdict.rules.iter().filter(|rule| rule.matched);
                outcome.matched = matched.map(|rule| rule.name.clone()).collect();
                outcome.action = Some(verdict.action());
                outcome.differences = differences(&case.expect, &verdict, &outcome.matched);
            }
            Err(refusal) => outcome.differences.push(format!("the message is refused: {refusal}")),
        }
        outcome.passed = outcome.differences.is_empty();
        Ok(outcome)
    }

    fn wrong(&self, span: std::ops::Range<usize>, message: String) -> Diagnostic {
        Diagnostic::at(self.path, self.text, span, message, None)
    }

    /// The message in its SMTP form, with CRLF line ends.
    fn message(&self, case: &RawCase) -> Result<Vec<u8>, Diagnostic> {
        let bytes = match (&case.message, &case.file) {
            (Some(text), None) => text.get_ref().clone().into_bytes(),
            (None, Some(name)) => {
                let path = self.path.parent().unwrap_or(Path::new("")).join(name.get_ref());
                std::fs::read(&path).map_err(|error| {
                    self.wrong(name.span(), format!("the message {} cannot be read: {error}", path.display()))
                })?
            }
            _ => {
                let message = "a case has either `message` or `file`".to_owned();
                return Err(self.wrong(case.name.span(), message));
            }
        };
        let mut wire = Vec::with_capacity(bytes.len() + bytes.len() / 40);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            wire.extend_from_slice(content.strip_suffix(b"\r").unwrap_or(content));
            wire.extend_from_slice(b"\r\n");
        }
        Ok(wire)
    }

    fn envelope(&self, case: &RawCase, message: &[u8]) -> Result<Envelope, Diagnostic> {
        let header = Header::parse(Bytes::copy_from_slice(&message[..header_length(message)])).ok();
        let named = |names: &[&str]| -> Vec<Address> {
            let fields = names.iter().flat_map(|name| {
                header.iter().flat_map(|header| {
                    header.named(name).flat_map(|field| parse_list(header.body(field)).mailboxes)
                })
            });
            fields.map(|mailbox| mailbox.address).collect()
        };
        let sender = match &case.sender {
            Some(text) if text.get_ref().is_empty() => None,
            Some(text) => Some(self.address(text.get_ref(), text.span())?),
            None => named(&["from"]).into_iter().next(),
        };
        let mut recipients = match &case.recipients {
            Some(list) => self.addresses(list)?,
            None => named(&["to", "cc", "bcc"]),
        };
        if let Some(list) = &case.envelope_only {
            recipients.extend(self.addresses(list)?);
        }
        let mut seen = std::collections::HashSet::new();
        recipients.retain(|address| seen.insert(address.clone()));
        if recipients.is_empty() {
            let message = "the case has no recipients: give `recipients`".to_owned();
            return Err(self.wrong(case.name.span(), message));
        }
        Ok(Envelope {
            sender,
            recipients: recipients.into_iter().map(Recipient::plain).collect(),
            smtputf8: false,
            eight_bit: true,
            ret: None,
            envid: None,
        })
    }

    fn knowledge(&self, case: &RawCase) -> Result<Knowledge, Diagnostic> {
        let threads = case.disclosed.iter().map(|one| {
            let from = one.from.as_ref().map(|from| self.address(from.get_ref(), from.span())).transpose()?;
            let addresses = self.addresses(&one.addresses)?;
            Ok(Disclosed { message_id: one.id.clone(), from, addresses, mail: String::new() })
        });
        let threads = threads.collect::<Result<_, Diagnostic>>()?;
        let mut shared = Vec::new();
        for one in &case.known {
            let day = Day::parse(one.date.get_ref()).ok_or_else(|| {
                self.wrong(one.date.span(), "expected a day such as \"2026-11-12\"".to_owned())
            })?;
            let met = self.addresses(&one.people)?;
            let together = Shared { cited: None, since: day, last: day, met };
            shared.extend(one.id.iter().map(|id| Shared { cited: Some(id.clone()), ..together.clone() }));
            shared.push(together);
        }
        Ok(Knowledge { threads, shared, ..Knowledge::default() })
    }

    fn addresses(&self, list: &Spanned<Vec<String>>) -> Result<Vec<Address>, Diagnostic> {
        list.get_ref().iter().map(|text| self.address(text, list.span())).collect()
    }

    fn address(&self, text: &str, span: std::ops::Range<usize>) -> Result<Address, Diagnostic> {
        Address::parse(text).map_err(|error| self.wrong(span, error.to_string()))
    }
}

/// Fixed trace fields, so that every run gives the same result.
fn stamp() -> Stamp {
    Stamp {
        id: Id::new(Timestamp(0), 0),
        received: Timestamp(0),
        hostname: "relay.example".to_owned(),
        client: String::new(),
        protocol: "ESMTP".to_owned(),
    }
}

fn differences(expect: &RawExpect, verdict: &Verdict, matched: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    let mut differ = |what: &str, wanted: String, found: String| {
        if wanted != found {
            all.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    let word = |text: String| text.to_lowercase();
    differ("action", word(format!("{:?}", expect.action)), word(format!("{:?}", verdict.action())));
    if let Some(disclosure) = expect.disclosure {
        let found = verdict.demand.disclosure;
        differ("disclosure", word(format!("{disclosure:?}")), word(format!("{found:?}")));
    }
    if let Some(timing) = expect.timing {
        differ(
            "timing",
            word(format!("{timing:?}")),
            word(format!("{:?}", timing_name(verdict.demand.timing))),
        );
    }
    if let Some(wanted) = &expect.matched {
        let (mut wanted, mut found) = (wanted.clone(), matched.to_vec());
        wanted.sort();
        found.sort();
        differ("matched", wanted.join(", "), found.join(", "));
    }
    all
}

fn timing_name(timing: Timing) -> TimingName {
    match timing {
        Timing::Now => TimingName::Now,
        Timing::Delay(_) => TimingName::Delay,
        Timing::Hold => TimingName::Hold,
        Timing::Reject => TimingName::Reject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policies_decide_their_cases() {
        let report = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy")).unwrap();
        let failed: Vec<_> = report.failed().collect();
        assert!(failed.is_empty(), "{failed:#?}");
        for name in ["default.toml", "strict.toml", "press-office.toml"] {
            let cases = report.cases.iter().filter(|case| case.file.ends_with(name)).count();
            assert!(cases >= 12, "{name} has {cases} cases");
        }
    }

    #[test]
    fn a_case_that_goes_otherwise_says_how() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.toml"), "").unwrap();
        let write = |text: &str| {
            std::fs::create_dir_all(folder.path().join("cases")).unwrap();
            std::fs::write(folder.path().join("cases/p.toml"), text).unwrap();
            run(folder.path())
        };
        let base = "[organisation]\ndomains = [\"example.jp\"]\n\n[[case]]\nname = \"one\"\n";
        let message = "message = \"From: a@example.jp\\nTo: b@far.example\\n\\nhello\\n\"\n";
        let report =
            write(&format!("{base}{message}expect = {{ action = \"split\", matched = [\"x\"] }}\n")).unwrap();
        assert!(!report.passed());
        assert_eq!((report.cases[0].line, report.cases[0].action), (5, Some(Action::Pass)));
        assert_eq!(
            report.cases[0].differences,
            ["action: expected split, found pass", "matched: expected x, found "]
        );
        let wrong = write(&format!("{base}expect = {{ action = \"splitt\" }}\n{message}")).unwrap_err();
        assert!(
            wrong[0].to_string().contains("cases/p.toml:6:") && wrong[0].to_string().contains("`split`"),
            "{wrong:?}"
        );
        let none = write(&format!("{base}expect = {{ action = \"pass\" }}\n")).unwrap_err();
        assert_eq!(none[0].position(), Some((5, 8)));
        assert!(run(Path::new("/nowhere/at/all")).is_err());
    }
}
