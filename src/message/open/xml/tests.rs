//! What documents show, in pieces of any size.

use super::*;

fn shown(xml: &str, size: usize) -> String {
    let mut machine = VisibleText::default();
    let mut out = Vec::new();
    xml.as_bytes().chunks(size).for_each(|chunk| out.extend_from_slice(machine.feed(chunk)));
    String::from_utf8(out).unwrap()
}

#[test]
fn runs_are_joined_and_paragraphs_are_not() {
    for (xml, text) in [
        (
            "<w:p><w:r><w:t>user@</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>x.jp</w:t></w:r></w:p><w:p>",
            "user@x.jp\n",
        ),
        ("<w:p>\n  <w:r>\n <w:t>user</w:t>\n </w:r>\n <w:r>\n <w:t>@x.jp</w:t></w:r></w:p>", "user@x.jp\n"),
        ("<w:r><w:t>list</w:t><w:br/><w:t>a@x.jp</w:t><w:tab/></w:r>", "list\na@x.jp\t"),
        ("<w:t xml:space=\"preserve\"> </w:t><w:t>a</w:t>", " a"),
        ("<si><r><t>a&#64;</t></r><r><t>x&amp;</t></r><rPh sb=\"0\"><t>ka</t></rPh></si>", "a@x&\nka\n\n"),
        ("<a:p><a:r><a:t>a@</a:t></a:r><a:r><a:t>x.jp</a:t></a:r></a:p>", "a@x.jp\n"),
        (
            "<text:p>to <text:span>a@</text:span><text:span>x.jp</text:span><text:s/>b</text:p>",
            "to a@x.jp b\n",
        ),
        ("<dc:title>foo</dc:title><dc:creator>a@x.jp</dc:creator>", "foo\na@x.jp\n"),
        (
            "<w:p><w:r><w:t>To</w:t></w:r><w:r><w:pict><v:textbox><w:txbxContent><w:p><w:r><w:t>a@</w:t></w:r>\
             <w:r><w:t>x.jp</w:t></w:r></w:p></w:txbxContent></v:textbox></w:pict></w:r></w:p>",
            "To\na@x.jp\n\n",
        ),
        ("<w:t>To</w:t><w:drawing><wp:inline/></w:drawing><w:t>a@</w:t><w:t>x.jp</w:t>", "To\na@x.jp"),
        ("<w:t>To</w:t><w:sym w:char=\"F02A\"/><w:t>a@</w:t><w:proofErr/><w:t>x.jp</w:t>", "To\na@x.jp"),
        ("<w:t>To</w:t><w:footnoteReference w:id=\"2\"/><w:t>a@x.jp</w:t>", "To\na@x.jp"),
        (
            "<text:p>To<draw:frame><draw:text-box><text:p>a@x.jp</text:p></draw:text-box></draw:frame>b",
            "To\na@x.jp\nb",
        ),
        // Joined over a gap, and parted by it.
        ("<w:t>ta</w:t><w:drawing><wp:anchor/></w:drawing><w:t>@x.jp</w:t></w:p>", "ta\n@x.jp\nta@x.jp\n"),
        (
            "<w:t>b ta</w:t><w:pict><w:txbxContent><w:p><w:t>c@</w:t><w:pict/><w:t>y</w:t></w:p></w:txbxContent>\
             </w:pict><w:t>@</w:t><w:footnoteReference/><w:t>x.jp</w:t></w:p>",
            "b ta\nc@\ny\nc@y\n@\nx.jp\nb ta@x.jp\n",
        ),
        ("<w:t>a</w:t><w:sym w:font=\"Arial\" w:char=\"F040\"/><w:t>x.jp</w:t></w:p>", "a@x.jp\n"),
        ("<ruby><rt><t>ka</t></rt><rubyBase><t>a@</t></rubyBase></ruby><t>x.jp</t></p>", "ka\na@x.jp\n"),
        ("</w:pict></w:pict><w:t>a</w:t></w:pict><w:t>b</w:t></w:p>", "a\nb\n"),
        ("<!-- a --><x><![CDATA[a@x]]></x>", "a@x]]>\n"),
        ("<t>b_x000D_a@x.jp_x000B_c_x0040__x_x00_x005F_d</t><t>_</t><t>x0040_</t>", "b\na@x.jp\nc@_x_x00_d@"),
        ("<row><c><v>1</v></c><c><v>a@x.jp</v></c></row>", "1\n\na@x.jp\n\n"),
    ] {
        for size in [1, 3, 1_000] {
            assert_eq!(shown(xml, size), text, "{xml} by {size}");
        }
    }
}

/// However many gaps a line has, it is not read much more than twice.
#[test]
fn lines_of_gaps() {
    for unit in [
        "a<w:sym/>",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa<w:sym/>",
        "a<w:pict>",
    ] {
        let text = unit.repeat(10_000);
        for size in [1_000, 1_000_000] {
            let read = shown(&text, size).len();
            assert!(read < 4 * text.len(), "{unit}: {read} of {}", text.len());
        }
    }
    let long = format!("<w:t>{}</w:t><w:sym/><w:t>{}</w:t></w:p>", "あ".repeat(500), "い".repeat(500));
    assert!(shown(&long, 10_000).contains("あい"));
}
