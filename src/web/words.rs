//! The phrases of pages (`locales/*/pages.ftl` and others): the visitor's language, phrases with numbers and
//! names, times and durations.

use crate::clock::{Timestamp, Unit, rounded};
use crate::policy::verdict::Language;
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use jiff::tz::TimeZone;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

fluent_templates::static_loader! {
    static PHRASES = {
        locales: "../../locales",
        fallback_language: "en",
        customise: |bundle| {
            // addresses have elements of their own that isolate the text direction
            bundle.set_use_isolating(false);
            bundle.set_formatter(Some(grouped));
        },
    };
}

/// Formats numbers of four and more digits with thousands separators.
fn grouped<M>(value: &FluentValue<'_>, _: &M) -> Option<String> {
    match value {
        FluentValue::Number(number) => Some(group(&number.as_string())),
        _ => None,
    }
}

fn group(digits: &str) -> String {
    if digits.len() < 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.to_owned();
    }
    let first = digits.len() % 3;
    let mut out = digits[..first].to_owned();
    for (index, digit) in digits[first..].chars().enumerate() {
        if index % 3 == 0 && !out.is_empty() {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The languages of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tongue {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

impl Tongue {
    /// Both.
    pub const ALL: [Self; 2] = [Self::En, Self::Ja];

    /// The language's tag (RFC 5646).
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }

    /// The language's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Ja => "日本語",
        }
    }

    /// The language with this tag.
    pub fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tongue| {
            let language = tag.split(['-', '_']).next().unwrap_or_default();
            language.trim().eq_ignore_ascii_case(tongue.tag())
        })
    }

    /// The best supported language for an Accept-Language field (RFC 9110 §12.5.4).
    pub fn accepted(field: &str) -> Option<Self> {
        let mut best: Option<(u32, Self)> = None;
        for range in field.split(',').take(20) {
            let mut parts = range.split(';');
            let Some(tongue) = parts.next().and_then(|tag| Self::of_tag(tag.trim())) else { continue };
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1000, |value| thousandths(value.trim()));
            if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, tongue));
            }
        }
        best.map(|(_, tongue)| tongue)
    }

    /// The same language in the type of policy and mails.
    pub fn language(self) -> Language {
        match self {
            Self::En => Language::En,
            Self::Ja => Language::Ja,
        }
    }

    /// The reverse of [`Self::language`].
    pub fn of(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Ja => Self::Ja,
        }
    }

    fn identifier(self) -> LanguageIdentifier {
        match self {
            Self::En => langid!("en"),
            Self::Ja => langid!("ja"),
        }
    }
}

/// A quality value in thousandths; 0 if it is invalid.
fn thousandths(value: &str) -> u32 {
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    let Ok(whole) = whole.parse::<u32>() else { return 0 };
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    (whole.min(1) * 1000 + digits.parse::<u32>().unwrap_or(0)).min(1000)
}

/// Phrases and formats for one visitor.
#[derive(Clone, Debug)]
pub struct Words {
    /// Their language.
    pub tongue: Tongue,
    /// When the page is rendered.
    pub now: Timestamp,
    /// The time zone of times.
    pub zone: TimeZone,
}

impl Words {
    /// A phrase; [`Phrase::n`] and [`Phrase::s`] give its values.
    pub fn p(&self, key: &'static str) -> Phrase {
        Phrase { tongue: self.tongue, key, values: HashMap::new() }
    }

    /// A phrase whose key is a prefix and a word: `desk-state-` and `held`.
    pub fn of(&self, stem: &str, word: impl fmt::Display) -> String {
        let word = word.to_string();
        // a word without phrase is shown as it is
        PHRASES.try_lookup(&self.tongue.identifier(), &format!("{stem}{word}")).unwrap_or(word)
    }

    /// The separator of names in a list.
    pub fn list(&self) -> &'static str {
        match self.tongue {
            Tongue::En => ", ",
            Tongue::Ja => "、",
        }
    }

    /// The language's tag.
    pub fn lang(&self) -> &'static str {
        self.tongue.tag()
    }

    /// A time, to the minute.
    pub fn moment(&self, at: &Timestamp) -> String {
        match self.tongue {
            Tongue::En => at.english(&self.zone, self.now),
            Tongue::Ja => at.japanese(&self.zone, self.now),
        }
    }

    /// A time in machine-readable form.
    pub fn machine(&self, at: &Timestamp) -> String {
        at.to_jiff().to_string()
    }

    /// A duration in its largest unit, rounded.
    pub fn span(&self, span: Duration) -> String {
        let (unit, count) = rounded(span);
        let key = match unit {
            Unit::Moment => return self.p("desk-span-moment").to_string(),
            Unit::Minutes => "desk-span-minutes",
            Unit::Hours => "desk-span-hours",
            Unit::Days => "desk-span-days",
        };
        self.p(key).n("count", count).to_string()
    }

    /// The time of day, to the second, for what happens within minutes.
    pub fn clock(&self, at: &Timestamp) -> String {
        at.to_jiff().to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// A time in the past, relative: `3 hours ago`.
    pub fn ago(&self, at: &Timestamp) -> String {
        let span = self.now.since(*at);
        if span.as_secs() < 30 {
            return self.p("desk-ago-moment").to_string();
        }
        self.p("desk-ago").s("span", self.span(span)).to_string()
    }

    /// A time in the future, relative: `in 3 hours`; or that it has passed.
    pub fn until(&self, at: &Timestamp) -> String {
        if *at <= self.now {
            return self.p("desk-until-over").to_string();
        }
        self.p("desk-until").s("span", self.span(at.since(self.now))).to_string()
    }

    /// A size in octets, in a readable unit.
    pub fn size(&self, octets: &u64) -> String {
        let (unit, divisor) = match *octets {
            0..1_000 => return format!("{octets} B"),
            1_000..1_000_000 => ("KB", 1_000),
            1_000_000..1_000_000_000 => ("MB", 1_000_000),
            _ => ("GB", 1_000_000_000),
        };
        let tenths = octets * 10 / divisor;
        if tenths < 100 {
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        } else {
            format!("{} {unit}", tenths / 10)
        }
    }
}

