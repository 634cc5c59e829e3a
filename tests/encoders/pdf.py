"""PDF by reportlab and pikepdf: compressed streams, embedded fonts, object streams, metadata, links."""

import io

import pikepdf
import reportlab.rl_config
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

from tests.encoders.registry import NAMED, Document, encoder
from tests.encoders.words import cut, wide, words

reportlab.rl_config.invariant = 1
FOLDER = reportlab.__path__[0] + "/fonts"
pdfmetrics.registerFont(TTFont("Vera", f"{FOLDER}/Vera.ttf"))
pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))


def page(draw, rng, compressed=True):
    """A page drawn by `draw(canvas)`."""
    out = io.BytesIO()
    sheet = canvas.Canvas(out, A4, pageCompression=int(compressed))
    sheet.setFont("Helvetica", 11)
    sheet.drawString(72, 760, words(rng, 4, "en"))
    draw(sheet)
    sheet.showPage()
    sheet.save()
    return pdf(out.getvalue())


def pdf(data, **more):
    return Document(data, "application/pdf", (), "letter.pdf", depth=1, **more)


def packed(document, **how):
    """The same through pikepdf, which is qpdf."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(document.data)) as whole:
        whole.save(out, **how)
    return pdf(out.getvalue())


@encoder("pdf", depth=1)
def pdf_plain(address, rng):
    return page(lambda sheet: sheet.drawString(72, 700, f"{words(rng, 4, 'en')} {address}"), rng, compressed=False)


@encoder("pdf", depth=1)
def pdf_compressed(address, rng):
    return page(lambda sheet: sheet.drawString(72, 700, f"{words(rng, 4, 'en')} {address} {words(rng, 3, 'en')}"), rng)


@encoder("pdf", depth=1)
def pdf_truetype(address, rng):
    """A font that is embedded in part: glyph numbers in the text, ToUnicode beside it."""

    def draw(sheet):
        sheet.setFont("Vera", rng.choice([9, 12]))
        sheet.drawString(72, 700, f"{words(rng, 3, 'en')} {address}")

    return page(draw, rng)


@encoder("pdf", depth=1)
def pdf_japanese(address, rng):
    def draw(sheet):
        sheet.setFont("HeiseiMin-W3", 11)
        sheet.drawString(72, 700, f"{words(rng, 3, 'ja')} {rng.choice([address, wide(address)])}")

    return page(draw, rng)


@encoder("pdf", depth=1)
def pdf_pieces(address, rng):
    """The address drawn piece by piece, letter by letter, or with a change of colour."""

    def draw(sheet):
        text = sheet.beginText(72, 700)
        for piece in cut(address, rng, 4):
            text.setFillGray(rng.random() / 2)
            text.textOut(piece)
        text.textLine(" ")
        sheet.drawText(text)

    return page(draw, rng)


@encoder("pdf", depth=1)
def pdf_paragraph(address, rng):
    """Flowing text and a table."""
    out = io.BytesIO()
    style = getSampleStyleSheet()["BodyText"]
    cell = Paragraph("".join(rng.choice(["{}", "<b>{}</b>", "<i>{}</i>"]).format(piece) for piece in cut(address, rng)), style)
    story = [Paragraph(words(rng, 30, "en"), style), rng.choice([cell, Table([["name", "mail"], ["x", address]])])]
    SimpleDocTemplate(out, pagesize=A4, pageCompression=1).build(story)
    return pdf(out.getvalue())


@encoder("pdf", depth=1)
def pdf_object_streams(address, rng):
    made = rng.choice([pdf_compressed, pdf_truetype, pdf_pieces])(address, rng)
    return packed(
        made,
        object_stream_mode=pikepdf.ObjectStreamMode.generate,
        compress_streams=True,
        recompress_flate=rng.random() < 0.5,
        linearize=rng.random() < 0.3,
    )


@encoder("pdf", depth=1)
def pdf_properties(address, rng):
    """Title, author and the like, as the document's information and as XMP."""
    made = page(lambda sheet: (sheet.setAuthor(address), sheet.setTitle(f"{words(rng, 3, 'ja')}{address}")), rng)
    return packed(made, object_stream_mode=pikepdf.ObjectStreamMode.generate) if rng.random() < 0.5 else made


@encoder("pdf", depth=1)
def pdf_link(address, rng):
    made = page(lambda sheet: sheet.linkURL(f"mailto:{address}", (72, 690, 200, 710)), rng)
    return packed(made, object_stream_mode=pikepdf.ObjectStreamMode.generate) if rng.random() < 0.5 else made


@encoder("pdf", depth=1)
def pdf_form(address, rng):
    return page(lambda sheet: sheet.acroForm.textfield(name="mail", value=address, x=72, y=650, width=300), rng)


@encoder("pdf", depth=1)
def pdf_attachment(address, rng):
    """A file in a PDF."""
    made = page(lambda sheet: None, rng)
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(made.data)) as whole:
        whole.attachments["list.csv"] = f"name,mail\r\n{words(rng, 2)},{address}\r\n".encode()
        whole.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return pdf(out.getvalue())


@encoder("pdf", must=NAMED, depth=1)
def pdf_encrypted(address, rng):
    made = pdf_compressed(address, rng)
    return Document(
        packed(made, encryption=pikepdf.Encryption(owner="o", user=rng.choice(["secret", ""]))).data,
        "application/pdf",
        (),
        "letter.pdf",
        depth=1,
        must=NAMED,
    )
