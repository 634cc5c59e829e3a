"""Writes winmail.dat (MS-OXTNEF): the few attributes that carry text and people.

Only what the corpus needs: a subject, MAPI properties with the display lists, a recipient table, one
attached file, and an embedded message with a recipient table of its own.
"""

import struct

SIGNATURE, KEY = 0x223E9F78, 0x0001
ATT_TNEF_VERSION, ATT_OEM_CODEPAGE = 0x00089006, 0x00069007
ATT_MESSAGE_CLASS, ATT_SUBJECT = 0x00078008, 0x00018004
ATT_MSG_PROPS, ATT_RECIP_TABLE = 0x00069003, 0x00069004
ATT_ATTACH_REND_DATA, ATT_ATTACH_TITLE, ATT_ATTACH_DATA, ATT_ATTACHMENT = 0x00069002, 0x00018010, 0x0006800F, 0x00069005

PT_LONG, PT_OBJECT, PT_STRING8, PT_UNICODE = 0x0003, 0x000D, 0x001E, 0x001F
PR_SUBJECT, PR_DISPLAY_CC, PR_DISPLAY_TO = 0x0037, 0x0E03, 0x0E04
PR_RECIPIENT_TYPE, PR_DISPLAY_NAME, PR_ADDRTYPE, PR_EMAIL_ADDRESS, PR_SMTP_ADDRESS = 0x0C15, 0x3001, 0x3002, 0x3003, 0x39FE
PR_ATTACH_DATA_OBJ, PR_ATTACH_METHOD = 0x3701, 0x3705
IID_IMESSAGE = bytes.fromhex("0703020000000000c000000000000046")


def attribute(level, ident, data):
    """One TNEF attribute with its checksum."""
    return struct.pack("<BII", level, ident, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def properties(items):
    """A MAPI property list: (id, type, value)."""
    out = struct.pack("<I", len(items))
    for ident, kind, value in items:
        out += struct.pack("<HH", kind, ident)
        if kind == PT_LONG:
            out += struct.pack("<I", value)
            continue
        if kind == PT_UNICODE:
            raw = value.encode("utf-16-le") + b"\0\0"
        elif kind == PT_STRING8:
            raw = value.encode("cp932") + b"\0"
        else:
            raw = value
        out += struct.pack("<II", 1, len(raw)) + raw + b"\0" * (-len(raw) % 4)
    return out


def recipient_table(people):
    """The recipient table: a row of properties each."""
    out = struct.pack("<I", len(people))
    for person in people:
        out += properties(
            [
                (PR_RECIPIENT_TYPE, PT_LONG, 2),
                (PR_DISPLAY_NAME, PT_UNICODE, person.name or person.address),
                (PR_ADDRTYPE, PT_UNICODE, "SMTP"),
                (PR_EMAIL_ADDRESS, PT_UNICODE, person.address),
                (PR_SMTP_ADDRESS, PT_UNICODE, person.address),
            ]
        )
    return out


def winmail(subject, to=(), cc=(), files=(), embedded=None):
    """The bytes of a winmail.dat. With people it has a recipient table and the display lists; `files`
    are (name, bytes); `embedded` is another winmail.dat, attached as a message."""
    out = struct.pack("<IH", SIGNATURE, KEY)
    out += attribute(1, ATT_TNEF_VERSION, struct.pack("<I", 0x00010000))
    out += attribute(1, ATT_OEM_CODEPAGE, struct.pack("<II", 932, 0))
    out += attribute(1, ATT_MESSAGE_CLASS, b"IPM.Microsoft Mail.Note\0")
    out += attribute(1, ATT_SUBJECT, subject.encode("cp932") + b"\0")
    if to or cc:
        out += attribute(1, ATT_RECIP_TABLE, recipient_table([*to, *cc]))
    props = [(PR_SUBJECT, PT_UNICODE, subject)]
    if to:
        props.append((PR_DISPLAY_TO, PT_UNICODE, "; ".join(p.name or p.address for p in to)))
    if cc:
        props.append((PR_DISPLAY_CC, PT_UNICODE, "; ".join(p.address for p in cc)))
    out += attribute(1, ATT_MSG_PROPS, properties(props))
    for name, data in files:
        out += attribute(2, ATT_ATTACH_REND_DATA, struct.pack("<HIHHI", 1, 0xFFFFFFFF, 0, 0, 0))
        out += attribute(2, ATT_ATTACH_TITLE, name.encode("cp932") + b"\0")
        out += attribute(2, ATT_ATTACH_DATA, data)
    if embedded is not None:
        out += attribute(2, ATT_ATTACH_REND_DATA, struct.pack("<HIHHI", 2, 0xFFFFFFFF, 0, 0, 0))
        items = [(PR_ATTACH_METHOD, PT_LONG, 5), (PR_ATTACH_DATA_OBJ, PT_OBJECT, IID_IMESSAGE + embedded)]
        out += attribute(2, ATT_ATTACHMENT, properties(items))
    return out
