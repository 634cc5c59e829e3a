"""Header fields: encoded words, parameters of RFC 2231, file names, addresses with comments."""

import base64
import email.header
import email.message
import email.policy
import quopri
import urllib.parse

from tests.encoders.charsets import CHARSETS, FOREIGN, WIDE, can
from tests.encoders.registry import Document, encoder
from tests.encoders.words import cut, sentence, wide, words


def word(data, label, rng):
    """One encoded word (RFC 2047 §2) over these octets."""
    if rng.random() < 0.5:
        return f"=?{label}?{rng.choice('Bb')}?{base64.b64encode(data).decode()}?="
    coded = "".join(
        chr(o) if chr(o).isalnum() and o < 128 and rng.random() < 0.8 else "_" if o == 32 else f"={o:02X}" for o in data
    )
    return f"=?{label}?{rng.choice('Qq')}?{coded}?="


def encoded(address, rng, codec=None, label=None):
    """The address in one or several encoded words."""
    codec = codec or rng.choice(["utf_8", "utf_8", "cp932", "iso2022_jp", "euc_jp", "latin_1", *CHARSETS])
    shown = wide(address, codec) if codec in WIDE and rng.random() < 0.5 else address
    shown = shown if can(codec, shown + " ") else address
    codec = codec if can(codec, shown + " ") else "utf_8"
    label = label or rng.choice(CHARSETS[codec])
    pieces = [shown] if rng.random() < 0.4 else cut(shown, rng)
    return "\r\n ".join(word((" " + piece if not at else piece).encode(codec), label, rng) for at, piece in enumerate(pieces))


@encoder("fields", bare=True)
def subject_email_header(address, rng):
    """Python's email.header, which folds and cuts by itself."""
    charset = rng.choice(["utf-8", "iso-2022-jp", "shift_jis", "euc-jp", "us-ascii", "iso-8859-1", "gb2312"])
    text = (
        words(rng, 4, "ja" if can(charset, "各位") and can(charset, "会場は本社三階です") and charset != "gb2312" else "en")
        + " "
        + address
        + " "
    )
    value = email.header.Header(text, charset, maxlinelen=rng.randrange(40, 76)).encode(linesep="\r\n")
    return Document(b"see the subject\r\n", subject=value.encode())


@encoder("fields", bare=True)
def subject_words(address, rng):
    return Document(b"see the subject\r\n", subject=encoded(address, rng).encode())


@encoder("fields", bare=True)
def subject_utf7(address, rng):
    return Document(b"see the subject\r\n", subject=encoded(address, rng, "utf_7", rng.choice(FOREIGN["utf_7"])).encode())


@encoder("fields", bare=True)
def subject_cut_characters(address, rng):
    """Old programs cut the octets, not the letters."""
    codec = rng.choice(["utf_8", "cp932", "euc_jp"])
    pieces = cut(wide(address, codec).encode(codec), rng)
    label = rng.choice(FOREIGN.get(codec, ["UTF-8"]))
    return Document(b"x\r\n", subject="\r\n ".join(f"=?{label}?B?{base64.b64encode(p).decode()}?=" for p in pieces).encode())


@encoder("fields", bare=True)
def subject_raw(address, rng):
    """8-bit octets without any encoding."""
    codec = rng.choice(["utf_8", "cp932", "euc_jp", "iso2022_jp"])
    return Document(b"x\r\n", subject=("会議の件 " + wide(address, codec) + " ").encode(codec))


@encoder("fields", bare=True)
def part_description(address, rng):
    value = rng.choice(
        [encoded(address, rng), f"{words(rng, 3, 'en')} {address}", f"{words(rng, 3, 'en')} {address.replace('@', ' @ ')}"]
    )
    return Document(b"x\r\n", fields=((b"Content-Type", b"text/plain"), (b"Content-Description", value.encode())))


@encoder("fields")
def file_name(address, rng):
    """A file called after somebody; the builders write its name in their own ways."""
    return Document(
        b"1,2\r\n",
        "text/csv",
        (),
        f"{words(rng, 2, 'ja')} {rng.choice([address, wide(address), address.replace('@', '＠')])}{rng.choice([' ', '_', ''])}.csv",
    )


