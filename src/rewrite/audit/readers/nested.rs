//! Tests of texts inside other texts: an address is found whatever program put the one text into the other.

use super::super::tests::{needles, scan_in};
use super::{NEEDLE, message_of};

/// Puts a text into another text. The program that reads the outer text undoes this.
type Outer = fn(&str) -> String;

/// Escapes a text as in a string of JSON, JavaScript and similar languages.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/");
    text.replace('\r', "\\r").replace('\n', "\\n").replace('\t', "\\t")
}

const OUTERS: [(&str, &str, Outer); 9] = [
    ("json", "application/json", |text| format!("{{\"m\":\"x {}\"}}", quoted(text))),
    ("json in ASCII", "application/json", |text| {
        let text = quoted(text).replace('<', "\\u003c").replace('>', "\\u003E").replace('&', "\\u0026");
        let letter = |letter: char| match letter {
            ' '..='~' => letter.to_string(),
            _ => letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .fold(String::new(), |all, half| all + &format!("\\u{half:04x}")),
        };
        format!("[\"x {}\"]", text.replace('=', "\\u003d").chars().map(letter).collect::<String>())
    }),
    ("javascript", "javascript", |text| format!("m = \"x {}\";", quoted(text).replace('<', "\\x3c"))),
    ("calendar", "calendar", |text| {
        let text = text.replace('\\', "\\\\").replace('\r', "").replace('\n', "\\n");
        let text = format!("DESCRIPTION:x {}", text.replace(',', "\\,").replace(';', "\\;"));
        let letters: Vec<char> = text.chars().collect();
        letters.chunks(60).map(String::from_iter).collect::<Vec<_>>().join("\r\n ")
    }),
    ("csv", "csv", |text| format!("1,\"x {}\"\r\n", text.replace('"', "\"\""))),
    ("xml", "xml", |text| {
        let text =
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        format!("<m>x {text}</m>")
    }),
    ("html", "html", |text| {
        format!("<pre>x {}</pre>", text.replace('&', "&amp;").replace('<', "&#60;").replace('"', "&#x22;"))
    }),
    ("percent", "plain", |text| {
        let letter = |byte: u8| {
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        };
        format!("https://x.example/?q=x%20{}", text.bytes().map(letter).collect::<String>())
    }),
    ("quoted-printable", "plain", |text| {
        let text = text.replace('=', "=3D").replace('\r', "=0D").replace('\n', "=0A").replace('\t', "=09");
        let letters: Vec<char> = text.chars().collect();
        letters.chunks(70).map(String::from_iter).collect::<Vec<_>>().join("=\r\n")
    }),
];

/// An address on a page is split by something that a browser does not show. The page is put into each format,
/// and the result into each format again.
#[test]
fn texts_in_texts() {
    in_all_texts(
        2,
        BETWEEN.iter().flat_map(|between| {
            let page = format!("<p>x</p>\r\n<p>taro{between}@example.com</p>\n");
            // Text that looks like a page is read as a page, whatever contains it.
            [format!("<html><head></head><body>{page}</body></html>"), page]
        }),
    );
}

/// Like [`texts_in_texts`], for an address that is split across lines, in each way that some program joins
/// again.
#[test]
fn cut_lines_in_texts() {
    let cuts = ["\r\n ", "\n\t", "=\r\n", "=\n", "\\\n", "\\\r\n", " \r\n", " \n"];
    let text = |cut: &str| format!("x:\r\nto: ta{cut}ro@exam{cut}ple.com\r\n");
    in_all_texts(2, cuts.map(text));
    // Base64 in vCards and LDIF files is folded, too.
    in_all_texts(1, ["\r\n ", "\n "].map(|cut| format!("mail::{cut}dGFyb0Bl{cut}eGFtcGxl{cut}LmNvbQ==\r\n")));
    in_all_texts(1, ["\\\n    ", "\\\r\n  "].map(text));
}

/// Like [`texts_in_texts`], for letters that are escaped or that UTF-16 writes as two surrogates.
#[test]
fn letters_in_texts() {
    in_all_texts(2, ["\u{1d42d}aro@\u{1d41e}xample.com", "ｔaro@exampl\u{1d556}.com"].map(str::to_owned));
    in_all_texts(
        1,
        [
            "x\\vt\\x61ro\\u{40}exam\\\nple.com",
            "x\\ntaro\\u0040example.com",
            "ta=72o=40example.com",
            "ta%72o%40example.com",
            "ta&#114;o&commat;example.com",
        ]
        .map(str::to_owned),
    );
}

/// Asserts that the address is found when each text is put into each of [`OUTERS`], and, if `depth` is 2, the
/// result into each of them again.
fn in_all_texts(depth: usize, texts: impl IntoIterator<Item = String>) {
    let mut missed = Vec::new();
    for text in texts {
        for (first, kind, wrap) in OUTERS {
            let once = wrap(&text);
            let mut cases = vec![(first.to_owned(), kind, once.clone())];
            let around = |(name, kind, wrap): (&str, &'static str, Outer)| {
                (format!("{first} > {name}"), kind, wrap(&once))
            };
            if depth > 1 {
                cases.extend(OUTERS.map(around));
            }
            for (name, kind, body) in cases {
                let message = message_of(kind, &body);
                if scan_in(&message, &needles(&[NEEDLE]), 4_096).unwrap().hits.is_empty() {
                    missed.push(format!("{name}: {text:?}"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

/// What can stand inside an address on a page although a browser does not show it.
const BETWEEN: [&str; 16] = [
    "<b>",
    "<b\nclass=\"x\"\n>",
    "<b title=\"x > y\">",
    "<b title='x > y'>",
    "<script>var a = '<b>';</script>",
    "<script>//</script\n>",
    "<script\ntype=\"text/javascript\">x</script>",
    "<style>p > b { color: red }</style\t>",
    "<STYLE type=text/css><!-- x --></STYLE >",
    "<template>x</template>",
    "<template\r\nid=x>x</template\r\n>",
    "<!-- x > y -->",
    "<!--[if mso]><![endif]-->",
    "<wbr\n/>",
    "&shy;",
    "&#8203;<span\n>&#x200b;</span>",
];
