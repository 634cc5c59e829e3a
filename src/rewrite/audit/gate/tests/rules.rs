//! One text for each rule of the gate: between long texts in which the views sleep, only this rule wakes them, or keeps
//! them awake.

use super::super::super::tests::needles;
use super::{both, written_in};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Long enough that the views sleep, and that they would be given nothing of it when they wake.
const LONG: usize = 40_000;
const QUIET: &str = "Please find the minutes of the meeting below. ";

fn quiet(length: usize) -> String {
    QUIET.repeat(length.div_ceil(QUIET.len()))
}

/// Each rule, and a text that it is for.
fn rules() -> Vec<(&'static str, Vec<u8>)> {
    let texts = [
        ("the sign", "taro@example.com"),
        ("blanks behind the sign", "taro@   example.com"),
        ("the sign of a bounce", "bounce+taro=example.com@list.example"),
        ("the sign of a bounce, before what is no digit", "bounce+a=x.jp@list.example"),
        ("the sign of a route", "taro%example.com@relay.example"),
        ("a reference by name", "taro&commat;example.com"),
        ("a reference by number", "taro&#64;example.com"),
        ("percent", "taro%40example.com"),
        ("percent twice", "taro%2540example.com"),
        ("a backslash", "taro\\u0040example.com"),
        ("quoted-printable", "taro=40example.com"),
        ("quoted-printable in quoted-printable", "taro=3D40example.com"),
        ("quoted-printable, cut", "taro=4=\r\n0example.com"),
        ("a look-alike of the sign", "taro＠example.com"),
        ("look-alikes of all", "ｔａｒｏ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
        ("something invisible behind the sign", "taro@\u{200b}example.com"),
        ("a folded line behind the sign", "taro@\r\n example.com"),
        ("a folded line in the domain", "taro@e\r\n xample.com"),
        ("a folded line in the domain, further", "taro@exampl\r\n e.com"),
        ("a quoted line", "taro@exa \r\n>> mple.com"),
        ("a quoted line behind the sign", "taro@ \r\n>> example.com"),
        ("a soft break behind the sign", "a@=\r\nx.jp"),
        ("a soft break in the domain", "a@x=\r\n.jp"),
        ("a line that goes on", "taro@exa\\\nmple.com"),
        ("a tag behind the sign", "taro@<b>example.com"),
        ("an address in brackets behind the sign", "taro@<jiro@other.example>example.com"),
        ("a tag in the domain", "taro@exampl<b>e.com"),
        ("a tag in the beginning of the domain", "taro@e<b>xample.com"),
        ("a short domain", "b@a.b"),
        ("something invisible behind the domain", "taro@example.com\u{200b}tel, x"),
    ];
    let mut rules: Vec<_> = texts.into_iter().map(|(name, text)| (name, text.as_bytes().to_vec())).collect();
    let among =
        |open: &str, close: &str| format!("taro{open}{}{close}@example.com", quiet(LONG)).into_bytes();
    rules.push(("a long comment", among("<!-- ", " -->")));
    rules.push(("a long script", among("<script>", "</script>")));
    rules.push(("a long comment that is escaped", among("&lt;!-- ", " --&gt;")));
    rules.push(("a long value", among("<b title=\"", "\">")));
    // What keeps the views awake without gates, though it opens none.
    let busy = format!("{QUIET}x = y and z = x, as <jiro@other.example> said. {QUIET}").repeat(LONG / 140);
    for (open, close) in [("<!-- ", " -->"), ("<script>", "</script>"), ("<style>", "</style>")] {
        rules.push((
            "a long construct with tags",
            format!("taro{open}{busy}{close}@example.com").into_bytes(),
        ));
    }
    let within =
        |between: &str, count: usize| format!("ta{}ro@example.com", between.repeat(count)).into_bytes();
    rules.push(("much that is invisible", within("\u{200b}", 8_000)));
    rules.push(("many blanks", within(&format!("{}\r\n ", " ".repeat(60)), 400)));
    rules.push(("many addresses in brackets", within("<jiro@other.example>", 1_200)));
    let mut divided = b"taro\xef\xbc\r\n \xa0example.com".to_vec();
    rules.push(("a look-alike that is divided", divided.clone()));
    divided.truncate(7);
    divided.extend_from_slice(b"\r\n \xa0 @example.com taro=3Dexample.com");
    rules.push(("what is no letter", divided));
    for pad in ["", "-", "--"] {
        let token = STANDARD.encode(format!("{pad}to <taro@example.com> and so on"));
        rules.push(("base64", format!("data:text/plain;base64,{token} ").into_bytes()));
        for width in 17..28 {
            let (first, rest) = token.split_at(width);
            for glue in ["\r\n", "\r\n ", "=\r\n"] {
                rules.push((
                    "base64, cut",
                    format!("NOTE;ENCODING=B:\r\n {first}{glue}{rest}\r\n").into_bytes(),
                ));
            }
        }
    }
    rules
}

/// Whatever is found without gates is found with them, and that is each of the texts but those that no view reads.
#[test]
fn each_rule() {
    let needles = needles(&["taro@example.com", "a@x.jp", "b@a.b"]);
    let mut missed = Vec::new();
    let mut found = 0;
    for (name, text) in rules() {
        for (kind, shift, after) in [("plain", 0, LONG), ("plain", 1_731, 0), ("calendar", 3_000, LONG)] {
            let before = quiet(LONG) + &"y".repeat(shift) + "\r\n";
            let message = [
                format!("Content-Type: text/{kind}; charset=utf-8\r\n\r\n{before}").as_bytes(),
                &text,
                if after > 0 { b"\r\n" } else { b"" },
                quiet(after).as_bytes(),
            ]
            .concat();
            let (gated, all) = both(&message, &needles, 4_096);
            let (gated, all) = (written_in(&gated), written_in(&all));
            found += usize::from(!all.is_empty());
            if !gated.is_superset(&all) {
                missed.push(format!("{name} in {kind} + {shift}: {gated:?}, not {all:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(found >= 290, "only {found} of the texts are read by any view");
}
