//! The gate against no gate where nothing else opens it: a separator that is spelled through several layers, between
//! long texts in which the views sleep, and constructs of pages that go on for long.

use super::super::super::tests::needles;
use super::{Choices, GLUE, WAYS, both, spelled};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// Texts in which the gate stays closed.
const QUIET: [&str; 12] = [
    "Please find the minutes of the meeting below. ",
    "Please find the minutes\r\nof the meeting below.\r\n",
    "会議のお知らせをお送りします。\r\n",
    "https://www.x.example/a?id=12&q=%E4%BC%9A%E8%AD%B0+b\r\n",
    "Zm9vYmFy YmF6cXV4 cXV1eA==\r\n",
    "a,\"b c\",12.50,d\r\n",
    "On Monday, Jiro <jiro@other.example> wrote: > x\r\n",
    "\tdata: {a b} [c] (d) #e; f-g_h\r\n",
    "R&D &amp; more&nbsp;of it&#8230; \u{a9} 50% or so\r\n",
    "https://x.example/?u=https%3A%2F%2Fy.example%2Fa%3Fb%3Dx&c=f&d=a%20z\r\n",
    "<p class=\"a\" lang='en'>text</p>\r\n",
    "C:\\some\\path\\there, \\\"said\\\"\r\n",
];

/// Some letters of a text spelled in one way.
fn layer(text: &str, choices: &mut Choices<'_>) -> String {
    let way = choices.below(WAYS);
    let which = choices.below(4);
    let mut out = String::new();
    for letter in text.chars() {
        let is_chosen = match which {
            0 => !letter.is_ascii_alphanumeric(),
            1 => true,
            2 => choices.below(3) == 0,
            _ => choices.below(8) == 0,
        };
        let is_spelled = is_chosen && letter.is_ascii_graphic() && !matches!(letter, '\u{ff01}'..);
        if is_spelled { out += &spelled(letter, way) } else { out.push(letter) }
    }
    out
}

fn glued(text: &str, choices: &mut Choices<'_>) -> String {
    let glue = choices.one(&GLUE);
    let every = choices.one(&[2, 5, 9, 40]);
    text.chars().fold(String::new(), |mut out, letter| {
        if choices.below(every) == 0 {
            out += glue;
        }
        out.push(letter);
        out
    })
}

/// A separator, written through up to three layers, with what views drop between its letters.
fn separator(choices: &mut Choices<'_>) -> String {
    let mut text = choices.one(&["@", "@", "@", "=", "%", "@ ", "@\r\n "]).to_owned();
    for _ in 0..choices.below(4) {
        text = layer(&text, choices);
        if choices.below(3) == 0 {
            text = glued(&text, choices);
        }
    }
    text
}

/// What pages have that can be long.
const LONG: [(&str, &str); 12] = [
    ("<!-- ", " -->"),
    ("<b title=\"", "\">"),
    ("<b title='", "'>"),
    ("<b title=", ">"),
    ("<script>", "</script>"),
    ("<style>", "</style>"),
    ("<template>", "</template>"),
    ("<b a='<i b=\"' ", ">"),
    ("<![CDATA[", "]]>"),
    ("<!--[if !mso]>", "<![endif]-->"),
    ("<a href=\"data:text/plain,", "\">"),
    ("<? ", ">"),
];

/// Ways to put a text into another.
type Outer = fn(&str) -> String;

const OUTERS: [Outer; 9] = [
    str::to_owned,
    |text| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "\\r").replace('\n', "\\n"),
    |text| text.replace('<', "\\u003c").replace('"', "\\u0022").replace('&', "\\u0026"),
    |text| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
    |text| {
        text.replace('%', "%25")
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace('"', "%22")
            .replace(' ', "%20")
    },
    |text| text.replace('=', "=3D").replace('\r', "=0D").replace('\n', "=0A"),
    |text| {
        let letters: Vec<char> = text.chars().collect();
        letters.chunks(70).map(String::from_iter).collect::<Vec<_>>().join("\r\n ")
    },
    |text| {
        let letters: Vec<char> = text.replace('=', "=3D").chars().collect();
        letters.chunks(70).map(String::from_iter).collect::<Vec<_>>().join("=\r\n")
    },
    |text| text.replace('"', "\"\""),
];

const KINDS: [&str; 6] = ["plain", "html", "calendar", "csv", "xml", "plain; charset=iso-2022-jp"];
const ADDRESSES: [&str; 3] = ["taro@example.com", "a@x.jp", "long.name+tag@sub.domain.example.org"];
const SIZES: [usize; 6] = [97, 1_024, 4_096, 5_000, 16_384, 65_536];

