"""Addresses, near misses of them, and sentences that hold them, all by a given random generator."""

import re
import unicodedata

NAMES = "taro hanako p3 suzuki kenji m.sato reader1 yuki.abe info office a.tanaka sales 7star user_k j-w news+jp".split()
WORDS = "org2 aozora minato-press sakura kita hikari tsubame fuji nishi lab3 b2b city welfare".split()
ENDINGS = "example.com example.org example.net example.jp example.or.jp example.ac.jp example.ne.jp".split()
JAPANESE = (
    "各位 説明会の日程が決まりましたのでお知らせします 会場は本社三階です "
    "ご返信ください 宛先 参加者 連絡先 よろしくお願いいたします"
).split()
ENGLISH = "please note that the room has changed minutes of the meeting are attached members contact list by friday".split()


def address(rng):
    """An address nobody has, of a usual form."""
    local = rng.choice(NAMES)
    if rng.random() < 0.7:
        local += rng.choice(["", ".", "-", "_", "+"]) + str(rng.randrange(10, 9999))
    if rng.random() < 0.03:
        local = "o'" + local
    return f"{local}@{rng.choice(WORDS)}{rng.randrange(1, 999)}.{rng.choice(ENDINGS)}"


def near_miss(needle, rng):
    """An address that is longer than the needle, or another one at its side, and so somebody else's."""
    local, domain = needle.split("@")
    other = [
        f"customer-{local}@{domain}",
        f"x{local}@{domain}",
        f"the.{local}@{domain}",
        f"old_{local}@{domain}",
        f"{local}.z@{domain}",
        f"{local}-2@{domain}",
        f"{local}@mail.{domain}",
        f"{local}@not{domain}",
        f"{local}@{domain.replace('.example', '-x.example')}",
    ]
    if domain.endswith(".com"):
        other.append(f"{local}@{domain}.au")
    if domain.endswith((".net", ".org")):
        other.append(f"{local}@{domain}.uk")
    return rng.choice(other)


def words(rng, count=6, script=None):
    """A few words."""
    script = script or rng.choice(["en", "ja"])
    return " ".join(rng.choice(JAPANESE if script == "ja" else ENGLISH) for _ in range(rng.randrange(1, count)))


def sentence(address, rng, script=None, breaks=True):
    """A text of one or several lines with the address somewhere in it, between signs that end a word."""
    script = script or rng.choice(["en", "ja"])
    before = ["", " ", ": ", " <", " (", ", ", ";", ' "', "=", "/", "[", "mailto:", "Cc: "]
    after = ["", " ", ",", ";", ">", ")", '"', ". ", " -", "]", "|", "?"]
    if breaks:
        before += ["\n", "\n", "\t", "\n- "]
        after += ["\n", "\t", ".\n"]
    if script == "ja":
        before += ["宛先：", "「", "　", "連絡先は"]
        after += ["」", "。", "　様", "です", "、"]
    left = words(rng, 9, script) + rng.choice(before)
    right = rng.choice(after) + words(rng, 5, script)
    # A letter that touches it would make it another address.
    left += " " if re.match(r"[\w.+-]", left[-1], re.ASCII) else ""
    right = (" " if re.match(r"[\w+-]", right[0], re.ASCII) else "") + right
    return left + address + right


def wide(text, charset="utf-8"):
    """Full-width letters, as Japanese input methods write them, as far as the charset has them."""

    def letter(c):
        full = chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c
        try:
            return full if full.encode(charset).decode(charset) == full else c
        except UnicodeError:
            return c

    return "".join(map(letter, text))


def cut(text, rng, most=3):
    """The text in pieces; at least two where it has two letters."""
    places = sorted(rng.sample(range(1, len(text)), min(len(text) - 1, rng.randrange(1, most + 1))))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)])]


def _look_alikes():
    found = {}
    for code in range(0x80, 0x1FFFF):
        plain = unicodedata.normalize("NFKC", chr(code))
        if len(plain) == 1 and "!" <= plain.lower() <= "~":
            found.setdefault(plain.lower(), []).append(chr(code))
    return found


LOOK_ALIKES = _look_alikes()  # letters that NFKC makes the plain one of
# Letters that take no room (Default_Ignorable_Code_Point of the UCD, without tags and variation planes).
INVISIBLE = [
    *map(
        chr,
        [
            0xAD,
            0x34F,
            0x61C,
            0x115F,
            0x180E,
            *range(0x200B, 0x2010),
            *range(0x202A, 0x202F),
            *range(0x2060, 0x2065),
            *range(0x2066, 0x2070),
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFEFF,
            0xFFA0,
            0x1BCA0,
            0x1D173,
            0xE0020,
            0xE0100,
        ],
    )
]
