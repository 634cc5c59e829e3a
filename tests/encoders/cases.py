"""Cases: which encoder, in what, in which mail; one line of text says all of it.

    json-text > zip > gzip @ nodemailer > forwarded # 123

The line is the seed, so a case stays the same whatever other encoders come and go.
"""

import random
import re
from dataclasses import dataclass, replace

from tests.encoders import archives, builders, calendars, carriers, charsets, fields, office, pages, pdf, rtf, texts, words  # noqa: F401 (each registers its own)
from tests.encoders.registry import BUILDERS, CARRIERS, ENCODERS, FOUND, NAMED, WRAPPERS

SENDER = "hanako@example.co.jp"
SEEN = "customer@visible.example.org"
DEPTH = 3  # containers inside each other, and steps of nesting

# Encoders that write the address in one piece, so that a longer one is longer in every view.
WHOLE = (
    "plain json-text csv-text escaped-html ics-attendee docx-properties xlsx-cells pdf-compressed pdf-plain rtf-plain tnef-text "
    "undeclared-utf16 full-width subject-raw file-name form member-name pdf-properties inner-bodies mbox xls"
).split()


@dataclass(frozen=True)
class Case:
    """One mail to be made."""

    encoder: str
    wrappers: tuple
    builder: str
    carriers: tuple
    seed: int
    mirror: bool = False  # a longer address stands in it: nothing is to be found

    def __str__(self):
        made = " > ".join([self.encoder, *self.wrappers])
        mailed = " > ".join([self.builder, *self.carriers])
        return f"{made} @ {mailed} # {self.seed}{' mirror' if self.mirror else ''}"

    @classmethod
    def read(cls, line):
        """The case that a line says."""
        made, _, rest = line.partition("@")
        mailed, _, seed = rest.partition("#")
        encoder, *wrappers = (word.strip() for word in made.split(">"))
        builder, *around = (word.strip() for word in mailed.split(">"))
        number, *more = seed.split()
        return cls(encoder, tuple(wrappers), builder, tuple(around), int(number), more == ["mirror"])

    def steps(self):
        """The names of all steps."""
        return [self.encoder, *self.wrappers, self.builder, *self.carriers]

    def smaller(self):
        """Cases with a step less, or with the simplest builder."""
        for at in range(len(self.wrappers)):
            yield replace(self, wrappers=self.wrappers[:at] + self.wrappers[at + 1 :])
        for at in range(len(self.carriers)):
            yield replace(self, carriers=self.carriers[:at] + self.carriers[at + 1 :])
        if self.builder != "by-hand-alone":
            yield replace(self, builder="by-hand-alone")


@dataclass(frozen=True)
class Mail:
    """A case as a mail: whose address must not be shown, and what must come of it."""

    case: Case
    hidden: str
    written: str  # what really stands in it
    must: str
    content: bytes


def choose(seed, mirror=False, only=None):
    """The case of a number: encoders by turns, all else at random."""
    rng = random.Random(f"{seed}{mirror}")
    names = only or (sorted(set(WHOLE)) if mirror else sorted(ENCODERS))
    first = ENCODERS[names[seed % len(names)]]
    depth, text = first.depth, not first.bare and not first.depth
    wrappers, carriers_ = [], []
    for _ in range(rng.choices(range(DEPTH + 1), [4, 4, 3, 2])[0]):
        free = DEPTH - depth
        if rng.random() < 0.3:
            # A signature covers the part and not the subject.
            signed = "signed" if first.name.startswith("subject") and not carriers_ else "-"
            fit = [s for s in CARRIERS.values() if s.depth <= free and signed not in s.name.split("-")]
        elif first.bare or carriers_:
            continue
        else:
            texts_ = text and not wrappers and rng.random() < 0.25 and not mirror
            fit = [s for s in WRAPPERS.values() if s.depth <= free and (s.needs == "text") == texts_]
        if fit:
            step = rng.choice(sorted(fit, key=lambda s: s.name))
            depth += step.depth
            (carriers_ if step.name in CARRIERS else wrappers).append(step.name)
    return Case(first.name, tuple(wrappers), rng.choice(sorted(BUILDERS)), tuple(carriers_), seed, mirror)


def begins_a_line(hidden, data):
    """Whether a fold cut the longer address so that the hidden one stands whole on a line of its own: a reader that
    does not unfold sees it, so that a hit is right."""
    return re.search(rb"[\r\n][ \t]" + re.escape(hidden.encode()), data) is not None


def is_part(case, hidden, written):
    """Whether the hidden address stands behind a hyphen or the like in the name of a file, which is put together from
    parts, so that a hit is right."""
    return case.encoder in ("file-name", "member-name") and re.search(r"[._+-]" + re.escape(hidden), written) is not None


def make(case):
    """Builds the mail. The same case gives the same address and chain; ids and times of libraries differ."""
    rng = random.Random(f"{case.encoder} {case.seed}")
    hidden = words.address(rng)
    written = words.near_miss(hidden, rng) if case.mirror else hidden
    document = ENCODERS[case.encoder].make(written, rng)
    while case.mirror and (is_part(case, hidden, written) or begins_a_line(hidden, document.data)):
        written = words.near_miss(hidden, rng)
        document = ENCODERS[case.encoder].make(written, rng)
    must = [document.must, ENCODERS[case.encoder].must]
    rng = random.Random(f"mail {case.seed}")
    for name in case.wrappers:
        step = WRAPPERS[name]
        if step.needs == "text" and document.text is None:
            continue
        document = step.make(document, rng)
        must += [document.must, step.must]
    number = rng.randrange(10**12)
    heading = builders.Heading(SENDER, SEEN, f"case {number}", f"<{number}.{case.seed}@example.co.jp>")
    content = BUILDERS[case.builder].make(document, heading, rng)
    for at, name in enumerate(case.carriers):
        content = CARRIERS[name].make(content, replace(heading, ident=f"<{number}.{case.seed}.{at}@example.co.jp>"), rng)
    return Mail(case, hidden, written, NAMED if NAMED in must else FOUND, content)
