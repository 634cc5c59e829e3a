"""Messages as real mail clients write them.

Each function gives the bytes of one message, CRLF line ends, in the habits of one client: the order of
its fields, how it folds, which charset and transfer encoding it picks. The journeys and the accidents
send these; `make_corpus.py` writes them to files. Nothing here is random: a seed decides.
"""

import base64
import quopri
import random
from dataclasses import dataclass, field

CRLF = b"\r\n"


@dataclass
class Person:
    """A mailbox with the name a client shows."""

    name: str
    address: str


@dataclass
class Letter:
    """What somebody typed, before a client gave it a shape."""

    sender: Person
    to: list = field(default_factory=list)
    cc: list = field(default_factory=list)
    bcc: list = field(default_factory=list)  # written as a Bcc field only by the clients that do so
    subject: str = ""
    text: str = ""
    date: str = "Tue, 24 Nov 2026 14:40:00 +0900"
    seed: int = 1
    charset: str = "utf-8"
    in_reply_to: str = ""
    references: tuple = ()

    def dice(self):
        """Random numbers from a fixed seed."""
        return random.Random(f"{self.seed}/{self.subject}")

    def message_id(self, domain=None):
        """A Message-ID without angle brackets."""
        dice = self.dice()
        left = "".join(dice.choice("0123456789abcdef") for _ in range(24))
        return f"{left}@{domain or self.sender.address.rsplit('@', 1)[1]}"


def encoded_words(text, charset="utf-8", how="B", room=75):
    """RFC 2047 words of `text`, none longer than `room`, no character cut in two."""
    words, chunk = [], ""
    for char in text:
        if len(_word(chunk + char, charset, how)) > room and chunk:
            words.append(_word(chunk, charset, how))
            chunk = ""
        chunk += char
    if chunk:
        words.append(_word(chunk, charset, how))
    return words


def _word(text, charset, how):
    raw = text.encode(charset)
    if how == "B":
        body = base64.b64encode(raw).decode()
    else:
        safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/"
        body = "".join("_" if b == 32 else chr(b) if b in safe else f"={b:02X}" for b in raw)
    return f"=?{charset.upper() if charset != 'utf-8' else 'UTF-8'}?{how}?{body}?="


def phrase(name, charset="utf-8", how="B"):
    """A display name as a client writes it: quoted, plain or encoded."""
    if not name:
        return ""
    if name.isascii():
        plain = all(c.isalnum() or c in " -_'" for c in name)
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return name if plain else f'"{escaped}"'
    return "\r\n ".join(encoded_words(name, charset, how))


def mailbox(person, charset="utf-8", how="B"):
    """`Name <address>`, or the bare address."""
    name = phrase(person.name, charset, how)
    return f"{name} <{person.address}>" if name else person.address


def address_field(name, people, charset="utf-8", how="B"):
    """An address field, folded after each comma as most clients do."""
    return f"{name}: " + ",\r\n ".join(mailbox(p, charset, how) for p in people)


def text_field(name, text, charset="utf-8", how="B"):
    """An unstructured field; encoded words where the text is not ASCII."""
    if text.isascii():
        return f"{name}: {text}"
    return f"{name}: " + "\r\n ".join(encoded_words(text, charset, how, room=70))


def lines76(data):
    """Base64 in lines of 76."""
    text = base64.b64encode(data).decode()
    return "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))


def quoted_printable(text, charset="utf-8"):
    """Quoted-printable with CRLF."""
    raw = quopri.encodestring(text.encode(charset)).decode()
    return raw.replace("\r\n", "\n").replace("\n", "\r\n")


def message(fields, body):
    """Fields (each without its last CRLF; empty ones left out) and a body, as bytes."""
    head = "\r\n".join(f for f in fields if f)
    if isinstance(body, str):
        body = body.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8")
    return head.encode("utf-8") + CRLF + CRLF + body


def threading(letter):
    """In-Reply-To and References of a reply."""
    if not letter.in_reply_to:
        return []
    chain = [*letter.references, letter.in_reply_to]
    return [
        f"In-Reply-To: <{letter.in_reply_to}>",
        "References: " + "\r\n ".join(f"<{r}>" for r in chain),
    ]


def thread_index(letter):
    """Outlook's Thread-Index: 22 octets, base64."""
    dice = letter.dice()
    return base64.b64encode(bytes([1, 0xDC]) + bytes(dice.randrange(256) for _ in range(20))).decode()


