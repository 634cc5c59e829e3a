//! PDF (ISO 32000-1): text of pages, links, annotations, forms, metadata, attached files. We have our own
//! reader because it needs little of the format and must be bounded. Objects are found by their `obj` keyword
//! instead of the cross-reference table, so that a damaged table hides nothing.
//!
//! * [`lex`] tokens and objects; [`filter`] decodes streams
//! * [`fonts`] reads fonts: [`cmap`] maps character codes to text, [`widths`] says how far they reach
//! * [`content`] extracts the text that a page draws; [`pen`] and [`placed`] say what stands close together
//! * [`roles`] says which streams are files, and reads what is neither drawn nor a file

mod cmap;
mod content;
mod filter;
mod fonts;
#[cfg(test)]
mod fonts_tests;
mod lex;
mod pen;
mod placed;
mod roles;
#[cfg(test)]
mod streams_tests;
#[cfg(test)]
mod tests;
mod widths;

use super::leaf::Info;
use super::packed::{Stop, charge, damaged};
use super::spool::{SpoolReader, length, read_at};
use super::{Context, SPENT};
use cmap::Font;
use content::Page;
use filter::{Step, Unpacked};
use lex::{Dict, Lexer, Object};
use memchr::memmem;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

/// Longest file that is read.
const LONGEST: u64 = 32 * 1_024 * 1_024;
/// Maximum number of octets of one decoded stream, and of the contents of one page. Attached files may be longer:
/// they are passed on while they are decoded.
const STREAM: usize = 16 * 1_024 * 1_024;
/// Maximum number of blanks looked over between a stream and the word that ends it.
const BLANKS: usize = 1_024;
/// Maximum number of objects.
const OBJECTS: usize = 100_000;
/// Units of work per token.
const TOKEN: u64 = 150;
/// Maximum number of dictionaries followed upwards from a page to inherit its fonts.
const PARENTS: usize = 16;

/// Opens a file; names it if it cannot be read.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    match read(info, file, cx) {
        Ok(()) => {}
        Err(Stop::Broken(error)) => cx.opaque(&info.path, info.label(), &format!("a PDF: {error}")),
        Err(Stop::TooMuch(why)) => cx.too_much(info, why),
    }
}

fn read(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) -> Result<(), Stop> {
    let end = length(file)?;
    if end > LONGEST {
        return Err(damaged("too long to be read").into());
    }
    let bytes = read_at(file, 0, usize::try_from(end).unwrap_or(0))?;
    let mut document = Document::default();
    document.index(&bytes, cx)?;
    if document.encrypted {
        return Err(damaged("it is encrypted").into());
    }
    document.find_ends(&bytes);
    document.object_streams(&bytes, cx)?;
    // The length of a stream may stand in an object stream.
    document.find_ends(&bytes);
    if document.objects.is_empty() {
        return Err(damaged("nothing in it can be read").into());
    }
    let mut out = Page::new(info, cx);
    document.strings(&mut out, cx);
    document.pages(&bytes, &mut out, cx)?;
    document.other_streams(info, &bytes, &mut out, cx)?;
    let unread = out.is_unread();
    out.finish(cx);
    if document.lost.get() {
        return Err(damaged("a stream in it cannot be unpacked").into());
    }
    if unread {
        return Err(damaged("letters in it stand for nothing that can be told").into());
    }
    Ok(())
}

/// The octets of a stream in the file.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

/// The objects of a file.
#[derive(Default)]
struct Document {
    /// Every version of every object, in file order.
    objects: Vec<(u32, Object, Option<Span>)>,
    /// The index of the newest version of each.
    newest: HashMap<u32, usize>,
    encrypted: bool,
    /// Something was packed in a way that is not known, or damaged.
    lost: Cell<bool>,
    fonts: HashMap<u32, Rc<Font>>,
}

impl Document {
    fn add(&mut self, number: u32, object: Object, span: Option<Span>) -> Result<(), Stop> {
        if self.objects.len() >= OBJECTS {
            return Err(Stop::TooMuch("a PDF with too many objects"));
        }
        self.newest.insert(number, self.objects.len());
        self.objects.push((number, object, span));
        Ok(())
    }

