"""Plain text and the formats of texts: flowed, quoted-printable, escapes, CSV, XML, URLs."""

import binascii
import csv
import io
import json
import quopri
import urllib.parse
import xml.etree.ElementTree
from xml.sax.saxutils import escape, quoteattr

import yaml

from tests.encoders.registry import Document, encoder, wrapper
from tests.encoders.words import INVISIBLE, LOOK_ALIKES, cut, sentence, wide, words

UTF8 = (("charset", "utf-8"),)


def text(content, kind="text/plain", name="", **more):
    """A document that is this text in UTF-8."""
    return Document(content.encode(), kind, more.pop("params", UTF8), name, content, **more)


@encoder("text")
def plain(address, rng):
    return text(sentence(address, rng))


@encoder("text")
def sentence_end(address, rng):
    """The next sentence without a blank, as people type on telephones."""
    after = rng.choice([".Thanks", ".Best regards", ".Please note", ".Sent from my phone", ".Regards", "..."])
    return text(f"{words(rng, 4, 'en')}: {address}{after} {words(rng, 4, 'en')}")


@encoder("text")
def full_width(address, rng):
    return text(sentence(wide(address), rng, "ja"))


@encoder("text")
def look_alike(address, rng):
    """Letters that stand for others (NFKC), one or a few of them."""
    return text(
        sentence(
            "".join(rng.choice([c, *LOOK_ALIKES.get(c, [])]) if rng.random() < 0.4 else c for c in address), rng, breaks=False
        )
    )


@encoder("text")
def invisible(address, rng):
    return text(sentence(rng.choice(INVISIBLE).join(cut(address, rng)), rng))


def flow(line, rng):
    """A line of RFC 3676 with DelSp: cut anywhere, stuffed where a piece begins as §4.4 says."""
    pieces = [piece for part in line.split("\0") for piece in (cut(part, rng) if len(part) > 20 else [part]) if piece]
    return " \r\n".join(" " + piece if piece.startswith((" ", ">", "From ")) else piece for piece in pieces)


@encoder("text", bare=True)
def flowed(address, rng):
    """Soft breaks inside the address that leave nothing behind."""
    whole = sentence("\0".join(cut(address, rng)), rng)
    content = "\r\n".join(flow(line.rstrip(" "), rng) for line in whole.split("\n")) + "\r\n"
    return Document(content.encode(), "text/plain", (*UTF8, ("format", "flowed"), ("delsp", "yes")))


@encoder("text", bare=True)
def flowed_quoted(address, rng):
    """The same in a quotation: every line begins with its quote marks."""
    marks = ">" * rng.randrange(1, 4) + " "
    # The blank that is deleted stands behind the one that parts the words.
    content = f"{marks}{words(rng)}  \r\n{marks}" + f" \r\n{marks}".join(cut(address, rng)) + f"\r\n{words(rng)}\r\n"
    return Document(content.encode(), "text/plain", (*UTF8, ("format", "flowed"), ("delsp", "yes")))


@encoder("text")
def quopri_as_text(address, rng):
    """Quoted-printable pasted into a text: `=0A` before the address, soft breaks inside it."""
    source = words(rng, 12, "ja") + rng.choice(["\n", "\r\n", "\t", ": "]) + address + "\n" + words(rng, 12, "ja")
    if rng.random() < 0.5:
        return text(source.translate({10: "=0A", 13: "=0D", 9: "=09"}).replace("\n", "=0A"))
    return text(quopri.encodestring(source.encode(), quotetabs=rng.random() < 0.5).decode())


@encoder("text", depth=1)
def uuencode(address, rng):
    data = sentence(address, rng).encode()
    lines = b"".join(binascii.b2a_uu(data[at : at + 45], backtick=rng.random() < 0.5) for at in range(0, len(data), 45))
    return text("begin 644 list.txt\n" + lines.decode() + "`\nend\n")


@encoder("text")
def mbox(address, rng):
    import email.message
    import mailbox  # its generator writes `From ` lines and stuffs them

    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "m@example.co.jp", address, words(rng)
    message.set_content(words(rng), cte=rng.choice(["base64", "quoted-printable"]))
    lines = mailbox.mboxMessage(message).as_bytes(unixfrom=True)
    return Document(lines, rng.choice(["application/mbox", "application/octet-stream"]), (), "saved.mbox")


@encoder("escapes")
def json_text(address, rng):
    value = {
        words(rng, 3): rng.choice([1, None, [words(rng)]]),
        "m": sentence(address, rng),
        "to": [words(rng, 2), rng.choice(["", "\n", "\t"]) + address],
    }
    content = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))
    if rng.random() < 0.3:
        content = content.replace("/", "\\/")
    return text(content, "application/json", rng.choice(["", "export.json"]), params=())


@encoder("escapes")
def json_all_escaped(address, rng):
    """Every letter of the address as `\\uXXXX`, some of them as they are."""
    hidden = "".join(f"\\u{ord(c):04{rng.choice('xX')}}" if rng.random() < 0.7 else c for c in address)
    return text('{"m":"' + json.dumps(words(rng))[1:-1] + "\\n" + hidden + '"}', "application/json", params=())


