//! The gate against no gate: whatever text is put together from the syntax of every view, the same is found.

mod rules;
mod spellings;

use super::super::lines::pairs;
use super::super::tests::{attached, needles, scan_in};
use super::super::tokens::{EARLIER, LATER};
use super::super::{Hit, Needles};
use super::is_pair;
use crate::message::walk::transfer::base64_value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

thread_local! {
    static OPEN: Cell<bool> = const { Cell::new(false) };
    static COUNTS: RefCell<[usize; 2]> = const { RefCell::new([0; 2]) };
}

/// Whether every gate is open now.
pub(super) fn is_open() -> bool {
    OPEN.get()
}

/// How often gates were closed, and open.
pub(super) fn count(is_open: bool) {
    COUNTS.with_borrow_mut(|counts| counts[usize::from(is_open)] += 1);
}

/// Runs with all views of all texts awake, as if there were no gate.
fn without_gate<T>(run: impl FnOnce() -> T) -> T {
    OPEN.set(true);
    let result = run();
    OPEN.set(false);
    result
}

/// The hits with gates and without. Asserts that all else is the same, above all what could not be read: it must not
/// depend on gates, nor on whether anybody is hidden.
fn both(message: &[u8], needles: &Arc<Needles>, size: usize) -> (Vec<Hit>, Vec<Hit>) {
    let gated = scan_in(message, needles, size).unwrap();
    let all = without_gate(|| scan_in(message, needles, size).unwrap());
    let nobody = scan_in(message, &Arc::default(), size).unwrap();
    for other in [&all, &nobody] {
        assert_eq!(gated.facts, other.facts);
        assert_eq!(gated.variant, other.variant);
    }
    (gated.hits, all.hits)
}

/// The addresses that were found, each with the place.
fn written_in(hits: &[Hit]) -> BTreeSet<(String, String)> {
    hits.iter().map(|hit| (hit.address.to_string(), hit.place.clone())).collect()
}

/// Choices that a test is given, taken one by one.
struct Choices<'a> {
    all: &'a [u16],
    at: usize,
}

impl Choices<'_> {
    fn below(&mut self, most: usize) -> usize {
        self.at += 1;
        usize::from(self.all[self.at % self.all.len()]) % most
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// A letter in one of the ways that some view reads.
fn spelled(letter: char, way: usize) -> String {
    let code = u32::from(letter);
    let wide = char::from_u32(code + 0xfee0).unwrap();
    match way {
        0 => format!("%{code:02x}"),
        1 => format!("={code:02X}"),
        2 => format!("&#{code};"),
        3 => format!("&#x{code:X};"),
        4 => format!("&#{code}"),
        5 => format!("\\u{code:04x}"),
        6 => format!("\\x{code:02x}"),
        7 => format!("\\{code:03o}"),
        8 => format!("\\{code:x} "),
        9 => wide.to_string(),
        10 => format!("&amp;#{code};"),
        11 => format!("%25{code:02x}"),
        12 => format!("=3D{code:02X}"),
        13 => format!("\\\\u{code:04x}"),
        14 => format!("&#37;{code:02x}"),
        15 => format!("\\u{{{code:x}}}"),
        16 => format!("%u{code:04X}"),
        17 => format!("\\'{code:02x}"),
        18 => wide.to_string().bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}")),
        19 => format!("&#{};", u32::from(wide)),
        20 => format!("\\u{:04x}", u32::from(wide)),
        21 => wide.to_string().bytes().fold(String::new(), |text, byte| text + &format!("\\x{byte:02x}")),
        22 => format!("&#{code}\\;"),
        23 => format!("\\u005cu{code:04x}"),
        24 => format!("\\{letter}"),
        25 => format!("&#x{:x};", code + 0x1_d400 - 0x41),
        26 if letter == '@' => "&commat;".to_owned(),
        27 if letter == '.' => "&period;".to_owned(),
        28 => format!("&#{code:08};"),
        29 => format!("&#x26;#{code};"),
        30 => format!("＆#{code};"),
        31 => format!("％{code:02X}"),
        _ => letter.to_string(),
    }
}
const WAYS: usize = 40;

