"""Large documents as office programs write them: honest mail never spends what opening a message may cost.

Each goes out with a mail by itself, the address of the hidden reader on its last page. It must be found there,
and nothing may be said of work that was too much.
"""

import csv
import io
import random
import zipfile
from dataclasses import dataclass
from email.message import EmailMessage

import docx
import openpyxl
import pptx
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

from tests.encoders.cases import SEEN, SENDER
from tests.encoders.feed import explain

HIDDEN = "tsuzuki.hikaru@zephyr-lab.example"
# What a message says of itself when its budget is spent.
SPENT = ("than is looked at", "too much work", "far more than it takes", "nested too deep")
WORDS = "quarterly figures of the branch offices, with the names of those who answer for them; see the notes below".split()


@dataclass
class Large:
    """A mail as `explain` wants it."""

    content: bytes
    hidden: str = HIDDEN


def sentence(rng, words=14):
    return " ".join(rng.choices(WORDS, k=words)) + f" {rng.randrange(10**6):,}."


def pdf(rng):
    """200 pages of text, with a contact in each footer."""
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4, pageCompression=1)
    for number in range(200):
        text = page.beginText(50, 800)
        for _ in range(50):
            text.textLine(sentence(rng))
        text.textLine(f"page {number}, office{number % 12}@example.co.jp")
        page.drawText(text)
        if number == 199:
            page.drawString(50, 40, HIDDEN)
        page.showPage()
    page.save()
    return "report.pdf", out.getvalue()


def xlsx(rng):
    """A list of customers of some 5 MiB, packed."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("list")
    for row in range(60_000):
        sheet.append([row, f"Customer {rng.getrandbits(40):x}", f"u{rng.getrandbits(32):x}@d{row % 400}.example", rng.random(), sentence(rng, 6)])
    sheet.append([HIDDEN])
    out = io.BytesIO()
    book.save(out)
    return "customers.xlsx", out.getvalue()


def word(rng):
    """A manual of 12,000 paragraphs with a picture of 2 MiB."""
    document = docx.Document()
    for _ in range(12_000):
        document.add_paragraph(sentence(rng, 30))
    document.add_paragraph(HIDDEN)
    out = io.BytesIO()
    document.save(out)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/image1.png", b"\x89PNG\r\n\x1a\n" + rng.randbytes(2 << 20))
    return "manual.docx", out.getvalue()


def slides(rng):
    """300 slides."""
    deck = pptx.Presentation()
    for number in range(300):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = sentence(rng, 5)
        slide.placeholders[1].text = "\n".join(sentence(rng, 9) for _ in range(8)) + (f"\n{HIDDEN}" if number == 299 else "")
    out = io.BytesIO()
    deck.save(out)
    return "deck.pptx", out.getvalue()


def table(rng):
    """A CSV of 15 MiB in a ZIP."""
    out = io.StringIO()
    rows = csv.writer(out)
    for row in range(170_000):
        rows.writerow([row, f"u{rng.getrandbits(32):x}@d{row % 900}.example", sentence(rng, 6)])
    rows.writerow([HIDDEN])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", out.getvalue())
    return "log.zip", packed.getvalue()


def several(rng):
    """The report, the manual and the deck in one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for make in (pdf, word, slides):
            archive.writestr(*make(rng))
    return "all.zip", packed.getvalue()


def mail(name, data):
    """One attachment."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, SEEN, name
    message.set_content("Please see the attachment.")
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def faults(config):
    """What is wrong, a line each; and what was looked at."""
    wrong, sizes = [], []
    for number, make in enumerate((pdf, xlsx, word, slides, table, several)):
        name, data = make(random.Random(number))
        sizes.append(f"{name} {len(data) / 2**20:.1f} MiB")
        told = explain(Large(mail(name, data)), config)
        said = told["facts"]["problems"] + told["facts"]["opaque_parts"]
        wrong += [f"{name}: {text}" for text in said if any(words in text for words in SPENT)]
        if not any(hit["address"].lower() == HIDDEN for hit in told["hits"]):
            wrong.append(f"{name}: the address at its end was not found ({said[:3]})")
    return wrong, sizes
