"""Mails made to be expensive: one or more of every kind that the relay opens, as small as they can be for what they ask.

    bombs()   (kind, header fields, body) of each; the body is the mail's from behind its empty line
"""

import base64
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib

MIB = 1 << 20
OCTETS = "application/octet-stream"


def attached(kind, name, data):
    """A mail with one attachment."""
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    header = f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename={name}\r\nContent-Transfer-Encoding: base64\r\n"
    return header.encode(), encoded


def parts(count, header):
    """A mail of so many parts, each with that header."""
    part = f"--b\r\n{header}\r\n\r\nx\r\n"
    return f"To: a@x.jp\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n{part * count}--b--\r\n".encode()


def zipped(*members):
    """A ZIP of (name, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def overlapping(archive, times):
    """The archive's directory again and again: every entry points at the same members."""
    directory, end = archive.rindex(b"PK\x01\x02"), archive.rindex(b"PK\x05\x06")
    entries = archive[directory:end] * times
    return archive[:directory] + entries + archive[end:end + 12] + struct.pack("<I", len(entries)) + archive[end + 16:]


def noisy(unit, size, rng, start=""):
    """A repetitive text, irregular enough to stay below the limit on the compression ratio."""
    text = bytearray((start + unit * (size // len(unit)))[:size].encode())
    for _ in range(size // 400):
        text[rng.randrange(len(start), len(text))] = ord("x")
    return bytes(text)


def texts_packed(unit, ending, start=""):
    """A ZIP of 40 texts of 2 MB."""
    rng = random.Random(1)
    return zipped(*[(f"{n}.{ending}", noisy(unit, 2_000_000, rng, start)) for n in range(40)])


def tarred(count):
    """A tar of so many empty members."""
    info = tarfile.TarInfo("a@x.jp")
    return info.tobuf(tarfile.USTAR_FORMAT) * count + bytes(1024)


def xz_of_blocks(count):
    """An xz stream of blocks that each ask for a dictionary of 32 MiB and hold nothing."""
    return b"\xfd7zXZ\0\0\0\0\0\0\0" + bytes([2, 0, 0x21, 1, 26] + [0] * 7 + [0, 0, 0, 0]) * count


def seven(content, dictionary=24, files=1):
    """A 7z archive, LZMA2, of one folder with files of the same size. It says that it needs the dictionary of a property: 24 is 16 MiB."""
    packed = lzma.compress(content, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 16 * MIB}])

    def number(value):
        return b"\xff" + struct.pack("<Q", value)

    streams = b"\x06" + number(0) + number(1) + b"\x09" + number(len(packed)) + b"\0"
    folder = b"\x07\x0b" + number(1) + b"\0" + number(1) + b"\x21\x21" + number(1) + bytes([dictionary]) + b"\x0c" + number(len(content)) + b"\0"
    several = b"\x0d" + number(files) + b"\x09" + number(len(content) // files) * (files - 1) if files > 1 else b""
    sub = b"\x08" + several + b"\0"
    names = b"\0" + "".join(f"{n}.txt\0" for n in range(files)).encode("utf-16le")
    header = b"\x01\x04" + streams + folder + sub + b"\0\x05" + number(files) + b"\x11" + number(len(names)) + names + b"\0\0"
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + header


def tnef(*attributes):
    """A winmail.dat of (id, data)."""
    body = b"".join(b"\x01" + struct.pack("<II", number, len(data)) + data + b"\0\0" for number, data in attributes)
    return b"\x78\x9f\x3e\x22\x01\0" + body


def pdf_pages(count):
    """A PDF of pages with a lot of text."""
    packed = zlib.compress(b"(a@x.jp)Tj " * 700_000, 9)
    page = b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream endobj\n" % (len(packed), packed)
    return b"%PDF-1.7\n" + b"".join(b"%d 0 obj" % n + page for n in range(1, count))


def pdf_fonts():
    """A PDF of 2,000 pages with 5,000 fonts each."""
    fonts = b"".join(b"/F%d 7 0 R" % n for n in range(5_000))
    pages = b"".join(b"%d 0 obj<</Type/Page/Contents 1 0 R/Resources<</Font 9000 0 R>>>>endobj\n" % n for n in range(2_000))
    return b"%PDF-1.7\n" + pages + b"9000 0 obj<<" + fonts + b">>endobj\n"


def archives():
    """Archives, also nested."""
    bomb = parts(995, "Content-Type: text/plain; protected-headers=v1\r\nTo: a@x.jp")
    zeros, nested = bytes(100 * MIB), zipped(("0.txt", bytes(16 * MIB)))
    for _ in range(8):
        nested = zipped(("inner.zip", nested))
    yield "zip: 100 MiB of zeros", attached("application/zip", "a.zip", zipped(("a.txt", zeros)))
    yield "zip: nine deep", attached("application/zip", "a.zip", nested)
    yield "zip: mails of 995 parts", attached("application/zip", "a.zip", zipped(*[(f"{n}.eml", bomb) for n in range(300)]))
    yield "zip: one mail named 4,000 times", attached("application/zip", "a.zip", overlapping(zipped(("a.eml", bomb)), 4_000))
    yield "zip: 20,000 empty members", attached("application/zip", "a.zip", zipped(*[(f"a{n}@x.jp", b"") for n in range(20_000)]))
    yield "gzip: 100 MiB of zeros", attached("application/gzip", "a.gz", gzip.compress(zeros))
    yield "gzip: 50,000 empty members", attached("application/gzip", "a.gz", gzip.compress(b"") * 50_000)
    yield "tar: 100,000 empty members in a gzip", attached("application/gzip", "a.tgz", gzip.compress(tarred(100_000)))
    yield "tar: 12,000 empty members", attached("application/x-tar", "a.tar", tarred(12_000))
    yield "xz: 32 MiB of zeros", attached("application/x-xz", "a.xz", lzma.compress(zeros[:32 * MIB]))
    yield "xz: 60,000 empty blocks of 32 MiB", attached("application/x-xz", "a.xz", xz_of_blocks(60_000))
    yield "7z: 32 MiB of zeros", attached("application/x-7z-compressed", "a.7z", seven(zeros[:32 * MIB]))
    yield "7z: a dictionary of 1 GiB", attached("application/x-7z-compressed", "a.7z", seven(b"a@x.jp " * 1000, 36))
    yield "7z: 9,000 files", attached("application/x-7z-compressed", "a.7z", seven(b"a@x.jp.." * 9_000, files=9_000))


def documents():
    """What office programs write, and containers of mail."""
    oid = bytes.fromhex("06092a864886f70d010702")
    sheet = "<worksheet><sheetData>" + "<c><is><t>a@x.jp</t></is></c>" * 1_000_000
    strings = "<sst>" + "<si><r><t>a</t></r><r><t>@x.jp</t></r></si>" * 500_000
    word = "<w:document><w:body>" + "<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 800_000
    laughs = '<!DOCTYPE a [<!ENTITY a "a@x.jp">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 10)) + "]><w:t>&a9;</w:t>"
    yield "TNEF: 50,000 counts", attached("application/ms-tnef", "winmail.dat", tnef(*[(0x00069003, struct.pack("<III", 1, 0x0e04001e, 0xffffffff))] * 50_000))
    yield "TNEF: 30,000 files", attached("application/ms-tnef", "winmail.dat", tnef(*[(0x00018010, b"a@x.jp"), (0x0006800f, b"a@x.jp")] * 30_000))
    yield "CMS: 300,000 openings", attached("application/pkcs7-mime", "a.p7m", b"\x30\x80" + oid + b"\xa0\x80" + b"\x30\x80" * 300_000)
    yield "RTF: 1,000,000 groups", attached("application/rtf", "a.rtf", b"{\\rtf1" + b"{" * 1_000_000)
    yield "RTF: 60,000 fonts", attached("application/rtf", "a.rtf", b"{\\rtf1{\\fonttbl" + b"{\\f1\\fcharset128}" * 60_000)
    yield "OOXML: a sheet of 1,000,000 cells", attached(OCTETS, "a.xlsx", zipped(("xl/worksheets/sheet1.xml", sheet.encode())))
    yield "OOXML: 500,000 shared strings", attached(OCTETS, "a.xlsx", zipped(("xl/sharedStrings.xml", strings.encode())))
    yield "OOXML: 800,000 paragraphs", attached(OCTETS, "a.docx", zipped(("word/document.xml", word.encode())))
    yield "OOXML: entities of entities", attached(OCTETS, "a.docx", zipped(("word/document.xml", laughs.encode())))
    yield "PDF: 200 packed pages", attached("application/pdf", "a.pdf", pdf_pages(200))
    yield "PDF: 2,000 pages of 5,000 fonts", attached("application/pdf", "a.pdf", pdf_fonts())
    yield "PDF: 1,000,000 brackets", attached("application/pdf", "a.pdf", b"%PDF-1.7\n1 0 obj" + b"[" * 1_000_000)
    yield "PDF: 50,000 streams without end", attached("application/pdf", "a.pdf", b"%PDF-1.7\n" + b"1 0 obj<<>>stream\n" * 50_000)


def structures():
    """The mail's own structure and header."""
    mixed = b"Content-Type: multipart/mixed; boundary=%s\r\n"
    pieces = b"".join(b";\r\n filename*%d*=%%41" % n for n in range(40_000))
    yield "rfc822: 10,000 deep", (b"Content-Type: message/rfc822\r\n", b"Content-Type: message/rfc822\r\n\r\n" * 10_000 + b"x\r\n")
    yield "multipart: 10,000 deep", (mixed % b"b0", b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(10_000)))
    yield "multipart: 100,000 parts", (mixed % b"b", b"--b\r\n\r\nx\r\n" * 100_000 + b"--b--\r\n")
    yield "multipart: a boundary on every line", (mixed % (b"b" * 70), (b"--" + b"b" * 69 + b"\r\n") * 200_000)
    yield "RFC 2231: 40,000 pieces", (b"Content-Type: text/plain\r\nContent-Disposition: attachment" + pieces + b"\r\n", b"x\r\n")
    for name, unit in [
        ("addresses", b" a@b.example,"), ("short addresses", b"a@b,"), ("addresses that differ", None), ("comments", b"("), ("nested groups", b"g:"),
        ("encoded words", b" =?utf-8?Q?=40?="), ("quoted strings", b'""'), ("blanks", b"\r\n x"),
    ]:
        text = unit * (1_000_000 // len(unit)) if unit else b",".join(b" u%d@d%d.example" % (n, n) for n in range(40_000))
        folded = b"\r\n ".join(text[at:at + 900] for at in range(0, len(text), 900)) if b"\r\n" not in text else text
        yield f"header: 1 MiB of {name}", (b"Cc:" + folded + b" z@b.example\r\n", b"x\r\n")
    yield "header: 10,000 fields", (b"".join(b"X-%d: a%d@b.example and much else, %s\r\n" % (n, n, b"x" * 50) for n in range(9_900)), b"x\r\n")


def texts():
    """Texts in character sets, plain and packed."""
    for charset, unit in [
        ("iso-2022-jp", b'\x1b$B!w\x1b(B@'), ("utf-7", b"+AEA-@"), ("utf-16", b"@\0a\0"), ("shift_jis", b"\x81\x97\x83\x5c"), ("hz-gb-2312", b"~{#@~}@"),
        ("gb18030", b"\x81\x30\x81\x30@"), ("x-unknown", b"\xff@\xfe"),
    ]:
        data = (unit * 76)[:72 // len(unit) * len(unit)]
        yield f"charset: 4 MiB of {charset}", (f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n".encode(), (base64.b64encode(data) + b"\r\n") * (4 * MIB // len(data)))
    for name, ending, unit, start in [
        ("words", "txt", "lorem ipsum ", ""), ("separators", "txt", "@", ""), ("wide separators", "bin", "@\0a\0", ""), ("addresses", "txt", "a@x.jp ", ""),
        ("edges", "txt", "-@example.jp-tanaka", ""), ("HTML", "html", "<b>a&#64;x</b>", ""), ("base64", "txt", "QGV4YW1wbGUuanAQGV4YW1wbGUuanA", ""),
        ("escapes", "json", "\\u0040%40=40", ""), ("XML", "xml", "<w:t>a</w:t>", ""), ("RTF", "rtf", "\\'40\\u64?{\\b a}", "{\\rtf1\\ansi "),
        ("calendars", "ics", "ATTENDEE:mailto:a@x.jp\r\n", "BEGIN:VCALENDAR\r\n"), ("shifts", "txt", '\x1b$B""\x1b(B@', ""),
    ]:
        yield f"packed: 80 MB of {name}", attached("application/zip", "a.zip", texts_packed(unit, ending, start))


def bombs():
    """All bombs."""
    for made in (archives(), documents(), structures(), texts()):
        for name, (header, body) in made:
            yield name, header, body
