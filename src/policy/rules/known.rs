//! Describes the result of `known_to_each_other`: who was on which mail, and who was not.

use super::reason::{Phrase, counted, few_people};
use crate::policy::Facts;
use crate::policy::learned::Nearest;

/// Whether one earlier mail showed all outsiders of this message to each other.
pub(super) fn one_mail_showed_all(facts: &Facts) -> bool {
    facts.acquaintance.as_ref().is_some_and(|known| known.nearest.is_some() && known.complete())
}

/// What is known of such a mail, and how it is known.
pub(super) fn told(facts: &Facts) -> Phrase {
    let Some(known) = &facts.acquaintance else {
        return Phrase::new("fewer than two outsiders are concerned", "関係する社外の人は2名未満です");
    };
    let number = number(known.people);
    match &known.nearest {
        Some(nearest) if known.complete() => {
            let (en, ja) = mail(nearest);
            let all = if known.people == 2 {
                "both outsiders".to_owned()
            } else {
                format!("all {number} outsiders")
            };
            Phrase::new(
                format!("{all} were on {en}"),
                format!("社外の{}名は全員、{ja}で互いに見えています", known.people),
            )
        }
        Some(_) => nearly(facts).unwrap_or_default(),
        None => {
            let en = format!("no mail is known that showed these {number} outsiders to each other");
            let ja = format!("社外の{}名が互いに見えていたメールは記録にありません", known.people);
            Phrase::new(en, ja)
        }
    }
}

/// Names who was not on the mail that the others were on.
pub(super) fn nearly(facts: &Facts) -> Option<Phrase> {
    let known = facts.acquaintance.as_ref()?;
    let nearest = known.nearest.as_ref().filter(|_| !known.strangers.is_empty())?;
    let names = few_people(&known.strangers, known.strangers.len());
    let (en, ja) = mail(nearest);
    let was = if known.strangers.len() == 1 { "was" } else { "were" };
    let others = counted((known.people - known.strangers.len()) as u64, "other was", "others were");
    Some(Phrase::new(
        format!("{} {was} not on {en}, which the {others} on", names.en),
        format!(
            "{}は、ほかの{}名が互いに見えている{ja}に含まれていません",
            names.ja,
            known.people - known.strangers.len()
        ),
    ))
}

fn mail(nearest: &Nearest) -> (String, String) {
    let (en, ja) = (nearest.last.english(), nearest.last.japanese());
    if nearest.answered {
        (format!("the mail of {en} that this answers"), format!("返信元の{ja}のメール"))
    } else {
        (format!("a mail of {en}"), format!("{ja}のメール"))
    }
}

/// A small number as a word.
fn number(people: usize) -> String {
    const WORDS: [&str; 11] =
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let word = people.checked_sub(2).and_then(|index| WORDS.get(index));
    word.map_or_else(|| people.to_string(), |word| (*word).to_owned())
}