@encoder("escapes")
def javascript(address, rng):
    """A string of JavaScript: every escape of ECMA-262 §12.9.4, line continuations too."""
    forms = [
        lambda c: c,
        lambda c: f"\\x{ord(c):02x}",
        lambda c: f"\\u{ord(c):04x}",
        lambda c: f"\\u{{{ord(c):x}}}",
        lambda c: "\\\n" + c,
    ]
    weights = [8, 1, 1, 1, 0.5]
    hidden = "".join(rng.choices(forms, weights)[0](c) for c in address)
    before = rng.choice(["\\n", "\\r\\n", "\\t", "\\v", "\\f", "\\b", "", " ", "\\'"])
    quote = rng.choice("\"'`")
    return text(
        f"var m = {quote}{words(rng, 4, 'en')} {before}{hidden.replace(chr(39), chr(92) + chr(39))}{quote};\n",
        "text/javascript",
        "page.js",
    )


@encoder("escapes")
def yaml_text(address, rng):
    value = {"members": [{"mail": rng.choice(["", "\n", "\t"]) + address, "n": words(rng)}], "text": sentence(address, rng)}
    return text(
        yaml.safe_dump(
            value, allow_unicode=rng.random() < 0.5, default_style=rng.choice([None, '"', "'", "|"]), width=rng.randrange(20, 90)
        ),
        "application/yaml",
        "list.yaml",
        params=(),
    )


@encoder("escapes")
def properties(address, rng):
    """A .properties file of Java: `\\u0040`, `\\:`, a line continued with a backslash and blanks."""
    hidden = "".join(f"\\u{ord(c):04X}" if rng.random() < 0.2 else c for c in address)
    return text(
        f"# {words(rng, 3, 'en')}\nmail.to={words(rng, 3, 'en')}{rng.choice([chr(92) + 'n', chr(92) + 't', ' '])}{hidden}\n",
        "text/plain",
        "app.properties",
    )


@encoder("escapes")
def csv_text(address, rng):
    out = io.StringIO()
    table = csv.writer(out, rng.choice(["excel", "excel-tab", "unix"]), quoting=rng.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    table.writerow(["name", 'the "mail"', "note"])
    table.writerow(
        [words(rng), rng.choice([address, f'"{address}"', f"\n{address}", f'"{words(rng, 2)}" <{address}>']), words(rng)]
    )
    return text(out.getvalue(), "text/csv", "list.csv")


@encoder("escapes")
def xml_text(address, rng):
    root = xml.etree.ElementTree.Element("list")
    xml.etree.ElementTree.SubElement(root, "m", mail=address if rng.random() < 0.5 else "").text = sentence(address, rng)
    content = xml.etree.ElementTree.tostring(root, rng.choice(["us-ascii", "unicode"]))
    content = content.decode() if isinstance(content, bytes) else content
    if rng.random() < 0.4:
        hidden = "".join(f"&#x{ord(c):x};" if rng.random() < 0.5 else c for c in address)
        content = f'<?xml version="1.0"?><list a={quoteattr(words(rng))}><m>{hidden}</m></list>'
    elif rng.random() < 0.3:
        content = f"<list><![CDATA[{words(rng)}\n{address[:3]}]]><![CDATA[{address[3:]} ]]></list>"
    return text(content, "application/xml", "list.xml", params=())


@encoder("escapes")
def url(address, rng):
    """In a link: as a path, a query, with every letter percent-encoded."""
    hidden = rng.choice(
        [urllib.parse.quote(address), "".join(f"%{ord(c):02X}" for c in address), urllib.parse.urlencode({"to": " " + address})]
    )
    return text(f"{words(rng)} https://www.example.com/{rng.choice(['?q=', 'u/', '#', '?a=1&b=%0A'])}{hidden} {words(rng)}")


@encoder("escapes")
def form(address, rng):
    return text(
        urllib.parse.urlencode({"name": words(rng), "note": f"{words(rng)}\r\n{address}", "x": "1"}),
        "application/x-www-form-urlencoded",
        params=(),
    )


# Texts inside texts.


@wrapper("text in text", depth=0, needs="text")
def in_json(document, rng):
    return text(
        json.dumps({"subject": words(rng), "body": document.text}, ensure_ascii=rng.random() < 0.5),
        "application/json",
        "log.json",
        params=(),
        depth=document.depth,
    )


@wrapper("text in text", depth=0, needs="text")
def in_html(document, rng):
    return text(
        f"<html><body><p>{escape(words(rng))}</p><pre>{escape(document.text)}</pre></body></html>",
        "text/html",
        depth=document.depth,
    )


@wrapper("text in text", depth=0, needs="text")
def in_csv(document, rng):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["id", "text"], [rng.randrange(99), document.text]])
    return text(out.getvalue(), "text/csv", "log.csv", depth=document.depth)


@wrapper("text in text", depth=0, needs="text")
def in_xml(document, rng):
    return text(
        f"<log><entry>{escape(document.text)}</entry></log>", "application/xml", "log.xml", params=(), depth=document.depth
    )
