//! Tests: an address is found if the program of some reader would show it. The tests use examples of each
//! format, and random addresses that encoders in this module write, in chunks of random size.

mod nested;

use super::tests::{address, found, needles, scan_in};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn message_of(kind: &str, body: &str) -> Vec<u8> {
    let kind = if kind.contains('/') { kind.to_owned() } else { format!("text/{kind}") };
    format!("Content-Type: {kind}; charset=utf-8\r\n\r\n{body}\r\n").into_bytes()
}

const NEEDLE: &str = "taro@example.com";

#[test]
fn formats() {
    for (kind, body) in [
        ("calendar", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nCONTACT;EMAIL=x:taro@exam\r\n ple.com\r\n"),
        ("calendar", "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nATTENDEE;CN=x:MAILTO:ta\r\n\tro@example.com\r\n"),
        ("calendar", "DESCRIPTION:members are \r\n taro@exam\r\n ple.com"),
        ("calendar", "DESCRIPTION:members:\\ntaro@example.com\\njiro@example.com"),
        ("calendar", "DESCRIPTION:members:\\Ntaro@exam\r\n ple.com\\, and\\; jiro"),
        ("calendar", "X-ALT-DESC;FMTTYPE=text/html:<p>ta<\r\n b>ro</b>@exa\r\n mple.com"),
        ("calendar", "DESCRIPTION:<b>taro</b>@example.com"),
        ("calendar", "BEGIN:VCALENDAR\nX:\n t\n a\n r\n o\n @\n e\n x\n a\n m\n p\n l\n e\n .\n c\n o\n m\n"),
        ("vcard", "EMAIL;TYPE=work:taro@\r\n example.com"),
        ("vcard", "NOTE;ENCODING=QUOTED-PRINTABLE:x=0D=0Ata=\r\nro=40example.com=20y"),
        ("vcard", "NOTE;ENCODING=BASE64:\r\n dGFyb0Bl\r\n eGFtcGxl\r\n LmNvbQ==\r\n\r\n"),
        ("application/ldif", "dn: x\nmail: ta\n ro@example\n .com\n"),
        ("application/ldif", "dn: x\nmail:: dGFyb0B\n leGFtcGxlLmNvbQ==\n"),
        ("plain; format=flowed; delsp=yes", "to ta \r\nro@exam \r\nple.com or"),
        ("plain; format=flowed; delsp=yes", ">> to ta \r\n>> ro@exam \r\n>> ple.com or"),
        ("plain; format=flowed; delsp=yes", "x: ta \r\n ro@exam \r\n ple.com"),
        ("plain", "list:=0Ataro@example.com=0Ajiro"),
        ("plain", "list:=E3=81=82taro@exam=\r\nple.com"),
        ("plain", "X-To: jiro@example.com,\r\n ta\r\n ro@example.com"),
        ("application/json", r#"{"m":"suzuki\ntaro@example.com"}"#),
        ("application/json", r#"{"m":"suzuki\t\u0074aro\u0040example.com\r\n"}"#),
        ("application/json", r#"{"m":"\"suzuki\\ntaro@example.com\""}"#),
        ("application/json", r#"{"html":"ta\u003cb\u003ero\u003c\/b\u003e@example.com"}"#),
        ("javascript", "var m = 'x\\vta\\\nro\\x40exam\\\r\n    ple.com';"),
        ("javascript", "var m = 'x\\b\\u0074aro\\u{40}example.com'"),
        ("javascript", "var m = 'x\\fa\\0taro\\100example\\56com'"),
        ("x-c", "\"x\\012taro\\100example.com\""),
        ("plain", "DOMAIN\\taro@example.com"),
        ("css", ".m:after { content: 'ta\\72 o\\40 example\\00002ecom' }"),
        ("x-java-properties", "mail.to=x \\\n    ta\\\n    ro@example.com"),
        ("yaml", "m: \"x\\n\\\n  taro@exam\\\n  ple.com\""),
        ("csv", "\"x\",\"\"\"taro@example.com\"\"\",\"<b class=\"\"x\"\">y\""),
        ("csv", "1,\"ta<b class=\"\"x\"\">ro</b>@example.com\""),
        ("application/x-www-form-urlencoded", "to=x+taro%40example.com&y"),
        ("html", "ta<script>var x = '</b>';</script>ro@example.com"),
        ("html", "ta<style>p > b { }</style>ro@example<!-- x --!>.com"),
        ("html", "ta<b title='x > y'>ro</b>@example.com"),
        ("html", "ta<!--[if mso]>ro<![endif]-->@example.com"),
        ("html", "ta<!--[if !mso]><!-->ro<!--<![endif]-->@exa<!--[if mso]>x<![endif]-->mple.com"),
        ("html", "&lt;taro<wbr>@example.com&gt;"),
        ("html", "＜taro<wbr>@example.com＞"),
        ("html", "x&nbsptaro&commat;example&period;com&NewLine;"),
        ("html", "ta&InvisibleComma;ro&#8288;@ex&shy;ample.com"),
        ("html", "x&#8203;taro&#64;example.com"),
        ("html", "<a href='data:text/html,ta%3Cb%3Ero%40example.com'>"),
        ("html", "<a href='data:text/html;base64,dGE8Yj5ybzwvYj5AZXhhbXBsZS5jb20='>"),
        ("html", "<iframe srcdoc='ta&lt;b>ro&amp;#64;example.com'></iframe>"),
        ("html", "<a href='mailto:ta\nro@example.com'>"),
        ("xml", "<m><![CDATA[x ta]]><![CDATA[ro@exam]]>ple.com</m>"),
        ("plain", "x\u{200b}taro@example.com\u{200b}y"),
        ("plain", "ta\u{200b}ro@exa\u{2060}mple.com"),
        ("plain", "ta\u{1bca0}ro@exa\u{1}mple.com"),
        ("plain", "x\u{7f}taro@example.com"),
        ("plain", "mail taro@example.com.Thanks"),
        ("plain", "taro@example.com_.csv"),
        ("plain", "taro@example.com_x.csv"),
        ("plain", "taro@example.com-_x.csv"),
    ] {
        let message = message_of(kind, body);
        for size in [1, 7, 64, message.len()] {
            let hits = scan_in(&message, &needles(&[NEEDLE]), size).unwrap().hits;
            assert!(!hits.is_empty(), "{kind} in pieces of {size}: {body}");
        }
    }
}

#[test]
fn both_readings_of_a_backslash() {
    for (text, needle) in [
        ("DOMAIN\\taro@x.jp", "taro@x.jp"),
        ("DOMAIN\\taro@x.jp", "aro@x.jp"),
        ("C:\\new\\naro%40x.jp", "naro@x.jp"),
        ("C:\\new\\naro%40x.jp", "aro@x.jp"),
        ("list=0Ab@x.jp", "0Ab@x.jp"),
        ("list=0Ab@x.jp", "b@x.jp"),
    ] {
        assert_eq!(
            found(&message_of("plain", text), &[needle]),
            [address(needle).as_str()],
            "{needle} in {text}"
        );
    }
}

#[test]
fn neighbours_are_not_hit() {
    for (kind, body) in [
        ("calendar", "DESCRIPTION:customer\r\n -taro@example.com.au"),
        ("calendar", "ATTENDEE:mailto:customer-taro@example.com"),
        ("plain", "kentaro \r\n@example.com x"),
        ("plain", "ken-taro=40example.com"),
        ("application/json", r#"{"m":"\u006b\u0065\u006etaro\u0040example.com"}"#),
        ("application/json", r#"{"m":"x\nkentaro@example.com"}"#),
        ("application/x-www-form-urlencoded", "to=ken%2Btaro%40example.com"),
        ("html", "ken<b>-taro</b>@example.com"),
        (
            "plain",
            "taro@example.com.au_.csv taro@example.com.au-.csv taro@example.com.au_x.csv taro@example.com.au__ x",
        ),
        ("plain", "taro@example.com.au taro@mail.example.com taro.z@example.com taro-2@example.com"),
    ] {
        let message = message_of(kind, body);
        for size in [1, 7, message.len()] {
            let hits = scan_in(&message, &needles(&[NEEDLE]), size).unwrap().hits;
            assert_eq!(hits, [], "{kind}: {body}");
        }
    }
}

/// An encoder. The function that it receives makes its choices: it returns a number below its argument.
type Encoder = fn(&str, &mut dyn FnMut(usize) -> usize) -> String;

fn letters(
    text: &str,
    chance: &mut dyn FnMut(usize) -> usize,
    write: impl Fn(char, usize) -> String,
) -> String {
    text.chars()
        .map(|letter| if chance(2) == 0 { letter.to_string() } else { write(letter, chance(4)) })
        .collect()
}

/// Inserts some of the pieces between letters, as `chance` decides.
fn between(text: &str, chance: &mut dyn FnMut(usize) -> usize, pieces: &[&str]) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        if !out.is_empty() && chance(4) == 0 {
            out.push_str(pieces[chance(pieces.len())]);
        }
        out.push(letter);
        out
    })
}

const ENCODERS: [(&str, &str, Encoder); 14] = [
    ("plain", "calendar", |text, chance| between(text, chance, &["\r\n ", "\r\n\t", "\n "])),
    ("calendar escapes", "calendar", |text, chance| {
        format!("x:{}\\n", ["\\n", "\\N", "\\t", "\\, "][chance(4)])
            + &between(text, chance, &["\r\n "])
            + "\\n"
    }),
    ("flowed", "plain", |text, chance| between(text, chance, &[" \r\n", " \n"])),
    ("quoted flowed", "plain", |text, chance| ">> x: ".to_owned() + &between(text, chance, &[" \r\n>> "])),
    ("quoted-printable", "plain", |text, chance| {
        let text = letters(text, chance, |letter, _| format!("={:02X}", u32::from(letter)));
        format!("x{}", ["=0A", "=0D=0A", "=20", "=E3=80=80"][chance(4)])
            + &text.replace("=4", "=\r\n=4")
            + "=0A"
    }),
    ("json", "application/json", |text, chance| {
        let before = ["\\n", "\\r\\n", "\\t", "\\\""][chance(4)];
        format!(
            "{{\"a\":\"x{before}{}\"}}",
            letters(text, chance, |letter, _| format!("\\u{:04x}", u32::from(letter)))
        )
    }),
    ("javascript", "javascript", |text, chance| {
        let before = ["\\b", "\\f", "\\v", "\\r"][chance(4)];
        let text = letters(text, chance, |letter, form| match form {
            0 => format!("\\x{:02x}", u32::from(letter)),
            1 => format!("\\u{{{:x}}}", u32::from(letter)),
            2 => format!("\\{:03o}", u32::from(letter)),
            _ => format!("\\\n{letter}"),
        });
        format!("'x{before}{text}';")
    }),
    ("css", "css", |text, chance| letters(text, chance, |letter, _| format!("\\{:x} ", u32::from(letter)))),
    ("percent", "plain", |text, chance| {
        letters(text, chance, |letter, _| format!("%{:02x}", u32::from(letter)))
    }),
    ("references", "html", |text, chance| {
        letters(text, chance, |letter, form| match form {
            0 => format!("&#{};", u32::from(letter)),
            1 => format!("&#x{:X};", u32::from(letter)),
            2 => format!("{letter}&shy;"),
            _ => format!("{letter}&NoBreak;"),
        })
    }),
    ("tags", "html", |text, chance| {
        between(
            text,
            chance,
            &["<b title='>'>", "<!-- x --!>", "<script>'<b>'</script>", "<style>@</style>", "<wbr>", "</ >"],
        )
    }),
    ("cdata", "xml", |text, chance| {
        "<![CDATA[".to_owned() + &between(text, chance, &["]]><![CDATA["]) + "]]>"
    }),
    ("data", "html", |text, chance| {
        let text = between(text, chance, &["<b>", "&shy;"]);
        format!("<a href=\"data:text/html;base64,{}\">", STANDARD.encode(text).replace('=', "&#61;"))
    }),
    ("invisible", "plain", |text, chance| {
        between(text, chance, &["\u{200b}", "\u{ad}", "\u{2060}", "\u{fe0f}", "\u{e0020}"])
    }),
];

proptest! {
    #[test]
    fn any_address_through_any_encoder(
        local in "[a-z0-9]{1,8}([._+-][a-z0-9]{1,6})?",
        domain in "[a-z][a-z0-9]{0,8}\\.(co\\.jp|example\\.org|com|de)",
        encoder in 0..ENCODERS.len(),
        choices in prop::collection::vec(0usize..64, 1..50),
        filler in prop::sample::select(vec!["", "x y z. ", "会議のお知らせ\r\n", "<p>x</p>\r\n"]),
        length in prop::sample::select(vec![0usize, 1, 500, 4_090, 5_000, 9_000]),
        size in 1usize..5_000,
    ) {
        let (name, kind, encode) = ENCODERS[encoder];
        let text = format!("{local}@{domain}");
        let mut at = 0;
        let mut chance = |most: usize| {
            at += 1;
            choices[at % choices.len()] % most
        };
        let filler = filler.repeat(length / filler.len().max(1));
        let message = message_of(kind, &format!("{filler} {} {filler}", encode(&text, &mut chance)));
        let hits = scan_in(&message, &needles(&[&text]), size).unwrap().hits;
        prop_assert!(!hits.is_empty(), "{} {}", name, String::from_utf8_lossy(&message));
        let whole = scan_in(&message, &needles(&[&text]), message.len()).unwrap().hits;
        prop_assert_eq!(&hits, &whole);
        // A longer address, which belongs to someone else, must not be a hit. This is required only of these
        // encoders: the others can split the longer address so that the octets show the shorter one.
        if !["quoted-printable", "json", "percent"].contains(&name) {
            return Ok(());
        }
        let near = match choices[0] % 4 {
            0 => format!("the-{text}"),
            1 => format!("x{text}"),
            2 => format!("old_{text}"),
            _ => format!("{local}.z@{domain}"),
        };
        let message = message_of(kind, &format!("{filler} {} {filler}", encode(&near, &mut chance)));
        let hits = scan_in(&message, &needles(&[&text]), size).unwrap().hits;
        prop_assert!(hits.is_empty(), "{} {}", name, String::from_utf8_lossy(&message));
    }
}

/// Wherever an encoder inserts a soft line break of quoted-printable, an address in the decoded text is
/// found. It is not found if the decoded text has a longer address, of which the undecoded octets show only a
/// part.
#[test]
fn soft_breaks_anywhere() {
    let longer =
        ["customer-taro@example.com", "xtaro@example.com", "the.taro@example.com", "old_taro@example.com"];
    let longer = longer.into_iter().chain(["taro@example.com.au", "taro@example.community"]);
    for (address, expected) in longer.map(|address| (address, false)).chain([(NEEDLE, true)]) {
        for (at, end) in (1..address.len()).flat_map(|at| [(at, "\r\n"), (at, "\n")]) {
            let (one, other) = address.split_at(at);
            let body = format!("to {one}={end}{other} x");
            let message = format!(
                "Content-Type: text/csv\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{body}\r\n"
            );
            let hits = scan_in(message.as_bytes(), &needles(&[NEEDLE]), 4_096).unwrap().hits;
            assert_eq!(!hits.is_empty(), expected, "{body:?}");
        }
    }
    // In a text that is not quoted-printable, `=` at the end of a line is an equals sign, which ends a word.
    assert_eq!(found(&message_of("plain", "to=\r\ntaro@example.com=\r\nx"), &[NEEDLE]), [NEEDLE]);
}

/// Strings in files of older programs: UTF-16 in both byte orders, at odd and even offsets, between Japanese
/// and English words. Read in the wrong byte order, `xtaro@` looks like `taro@`.
#[test]
fn utf_16_in_octets() {
    let texts =
        ["担当 参加者、", "the new ", "会場は本社三階です ご返信 へ", "「参加」 「担当」", "各位 宛先 "];
    for (before, after) in texts.iter().flat_map(|one| texts.iter().map(move |other| (one, other))) {
        for (address, low_first, shift) in [(NEEDLE, true), (NEEDLE, false), ("xtaro@example.com", true)]
            .into_iter()
            .flat_map(|(address, low_first)| [(address, low_first, 0), (address, low_first, 1)])
        {
            let text = format!("{}{before}{address} {after}\0", "各位 宛先 参加者 ".repeat(3));
            let units = text.encode_utf16();
            let wide: Vec<u8> = if low_first {
                units.flat_map(u16::to_le_bytes).collect()
            } else {
                units.flat_map(u16::to_be_bytes).collect()
            };
            let content = [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x05\x01\x02"[..10 + shift], &wide].concat();
            let message = super::tests::attached("application/vnd.ms-excel", "list.xls", &content);
            let hits = scan_in(&message, &needles(&[NEEDLE]), 4_096).unwrap().hits;
            assert_eq!(hits.is_empty(), address != NEEDLE, "{text} {low_first} {shift}");
        }
    }
}

/// What can follow a domain without a space: the next word, or the structure of an archive.
#[test]
fn words_and_octets_behind_a_domain() {
    for (name, expected) in [
        ("taro@example.com", true),
        ("taro@example.comTel", true),
        ("taro@example.comTEL03", true),
        ("taro@Example.Com", true),
        ("taro@example.com.au", false),
        ("taro@example.com.auTel", false),
        ("taro@example.co", false),
        ("taro@example.comte", false),
    ] {
        let zip = super::tests::zipped(&format!("mails/x {name}"), b"x");
        for message in [
            message_of("plain", &format!("to {name} x")),
            super::tests::attached("application/zip", "x.zip", &zip),
            super::tests::attached("application/octet-stream", "x.bin", &zip[zip.len() / 2..]),
        ] {
            let hits = scan_in(&message, &needles(&[NEEDLE]), 4_096).unwrap().hits;
            assert_eq!(!hits.is_empty(), expected, "{name} in {}", String::from_utf8_lossy(&message));
        }
    }
}

/// The time grows about linearly with the length of the text, whatever state the text puts the views in.
/// Quadratic work would take 64 times as long for a text that is eight times as long.
#[test]
fn time_grows_with_the_text() {
    let units = [
        "\r\n x",
        " \r\n>x",
        "=\r\n",
        "\\\n",
        "\\1",
        "\\n",
        "&lt;b",
        "&x",
        "%40",
        "+%40",
        "<b a='",
        "<script>",
        "<!--",
        "--!",
        "]]>",
        "<![CDATA[",
        "<template>",
        "</",
        "<a href='data:,",
        "\u{200b}",
        "\u{1}",
        "@x.jp.a",
        "-@x.jp",
        "&amp;lt;a b='data:,%",
    ];
    for kind in ["plain", "html"] {
        for unit in units {
            let time = |count: usize| {
                let message = message_of(kind, &unit.repeat(count / unit.len()));
                let start = Instant::now();
                scan_in(&message, &needles(&["a@x.jp"]), 8_192).unwrap();
                start.elapsed()
            };
            let (once, long) = (time(50_000), time(400_000));
            assert!(
                long < once * 40 + Duration::from_millis(400),
                "{kind} {unit:?}: {once:?}, eight times: {long:?}"
            );
        }
    }
}
