//! Loads policy files. All mistakes are reported at once, each with its place.

use super::condition::{AttachmentTest, Condition, Count, Flag, Who};
use super::pattern::{Names, Patterns};
use super::raw::{RawAttachment, RawConditions, RawFile, RawHeader, RawRule};
use super::values::{Range, RawRange, RawText, TextTest, Texts, span};
use super::{ReadFile, Rule};
use crate::diagnostic::{Diagnostic, near, read_toml};
use crate::policy::approvers::NamedApprover;
use crate::policy::{Action, Demand, Disclosure, Timing};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Longest list file, in octets.
const LONGEST_LIST: usize = 64 << 20;
/// The valid demands of a rule.
const DEMANDS: [&str; 7] = ["observe", "ask", "bcc", "split", "delay", "hold", "reject"];

/// A mistake at a position in the current file, or one that already names its file.
enum Mistake {
    Here(std::ops::Range<usize>, String, Option<String>),
    Elsewhere(Diagnostic),
}

pub(super) fn rules(
    files: &[(PathBuf, String)],
    read_file: ReadFile<'_>,
) -> Result<Vec<Rule>, Vec<Diagnostic>> {
    let mut rules = Vec::new();
    let mut wrong = Vec::new();
    let mut names: HashMap<String, &Path> = HashMap::new();
    for (path, text) in files {
        let file: RawFile = match read_toml(path, text) {
            Ok(file) => file,
            Err(mistake) => {
                wrong.push(mistake);
                continue;
            }
        };
        let loader = Loader { path, read_file };
        for raw in file.rule {
            let name_span = raw.name.span();
            let mut mistakes = Vec::new();
            if let Some(earlier) = names.insert(raw.name.get_ref().clone(), path) {
                mistakes.push(Mistake::Here(
                    name_span,
                    format!("a rule in {} has the name `{}` already", earlier.display(), raw.name.get_ref()),
                    Some("give every rule a name of its own: reasons refer to it".to_owned()),
                ));
            }
            match loader.rule(raw) {
                Ok(rule) => rules.extend(rule),
                Err(more) => mistakes.extend(more),
            }
            wrong.extend(mistakes.into_iter().map(|mistake| match mistake {
                Mistake::Here(span, message, help) => Diagnostic::at(path, text, span, message, help),
                Mistake::Elsewhere(diagnostic) => diagnostic,
            }));
        }
    }
    if wrong.is_empty() { Ok(rules) } else { Err(wrong) }
}

/// A policy or list file that cannot be opened.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file: correct the path".to_owned(),
        std::io::ErrorKind::PermissionDenied => "give the relay's user the right to read it".to_owned(),
        _ => error.to_string(),
    };
    Diagnostic::of_file(path, "the file cannot be read", Some(help))
}

struct Loader<'a> {
    path: &'a Path,
    read_file: ReadFile<'a>,
}

/// Conditions that were read so far, and the mistakes among them.
#[derive(Default)]
struct Gathered {
    conditions: Vec<Condition>,
    mistakes: Vec<Mistake>,
}

impl Gathered {
    fn add(&mut self, span: std::ops::Range<usize>, made: Result<Condition, String>) {
        match made {
            Ok(condition) => self.conditions.push(condition),
            Err(message) => self.mistakes.push(Mistake::Here(span, message, None)),
        }
    }
}