def html_of(text):
    """The paragraphs as plain HTML."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"<p>{line or '&nbsp;'}</p>\n" for line in escaped.split("\n"))


def outlook(letter, attachments=()):
    """Outlook for Windows by Exchange Online's SMTP: UTF-8 in base64, text and HTML, Thread-Index, X-MS-*."""
    dice = letter.dice()
    tag = f"{dice.randrange(1 << 40):010X}"
    boundary = f"_000_TY0PR01MB{tag}TY0PR01MB_"
    host = f"TY0PR01MB{tag[:4]}.jpnprd01.prod.outlook.example"
    word = "Japanese" if not letter.text.isascii() else "English"
    fields = [
        address_field("From", [letter.sender], letter.charset),
        address_field("To", letter.to, letter.charset) if letter.to else "",
        address_field("CC", letter.cc, letter.charset) if letter.cc else "",
        address_field("BCC", letter.bcc, letter.charset) if letter.bcc else "",
        text_field("Subject", letter.subject, letter.charset),
        text_field("Thread-Topic", letter.subject, letter.charset),
        f"Thread-Index: {thread_index(letter)}",
        f"Date: {letter.date}",
        f"Message-ID:\r\n <{letter.message_id(host)}>",
        *threading(letter),
        "Accept-Language: ja-JP, en-US" if word == "Japanese" else "Accept-Language: en-US",
        "Content-Language: ja-JP" if word == "Japanese" else "Content-Language: en-US",
        "X-MS-Has-Attach:" + (" yes" if attachments else ""),
        "X-MS-TNEF-Correlator:",
        "x-ms-publictraffictype: Email",
        f"x-ms-office365-filtering-correlation-id: {tag.lower()}-9d1c-4a7e-08da-{tag.lower()}",
        "x-microsoft-antispam: BCL:0;ARA:13230040|376014|366016|1800799024;",
        "X-MS-Exchange-SenderADCheck: 1",
        "X-OriginatorOrg: " + letter.sender.address.rsplit("@", 1)[1],
    ]
    alternative = (
        f"--{boundary}\r\n"
        f'Content-Type: text/plain; charset="{letter.charset}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
        f"{lines76(letter.text.replace(chr(10), chr(13) + chr(10)).encode(letter.charset))}\r\n\r\n"
        f"--{boundary}\r\n"
        f'Content-Type: text/html; charset="{letter.charset}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
        + lines76(
            (
                '<html xmlns:o="urn:schemas-microsoft-com:office:office">\r\n<head>\r\n'
                f'<meta http-equiv="Content-Type" content="text/html; charset={letter.charset}">\r\n'
                '</head>\r\n<body lang="JA">\r\n<div class="WordSection1">\r\n'
                f"{html_of(letter.text)}</div>\r\n</body>\r\n</html>\r\n"
            ).encode(letter.charset)
        )
        + f"\r\n\r\n--{boundary}--\r\n"
    )
    if not attachments:
        fields += [
            "Content-Type: multipart/alternative;\r\n" f'\tboundary="{boundary}"',
            "MIME-Version: 1.0",
        ]
        return message(fields, alternative)
    outer = boundary.replace("_000_", "_004_")
    fields += [
        "Content-Type: multipart/mixed;\r\n" f'\tboundary="{outer}"',
        "MIME-Version: 1.0",
    ]
    body = (
        f"--{outer}\r\nContent-Type: multipart/alternative;\r\n\tboundary=\"{boundary}\"\r\n\r\n{alternative}\r\n"
    )
    for part in attachments:
        body += f"--{outer}\r\n{part}\r\n"
    return message(fields, body + f"--{outer}--\r\n")


def attachment(kind, name, data, how="rfc2231", disposition="attachment"):
    """One attachment part: its header and base64 body, as text; `how` says the way the name is written."""
    if name.isascii():
        type_name, file_name = f'name="{name}"', f'filename="{name}"'
    elif how == "rfc2231":
        percent = "".join(f"%{b:02X}" for b in name.encode("utf-8"))
        type_name, file_name = f"name*=UTF-8''{percent}", f"filename*=UTF-8''{percent}"
    elif how == "rfc2047":
        word = " ".join(encoded_words(name, "iso-2022-jp"))
        type_name, file_name = f'name="{word}"', f'filename="{word}"'
    else:  # rfc2231 in Shift_JIS, cut into pieces
        raw = "".join(f"%{b:02X}" for b in name.encode("shift_jis"))
        cut = [raw[i : i + 48] for i in range(0, len(raw), 48)]
        pieces = [f"*0*=Shift_JIS''{cut[0]}"] + [f"*{n}*={c}" for n, c in enumerate(cut[1:], 1)]
        type_name = ";\r\n ".join("name" + piece for piece in pieces)
        file_name = ";\r\n ".join("filename" + piece for piece in pieces)
    return (
        f"Content-Type: {kind};\r\n {type_name}\r\n"
        f"Content-Disposition: {disposition};\r\n {file_name}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
        f"{lines76(data)}\r\n"
    )


