//! Streams of a PDF: what each is, how it is packed, where it ends.

use super::tests::{file, read, shows, stream};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fmt::Write as _;
use std::io::Write as _;

const ADDRESS: &str = "keiko.nakamura@example.go.jp";

/// A file of one empty page and these objects, numbered from 3.
fn beside(catalog: &str, more: &[String]) -> Vec<u8> {
    let first = [format!("<</Type/Catalog{catalog}>>"), "<</Type/Page>>".to_owned()];
    file(&[&first, more].concat())
}

/// A file with one stream of octets.
fn octets(entries: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("%PDF-1.7\n1 0 obj<<{entries}/Length {}>>stream\n", data.len());
    [head.as_bytes(), data, b"\nendstream endobj\n"].concat()
}

fn packed(data: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(data).unwrap();
    packer.finish().unwrap()
}

/// The same without compression, so that what is packed can be seen.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::none());
    packer.write_all(data).unwrap();
    packer.finish().unwrap()
}

/// What stands in streams that are no drawings is read, whatever names them.
#[test]
fn streams_beside_the_pages() {
    let xml = format!("<xfa:data><Mail>{ADDRESS}</Mail></xfa:data>").replace('<', " <").replace('>', "> ");
    let script = format!("app.mailMsg(false, \"x\", \" {ADDRESS} \");");
    let table = stream("/Subtype/text#2Fcsv", &format!("Keiko , {ADDRESS} , 1"));
    let spec = |key: &str| format!("<</Type/Filespec/F(l.csv)/EF<<{key} 4 0 R>>>>");
    let private = stream("", &format!("{{note: {ADDRESS} (no drawing) }}"));
    for (catalog, objects) in [
        ("/AcroForm<</XFA 3 0 R>>", vec![stream("", &xml)]),
        ("/AcroForm<</XFA[(datasets) 3 0 R]>>", vec![stream("", &xml)]),
        ("/AcroForm<</XFA 4 0 R>>", vec![stream("", &xml), "[(datasets) 3 0 R]".to_owned()]),
        ("/OpenAction<</S/JavaScript/JS 3 0 R>>", vec![stream("", &script)]),
        ("/AcroForm<</Fields[<</FT/Tx/V 3 0 R>>]>>", vec![stream("", &script)]),
        ("/Names<</EmbeddedFiles<</Names[(l.csv) 3 0 R]>>>>", vec![spec("/F"), table.clone()]),
        ("", vec![spec("/UF"), table.clone()]),
        ("", vec!["<</Type/Filespec/EF 5 0 R>>".to_owned(), table.clone(), "<</F 4 0 R>>".to_owned()]),
        ("", vec!["<</Type/Filespec/RF<</F[(a) 4 0 R]>>>>".to_owned(), table]),
        ("/PieceInfo<</X<</Private 3 0 R>>>>", vec![private]),
    ] {
        let (texts, facts) = read(&beside(catalog, &objects));
        assert!(shows(&texts, ADDRESS), "{catalog} {objects:?}\n{texts:?}");
        assert!(facts.opaque.is_empty() && facts.problems.is_empty(), "{catalog} {facts:?}");
    }
}

/// A file in the document is read by its name and its content, and named where it cannot be.
#[test]
fn attached_files() {
    let attached = |name: &str, entries: &str, content: &str| {
        let spec = format!("<</F({name})/EF<</F 4 0 R>>>>");
        read(&beside("", &[spec, stream(entries, content)]))
    };
    let (texts, _) = attached("a.html", "", " keiko.nakamura&#64;example.go.jp ");
    assert!(shows(&texts, "keiko.nakamura&#64;example.go.jp"), "{texts:?}");
    let (_, facts) = attached("a.bin", "", "\u{1}\u{2}\u{3}");
    assert_eq!(facts.opaque.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["a.bin"]);
    for entries in ["/Filter/Crypt", "/Filter/DCTDecode", "/Filter/FlateDecode", "/Filter 9 0 R"] {
        assert_eq!(attached("a.txt", entries, "plain").1.opaque.len(), 1, "{entries}");
    }
    // It is read though it is also the content of a page, or says that it is a picture.
    let spec = "<</F(a.bin)/EF<</F 4 0 R>>>>".to_owned();
    for (page, entries) in [("<</Type/Page/Contents 4 0 R>>", ""), ("<<>>", "/Subtype/Image")] {
        let (_, facts) = read(&beside("", &[spec.clone(), stream(entries, "\u{1}\u{2}"), page.to_owned()]));
        assert_eq!(facts.opaque.len(), 1, "{page} {facts:?}");
    }
}

