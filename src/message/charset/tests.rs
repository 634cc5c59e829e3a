use super::*;
use proptest::prelude::*;

/// Every codec of Python: its names, whether its address is in full-width letters, and its octets.
const SAMPLES: &str = include_str!("samples.txt");

fn octets(digits: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(digit).collect()
}

fn wide(text: &str) -> String {
    text.chars().map(|letter| char::from_u32(u32::from(letter) + 0xfee0).unwrap()).collect()
}

#[test]
fn every_name_that_python_knows_is_read_as_python_writes_it() {
    let mut names = 0;
    for line in SAMPLES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let text = "user@host.example";
        let text = if fields[1] == "wide" { wide(text) } else { text.to_owned() };
        for name in fields[0].split(' ') {
            names += 1;
            for name in [name.to_owned(), name.to_uppercase(), format!(" '{name}' "), format!("x-{name}*ja")]
            {
                let charset =
                    Charset::named(name.as_bytes()).unwrap_or_else(|| panic!("`{name}` is not known"));
                assert_eq!(charset.decode(&octets(fields[2])), text, "{name}");
            }
        }
    }
    assert!(names > 700, "{names}");
}

#[test]
fn names_that_vendors_write() {
    for (names, octets) in [
        (
            "Shift_JIS x-sjis CP932 cp932 MS932 x-ms-cp932 sjis-win Windows-31J cswindows31j windows-932 IBM-943 \
             x-IBM943 ms_kanji",
            &b"\x82\x81\x81\x97\x82\x98"[..],
        ),
        ("EUC-JP eucJP-ms eucJP-win CP51932 x-euc-jp ujis IBM-33722", b"\xa3\xe1\xa1\xf7\xa3\xf8"),
        (
            "ISO-2022-JP csISO2022JP ISO-2022-JP-MS CP50220 cp50221 CP50222 x-windows-iso2022jp JIS iso-2022-jp-3",
            b"\x1b$B#a!w#x\x1b(B",
        ),
        ("GB2312 GBK CP936 MS936 x-gbk EUC-CN GB18030 windows-54936", b"\xa3\xe1\xa3\xc0\xa3\xf8"),
        ("EUC-KR KS_C_5601-1987 CP949 MS949 UHC windows-949", b"\xa3\xe1\xa3\xc0\xa3\xf8"),
        ("Big5 CP950 x-x-big5 Big5-HKSCS cn-big5", b"\xa2\xe9\xa2\x49\xa3\x41"),
        ("ISO-2022-KR csISO2022KR", b"\x1b$)C\x0e#a#@#x\x0f"),
        ("ISO-2022-CN", b"\x1b$)A\x0e#a#@#x\x0f"),
        ("HZ-GB-2312 HZ", b"~{#a#@#x~}"),
        ("johab CP1361", b"\xda\x71\xda\x50\xda\x9a"),
        ("UTF-7 unicode-1-1-utf-7 csUTF7", b"+/0H/IP9Y-"),
        ("UTF-16 UCS-2 csUnicode ISO-10646-UCS-2", b"\x41\xff\x20\xff\x58\xff"),
        ("UTF-16BE UTF-16 UnicodeFFFE", b"\xfe\xff\xff\x41\xff\x20\xff\x58"),
        ("UTF-32 UCS-4", b"\0\0\xfe\xff\0\0\xff\x41\0\0\xff\x20\0\0\xff\x58"),
        ("utf8mb4 CP65001 cesu-8", b"\xef\xbd\x81\xef\xbc\xa0\xef\xbd\x98"),
    ] {
        for name in names.split_whitespace() {
            let charset = Charset::named(name.as_bytes()).unwrap_or_else(|| panic!("`{name}` is not known"));
            assert_eq!(charset.decode(octets), "ａ＠ｘ", "{name}");
        }
    }
    for (names, octets) in [
        (
            "IBM037 ibm-37 csIBM037 CP00037 ebcdic-cp-us IBM500 IBM1047 IBM01140 ebcdic-us-37+euro",
            &b"\x81\x7c\xa7"[..],
        ),
        (
            "IBM437 cp850 IBM00858 VISCII TCVN x-mac-roman ISO-8859-16 KOI8-U tis-620 us-ascii 646 unknown-8bit x-unknown",
            b"a@x",
        ),
    ] {
        for name in names.split_whitespace() {
            let charset = Charset::named(name.as_bytes()).unwrap_or_else(|| panic!("`{name}` is not known"));
            assert_eq!(charset.decode(octets), "a@x", "{name}");
        }
    }
    for name in ["x-user-defined-9", "x-klingon", "cp99999", "JISX0213-2000-PLAN3", "", "  ", "x-", "scsu"] {
        assert_eq!(Charset::named(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn shifts_that_shift_nothing() {
    for (octets, text) in [
        (&b"us\x1b(Ber@\x1b$B\x1b(Bh\x1b(J\x1b(Bx"[..], "user@hx"),
        (b"\x1b$B\x1b$B#a\x1b$B!w\x1b(B\x1b$B#x\x1b(B", "ａ＠ｘ"),
        (b"\x1b$@;3\x1b(J@x", "山@x"),
        (b"\x0e1\x0f@x", "ｱ@x"),
        (b"\x1b(I1\x1b(B@x\xb1", "ｱ@xｱ"),
        (b"\x1b&@\x1b$B;3\x1b(B@x", "山@x"),
        // Each line begins in ASCII again.
        (b"\x1b$B;3\r\na@x", "山\r\na@x"),
        (b"\x1b$B#a\x1b$(Q\"1\x1b$B#x\x1b(B", "ａ－ｘ"),
        (b"~~ ~{;3~} ~\na@x", "~~ ~{;3~} ~\na@x"),
    ] {
        assert_eq!(Charset::ISO_2022_JP.decode(octets), text);
    }
    assert_eq!(Charset::named(b"hz").unwrap().decode(b"~~ ~\na~{#a~}~x"), "~ aａ~x");
}

fn any_charset() -> impl Strategy<Value = Charset> {
    let names: Vec<&str> = SAMPLES.lines().filter_map(|line| line.split([' ', '\t']).next()).collect();
    proptest::sample::select(names).prop_map(|name| Charset::named(name.as_bytes()).unwrap())
}

proptest! {
    #[test]
    fn where_octets_are_cut_does_not_matter(
        charset in any_charset(),
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"\x1b$(B@~{}\x0e\x0f\n+A-"[..])], 0..80),
        cut in 0usize..80,
    ) {
        let (first, rest) = bytes.split_at(cut.min(bytes.len()));
        let mut pieces = String::new();
        let mut decoder = charset.decoder();
        decoder.feed(first, false, &mut pieces);
        decoder.feed(rest, true, &mut pieces);
        let mut whole = String::new();
        charset.decoder().feed(&bytes, true, &mut whole);
        prop_assert_eq!(&pieces, &whole);
        // Octet by octet no run is taken at once.
        let (mut singly, mut decoder) = (String::new(), charset.decoder());
        for octet in &bytes {
            decoder.feed(&[*octet], false, &mut singly);
        }
        decoder.feed(&[], true, &mut singly);
        prop_assert_eq!(singly, whole);
    }
}