/// What some view drops between two letters.
const GLUE: [&str; 44] = [
    "\r\n ",
    "\n\t",
    "=\r\n",
    "=\n",
    "\\\n",
    "\\\r\n   ",
    " \r\n",
    " \n",
    " \r\n>> ",
    "\r\r\n ",
    "<b>",
    "</b>",
    "<wbr/>",
    "<b class=\"x > y\">",
    "<!-- x -->",
    "<b class=\"\"x\"\">",
    "<script>x</script>",
    "<style>a</style>",
    "<template>x</template>",
    "<![CDATA[",
    "]]>",
    "&shy;",
    "\u{200b}",
    "\u{ad}",
    "\u{1}",
    "\\r\\n ",
    "\\n\\t",
    "\\\\\\n",
    "=\\r\\n",
    "%0D%0A%20",
    "%0a+",
    "=0D=0A ",
    "=3D=0A",
    "&#13;&#10; ",
    "&#xA; ",
    "%5C%0A",
    "&lt;b&gt;",
    "\\u003cb\\u003e",
    "%3Cb%3E",
    "&#60;b&#62;",
    "&#8203;",
    "&ZeroWidthSpace;",
    "&NoBreak;",
    " ",
];

/// What stands between addresses: signs that mean nothing here, and much that means nothing at all.
const FILLER: [&str; 28] = [
    "text ",
    "会議のお知らせ\r\n",
    "<p>x</p>\r\n",
    "a=b&c=d",
    "50% of ",
    "====\r\n",
    "@home ",
    "R&D ",
    "x@y.example ",
    "\\path\\to ",
    "&nbsp;",
    "QGVk",
    "<a href=\"https://x.example/?q=1&amp;r=2\">",
    "<a href='https://x.example/?q=%2Fa&amp;r=%E4%BC%9A'>",
    "&mdash;&copy; &#8217;",
    "href='",
    "\r\n\r\n",
    "...",
    "“quoted” – ",
    "５０％、＠ ",
    "=20",
    "%E3%81%82",
    "Q",
    "data:",
    "{\"a\": \"b\\n\"}",
    "<!--",
    "-->",
    "xE",
];

fn written(address: &str, choices: &mut Choices<'_>) -> String {
    let sign = choices.one(&["@", "@", "@", "=", "%", " @ ", "@\r\n "]);
    let plain = address.replace('@', sign);
    match choices.below(8) {
        0 => {
            let pad = choices.below(4);
            let token = STANDARD.encode(format!(
                "{}<{address}> {}",
                "-".repeat(pad),
                "more ".repeat(choices.below(9))
            ));
            let glue = choices.one(&GLUE);
            let width = choices.one(&[7, 19, 60, 76, 500]);
            let letters: Vec<char> = token.chars().collect();
            letters.chunks(width).map(String::from_iter).collect::<Vec<_>>().join(glue)
        }
        1 => {
            let page = format!("ta<b>{}</b>", plain.replace('.', "<b>.</b>"));
            format!("<a href=\"data:text/html;base64,{}\">", STANDARD.encode(page))
        }
        _ => {
            // One kind of writer, or two, as most texts have.
            let ways = [choices.below(WAYS), choices.below(WAYS)];
            let often = choices.one(&[1, 2, 5]);
            let cuts = choices.one(&[2, 6, 12, 1_000]);
            let glues = [choices.one(&GLUE), choices.one(&GLUE)];
            let mut text = String::new();
            for letter in plain.chars() {
                if choices.below(cuts) == 0 {
                    text += choices.one(&glues);
                }
                if choices.below(often) == 0 {
                    text += &spelled(letter, choices.one(&ways));
                } else {
                    text.push(letter);
                }
            }
            text
        }
    }
}

