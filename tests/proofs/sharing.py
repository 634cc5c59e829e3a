"""What two relays on one PostgreSQL database do for each other: decisions, drains, backups.

    DRAINS=4 (40 before a release)
"""

import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.api import ask, token
from tests.journeys.sending import RULES, mail
from tests.proofs.crash import LOADS, acknowledged, taken
from tests.proofs.nodes import site
from tests.rig.people import strangers
from tests.rig.postgres import Cluster
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

DRAINS = int(os.environ.get("DRAINS", "4"))
# Workers and claims in advance of one relay: with so many on their way it takes no more.
FULL = 20 + 60
DECISIONS = 10


@pytest.mark.alone
@pytest.mark.timeout(240)
def it_sends_at_one_node_what_was_decided_at_another(note):
    """One relay can send nothing, for its upstream says nothing to what is on its way; decisions are made there."""
    with Cluster() as cluster, Sink() as mute, Sink() as sink, tempfile.TemporaryDirectory() as folder:
        mute.on("dot", "stall")
        key, many = Path(folder) / "journal-key", 'tls = "off"\nconnections = 20'
        with Relay(mute.address, RULES, store=cluster.store("one", key), upstream_extra=many) as one:
            one.page = lambda path: f"http://127.0.0.1:{one.desk}{path}"
            shown = token(one)
            held = []
            for n in range(DECISIONS):
                held.append(id_of(one.send(mail("[hold] x", strangers(1, f"h{n}"), seed=n), [f"decided{n}@example.jp"])))
            for n in range(FULL):
                one.send(mail("x", strangers(1, f"f{n}"), seed=n), [f"full{n}@example.jp"])
            on_its_way = "SELECT count(*) FROM deliveries WHERE state = 3"
            assert wait_until(lambda: int(cluster.sql(on_its_way)) >= FULL, 20, 0.1), cluster.sql(on_its_way)
            with Relay(sink.address, RULES, store=cluster.store("two", key)) as two:
                took = []
                for n, id in enumerate(held):
                    # it may be that the other relay has just looked, or is about to
                    time.sleep(0.13 * n)
                    began = time.monotonic()
                    status, _, said = ask(one, f"/held/{id}/release", shown, {"as": "split"})
                    assert status == 200, said
                    decided = time.monotonic()
                    assert wait_until(lambda: f"decided{n}@example.jp" in sink.recipients(), 20, 0.005), two.output()
                    took.append((time.monotonic() - decided, time.monotonic() - began))
                assert not [r for r in mute.recipients() if r.startswith("decided")], "the relay that is full sent it"
            one.kill()
    after, whole = zip(*took)
    assert statistics.median(after) <= 1, took
    note(f"{DECISIONS} decisions: sent {1000 * statistics.median(after):.0f} ms after the answer, {1000 * max(after):.0f} at most; "
         f"with the decision itself {1000 * statistics.median(whole):.0f} and {1000 * max(whole):.0f} ms")


@pytest.mark.heavy
@pytest.mark.timeout(240 + 20 * DRAINS)
def it_drains_a_node_and_clients_hear_421_at_most(note):
    with Cluster() as cluster, site(2, cluster) as here:
        here.goes_on()
        slowest = 0.0
        for number in range(DRAINS):
            relay = here.relays[number % 2]
            began = time.time()
            assert relay.stop(60) == 0, relay.output()
            slowest = max(slowest, time.time() - began)
            left = cluster.sql(f"SELECT count(*) FROM deliveries WHERE state = 3 AND node = '{('one', 'two')[number % 2]}'")
            assert left == "0", f"the relay that stopped keeps {left} deliveries"
            here.goes_on()
            relay.start()
            time.sleep(1)
        acks, said = here.verdict()
        told = here.said()
    # While nobody listens a connection is refused, which a balancer in front takes care of.
    others = {words: count for words, count in told.items() if not words.startswith(("421 4.3.2", "Connection refused"))}
    assert not others, told
    note(f"{DRAINS} drains of {slowest:.1f} s at most; {said}; clients saw {dict(told)}")


@pytest.mark.heavy
@pytest.mark.timeout(300)
def it_finds_in_a_dump_all_that_got_a_250_before(note):
    with Cluster() as cluster, site(2, cluster) as here:
        here.goes_on()
        time.sleep(4)
        before = {name: acknowledged(here.folder, name) for name in LOADS}
        began = time.time()
        dump = cluster.program("pg_dump", "-Fc", "sekisho")
        dumping = time.time() - began
        time.sleep(1)
        here.end_load()
        for relay in here.relays:
            relay.kill()
        with Cluster() as fresh:
            began = time.time()
            fresh.program("pg_restore", "--no-owner", "--exit-on-error", "-d", "sekisho", feed=dump)
            restoring = time.time() - began
            with Relay(here.relays[0].upstream, RULES, store=fresh.store("one", here.key), start=False) as one, \
                    Relay(here.relays[0].upstream, RULES, store=fresh.store("two", here.key), start=False) as two:
                verified = one.cli("audit", "verify", seconds=120).stdout
                kept = int(fresh.sql("SELECT count(*) FROM messages WHERE action <> 'own'"))
                acks = sum(map(len, before.values()))
                assert kept >= acks, f"{acks} were acknowledged before the dump, it has {kept}"
                one.start()
                two.start()
                assert wait_until(lambda: one.cli("queue", "retry", ok=False) and one.queue() == [], 120, 1), one.queue()[:3]
                held = Counter(r for row in two.held() for r in row["recipients"])
                arrived = taken(here.folder)
                lost = [r for name, mails in before.items() for recipients in mails.values() for r in recipients
                        if not (held if name == "hold" else arrived)[r]]
                assert not lost, lost[:5]
                assert two.send(mail("x", strangers(1, 7)), ["after@example.jp"]).startswith("250")
                assert wait_until(lambda: taken(here.folder)["after@example.jp"] == 1, 20), two.output()
                one.cli("audit", "verify", seconds=120)
    note(f"{acks} acknowledged before the dump, {kept} in it ({len(dump) >> 10} KiB); dumped in {dumping:.1f} s under load, restored in "
         f"{restoring:.1f} s; lost 0; {verified.strip().splitlines()[0]}")