impl Loader<'_> {
    /// Reads one rule. A rule that is switched off is checked too, and gives `None`.
    fn rule(&self, raw: RawRule) -> Result<Option<Rule>, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if raw.name.get_ref().trim().is_empty() || raw.name.get_ref().starts_with("builtin:") {
            mistakes.push(Mistake::Here(
                raw.name.span(),
                format!("`{}` is not a valid name for a rule", raw.name.get_ref()),
                Some("a name is a few words; `builtin:` is kept for the relay's own rules".to_owned()),
            ));
        }
        let demand_span = raw.demand.span();
        let demand = demand(&raw.demand.get_ref().0).unwrap_or_else(|(message, help)| {
            mistakes.push(Mistake::Here(demand_span, message, help));
            Demand::default()
        });
        let (when, wrong) = self.conditions(raw.when, true);
        mistakes.extend(wrong);
        let (unless, wrong) =
            raw.unless.map_or_else(|| (Vec::new(), Vec::new()), |unless| self.conditions(unless, false));
        mistakes.extend(wrong);
        let (approvers, wrong) = approvers(raw.approvers, demand, raw.demand.span());
        mistakes.extend(wrong);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let name = raw.name.into_inner();
        let (title, reason) = (raw.title.map(|title| title.0), raw.reason.map(|reason| reason.0));
        Ok(raw.enabled.then_some(Rule { name, when, unless, demand, title, reason, approvers }))
    }

    fn conditions(&self, raw: Spanned<RawConditions>, all: bool) -> (Vec<Condition>, Vec<Mistake>) {
        let whole = raw.span();
        let mut raw = raw.into_inner();
        let mut gathered = Gathered::default();
        outside(&mut raw, all, &mut gathered);
        numbers(&mut raw, &mut gathered);
        self.addresses(&mut raw, &mut gathered);
        texts(&mut raw, &mut gathered);
        flags(&raw, &mut gathered);
        if gathered.conditions.is_empty() && gathered.mistakes.is_empty() {
            gathered.mistakes.push(Mistake::Here(
                whole,
                "there is no condition here".to_owned(),
                Some("for every message write { recipients = { at_least = 1 } }".to_owned()),
            ));
        }
        (gathered.conditions, gathered.mistakes)
    }

    fn addresses(&self, raw: &mut RawConditions, gathered: &mut Gathered) {
        let lists = [
            (Who::Sender, raw.sender.take()),
            (Who::From, raw.from.take()),
            (Who::RecipientAny, raw.recipient_any.take()),
            (Who::RecipientAll, raw.recipient_all.take()),
        ];
        for (who, list) in lists {
            let Some(list) = list else { continue };
            match self.patterns(&list) {
                Ok(condition) => gathered.conditions.push(Condition::Addresses {
                    who,
                    patterns: Box::new(condition),
                    written: shortened(&list.get_ref().0),
                }),
                Err(mistake) => gathered.mistakes.push(mistake),
            }
        }
    }

    fn patterns(&self, list: &Spanned<Texts>) -> Result<Patterns, Mistake> {
        let here = |message: String| Mistake::Here(list.span(), message, None);
        let mut patterns = Patterns::default();
        for text in &list.get_ref().0 {
            match text.strip_prefix("file:") {
                None => patterns.add(text).map_err(here)?,
                Some(name) => self.list_file(name, list, &mut patterns)?,
            }
        }
        patterns.finish().map_err(here)
    }

    /// Reads the patterns of a list file, relative to the policy's folder.
    fn list_file(&self, name: &str, list: &Spanned<Texts>, patterns: &mut Patterns) -> Result<(), Mistake> {
        let path = self.path.parent().unwrap_or(Path::new("")).join(name.trim());
        let text = (self.read_file)(&path).map_err(|error| {
            let help = unreadable(&path, &error).help().map(str::to_owned);
            Mistake::Here(list.span(), format!("the list {} cannot be read", path.display()), help)
        })?;
        if text.len() > LONGEST_LIST {
            let message = format!("the list {} has more than {LONGEST_LIST} octets", path.display());
            return Err(Mistake::Here(list.span(), message, None));
        }
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let pattern = line.split('#').next().unwrap_or_default().trim();
            if !pattern.is_empty() {
                let start = at + line.find(pattern).unwrap_or(0);
                patterns.add(pattern).map_err(|message| {
                    let span = start..start + pattern.len();
                    Mistake::Elsewhere(Diagnostic::at(&path, &text, span, message, None))
                })?;
            }
            at += line.len();
        }
        Ok(())
    }
}

fn shortened(texts: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = texts.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if texts.len() > SHOWN { format!("{shown}, …") } else { shown }
}

