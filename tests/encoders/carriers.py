"""A whole mail inside another: forwarded, in a digest, attached as a file, signed."""

import base64
import functools
import subprocess
import tempfile
from pathlib import Path

from tests.encoders.archives import named
from tests.encoders.builders import Heading, lines
from tests.encoders.registry import carrier, wrapper

INNER = Heading("koho@example.co.jp", "soumu@example.co.jp", "a mail of ours", "<inner@example.co.jp>")


def parts(kind, heading, pieces, rng):
    mark = f"=_c{rng.randrange(10**9)}".encode()
    body = b"".join(b"--" + mark + b"\r\n" + piece + b"\r\n" for piece in pieces) + b"--" + mark + b"--\r\n"
    return heading.fields() + b"Content-Type: multipart/" + kind + b'; boundary="' + mark + b'"\r\n\r\n' + body


def note():
    return b"Content-Type: text/plain\r\n\r\nsee below\r\n"


@carrier()
def forwarded(mail, heading, rng):
    inner = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: inline\r\n\r\n" + mail
    return parts(b"mixed", heading, [note(), inner], rng)


@carrier()
def digest(mail, heading, rng):
    """RFC 2046 §5.1.5: parts without a type are messages."""
    return parts(b"digest", heading, [b"\r\n" + mail, b"\r\nSubject: x\r\n\r\nx\r\n"], rng)


@carrier(depth=1)
def attached_eml(mail, heading, rng):
    head = (
        rng.choice([b"Content-Type: application/octet-stream", b"Content-Type: message/rfc822"])
        + b'\r\nContent-Disposition: attachment; filename="mail.eml"\r\n'
    )
    return parts(
        b"mixed", heading, [note(), head + b"Content-Transfer-Encoding: base64\r\n\r\n" + lines(base64.b64encode(mail), 76)], rng
    )


@functools.cache
def identity():
    """A key and a certificate for signatures, made once a run."""
    folder = tempfile.TemporaryDirectory(prefix="encoders-key-")
    key, certificate = Path(folder.name) / "key.pem", Path(folder.name) / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-subj",
        "/CN=encoders",
        "-days",
        "9",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate, folder  # which goes with the process


def entity(mail):
    """The mail without its own fields of a mail: what gets signed."""
    head, _, body = mail.partition(b"\r\n\r\n")
    kept, keep = [], False
    for line in head.split(b"\r\n"):
        if line[:1] in b" \t":
            kept += [line] if keep else []
            continue
        keep = line.lower().startswith(b"content-")
        kept += [line] if keep else []
    return b"\r\n".join(kept) + b"\r\n\r\n" + body


def signed(content, *arguments):
    """CMS of openssl: a signature, with `-nodetach` the content inside it."""
    key, certificate, _ = identity()
    command = ["openssl", "cms", "-sign", "-signer", certificate, "-inkey", key, *arguments, "-binary", "-outform", "DER"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


@wrapper("archives")
def signed_file(document, rng):
    """A file signed by itself (`list.csv.p7m`), as Italian and Spanish offices send them."""
    kind = rng.choice(["application/pkcs7-mime", "application/octet-stream"])
    return document.inside(data=signed(document.data, "-nodetach"), type=kind, name=named(document) + ".p7m")


@carrier(depth=1)
def opaque_signed(mail, heading, rng):
    """S/MIME in one piece, by openssl."""
    data = signed(entity(mail), "-nodetach", *rng.choice([[], ["-noattr"], ["-stream"]]))
    kind = rng.choice([b"application/pkcs7-mime", b"application/x-pkcs7-mime"])
    head = (
        b"Content-Type: "
        + kind
        + b'; smime-type=signed-data; name="smime.p7m"\r\nContent-Transfer-Encoding: base64\r\n'
        + b'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    )
    return heading.fields() + head + lines(base64.b64encode(data), 64)


@carrier()
def clear_signed(mail, heading, rng):
    signature = signed(entity(mail))
    sealed = b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines(
        base64.b64encode(signature), 64
    )
    return parts(b'signed; protocol="application/pkcs7-signature"; micalg=sha-256', heading, [entity(mail), sealed], rng)
