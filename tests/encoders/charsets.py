"""Every charset that Python knows, declared, undeclared and misdeclared, in bodies."""

import codecs
import encodings.aliases

from tests.encoders.registry import FOUND, NAMED, Document, encoder
from tests.encoders.words import JAPANESE, cut, sentence, wide, words

# Labels that mail programs write and Python calls otherwise.
FOREIGN = {
    "cp932": [
        "Shift_JIS",
        "shift-jis",
        "x-sjis",
        "MS_Kanji",
        "csShiftJIS",
        "Windows-31J",
        "CP932",
        "MS932",
        "x-ms-cp932",
        "sjis-win",
        "cswindows31j",
    ],
    "shift_jisx0213": ["Shift_JIS"],
    "iso2022_jp": [
        "ISO-2022-JP",
        "csISO2022JP",
        "ISO-2022-JP-1",
        "ISO-2022-JP-2",
        "ISO-2022-JP-MS",
        "CP50220",
        "CP50221",
        "CP50222",
        "x-windows-iso2022jp",
        "JIS",
    ],
    "euc_jp": ["EUC-JP", "x-euc-jp", "csEUCPkdFmtJapanese", "eucJP-ms", "eucJP-win", "CP51932", "ujis"],
    "gb18030": ["GB18030", "GB2312", "GBK", "CP936", "MS936", "Windows-936", "x-gbk", "EUC-CN"],
    "hz": ["HZ-GB-2312"],
    "big5": ["Big5", "CP950", "x-x-big5", "Big5-HKSCS", "cn-big5"],
    "cp949": ["EUC-KR", "KS_C_5601-1987", "CP949", "MS949", "UHC", "Windows-949"],
    "iso2022_kr": ["ISO-2022-KR"],
    "johab": ["johab", "CP1361"],
    "utf_7": ["UTF-7", "unicode-1-1-utf-7", "csUTF7"],
    "utf_16": ["UTF-16", "ISO-10646-UCS-2", "csUnicode", "unicode"],
    "utf_16_le": ["UTF-16LE"],
    "utf_16_be": ["UTF-16BE"],
    "utf_32": ["UTF-32", "ISO-10646-UCS-4", "UCS-4"],
    "utf_32_le": ["UTF-32LE"],
    "utf_32_be": ["UTF-32BE"],
    "cp037": ["IBM037", "cp037", "ebcdic-cp-us", "csIBM037"],
    "cp500": ["IBM500", "CP500", "ebcdic-cp-be", "ebcdic-cp-ch"],
    "cp1140": ["IBM01140", "ebcdic-us-37+euro"],
    "cp1026": ["IBM1026"],
    "cp273": ["IBM273"],
    "cp424": ["IBM424"],
}
NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "undefined", "palmos", "charmap"}


def _charsets():
    """Codec to labels: those above, and every alias that Python has."""
    found = {}
    for alias, codec in encodings.aliases.aliases.items():
        found.setdefault(codec, []).extend([alias.replace("_", "-"), codec.replace("_", "-")])
    for codec in sorted(found):
        try:
            usable = codecs.lookup(codec)._is_text_encoding and codec not in NO_CHARSETS
        except LookupError:  # of another system
            usable = False
        if not usable:
            del found[codec]
    for codec, labels in FOREIGN.items():
        found[codec] = sorted({*labels, *found.get(codec, [])})
    return found


CHARSETS = _charsets()


def can(codec, text):
    try:
        return text.encode(codec).decode(codec) == text
    except UnicodeError:
        return False


WIDE = sorted(c for c in CHARSETS if can(c, wide("a@x")))
# Octets of a plain address that are no ASCII.
ODD = sorted(c for c in CHARSETS if can(c, "a@x.jp") and "a@x.jp".encode(c) != b"a@x.jp")
EBCDIC = [c for c in ODD if not c.startswith("utf") and "x.jp".encode(c)[0] > 0x7F]
NARROW = sorted(set(CHARSETS) - set(WIDE) - set(ODD))


def written(address, codec, rng):
    """A sentence with the address, full-width where the charset has such letters, in this charset."""
    shown = wide(address, codec) if codec in WIDE and rng.random() < 0.8 else address
    text = sentence(shown, rng, "ja" if can(codec, "各位") else "en")
    if not can(codec, text):
        text = f"{words(rng, 3, 'en')} {shown} "
    return text.encode(codec)


def labelled(address, codec, rng, label=None):
    kind = rng.choice(["text/plain", "text/plain", "text/html", "text/csv"])
    return Document(
        written(address, codec, rng), kind, (("charset", label or rng.choice(CHARSETS[codec])),), rng.choice(["", "list.txt"])
    )


