"""Writes tables.txt: single-octet character sets that the Encoding Standard leaves out.

The mappings are those of Python's codecs; what Python lacks is asked of iconv. One line a set: its names
(letters and digits alone, lower case), a tab, and four hexadecimal digits an octet, for octets 80 to FF
where 00 to 7F are ASCII, else for all 256. FFFD is an octet without a character.

With `samples`, writes samples.txt for the tests: for every codec of Python its names, and an address in
its octets: full-width letters where it has them, and ASCII.

Run: python3 src/message/charset/generate.py > src/message/charset/tables.txt
     python3 src/message/charset/generate.py samples > src/message/charset/samples.txt
"""

import codecs
import encodings.aliases
import importlib
import re
import subprocess
import sys

ICONV = (
    "CP038 CP256 CP274 CP275 CP277 CP278 CP280 CP281 CP284 CP285 CP290 CP297 CP420 CP423 CP803 CP848 CP851 CP853 CP867"
    " CP868 CP870 CP871 CP880 CP891 CP901 CP902 CP903 CP904 CP905 CP918 CP921 CP922 CP1004 CP1008 CP1025 CP1046 CP1047"
    " CP1070 CP1079 CP1081 CP1084 CP1089 CP1097 CP1112 CP1122 CP1123 CP1124 CP1129 CP1130 CP1131 CP1132 CP1133 CP1137"
    " CP1141 CP1142 CP1143 CP1144 CP1145 CP1146 CP1147 CP1148 CP1149 CP1153 CP1154 CP1155 CP1156 CP1157 CP1158 CP1160"
    " CP1161 CP1162 CP1163 CP1164 CP1166 CP1167 CP4517 CP4899 CP4909 CP4971 CP5347 CP9030 CP9066 CP9448 CP12712 CP16804"
    " CP770 CP771 CP772 CP773 CP774 VISCII TCVN ARMSCII-8 GEORGIAN-ACADEMY GEORGIAN-PS KOI8-RU KOI-8 NEXTSTEP MIK"
    " HP-ROMAN9 HP-GREEK8 HP-THAI8 HP-TURKISH8 DEC-MCS EBCDIC-AT-DE EBCDIC-AT-DE-A EBCDIC-CA-FR EBCDIC-DK-NO"
    " EBCDIC-DK-NO-A EBCDIC-ES EBCDIC-ES-A EBCDIC-ES-S EBCDIC-FI-SE EBCDIC-FI-SE-A EBCDIC-FR EBCDIC-IS-FRISS EBCDIC-IT"
    " EBCDIC-PT EBCDIC-UK EBCDIC-US MULELAO-1 CWI MAC-CENTRALEUROPE MAC-CROATIAN MAC-ICELAND MAC-ROMANIA"
    " MAC-THAI MAC-GREEK MAC-TURKISH MAC-HEBREW MAC-ARABIC PT154 RK1048 ISO-8859-9E ISO-8859-11 ISO-IR-197 ISO-IR-209"
).split()

# Names in use that neither source lists, by one it does.
ALSO = {
    "cp37": ["ebcdiccpus", "ebcdiccpca", "ebcdiccpwt", "ebcdiccpnl"],
    "cp500": ["ebcdiccpbe", "ebcdiccpch", "ebcdicinternational"],
    "cp1140": ["ebcdicus37euro"],
    "cp1141": ["ebcdicde273euro"],
    "cp273": ["ebcdicgermany"],
    "cp277": ["ebcdiccpdk", "ebcdiccpno"],
    "cp278": ["ebcdiccpfi", "ebcdiccpse"],
    "cp280": ["ebcdiccpit"],
    "cp284": ["ebcdiccpes"],
    "cp285": ["ebcdiccpgb"],
    "cp297": ["ebcdiccpfr"],
    "cp420": ["ebcdiccpar1"],
    "cp424": ["ebcdiccphe"],
    "cp290": ["ebcdicjpkana"],
    "cp870": ["ebcdiccproece", "ebcdiccpyu"],
    "cp871": ["ebcdiccpis"],
    "cp1047": ["ebcdiclatin1", "ebcdicopensystemslatin1"],
    "cp1026": ["ebcdiclatin5", "ebcdiclatin5turkish"],
    "viscii": ["viscii111", "csviscii"],
    "tcvn": ["tcvn5712", "tcvn57121", "tcvn57121:1993"],
}


def plain(name):
    """Letters and digits; a code page by its number."""
    name = re.sub("[^a-z0-9]", "", name.lower())
    number = re.fullmatch("(?:cs)?(?:ibm|cp|ccsid|windows|ms)0*([0-9]+)", name)
    return f"cp{number[1]}" if number else name


def by_python(codec):
    return [codecs.decode(bytes([octet]), codec, "replace") for octet in range(256)]


def by_iconv(charset):
    def one(octet):
        done = subprocess.run(["iconv", "-f", charset, "-t", "UTF-16BE"], input=bytes([octet]), capture_output=True)
        return done.stdout.decode("utf-16-be") if not done.returncode else "\ufffd"

    return [one(octet) for octet in range(256)]


def usable(table):
    return all(len(character) == 1 and ord(character) < 0x10000 for character in table) and table.count("\ufffd") < 140


def main():
    found = {}

    def add(table, names):
        if usable(table):
            found.setdefault("".join(table), set()).update(plain(name) for name in names)

    python = {}
    for alias, codec in encodings.aliases.aliases.items():
        python.setdefault(codec, {codec}).add(alias)
    for codec in ("cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u", "mac_arabic", "mac_croatian",
                  "mac_farsi", "mac_romanian"):
        python.setdefault(codec, set()).add(codec)
    for codec, names in sorted(python.items()):
        try:
            module = importlib.import_module(f"encodings.{codec}")
        except ImportError:  # of another system
            continue
        if hasattr(module, "decoding_table") or hasattr(module, "decoding_map") or codec == "latin_1":
            add(by_python(codec), names)
    for charset in ICONV:
        table = by_iconv(charset)
        if table.count("\ufffd") < 200:
            add(table, [charset])
    for table, names in sorted(found.items(), key=lambda item: min(item[1])):
        for name in list(names):
            names.update(ALSO.get(name, []))
        start = 0x80 if table.startswith("".join(map(chr, range(0x80)))) else 0
        print(" ".join(sorted(names)) + "\t" + "".join(f"{ord(character):04x}" for character in table[start:]))


# Python codecs that are no character sets of mail.
NO_CHARSETS = {"charmap", "idna", "mbcs", "oem", "palmos", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}


def samples():
    found = {}
    for alias, codec in encodings.aliases.aliases.items():
        found.setdefault(codec, {codec.replace("_", "-"), codec}).update({alias, alias.replace("_", "-")})
    for codec in ("cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u", "utf_8_sig"):
        found.setdefault(codec, {codec, codec.replace("_", "-")})
    narrow = "user@host.example"
    wide = "".join(chr(ord(character) + 0xFEE0) for character in narrow)
    for codec, names in sorted(found.items()):
        try:
            if codec in NO_CHARSETS or not codecs.lookup(codec)._is_text_encoding:
                continue
        except LookupError:  # of another system
            continue
        for text in (narrow, wide):
            try:
                octets = text.encode(codec)
            except UnicodeError:
                continue
            print(" ".join(sorted(names)), "wide" if text == wide else "narrow", octets.hex(), sep="\t")


samples() if sys.argv[1:] == ["samples"] else main()
