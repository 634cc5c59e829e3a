"""The upstream's faults through the real binary: 11 stages of its session × 6 faults × {1, 3 recipients} × {plain,
STARTTLS, implicit TLS} = 396 cells, by one relay on SQLite and by two on one PostgreSQL.

    UPSTREAM_CELLS=word (plays those with the word in their names, such as `starttls body`)

Each cell has an upstream of its own, by a route of its own, that fails once and is well afterwards (`rig/failing.py` says
what each fault is). All cells of a mode are in flight at once; time passes quickly for the relays (`rig/lapse.py`), so that
a stall ends by the relay's own timeout, of up to ten minutes. Two relays get every second mail each, and either retries
what is due. One of three recipients is accepted, one is refused (550), and one is at first told to come later (450); the
fault at RCPT is met by the first, who comes first.

Asserted for each recipient, by the journal: the state after the first attempt; by the upstreams: how many copies came,
and that none left outside TLS; by the sender's mailbox: exactly one report that names those, and only those, who are
given up. After a lost answer to the final dot there are two copies, marked as possible duplicates; otherwise one, or
none and a report; and nobody is marked who need not be. What is stalled or half-closed is let go by the relay.

Where a combination has no meaning by itself:

* connect: 4xx, 5xx and garbage are said by who answers before any server does, such as a packet filter, and the
  connection ends; under implicit TLS in the clear.
* banner: what is dropped, stalled or half-closed there comes after half a banner.
* ehlo, 5xx: HELO is used, which is enough, but for STARTTLS. With STARTTLS and three recipients the fault comes at the
  second EHLO, inside TLS.
* starttls, plain: the upstream offers STARTTLS, and the relay's `tls` is opportunistic: after a refusal the mail goes in
  the clear.
* starttls, implicit TLS: the fault takes the place of the upstream's part of the handshake.
* auth: only here the upstream asks for AUTH; in the clear `tls = "off"` allows it.
* body: with drop and stall the body is larger than all buffers, so that the fault comes while the relay sends; with the
  other faults the relay has sent its final dot before it reads what was said, so garbage and half-close leave it unsure.
* quit: QUIT is sent to a connection that was idle for 30 s; the mail was taken before, and nothing may follow.
"""

import contextlib
import json
import os
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.sending import RULES
from tests.rig.authority import Authority
from tests.rig.check import equal
from tests.rig.failing import FAULTS, MODES, PASSWORD, STAGES, USER, Upstreams
from tests.rig.lapse import Lapse
from tests.rig.postgres import Cluster
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

WORD = os.environ.get("UPSTREAM_CELLS", "")
# More than the buffers of a connection on the loopback interface hold: Linux lets them grow to 4 MiB.
LARGE = 6 * 1024 * 1024
# A little longer than an idle connection is kept, and than a connection may take; together, than the longest timeout.
SHORT, LONG = 35, 10 * 60 - 20
# The steps in which time passes for one relay and for two: who waits for PostgreSQL gives up a new connection after 5 s, and
# an answer after 15.
STEPS = {1: 20, 2: 4}
BEFORE_MAIL = ("connect", "banner", "ehlo", "starttls", "auth")
LOST = ("drop", "stall", "garbage", "half-close")
TLS = {"plain": "off", "starttls": "required", "implicit": "implicit"}


