//! The risks on pages: what is dangerous, what removes it, and the checkboxes of a decision.

use super::super::words::Words;
use crate::desk::wish::{How, Wish};
use crate::policy::Disclosure;
use crate::policy::risks::Risk;
use crate::policy::verdict::Language;

/// Most risks listed on a page.
const MOST: usize = 30;

/// One risk, in the visitor's language.
pub(in crate::web) struct Told {
    /// Its label.
    pub label: String,
    /// Its description.
    pub said: String,
    /// What removes it, or what does not.
    pub cure: String,
    /// Whether sending individually removes it.
    pub cured: bool,
    /// The name of its checkbox.
    pub key: String,
}

/// A visitor's language, in the type of the policy.
pub(in crate::web) fn language(t: &Words) -> Language {
    t.tongue.language()
}

/// These risks, most serious first.
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

/// The risks that have to be ticked for this way of sending.
pub(super) fn to_tick(t: &Words, risks: &[Risk], how: How) -> Vec<Told> {
    told(t, Wish { how, ..Wish::default() }.left(risks))
}
