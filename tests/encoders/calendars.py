"""Calendars, cards and directories: lines folded by their own rules, values with escapes of their own."""

import base64
import datetime
import io
import quopri
import re

import icalendar
import ldif3
import vobject

from tests.encoders.registry import Document, encoder, wrapper
from tests.encoders.texts import UTF8, text
from tests.encoders.words import sentence, words

base64.encodestring = base64.encodebytes  # ldif3 knows it by the name that Python dropped
WHEN = datetime.datetime(2026, 11, 29, 9, tzinfo=datetime.timezone.utc)


def fold(line, rng, width=None, blank=None):
    """Cuts a line as RFC 5545 §3.1 and RFC 6350 §3.2 do, at octets that begin a character."""
    width, blank = width or rng.randrange(20, 76), blank or rng.choice(" \t")
    out, used = [], 0
    for letter in line:
        size = len(letter.encode())
        if used + size > width:
            out.append("\r\n" + blank)
            used = 1
        out.append(letter)
        used += size
    return "".join(out)


def escaped(value):
    """RFC 5545 §3.3.11."""
    return re.sub(r"([\\;,])", r"\\\1", value).replace("\n", "\\n")


def calendar(event, method, rng):
    """A calendar of the icalendar library with one event."""
    whole = icalendar.Calendar()
    whole.add("prodid", "-//Office//Calendar//EN")
    whole.add("version", "2.0")
    if method:
        whole.add("method", method)
    event.add("uid", f"{rng.random()}@example.co.jp")
    event.add("dtstart", WHEN)
    event.add("dtstamp", WHEN)
    whole.add_component(event)
    content = whole.to_ical().decode()
    kind = rng.choice(["text/calendar", "text/calendar", "application/ics"])
    params = (*UTF8, ("method", method)) if method else UTF8
    return text(content, kind, rng.choice(["", "invite.ics"]), params=params)


@encoder("calendars")
def ics_description(address, rng):
    event = icalendar.Event()
    event.add("summary", words(rng))
    event.add("description", words(rng, 12) + rng.choice(["\n", "\n", ", ", "; ", "\\ "]) + address + "\n" + words(rng, 12))
    return calendar(event, rng.choice(["", "REQUEST", "PUBLISH"]), rng)


@encoder("calendars")
def ics_attendee(address, rng):
    event = icalendar.Event()
    event.add("summary", words(rng))
    person = icalendar.vCalAddress(f"MAILTO:{address}")
    for name, value in (("cn", words(rng, 4)), ("role", "REQ-PARTICIPANT"), ("rsvp", "TRUE"), ("partstat", "NEEDS-ACTION")):
        if rng.random() < 0.5:
            person.params[name] = icalendar.vText(value)
    event.add(rng.choice(["attendee", "organizer", "contact"]), person, encode=0)
    return calendar(event, rng.choice(["", "REQUEST", "REPLY", "REPLY", "CANCEL"]), rng)


@encoder("calendars")
def ics_html(address, rng):
    """What Outlook writes beside DESCRIPTION."""
    html = f"<html><body><p>{words(rng)}<br>{rng.choice(['', '<b>'])}{address}</b></p></body></html>"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:x",
        "BEGIN:VEVENT",
        f"SUMMARY:{escaped(words(rng))}",
        f"X-ALT-DESC;FMTTYPE=text/html:{escaped(html)}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return text("\r\n".join(fold(line, rng) for line in lines), "text/calendar", "x.ics")


@encoder("calendars")
def ics_vobject(address, rng):
    whole = vobject.iCalendar()
    event = whole.add("vevent")
    event.add("summary").value = words(rng)
    event.add("description").value = sentence(address, rng)
    event.add("dtstart").value = WHEN.replace(tzinfo=None)
    event.add("uid").value = "u@example.co.jp"
    return text(whole.serialize(), "text/calendar", "x.ics")