/// A quiet text of about so many octets.
fn quiet(choices: &mut Choices<'_>, length: usize) -> String {
    let unit = choices.one(&QUIET);
    unit.repeat(length / unit.len() + 1)
}

fn missed(kind: &str, body: &str, size: usize, addresses: &[&str]) -> Result<(), TestCaseError> {
    let message = format!("Content-Type: text/{kind}\r\n\r\n{body}\r\n");
    let (gated, all) = both(message.as_bytes(), &needles(addresses), size);
    for hit in &all {
        let is_found = gated.iter().any(|other| other.whose_and_where() == hit.whose_and_where());
        prop_assert!(is_found, "{hit:?} in {kind}, {size}: {}", body.escape_debug());
    }
    Ok(())
}

proptest! {
    /// A spelled separator after and before long quiet texts, at any distance from the border of two pieces.
    #[test]
    fn separators(
        all in prop::collection::vec(any::<u16>(), 20..80),
        kind in 0..KINDS.len(),
        before in prop::sample::select(vec![0_usize, 10, 4_000, 20_000, 34_000]),
        shift in 0_usize..300,
        after in prop::sample::select(vec![0_usize, 30, 9_000, 40_000]),
        size in prop::sample::select(&SIZES[..]),
    ) {
        let mut choices = Choices { all: &all, at: 0 };
        let (local, domain) = choices.one(&ADDRESSES).split_once('@').unwrap();
        let mut body = quiet(&mut choices, before) + &"x ".repeat(shift / 2) + choices.one(&["\r\n", " ", "<", ">"]);
        let mut local = local.to_owned();
        let mut domain = domain.to_owned();
        match choices.below(6) {
            0 => local = glued(&local, &mut choices),
            1 => domain = glued(&domain, &mut choices),
            2 => domain = layer(&domain, &mut choices),
            3 => local = layer(&local, &mut choices),
            _ => {}
        }
        body += &(local + &separator(&mut choices) + &domain);
        body += choices.one(&["\r\n", " ", ">", "."]);
        body += &quiet(&mut choices, after);
        missed(KINDS[kind], &body, size, &ADDRESSES)?;
    }

    /// Constructs of pages that go on for long, in other texts, with letters of an address before, in and behind them.
    #[test]
    fn long_constructs(
        all in prop::collection::vec(any::<u16>(), 20..80),
        kind in 0..KINDS.len(),
        size in prop::sample::select(&SIZES[..]),
    ) {
        let mut choices = Choices { all: &all, at: 0 };
        let address = choices.one(&ADDRESSES);
        let mut page = String::new();
        for _ in 0..=choices.below(2) {
            let before = choices.one(&[0, 3_000, 20_000, 40_000]);
            page += &quiet(&mut choices, before);
            let cut = choices.below(address.len());
            page += &address[..cut];
            for _ in 0..=choices.below(2) {
                let (open, close) = choices.one(&LONG);
                let length = choices.one(&[0, 10, 5_000, 9_000, 18_000, 40_000]);
                page += open;
                page += &quiet(&mut choices, length);
                if choices.below(3) == 0 {
                    page += address;
                }
                page += close;
            }
            page += &address[cut..];
            page += choices.one(&[" ", "<p>", "\r\n"]);
        }
        let after = choices.one(&[0, 9_000, 40_000]);
        page += &quiet(&mut choices, after);
        for _ in 0..choices.below(3) {
            page = choices.one(&OUTERS)(&page);
        }
        missed(KINDS[kind], &page, size, &ADDRESSES)?;
    }

    /// Base64 that is cut, in lines and in other texts, between quiet texts.
    #[test]
    fn tokens(
        all in prop::collection::vec(any::<u16>(), 20..80),
        kind in 0..KINDS.len(),
        before in prop::sample::select(vec![0_usize, 20_000]),
        shift in 0_usize..300,
        pad in 0_usize..9,
        size in prop::sample::select(&SIZES[..]),
    ) {
        let mut choices = Choices { all: &all, at: 0 };
        let address = choices.one(&ADDRESSES);
        let token = STANDARD.encode(format!("{}<{address}> and more", "-".repeat(pad)));
        let glue = choices.one(&GLUE);
        let width = choices.one(&[7, 19, 60, 76, 500]);
        let letters: Vec<char> = token.chars().collect();
        let mut token = letters.chunks(width).map(String::from_iter).collect::<Vec<_>>().join(glue);
        for _ in 0..choices.below(3) {
            token = if choices.below(2) == 0 { layer(&token, &mut choices) } else { choices.one(&OUTERS)(&token) };
        }
        let body = quiet(&mut choices, before) + &"x ".repeat(shift / 2) + &token + &quiet(&mut choices, 20_000);
        missed(KINDS[kind], &body, size, &ADDRESSES)?;
    }
}