/// The approvers that a rule names, and mistakes among them.
fn approvers(
    raw: Option<Vec<Spanned<String>>>,
    demand: Demand,
    demand_span: std::ops::Range<usize>,
) -> (Vec<NamedApprover>, Vec<Mistake>) {
    let Some(raw) = raw else { return (Vec::new(), Vec::new()) };
    let mut mistakes = Vec::new();
    if demand.action() != Action::Hold && !raw.is_empty() {
        let help = "approvers are asked if a rule demands \"ask\" or \"hold\"".to_owned();
        let said = "the rule names approvers, but does not hold mail".to_owned();
        mistakes.push(Mistake::Here(demand_span, said, Some(help)));
    }
    let mut asked = Vec::new();
    for one in raw {
        let span = one.span();
        match NamedApprover::try_from(one.into_inner()) {
            Ok(one) => asked.push(one),
            Err(message) => mistakes.push(Mistake::Here(span, message, None)),
        }
    }
    (asked, mistakes)
}

/// Under `when`, both counts of outsiders make one condition; under `unless`, each exempts on its own.
fn outside(raw: &mut RawConditions, all: bool, gathered: &mut Gathered) {
    let mut read = |range: Option<Spanned<RawRange>>| -> Option<Range> {
        let range = range?;
        range
            .get_ref()
            .checked()
            .map_err(|message| gathered.mistakes.push(Mistake::Here(range.span(), message, None)))
            .ok()
    };
    let addresses = read(raw.external_addresses.take());
    let organisations = read(raw.external_organisations.take());
    match (addresses, organisations) {
        (None, None) => {}
        (Some(_), Some(_)) if !all => {
            gathered.conditions.push(Condition::Outside { addresses, organisations: None });
            gathered.conditions.push(Condition::Outside { addresses: None, organisations });
        }
        _ => gathered.conditions.push(Condition::Outside { addresses, organisations }),
    }
}

fn numbers(raw: &mut RawConditions, gathered: &mut Gathered) {
    let counts = [
        (Count::Recipients, raw.recipients.take()),
        (Count::EnvelopeOnly, raw.envelope_only.take()),
        (Count::SameOrganisation, raw.same_organisation.take()),
        (Count::WrittenAddresses, raw.written_addresses.take()),
    ];
    for (what, range) in counts {
        if let Some(range) = range {
            let made = range.get_ref().checked().map(|range| Condition::Count { what, range });
            gathered.add(range.span(), made);
        }
    }
    if let Some(sizes) = raw.size.take() {
        gathered.add(sizes.span(), sizes.get_ref().checked().map(Condition::Size));
    }
}

fn texts(raw: &mut RawConditions, gathered: &mut Gathered) {
    if let Some(subject) = raw.subject.take() {
        let RawText { matches, contains } = subject.get_ref();
        let test = TextTest::new(matches.as_deref(), contains.as_ref());
        gathered.add(subject.span(), test.map(|test| Condition::Text { field: "subject".to_owned(), test }));
    }
    if let Some(headers) = raw.header.take() {
        let span = headers.span();
        if headers.get_ref().0.is_empty() {
            gathered.add(span.clone(), Err("the list is empty".to_owned()));
        }
        for header in headers.into_inner().0 {
            gathered.add(span.clone(), header.condition());
        }
    }
    if let Some(attachment) = raw.attachment.take() {
        let span = attachment.span();
        gathered.add(span, attachment.into_inner().condition());
    }
}

fn flags(raw: &RawConditions, gathered: &mut Gathered) {
    let all = [
        (Flag::Reply, raw.reply),
        (Flag::Circle, raw.circle),
        (Flag::Report, raw.report),
        (Flag::AutoForward, raw.auto_forward),
        (Flag::Calendar, raw.calendar),
        (Flag::Tnef, raw.tnef),
        (Flag::Encrypted, raw.encrypted),
        (Flag::Signed, raw.signed),
        (Flag::Opaque, raw.opaque),
        (Flag::InternalOnly, raw.internal_only),
        (Flag::FromIsOurs, raw.from_is_ours),
        (Flag::Unparseable, raw.unparseable),
    ];
    for (flag, wanted) in all {
        gathered.conditions.extend(wanted.map(|wanted| Condition::Flag { flag, wanted }));
    }
    gathered.conditions.extend(raw.known_to_each_other.map(|wanted| Condition::Known { wanted }));
}

