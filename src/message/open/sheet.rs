//! The first rows of a workbook (OOXML, ECMA-376 part 1 §18), for a preview at the desk. This is not the
//! search of a mail: [`super`] and its modules read everything for that.
//!
//! Only the first sheet is read, and limited parts of it and of the strings that it refers to.

use super::spool::Spool;
use super::zip;

/// Largest workbook that is opened, in octets.
const LARGEST: usize = 16 * 1_024 * 1_024;
/// Maximum number of octets that are unpacked from a member.
const UNPACKED: u64 = 2 * 1_024 * 1_024;
/// Maximum number of columns.
const COLUMNS: usize = 30;
/// Maximum number of shared strings.
const TEXTS: usize = 20_000;
/// Longest cell, in characters.
const LONGEST: usize = 200;

/// The first non-empty rows of the first sheet, each as the texts of its cells. `None` if it is not a
/// workbook or cannot be read.
pub fn first_rows(octets: &[u8], most: usize) -> Option<Vec<Vec<String>>> {
    if octets.len() > LARGEST || !octets.starts_with(b"PK") {
        return None;
    }
    let mut spool = Spool::new();
    spool.write(octets);
    let mut file = spool.into_reader().ok()?;
    let names = zip::names(&mut file).ok()?;
    let sheets =
        names.iter().filter(|name| name.starts_with("xl/worksheets/") && name.strip_suffix(".xml").is_some());
    let sheet = sheets.min_by_key(|name| (name.len(), name.as_str()))?.clone();
    let mut read = |name: &str| zip::beginning(&mut file, name, UNPACKED).ok().flatten();
    let sheet = read(&sheet)?;
    let texts = read("xl/sharedStrings.xml").map(|xml| texts(&String::from_utf8_lossy(&xml)));
    Some(rows(&String::from_utf8_lossy(&sheet), &texts.unwrap_or_default(), most))
}

/// The pieces of an XML document.
enum Piece<'a> {
    /// The name of an element without its prefix, its attributes, and whether it is an empty element.
    Open(&'a str, &'a str, bool),
    Close(&'a str),
    Text(&'a str),
}

fn pieces(xml: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let Some(inside) = rest.strip_prefix('<') else {
                let end = rest.find('<').unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                rest = after;
                return Some(Piece::Text(text));
            };
            let end = inside.find('>')?;
            let tag = &inside[..end];
            rest = &inside[end + 1..];
            if tag.starts_with(['?', '!']) {
                continue;
            }
            let local = |name: &'_ str| name.find(':').map_or(0, |colon| colon + 1);
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Piece::Close(name[local(name)..].trim_end()));
            }
            let empty = tag.ends_with('/');
            let tag = tag.strip_suffix('/').unwrap_or(tag);
            let (name, attributes) = tag.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((tag, ""));
            return Some(Piece::Open(&name[local(name)..], attributes, empty));
        }
    })
}

/// The value of an attribute.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes;
    loop {
        let (found, after) = rest.split_once('=')?;
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, behind) = after[1..].split_once(quote)?;
        if found.trim() == name {
            return Some(value);
        }
        rest = behind;
    }
}

/// Appends a text with its character references resolved.
fn add(out: &mut String, text: &str) {
    let mut rest = text;
    while out.len() < LONGEST * 4 {
        let Some((plain, after)) = rest.split_once('&') else {
            out.push_str(rest);
            break;
        };
        out.push_str(plain);
        let Some((name, behind)) = after.split_once(';') else { break };
        let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        });
        out.extend(match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number.and_then(char::from_u32),
        });
        rest = behind;
    }
}

/// The shared strings, to which cells refer by number (§18.4.9), without phonetic hints (§18.4.6).
fn texts(xml: &str) -> Vec<String> {
    let mut all = Vec::new();
    let (mut current, mut inside, mut aloud) = (String::new(), false, false);
    for piece in pieces(xml) {
        match piece {
            Piece::Open("si", _, empty) => {
                current.clear();
                if empty {
                    all.push(String::new());
                }
            }
            Piece::Close("si") => all.push(std::mem::take(&mut current)),
            Piece::Open("rPh", _, empty) => aloud = !empty,
            Piece::Close("rPh") => aloud = false,
            Piece::Open("t", _, empty) => inside = !empty && !aloud,
            Piece::Close("t") => inside = false,
            Piece::Text(text) if inside => add(&mut current, text),
            _ => {}
        }
        if all.len() >= TEXTS {
            break;
        }
    }
    all
}

