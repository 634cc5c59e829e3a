//! TNEF (MS-OXTNEF), the winmail.dat of Outlook: recipient tables, display lists, attachments, embedded
//! messages. Read from the spool in pieces; only short values are kept in memory.

use super::budget::STEP;
use super::leaf::{Info, Leaf};
use super::packed::{is_spent, spent};
use super::spool::{SpoolReader, copy, length, read_at};
use super::written::WrittenScan;
use super::{Context, FACTS, SPENT, lzfu, rtf};
use crate::message::Address;
use crate::message::inspect::Tnef;
use std::collections::BTreeSet;
use std::io;

const SIGNATURE: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];
const RECIPIENT_TABLE: u32 = 0x0006_9004;
const MESSAGE_PROPERTIES: u32 = 0x0006_9003;
const ATTACHMENT_PROPERTIES: u32 = 0x0006_9005;
const ATTACHMENT_TITLE: u32 = 0x0001_8010;
/// attBody: the text of messages without properties.
const BODY: u32 = 0x0002_800c;
const ATTACHMENT_DATA: u32 = 0x0006_800f;

const DISPLAY_BCC: u16 = 0x0e02;
const DISPLAY_TO: u16 = 0x0e04;
const TRANSPORT_HEADERS: u16 = 0x007d;
const RTF_COMPRESSED: u16 = 0x1009;
const HTML: u16 = 0x1013;
const ATTACH_DATA: u16 = 0x3701;

/// Longest value that is read whole.
const VALUE: u64 = 64 * 1_024;
/// Longest compressed body that is read whole, in octets; it may unpack to four times that.
const RTF: u64 = 4 * 1_024 * 1_024;
/// Maximum number of attributes and properties read of one file.
const STEPS: usize = 200_000;
/// Maximum nesting depth of embedded messages.
const DEPTH: usize = 8;

/// Opens a winmail.dat; returns what it contains.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) -> Tnef {
    let mut reader = Reader {
        file,
        at: 0,
        end: 0,
        steps: 0,
        depth: 0,
        addresses: BTreeSet::new(),
        display: BTreeSet::new(),
    };
    let result = length(reader.file).and_then(|end| {
        reader.end = end;
        reader.stream(info, cx)
    });
    match result {
        Err(error) => {
            cx.opaque(&info.path, info.label(), "a winmail.dat that cannot be read");
            if is_spent(&error) {
                cx.note_over_budget(&info.place, &error.to_string());
            }
            Tnef::Unreadable { why: error.to_string() }
        }
        Ok(()) if reader.addresses.is_empty() && reader.display.is_empty() => Tnef::Clean,
        Ok(()) => Tnef::Recipients {
            addresses: reader.addresses.into_iter().collect(),
            display: reader.display.into_iter().collect(),
        },
    }
}

struct Reader<'a> {
    file: &'a mut SpoolReader,
    at: u64,
    end: u64,
    steps: usize,
    depth: usize,
    addresses: BTreeSet<Address>,
    display: BTreeSet<String>,
}

/// The tag of a property, and the range of one of its values.
struct Value {
    id: u16,
    kind: u16,
    start: u64,
    length: u64,
}

