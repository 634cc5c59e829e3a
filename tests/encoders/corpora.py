"""The mirror: mail in which the hidden address does not stand must not be held for it."""

import random
import re
from pathlib import Path

from tests.encoders.cases import Mail
from tests.encoders.feed import judge, send_all
from tests.encoders.words import address

CORPUS = Path(__file__).parents[1] / "corpus"
ADDRESS = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def beside(text, rng):
    """Addresses that are a part of one in the text, and are none there: the end of its local part, the
    beginning of its domain."""
    found = sorted({match.group().decode() for match in ADDRESS.finditer(text)})
    for longer in rng.sample(found, min(3, len(found))):
        local, domain = longer.split("@")
        short = [local[at:] for at in range(1, len(local)) if local[at].isalnum()]
        options = [f"{end}@{domain}" for end in short] + [f"{local}@{domain.partition('.')[2]}"] * (domain.count(".") > 1)
        rng.shuffle(options)
        plain = text.lower()
        for option in options:
            if not re.search(rb"(?<![a-z0-9._+-])" + re.escape(option.lower().encode()), plain) and "." in option.split("@")[1]:
                yield option
                break


def mails(seed):
    """Each message of the corpus with addresses that it does not hold."""
    rng = random.Random(f"mirror {seed}")
    for path in sorted(CORPUS.glob("*.eml")):
        text = path.read_bytes()
        for at, hidden in enumerate([address(rng), *beside(text, rng)]):
            # An id of its own, so that it does not count as the same mail again.
            content = re.sub(rb"(?im)^message-id:\s*<", b"Message-ID: <%d.%d." % (seed, at), text, count=1)
            yield path.name, Mail(None, hidden, "", "", content)


def needless(running, seed):
    """What was found though it is not there: a line each."""
    named = list(mails(seed))
    sent = [mail for _, mail in named]
    outcomes = judge(sent, send_all(sent, running.port, seed), running)
    return [f"{name}: {mail.hidden} ({outcome.words[:160]})" for (name, mail), outcome in zip(named, outcomes) if outcome.found]
