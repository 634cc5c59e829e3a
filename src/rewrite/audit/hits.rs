//! What was found, each address once a place, bounded. What is kept depends on what was found alone,
//! never on the order in which the views came by it: that order depends on how the body was cut.

use super::stream::Form;
use super::{Hit, Needles};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most places kept for an address: the first by name.
const EACH: usize = 8;
/// Most hits given, beyond one for each address that was found.
const MOST: usize = 1_000;

/// The hits so far. A place is kept only while an address is known to stand in it.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// For each address the places, and how it was written there.
    found: BTreeMap<u32, Vec<(Arc<str>, &'static str)>>,
}

impl Hits {
    /// Notes a hit. `base` is how the whole place was written, `as text` or an encoding.
    pub(super) fn add(&mut self, address: u32, place: &Arc<str>, form: Form, base: &'static str) {
        let form = match form {
            Form::Plain => base,
            Form::Verp => "VERP",
            Form::Utf16 => "UTF-16",
            Form::Token => "base64",
        };
        let hits = self.found.entry(address).or_default();
        let same = |hit: &&mut (Arc<str>, &str)| Arc::ptr_eq(&hit.0, place) || hit.0 == *place;
        if let Some(hit) = hits.iter_mut().find(same) {
            hit.1 = plainer(hit.1, form);
            return;
        }
        hits.push((Arc::clone(place), form));
        if hits.len() > EACH {
            let last = (0..hits.len()).max_by(|&a, &b| hits[a].0.cmp(&hits[b].0));
            last.map(|last| hits.swap_remove(last));
        }
    }

    /// Notes what was found in a place that is only named when something was.
    pub(super) fn add_in(&mut self, address: u32, place: &str, form: Form, base: &'static str) {
        self.add(address, &Arc::from(place), form, base);
    }

    /// The hits, with those in `fallback` left out where the address was found elsewhere too.
    pub(super) fn into_hits(self, needles: &Needles, fallback: Option<&str>) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (address, mut found) in self.found {
            if found.iter().any(|hit| Some(&*hit.0) != fallback) {
                found.retain(|hit| Some(&*hit.0) != fallback);
            }
            let known = usize::try_from(address).ok().and_then(|index| needles.addresses().get(index));
            found.sort_unstable();
            for (round, (place, form)) in found.into_iter().enumerate() {
                if let Some(address) = known {
                    let hit =
                        Hit { address: address.clone(), place: place.to_string(), form: form.to_owned() };
                    hits.push((round, hit));
                }
            }
        }
        if hits.len() > MOST {
            // one for each address at least
            hits.sort_by_key(|(round, _)| *round);
            let firsts = hits.partition_point(|(round, _)| *round == 0);
            hits.truncate(MOST.max(firsts));
        }
        hits.into_iter().map(|(_, hit)| hit).collect()
    }
}

/// Of two ways an address was written in one place, the one that is told: how the whole place was
/// written, before what a view made of it.
fn plainer(one: &'static str, other: &'static str) -> &'static str {
    const MADE: [&str; 4] = ["escaped", "between tags", "folded", "VERP"];
    let rank = |form: &'static str| (form != "as text", MADE.contains(&form), form);
    if rank(other) < rank(one) { other } else { one }
}