impl Reader<'_> {
    /// A TNEF stream from `at` to `end` (MS-OXTNEF 2.1.3).
    fn stream(&mut self, info: &Info, cx: &mut Context<'_>) -> io::Result<()> {
        if read_at(self.file, self.at, 4)? != SIGNATURE {
            return Err(bad("it does not begin as winmail.dat does"));
        }
        self.at += 6;
        let mut title = String::new();
        while self.at + 9 <= self.end {
            self.step(cx)?;
            let head = read_at(self.file, self.at, 9)?;
            let (id, length) = (u32_at(&head, 1), u64::from(u32_at(&head, 5)));
            let start = self.at + 9;
            if !(1..=2).contains(&head[0]) || start + length + 2 > self.end {
                return Err(bad("an attribute is cut short"));
            }
            let after = start + length + 2;
            self.at = start;
            match id {
                RECIPIENT_TABLE => self.table(start + length, info, cx)?,
                MESSAGE_PROPERTIES | ATTACHMENT_PROPERTIES => {
                    self.properties(start + length, false, &title, info, cx)?;
                }
                ATTACHMENT_TITLE => {
                    title = text(&read_at(self.file, start, small(length.min(1_024)))?, false);
                }
                ATTACHMENT_DATA => self.leaf(info, &title, start, length, cx)?,
                BODY => self.beyond_ascii(&Value { id: 0, kind: 0x1e, start, length }, info, cx)?,
                _ => {}
            }
            self.at = after;
        }
        Ok(())
    }

    /// The recipient table: rows of properties (MS-OXTNEF 2.1.3.5.1).
    fn table(&mut self, end: u64, info: &Info, cx: &mut Context<'_>) -> io::Result<()> {
        let rows = self.number(end)?;
        for _ in 0..rows {
            self.step(cx)?;
            self.properties(end, true, "", info, cx)?;
        }
        Ok(())
    }

    /// A list of properties (MS-OXTNEF 2.1.3.4).
    fn properties(
        &mut self,
        end: u64,
        recipient: bool,
        title: &str,
        info: &Info,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let count = self.number(end)?;
        for _ in 0..count {
            self.step(cx)?;
            let tag = self.number(end)?;
            let (kind, id) = (low(tag), low(tag >> 16));
            if id >= 0x8000 {
                self.at += 16;
                if self.number(end)? == 0 {
                    self.at += 4;
                } else {
                    let length = u64::from(self.number(end)?);
                    self.at += length.next_multiple_of(4);
                }
            }
            self.values(kind, id, end, recipient, title, info, cx)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `properties`, split for its length")]
    fn values(
        &mut self,
        kind: u16,
        id: u16,
        end: u64,
        recipient: bool,
        title: &str,
        info: &Info,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let fixed = match kind & 0x0fff {
            0x02 | 0x03 | 0x04 | 0x0a | 0x0b => 4,
            0x05 | 0x06 | 0x07 | 0x14 | 0x40 => 8,
            0x48 => 16,
            0x1e | 0x1f | 0x0d | 0x102 => 0,
            0x00 | 0x01 => return Ok(()),
            _ => return Err(bad("a property of an unknown type")),
        };
        let several = kind & 0x1000 != 0 || fixed == 0;
        let count = if several { self.number(end)? } else { 1 };
        if fixed > 0 {
            self.at += u64::from(count) * fixed;
            return self.within(end);
        }
        for _ in 0..count {
            self.step(cx)?;
            let length = u64::from(self.number(end)?);
            let start = self.at;
            self.at += length.next_multiple_of(4);
            if start + length > end {
                return Err(bad("a property is cut short"));
            }
            let next = self.at;
            self.value(&Value { id, kind: kind & 0x0fff, start, length }, recipient, title, info, cx)?;
            self.at = next;
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: &Value,
        recipient: bool,
        title: &str,
        info: &Info,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let string = matches!(value.kind, 0x1e | 0x1f);
        match value.id {
            DISPLAY_BCC..=DISPLAY_TO if string => {
                let names = self.string(value)?;
                self.note(&names);
                if !names.trim().is_empty() && !names.contains('@') && self.display.len() < FACTS {
                    self.display.insert(names.trim().to_owned());
                }
            }
            TRANSPORT_HEADERS if string => {
                let headers = self.string(value)?;
                cx.header(&format!("{} › headers", info.place), headers.as_bytes());
                self.note(&headers);
            }
            RTF_COMPRESSED => self.body(value, "body.rtf", true, info, cx)?,
            HTML => self.body(value, "body.html", false, info, cx)?,
            ATTACH_DATA if value.kind == 0x0d => self.object(value, title, info, cx)?,
            ATTACH_DATA => self.leaf(info, title, value.start, value.length, cx)?,
            _ if recipient && string => {
                let text = self.string(value)?;
                self.note(&text);
            }
            _ if string => self.beyond_ascii(value, info, cx)?,
            _ => {}
        }
        Ok(())
    }

    /// A text with characters outside ASCII, in an unknown set: its octets alone may not show what a reader
    /// shows.
    fn beyond_ascii(&mut self, value: &Value, info: &Info, cx: &mut Context<'_>) -> io::Result<()> {
        let wide = value.kind == 0x1f;
        let mut ascii = true;
        copy(self.file, value.start, value.length, |bytes| ascii &= bytes.is_ascii())?;
        if ascii && !wide {
            return Ok(());
        }
        if !cx.budget.charge(value.length) {
            return Err(spent(SPENT));
        }
        let charset = wide.then(|| "utf-16le".to_owned());
        let mut leaf = Leaf::text(Info { charset, ..info.inner("text", info.form) }, cx);
        copy(self.file, value.start, value.length, |bytes| leaf.feed(bytes, cx))?;
        leaf.finish(cx);
        Ok(())
    }

    /// An object. An embedded message is a TNEF stream after an interface identifier.
    fn object(&mut self, value: &Value, title: &str, info: &Info, cx: &mut Context<'_>) -> io::Result<()> {
        if value.length < 20 || read_at(self.file, value.start + 16, 4)? != SIGNATURE {
            return self.leaf(info, title, value.start, value.length, cx);
        }
        if self.depth >= DEPTH {
            return Err(bad("messages nested too deep"));
        }
        let outer = (self.at, self.end);
        (self.at, self.end) = (value.start + 16, value.start + value.length);
        self.depth += 1;
        let inner = Info { depth: info.depth, ..info.inner("message", info.form) };
        self.stream(&inner, cx)?;
        self.depth -= 1;
        (self.at, self.end) = outer;
        Ok(())
    }

    /// An attached file.
    fn leaf(
        &mut self,
        info: &Info,
        name: &str,
        start: u64,
        length: u64,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let inner = info.inner(if name.is_empty() { "attachment" } else { name }, "in winmail.dat");
        cx.header(&inner.place, format!("file name: {name}").as_bytes());
        let mut leaf = Leaf::new(inner);
        copy(self.file, start, length, |bytes| leaf.feed(bytes, cx))?;
        leaf.finish(cx);
        Ok(())
    }

    fn body(
        &mut self,
        value: &Value,
        name: &str,
        packed: bool,
        info: &Info,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        if !packed {
            return self.leaf(info, name, value.start, value.length, cx);
        }
        if value.length > RTF {
            return Err(bad("a compressed body too long to be read"));
        }
        let bytes = read_at(self.file, value.start, small(value.length))?;
        let text = lzfu::unpack(&bytes, small(RTF) * 4)
            .ok_or_else(|| bad("a compressed body that cannot be read"))?;
        drop(bytes);
        if !cx.budget.charge(10 * text.len() as u64) {
            return Err(spent(SPENT));
        }
        let inner = info.inner(name, "compressed RTF");
        // As it is written, and as it is shown.
        let mut leaf = Leaf::text(inner.clone(), cx);
        leaf.feed(&text, cx);
        leaf.finish(cx);
        rtf::read(&inner, &text, cx);
        Ok(())
    }

    /// Notes the addresses in a text that names recipients.
    fn note(&mut self, text: &str) {
        let mut scan = WrittenScan::default();
        scan.feed(text.as_bytes());
        if self.addresses.len() < 10_000 {
            self.addresses.extend(scan.finish(10_000));
        }
    }

    fn string(&mut self, value: &Value) -> io::Result<String> {
        let bytes = read_at(self.file, value.start, small(value.length.min(VALUE)))?;
        Ok(text(&bytes, value.kind == 0x1f))
    }

    fn number(&mut self, end: u64) -> io::Result<u32> {
        let bytes = read_at(self.file, self.at, 4)?;
        self.at += 4;
        self.within(end)?;
        Ok(u32_at(&bytes, 0))
    }

    fn within(&self, end: u64) -> io::Result<()> {
        if self.at > end { Err(bad("a property is cut short")) } else { Ok(()) }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.steps += 1;
        let within = self.steps <= STEPS && cx.budget.charge(STEP);
        if within { Ok(()) } else { Err(spent("too many properties")) }
    }
}

fn text(bytes: &[u8], wide: bool) -> String {
    let encoding = if wide { encoding_rs::UTF_16LE } else { encoding_rs::SHIFT_JIS };
    let text = encoding.decode_without_bom_handling(bytes).0;
    text.trim_end_matches('\0').to_owned()
}

fn low(number: u32) -> u16 {
    (number & 0xffff) as u16
}

/// A length that was checked to be small.
fn small(length: u64) -> usize {
    usize::try_from(length).unwrap_or(0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
