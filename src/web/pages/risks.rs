//! Risks as pages show them: what is dangerous, what cures it, and the ticks that a decision asks for.

use super::super::words::Words;
use crate::desk::wish::{How, Wish};
use crate::policy::Disclosure;
use crate::policy::risks::Risk;
use crate::policy::verdict::Language;

/// Most risks that a page lists.
const MOST: usize = 30;

/// One risk, in the visitor's language.
pub(in crate::web) struct Told {
    /// What it is called.
    pub label: String,
    /// What it is.
    pub said: String,
    /// What prevents it, or what does not.
    pub cure: String,
    /// Sending individually prevents it.
    pub cured: bool,
    /// What its tick is called.
    pub key: String,
}

/// The language of a visitor, as the rules know it.
pub(in crate::web) fn language(t: &Words) -> Language {
    t.tongue.language()
}

/// These, the strongest first.
pub(in crate::web) fn told<'a>(t: &Words, risks: impl IntoIterator<Item = &'a Risk>) -> Vec<Told> {
    let language = language(t);
    let one = |risk: &Risk| Told {
        label: risk.label(language),
        said: risk.headline(language),
        cure: risk.cure(language),
        cured: risk.is_cured_by(Disclosure::Split),
        key: risk.key(),
    };
    risks.into_iter().take(MOST).map(one).collect()
}

/// Those that have to be ticked when the mail is sent in this way.
pub(super) fn to_tick(t: &Words, risks: &[Risk], how: How) -> Vec<Told> {
    told(t, Wish { how, ..Wish::default() }.left(risks))
}
