//! Every place of a body that the inspection opens, searched in every view its kind asks for.

use super::hits::Hits;
use super::stream::{Form, Look, Stream};
use super::views::{Fold, StripTags, Unescape};
use super::{Hit, Needles, header};
use crate::message::open::{Kind, Listener};
use std::sync::Arc;

/// Where bytes stand that belong to no part.
const STRAY: &str = "between the parts";
/// Where the whole body is searched undecoded; named only when nothing says it better.
const RAW: &str = "body";

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
    /// What the bytes are, without look-alikes and invisible characters for text.
    plain: View,
    /// The same with escapes undone.
    escaped: Option<View>,
    /// The same without tags.
    untagged: Option<View>,
}

/// One view: the machines in the order they run, and the search behind them.
struct View {
    form: &'static str,
    tags: Option<StripTags>,
    fold: Option<Fold>,
    unescape: Option<(Unescape, Unescape, Fold)>,
    stream: Stream,
    /// Reused between chunks.
    scratch: [Vec<u8>; 2],
}

impl View {
    fn new(form: &'static str, look: Look) -> Self {
        Self {
            form,
            tags: None,
            fold: None,
            unescape: None,
            stream: Stream::new(look),
            scratch: [Vec::new(), Vec::new()],
        }
    }

    fn text(form: &'static str) -> Self {
        Self { fold: Some(Fold::default()), ..Self::new(form, Look { verp: true, tokens: true }) }
    }

    fn escaped(form: &'static str, tags: Option<StripTags>) -> Self {
        Self {
            tags,
            fold: Some(Fold::default()),
            unescape: Some((Unescape::default(), Unescape::default(), Fold::default())),
            ..Self::new(form, Look { verp: true, tokens: false })
        }
    }

    fn feed(&mut self, needles: &Needles, bytes: &[u8], found: &mut impl FnMut(u32, Form)) {
        let [from, to] = &mut self.scratch;
        let mut stage = |run: &mut dyn FnMut(&[u8], &mut Vec<u8>), first: bool| {
            to.clear();
            run(if first { bytes } else { from }, to);
            std::mem::swap(from, to);
        };
        let mut first = true;
        if let Some(tags) = &mut self.tags {
            stage(&mut |bytes, out| tags.feed(bytes, out), first);
            first = false;
        }
        if let Some(fold) = &mut self.fold {
            stage(&mut |bytes, out| fold.feed(bytes, out), first);
            first = false;
        }
        if let Some((once, twice, fold)) = &mut self.unescape {
            stage(&mut |bytes, out| once.feed(bytes, out), first);
            stage(&mut |bytes, out| twice.feed(bytes, out), false);
            stage(&mut |bytes, out| fold.feed(bytes, out), false);
            first = false;
        }
        let bytes = if first { bytes } else { &self.scratch[0] };
        self.stream.feed(needles, bytes, found);
    }

    fn finish(&mut self, needles: &Needles, found: &mut impl FnMut(u32, Form)) {
        let mut rest = Vec::new();
        if let Some(fold) = &mut self.fold {
            fold.finish(&mut rest);
        }
        if let Some((once, twice, fold)) = &mut self.unescape {
            let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
            once.feed(&rest, &mut first);
            once.finish(&mut first);
            twice.feed(&first, &mut second);
            twice.finish(&mut second);
            fold.feed(&second, &mut third);
            fold.finish(&mut third);
            rest = third;
        }
        self.stream.feed(needles, &rest, found);
        self.stream.finish(needles, found);
    }
}

impl Place {
    fn new(place: &str, form: &'static str, kind: Kind) -> Self {
        let text = kind != Kind::Bytes;
        Self {
            name: Arc::from(place),
            plain: if text { View::text(form) } else { View::new(form, Look::default()) },
            escaped: text.then(|| View::escaped("escaped", None)),
            untagged: (kind == Kind::Html).then(|| View::escaped("between tags", Some(StripTags::default()))),
        }
    }

    fn views(&mut self) -> impl Iterator<Item = &mut View> {
        std::iter::once(&mut self.plain).chain(&mut self.escaped).chain(&mut self.untagged)
    }

    fn feed(&mut self, needles: &Needles, hits: &mut Hits, bytes: &[u8]) {
        let place = Arc::clone(&self.name);
        for view in self.views() {
            let base = view.form;
            view.feed(needles, bytes, &mut |index, form| hits.add(index, &place, form, base));
        }
    }

    fn finish(&mut self, needles: &Needles, hits: &mut Hits) {
        let place = Arc::clone(&self.name);
        for view in self.views() {
            let base = view.form;
            view.finish(needles, &mut |index, form| hits.add(index, &place, form, base));
        }
    }
}

impl Places {
    pub(super) fn new(needles: Arc<Needles>) -> Self {
        let raw = Place::new(RAW, "as text", Kind::Bytes);
        let stray = Place::new(STRAY, "as text", Kind::Text);
        Self { needles, hits: Hits::default(), open: Vec::new(), raw, stray }
    }

    /// The body's bytes as they came, whatever they claim to be.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.raw.feed(&self.needles, &mut self.hits, bytes);
    }

    /// Ends the search.
    pub(super) fn finish(mut self) -> Vec<Hit> {
        for stream in 0..self.open.len() {
            self.close(stream);
        }
        self.stray.finish(&self.needles, &mut self.hits);
        self.raw.finish(&self.needles, &mut self.hits);
        self.hits.into_hits(&self.needles, Some(RAW))
    }
}

impl Listener for Places {
    fn open(&mut self, place: &str, form: &'static str, kind: Kind) -> usize {
        if self.needles.addresses().is_empty() {
            return usize::MAX;
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
