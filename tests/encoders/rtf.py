"""RTF by several writers, alone and compressed inside winmail.dat."""

import struct

import compressed_rtf
import rtfunicode  # noqa: F401 (registers the codec)
from PyRTF.document.paragraph import Paragraph
from PyRTF.document.section import Section
from PyRTF.Elements import Document as RtfDocument
from PyRTF.Renderer import Renderer

from tests.encoders.archives import named
from tests.encoders.registry import Document, encoder, wrapper
from tests.encoders.words import cut, sentence, wide, words
from tests.rig import tnef

RTF = ["application/rtf", "text/rtf", "application/msword", "application/octet-stream"]
HEAD = r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Helvetica;}}{\colortbl;\red0\green0\blue0;}"


def unicode_escapes(text, rng):
    """Letters beyond ASCII as `\\uN?`, by the rtfunicode library; signs of RTF escaped."""
    plain = text.replace("\\", r"\\").replace("{", r"\{").replace("}", r"\}").replace("\n", "\\par\n").replace("\t", r"\tab ")
    return "".join(c if ord(c) < 128 else c.encode("rtfunicode").decode() for c in plain)


def letter(c, rng):
    """One letter in one of the ways of RTF."""
    ways = [
        c,
        c,
        c,
        f"\\'{ord(c):02x}",
        f"\\'{ord(c):02X}",
        f"\\u{ord(c)}?",
        f"\\u{ord(c)}\\'3f",
        f"{{\\uc0\\u{ord(c)}}}",
        f"\\uc0\\u{ord(c)} \\uc1 ",
    ]
    return rng.choice(ways)


def between(rng):
    """What Word and others put between two runs."""
    return rng.choice(
        [
            "}{\\b0 ",
            "}{\\rtlch\\fcs1 \\af0 \\ltrch\\fcs0 \\insrsid1234 ",
            "\\b ",
            "\\b0\n",
            "}\r\n{\\i\\f0\\fs24 ",
            "{\\*\\bkmkstart x}",
            "{\\*\\bkmkend x}{}",
            "\r\n",
            "\\cf1\\lang1041 ",
            "\\plain\\f0 ",
            "{\\*\\generator x;}",
            "\\-",
            "\\zwj ",
        ]
    )


def document(body, rng):
    return Document(f"{HEAD}\\pard {body}\\par\n}}".encode("ascii"), rng.choice(RTF), (), "letter.rtf", depth=1)


@encoder("rtf", depth=1)
def rtf_plain(address, rng):
    return document(unicode_escapes(sentence(address, rng), rng), rng)


@encoder("rtf", depth=1)
def rtf_runs(address, rng):
    """Groups and control words inside the address: `{\\b user@}{\\b0 org2.example}`."""
    body = "{\\b " + "".join(piece + (between(rng) if at < 9 else "") for at, piece in enumerate(cut(address, rng))) + "}"
    opened, closed = body.count("{"), body.count("}")
    return document(unicode_escapes(words(rng, 4), rng) + " " + body + "}" * (opened - closed), rng)


@encoder("rtf", depth=1)
def rtf_escapes(address, rng):
    """Letters as `\\'hh` and `\\uN`, after a line end, a tab or a cell of RTF."""
    edge = rng.choice(["\\par ", "\\line ", "\\tab ", "\\cell ", " "])
    hidden = "".join(letter(c, rng) for c in address)
    return document(f"{unicode_escapes(words(rng, 4), rng)}{edge}{hidden} ", rng)


@encoder("rtf", depth=1)
def rtf_full_width(address, rng):
    """Full-width letters as `\\uN` or in the code page of the file."""
    if rng.random() < 0.5:
        return document(unicode_escapes(words(rng, 3, "ja") + wide(address), rng), rng)
    octets = "".join(f"\\'{o:02x}" for o in (words(rng, 3, "ja") + wide(address, "cp932")).encode("cp932"))
    whole = r"{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset128 MS Mincho;}}\pard\f0 " + octets + "\\par}"
    return Document(whole.encode(), rng.choice(RTF), (), "letter.rtf", depth=1)


@encoder("rtf", depth=1)
def rtf_link(address, rng):
    shown = rng.choice(["x", address])
    return document('{\\field{\\*\\fldinst HYPERLINK "mailto:' + address + '"}{\\fldrslt ' + shown + "}}", rng)