fn body(choices: &mut Choices<'_>, addresses: &[&str]) -> String {
    let mut body = String::new();
    for _ in 0..=choices.below(3) {
        let filler: String = (0..=choices.below(4)).map(|_| choices.one(&FILLER)).collect();
        let length = choices.one(&[0, 1, 200, 3_800, 4_090, 8_100, 20_000]);
        body += &filler.repeat(length / filler.len() + 1);
        let address = choices.one(addresses);
        body += &written(address, choices);
    }
    body += choices.one(&FILLER);
    body
}

const KINDS: [&str; 6] = ["plain", "html", "calendar", "csv", "plain; charset=shift_jis", "xml"];
const NARROW: [&str; 4] = ["taro@example.com", "a@x.jp", "long.name+tag@sub.domain.example.org", "b@a.b"];
const WIDE: [&str; 4] = ["taro@example.com", "user@日本語.jp", "a@bücher.example", "a@[192.0.2.1]"];

proptest! {
    #[test]
    fn the_same_is_found_as_without(
        all in prop::collection::vec(any::<u16>(), 20..120),
        kind in 0..KINDS.len(),
        is_wide in prop::bool::weighted(0.2),
        size in prop::sample::select(vec![1usize, 97, 4_096, 100_000]),
    ) {
        let addresses = if is_wide { &WIDE } else { &NARROW };
        let mut choices = Choices { all: &all, at: 0 };
        let body = body(&mut choices, addresses);
        let message = format!("Content-Type: text/{}\r\n\r\n{body}\r\n", KINDS[kind]);
        let size = if body.len() > 20_000 { size.max(97) } else { size };
        let (gated, all) = both(message.as_bytes(), &needles(addresses), size);
        // A page in another text is read from where its view wakes, so that a comment that began long before may
        // show more: only that nothing is missed is asked.
        let (gated, all) = (written_in(&gated), written_in(&all));
        prop_assert!(gated.is_superset(&all), "{gated:?} {all:?} {}", body.escape_debug());
    }
}

/// A separator or a domain at every place near the border of two pieces, and of the windows that are asked about.
#[test]
fn at_every_border() {
    let needles = needles(&NARROW);
    let base64 = format!(" {} ", STANDARD.encode("to <taro@example.com>"));
    let folded: String = base64.trim().chars().flat_map(|letter| [letter, '\r', '\r', '\n', ' ']).collect();
    let far = format!("taro@{}example.com", "=\r\n".repeat(100));
    // The letters in which the `@` begins are the eleventh and the twelfth.
    let cut: Vec<String> = (9..15).map(|at| format!("{}\r\n {}", &base64[..at], &base64[at..])).collect();
    let mut texts = vec![
        "taro@example.com",
        "taro&#x40;example.com",
        "taro%2540example.com",
        "taro@e\r\n xample.com",
        &base64,
        &folded,
        &far,
        "taro＠ｅxample.com",
        "taro@\r\n example.com",
        "bounce+taro=example.com@x.example",
    ];
    texts.extend(cut.iter().map(String::as_str));
    for text in texts {
        for block in [4_096, 8_192] {
            let near = 0..text.len() + super::AHEAD + 8;
            let further = (near.end..8 * near.end).step_by(24);
            for before in near.chain(further) {
                let start = block - before.min(block);
                let message = format!(
                    "Content-Type: text/plain\r\n\r\n{} {text} {}\r\n",
                    "x".repeat(start),
                    "y".repeat(300)
                );
                let hits = scan_in(message.as_bytes(), &needles, 4_000).unwrap().hits;
                // The search of the octets as received, which has no gate, finds some of them too.
                assert!(hits.iter().any(|hit| hit.place.starts_with("part")), "{text} at {start}");
            }
        }
    }
}