    /// Finds all objects by their keyword (`7 0 obj`), and the trailers.
    fn index(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), Stop> {
        let mut from = 0;
        while let Some(found) = memmem::find(&bytes[from..], b"obj").map(|at| from + at) {
            from = found + 3;
            let Some(number) = number_before(&bytes[..found]) else { continue };
            let mut lexer = Lexer::new(bytes, from);
            let object = lexer.object();
            pay(&mut lexer, cx)?;
            let span = lexer.stream().map(|start| Span { start, end: stream_end(bytes, start, &object) });
            if let Object::Dict(dict) = &object {
                self.encrypted |= dict.name("Type") == Some("XRef") && dict.get("Encrypt").is_some();
            }
            from = span.map_or(lexer.at(), |span| span.end).max(from);
            self.add(number, object, span)?;
        }
        for at in memmem::find_iter(bytes, b"trailer") {
            let mut lexer = Lexer::new(bytes, at + 7);
            if let Object::Dict(dict) = lexer.object() {
                self.encrypted |= dict.get("Encrypt").is_some();
                self.add(u32::MAX, Object::Dict(dict), None)?;
            }
            pay(&mut lexer, cx)?;
        }
        Ok(())
    }

    /// Ends streams by their length where it stands in an object of its own.
    fn find_ends(&mut self, bytes: &[u8]) {
        for at in 0..self.objects.len() {
            let (_, Object::Dict(dict), Some(span)) = &self.objects[at] else { continue };
            let Some(reference @ Object::Reference(_)) = dict.get("Length") else { continue };
            let Some((Object::Number(length), _)) = self.at(reference) else { continue };
            let start = span.start;
            if let Some(end) = end_by_length(bytes, start, lex::whole(*length)) {
                self.objects[at].2 = Some(Span { start, end });
            }
        }
    }

    /// Objects stored in object streams (7.5.7).
    fn object_streams(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Result<(), Stop> {
        for at in 0..self.objects.len() {
            let (_, Object::Dict(dict), Some(span)) = &self.objects[at] else { continue };
            if dict.name("Type") != Some("ObjStm") {
                continue;
            }
            let Some(data) = self.unpack(dict, *span, bytes, cx)? else { continue };
            let first = dict.number("First").unwrap_or(0);
            let count = dict.number("N").unwrap_or(0).min(OBJECTS);
            let mut heads = Lexer::new(&data, 0);
            for _ in 0..count {
                let (Object::Number(number), Object::Number(offset)) = (heads.object(), heads.object())
                else {
                    break;
                };
                let start = first.saturating_add(lex::whole(offset));
                let mut lexer = Lexer::new(&data, start);
                let object = lexer.object();
                pay(&mut lexer, cx)?;
                self.add(u32::try_from(lex::whole(number)).unwrap_or(u32::MAX), object, None)?;
            }
            pay(&mut heads, cx)?;
        }
        Ok(())
    }

    /// The object itself, or the one that a reference points to.
    fn at<'a>(&'a self, object: &'a Object) -> Option<(&'a Object, Option<Span>)> {
        match object {
            Object::Reference(number) => {
                let (_, object, span) = self.objects.get(*self.newest.get(number)?)?;
                Some((object, *span))
            }
            _ => Some((object, None)),
        }
    }

    fn dict<'a>(&'a self, object: &'a Object) -> Option<&'a Dict> {
        match self.at(object)?.0 {
            Object::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// Every string in every object: metadata, links, annotations, form values.
    fn strings(&self, out: &mut Page, cx: &mut Context<'_>) {
        for (_, object, _) in &self.objects {
            object.each_string(&mut |text| out.property(text, cx));
        }
    }

    fn stream<'b>(
        &self,
        bytes: &'b [u8],
        object: &Object,
        cx: &mut Context<'_>,
    ) -> Result<Option<Cow<'b, [u8]>>, Stop> {
        match self.at(object) {
            Some((Object::Dict(dict), Some(span))) => self.unpack(dict, span, bytes, cx),
            _ => Ok(None),
        }
    }

