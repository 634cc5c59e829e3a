use super::*;
use proptest::prelude::*;

#[test]
fn words() {
    let cases: &[(&[u8], &str)] = &[
        (b"plain", "plain"),
        (b"=?UTF-8?B?5bGx55Sw?=", "山田"),
        (b"=?utf-8?q?caf=C3=A9_au_lait?=", "café au lait"),
        (b"=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?=", "山田"),
        // One word a line, each with its own shift state: joined, without the white space of the fold.
        (b"=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?=\r\n =?ISO-2022-JP?B?GyRCQkBPOhsoQg==?=", "山田太郎"),
        // A character split between two words: RFC 2047 §5 forbids it, but clients do it.
        (b"=?UTF-8?B?5bE=?= =?UTF-8?B?seeUsA==?=", "山田"),
        (b"=?ISO-2022-JP?B?GyRCOzM=?= =?ISO-2022-JP?B?RUQbKEI=?=", "山田"),
        (b"=?ISO-2022-JP?B?GyRCOw==?= =?ISO-2022-JP?B?M0VEGyhC?=", "山田"),
        (b"=?Shift_JIS?B?jlKTYw==?=", "山田"),
        (b"=?cp932?Q?=8ER=93c?=", "山田"),
        (b"=?EUC-JP?B?u7PFxA==?=", "山田"),
        (b"=?utf-8*ja?B?5bGx55Sw?=", "山田"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?x-nobody?q?a?=", "=?x-nobody?q?a?="),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?never ends", "=?utf-8?q?never ends"),
        (b"=?=?utf-8?q?b?=", "=?b"),
        (b"=?utf-8?q?=zz=4?=", "=zz=4"),
        ("生の山田".as_bytes(), "生の山田"),
        (b"\x8e\x52\x93\x63", "山田"),
        (b"\xbb\xb3\xc5\xc4", "山田"),
        (b"\x1b$B;3ED\x1b(B", "山田"),
        (b"folded\r\n text", "folded text"),
        (b"", ""),
    ];
    for (input, expected) in cases {
        assert_eq!(decode_words(input), *expected, "{:?}", String::from_utf8_lossy(input));
    }
}

/// A field body, its value, its parameters.
type Case<'a> = (&'a [u8], &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn parameters() {
    let cases: &[Case<'_>] = &[
        (b" text/plain; charset=UTF-8", "text/plain", &[("charset", "UTF-8")]),
        (
            b" TEXT/Plain (what; a comment); Charset=\"iso-2022-jp\";",
            "text/plain",
            &[("charset", "iso-2022-jp")],
        ),
        (b"attachment; filename=\"a;b \\\"c\\\".txt\"", "attachment", &[("filename", "a;b \"c\".txt")]),
        (b"attachment; filename*=UTF-8''%E5%90%8D%E7%B0%BF.xlsx", "attachment", &[("filename", "名簿.xlsx")]),
        (
            b"attachment;\r\n filename*0*=ISO-2022-JP''%1B$B%4C%3E%4A;\r\n filename*1*=%6D%1B(B.csv",
            "attachment",
            &[("filename", "名簿.csv")],
        ),
        // Continuations out of order, one of them plain.
        (
            b"attachment; filename*1=b.txt; filename*0*=utf-8'ja'%E5%90%8D",
            "attachment",
            &[("filename", "名b.txt")],
        ),
        // Encoded-words in a parameter, as Outlook and Japanese clients write them.
        (
            b"attachment; filename=\"=?ISO-2022-JP?B?GyRCTD5KbRsoQi54bHN4?=\"",
            "attachment",
            &[("filename", "名簿.xlsx")],
        ),
        (b"x; name=\"=?utf-8?B?5ZCN?=\r\n =?utf-8?B?57C/?=\"", "x", &[("name", "名簿")]),
        (b"attachment; filename=\x96\xbc\x95\xeb.csv", "attachment", &[("filename", "名簿.csv")]),
        (b"attachment; filename=report (1).pdf", "attachment", &[("filename", "report .pdf")]),
        (b"attachment; filename=report(1).pdf", "attachment", &[("filename", "report(1).pdf")]),
        (b"a; b=1; b=2", "a", &[("b", "1"), ("b", "2")]),
        (b"a; junk; =x; c=\"open", "a", &[("c", "open")]),
        (b"", "", &[]),
    ];
    for (input, value, expected) in cases {
        let (got, parameters) = decode_parameters(input);
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let shown = String::from_utf8_lossy(input);
        assert_eq!((got.as_str(), parameters.as_slice()), (*value, *expected), "{shown}");
    }
}

#[test]
fn charsets_by_the_names_clients_use() {
    for name in [
        "ISO-2022-JP",
        "iso-2022-jp-ms",
        "CP50221",
        "Shift_JIS",
        "cp932",
        "Windows-31J",
        "eucJP",
        "us-ascii",
        "GB2312",
        "big5",
        "ks_c_5601-1987",
        "koi8-r",
    ] {
        assert!(Charset::named(name.as_bytes()).is_some(), "{name}");
    }
    assert!(Charset::named(b"x-nobody").is_none());
}

proptest! {
    #[test]
    fn any_bytes_give_some_text(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_words(&bytes);
        let _ = decode_parameters(&bytes);
    }

    #[test]
    fn near_words_give_some_text(text in "(=\\?(utf-8|iso-2022-jp|x)\\?[BQbqx]\\?[A-Za-z0-9=_+/ ]{0,12}\\?=|[ \\r\\n;=?*'%\"(]|[a-z]{1,3}){0,20}") {
        let _ = decode_words(text.as_bytes());
        let _ = decode_parameters(text.as_bytes());
    }

    #[test]
    fn text_without_words_stays(text in "[a-zA-Z0-9ぁ-ん一-三 ]{0,40}") {
        prop_assert_eq!(decode_words(text.as_bytes()), text);
    }
}