/// The pairs of letters that can hold an `@` are found wherever they stand, and hardly any others.
#[test]
fn pairs_of_letters() {
    let is_letter = |octet: u8| base64_value(octet).is_some();
    for (one, other) in (0..=u8::MAX).flat_map(|one| (0..=u8::MAX).map(move |other| (one, other))) {
        let holds = is_letter(other) && EARLIER[usize::from(one)] & LATER[usize::from(other)] != 0;
        let found = is_pair(one, other);
        assert!(found || !holds, "{one} {other}");
        assert!(!found || holds || !one.is_ascii_alphanumeric(), "{one} {other}");
    }
    for (text, places) in
        [("QA", vec![0]), ("xQAQAx", vec![1, 3]), (&"kA".repeat(40), (0..80).step_by(2).collect())]
    {
        assert_eq!(pairs(text.as_bytes(), is_pair).collect::<Vec<_>>(), places, "{text}");
    }
}

/// Escapes and tags that could begin inside each other, without an end, are followed for a few layers only: a thread
/// with a small stack is enough for them.
#[test]
fn what_could_be_inside_each_other_is_not_followed_for_ever() {
    let texts = ["%<", "=<", "&<", "\\<", "%4<", "&a<", "&#<", "<%=<", "&amp;<", "%3C%"];
    let work = move || {
        let needles = needles(&NARROW);
        for (text, is_html) in texts.iter().flat_map(|text| [(text, false), (text, true)]) {
            let mut gate = super::Gate::new(super::Holds { tokens: true, tags: true, is_html });
            gate.feed(&needles, text.repeat(16 * 1_024).as_bytes());
            gate.finish(&needles);
        }
    };
    std::thread::Builder::new().stack_size(192 * 1_024).spawn(work).unwrap().join().unwrap();
}

/// Every character that a separator or an escape may be made of is one that the gate knows.
#[test]
fn characters_that_are_signs() {
    use unicode_normalization::UnicodeNormalization;
    for letter in (0x80..=0x0010_ffff).filter_map(char::from_u32) {
        if std::iter::once(letter).nfkc().any(|plain| "@=%&\\<".contains(plain)) {
            let octets = letter.to_string().into_bytes();
            assert!(matches!(octets[0], 0xe2 | 0xef), "{letter:?}");
        }
    }
}

#[path = "../../../../benches/kinds/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the benchmarks, which use all of it")]
mod kinds;

/// Mail that people really send, and in which nobody is hidden, opens next to no gate.
#[test]
fn most_mail_opens_no_gate() {
    let list: Vec<String> = (0..50).map(|index| format!("user{index}@customer{index}.example")).collect();
    let needles = needles(&list.iter().map(String::as_str).collect::<Vec<_>>());
    let mut often = Vec::new();
    for kind in kinds::KINDS {
        let mail = kinds::mail(kind, 7, 512 * 1_024);
        let message = [mail.head.as_bytes(), &mail.body].concat();
        COUNTS.take();
        scan_in(&message, &needles, 16_384).unwrap();
        let [closed, open] = COUNTS.take();
        if open * 20 > closed + open {
            often.push(format!("{kind}: {open} of {}", closed + open));
        }
    }
    assert!(often.is_empty(), "{often:?}");
}

/// Messages of the fuzzer's seeds and of other programs' files, as they are and within others.
#[test]
fn seeds() {
    let needles = needles(&["tanaka@example.jp", "a@x.jp", "b@example.com", "user@host.example"]);
    let mut seen = 0;
    for folder in ["mime", "rewrite", "data", "header"] {
        let path = format!("{}/../../fuzz/seeds/{folder}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(path).unwrap() {
            let octets = std::fs::read(file.unwrap().path()).unwrap();
            for kind in ["text/plain", "text/html", "application/octet-stream", "message/rfc822"] {
                let message = attached(kind, "x", &octets);
                let (gated, all) = both(&message, &needles, 1_000);
                assert_eq!(gated, all);
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}
