//! Streams other than those of pages: files in the document, forms, scripts, what is drawn elsewhere. Which are
//! files stands in the dictionaries that name them, not always in their own.

use super::super::budget::MEMBER;
use super::super::leaf::Info;
use super::super::packed::{Pump, Stop, charge, cost, damaged};
use super::super::{Context, Kind, SPENT, UNHEARD};
use super::content::{Page, shown};
use super::filter::{Inflate, Unpacked};
use super::lex::{Dict, Object};
use super::{Document, STREAM, Span, TOKEN, filter};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// Octets by which a stream of unknown kind is told to be text.
const HEAD: usize = 1_024;
/// Maximum nesting depth of dictionaries that are searched for the names of streams.
const NESTED: usize = 32;
/// Maximum nesting depth below an entry that names streams.
const BELOW: usize = 3;
/// Characters kept of the name of a file.
const NAME: usize = 120;

/// What a stream is, by the entry that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// A file (7.11.4), with its name if it has one.
    Attached(Option<Rc<str>>),
    /// A part of an XFA form (12.7.8).
    Form,
    /// What is known of the document, or of a picture (14.3.2).
    Properties,
}

impl Role {
    /// The role of what stands in this entry of a dictionary.
    fn of_entry(key: &str, dict: &Dict) -> Option<Self> {
        match key {
            "EF" | "RF" => {
                let name = match dict.get("UF").or(dict.get("F")) {
                    Some(Object::Text(name)) => {
                        Some(shown(name).chars().take(NAME).collect::<String>().into())
                    }
                    _ => None,
                };
                Some(Self::Attached(name))
            }
            "XFA" => Some(Self::Form),
            _ => None,
        }
    }

    /// The role of a stream that its own dictionary tells.
    fn of_stream(dict: &Dict) -> Option<Self> {
        match (dict.name("Type"), dict.name("Subtype")) {
            (Some("EmbeddedFile"), _) => Some(Self::Attached(None)),
            _ if is_drawn(dict) => None,
            (Some("Metadata"), _) | (_, Some("XML")) => Some(Self::Properties),
            _ => None,
        }
    }

    /// The name of the file that it is read as.
    fn name(&self) -> &str {
        match self {
            Self::Attached(name) => {
                name.as_deref().filter(|name| !name.is_empty()).unwrap_or("attached file")
            }
            Self::Form => "form.xml",
            Self::Properties => "properties.xml",
        }
    }
}

/// The roles of streams, by their numbers.
#[derive(Default)]
struct Roles {
    roles: HashMap<u32, Role>,
    /// Lists that were searched, and how deep below the entry that names them: many entries may name the same.
    searched: HashSet<(u32, usize)>,
}

impl Roles {
    fn of(document: &Document, cx: &mut Context<'_>) -> Result<HashMap<u32, Role>, Stop> {
        let mut found = Self::default();
        for (_, object, _) in &document.objects {
            // Once here, and at each depth below an entry.
            charge(TOKEN / 8 * object.size(), cx)?;
            found.search(document, object, 0);
        }
        Ok(found.roles)
    }

    fn search(&mut self, document: &Document, object: &Object, depth: usize) {
        if depth > NESTED {
            return;
        }
        match object {
            Object::Dict(dict) => {
                for (key, value) in dict.pairs() {
                    match Role::of_entry(key, dict) {
                        Some(role) => self.note(document, value, &role, 0),
                        None => self.search(document, value, depth + 1),
                    }
                }
            }
            Object::Array(list) => list.iter().for_each(|object| self.search(document, object, depth + 1)),
            _ => {}
        }
    }

    /// Notes the streams that an entry names, itself or within a list.
    fn note(&mut self, document: &Document, object: &Object, role: &Role, depth: usize) {
        let list = match object {
            Object::Reference(number) => match document.at(object) {
                Some((_, Some(_))) => {
                    self.roles.entry(*number).or_insert_with(|| role.clone());
                    return;
                }
                Some((inner, None)) if self.searched.insert((*number, depth)) => inner,
                _ => return,
            },
            other => other,
        };
        match list {
            _ if depth >= BELOW => {}
            Object::Array(list) => list.iter().for_each(|inner| self.note(document, inner, role, depth + 1)),
            Object::Dict(dict) => {
                dict.pairs().for_each(|(_, inner)| self.note(document, inner, role, depth + 1));
            }
            _ => {}
        }
    }
}

