"""Writes tests/corpus/*.eml and examples/twelve-in-cc.eml.

    python3 -m tests.rig.make_corpus            (from the top of the project)

Every file is the same each time, but for the signed and encrypted ones: those need fresh keys (openssl,
gpg), so they are written only where they do not stand yet.
"""

import base64
import subprocess
import tempfile
from pathlib import Path

from tests.rig import clients, tnef
from tests.rig.clients import Letter, Person, attachment, message, text_field, address_field
from tests.rig.people import SENDER, strangers

TOP = Path(__file__).resolve().parents[2]
CORPUS = TOP / "tests" / "corpus"

COLLEAGUE = Person("広報室", "koho@example.co.jp")
TEXT = """各位

平素より大変お世話になっております。総務課の佐藤です。
来月の説明会の日程が決まりましたので、お知らせいたします。

日時　12月8日（火）14時から
会場　本社 3階 大会議室

ご都合のつかない方は、この メールにご返信ください。
よろしくお願いいたします。

--
株式会社エグザンプル 総務課
佐藤 花子
hanako.sato@example.co.jp"""
SUBJECT = "【ご案内】12月の説明会の日程について"
CSV = "氏名,会社\r\n田中 太郎,青空商事\r\n鈴木 恵子,港プレス\r\n"


def letter(**changes):
    """The notice that everybody sends, with changes."""
    kind = dict(sender=SENDER, subject=SUBJECT, text=TEXT, seed=7)
    kind.update(changes)
    return Letter(**kind)


def everyday():
    """What usual clients write, to one, to few, and to many."""
    few, some, many = strangers(2, 2), strangers(6, 3), strangers(12, 4)
    yield "outlook-two", clients.outlook(letter(to=few))
    yield "outlook-six-in-to", clients.outlook(letter(to=some))
    yield "outlook-twelve-in-cc", clients.outlook(letter(to=[COLLEAGUE], cc=many))
    yield "gmail-twelve-in-to", clients.gmail(letter(to=many))
    yield "gmail-fork-boundary", clients.gmail(letter(to=many, seed=8))
    yield "thunderbird-twelve-in-cc", clients.thunderbird(letter(to=[SENDER], cc=many))
    yield "apple-six-in-cc", clients.apple(letter(to=[COLLEAGUE], cc=some))
    yield "webmail-iso-2022-jp", clients.japanese_webmail(letter(to=some))
    yield "webmail-4500-names", clients.japanese_webmail(letter(to=strangers(4500, 5, providers=True)))
    sheet = CSV.encode("shift_jis")
    yield "outlook-attachments", clients.outlook(
        letter(to=few),
        [
            attachment("text/csv", "出席者一覧.csv", sheet),
            attachment("text/csv", "出席者一覧.csv", sheet, "rfc2047"),
            attachment("text/csv", "説明会の出席者一覧と座席の割り当て（改訂版）.csv", sheet, "shift-jis-2231"),
        ],
    )


