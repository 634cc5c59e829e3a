"""Mails with a document as a part, by builders of three languages and by hand."""

import base64
import binascii
import email.mime.application
import email.mime.multipart
import email.mime.text
import email.policy
import json
import os
import quopri
import re
import subprocess
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.encoders.needs import NODE
from tests.encoders.registry import builder
from tests.encoders.words import words

HERE = Path(__file__).parent
DATE = "Sun, 29 Nov 2026 09:00:00 +0900"


@dataclass(frozen=True)
class Heading:
    """The header of a mail."""

    sender: str
    to: str
    subject: str
    ident: str

    def fields(self, subject=None):
        """As octets, with a raw subject where one is given."""
        return (
            f"From: {self.sender}\r\nTo: {self.to}\r\n".encode()
            + b"Subject: "
            + (subject or self.subject.encode())
            + b"\r\n"
            + f"Date: {DATE}\r\nMessage-ID: {self.ident}\r\nMIME-Version: 1.0\r\n".encode()
        )


class Helper:
    """A program in another language: a request a line, an answer a line."""

    def __init__(self, *command):
        self.command, self.process = command, None

    def ask(self, request):
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "ENCODERS_NODE": str(NODE)}
            )
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.command} ended: did tests/encoders/install run?")
        return base64.b64decode(answer)


PERL, NODEJS = Helper("perl", str(HERE / "helper.pl")), Helper("node", str(HERE / "helper.mjs"))