impl Document {
    /// Reads the streams that are not the contents of pages.
    pub(super) fn other_streams(
        &mut self,
        info: &Info,
        bytes: &[u8],
        out: &mut Page,
        cx: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let roles = Roles::of(self, cx)?;
        let mut done = BTreeSet::new();
        for at in 0..self.objects.len() {
            let (number, Object::Dict(dict), Some(span)) = &self.objects[at] else { continue };
            if !done.insert(span.start) {
                continue;
            }
            let role = roles.get(number).cloned().or_else(|| Role::of_stream(dict));
            if let Some(role) = &role {
                self.file(info, role.name(), dict, &bytes[span.start..span.end], cx)?;
            }
            // A file may be drawn as well.
            let draws = is_drawn(dict) || role.is_none() && !is_skipped(dict);
            if draws && !out.drawn.contains(&span.start) {
                let (dict, span) = (dict.clone(), *span);
                self.drawing(info, &dict, span, bytes, out, cx)?;
            }
        }
        Ok(())
    }

    /// Passes on a file in the document while it is decoded; names it if it cannot be.
    fn file(
        &self,
        info: &Info,
        name: &str,
        dict: &Dict,
        packed: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), Stop> {
        charge(MEMBER + 2 * packed.len() as u64, cx)?;
        let mut pump = Pump::new(info.inner(name, "in a PDF"), packed.len() as u64);
        let unknown = || Stop::from(damaged("it is packed in a way that is not opened"));
        let result = match self.steps(dict).as_deref() {
            None => Err(unknown()),
            Some([]) => pump.take(packed, cost::DEFLATE, cx),
            Some([("FlateDecode" | "Fl", None)]) => pump.take(Inflate::new(packed), cost::DEFLATE, cx),
            Some(steps) => match filter::unpack(steps, packed, STREAM, cx) {
                Ok(Unpacked::Whole(data)) => pump.take(&*data, 0, cx),
                Ok(Unpacked::Part(data)) => {
                    pump.take(&*data, 0, cx).and(Err(damaged("a part of it is lost").into()))
                }
                Ok(Unpacked::Picture | Unpacked::Unknown) => Err(unknown()),
                Err(stop) => Err(stop),
            },
        };
        pump.finish(result, cx);
        Ok(())
    }

    /// Reads a stream as a drawing, and as text unless it is known to be a drawing.
    fn drawing(
        &mut self,
        info: &Info,
        dict: &Dict,
        span: Span,
        bytes: &[u8],
        out: &mut Page,
        cx: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let Some(data) = self.unpack(dict, span, bytes, cx)? else { return Ok(()) };
        let fonts = self.font_list(dict.get("Resources").and_then(|found| self.dict(found)));
        let fonts = self.named_fonts(bytes, &fonts, cx)?;
        out.draw(&data, &fonts, cx)?;
        if is_drawn(dict) { Ok(()) } else { unknown(info, &data, out, cx) }
    }
}

/// Whether a stream holds no text: pictures, the structure of the file, programs of fonts, functions, profiles.
fn is_skipped(dict: &Dict) -> bool {
    let named = |key, names: &[&str]| dict.name(key).is_some_and(|name| names.contains(&name));
    named("Type", &["ObjStm", "XRef"])
        || named("Subtype", &["Image", "Type1C", "CIDFontType0C", "OpenType"])
        || ["Length1", "FunctionType", "ShadingType", "Alternate"].iter().any(|key| dict.get(key).is_some())
}

/// Whether a stream is known to be a drawing: a form, a pattern.
fn is_drawn(dict: &Dict) -> bool {
    dict.name("Subtype") == Some("Form") || dict.get("PatternType").is_some()
}

/// Searches a stream of unknown kind, such as a script, or the long text of a field. It is not named: the usual
/// ones are maps of characters, drawings of glyphs and the notes of the program that wrote the file.
fn unknown(info: &Info, data: &[u8], out: &mut Page, cx: &mut Context<'_>) -> Result<(), Stop> {
    let head = &data[..data.len().min(HEAD)];
    if head.iter().all(|&byte| byte >= 0x20 || byte.is_ascii_whitespace()) {
        out.beside(&String::from_utf8_lossy(data), cx);
        out.beside("\n", cx);
        return Ok(());
    }
    charge(MEMBER / 4, cx)?;
    if !cx.budget.charge_content(Kind::Bytes, data) {
        return Err(Stop::TooMuch(SPENT));
    }
    let stream = cx.sink.open(&info.place, "PDF", Kind::Bytes);
    if stream != UNHEARD {
        cx.sink.content(stream, data);
    }
    cx.sink.close(stream);
    Ok(())
}
