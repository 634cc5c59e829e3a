//! A bounded list of hits, with each address once for each place. Which hits are kept depends only on what was found
//! and not on the order of finding, because that depends on the chunks in which the body arrives.

use super::stream::Form;
use super::{Hit, Needles};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The maximum number of places kept for one address. Those that sort first are kept.
const EACH: usize = 8;
/// The maximum number of hits, unless one for each address is more.
const MOST: usize = 1_000;

/// The hits so far. The name of a place is kept only if it has a hit.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// For each address, the places and how it was written there.
    found: BTreeMap<u32, Vec<(Arc<str>, &'static str)>>,
}

impl Hits {
    /// Adds a hit. `base` says how the whole place was written: `as text` or an encoding.
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

    /// Adds a hit in a place whose name was made only for this hit.
    pub(super) fn add_in(&mut self, address: u32, place: &str, form: Form, base: &'static str) {
        self.add(address, &Arc::from(place), form, base);
    }

    /// The hits. Those in the place `fallback` are left out if the address was found elsewhere, too.
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
            // Keep at least one hit for each address.
            hits.sort_by_key(|(round, _)| *round);
            let firsts = hits.partition_point(|(round, _)| *round == 0);
            hits.truncate(MOST.max(firsts));
        }
        hits.into_iter().map(|(_, hit)| hit).collect()
    }
}

/// Chooses which of two forms in one place is reported. How the whole place was written takes precedence over what
/// a view made of it.
fn plainer(one: &'static str, other: &'static str) -> &'static str {
    const MADE: [&str; 4] = ["escaped", "between tags", "folded", "VERP"];
    let rank = |form: &'static str| (form != "as text", MADE.contains(&form), form);
    if rank(other) < rank(one) { other } else { one }
}
