//! What was found, each address once a place, bounded.

use super::stream::Form;
use super::{Hit, Needles};
use std::collections::{HashMap, HashSet};

/// Most hits kept, beyond one for each address that was found.
const MOST: usize = 1_000;

/// The hits so far.
#[derive(Debug, Default)]
pub(super) struct Hits {
    list: Vec<(u32, usize, &'static str)>,
    places: Vec<String>,
    numbers: HashMap<String, usize>,
    known: HashSet<(u32, usize)>,
    addresses: HashSet<u32>,
}

impl Hits {
    /// A place's number.
    pub(super) fn place(&mut self, place: &str) -> usize {
        if let Some(&index) = self.numbers.get(place) {
            return index;
        }
        self.places.push(place.to_owned());
        self.numbers.insert(place.to_owned(), self.places.len() - 1);
        self.places.len() - 1
    }

    /// Notes a hit. `base` is how the whole place was written, `as text` or an encoding.
    pub(super) fn add(&mut self, address: u32, place: usize, form: Form, base: &'static str) {
        let first = self.addresses.insert(address);
        if (self.list.len() >= MOST && !first) || !self.known.insert((address, place)) {
            return;
        }
        let form = match form {
            Form::Plain => base,
            Form::Verp => "VERP",
            Form::Utf16 => "UTF-16",
            Form::Token => "base64",
        };
        self.list.push((address, place, form));
    }

    /// Notes what was found in a place that is only named when something was.
    pub(super) fn add_in(&mut self, address: u32, place: &str, form: Form, base: &'static str) {
        let place = self.place(place);
        self.add(address, place, form, base);
    }

    /// The hits, with those in `fallback` left out where the address was found elsewhere too.
    pub(super) fn into_hits(self, needles: &Needles, fallback: Option<usize>) -> Vec<Hit> {
        let elsewhere: HashSet<u32> =
            self.list.iter().filter(|hit| Some(hit.1) != fallback).map(|hit| hit.0).collect();
        let mut hits: Vec<Hit> = Vec::with_capacity(self.list.len());
        for (address, place, form) in self.list {
            if Some(place) == fallback && elsewhere.contains(&address) {
                continue;
            }
            let known = usize::try_from(address).ok().and_then(|index| needles.addresses().get(index));
            if let (Some(address), Some(place)) = (known, self.places.get(place)) {
                hits.push(Hit { address: address.clone(), place: place.clone(), form: form.to_owned() });
            }
        }
        hits
    }
}
