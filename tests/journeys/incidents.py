"""The accidents of incidents.toml, sent again through the real binary under the shipped policy.

    tests/run incidents [-- --markdown FILE]

Each incident with visible recipients becomes a message as a usual client writes it, in ISO-2022-JP and
UTF-8 in turn, sent by smtplib and swaks in turn. Whatever the relay does with it, nobody may see
anybody else: every copy at the sink is decoded by Python's email package and searched for every other
address. A message that is held is then released by its sender's safe way, `split`.
"""

import subprocess
import tempfile
import time
import tomllib

import pytest

from tests.rig import clients, decode
from tests.rig.clients import Letter, Person
from tests.rig.people import strangers
from tests.rig.relay import TOP, Relay, id_of, wait_until
from tests.rig.sink import Sink

# The number assumed where the published reports give none.
ASSUMED = 60
STYLES = ["japanese-webmail", "outlook", "japanese-webmail", "thunderbird", "japanese-webmail", "gmail", "japanese-webmail", "apple"]
SUBJECTS = ["説明会のご案内", "お知らせ", "当選のご連絡", "中止のお知らせ", "【重要】日程の変更について"]
SENDER = Person("広報担当", "koho@example.co.jp")


# The mail went to students: all of one university, at one domain.
ONE_DOMAIN = "to one students' domain"


def students(count):
    """`count` people at one domain, who probably do not know each other."""
    return [Person("", f"s{number:05}@stu.univ-minami.example") for number in range(count)]


def incidents():
    """(id, recipients, field, assumed) of every accident with visible recipients."""
    for entry in tomllib.loads((TOP / "tests" / "incidents.toml").read_text())["incident"]:
        if entry["kind"] == "visible-recipients":
            yield entry["id"], entry.get("exposed", ASSUMED), entry.get("field", "To"), "exposed" not in entry


def letter(number, people, field):
    """The message of incident `number`, and the client that writes it."""
    style = STYLES[number % len(STYLES)]
    text = f"各位\n\nお世話になっております。{SUBJECTS[number % len(SUBJECTS)]}です。\nよろしくお願いいたします。"
    typed = Letter(SENDER, subject=SUBJECTS[number % len(SUBJECTS)], text=text, seed=number)
    if "To" in field:
        typed.to = people
    else:
        typed.to, typed.cc = [SENDER], people
    return style, clients.CLIENTS[style](typed)


def by_smtplib(relay, message, recipients):
    """Sends with Python's smtplib."""
    return relay.send(message, recipients, SENDER.address)


def by_swaks(relay, message, recipients):
    """Sends with swaks; its transcript has the answer."""
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(message)
        file.flush()
        done = subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--from", SENDER.address, "--to", ",".join(recipients),
             "--data", f"@{file.name}", "--timeout", "60"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
        )
    answers = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("<-  250 2.0.0 ")]
    answers = [line for line in answers if " as " in line]
    assert answers, done.stdout.decode("utf-8", "replace")[-1500:]
    return answers[-1][4:]


def replay(relay, sink, number, people, field):
    """Sends one message; returns (verdict, copies, most addresses visible in one copy, seconds)."""
    _, message = letter(number, people, field)
    recipients = [p.address for p in people] + ([] if "To" in field else [SENDER.address])
    before = len(sink.taken)
    started = time.time()
    answer = (by_swaks if number % 2 and len(people) < 1000 else by_smtplib)(relay, message, recipients)
    assert answer.startswith("250 2.0.0 "), answer
    verdict = "held, split by its sender" if " held as " in answer else "split"
    if " held as " in answer:
        time.sleep(0.3)
        assert not arrived(sink, before), "copies of a held message left"
        relay.cli("held", "release", id_of(answer))
    expected = set(recipients)
    wait_until(lambda: len(arrived(sink, before)) >= len(expected), 180)
    seconds = time.time() - started
    time.sleep(0.2)  # a second copy would arrive now
    copies = arrived(sink, before)
    return verdict, copies, check(copies, recipients, people), seconds


def arrived(sink, before):
    """The copies at the sink since `before`, without the relay's own notices (null sender)."""
    return [t for t in sink.taken[before:] if t.sender]


def check(copies, recipients, people):
    """Checks that everybody got exactly one copy and nobody sees anybody else; returns the most addresses seen in
    one copy.
    """
    got = sorted(r.lower() for copy in copies for r in copy.recipients)
    assert got == sorted(r.lower() for r in recipients), f"{len(got)} deliveries for {len(recipients)} recipients"
    outsiders = {p.address.lower() for p in people}
    most = 0
    for copy in copies:
        assert len(copy.recipients) == 1, f"a transaction with {len(copy.recipients)} recipients"
        seen = decode.addresses(copy.content) & outsiders
        most = max(most, len(seen))
        others = seen - {copy.recipients[0].lower()}
        assert not others, f"the copy of {copy.recipients[0]} shows {sorted(others)[:3]}"
    return most


def cases():
    """What is sent, in the order of incidents.toml: (number, id, recipients, field, assumed, number of mails)."""
    found = [(*incident, 1) for incident in incidents()]
    found.append(("hyogo-university-fair, in nine mails", 4500, "To", False, 9))
    found.append((f"hyogo-university-fair, {ONE_DOMAIN}", 4500, "To", False, 1))
    return [pytest.param(number, *case, id=case[0].replace(", ", "-").replace(" ", "-").replace("'", "")) for number, case in enumerate(found)]


@pytest.fixture(scope="module")
def sink():
    """One relay for all: a stray copy would disturb the next accident."""
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def relay(sink):
    """Under the shipped policy."""
    with Relay(sink.address) as relay:
        yield relay


@pytest.mark.parametrize("number, name, count, field, assumed, parts", cases())
def it_lets_nobody_see_anybody_else(record_property, sink, relay, number, name, count, field, assumed, parts):
    people = students(count) if ONE_DOMAIN in name else strangers(count, name, providers=True)
    size = count // parts
    started = time.time()
    results = [replay(relay, sink, number + 8 * part, people[part * size : (part + 1) * size], field) for part in range(parts)]
    record_property("accident", [
        number, name, f"{count}{' (assumed)' if assumed else ''}", field, results[0][0], sum(len(r[1]) for r in results),
        max(r[2] for r in results), parts * size * (size - 1), time.time() - started])
