//! What the letters of a font are, and text that nothing tells.

use super::tests::{file, read, shows, stream};

/// A page that draws this with a font of these entries, and that font's `4 0 R`.
fn page(font: &str, other: &str, content: &str) -> Vec<u8> {
    file(&[
        "<</Type/Page/Contents 2 0 R/Resources<</Font<</F 3 0 R>>>>>>".to_owned(),
        stream("", &format!("BT /F 9 Tf {content} ET")),
        format!("<</Type/Font/BaseFont/X{font}>>"),
        other.to_owned(),
    ])
}

fn named(file: &[u8]) -> bool {
    !read(file).1.opaque.is_empty()
}

/// Glyphs that are only numbered show nothing that could be read; those of ordinary fonts are not named.
#[test]
fn glyphs_without_meaning() {
    for (names, codes, is_named) in [
        ("[1/g1/g2/g3]", "010203", true),
        ("[65/cid7/G8/glyph9]", "414243", true),
        ("[65/index0007/c4a/gid00012]", "414243", true),
        ("[65/c65/c66/c67]", "414243", false),
        ("[65/G41/G42/G43]", "414243", false),
        ("[228/g228/g229/g230]", "e4e5e6", false),
        ("[1/fi/endash/bullet/Aacute/afii10017/a20/SF100000/uni3042/u1F600]", "0102030405060708", false),
        ("[1/caron/cent/g/c/cedilla/Gbreve/C/G]", "0102030405060708", false),
        ("[1/g1/g2/g3]", "414243", false),
    ] {
        for kind in ["TrueType", "Type1", "Type3"] {
            let font = format!("/Subtype/{kind}/Encoding<</Differences {names}>>");
            assert_eq!(named(&page(&font, "null", &format!("<{codes}> Tj"))), is_named, "{kind} {names}");
        }
    }
    let map = stream("", "1 beginbfrange <01> <03> <0061> endbfrange");
    let font = "/Subtype/Type3/Encoding<</Differences[1/g1/g2/g3]>>/ToUnicode 4 0 R";
    let (texts, facts) = read(&page(font, &map, "<010203> Tj"));
    assert!(shows(&texts, "abc") && facts.opaque.is_empty(), "{texts:?} {facts:?}");
}

#[test]
fn names_of_letters() {
    let font = "/Subtype/Type1/Encoding<</Differences 4 0 R>>";
    let (texts, _) = read(&page(font, "[1/a/at/b/f_f_i/ffi/c.alt/uni0064]", "<01020304050607> Tj"));
    assert!(shows(&texts, "a@bffifficd"), "{texts:?}");
    let (texts, _) = read(&page("", "null", "<616e6e65ad6d61726965407840> Tj"));
    assert!(shows(&texts, "anne-marie@x@"), "{texts:?}");
}

/// A font without any names, whose glyphs are numbered as they came.
#[test]
fn a_font_without_names() {
    let font = "/Subtype/TrueType/FontDescriptor<</Flags 4>>";
    assert!(named(&page(font, "null", "<0102030405060708> Tj")));
    assert!(!named(&page(font, "null", "(kept its codes) Tj")));
    assert!(!named(&page(font, "null", "<0a0d0941> Tj")));
    // Fonts of TeX have letters there, and names of their own.
    assert!(!named(&page("/Subtype/Type1", "null", "<0102030405060708> Tj")));
    assert!(!named(&page("/Subtype/TrueType/Encoding/WinAnsiEncoding", "null", "<0102030405060708> Tj")));
}

/// Signs that stand alone are no address, unless they are many, or within a word.
#[test]
fn signs_without_meaning() {
    let font = "/Subtype/Type0/Encoding/Identity-H/DescendantFonts[<</DW 500>>]";
    let row = |code: u8, row: usize| {
        let plain = "/G 9 Tf 20 0 Td (an item) Tj /F 9 Tf -20 0 Td";
        format!("1 0 0 1 50 {} Tm <00{code:02x}> Tj {plain} ", 700 - 12 * row)
    };
    let rows = |codes: &[u8]| codes.iter().zip(0..).map(|(code, at)| row(*code, at)).collect::<String>();
    assert!(!named(&page(font, "null", &rows(&[3; 40]))));
    assert!(!named(&page(font, "null", &rows(&[3, 0x70, 0xa7, 3, 0xa7]))));
    assert!(named(&page(font, "null", &rows(&[3, 4, 5, 6, 7, 8]))));
    assert!(named(&page(font, "null", "<000300040005> Tj")));
    assert!(named(&page(font, "null", "/G 9 Tf (keiko) Tj /F 9 Tf <0003> Tj /G 9 Tf (example.jp) Tj")));
}