@encoder("charsets", bare=True)
def charset_japanese(address, rng):
    return labelled(address, rng.choice([c for c in WIDE if "jp" in c or "jis" in c or c == "cp932"]), rng)


@encoder("charsets", bare=True)
def charset_japanese_by_vendors(address, rng):
    """The labels that the WHATWG table lacks."""
    codec = rng.choice(["cp932", "iso2022_jp", "euc_jp"])
    return labelled(address, codec, rng, rng.choice(FOREIGN[codec]))


@encoder("charsets", bare=True)
def charset_chinese_korean(address, rng):
    return labelled(
        address,
        rng.choice(["gb18030", "gbk", "gb2312", "hz", "big5", "big5hkscs", "cp950", "cp949", "euc_kr", "johab", "iso2022_kr"]),
        rng,
    )


@encoder("charsets", bare=True)
def charset_ebcdic(address, rng):
    return labelled(address, rng.choice(EBCDIC), rng)


@encoder("charsets", bare=True)
def charset_unicode(address, rng):
    return labelled(address, rng.choice([c for c in CHARSETS if c.startswith("utf")]), rng)


@encoder("charsets", bare=True)
def charset_utf7(address, rng):
    """Every sign that RFC 2152 leaves to choice in base64, too."""
    import base64

    shifted = "".join(
        f"+{base64.b64encode(c.encode('utf-16-be')).decode().rstrip('=')}-" if c in "@._+" or rng.random() < 0.2 else c
        for c in address
    )
    return Document(f"{words(rng, 4, 'en')} {shifted} x".encode(), "text/plain", (("charset", rng.choice(FOREIGN["utf_7"])),))


@encoder("charsets", bare=True)
def charset_any(address, rng):
    return labelled(address, rng.choice(sorted(CHARSETS)), rng)


@encoder("charsets")
def undeclared_japanese(address, rng):
    """Files of old programs: no charset anywhere, enough Japanese to tell."""
    codec = rng.choice(["utf_8", "cp932", "euc_jp", "iso2022_jp", "utf_8_sig"])
    text = "".join(rng.sample(JAPANESE, 3)) + "\r\n" + wide(address, codec) + "\r\n" + "".join(rng.sample(JAPANESE, 3)) + "\r\n"
    kind, name = rng.choice(
        [
            ("text/plain", ""),
            ("text/csv", "list.csv"),
            ("application/octet-stream", "list.txt"),
            ("application/vnd.ms-excel", "list.csv"),
        ]
    )
    params = (("charset", "us-ascii"),) if kind == "text/plain" and rng.random() < 0.3 else ()
    return Document(text.encode(codec), kind, params, name)


@encoder("charsets")
def undeclared_utf16(address, rng):
    codec = rng.choice(["utf_16", "utf_16_le", "utf_16_be", "utf_32"])
    kind, name = rng.choice(
        [
            ("text/plain", "list.txt"),
            ("application/octet-stream", "list.txt"),
            ("application/octet-stream", "list.dat"),
            ("text/csv", "list.csv"),
        ]
    )
    return Document(f"{words(rng, 4, 'en')}\r\n{address}\r\n".encode(codec), kind, (), name)


@encoder("charsets", bare=True)
def iso2022_empty_escapes(address, rng):
    """Shifts that shift nothing, inside the address; JIS-Roman for ASCII."""
    shift = lambda: rng.choice(["\x1b(B", "\x1b(J", "\x1b$B\x1b(B", "\x1b(J\x1b(B", "\x1b$@\x1b(J"])
    data = "各位 ".encode("iso2022_jp") + shift().join(cut(address, rng)).encode() + b"\x1b(B \r\n"
    return Document(data, "text/plain", rng.choice([(("charset", "iso-2022-jp"),), ()]))


@encoder("charsets", must=NAMED, bare=True)
def charset_unknown(address, rng):
    """A label that nobody knows: what cannot be read is named."""
    label = rng.choice(["x-user-defined-9", "x-klingon", "cp99999", "JISX0213-2000-PLAN3", "x-mac-ainu"])
    return Document(written(address, rng.choice(["cp932", "cp037", "utf_16_le"]), rng), "text/plain", (("charset", label),))


@encoder("charsets", must=FOUND, bare=True)
def charset_label_odd(address, rng):
    """Quoted, in capitals, with blanks: the label is the same."""
    label = rng.choice([" Shift_JIS ", "'shift_jis'", "SHIFT_JIS", "\tShift_JIS"])
    data = written(address, "cp932", rng)
    return Document(data, "text/plain", (), "", fields=((b"Content-Type", f'text/plain; charset="{label}"'.encode()),))