/// What is drawn is read as drawn, whatever its dictionary says beside that.
#[test]
fn drawings_of_any_kind() {
    let drawn = "BT (keiko.naka) Tj (mura@example.go.jp) Tj ET";
    for entries in
        ["/Subtype/Form", "/Subtype/Form/Length1 9", "/Type/Metadata/Subtype/Form", "/PatternType 1", ""]
    {
        let (texts, facts) = read(&beside("", &["null".to_owned(), stream(entries, drawn)]));
        assert!(shows(&texts, ADDRESS) && facts.opaque.is_empty(), "{entries} {texts:?} {facts:?}");
    }
    let (texts, _) = read(&beside("", &["<</EF 4 0 R>>".to_owned(), stream("/Subtype/Form", drawn)]));
    assert!(shows(&texts, ADDRESS), "{texts:?}");
    // Glyphs have names of one letter, like the values of fields.
    let objects = ["<</CharProcs<</V 4 0 R>>>>".to_owned(), stream("", "9 0 0 0 9 9 d1 BI ID \u{1}\u{2} EI")];
    let (_, facts) = read(&beside("", &objects));
    assert!(facts.opaque.is_empty(), "{facts:?}");
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| format!("{out}{byte:02x}")) + ">"
}

/// Filters stand in the stream, elsewhere, or partly elsewhere. What is packed otherwise is named.
#[test]
fn filters_wherever_they_stand() {
    let content = format!("BT /F 9 Tf ({ADDRESS}) Tj ET");
    let page = |entries: &str, content: &str| {
        file(&[
            "<</Type/Page/Contents 2 0 R>>".to_owned(),
            stream(entries, content),
            "/ASCIIHexDecode".to_owned(),
            "[3 0 R]".to_owned(),
            "[/ASCIIHexDecode 3 0 R]".to_owned(),
        ])
    };
    for filter in ["/AHx", "[/ASCIIHexDecode]", "3 0 R", "[3 0 R]", "4 0 R", "null"] {
        let data = if filter == "null" { content.clone() } else { hex(&content) };
        let (texts, facts) = read(&page(&format!("/Filter {filter}"), &data));
        assert!(shows(&texts, ADDRESS) && facts.opaque.is_empty(), "{filter} {texts:?} {facts:?}");
    }
    let (texts, _) = read(&page("/Filter 5 0 R", &hex(&hex(&content))));
    assert!(shows(&texts, ADDRESS), "{texts:?}");
    for filter in ["/Other", "9 0 R", "7", "[/AHx/AHx/AHx/AHx/AHx]", "/FlateDecode", "/LZWDecode"] {
        let (_, facts) = read(&page(&format!("/Filter {filter}"), "(x) Tj"));
        assert!(!facts.opaque.is_empty(), "{filter}");
    }
    let (_, facts) = read(&page("/Filter/DCTDecode", "picture"));
    assert!(facts.opaque.is_empty(), "{facts:?}");
}

/// A file of differences is read; of a kind of them that is not known, it is named.
#[test]
fn predictors() {
    let rows: Vec<&[u8]> = b"Write to keiko.nakamura@example.go.jp today! ".chunks(9).collect();
    let up = |row: usize, column: usize| if row == 0 { 0 } else { rows[row - 1][column] };
    let (mut png, mut tiff) = (Vec::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        png.push(2);
        png.extend(row.iter().enumerate().map(|(column, byte)| byte.wrapping_sub(up(number, column))));
        let left = std::iter::once(&0).chain(*row);
        tiff.extend(row.iter().zip(left).map(|(byte, left)| byte.wrapping_sub(*left)));
    }
    let attached = |data: &[u8], parameters: &str| {
        let entries = format!("/Type/EmbeddedFile/Filter/FlateDecode/DecodeParms<<{parameters}>>");
        let (texts, facts) = read(&octets(&entries, &packed(data)));
        (shows(&texts, ADDRESS), facts.opaque.is_empty())
    };
    assert_eq!(attached(&png, "/Predictor 12/Columns 9"), (true, true));
    assert_eq!(attached(&tiff, "/Predictor 2/Columns 9"), (true, true));
    for other in ["/Predictor 2/Columns 9/BitsPerComponent 4", "/Predictor 5", "/Predictor 12/Columns 9 0 R"]
    {
        assert_eq!(attached(&tiff, other), (false, false), "{other}");
    }
    let huge = "/Predictor 15/Columns 99999999999/Colors 99999999999/BitsPerComponent 99999999999";
    assert!(!attached(&png, huge).0);
}