def gmail(letter):
    """Gmail as Google Workspace hands it to an outbound gateway: DKIM with darn=, X-Gm-*, 7-digit boundaries."""
    dice = letter.dice()
    boundary = f"{dice.randrange(1 << 48):024x}"
    domain = letter.sender.address.rsplit("@", 1)[1]
    first = (letter.to + letter.cc)[0].address.rsplit("@", 1)[1]
    signature = base64.b64encode(bytes(dice.randrange(256) for _ in range(256))).decode()
    dkim = (
        "v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
        f"        d={domain}; s=google; t=1795498800; x=1796103600; darn={first};\r\n"
        "        h=cc:to:subject:message-id:date:from:mime-version:from:to:cc:subject\r\n"
        "         :date:message-id:reply-to;\r\n"
        f"        bh={signature[:43]}=;\r\n        b=" + "\r\n         ".join(signature[i : i + 64] for i in range(0, 320, 64))
    )
    fields = [
        f"DKIM-Signature: {dkim}",
        "X-Google-DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=1e100.example; s=20230601; darn=" + first,
        f"X-Gm-Message-State: AOJu0Yx{signature[:52]}",
        f"X-Google-Smtp-Source: AGHT+IE{signature[60:120]}",
        "X-Received: by 2002:a05:6402:1e8d with SMTP id 4fb4d7f45d1cf-5cfa0d0a5e2mr1.12.1795498800000;\r\n"
        "        Tue, 24 Nov 2026 05:40:00 -0800 (PST)",
        "MIME-Version: 1.0",
        *threading(letter),
        address_field("From", [letter.sender]),
        f"Date: {letter.date}",
        f"Message-ID: <CAB{letter.message_id('mail.gmail.example')}>",
        text_field("Subject", letter.subject),
        address_field("To", letter.to) if letter.to else "",
        address_field("Cc", letter.cc) if letter.cc else "",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    ]
    body = (
        f'--{boundary}\r\nContent-Type: text/plain; charset="UTF-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        f"{lines76(letter.text.encode())}\r\n"
        f'--{boundary}\r\nContent-Type: text/html; charset="UTF-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        f'{quoted_printable("<div dir=" + chr(34) + "ltr" + chr(34) + ">" + html_of(letter.text) + "</div>")}\r\n'
        f"--{boundary}--\r\n"
    )
    return message(fields, body)


def thunderbird(letter):
    """Thunderbird: Message-ID first, 8bit, format=flowed, long addresses lines folded at commas."""
    fields = [
        f"Message-ID: <{letter.message_id()}>",
        f"Date: {letter.date}",
        "MIME-Version: 1.0",
        "User-Agent: Mozilla Thunderbird",
        text_field("Subject", letter.subject),
        *threading(letter),
        "Content-Language: ja",
        address_field("To", letter.to) if letter.to else "",
        address_field("Cc", letter.cc) if letter.cc else "",
        address_field("From", [letter.sender]),
        "Autocrypt: addr=" + letter.sender.address + "; keydata=\r\n xsDNBGF" + "A" * 60,
        "Content-Type: text/plain; charset=UTF-8; format=flowed",
        "Content-Transfer-Encoding: 8bit",
    ]
    return message(fields, letter.text + "\n")


def apple(letter):
    """Apple Mail: quoted-printable, Q words, `Mime-Version: 1.0 (…)`, an Apple-Mail boundary, a remark after it."""
    boundary = f"Apple-Mail=_{letter.dice().randrange(1 << 64):016X}-9A1B-4C5D-8E7F-0A1B2C3D4E5F"
    fields = [
        address_field("From", [letter.sender], how="Q"),
        f'Content-Type: multipart/alternative;\r\n\tboundary="{boundary}"',
        "Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3826.200.121\\))",
        text_field("Subject", letter.subject, how="Q"),
        f"Message-Id: <{letter.message_id().upper()}>",
        f"Date: {letter.date}",
        *threading(letter),
        address_field("Cc", letter.cc, how="Q") if letter.cc else "",
        address_field("To", letter.to, how="Q") if letter.to else "",
        "X-Mailer: Apple Mail (2.3826.200.121)",
        f"X-Universally-Unique-Identifier: {letter.dice().randrange(1 << 64):016X}",
    ]
    body = (
        f"--{boundary}\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\n"
        f"{quoted_printable(letter.text)}\r\n"
        f"--{boundary}\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/html;\r\n\tcharset=utf-8\r\n\r\n"
        f'{quoted_printable("<html><head></head><body style=" + chr(34) + "overflow-wrap: break-word;" + chr(34) + ">" + html_of(letter.text) + "</body></html>")}\r\n'
        f"--{boundary}--\r\n"
    )
    return message(fields, body)


def japanese_webmail(letter):
    """A Japanese provider's webmail: ISO-2022-JP in header and body, 7bit, names in B words."""
    fields = [
        f"Date: {letter.date}",
        address_field("From", [letter.sender], "iso-2022-jp"),
        address_field("To", letter.to, "iso-2022-jp") if letter.to else "",
        address_field("Cc", letter.cc, "iso-2022-jp") if letter.cc else "",
        f"Message-Id: <{letter.message_id()}>",
        *threading(letter),
        text_field("Subject", letter.subject, "iso-2022-jp"),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=ISO-2022-JP",
        "Content-Transfer-Encoding: 7bit",
        "X-Mailer: Webmail 5.2 [ja]",
        "X-Priority: 3",
    ]
    text = letter.text.replace("\r\n", "\n").replace("\n", "\r\n") + "\r\n"
    return message(fields, text.encode("iso-2022-jp"))


CLIENTS = {
    "outlook": outlook,
    "gmail": gmail,
    "thunderbird": thunderbird,
    "apple": apple,
    "japanese-webmail": japanese_webmail,
}
