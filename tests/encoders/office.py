"""Office files as the libraries write them, with the address cut into runs as editors cut it."""

import io
import zipfile

import docx
import odf.opendocument
import odf.table
import odf.text
import openpyxl
import openpyxl.cell.rich_text
import openpyxl.cell.text
import openpyxl.comments
import pptx
import pptx.util
import xlsxwriter
import xlwt
from lxml import etree

from tests.encoders.registry import NAMED, Document, encoder
from tests.encoders.words import cut, sentence, words

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


def saved(save, kind, name):
    out = io.BytesIO()
    save(out)
    return Document(out.getvalue(), kind, (), name, depth=1)


def pretty(document):
    """The same file with a line end and blanks between all tags, as some programs write it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document.data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".xml"):
                data = etree.tostring(etree.fromstring(data, etree.XMLParser(remove_blank_text=True)), pretty_print=True)
            new.writestr(name, data)
    return Document(out.getvalue(), document.type, (), document.name, depth=1)


def runs(paragraph, address, rng):
    for piece in cut(address, rng, 4):
        run = paragraph.add_run(piece)
        run.bold = rng.choice([True, False, None])


@encoder("office", depth=1)
def docx_runs(address, rng):
    whole = docx.Document()
    whole.add_paragraph(words(rng, 20))
    place = rng.choice(["body", "table", "header", "footer"])
    if place == "body":
        paragraph = whole.add_paragraph(words(rng) + " ")
    elif place == "table":
        paragraph = whole.add_table(1, 2).cell(0, 1).paragraphs[0]
    else:
        paragraph = getattr(whole.sections[0], place).paragraphs[0]
    runs(paragraph, address, rng)
    found = saved(whole.save, WORD, "letter.docx")
    return pretty(found) if rng.random() < 0.4 else found


@encoder("office", depth=1)
def docx_properties(address, rng):
    whole = docx.Document()
    setattr(
        whole.core_properties,
        rng.choice(["author", "title", "comments", "keywords", "last_modified_by"]),
        sentence(address, rng, breaks=False),
    )
    return saved(whole.save, WORD, "letter.docx")


@encoder("office", depth=1)
def docx_lines(address, rng):
    """Line ends, tabs and neighbours in the paragraph before: what Word shows apart stays apart."""
    whole = docx.Document()
    whole.add_paragraph("member")
    paragraph = whole.add_paragraph()
    run = paragraph.add_run("list")
    rng.choice([run.add_break, run.add_tab])()
    runs(paragraph, address, rng)
    whole.add_paragraph("next")
    return saved(whole.save, WORD, "letter.docx")


@encoder("office", depth=1)
def xlsx_cells(address, rng):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["name", "mail"])
    sheet.append([words(rng), rng.choice([address, sentence(address, rng)])])
    return saved(book.save, SHEET, "list.xlsx")


@encoder("office", depth=1)
def xlsx_rich(address, rng):
    book = openpyxl.Workbook()
    font = openpyxl.cell.text.InlineFont(b=True)
    pieces = [rng.choice([piece, openpyxl.cell.rich_text.TextBlock(font, piece)]) for piece in cut(address, rng)]
    book.active["B2"] = openpyxl.cell.rich_text.CellRichText(*pieces)
    found = saved(book.save, SHEET, "list.xlsx")
    return pretty(found) if rng.random() < 0.4 else found


@encoder("office", depth=1)
def xlsx_places(address, rng):
    """Outside cells: comments, links, headings, names, properties."""
    book = openpyxl.Workbook()
    sheet = book.active
    place = rng.choice(["comment", "link", "heading", "property", "sheet"])
    if place == "comment":
        sheet["A1"].comment = openpyxl.comments.Comment(sentence(address, rng), words(rng, 2))
    elif place == "link":
        sheet["A1"].hyperlink = f"mailto:{address}"
        sheet["A1"] = "x"
    elif place == "heading":
        sheet.oddHeader.center.text = f"x {address}"
    elif place == "property":
        book.properties.creator = address
    else:
        sheet.title = address[:31] if len(address) <= 31 else "x"
        sheet["A1"] = address
    return saved(book.save, SHEET, "list.xlsx")


@encoder("office", depth=1)
def xlsxwriter_rich(address, rng):
    def save(out):
        book = xlsxwriter.Workbook(out, {"in_memory": True, "constant_memory": rng.random() < 0.3})
        bold = book.add_format({"bold": True})
        parts = []
        for piece in cut(address, rng, 3):
            parts += rng.choice([[piece], [bold, piece]])
        book.add_worksheet().write_rich_string("A1", "to ", bold, "the ", *parts)
        book.close()

    return saved(save, SHEET, "list.xlsx")


@encoder("office", depth=1)
def pptx_runs(address, rng):
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    frame = (
        slide.shapes.add_textbox(0, 0, pptx.util.Inches(4), pptx.util.Inches(1)).text_frame
        if rng.random() < 0.7
        else slide.notes_slide.notes_text_frame
    )
    frame.text = words(rng)
    paragraph = frame.add_paragraph()
    for piece in cut(address, rng, 4):
        run = paragraph.add_run()
        run.text = piece
        run.font.bold = rng.choice([True, False])
    return saved(show.save, SLIDES, "talk.pptx")


def _spans(address, rng):
    paragraph = odf.text.P(text=words(rng) + " ")
    for piece in cut(address, rng, 4):
        paragraph.addElement(odf.text.Span(text=piece))
    return paragraph


@encoder("office", depth=1)
def odt_spans(address, rng):
    whole = odf.opendocument.OpenDocumentText()
    whole.text.addElement(_spans(address, rng))
    return saved(whole.write, "application/vnd.oasis.opendocument.text", "letter.odt")


@encoder("office", depth=1)
def ods_cells(address, rng):
    whole = odf.opendocument.OpenDocumentSpreadsheet()
    table, row, cell = odf.table.Table(name="list"), odf.table.TableRow(), odf.table.TableCell()
    cell.addElement(_spans(address, rng))
    row.addElement(cell)
    table.addElement(row)
    whole.spreadsheet.addElement(table)
    return saved(whole.write, "application/vnd.oasis.opendocument.spreadsheet", "list.ods")


@encoder("office", must=NAMED, depth=1)
def xls(address, rng):
    """Excel 97: named, where it is not read."""
    book = xlwt.Workbook(encoding="utf-8")
    book.add_sheet("a").write(0, 0, sentence(address, rng))
    return saved(book.save, "application/vnd.ms-excel", "list.xls")