@encoder("fields", bare=True)
def file_name_2231(address, rng):
    """RFC 2231: any charset, with and without pieces."""
    codec = rng.choice(["utf_8", "cp932", "iso2022_jp", "euc_jp", *WIDE])
    label = rng.choice(CHARSETS[codec])
    value = urllib.parse.quote_from_bytes(
        (" " + (wide(address, codec) if rng.random() < 0.7 else address) + " .pdf").encode(codec), safe=""
    )
    if rng.random() < 0.5:
        parameter = f"filename*={label}''{value}"
    else:
        pieces = cut(value, rng)
        parameter = ";\r\n ".join(
            f"filename*{at}*={label + chr(39) * 2 if not at else ''}{piece}" for at, piece in enumerate(pieces)
        )
    place = rng.choice([b"Content-Disposition", b"Content-Type"])
    value = (
        f"attachment;\r\n {parameter}"
        if place == b"Content-Disposition"
        else f"application/octet-stream;\r\n {parameter.replace('filename', 'name')}"
    )
    return Document(b"x\r\n", "application/octet-stream", fields=((place, value.encode()),))


@encoder("fields", bare=True)
def file_name_pieces(address, rng):
    """RFC 2231 §3 without a charset: the pieces are quoted strings."""
    parameter = ";\r\n ".join(f'filename*{at}="{piece}"' for at, piece in enumerate(cut(f"list {address} .txt", rng, 5)))
    return Document(
        b"x\r\n", fields=((b"Content-Type", b"text/plain"), (b"Content-Disposition", f"attachment;\r\n {parameter}".encode()))
    )


@encoder("fields", bare=True)
def file_name_word(address, rng):
    """RFC 2047 in a parameter, as everybody but the RFC allows; and quoted-printable of a comment."""
    value = f'attachment;\r\n filename="{encoded(address, rng)}"'
    return Document(b"x\r\n", fields=((b"Content-Type", b"application/octet-stream"), (b"Content-Disposition", value.encode())))


@encoder("fields")
def inner_mailboxes(address, rng):
    """A forwarded mail whose address fields have blanks, comments and folds where RFC 5322 lets them."""
    local, domain = address.split("@")
    gap = lambda: rng.choice(["", " ", "\r\n ", " (c) ", "(a (b) c)", " \r\n\t", "(\\) x)"])
    dots = lambda text: ".".join(f"{gap()}{piece}{gap()}" for piece in text.split("."))
    value = rng.choice(
        [
            f"{dots(local)}@{dots(domain)}",
            f'"{words(rng, 3, "en")}" <{gap()}{local}{gap()}@{gap()}{domain}{gap()}>',
            f'"{local}"@{domain}',
            f'"{local[0]}\\{local[1:]}"@{domain}',
            f"Team: {local}@{domain}, x@example.co.jp;",
            f"<@relay.example,@b.example:{address}>",
            f"{dots(local)} @ {dots(domain)} (Taro)",
            f"{encoded(words(rng, 2), rng, 'utf_8', 'utf-8')} <{address}>",
        ]
    )
    field = rng.choice(["To", "Cc", "Bcc", "Reply-To", "Resent-To", "From"])
    mail = f"From: m@example.co.jp\r\n{field}: {value}\r\nSubject: x\r\nDate: Sun, 29 Nov 2026 09:00:00 +0900\r\n\r\nx\r\n"
    return Document(mail.encode(), "message/rfc822", (), rng.choice(["", "mail.eml"]))


@encoder("fields")
def mhtml(address, rng):
    """A page saved with its pictures: a mail that is called a page."""
    page = email.message.EmailMessage(policy=email.policy.SMTP)
    page["From"], page["Subject"] = "<Saved by a browser>", words(rng, 3)
    page.set_content(
        f"<html><body><p>{sentence(address, rng, breaks=False)}</p></body></html>",
        "html",
        cte=rng.choice(["base64", "quoted-printable"]),
    )
    page.make_related()
    return Document(page.as_bytes(), rng.choice(["application/octet-stream", "message/rfc822"]), (), "page.mhtml")


@encoder("fields")
def inner_subject(address, rng):
    """The same words in the header of a forwarded mail."""
    place = rng.choice(["Subject", "Comments", "X-Note", "Thread-Topic", "X-Original-To", "Delivered-To"])
    value = encoded(address, rng) if rng.random() < 0.7 else address
    return Document(f"From: m@example.co.jp\r\nTo: k@example.co.jp\r\n{place}: {value}\r\n\r\nx\r\n".encode(), "message/rfc822")


@encoder("fields")
def inner_bodies(address, rng):
    """A forwarded mail with its own transfer encoding."""
    text = sentence(address, rng, "ja").replace("\n", "\r\n").encode()
    coded, how = rng.choice([(base64.encodebytes(text), b"base64"), (quopri.encodestring(text), b"quoted-printable")])
    coded = coded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head = (
        b"From: m@example.co.jp\r\nTo: k@example.co.jp\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + how
    )
    return Document(head + b"\r\n\r\n" + coded, "message/rfc822", (), rng.choice(["", "mail.eml"]))
