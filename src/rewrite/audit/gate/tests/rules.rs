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

/// Rules, and a text that each is for.
const TEXTS: &[(&str, &str)] = &[
    ("the sign", "taro@example.com"),
    ("blanks behind the sign", "taro@   example.com"),
    ("the sign of a bounce", "bounce+taro=example.com@list.example"),
    ("the sign of a bounce, before what is no digit", "bounce+a=x.jp@list.example"),
    ("the sign of a route", "taro%example.com@relay.example"),
    ("a reference by name", "taro&commat;example.com"),
    ("a reference by number", "taro&#64;example.com"),
    ("percent", "taro%40example.com"),
    ("percent twice", "taro%2540example.com"),
    (
        "a number in escaped lines",
        r"a\r\n &\r\n #\r\n 0\r\n 0009\r\n 2\r\n ;\r\n &#\r\n 0\r\n 11\r\n 7\r\n ;\r\n &\r\n #\r\n 0000\r\n 4\r\n 8;\r\n &\r\n #\r\n 00\r\n 4\r\n 8\r\n ;\r\n &\r\n #000\r\n 05\r\n 2\r\n ;\r\n &#\r\n 00\r\n 4\r\n 8\r\n ;x.jp",
    ),
    ("a reference in a reference", "taro&amp;commat;example.com"),
    ("a number in a reference", "taro&amp;#64;example.com"),
    ("a reference in a number", "taro&#38;commat;example.com"),
    ("a reference without a semicolon", "taro&ampcommat;example.com"),
    ("a reference over two lines", "taro&#6\r\n 4;example.com"),
    ("an escape that completes a reference", "taro&comm=61t;example.com"),
    ("an escape that completes an escape", "taro%4%30example.com"),
    ("an escape behind an equals sign", "taro=%34%30example.com"),
    ("a look-alike in octets", "taro%EF%BC%A0example.com"),
    ("a look-alike in octets, cut", "taro%EF=\r\n%BC%A0example.com"),
    ("a look-alike by its number", "taro&#65312;example.com"),
    ("a number in CSS", "taro\\40 example.com"),
    ("a number in C", "taro\\100example.com"),
    ("an escape behind a backslash", "taro\\&#117;0040example.com"),
    ("an escaped backslash", "taro%5Cu0040example.com"),
    ("a tag whose sign is escaped", "taro@exam&lt;b&gt;ple.com"),
    ("a long word behind the domain", "taro@example.com=\r\n x"),
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

/// Each rule, and a text that it is for.
fn rules() -> Vec<(&'static str, Vec<u8>)> {
    let mut rules: Vec<_> = TEXTS.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
    let among =
        |open: &str, close: &str| format!("taro{open}{}{close}@example.com", quiet(LONG)).into_bytes();
    rules.push(("a long comment", among("<!-- ", " -->")));
    rules.push(("a long script", among("<script>", "</script>")));
    rules.push(("a long comment that is escaped", among("&lt;!-- ", " --&gt;")));
    rules.push(("a long value", among("<b title=\"", "\">")));
    // What keeps such views awake in pages, and in texts with escaped tags.
    let said = r"On Monday, Jiro <jiro@other.example> wrote: > x\r\n".repeat(LONG / 50);
    rules.push((
        "a long value in a script",
        format!("ta<b>ro<a href=\\\"data:text/plain,{said}\\\">@example.com").into_bytes(),
    ));
    let lines = "Please find <b>the</b> minutes of the meeting below.\r\n ".repeat(LONG / 55);
    rules.push((
        "a long comment in folded lines",
        format!("ta\r\n ro<!-- {lines} -->@example.com").into_bytes(),
    ));
    let escaped = format!("{QUIET}&lt;b&gt;{QUIET}&lt;/b&gt;").repeat(LONG / 110);
    rules.push((
        "a long comment with tags, escaped",
        format!("taro&lt;!-- {escaped} --&gt;@example.com").into_bytes(),
    ));
    rules.push(("a tag behind a line that goes on", b"taro@exam<b>\r\n ple.com</b>".to_vec()));
    rules.push(("a line that goes on in a tag", b"taro@exam<b\r\n >ple.com".to_vec()));
    rules.push(("doubled quotes", b"taro<b title=\"\"x > y\"\">@example.com".to_vec()));
    rules.push(("quotes of a script", b"taro<b title=\\\"x > y\\\">@example.com".to_vec()));
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
            for glue in ["\r\n", "\r\n ", "=\r\n", "=0D=0A ", "%0D%0A%20", "\\n "] {
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
        for (kind, shift, after) in
            [("plain", 0, LONG), ("plain", 1_731, 0), ("calendar", 3_000, LONG), ("html", 2_222, LONG)]
        {
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