def headers():
    """Header blocks that parsers stumble over."""
    a, b, c = strangers(3, 6)
    base = [f"Date: {letter().date}", f"From: {SENDER.address}", "Message-ID: <headers@example.co.jp>"]
    yield "two-to-fields", message([*base, f"To: {a.address}", f"To: {b.address}", f"Cc: {c.address}", "Subject: two"], "x\n")
    yield "group-name", message([*base, f"To: Late payers: {a.address}, {b.address};", "Subject: g"], "x\n")
    yield "address-in-name", message(
        [*base, f'To: "{b.address}" <{a.address}>', f"Cc: {clients.phrase('件名 ' + b.address)} <{c.address}>", "Subject: n"], "x\n"
    )
    yield "address-in-comment", message([*base, f"To: {a.address} (cc {b.address} (also {c.address}))", "Subject: c"], "x\n")
    yield "unterminated-quote", message([*base, f'To: "Tanaka <{a.address}>, {b.address}', "Subject: q"], "x\n")
    yield "zero-width-space", message([*base, f"To: tanaka\u200b@example.jp, {b.address}", "Subject: z"], "x\n")
    yield "bcc-with-space", message([*base, f"To: {a.address}", f"Bcc : {b.address}", "Subject: s"], "x\n")
    yield "bcc-in-header", clients.outlook(letter(to=[a], bcc=[b, c]))
    yield "carrier-dots", message([*base, "To: a..b.@docomo.ne.jp", "Subject: d"], "x\n")
    yield "eai-address", message([*base, "To: 田中@例え.example", f"Subject: {SUBJECT}"], "x\n")
    yield "route-address", message([*base, f"To: <@relay.example,@hub.example:{a.address}>", "Subject: r"], "x\n")
    raw = [*base, f"To: {a.address}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=Shift_JIS", "Content-Transfer-Encoding: 8bit"]
    head = "\r\n".join(raw).encode() + b"\r\nSubject: " + "説明会".encode("shift_jis") + b"\r\n\r\n"
    yield "raw-shift-jis", head + TEXT.encode("shift_jis").replace(b"\n", b"\r\n") + b"\r\n"
    mixed = [*base, f"To: {a.address}", "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"', "Subject: s"]
    body = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: text/csv; name=\""
        + "一覧.csv".encode("shift_jis")
        + b"\"\r\nContent-Disposition: attachment; filename=\""
        + "一覧.csv".encode("shift_jis")
        + b"\"\r\n\r\nx\r\n--b--\r\n"
    )
    yield "raw-shift-jis-filename", message(mixed, body)
    dkim_z = "DKIM-Signature: v=1; a=rsa-sha256; d=example.co.jp; s=s1; h=from:to; z=From:" + SENDER.address + "|To:" + b.address.replace("@", "=40") + "; bh=AAAA; b=BBBB"
    yield "dkim-copied-fields", message([dkim_z, *base, f"To: {a.address}, {b.address}", "Subject: z"], "x\n")
    yield "no-date-no-id", message([f"From: {SENDER.address}", f"To: {a.address}", "Subject: bare"], "x\n")


def traffic():
    """Mail that is not a notice to strangers: replies, lists, forwards, reports, invitations."""
    circle = strangers(11, 9)
    first = "first@example.co.jp"
    yield "circle-first", clients.outlook(letter(to=circle, subject="打ち合わせ"))
    yield "circle-reply-all", clients.thunderbird(letter(to=circle, subject="Re: 打ち合わせ", in_reply_to=first))
    yield "list-post", message(
        [
            "Return-Path: <kenkyu-bounces@lists.example.ac.jp>",
            f"Date: {letter().date}", f"From: {SENDER.address}", "To: kenkyu@lists.example.ac.jp",
            "Message-ID: <list@example.co.jp>", "List-Id: <kenkyu.lists.example.ac.jp>",
            "List-Post: <mailto:kenkyu@lists.example.ac.jp>", "List-Unsubscribe: <https://lists.example.ac.jp/u>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click", "Precedence: list", text_field("Subject", "[kenkyu 12] " + SUBJECT),
        ],
        "x\n",
    )
    yield "auto-forward", message(
        [
            "Return-Path: <hanako.sato+caf_=me=home.example@example.co.jp>", "X-Forwarded-To: me@home.example",
            "X-Forwarded-For: hanako.sato@example.co.jp me@home.example", "Delivered-To: hanako.sato@example.co.jp",
            "Resent-From: hanako.sato@example.co.jp", "Resent-To: me@home.example",
            f"Date: {letter().date}", "From: friend@example.net", address_field("To", [SENDER, *strangers(10, 10)]),
            "Message-ID: <forward@example.net>", "Subject: photos",
        ],
        "x\n",
    )
    report = (
        "--r\r\nContent-Type: text/plain\r\n\r\nThe message could not be delivered.\r\n"
        "--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
        "Final-Recipient: rfc822; nobody@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--r\r\nContent-Type: message/rfc822-headers\r\n\r\n"
        f"From: {SENDER.address}\r\nTo: nobody@example.net\r\nSubject: x\r\n\r\n--r--\r\n"
    )
    yield "delivery-report", message(
        [f"Date: {letter().date}", "From: Mail Delivery System <MAILER-DAEMON@mx.example.net>", f"To: {SENDER.address}",
         "Message-ID: <report@mx.example.net>", "Auto-Submitted: auto-replied", "MIME-Version: 1.0",
         'Content-Type: multipart/report; report-type=delivery-status; boundary="r"', "Subject: Undelivered Mail"],
        report,
    )
    yield from invitations()


