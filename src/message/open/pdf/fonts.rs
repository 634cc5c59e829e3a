//! The fonts of a page.

use super::super::Context;
use super::super::packed::{Stop, charge};
use super::cmap::Font;
use super::lex::{Dict, Object};
use super::widths::Widths;
use super::{Document, SPENT, TOKEN};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Units of work per width in a list, which is also kept.
const WIDTH: u64 = TOKEN;
/// The usual unit of widths, in parts of the size of a font.
const THOUSANDTH: f64 = 0.001;

impl Document {
    /// The fonts among these resources, as they are named there.
    pub(super) fn font_list(&self, resources: Option<&Dict>) -> Dict {
        let list = resources.and_then(|resources| resources.get("Font"));
        list.and_then(|list| self.dict(list)).cloned().unwrap_or_default()
    }

    /// The fonts of a list, by the names that a page uses for them.
    pub(super) fn named_fonts(
        &mut self,
        bytes: &[u8],
        list: &Dict,
        cx: &mut Context<'_>,
    ) -> Result<BTreeMap<String, Rc<Font>>, Stop> {
        let mut named = BTreeMap::new();
        for (name, object) in list.pairs() {
            if !cx.budget.charge(4 * TOKEN) {
                return Err(Stop::TooMuch(SPENT));
            }
            let number = match object {
                Object::Reference(number) => Some(*number),
                _ => None,
            };
            let known = number.and_then(|number| self.fonts.get(&number).cloned());
            let font = match known {
                Some(font) => font,
                None => Rc::new(self.font(bytes, object, cx)?),
            };
            if let Some(number) = number {
                self.fonts.insert(number, Rc::clone(&font));
            }
            named.insert(name.to_owned(), font);
        }
        Ok(named)
    }

    fn font(&self, bytes: &[u8], object: &Object, cx: &mut Context<'_>) -> Result<Font, Stop> {
        let Some(dict) = self.dict(object) else { return Ok(Font::default()) };
        let map = match dict.get("ToUnicode") {
            Some(map) => self.stream(bytes, map, cx)?,
            None => None,
        };
        let encoding = self.entry(dict, "Encoding");
        let composite = dict.name("Subtype") == Some("Type0");
        let widths = if composite { self.composite(dict, cx)? } else { self.simple(dict) };
        let mut font = Font::new(composite, encoding, widths);
        if let Some(Object::Dict(encoding)) = encoding
            && let Some(Object::Array(list)) = self.entry(encoding, "Differences")
        {
            // Many fonts may name the same list.
            charge(TOKEN * list.len() as u64, cx)?;
            font.differences(list);
        }
        match map {
            Some(map) => font.read_map(&map, cx)?,
            // Other kinds of fonts have an encoding of their own, with codes for ligatures and the like.
            None if dict.name("Subtype") == Some("TrueType") && encoding.is_none() => font.nameless(),
            None => {}
        }
        Ok(font)
    }

    /// What stands in an entry, there or elsewhere.
    fn entry<'a>(&'a self, dict: &'a Dict, key: &str) -> Option<&'a Object> {
        dict.get(key).and_then(|object| self.at(object)).map(|(object, _)| object)
    }

    fn simple(&self, dict: &Dict) -> Widths {
        let unit = match self.entry(dict, "FontMatrix") {
            Some(Object::Array(list)) => match list.first() {
                Some(Object::Number(unit)) => unit.abs(),
                _ => THOUSANDTH,
            },
            _ => THOUSANDTH,
        };
        let name = dict.name("BaseFont").unwrap_or_default();
        let first = dict.number("FirstChar").unwrap_or(0);
        Widths::simple(name, first, self.entry(dict, "Widths"), unit)
    }

    fn composite(&self, dict: &Dict, cx: &mut Context<'_>) -> Result<Widths, Stop> {
        let descendant = match self.entry(dict, "DescendantFonts") {
            Some(Object::Array(list)) => list.first().and_then(|object| self.dict(object)),
            _ => None,
        };
        let Some(descendant) = descendant else { return Ok(Widths::default()) };
        let list = self.entry(descendant, "W");
        // Many fonts may name the same list.
        if !cx.budget.charge(WIDTH * list.map_or(0, Object::size)) {
            return Err(Stop::TooMuch(SPENT));
        }
        let otherwise = match self.entry(descendant, "DW") {
            Some(Object::Number(width)) => *width,
            _ => 1_000.0,
        };
        Ok(Widths::composite(list, otherwise))
    }
}
