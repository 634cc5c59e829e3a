//! Sentences that say why a rule matched or not, in English and Japanese, with the relevant numbers.

use crate::message::Address;
use crate::policy::verdict::Bilingual;
use std::fmt::Display;

/// A phrase in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Phrase {
    pub(super) en: String,
    pub(super) ja: String,
}

impl Phrase {
    pub(super) fn new(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { en: en.into(), ja: ja.into() }
    }

    /// Appends why the message is not exempt, if there is something to say.
    pub(super) fn but(self, more: Option<Self>) -> Self {
        match more {
            Some(more) => Self::new(format!("{}; {}", self.en, more.en), format!("{}。{}", self.ja, more.ja)),
            None => self,
        }
    }
}

/// Why a rule matched: the author's own words, then what its conditions found.
pub(super) fn matched(found: &[Phrase], own: Option<&Bilingual>) -> Phrase {
    let found = joined(found);
    match own {
        Some(own) => Phrase::new(format!("{} ({})", own.en, found.en), format!("{}（{}）", own.ja, found.ja)),
        None => found,
    }
}

/// Why a rule that would match is exempted.
pub(super) fn exempted(found: &Phrase) -> Phrase {
    Phrase::new(format!("exempt: {}", found.en), format!("適用除外：{}", found.ja))
}

/// What is said of a rule that matches today and did not when the message came.
pub(super) fn later() -> Phrase {
    Phrase::new("it did not match when the mail came", "受け付けたときには該当しませんでした")
}

/// Several phrases as one.
pub(super) fn joined(phrases: &[Phrase]) -> Phrase {
    let (en, ja): (Vec<_>, Vec<_>) =
        phrases.iter().map(|phrase| (phrase.en.as_str(), phrase.ja.as_str())).unzip();
    Phrase::new(en.join("; "), ja.join("。"))
}

/// `1 address`, `2 addresses`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The first few of a list, and how many more.
pub(super) fn few<T: Display>(items: &[T], total: usize) -> Phrase {
    shortened(items, total, "件")
}

/// The same for people, for whom Japanese has another counter.
pub(super) fn few_people<T: Display>(people: &[T], total: usize) -> Phrase {
    shortened(people, total, "名")
}

fn shortened<T: Display>(items: &[T], total: usize, counter: &str) -> Phrase {
    const SHOWN: usize = 3;
    let names: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
    let more = total.saturating_sub(names.len());
    if more == 0 {
        return Phrase::new(names.join(", "), names.join("、"));
    }
    Phrase::new(
        format!("{} and {more} more", names.join(", ")),
        format!("{} ほか{more}{counter}", names.join("、")),
    )
}

/// Addresses at the end of a sentence: `: a@x, b@y and 3 more`.
pub(super) fn named(addresses: &[Address]) -> Phrase {
    if addresses.is_empty() {
        return Phrase::default();
    }
    let few = few_people(addresses, addresses.len());
    Phrase::new(format!(": {}", few.en), format!("：{}", few.ja))
}

/// A number of octets in words.
pub(super) fn octets(size: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    for (unit, factor) in UNITS {
        if size >= factor {
            let tenths = size / (factor / 10).max(1);
            let (whole, rest) = (tenths / 10, tenths % 10);
            return if rest == 0 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") };
        }
    }
    format!("{size} B")
}