@encoder("calendars")
def ics_odd_folds(address, rng):
    """Folds of one letter a line, line ends of Unix, a tab as the blank."""
    width = rng.randrange(2, 12)
    line = fold(f"DESCRIPTION:{escaped(sentence(address, rng))}", rng, width)
    content = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    return text(content.replace("\r\n", rng.choice(["\r\n", "\n"])), "text/calendar", "x.ics")


@encoder("calendars")
def vcard3(address, rng):
    card = vobject.vCard()
    card.add("n").value = vobject.vcard.Name(family="Yamada", given="Taro")
    card.add("fn").value = words(rng, 4)
    mail = card.add(rng.choice(["email", "note", "x-mail"]))
    mail.value = address if mail.name == "EMAIL" else sentence(address, rng)
    if rng.random() < 0.5:
        mail.params["X-LABEL"] = ["".join(words(rng, 9, "en").split())]
    return text(card.serialize(), rng.choice(["text/vcard", "text/x-vcard", "text/directory"]), "member.vcf")


@encoder("calendars")
def vcard4(address, rng):
    field = rng.choice(
        [
            f"EMAIL;TYPE=work;PREF=1;X-N={'x' * rng.randrange(40)}:{address}",
            f"NOTE:{escaped(sentence(address, rng))}",
            f"IMPP:mailto:{address}",
        ]
    )
    lines = ["BEGIN:VCARD", "VERSION:4.0", f"FN:{escaped(words(rng, 4))}", field, "END:VCARD", ""]
    return text("\r\n".join(fold(line, rng) for line in lines), "text/vcard", "member.vcf")


@encoder("calendars")
def vcard_quoted_printable(address, rng):
    """vCard 2.1, as Japanese telephones and Outlook write it: quoted-printable with soft breaks."""
    charset = rng.choice(["UTF-8", "SHIFT_JIS"])
    value = quopri.encodestring(
        f"{words(rng, 4, 'ja')}\r\n{address} {words(rng, 4, 'ja')}".encode(charset), quotetabs=True
    ).decode()
    value = value.replace("\r\n", "=0D=0A").replace("=\n", "\0").replace("\n", "=0A").replace("\0", "=\r\n")
    if rng.random() < 0.6:
        at = value.find(address[:4])
        value = value if at < 0 else value[: at + 3] + "=\r\n" + value[at + 3 :]
    note = f"NOTE;CHARSET={charset};ENCODING=QUOTED-PRINTABLE:{value}"
    content = f"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Yamada;Taro\r\n{note}\r\nEND:VCARD\r\n"
    return Document(
        content.encode(), rng.choice(["text/x-vcard", "text/vcard", "application/octet-stream"]), (), "member.vcf", content
    )


@encoder("calendars")
def vcard_base64(address, rng):
    value = base64.encodebytes(sentence(address, rng).encode()).decode().strip().replace("\n", "\r\n ")
    return text(
        f"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Yamada;Taro\r\nNOTE;CHARSET=UTF-8;ENCODING=BASE64:\r\n {value}\r\n\r\nEND:VCARD\r\n",
        "text/x-vcard",
        "member.vcf",
    )


@encoder("calendars")
def ldif(address, rng):
    out = io.BytesIO()
    writer = ldif3.LDIFWriter(out, cols=rng.choice([76, 40, 20, 10]))
    mail = rng.choice([address, f" {address}", sentence(address, rng)])  # a leading blank or a line end makes it base64
    writer.unparse(f"cn={words(rng, 3, 'en')},o=x", {"objectClass": ["person"], "description": [words(rng)], "mail": [mail]})
    return text(
        out.getvalue().decode(), rng.choice(["text/ldif", "text/plain", "application/octet-stream"]), "people.ldif", params=()
    )


@wrapper("text in text", depth=0, needs="text")
def in_ics(document, rng):
    event = icalendar.Event()
    event.add("description", document.text)
    found = calendar(event, "", rng)
    return text(found.text, "text/calendar", "x.ics", depth=document.depth)
