"""A clock that is set: the real binary under libfaketime, its clock set while it runs and between two runs.

    CLOCK_STEPS="120 -120 3600 …" (seconds); needs Debian's package `faketime`

One copy waits for its next attempt, one mail is held, four are on their way and the upstream says nothing to
their final dots. Whatever the clock is set by: nobody gets two, nothing is given up or expires, nothing that
waits is tried again at once by the thousand, the log says so once; and in the end everything arrives, once.

One of two relays on one database: neither takes what the other is sending, whichever's clock is wrong.
"""

import glob
import os
import time
from collections import Counter

import pytest

from tests.journeys.sending import RULES, mail, real
from tests.proofs.nodes import site
from tests.rig.people import strangers
from tests.rig.postgres import Cluster
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

DAY = 86_400
STEPS = [int(step) for step in os.environ.get("CLOCK_STEPS", f"120 -120 3600 -3600 {365 * DAY} {-365 * DAY}").split()]
# The desk looks for expired holds every half minute.
LOOK = float(os.environ.get("CLOCK_LOOK", "32"))
UNDER_WAY = 4


def library():
    """libfaketime for programs with threads."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert found, "libfaketime is missing: apt-get install faketime"
    return found[0]


class Clock:
    """What the relay takes for the system's clock."""

    def __init__(self, relay):
        self.file, self.offset = relay.folder / "clock", 0
        relay.env = {
            "LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, seconds):
        """Sets it by this many seconds."""
        self.offset += seconds
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{self.offset:+d}\n")
        fresh.rename(self.file)


def send(relay, name, subject="x"):
    """One message to one address; returns the reply."""
    return relay.send(mail(subject, strangers(1, name), "text", seed=name), [f"{name}@example.jp"])


def states(relay):
    """State and attempts of every open delivery, by recipient."""
    return {row["recipients"][0].split("@")[0]: (row["state"], row["attempts"]) for row in relay.queue()}


def prepare(relay, sink, tag):
    """One that waits, one that is held."""
    sink.on("rcpt", "450 4.2.1 later", match=f"wait{tag}@")
    send(relay, f"wait{tag}")
    held = id_of(send(relay, f"held{tag}", "[hold] x"))
    assert wait_until(lambda: states(relay).get(f"wait{tag}", ("",))[0] == "waiting"), states(relay)
    return held


def unharmed(relay, held, tag, before):
    """Checks that nothing was given up, expired or retried."""
    assert held in [row["id"] for row in relay.held()], "a hold expired"
    now = states(relay)
    assert now[f"wait{tag}"] == before[f"wait{tag}"], f"what waited: {before[f'wait{tag}']} became {now[f'wait{tag}']}"
    failed = relay.json("queue", "list", "--state", "failed")
    assert not failed, f"given up: {failed}"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.timeout(240)
def it_keeps_its_time_while_the_clock_is_set(step):
    """Sets the clock while the relay has work in progress."""
    tag = f"w{STEPS.index(step)}"
    with Sink() as sink, Relay(sink.address, RULES, start=False) as relay:
        clock = Clock(relay)
        relay.start()
        held = prepare(relay, sink, tag)
        sink.on("dot", "stall", times=UNDER_WAY)
        for n in range(UNDER_WAY):
            send(relay, f"way{tag}-{n}")
        stalled = lambda: [name for name, (state, _) in states(relay).items() if state == "sending"]
        assert wait_until(lambda: len(stalled()) == UNDER_WAY), f"under way: {states(relay)}"
        before = states(relay)
        clock.set(step)
        sent = time.monotonic()
        for n in range(20):
            assert send(relay, f"after{tag}-{n}").startswith("250")
        time.sleep(max(0, LOOK - (time.monotonic() - sent)))
        unharmed(relay, held, tag, before)
        now = states(relay)
        again = {name: now.get(name) for name in before if name.startswith("way") and now.get(name) != before[name]}
        assert not again, f"taken back while under way: {again}"
        got = Counter(r for t in real(sink.taken) for r in t.recipients)
        assert all(count == 1 for count in got.values()), f"two: {got.most_common(3)}"
        assert sum(1 for name in got if name.startswith("after")) == 20, f"not delivered: {got}"
        told = relay.log.read_text("utf-8", "replace").count("the system clock was set: ages")
        assert told == 1, f"told {told} times"
        relay.kill()  # it would wait for the answers to the four final dots


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.timeout(240)
def it_keeps_its_time_when_the_clock_is_set_between_two_runs(step):
    """Sets the clock while the relay is down."""
    tag = f"b{STEPS.index(step)}"
    with Sink() as sink, Relay(sink.address, RULES, start=False) as relay:
        clock = Clock(relay)
        relay.start()
        held = prepare(relay, sink, tag)
        relay.stop()
        clock.set(step)
        relay.start()
        time.sleep(3)
        assert held in [row["id"] for row in relay.held()], "a hold expired"
        failed = relay.json("queue", "list", "--state", "failed")
        assert not failed, f"given up: {failed}"
        attempts = states(relay)[f"wait{tag}"][1]
        assert attempts <= 2, f"tried {attempts} times"
        sink.clear()
        relay.cli("queue", "retry")
        assert wait_until(lambda: f"wait{tag}@example.jp" in sink.recipients(), 20), "what waited does not arrive"
        relay.cli("held", "release", held, "--as", "split")
        assert wait_until(lambda: f"held{tag}@example.jp" in sink.recipients(), 20), "what was held does not arrive"
        got = Counter(r for t in real(sink.taken) for r in t.recipients)
        assert all(count == 1 for count in got.values()), f"two: {got.most_common(3)}"


@pytest.mark.heavy
@pytest.mark.parametrize("step", [step for step in STEPS if abs(step) >= 3600])
@pytest.mark.timeout(240)
def it_keeps_its_time_beside_a_node_whose_clock_is_set(note, step):
    """Sets the clock of one of two relays while both are under load, and starts that relay anew with it."""
    with Cluster() as cluster, site(2, cluster, load=False, start=False) as here:
        one, two = here.relays
        clock = Clock(two)
        one.start()
        two.start()
        here.load()
        here.goes_on()
        id = id_of(one.send(mail("[hold] x", strangers(1, "kept"), seed=step), ["kept@example.jp"]))
        clock.set(step)
        time.sleep(4)
        here.goes_on()
        two.stop()
        two.start()
        time.sleep(4)
        here.goes_on()
        assert id in [row["id"] for row in one.held()] and id in [row["id"] for row in two.held()], "a hold expired"
        assert not one.json("queue", "list", "--state", "failed"), "something was given up"
        logs = "".join(relay.log.read_text("utf-8", "replace") for relay in here.relays)
        lost = logs.count("a lease was lost") + logs.count("after the lease was lost")
        acks, said = here.verdict()
    assert not lost, f"{lost} deliveries were taken from a relay that was sending them; {said}"
    note(f"{step:+d} s: {said}")
