//! The risks on pages: what is dangerous, what removes it, and the checkboxes of a decision.

use super::super::words::Words;
use crate::desk::wish::{How, Wish};
use crate::policy::Disclosure;
use crate::policy::risks::Risk;
use crate::policy::verdict::Language;

/// Most risks listed on a page.
const MOST: usize = 30;

/// One risk, in the visitor's language.
pub(in crate::web) struct RiskText {
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

/// The first of these risks, most serious first, for a list that is only read.
pub(in crate::web) fn told<'a>(t: &Words, risks: impl IntoIterator<Item = &'a Risk>) -> Vec<RiskText> {
    every(t, risks.into_iter().take(MOST))
}

/// All of these risks. A decision needs a tick for each, so a form must not leave any out.
pub(in crate::web) fn every<'a>(t: &Words, risks: impl IntoIterator<Item = &'a Risk>) -> Vec<RiskText> {
    let language = language(t);
    let one = |risk: &Risk| RiskText {
        label: risk.label(language),
        said: risk.headline(language),
        cure: risk.cure(language),
        cured: risk.is_cured_by(Disclosure::Split),
        key: risk.key(),
    };
    risks.into_iter().map(one).collect()
}

/// How many of so many risks such a list leaves out.
pub(in crate::web) fn more(risks: usize) -> usize {
    risks.saturating_sub(MOST)
}

/// The risks that have to be ticked for this way of sending.
pub(super) fn to_tick(t: &Words, risks: &[Risk], how: How) -> Vec<RiskText> {
    every(t, Wish { how, ..Wish::default() }.left(risks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::message::Address;
    use crate::web::words::Tongue;
    use jiff::tz::TimeZone;

    /// A decision is refused while a risk is unticked, so a form that leaves one out could never be sent.
    #[test]
    fn a_form_has_a_checkbox_for_every_risk_that_a_decision_asks_about() {
        let t = Words { tongue: Tongue::En, now: Timestamp(0), zone: TimeZone::UTC };
        for number in [0, 1, MOST, MOST + 1, 5_000] {
            let risks: Vec<Risk> = (0..number)
                .map(|n| {
                    let address = Address::parse(&format!("a@shop{n}.example")).unwrap();
                    Risk::look_alike(&[&address], &format!("sh0p{n}.example"))
                })
                .collect();
            for how in [How::Split, How::Bcc, How::AsIs] {
                let asked: Vec<String> =
                    Wish { how, ..Wish::default() }.left(&risks).iter().map(|risk| risk.key()).collect();
                let shown = to_tick(&t, &risks, how);
                assert_eq!(shown.iter().map(|one| one.key.clone()).collect::<Vec<_>>(), asked);
            }
            assert_eq!(told(&t, &risks).len() + more(number), number);
        }
    }
}
