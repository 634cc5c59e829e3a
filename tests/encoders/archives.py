"""Archives and packed files around any document."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import py7zr

from tests.encoders.registry import NAMED, Document, encoder, wrapper
from tests.encoders.words import sentence, words

# What a file of a type is called where it has no name.
ENDINGS = {
    "message/rfc822": "eml",
    "text/html": "html",
    "text/calendar": "ics",
    "application/ics": "ics",
    "application/json": "json",
    "text/csv": "csv",
    "text/enriched": "etf",
}


def named(document):
    return document.name or f"list.{ENDINGS.get(document.type, 'txt')}"


def zipped(members, rng, method=None, comment=""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method or rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as whole:
        whole.comment = comment.encode()
        for name, data in members:
            whole.writestr(name, data)
    return out.getvalue()


def tarred(members, rng):
    out = io.BytesIO()
    formats = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
    if all(len(name.encode()) < 100 for name, _ in members):
        formats.append(tarfile.USTAR_FORMAT)
    with tarfile.open(fileobj=out, mode="w", format=rng.choice(formats)) as whole:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            whole.addfile(member, io.BytesIO(data))
    return out.getvalue()


def files(document, rng):
    """The document among others."""
    members = [
        ("readme.txt", words(rng, 20).encode()),
        (named(document), document.data),
        ("data/x.bin", rng.randbytes(rng.randrange(3000))),
    ]
    rng.shuffle(members)
    return members


@wrapper("archives")
def zip_(document, rng):
    kind = rng.choice(["application/zip", "application/x-zip-compressed", "application/octet-stream"])
    return document.inside(data=zipped(files(document, rng), rng), type=kind, name="files.zip")


@wrapper("archives", must=NAMED)
def zip_bzip2_lzma(document, rng):
    method = rng.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    return document.inside(data=zipped(files(document, rng), rng, method), type="application/zip", name="files.zip", must=NAMED)


@wrapper("archives")
def gzip_(document, rng):
    return document.inside(
        data=gzip.compress(document.data, mtime=0),
        type=rng.choice(["application/gzip", "application/x-gzip", "application/octet-stream"]),
        name=named(document) + ".gz",
    )


@wrapper("archives", must=NAMED)
def bzip2(document, rng):
    return document.inside(
        data=bz2.compress(document.data),
        type=rng.choice(["application/x-bzip2", "application/octet-stream"]),
        name=named(document) + ".bz2",
        must=NAMED,
    )


@wrapper("archives", must=NAMED)
def xz(document, rng):
    data = lzma.compress(document.data, rng.choice([lzma.FORMAT_XZ, lzma.FORMAT_XZ, lzma.FORMAT_ALONE]))
    return document.inside(
        data=data, type="application/x-xz", name=named(document) + (".xz" if data[:1] == b"\xfd" else ".lzma"), must=NAMED
    )


@wrapper("archives")
def tar(document, rng):
    return document.inside(data=tarred(files(document, rng), rng), type="application/x-tar", name="files.tar")


@wrapper("archives", depth=2)
def tar_gz(document, rng):
    return document.inside(
        data=gzip.compress(tarred(files(document, rng), rng), mtime=0),
        type="application/gzip",
        name=rng.choice(["files.tar.gz", "files.tgz"]),
        depth=document.depth + 2,
    )


@wrapper("archives", must=NAMED, depth=2)
def tar_bz2(document, rng):
    return document.inside(
        data=bz2.compress(tarred(files(document, rng), rng)),
        type="application/x-bzip2",
        name="files.tar.bz2",
        depth=document.depth + 2,
        must=NAMED,
    )


@wrapper("archives", must=NAMED, depth=2)
def tar_xz(document, rng):
    return document.inside(
        data=lzma.compress(tarred(files(document, rng), rng)),
        type="application/x-xz",
        name="files.tar.xz",
        depth=document.depth + 2,
        must=NAMED,
    )


SEVENS = [
    [{"id": py7zr.FILTER_LZMA2, "preset": 3}],
    [{"id": py7zr.FILTER_DEFLATE}],
    [{"id": py7zr.FILTER_BZIP2}],
    [{"id": py7zr.FILTER_COPY}],
    [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 20}],
    [{"id": py7zr.FILTER_ZSTD, "level": 3}],
]


def seven(members, rng, **more):
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **more) as whole:
        for name, data in members:
            whole.writestr(data, name)
    return out.getvalue()


@wrapper("archives", must=NAMED)
def seven_zip(document, rng):
    data = seven(files(document, rng), rng, filters=rng.choice(SEVENS))
    return document.inside(
        data=data, type=rng.choice(["application/x-7z-compressed", "application/octet-stream"]), name="files.7z", must=NAMED
    )


@wrapper("archives", must=NAMED)
def seven_zip_encrypted(document, rng):
    data = seven(files(document, rng), rng, password="secret", header_encryption=rng.random() < 0.5)
    return document.inside(data=data, type="application/x-7z-compressed", name="files.7z", must=NAMED)


@encoder("archives", depth=1)
def member_name(address, rng):
    """A file in an archive is called after somebody."""
    members = [
        (f"{words(rng, 2, 'ja')}/{words(rng, 2, 'en')} {address}{rng.choice(['.pdf', '.txt', ''])}", b"%PDF-1.7 " + b"x" * rng.randrange(99)),
        ("a.txt", b"a"),
    ]
    if rng.random() < 0.5:
        return Document(zipped(members, rng), "application/zip", (), "files.zip", depth=1)
    return Document(tarred(members, rng), "application/x-tar", (), "files.tar", depth=1)


@encoder("archives", depth=1)
def archive_comment(address, rng):
    return Document(zipped([("a.txt", b"a")], rng, comment=sentence(address, rng)), "application/zip", (), "files.zip", depth=1)