@dataclass(frozen=True)
class Cell:
    """One combination."""

    number: int
    mode: str
    stage: str
    fault: str
    recipients: int

    @property
    def name(self):
        return f"{self.mode} {self.stage} {self.fault} {self.recipients}"

    @property
    def sender(self):
        return f"c{self.number}@example.co.jp"

    @property
    def people(self):
        """Their addresses, by what becomes of them without the fault."""
        return {who: f"{who}@c{self.number}.example" for who in ("ok", "never", "later")[: self.recipients]}

    def at_first(self):
        """The state of each after the first attempt."""
        first = self.of_the_first()
        refused = {"ok": first, "never": "failed", "later": "waiting"}
        if self.stage in BEFORE_MAIL and first == "waiting" or self.stage == "mail" or self.stage == "rcpt" and self.fault in LOST:
            refused = dict.fromkeys(refused, first)
        return {address: refused[who] for who, address in self.people.items()}

    def of_the_first(self):
        """The state of the one who would have been accepted, after the first attempt."""
        stage, fault = self.stage, self.fault
        helo = stage == "ehlo" and fault == "5xx" and (self.mode != "starttls" or self.late)
        in_the_clear = stage == "starttls" and self.mode == "plain" and fault in ("4xx", "5xx")
        if stage == "quit" or helo or in_the_clear:
            return "delivered"
        if stage in BEFORE_MAIL or fault == "4xx":
            return "waiting"
        if fault == "5xx":
            return "failed"
        unsure = stage == "dot" or stage == "body" and fault in ("garbage", "half-close")
        return "uncertain" if unsure else "waiting"

    @property
    def late(self):
        return self.mode == "starttls" and self.stage == "ehlo" and self.recipients == 3

    def in_the_end(self):
        """How many copies each has got in the end; who has none is named in the report."""
        copies, first = {}, self.at_first()
        for who, address in self.people.items():
            given_up = who == "never" or first[address] == "failed"
            copies[address] = 0 if given_up else 1 + (self.stage == "dot" and first[address] == "uncertain")
        return copies

    def mail(self):
        """Its mail."""
        size = LARGE if self.stage == "body" and self.fault in ("drop", "stall") else 200
        head = (f"From: <{self.sender}>\r\nTo: {', '.join(f'<{one}>' for one in self.people.values())}\r\nSubject: cell {self.name}\r\n"
                f"Message-ID: <c{self.number}@cells.example>\r\nDate: Mon, 30 Nov 2026 09:00:00 +0900\r\n\r\n")
        return (head + f"cell {self.name}\r\n.\r\n" + ("x" * 70 + "\r\n") * (size // 72)).encode()


CELLS = [Cell(number, *what) for number, what in enumerate(
    (mode, stage, fault, recipients) for mode in MODES for stage in STAGES for fault in FAULTS for recipients in (1, 3))]
assert len(CELLS) == 11 * 6 * 2 * 3 == 396


class Matrix:
    """All cells of one mode, with their upstreams; `relays` are added by who plays."""

    def __init__(self, mode, stack, nodes):
        self.cells = [cell for cell in CELLS if cell.mode == mode and WORD in cell.name]
        assert len(self.cells) == len(CELLS) / len(MODES) or WORD, len(self.cells)
        self.folder, self.relays, self.ids = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sekisho-cells-"))), [], {}
        self.lapse, self.sink, self.upstreams = Lapse(self.folder, STEPS[nodes]), stack.enter_context(Sink()), stack.enter_context(Upstreams())
        self.authority = Authority(self.folder / "ca")
        context, secret = self.authority.server("localhost"), self.folder / "secret"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        self.hosts, self.tables = {}, []
        for cell in self.cells:
            # Each kind of dialogue with each number of recipients, by one relay and by two.
            pipelining = (cell.recipients == 1) == (nodes == 1)
            host = self.upstreams.add(cell.stage, cell.fault, cell.mode, context, pipelining=pipelining, late=cell.late,
                                      answers={"never@": "550 5.1.1 no such user", "later@": "450 4.2.1 later"})
            self.hosts[cell] = host
            tls = "opportunistic" if host.offers_tls and mode == "plain" else TLS[mode]
            login = f'username = "{USER}"\npassword_file = "{secret}"\n' if host.logs_in else ""
            self.tables.append(
                f'[upstreams.c{cell.number}]\naddress = "localhost:{host.port}"\ntls = "{tls}"\nconnections = 2\n{login}'
                + (f'ca_file = "{self.authority.ca}"\n' if tls != "off" else "")
                + f'[[route]]\nrecipient_domains = ["c{cell.number}.example"]\nupstream = "c{cell.number}"\n')

    def relay(self, **more):
        """A relay that has all of them as upstreams."""
        return Relay(self.sink.address, RULES, extra="\n".join(self.tables), env=self.lapse.env, **more)

    def send(self, cell):
        """Sends a cell's mail to one of the relays."""
        relay = self.relays[self.cells.index(cell) % len(self.relays)]
        self.ids[cell] = id_of(relay.send(cell.mail(), list(cell.people.values()), cell.sender))

    def play(self):
        """Sends all, lets everything go wrong, and waits until nothing is left; what differs from what should be."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.send, self.cells))
        early = [cell for cell in self.cells if cell.stage not in ("connect", "quit") or self.hosts[cell].listens and cell.stage != "quit"]
        wait_until(lambda: all(self.hosts[cell].met for cell in early), 60, 0.05)
        # Connecting times out, idle connections end.
        self.lapse.go_on(SHORT, self.ask)
        quick = [cell for cell in self.cells if cell.fault != "stall" or cell.stage == "connect"]
        self.wait_for_first(quick)
        for cell in quick:
            if cell.stage == "connect":
                self.upstreams.recover(self.hosts[cell])
        self.lapse.go_on(LONG, self.ask)
        self.wait_for_first(self.cells)
        wait_until(lambda: all(self.hosts[cell].met for cell in self.cells if self.hosts[cell].listens and cell.stage != "connect"), 20, 0.1)
        for host in self.hosts.values():
            self.upstreams.recover(host)
        until = time.time() + 100
        while time.time() < until and any(relay.queue() for relay in self.relays[:1]):
            self.relays[-1].cli("queue", "retry", ok=False)
            wait_until(lambda: self.relays[0].queue() == [], 1, 0.1)
        wait_until(lambda: sum(map(len, self.reports().values())) >= sum(1 for cell in self.cells if 0 in cell.in_the_end().values()), 90, 0.1)
        time.sleep(0.5)
        traces, reports = self.traces(), self.reports()
        return [f"{cell.name}: {fault}" for cell in self.cells for fault in self.judge(cell, traces.get(self.ids[cell]), reports)]

    def ask(self):
        """Asks each relay whether it is ready, which it answers when it has written to its store."""
        for relay in self.relays:
            with contextlib.suppress(OSError):
                relay.http("/readyz")

    def traces(self):
        """What the relays know of each mail, by its id."""
        said = self.relays[0].cli("trace", "cell", "--limit", "1000", "--json", seconds=120).stdout
        return {trace["message"]["id"]: trace for trace in json.loads(said)}

    def wait_for_first(self, cells):
        """Waits until the first attempt at each is in the journal."""
        def missing():
            traces = self.traces()
            return [cell.name for cell in cells if set(first_states(traces.get(self.ids[cell]))) != set(cell.people.values())]

        wait_until(lambda: not missing(), 60, 0.5)

    def reports(self):
        """The recipients that each report names as given up, by the sender it went to."""
        found = {}
        for taken in self.sink.taken:
            named = re.findall(rb"(?m)^Final-Recipient: rfc822; ?(\S+)", taken.content)
            found.setdefault(taken.recipients[0], []).append(sorted(one.decode() for one in named))
        return found

    def judge(self, cell, trace, reports):
        """What is wrong with a cell."""
        host, first = self.hosts[cell], first_states(trace)
        if first != cell.at_first():
            yield f"after the first attempt {first}, not {cell.at_first()}: {attempts(trace)}"
        got = {address: sum(taken.recipients.count(address) for taken in host.taken) for address in cell.people.values()}
        if got != cell.in_the_end():
            yield f"copies in the end {got}, not {cell.in_the_end()}: {attempts(trace)}"
        wanted = [sorted(address for address, copies in cell.in_the_end().items() if copies == 0)]
        if reports.get(cell.sender, [[]]) != wanted:
            yield f"reports name {reports.get(cell.sender)}, not {wanted}"
        marked = {r for row in trace["deliveries"] if row["possible_duplicate"] for r in row["recipients"]} if trace else set()
        unsure = {address for address, state in cell.at_first().items() if state == "uncertain"}
        if marked != unsure:
            yield f"marked as possible duplicates: {marked}, not {unsure}"
        if strangers := [r for taken in host.taken for r in taken.recipients if r not in cell.people.values()]:
            yield f"foreign recipients {strangers}"
        body = cell.mail().split(b"\r\n\r\n", 1)[1]
        if [taken for taken in host.taken if not taken.content.endswith(b"\r\n\r\n" + body)]:
            yield "a copy is not what was sent"
        if [taken for taken in host.taken if taken.secured != (cell.mode != "plain")] and not host.offers_tls:
            yield f"copies inside TLS: {[taken.secured for taken in host.taken]}"
        if cell.stage != "connect" and not host.met:
            yield "the fault was never met"
        if cell.fault in ("stall", "half-close") and host.met and not wait_until(lambda: host.let_go, 5):
            yield "the relay does not let go"
        if cell.fault == "stall" and cell.stage != "quit" and "no answer within" not in str(attempts(trace)[:3]):
            yield f"no timeout: {attempts(trace)}"


def first_states(trace):
    """The state of each recipient after the first attempt, as the journal and the deliveries tell."""
    if trace is None:
        return {}
    found = {}
    for event in attempts(trace):
        for recipient in event["recipients"]:
            found.setdefault(recipient, event["state"])
    for row in trace["deliveries"]:
        if row["state"] == "delivered":
            for recipient in row["recipients"]:
                found.setdefault(recipient, "delivered")
    return found


def attempts(trace):
    """The attempts in the journal."""
    return [event for event in trace["events"] if "reply" in event] if trace else []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def it_delivers_each_once_after_every_fault(note, mode):
    with contextlib.ExitStack() as stack:
        matrix = Matrix(mode, stack, nodes=1)
        matrix.relays.append(stack.enter_context(matrix.relay()))
        finish(note, matrix)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def it_delivers_each_once_after_every_fault_with_two_nodes(note, mode):
    with contextlib.ExitStack() as stack:
        cluster, matrix = stack.enter_context(Cluster()), Matrix(mode, stack, nodes=2)
        for name in ("one", "two"):
            store = cluster.store(name, matrix.folder / "journal-key")
            matrix.relays.append(stack.enter_context(matrix.relay(store=store)))
        finish(note, matrix)


def finish(note, matrix):
    """Plays it; fails with a line for each cell that went wrong."""
    began = time.time()
    wrong = matrix.play()
    cells = f"{len(matrix.cells)} cells"
    assert not wrong, f"{len(wrong)} faults in {cells}:\n" + "\n".join(wrong)
    copies = sum(len(taken.recipients) for host in matrix.hosts.values() for taken in host.taken)
    given_up = sum(map(len, sum(matrix.reports().values(), [])))
    note(f"{cells}, {copies} copies, {given_up} given up and reported, in {time.time() - began:.0f} s")
