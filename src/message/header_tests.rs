use super::*;
use proptest::prelude::*;

fn parse(text: &'static str) -> Result<Header, HeaderError> {
    Header::parse(Bytes::from_static(text.as_bytes()))
}

#[test]
fn fields_are_found_and_decoded() {
    let header = parse(concat!(
        "From: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <y@example.jp>\r\n",
        "Subject:  =?utf-8?B?5bGx?=\r\n =?utf-8?B?55Sw?= \r\n",
        "Bcc : b@example.jp\r\n",
        "To:\ta@x,\r\n\tb@y\r\n \r\n",
        "X-Empty:\r\n",
        "to: c@z",
    ))
    .unwrap();
    let names: Vec<&[u8]> = header.fields().iter().map(|field| header.name(field)).collect();
    let expected: [&[u8]; 6] = [b"From", b"Subject", b"Bcc", b"To", b"X-Empty", b"to"];
    assert_eq!(names, expected);
    assert_eq!(header.text("subject").as_deref(), Some("山田"));
    assert_eq!(header.text("FROM").as_deref(), Some("山田 <y@example.jp>"));
    assert_eq!(header.text("bcc").as_deref(), Some("b@example.jp"));
    assert_eq!(header.text("x-empty").as_deref(), Some(""));
    assert_eq!(header.text("cc"), None);
    let to: Vec<&[u8]> = header.named("To").map(|field| header.body(field)).collect();
    let expected: [&[u8]; 2] = [b"\ta@x,\r\n\tb@y\r\n ", b" c@z"];
    assert_eq!(to, expected);
}

#[test]
fn what_is_no_header_is_refused() {
    let no_field = |line, excerpt: &str| HeaderError::NoField { line, excerpt: excerpt.to_owned() };
    let cases = [
        (" leading: fold\r\n", no_field(1, " leading: fold")),
        (
            "To: a@b\r\nFrom a@b Mon Jan  1 00:00:00 2026\r\n",
            no_field(2, "From a@b Mon Jan  1 00:00:00 2026"),
        ),
        ("From a@b\r\nno colon here\r\n", no_field(2, "no colon here")),
        ("From a@b\r\n fold\r\n", no_field(2, " fold")),
        ("From a@b\rBcc: c\r\n", HeaderError::Control { line: 1 }),
        ("To: a@b\r\nno colon here\r\n", no_field(2, "no colon here")),
        ("To: a@b\r\n\r\nX: y\r\n", no_field(2, "")),
        (": no name\r\n", no_field(1, ": no name")),
        ("T\u{f6}: x\r\n", no_field(1, "T\u{f6}: x")),
        ("To: a\r\n\tb\rBcc: c\r\n", HeaderError::Control { line: 2 }),
        ("To: a\nBcc: c\r\n", HeaderError::Control { line: 1 }),
        ("To: a\0\r\n", HeaderError::Control { line: 1 }),
        ("To: a\r", HeaderError::Control { line: 1 }),
        ("To: a\r\r\n", HeaderError::Control { line: 1 }),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).unwrap_err(), expected, "{text:?}");
    }
    let many = Bytes::from("a:\r\n".repeat(MAX_FIELDS + 1));
    assert_eq!(Header::parse(many).unwrap_err(), HeaderError::TooManyFields(MAX_FIELDS));
    assert!(parse("").unwrap().fields().is_empty());
}

/// Postfix and others drop the separator that an mbox file puts before the header.
#[test]
fn separators_of_mailbox_files_belong_to_no_field() {
    for before in ["From a@b Mon Jan  1 00:00:00 2026\r\n", ">From a@b\r\n", ">From a\r\nFrom b\r\n"] {
        let text = format!("{before}To: c@d\r\nFrom: e@f\r\n");
        let header = Header::parse(Bytes::from(text)).unwrap();
        let names: Vec<&[u8]> = header.fields().iter().map(|field| header.name(field)).collect();
        assert_eq!(names, [&b"To"[..], b"From"], "{before}");
    }
}

proptest! {
    #[test]
    fn the_fields_tile_the_block(block in "([A-Za-z-]{1,6}[ \t]{0,2}:[ -~ぁ-ん]{0,10}(\r\n[ \t][ -~]{0,8}){0,3}\r\n){0,8}") {
        let header = Header::parse(Bytes::from(block.clone())).unwrap();
        let mut at = 0;
        for field in header.fields() {
            prop_assert_eq!(field.whole.start, at);
            prop_assert_eq!(field.name.start, at);
            prop_assert!(field.name.end < field.body.start && field.body.end <= field.whole.end);
            at = field.whole.end;
        }
        prop_assert_eq!(at, block.len());
    }

    #[test]
    fn any_block_is_tiled_or_refused(block in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..60)) {
        if let Ok(header) = Header::parse(Bytes::from(block.clone())) {
            let whole: Vec<u8> = header.fields().iter().flat_map(|field| block[field.whole.clone()].to_vec()).collect();
            prop_assert_eq!(whole, block);
        }
    }
}