def crlf(data):
    """All line ends as the wire wants them (RFC 5321 §2.3.8)."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)


def fits_as_it_is(data):
    """Whether 8bit may carry it unchanged (RFC 2045 §2.8): line ends of its own become CRLF."""
    return b"\0" not in data and b"\r" not in data.replace(b"\r\n", b"") and all(len(line) < 990 for line in data.split(b"\n"))


def lines(data, width):
    return b"".join(data[at : at + width] + b"\r\n" for at in range(0, len(data), width))


def transfer(document, rng):
    """A Content-Transfer-Encoding and the octets in it."""
    ways = ["base64", "base64", "quoted-printable"]
    if fits_as_it_is(document.data) and "utf-16" not in str(document.params) and "utf-32" not in str(document.params):
        ways += ["8bit", "8bit"]
    if len(document.data) < 20000:
        ways += ["x-uuencode"]
    how = rng.choice(ways)
    if how == "x-uuencode":
        coded = b"".join(binascii.b2a_uu(document.data[at : at + 45]) for at in range(0, len(document.data), 45))
        return how, crlf(b"begin 644 file\n" + coded + b"`\nend\n")
    if how == "8bit":
        return how, crlf(document.data)
    if how == "quoted-printable":
        return how, crlf(
            quopri.encodestring(document.data.replace(b"\r\n", b"\n"), quotetabs=rng.random() < 0.3)
        ) if fits_as_it_is(document.data) else lines_of_octets(document.data)
    return how, lines(
        base64.b64encode(document.data), rng.choice([76, 76, 60, 72, 64, 900, 77, 4, 57, 1]) if len(document.data) < 20000 else 76
    )


def lines_of_octets(data):
    """Quoted-printable of octets that are no text: every odd one written out (RFC 2045 §6.7)."""
    coded = "".join(chr(o) if 33 <= o <= 126 and o not in (61, 46) else f"={o:02X}" for o in data)
    pieces = re.findall(r"(?:=..|[^=]){1,24}", coded)
    return "=\r\n".join(pieces).encode() + b"\r\n"


def type_field(document):
    value = document.type + "".join(
        f'; {name}="{text}"' if re.search(r"[^\w.-]", text) else f"; {name}={text}" for name, text in document.params
    )
    return b"Content-Type: " + value.encode()


def part(document, rng):
    """The part by hand: its header and body."""
    how, body = transfer(document, rng)
    if document.fields:
        head = [name + b": " + value for name, value in document.fields]
    else:
        head = [type_field(document)]
        if document.name and document.name.isascii():
            head.append(f'Content-Disposition: attachment; filename="{document.name}"'.encode())
        elif document.name:
            coded = base64.b64encode(document.name.encode()).decode()
            head.append(f'Content-Disposition: attachment;\r\n filename="=?UTF-8?B?{coded}?="'.encode())
    if document.type == "message/rfc822" and how != "8bit" and (how == "x-uuencode" or rng.random() < 0.8):
        how, body = "8bit", crlf(document.data)  # RFC 2046 §5.2.1 allows no other; some programs do
    head.append(f"Content-Transfer-Encoding: {how}".encode())
    rng.shuffle(head)
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@builder()
def by_hand_alone(document, heading, rng):
    """The document is the whole body."""
    return heading.fields(document.subject) + part(document, rng)


@builder()
def by_hand(document, heading, rng):
    """The document among other parts, in one to three multiparts."""
    content = part(document, rng)
    for depth in range(rng.randrange(1, 4)):
        mark = f"=_{rng.randrange(10**9)}_{depth}".encode()
        note = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + words(rng).encode() + b"\r\n"
        parts = rng.choice([[note, content], [content, note], [content]])
        kind = rng.choice([b"mixed", b"mixed", b"related", b"alternative", b"x-unknown"])
        body = (
            rng.choice([b"", b"This is a multi-part message.\r\n"])
            + b"".join(b"--" + mark + b"\r\n" + p + b"\r\n" for p in parts)
            + b"--"
            + mark
            + b"--\r\n"
        )
        content = b"Content-Type: multipart/" + kind + b'; boundary="' + mark + b'"\r\n\r\n' + body
    return heading.fields(document.subject) + content


def plain(document, heading):
    """Whether another program can be asked: it writes no raw field."""
    return not (document.subject or document.fields) and document.type != "message/rfc822"


@builder()
def python_email(document, heading, rng):
    """email.message.EmailMessage."""
    if not plain(document, heading):
        return by_hand(document, heading, rng)
    mail = EmailMessage(policy=email.policy.SMTP.clone(cte_type=rng.choice(["7bit", "8bit"])))
    for name, value in (
        ("From", heading.sender),
        ("To", heading.to),
        ("Subject", heading.subject),
        ("Date", DATE),
        ("Message-ID", heading.ident),
    ):
        mail[name] = value
    mail.set_content(words(rng))
    main, _, sub = document.type.partition("/")
    mail.add_attachment(
        document.data,
        main,
        sub,
        cte=rng.choice(["base64", "quoted-printable"] if fits_as_it_is(document.data) else ["base64"]),
        filename=document.name or None,
        params=dict(document.params),
    )
    if rng.random() < 0.3:
        mail.add_alternative("<p>x</p>", subtype="html") if mail.get_content_type() == "text/plain" else None
    return mail.as_bytes()


@builder()
def python_mime(document, heading, rng):
    """email.mime.*, the older half of the same package."""
    if not plain(document, heading):
        return by_hand_alone(document, heading, rng)
    whole = email.mime.multipart.MIMEMultipart(rng.choice(["mixed", "related"]))
    for name, value in (
        ("From", heading.sender),
        ("To", heading.to),
        ("Subject", heading.subject),
        ("Date", DATE),
        ("Message-ID", heading.ident),
    ):
        whole[name] = value
    whole.attach(email.mime.text.MIMEText(words(rng), "plain", rng.choice(["utf-8", "iso-2022-jp"])))
    main, _, sub = document.type.partition("/")
    inner = email.mime.application.MIMEApplication(document.data, sub)
    inner.replace_header("Content-Type", f"{main}/{sub}")
    for name, value in document.params:
        inner.set_param(name, value)
    if document.name:
        inner.add_header(
            "Content-Disposition",
            "attachment",
            filename=rng.choice([("utf-8", "", document.name), document.name]) if not document.name.isascii() else document.name,
        )
    whole.attach(inner)
    return whole.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n"))


def asked(helper, name, document, heading, rng, encodings=("base64", "quoted-printable")):
    if not plain(document, heading):
        return by_hand(document, heading, rng)
    how = rng.choice(encodings) if fits_as_it_is(document.data) else "base64"
    return crlf(
        helper.ask(
            {
                "builder": name,
                "data": base64.b64encode(document.data).decode(),
                "type": document.type,
                "params": list(document.params),
                "name": document.name,
                "encoding": how,
                "from": heading.sender,
                "to": heading.to,
                "subject": heading.subject,
                "date": DATE,
                "id": heading.ident,
            }
        )
    )


@builder()
def mime_lite(document, heading, rng):
    return asked(PERL, "mime-lite", document, heading, rng)


@builder()
def mime_entity(document, heading, rng):
    return asked(PERL, "mime-entity", document, heading, rng)


@builder()
def email_mime(document, heading, rng):
    return asked(PERL, "email-mime", document, heading, rng)


@builder()
def nodemailer(document, heading, rng):
    return asked(NODEJS, "nodemailer", document, heading, rng)


@builder()
def mimetext(document, heading, rng):
    """It takes neither parameters nor octets that are no base64."""
    if document.params:
        return nodemailer(document, heading, rng)
    return asked(NODEJS, "mimetext", document, heading, rng)