    /// The octets of a stream, as far as they can be decoded; `None` for a picture. Notes what is lost.
    fn unpack<'b>(
        &self,
        dict: &Dict,
        span: Span,
        bytes: &'b [u8],
        cx: &mut Context<'_>,
    ) -> Result<Option<Cow<'b, [u8]>>, Stop> {
        let packed = &bytes[span.start..span.end];
        let found = match self.steps(dict) {
            Some(steps) => filter::unpack(&steps, packed, STREAM, cx)?,
            None => Unpacked::Unknown,
        };
        self.lost.set(self.lost.get() || matches!(found, Unpacked::Part(_) | Unpacked::Unknown));
        match found {
            Unpacked::Whole(data) | Unpacked::Part(data) => Ok(Some(data)),
            Unpacked::Picture | Unpacked::Unknown => Ok(None),
        }
    }

    /// The filters of a stream; `None` if they cannot be told.
    fn steps<'a>(&'a self, dict: &'a Dict) -> Option<Vec<Step<'a>>> {
        let entry = |key| dict.get(key).and_then(|object| self.at(object)).map(|(object, _)| object);
        let filters: Vec<&Object> = match self.at(dict.get("Filter").unwrap_or(&Object::Null))?.0 {
            Object::Null => Vec::new(),
            // Many streams may name the same list; a longer one is not decoded.
            Object::Array(list) => list.iter().take(filter::FILTERS + 1).collect(),
            one => vec![one],
        };
        let parameters = entry("DecodeParms").or_else(|| entry("DP"));
        let name = |(index, filter): (usize, &'a Object)| match self.at(filter)?.0 {
            Object::Name(name) => {
                let own = match parameters {
                    Some(Object::Array(list)) => list.get(index),
                    other => other,
                };
                Some((name.as_str(), own.and_then(|own| self.dict(own))))
            }
            _ => None,
        };
        filters.into_iter().enumerate().map(name).collect()
    }

    /// The joined streams of each page, drawn with its own or inherited fonts.
    fn pages(&mut self, bytes: &[u8], out: &mut Page, cx: &mut Context<'_>) -> Result<(), Stop> {
        for at in 0..self.objects.len() {
            let (_, Object::Dict(page), _) = &self.objects[at] else { continue };
            if page.name("Type") != Some("Page") {
                continue;
            }
            let contents: Vec<Object> = match page.get("Contents").and_then(|contents| self.at(contents)) {
                Some((Object::Array(list), _)) => list.clone(),
                Some(_) => page.get("Contents").cloned().into_iter().collect(),
                None => continue,
            };
            let fonts = self.font_list(self.inherited(page));
            let mut data = Vec::new();
            for part in &contents {
                charge(TOKEN, cx)?;
                if let Some(more) = self.stream(bytes, part, cx)? {
                    data.extend_from_slice(&more);
                    data.push(b'\n');
                }
                if data.len() > STREAM {
                    return Err(Stop::TooMuch(SPENT));
                }
                if let Some((_, Some(span))) = self.at(part) {
                    out.drawn.insert(span.start);
                }
            }
            let fonts = self.named_fonts(bytes, &fonts, cx)?;
            out.draw(&data, &fonts, cx)?;
        }
        Ok(())
    }

    /// The resources of a page, or those that it inherits.
    fn inherited<'a>(&'a self, page: &'a Dict) -> Option<&'a Dict> {
        let mut here = page;
        for _ in 0..PARENTS {
            if let Some(resources) = here.get("Resources").and_then(|resources| self.dict(resources)) {
                return Some(resources);
            }
            match here.get("Parent").and_then(|parent| self.dict(parent)) {
                Some(parent) => here = parent,
                None => break,
            }
        }
        None
    }
}

fn pay(lexer: &mut Lexer<'_>, cx: &mut Context<'_>) -> Result<(), Stop> {
    charge(TOKEN * lexer.tokens(), cx)
}

/// The object number before the keyword: `7 0 `.
fn number_before(before: &[u8]) -> Option<u32> {
    let digits_end =
        |text: &[u8]| text.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let tail = &before[before.len().saturating_sub(24)..];
    let text = tail.trim_ascii_end();
    let generation = digits_end(text);
    let rest = text[..generation].trim_ascii_end();
    let start = digits_end(rest);
    if generation == text.len() || rest.len() == generation {
        return None;
    }
    std::str::from_utf8(&rest[start..]).ok()?.parse().ok()
}

/// The end of a stream: by its length if that is correct, else by the `endstream` keyword.
fn stream_end(bytes: &[u8], start: usize, object: &Object) -> usize {
    if let Object::Dict(dict) = object
        && let Some(length) = dict.number("Length")
        && let Some(end) = end_by_length(bytes, start, length)
    {
        return end;
    }
    memmem::find(&bytes[start..], b"endstream").map_or(bytes.len(), |at| start + at)
}

/// The end of a stream of this length, if the word that ends it follows.
fn end_by_length(bytes: &[u8], start: usize, length: usize) -> Option<usize> {
    let end = start.checked_add(length)?;
    let rest = bytes.get(end..)?;
    let ends = rest[..rest.len().min(BLANKS)].trim_ascii_start().starts_with(b"endst");
    ends.then_some(end)
}
