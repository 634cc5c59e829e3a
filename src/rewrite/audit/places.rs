//! Searches every place of a body that the inspection opens, in each view that the kind of the place
//! requires.

use super::hits::Hits;
use super::lazy::{Found, Machine};
use super::markup::Markup;
use super::reading::Plan;
use super::sleep::Reading;
use super::stream::{Look, Of, Stream};
use super::{Hit, Needles, header};
use crate::message::open::{Kind, TextSink, UNHEARD};
use std::sync::Arc;

/// The name of the place for bytes that belong to no part.
const STRAY: &str = "between the parts";
/// The name of the place in which the whole body is searched without decoding. A hit in it is reported only
/// if the address was not found in any other place.
const RAW: &str = "body";
/// The number of octets of a text that are passed to all views at a time.
const BLOCK: usize = 4 * 1_024;
/// How many levels of texts nested in a page are read, such as a page in a `data:` URI.
const DEPTH: u8 = 2;

/// The search of all places of one body.
pub(crate) struct Places {
    needles: Arc<Needles>,
    hits: Hits,
    open: Vec<Option<Place>>,
    raw: Place,
    stray: Place,
}

struct Place {
    name: Arc<str>,
    views: Views,
    /// Collects octets until they fill a block.
    block: Vec<u8>,
}

/// How a place is searched.
enum Views {
    /// As octets, in a single view.
    Bytes(&'static str, Stream),
    Text(Box<Reading>),
    Html(Box<(Reading, Markup)>),
}

impl Views {
    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut Found<'_>) {
        match self {
            Self::Bytes(form, stream) => {
                stream.feed(needles, bytes, &mut |index, how| found(index, how, form));
            }
            Self::Text(reading) => reading.feed(needles, bytes, found),
            Self::Html(both) => {
                both.0.feed(needles, bytes, found);
                both.1.feed(needles, bytes, found);
            }
        }
    }

    fn finish(&mut self, needles: &Needles, found: &mut Found<'_>) {
        match self {
            Self::Bytes(form, stream) => stream.finish(needles, &mut |index, how| found(index, how, form)),
            Self::Text(reading) => reading.finish(needles, found),
            Self::Html(both) => {
                both.0.finish(needles, found);
                both.1.finish(needles, found);
            }
        }
    }
}

impl Place {
    fn new(place: &str, form: &'static str, kind: Kind) -> Self {
        let views = match kind {
            Kind::Bytes => Views::Bytes(form, Stream::new(Look::default())),
            Kind::Text => Views::Text(Box::new(Reading::new(Plan::text(form, false)))),
            Kind::Html => Views::Html(Box::new((Reading::new(Plan::text(form, true)), Markup::new(DEPTH)))),
        };
        Self { name: Arc::from(place), views, block: Vec::new() }
    }

    /// Searches the next octets. Some views start and stop at the boundaries of blocks. Blocks have a fixed
    /// size, so that the chunks in which a place arrives do not change what is found.
    fn feed(&mut self, needles: &Needles, hits: &mut Hits, mut bytes: &[u8]) {
        if needles.addresses().is_empty() {
            return;
        }
        let place = Arc::clone(&self.name);
        let mut found = |index, how, form| hits.add(index, &place, how, form);
        if let Views::Bytes(..) = self.views {
            return self.views.feed(needles, bytes, &mut found);
        }
        while !bytes.is_empty() {
            if self.block.is_empty() && bytes.len() >= BLOCK {
                let (block, rest) = bytes.split_at(BLOCK);
                self.views.feed(needles, block, &mut found);
                bytes = rest;
                continue;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(piece);
            bytes = rest;
            if self.block.len() == BLOCK {
                self.views.feed(needles, &self.block, &mut found);
                self.block.clear();
            }
        }
    }

    fn finish(&mut self, needles: &Needles, hits: &mut Hits) {
        let place = Arc::clone(&self.name);
        let mut found = |index, how, form| hits.add(index, &place, how, form);
        self.views.feed(needles, &self.block, &mut found);
        self.views.finish(needles, &mut found);
    }
}

impl Places {
    pub(super) fn new(needles: Arc<Needles>) -> Self {
        let stream = Stream::new(Look { of: Of::Raw, ..Look::default() });
        let raw = Place { name: Arc::from(RAW), views: Views::Bytes("as text", stream), block: Vec::new() };
        let stray = Place::new(STRAY, "as text", Kind::Text);
        Self { needles, hits: Hits::default(), open: Vec::new(), raw, stray }
    }

    /// Searches the next bytes of the body as they were received, whatever type or encoding is declared for
    /// them.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.raw.feed(&self.needles, &mut self.hits, bytes);
    }

    /// Ends the search, and returns what was found.
    pub(super) fn finish(mut self) -> Vec<Hit> {
        for stream in 0..self.open.len() {
            self.close(stream);
        }
        self.stray.finish(&self.needles, &mut self.hits);
        self.raw.finish(&self.needles, &mut self.hits);
        self.hits.into_hits(&self.needles, Some(RAW))
    }
}

impl TextSink for Places {
    fn open(&mut self, place: &str, form: &'static str, kind: Kind) -> usize {
        if self.needles.addresses().is_empty() {
            return UNHEARD;
        }
        let place = Place::new(place, form, kind);
        if let Some(free) = self.open.iter().position(Option::is_none) {
            self.open[free] = Some(place);
            return free;
        }
        self.open.push(Some(place));
        self.open.len() - 1
    }

    fn content(&mut self, stream: usize, bytes: &[u8]) {
        if let Some(Some(place)) = self.open.get_mut(stream) {
            place.feed(&self.needles, &mut self.hits, bytes);
        }
    }

    fn close(&mut self, stream: usize) {
        if let Some(mut place) = self.open.get_mut(stream).and_then(Option::take) {
            place.finish(&self.needles, &mut self.hits);
        }
    }

    fn header(&mut self, place: &str, block: &[u8]) {
        header::search(&self.needles, block, &format!("{place} "), &mut self.hits);
    }

    fn stray(&mut self, bytes: &[u8]) {
        self.stray.feed(&self.needles, &mut self.hits, bytes);
    }
}
