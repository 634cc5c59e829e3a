//! The values that conditions take: ranges, sizes, durations, texts.

use super::reason::{Phrase, octets};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization;

/// Most memory a compiled regular expression may take, in octets.
const REGEX_SIZE: usize = 1 << 20;
/// Longest delay that a rule may demand.
const LONGEST_DELAY: Duration = Duration::from_hours(7 * 24);

/// Bounds of a number, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    at_least: Option<u64>,
    at_most: Option<u64>,
}

/// `{ at_least = 5, at_most = 9 }`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a range such as { at_least = 5 }")]
pub(super) struct RawRange {
    at_least: Option<u64>,
    at_most: Option<u64>,
}

/// `{ at_least = "10MB" }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a range of sizes such as { at_least = \"10MB\" }")]
pub(super) struct RawSizes {
    at_least: Option<RawSize>,
    at_most: Option<RawSize>,
}

/// A number of octets, or a text with a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSize(pub(super) u64);

impl Range {
    pub(super) fn new(at_least: Option<u64>, at_most: Option<u64>) -> Result<Self, String> {
        match (at_least, at_most) {
            (None, None) => Err("the range is empty: give at_least, at_most or both".to_owned()),
            (Some(least), Some(most)) if least > most => {
                Err(format!("the range is empty: no number is at least {least} and at most {most}"))
            }
            _ => Ok(Self { at_least, at_most }),
        }
    }

    pub(super) fn holds(self, number: u64) -> bool {
        self.at_least.is_none_or(|least| number >= least) && self.at_most.is_none_or(|most| number <= most)
    }

    /// Whether the range has no upper end.
    pub(super) fn is_open(self) -> bool {
        self.at_most.is_none()
    }

    /// The bounds in words: `5 or more`.
    pub(super) fn words(self) -> Phrase {
        self.spelled(|number| number.to_string(), "")
    }

    /// The bounds in words, as sizes.
    pub(super) fn size_words(self) -> Phrase {
        self.spelled(octets, "")
    }

    /// The bounds in words, with a Japanese counter.
    pub(super) fn words_counting(self, counter: &str) -> Phrase {
        self.spelled(|number| number.to_string(), counter)
    }

    fn spelled(self, write: impl Fn(u64) -> String, counter: &str) -> Phrase {
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) if least == most => {
                Phrase::new(format!("exactly {}", write(least)), format!("ちょうど{}{counter}", write(least)))
            }
            (Some(least), Some(most)) => Phrase::new(
                format!("{} to {}", write(least), write(most)),
                format!("{}〜{}{counter}", write(least), write(most)),
            ),
            (Some(least), None) => {
                Phrase::new(format!("{} or more", write(least)), format!("{}{counter}以上", write(least)))
            }
            (None, most) => {
                let most = write(most.unwrap_or(u64::MAX));
                Phrase::new(format!("at most {most}"), format!("{most}{counter}以下"))
            }
        }
    }
}

impl RawRange {
    pub(super) fn checked(self) -> Result<Range, String> {
        Range::new(self.at_least, self.at_most)
    }
}

impl RawSizes {
    pub(super) fn checked(&self) -> Result<Range, String> {
        Range::new(self.at_least.map(|size| size.0), self.at_most.map(|size| size.0))
    }
}

impl<'de> Deserialize<'de> for RawSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = RawSize;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a size such as \"10MB\" or 4096")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<RawSize, E> {
                u64::try_from(number).map(RawSize).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<RawSize, E> {
                Ok(RawSize(number))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawSize, E> {
                size(text).map(RawSize).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A size: `512`, `64KB`, `10 MB`, `1GiB`. All units are powers of 1,024, as in mail programs.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write it as \"10MB\"");
    let text = text.trim();
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let factor: u64 = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A duration: `30s`, `5m`, `2h`, `1d`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write it as `delay 5m` (s, m, h or d)");
    let text = text.trim();
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let factor = match text[digits..].trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let span = Duration::from_secs(number.checked_mul(factor).ok_or_else(wrong)?);
    if span.is_zero() || span > LONGEST_DELAY {
        return Err(format!("a delay must be between 1s and 7d, not `{text}`"));
    }
    Ok(span)
}

/// One text or several.
#[derive(Clone, Debug)]
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Texts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `{ matches = "regex" }`, `{ contains = ["secret", "部外秘"] }`, `{ present = true }`
#[derive(Clone, Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a test such as { contains = \"secret\" } or { matches = \"^Re:\" }"
)]
pub(super) struct RawText {
    pub(super) matches: Option<String>,
    pub(super) contains: Option<Texts>,
}

/// A test of a text; every given criterion must hold.
#[derive(Clone, Debug)]
pub(super) struct TextTest {
    /// The test in words, for the reasons.
    pub(super) words: Phrase,
    matches: Option<Regex>,
    /// Words to find, normalised; any of them.
    contains: Option<Vec<String>>,
    /// The same words as they were written.
    written: Vec<String>,
}

impl TextTest {
    pub(super) fn new(matches: Option<&str>, contains: Option<&Texts>) -> Result<Self, String> {
        let mut en = Vec::new();
        let mut ja = Vec::new();
        if let Some(pattern) = matches {
            en.push(format!("matches /{pattern}/"));
            ja.push(format!("/{pattern}/ に一致"));
        }
        if let Some(texts) = contains {
            if texts.0.is_empty() || texts.0.iter().any(|text| text.trim().is_empty()) {
                return Err("an empty text would match everything: say what to look for".to_owned());
            }
            en.push(format!("contains {}", quoted(&texts.0, " or ")));
            ja.push(format!("{} を含む", quoted(&texts.0, " か ")));
        }
        if en.is_empty() {
            return Err("the test is empty: give matches, contains or both".to_owned());
        }
        Ok(Self {
            words: Phrase::new(en.join(" and "), ja.join("、")),
            matches: matches.map(regex).transpose()?,
            contains: contains.map(|texts| texts.0.iter().map(|text| fold(text)).collect()),
            written: contains.map(|texts| texts.0.clone()).unwrap_or_default(),
        })
    }

    /// The words that the test found in a text.
    pub(super) fn found(&self, text: &str) -> Option<String> {
        if !self.holds(text) {
            return None;
        }
        let folded = fold(text);
        let word = self.written.iter().find(|word| folded.contains(&fold(word))).cloned();
        let matched = || Some(self.matches.as_ref()?.find(text)?.as_str().to_owned());
        word.or_else(matched)
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        self.matches.as_ref().is_none_or(|regex| regex.is_match(text))
            && self.contains.as_ref().is_none_or(|wanted| {
                let folded = fold(text);
                wanted.iter().any(|wanted| folded.contains(wanted.as_str()))
            })
    }
}

fn quoted(texts: &[String], or: &str) -> String {
    texts.iter().map(|text| format!("“{text}”")).collect::<Vec<_>>().join(or)
}

/// Normalises case and compatibility forms, so that `ＳＥＣＲＥＴ` equals `secret`.
pub(super) fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// Compiles a regular expression that runs in linear time and bounded memory.
///
/// # Errors
/// Says what is wrong with the pattern.
pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build().map_err(|error| {
        match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the regular expression needs more than {limit} bytes: make it simpler")
            }
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("the regular expression cannot be read: {last}")
            }
        }
    })
}
