"""An independent reading of a delivered copy, by Python's own email package.

`visible(copy)` gives all text of a message: each field raw, unfolded and decoded, every part decoded,
nested messages too. The search for addresses runs over that.
"""

import base64
import email
import email.header
import html
import quopri
import re
import unicodedata
import urllib.parse

ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
RUN = re.compile(rb"(?:[A-Za-z0-9+/]{60,}\r?\n)*[A-Za-z0-9+/]{16,}={0,2}")


def decoded_words(text):
    """RFC 2047 words decoded, leniently."""
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, UnicodeDecodeError, ValueError, email.errors.HeaderParseError):
        return text


def texts(raw):
    """Every text in a message, once or more."""
    yield raw.decode("utf-8", "replace")
    yield re.sub(rb"\r?\n[ \t]", b"", raw).decode("utf-8", "replace")
    message = email.message_from_bytes(raw)
    for part in message.walk():
        for name, value in part.items():
            unfolded = re.sub(r"\r?\n(?=[ \t])", "", str(value))
            yield f"{name}: {unfolded}"
            yield decoded_words(unfolded)
        payload = part.get_payload(decode=True)
        if payload is None:
            continue
        charset = part.get_content_charset() or "utf-8"
        for attempt in {charset, "utf-8", "utf-16-le"}:
            try:
                yield payload.decode(attempt, "replace")
            except LookupError:
                pass
    yield quopri.decodestring(raw).decode("utf-8", "replace")
    for run in RUN.findall(raw):
        try:
            yield base64.b64decode(run, validate=False).decode("utf-8", "replace")
        except ValueError:
            pass


def addresses(raw):
    """Every address in a message, in every form that this parser decodes, in lower case."""
    found = set()
    for text in texts(raw):
        for form in (text, urllib.parse.unquote(text), html.unescape(text), unicodedata.normalize("NFKC", text)):
            found.update(match.lower() for match in ADDRESS.findall(form))
    return found


def header(raw, name):
    """The values of a field, decoded and unfolded."""
    message = email.message_from_bytes(raw.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n")
    return [decoded_words(re.sub(r"\r?\n(?=[ \t])", "", str(v))) for v in message.get_all(name, [])]


def body(raw):
    """What stands after the first empty line."""
    return raw.split(b"\r\n\r\n", 1)[1]