/// The non-empty rows of a sheet (§18.3.1.73).
fn rows(xml: &str, texts: &[String], most: usize) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let (mut column, mut shared, mut inside) = (0, false, false);
    let mut cell = String::new();
    for piece in pieces(xml) {
        match piece {
            Piece::Open("row", ..) => (row, column) = (Vec::new(), 0),
            Piece::Open("c", attributes, empty) => {
                column = attribute(attributes, "r").and_then(column_of).unwrap_or(column);
                shared = attribute(attributes, "t") == Some("s");
                cell.clear();
                column += usize::from(empty);
            }
            Piece::Open("v" | "t", _, empty) => inside = !empty,
            Piece::Close("v" | "t") => inside = false,
            Piece::Text(text) if inside => add(&mut cell, text),
            Piece::Close("c") => {
                let number = cell.trim().parse::<usize>().ok().filter(|_| shared);
                let text =
                    if shared { number.and_then(|n| texts.get(n)).map_or("…", |text| text) } else { &cell };
                if column < COLUMNS && !text.trim().is_empty() {
                    row.resize(row.len().max(column + 1), String::new());
                    row[column] = text.chars().take(LONGEST).collect();
                }
                column += 1;
            }
            Piece::Close("row") if !row.is_empty() => {
                all.push(std::mem::take(&mut row));
                if all.len() >= most {
                    break;
                }
            }
            _ => {}
        }
    }
    all
}

/// The number of a column in a reference such as `AB12`, from 0.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_uppercase).take(3);
    let number = letters.fold(0, |number, letter| number * 26 + usize::from(letter - b'A') + 1);
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn workbook(members: &[(&str, &str)]) -> Vec<u8> {
        let mut made = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in members {
            made.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
            made.write_all(text.as_bytes()).unwrap();
        }
        made.finish().unwrap().into_inner()
    }

    const SHEET: &str = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"C1\" \
        t=\"inlineStr\"><is><t>mail &amp; 電話</t></is></c></row><row r=\"2\"/><row r=\"3\"><c r=\"A3\"><v>42</v></c>\
        <c r=\"B3\" t=\"s\"><v>1</v></c><c r=\"C3\" t=\"s\"><v>99</v></c></row></sheetData></worksheet>";
    const TEXTS: &str = "<sst><si><t>氏名</t><rPh sb=\"0\" eb=\"2\"><t>シメイ</t></rPh></si>\
        <si><r><t>a@</t></r><r><t>x.jp</t></r></si></sst>";

    #[test]
    fn rows_of_the_first_sheet() {
        let file = workbook(&[
            ("xl/worksheets/sheet2.xml", "<row><c><v>no</v></c></row>"),
            ("xl/worksheets/sheet1.xml", SHEET),
            ("xl/sharedStrings.xml", TEXTS),
        ]);
        let rows = first_rows(&file, 20).unwrap();
        assert_eq!(rows, [vec!["氏名", "", "mail & 電話"], vec!["42", "a@x.jp", "…"]]);
        assert_eq!(first_rows(&file, 1).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_workbook_has_no_rows() {
        let whole = workbook(&[("xl/worksheets/sheet1.xml", SHEET), ("xl/sharedStrings.xml", TEXTS)]);
        for length in 0..whole.len() {
            let _ = first_rows(&whole[..length], 20);
        }
        assert_eq!(first_rows(b"", 20), None);
        assert_eq!(first_rows(&workbook(&[("word/document.xml", "<x/>")]), 20), None);
        let long = format!("<row>{}</row>", "<c><v>x</v></c>".repeat(100_000));
        let rows = first_rows(&workbook(&[("xl/worksheets/sheet1.xml", &long)]), 20).unwrap();
        assert_eq!(rows[0].len(), COLUMNS);
    }
}