impl RawHeader {
    fn condition(self) -> Result<Condition, String> {
        let Self { name, matches, contains, present } = self;
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(format!("`{name}` is not the name of a header field"));
        }
        let field = name.to_ascii_lowercase();
        match (present, matches.is_some() || contains.is_some()) {
            (Some(wanted), false) => Ok(Condition::Present { field, wanted }),
            (Some(_), true) => {
                Err("`present` cannot be combined: a field that matches is present".to_owned())
            }
            (None, _) => TextTest::new(matches.as_deref(), contains.as_ref())
                .map(|test| Condition::Text { field, test }),
        }
    }
}

impl RawAttachment {
    fn condition(self) -> Result<Condition, String> {
        let table = match self {
            Self::Any(wanted) => return Ok(Condition::Flag { flag: Flag::Attachment, wanted }),
            Self::Such(table) => table,
        };
        let mut written = Vec::new();
        written.extend(table.name.as_ref().map(|names| shortened(&names.0)));
        written.extend(table.content_type.as_ref().map(|types| shortened(&types.0)));
        let names = |texts: Option<&Texts>| texts.map(|texts| Names::new(&texts.0)).transpose();
        let size = match (table.at_least, table.at_most) {
            (None, None) => None,
            (least, most) => Some(Range::new(least.map(|size| size.0), most.map(|size| size.0))?),
        };
        written.extend(size.map(|range| range.size_words().en));
        let test = AttachmentTest {
            name: names(table.name.as_ref())?,
            content_type: names(table.content_type.as_ref())?,
            size,
            written: written.join(", "),
        };
        if test.written.is_empty() {
            return Err("say which attachments: name, type, at_least, or just `attachment = true`".to_owned());
        }
        Ok(Condition::Attachment(Box::new(test)))
    }
}

/// The demand that the words describe, or what is wrong and a hint.
fn demand(words: &[String]) -> Result<Demand, (String, Option<String>)> {
    if words.is_empty() {
        return Err((
            "there is no demand".to_owned(),
            Some("to demand nothing, write \"observe\"".to_owned()),
        ));
    }
    if words.len() > 1 && words.iter().any(|word| word.trim() == "observe") {
        let help = "it means that the rule demands nothing".to_owned();
        return Err(("`observe` cannot be combined".to_owned(), Some(help)));
    }
    words.iter().try_fold(Demand::default(), |sum, word| Ok(sum.join(one_demand(word)?)))
}

fn one_demand(word: &str) -> Result<Demand, (String, Option<String>)> {
    let disclosure = |disclosure| Demand { disclosure, ..Demand::default() };
    let timing = |timing| Demand { timing, ..Demand::default() };
    let word = word.trim();
    if let Some(time) = word.strip_prefix("delay ") {
        return span(time).map(|span| timing(Timing::Delay(span))).map_err(|message| (message, None));
    }
    match word {
        "observe" => Ok(Demand::default()),
        "ask" => Ok(disclosure(Disclosure::Ask)),
        "bcc" => Ok(disclosure(Disclosure::Bcc)),
        "split" => Ok(disclosure(Disclosure::Split)),
        "hold" => Ok(timing(Timing::Hold)),
        "reject" => Ok(timing(Timing::Reject)),
        "delay" => Err(("`delay` needs a time".to_owned(), Some("write it as \"delay 5m\"".to_owned()))),
        other => {
            let help = near(other, DEMANDS).map_or_else(
                || format!("expected one of: {}", DEMANDS.join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            Err((format!("unknown demand `{other}`"), Some(help)))
        }
    }
}
