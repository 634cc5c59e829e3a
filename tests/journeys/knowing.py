"""Journeys of who knows whom: what the relay's own deliveries teach, what held mail does not, and where it is shown."""

import json
import time
from email.utils import formatdate

from tests.rig.check import contains, equal
from tests.rig.relay import Relay, wait_until
from tests.rig.sink import Sink

SATO = "hanako.sato@example.co.jp"
SIX = [f"person{number}@firm{number}.example" for number in range(6)]
FOUR, STRANGER = SIX[:4], "tanaka@stranger.example"
DAY = 86_400


def mail(name, people, author=SATO, answers="", age=0):
    """A mail that shows these people to each other."""
    more = f"In-Reply-To: <{answers}>\r\nReferences: <{answers}>\r\n" if answers else ""
    return (
        f"From: {author}\r\nTo: {', '.join(people)}\r\nSubject: plan\r\n{more}Date: {formatdate(time.time() - age)}\r\n"
        f"Message-ID: <{name}>\r\n\r\nfine\r\n"
    ).encode()


def explained(relay, content):
    """What `explain --json` says of a mail."""
    path = relay.folder / "explained.eml"
    path.write_bytes(content)
    return json.loads(relay.cli("explain", path, "--json").stdout)


def it_learns_from_what_it_delivered_and_from_nothing_that_was_held():
    with Sink() as sink, Relay(sink.address) as relay:
        contains(relay.send(mail("passed@example.co.jp", FOUR), FOUR), "queued as")
        contains(relay.send(mail("held@example.co.jp", SIX), SIX), "held as")
        known = wait_until(lambda: explained(relay, mail("new", FOUR))["facts"]["known_to_each_other"], 30, 1)
        assert known, relay.output()
        equal(relay.json("report")["knowledge"]["mails"], {"sent": 1})
        for answers in ("passed@example.co.jp", "held@example.co.jp", "forged@example.co.jp", ""):
            contains(relay.send(mail(f"re-{answers or 'none'}", SIX, answers=answers), SIX), "held as")
        nearest = explained(relay, mail("re", [*FOUR, STRANGER], answers="passed@example.co.jp"))["facts"]["nearest_mail"]
        equal((nearest["answered"], nearest["people"], nearest["strangers"]), (True, 5, [STRANGER]))


def it_says_who_was_on_which_mail_and_what_was_avoided():
    with Sink() as sink, Relay(sink.address) as relay:
        first = mail("first@firm0.example", [*SIX[1:], SATO], author=SIX[0], age=3 * DAY)
        reply = mail("re@example.co.jp", SIX, answers="first@firm0.example")
        more = mail("more@example.co.jp", [*SIX, STRANGER], answers="first@firm0.example")
        archive = relay.folder / "archive"
        archive.mkdir()
        for name, content in (("1.eml", first), ("2.eml", reply), ("3.eml", more)):
            (archive / name).write_bytes(content)
        equal(relay.json("replay", archive)["holds_avoided"], 0)
        relay.cli("learn", archive)
        answer = explained(relay, reply)
        equal(answer["verdict"]["action"], "pass")
        contains(answer["rules"][0]["why"], "exempt: all six outsiders were on the mail of ")
        contains(relay.cli("explain", relay.folder / "explained.eml").stdout, "all 6 were on the mail of ")
        answer = explained(relay, more)
        equal(answer["verdict"]["action"], "hold")
        contains(answer["rules"][0]["why"], f"; {STRANGER} was not on the mail of ")
        told = relay.json("replay", archive)
        equal((told["holds_avoided"], told["holds_without_knowledge"]), (1, 2))
        contains(relay.cli("replay", archive).stdout, "holds avoided: 1 of 2")
        contains(relay.send(reply, SIX), "queued as")
        equal(relay.json("report")["knowledge"]["passed"], 1)
        contains(relay.cli("report").stdout, "known to each other  1 mail passed for it")
        # Mail that passed by an exemption teaches nothing, and a forgotten person is a stranger.
        relay.cli("forget", SIX[5])
        contains(relay.send(mail("again@example.co.jp", SIX, answers="re@example.co.jp"), SIX), "held as")