/// A long file is read to its end, and a still longer one named, as is one that is damaged.
#[test]
fn long_and_damaged_streams() {
    let entries = "/Type/EmbeddedFile/Filter/FlateDecode";
    let long = |lines: usize| {
        let lines = (0..lines).fold(String::new(), |mut text, number| {
            let _ = writeln!(text, "line {number} of some text");
            text
        });
        packed(format!("{lines}{ADDRESS}").as_bytes())
    };
    let (texts, facts) = read(&octets(entries, &long(450_000)));
    assert!(shows(&texts, ADDRESS) && facts.opaque.is_empty(), "{facts:?}");
    let (_, facts) = read(&octets(entries, &long(1_300_000)));
    assert!(!facts.opaque.is_empty() && !facts.over_budget.is_empty(), "{facts:?}");
    // A drawing that is too long is not cut without a word.
    let (_, facts) = read(&octets("/Filter/FlateDecode", &long(700_000)));
    assert!(!facts.opaque.is_empty() && !facts.over_budget.is_empty(), "{facts:?}");
    let whole = long(1_000);
    let mut broken = whole.clone();
    broken[whole.len() / 2..whole.len() / 2 + 20].fill(0xff);
    for entries in [entries, "/Filter/FlateDecode", "/Type/ObjStm/Filter/FlateDecode"] {
        assert!(!read(&octets(entries, &broken)).1.opaque.is_empty(), "{entries}");
        assert!(!read(&octets(entries, &whole[..whole.len() / 2])).1.opaque.is_empty(), "{entries}");
        // The checksum says nothing, and may be missing.
        assert!(read(&octets(entries, &whole[..whole.len() - 4])).1.opaque.is_empty(), "{entries}");
        assert!(read(&octets(entries, b"\n")).1.opaque.is_empty(), "{entries}");
    }
}

/// The length of a stream may stand elsewhere, and the word that ends it in its content.
#[test]
fn lengths_that_stand_elsewhere() {
    let data = stored(format!("endstream {ADDRESS} ").as_bytes());
    let length = data.len();
    let tail = format!(
        "3 0 obj {length} endobj 4 0 obj<</Type/ObjStm/N 1/First 4>>stream\n5 0 {length}\nendstream endobj"
    );
    for number in [3, 5] {
        let head = format!("%PDF-1.7\n1 0 obj<</Filter/FlateDecode/Length {number} 0 R>>stream\n");
        let (texts, facts) =
            read(&[head.as_bytes(), &data, b"   \n\n\nendstream endobj\n", tail.as_bytes()].concat());
        assert!(shows(&texts, ADDRESS) && facts.opaque.is_empty(), "{number} {texts:?} {facts:?}");
    }
}

/// Objects that name the same octets, or the same lists, again and again cost what they take.
#[test]
fn octets_named_again_and_again() {
    let mut many = format!("%PDF-1.7\n1 0 obj [{}] endobj\n2 0 obj [] endobj\n", "2 0 R ".repeat(50_000));
    let mut starts = Vec::new();
    for number in 10..6_000 {
        let _ = writeln!(many, "{number} 0 obj<</EF 1 0 R/Length {} 0 R>>stream", number + 10_000);
        starts.push(many.len());
        many.push_str("endstream endobj\n");
    }
    let end = many.len();
    many.push_str("endstream endobj\n");
    for (number, start) in (10_010..).zip(starts) {
        let _ = writeln!(many, "{number} 0 obj {} endobj", end - start);
    }
    let (_, facts) = read(many.as_bytes());
    assert!(!facts.over_budget.is_empty(), "{facts:?}");
}