def invitations():
    """Calendar mail: a meeting request with ATTENDEE lines and the Bcc field Outlook leaves in it; a reply."""
    people = strangers(3, 11)

    def calendar(method, who):
        lines = [
            "BEGIN:VCALENDAR", "PRODID:Microsoft Exchange Server 2010", "VERSION:2.0", f"METHOD:{method}", "BEGIN:VEVENT",
            f"ORGANIZER;CN=佐藤花子:mailto:{SENDER.address}",
            *(f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN={p.name or p.address}:\r\n mailto:{p.address}" for p in who),
            "UID:040000008200E00074C5B7101A82E008", "SUMMARY:打ち合わせ", "DTSTART:20261208T050000Z", "DTEND:20261208T060000Z",
            "END:VEVENT", "END:VCALENDAR", "",
        ]
        return "\r\n".join(lines).encode()

    def invite(name, method, who, to, bcc=()):
        fields = [
            address_field("From", [SENDER]), address_field("To", to), address_field("Bcc", bcc) if bcc else "",
            text_field("Subject", "打ち合わせ"), f"Thread-Index: {clients.thread_index(letter())}", f"Date: {letter().date}",
            f"Message-ID: <{name}@example.co.jp>", "MIME-Version: 1.0", 'Content-Type: multipart/alternative; boundary="_000_inv_"',
        ]
        body = (
            '--_000_inv_\r\nContent-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            f"{clients.lines76(TEXT.encode())}\r\n"
            f'--_000_inv_\r\nContent-Type: text/calendar; charset="utf-8"; method={method}\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n{clients.lines76(calendar(method, who))}\r\n--_000_inv_--\r\n"
        )
        return name, message(fields, body)

    yield invite("meeting-request", "REQUEST", people, people[:2], people[2:])
    yield invite("meeting-reply", "REPLY", [SENDER], people[:1])
    seven = strangers(7, 12)
    yield invite("meeting-request-seven", "REQUEST", seven, seven)


def containers():
    """Attachments that carry people: winmail.dat, nested messages, in layers."""
    to, hidden = strangers(2, 13), strangers(4, 14)

    def with_part(name, part):
        return name, clients.outlook(letter(to=to, seed=name), [part])

    plain = tnef.winmail(SUBJECT, files=[("一覧.csv", CSV.encode("cp932"))])
    people = tnef.winmail(SUBJECT, to=to, cc=hidden)
    inner = tnef.winmail("中の件名", to=hidden)
    yield with_part("tnef-plain", attachment("application/ms-tnef", "winmail.dat", plain))
    yield with_part("tnef-recipients", attachment("application/ms-tnef", "winmail.dat", people))
    yield with_part("tnef-embedded-recipients", attachment("application/ms-tnef", "winmail.dat", tnef.winmail(SUBJECT, embedded=inner)))
    yield with_part("tnef-truncated", attachment("application/ms-tnef", "winmail.dat", people[: len(people) // 2]))
    forwarded = clients.outlook(letter(to=hidden, subject="元のメール")).decode()
    yield with_part("forwarded-as-attachment", f"Content-Type: message/rfc822\r\n\r\n{forwarded}")
    wrapped = base64.b64encode(clients.outlook(letter(to=to), [f"Content-Type: message/rfc822\r\n\r\n{forwarded}"]))
    lines = b"\r\n".join(wrapped[i : i + 76] for i in range(0, len(wrapped), 76)).decode()
    yield with_part("nested-base64", f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}\r\n")


def run(*command, data=b"", home=None):
    """A tool's output."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home or "/tmp"), "GNUPGHOME": str(home or "/tmp")}
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env=env).stdout


def crypto():
    """Signed and encrypted mail, by openssl and gpg with keys made for the purpose and thrown away."""
    to = strangers(12, 15)
    inner = clients.message(
        ['Content-Type: text/plain; charset="utf-8"', "Content-Transfer-Encoding: base64"], clients.lines76(TEXT.encode()) + "\r\n"
    )
    protected = clients.message(
        ['Content-Type: text/plain; charset="utf-8"; protected-headers="v1"', "Content-Transfer-Encoding: base64",
         address_field("From", [SENDER]), address_field("To", to), text_field("Subject", SUBJECT)],
        clients.lines76(TEXT.encode()) + "\r\n",
    )
    with tempfile.TemporaryDirectory() as folder:
        key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "3650",
            "-subj", f"/CN=Sato Hanako/emailAddress={SENDER.address}")
        run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", f"Sato <{SENDER.address}>", "default", "default", "never", home=folder)
        detached = run("openssl", "cms", "-sign", "-binary", "-signer", cert, "-inkey", key, "-outform", "DER", data=inner)
        opaque = run("openssl", "cms", "-sign", "-binary", "-nodetach", "-signer", cert, "-inkey", key, "-outform", "DER", data=inner)
        wrapped = clients.outlook(letter(to=to))
        opaque_wrapped = run("openssl", "cms", "-sign", "-binary", "-nodetach", "-signer", cert, "-inkey", key, "-outform", "DER",
                             data=b"Content-Type: message/rfc822\r\n\r\n" + wrapped)
        enveloped = run("openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", cert, data=inner)
        armour = run("gpg", "--batch", "--armor", "--detach-sign", data=protected, home=folder)
        cipher = run("gpg", "--batch", "--armor", "--trust-model", "always", "--encrypt", "-r", SENDER.address, data=protected, home=folder)
        run("gpgconf", "--kill", "gpg-agent", home=folder)
    head = [address_field("From", [SENDER]), address_field("To", to), text_field("Subject", SUBJECT), f"Date: {letter().date}",
            "Message-ID: <signed@example.co.jp>", "MIME-Version: 1.0"]

    def parts(kind, first, second):
        return message([*head, f"Content-Type: {kind}; boundary=\"sig\""],
                       b"--sig\r\n" + first + b"\r\n--sig\r\n" + second + b"\r\n--sig--\r\n")

    def cms(kind, data):
        return message([*head, f'Content-Type: application/pkcs7-mime; smime-type={kind}; name="smime.p7m"',
                        "Content-Transfer-Encoding: base64", 'Content-Disposition: attachment; filename="smime.p7m"'],
                       clients.lines76(data) + "\r\n")

    def crlf(data):
        return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    yield "smime-signed", parts(
        'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256', inner,
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + clients.lines76(detached).encode() + b"\r\n")
    yield "smime-opaque-signed", cms("signed-data", opaque)
    yield "smime-opaque-wrapped", cms("signed-data", opaque_wrapped)
    yield "smime-encrypted", cms("enveloped-data", enveloped)
    yield "pgp-signed-protected-headers", parts(
        'multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha512', protected,
        b'Content-Type: application/pgp-signature; name="signature.asc"\r\n\r\n' + crlf(armour))
    yield "pgp-encrypted", parts(
        'multipart/encrypted; protocol="application/pgp-encrypted"',
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
        b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n\r\n' + crlf(cipher))


CRYPTO = ("smime-signed", "smime-opaque-signed", "smime-opaque-wrapped", "smime-encrypted",
          "pgp-signed-protected-headers", "pgp-encrypted")


def main():
    """Writes the files."""
    CORPUS.mkdir(exist_ok=True)
    (TOP / "examples").mkdir(exist_ok=True)
    twelve = letter(to=[COLLEAGUE], cc=strangers(12, 4))
    (TOP / "examples" / "twelve-in-cc.eml").write_bytes(clients.outlook(twelve))
    made = [*everyday(), *headers(), *traffic(), *containers()]
    if not all((CORPUS / f"{name}.eml").exists() for name in CRYPTO):
        made += crypto()
    for name, data in made:
        (CORPUS / f"{name}.eml").write_bytes(data)
    print(f"{len(list(CORPUS.glob('*.eml')))} messages in tests/corpus")


if __name__ == "__main__":
    main()