@encoder("rtf", depth=1)
def rtf_library(address, rng):
    """PyRTF."""
    import io

    whole = RtfDocument()
    section = Section()
    whole.Sections.append(section)
    paragraph = Paragraph(whole.StyleSheet.ParagraphStyles.Normal)
    paragraph.append(words(rng, 4, "en") + " ", *cut(address, rng, 2), " ", words(rng, 3, "en"))
    section.append(paragraph)
    out = io.StringIO()
    Renderer().Write(whole, out)
    return Document(out.getvalue().encode("cp1252", "replace"), rng.choice(RTF), (), "letter.rtf", depth=1)


PR_BODY, PR_RTF_COMPRESSED, PR_BODY_HTML, PT_BINARY = 0x1000, 0x1009, 0x1013, 0x0102


def winmail(properties, files=()):
    """A winmail.dat with these properties, by the writer that the corpus has."""
    out = struct.pack("<IH", tnef.SIGNATURE, tnef.KEY) + tnef.attribute(1, tnef.ATT_TNEF_VERSION, struct.pack("<I", 0x00010000))
    out += tnef.attribute(1, tnef.ATT_OEM_CODEPAGE, struct.pack("<II", 932, 0))
    out += tnef.attribute(1, tnef.ATT_MESSAGE_CLASS, b"IPM.Microsoft Mail.Note\0")
    out += tnef.attribute(1, tnef.ATT_MSG_PROPS, tnef.properties(properties))
    for name, data in files:
        out += tnef.attribute(2, tnef.ATT_ATTACH_REND_DATA, struct.pack("<HIHHI", 1, 0xFFFFFFFF, 0, 0, 0))
        out += tnef.attribute(2, tnef.ATT_ATTACH_TITLE, name.encode("cp932", "replace") + b"\0")
        out += tnef.attribute(2, tnef.ATT_ATTACH_DATA, data)
    return out


def in_mail(data, rng):
    return Document(data, rng.choice(["application/ms-tnef", "application/vnd.ms-tnef"]), (), "winmail.dat", depth=1)


@encoder("winmail.dat", depth=1)
def tnef_text(address, rng):
    kind = rng.choice([tnef.PT_UNICODE, tnef.PT_STRING8])
    return in_mail(winmail([(PR_BODY, kind, sentence(address, rng).encode("cp932", "replace").decode("cp932"))]), rng)


@encoder("winmail.dat", depth=1)
def tnef_rtf(address, rng):
    """The body as compressed RTF, by the compressed_rtf library."""
    make = rng.choice([rtf_plain, rtf_runs, rtf_escapes, rtf_full_width, rtf_library])
    data = compressed_rtf.compress(make(address, rng).data, compressed=rng.random() < 0.8)
    return in_mail(winmail([(PR_RTF_COMPRESSED, PT_BINARY, data)]), rng)


@encoder("winmail.dat", depth=1)
def tnef_rtf_from_html(address, rng):
    """HTML wrapped in RTF (`\\fromhtml1`), as Exchange does it."""
    body = "\\htmlrtf0 {\\*\\htmltag84 <b>}".join(cut(address, rng))
    whole = (
        r"{\rtf1\ansi\fbidi\ansicpg932\fromhtml1 {\*\htmltag19 <html>}{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 "
        + words(rng, 4, "en")
        + " "
        + body
        + r" {\*\htmltag72 </p>}\htmlrtf}\htmlrtf0 {\*\htmltag27 </html>}}"
    )
    return in_mail(winmail([(PR_RTF_COMPRESSED, PT_BINARY, compressed_rtf.compress(whole.encode(), compressed=True))]), rng)


@encoder("winmail.dat", depth=1)
def tnef_html(address, rng):
    html = f"<html><body>{'<b>'.join(cut(address, rng))}</body></html>"
    return in_mail(winmail([(PR_BODY_HTML, PT_BINARY, html.encode())]), rng)


@wrapper("archives")
def in_winmail(document, rng):
    """As a file that Outlook attached."""
    data = winmail([(PR_BODY, tnef.PT_UNICODE, words(rng))], [(named(document), document.data)])
    return document.inside(data=data, type="application/ms-tnef", name="winmail.dat")