/// A phrase with its values.
#[derive(Clone, Debug)]
pub struct Phrase {
    tongue: Tongue,
    key: &'static str,
    values: HashMap<Cow<'static, str>, FluentValue<'static>>,
}

impl Phrase {
    /// Adds a number.
    #[must_use]
    pub fn n(mut self, name: &'static str, number: impl Count) -> Self {
        self.values.insert(Cow::Borrowed(name), FluentValue::from(number.count()));
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn s(mut self, name: &'static str, text: impl fmt::Display) -> Self {
        self.values.insert(Cow::Borrowed(name), FluentValue::from(text.to_string()));
        self
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PHRASES.lookup_with_args(&self.tongue.identifier(), self.key, &self.values))
    }
}

/// What can be counted, as templates have it.
pub trait Count {
    /// The number.
    fn count(&self) -> u64;
}

impl Count for u64 {
    fn count(&self) -> u64 {
        *self
    }
}

impl Count for usize {
    fn count(&self) -> u64 {
        *self as u64
    }
}

impl<T: Count> Count for &T {
    fn count(&self) -> u64 {
        (**self).count()
    }
}

/// Text from outside on one line that cannot affect its surroundings: control characters, direction marks and
/// invisible characters become U+FFFD, a tab a space; very long text is cut.
pub fn calm(text: &str, most: usize) -> String {
    let plain = |c| match c {
        // from a folded header field
        '\t' => ' ',
        c if is_tricky(c) => '\u{fffd}',
        c => c,
    };
    let mut out: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// A person's text of several lines on one line.
pub fn one_line(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    calm(&lines.join(" "), most)
}

/// The same for text of several lines.
pub fn calm_lines(text: &str) -> String {
    let plain = text.replace("\r\n", "\n");
    plain.chars().map(|c| if is_tricky(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Whether a character is invisible or affects its neighbours.
fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn words(tongue: Tongue) -> Words {
        Words { tongue, now: Timestamp(1_790_000_000_000), zone: TimeZone::UTC }
    }

    #[test]
    fn which_language() {
        let cases = [
            ("ja", Some(Tongue::Ja)),
            ("ja-JP,ja;q=0.9,en-US;q=0.8,en;q=0.7", Some(Tongue::Ja)),
            ("en;q=0.5, ja;q=0.51", Some(Tongue::Ja)),
            ("fr, de;q=0.5", None),
            ("ja;q=0, en;q=0.1", Some(Tongue::En)),
            ("fr, JA-jp;q=0.2", Some(Tongue::Ja)),
            (";;;,,q=1", None),
            ("ja;q=nonsense", None),
        ];
        for (field, expected) in cases {
            assert_eq!(Tongue::accepted(field), expected, "{field}");
        }
    }

    #[test]
    fn both_languages_have_the_same_phrases() {
        /// The prefixes of the pages' phrases; all files of a language are loaded together.
        const ROOMS: [&str; 5] = ["desk-", "asked-", "away-", "decide-", "link-"];
        let keys = |language: &str| -> BTreeSet<String> {
            let path = format!("{}/../../locales/{language}/pages.ftl", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
            text.lines()
                .filter(is_key)
                .filter_map(|line| line.split(" =").next())
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(keys("en"), keys("ja"));
        assert!(keys("en").iter().all(|key| ROOMS.iter().any(|room| key.starts_with(room))));
    }

    #[test]
    fn numbers_spans_and_sizes() {
        for (digits, expected) in [
            ("7", "7"),
            ("132", "132"),
            ("1000", "1,000"),
            ("249500", "249,500"),
            ("1234567", "1,234,567"),
            ("1.5", "1.5"),
        ] {
            assert_eq!(group(digits), expected);
        }
        let (en, ja) = (words(Tongue::En), words(Tongue::Ja));
        let hours = Duration::from_hours(3);
        assert_eq!(en.span(hours), "3 hours");
        assert_eq!(ja.span(hours), "3時間");
        assert_eq!(en.span(Duration::from_mins(1)), "1 minute");
        assert_eq!(en.until(&en.now.minus(hours)), en.p("desk-until-over").to_string());
        assert_eq!(en.size(&999), "999 B");
        assert_eq!(en.size(&1_234), "1.2 KB");
        assert_eq!(en.size(&25_000_000), "25 MB");
    }

    #[test]
    fn nothing_hides_in_a_text() {
        assert_eq!(calm("photo\u{202e}gpj.exe\r\n\0", 100), "photo\u{fffd}gpj.exe\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(calm("見積書（11月）.pdf", 100), "見積書（11月）.pdf");
        assert_eq!(calm("abcdef", 3), "abc…");
        assert_eq!(calm("a@x.example,\tb@y.example", 99), "a@x.example, b@y.example");
        assert_eq!(
            one_line("名簿を外して\r\n\r\n送り直してください。\n", 99),
            "名簿を外して 送り直してください。"
        );
        assert_eq!(calm_lines("a\r\nb\tc\u{200b}"), "a\nb\tc\u{fffd}");
    }
}
