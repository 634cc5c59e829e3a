"""Relays that share a PostgreSQL database, under load, while nodes, the network or the database fail.

    NODES_ROUNDS=3 (of each kind of fault; 50 before a release), NODES_PAUSE=20 (seconds; 60), NODES_LEASE=ended (`real`
    waits for a minute instead of ending a stopped node's leases in the database), CRASH_SEED=…

Clients send to all relays in turn and send again what got no 250, as mail servers do: mail that passes, is split in
four, or is held. The oracle is that of `crash`: the clients' log of each 250, the sink's log of each transaction. Lost =
acknowledged, but neither at the sink nor held. Whoever got two must be marked as a possible duplicate in the relays'
own trace. In the end the journal's chain, which all nodes wrote, must be whole.
"""

import collections
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.journeys.sending import RULES
from tests.proofs.crash import LOADS, acknowledged, generators, judge
from tests.rig.postgres import Cluster
from tests.rig.proxy import Proxy
from tests.rig.relay import Relay, tool, wait_until

ROUNDS = int(os.environ.get("NODES_ROUNDS", "3"))
PAUSE = float(os.environ.get("NODES_PAUSE", "20"))
LEASE = os.environ.get("NODES_LEASE", "ended")
NAMES = ("one", "two", "three")


class Site:
    """Relays on one database, a sink, and clients; `relays` in the order of their names."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder, self.relays, self.loads = cluster, folder, [], []
        self.key, self.sink = folder / "journal-key", None

    def start_sink(self, *more):
        """Starts the sink; its address."""
        self.sink = subprocess.Popen([tool("sink"), "--log", str(self.folder / "sink"), *more], stdout=subprocess.PIPE, text=True)
        return self.sink.stdout.readline().split()[-1]

    def load(self):
        """Starts the clients."""
        targets = [f"127.0.0.1:{relay.port}" for relay in self.relays]
        self.loads = list(generators(None, self.folder, targets, share=0.4, pauses=(100, 1000), more=("--retry",)))

    def end_load(self):
        """Ends the clients."""
        for load in self.loads:
            load.kill()
            load.wait()
        self.loads = []

    def acks(self):
        """How many messages got a 250 so far."""
        return len(self.confirmed())

    def confirmed(self):
        """The Message-IDs of all that got a 250 so far."""
        return {one for name in LOADS if (self.folder / f"acks-{name}").exists() for one in acknowledged(self.folder, name)}

    def last_confirmed(self, quiet=3, patience=30):
        """Waits until nobody gets a 250 any more for a while; the Message-IDs of all that did."""
        known, since, until = self.confirmed(), time.time(), time.time() + patience
        while time.time() < since + quiet:
            assert time.time() < until, "clients go on getting a 250"
            time.sleep(0.2)
            if (now := self.confirmed()) != known:
                known, since = now, time.time()
        return known

    def goes_on(self, seconds=60):
        """Waits until clients get a 250 again; how long it took."""
        before, began = self.acks(), time.time()
        assert wait_until(lambda: self.acks() > before + 5, seconds, 0.05), "mail does not go on:\n" + "\n".join(r.output() for r in self.relays)
        return time.time() - began

    def said(self):
        """What clients were told instead of a 250, and how often."""
        words = collections.Counter()
        for name in LOADS:
            for line in (self.folder / f"errors-{name}").read_text().splitlines():
                text = line.split(" ", 2)[2]
                words[" ".join(text.split(" got ")[1].split()[:2]) if " got " in text else text.split(" where ")[0]] += 1
        return words

    def verdict(self):
        """Ends the load and judges it at the first relay; all numbers as a sentence."""
        time.sleep(0.5)
        self.end_load()
        acks, said = judge(self.relays[0], self.folder)
        verified = self.relays[0].cli("audit", "verify", seconds=300)
        assert "entries" in verified.stdout, verified.stdout
        return acks, said


@contextlib.contextmanager
def site(count, cluster, urls=None, load=True, start=True, folders=None):
    """So many relays on one database, under load. `urls` are the addresses by which each reaches the database, `folders`
    where each has its files and a journal key of its own, which somebody has to make the same."""
    with tempfile.TemporaryDirectory(prefix="sekisho-nodes-") as folder, contextlib.ExitStack() as stack:
        one = Site(cluster, Path(folder))
        # The upstream takes its time, so that there is always mail on its way, and sometimes loses its answer.
        address = one.start_sink("--delay-ms", "30", "--fault", "after=drop:0.0005")
        stack.callback(lambda: (one.sink.kill(), one.sink.wait()))
        for number in range(count):
            own = Path(folders[number]) if folders else None
            store = cluster.store(NAMES[number], own / "journal-key" if own else one.key, url=urls[number] if urls else None)
            relay = Relay(address, RULES, start=False, upstream_extra='tls = "off"\nconnections = 20', store=store, folder=own)
            one.relays.append(stack.enter_context(relay))
            if start:
                relay.start()
        if load:
            one.load()
        try:
            yield one
        finally:
            one.end_load()
            for relay in one.relays:
                if relay.process and relay.process.poll() is None:
                    relay.kill()  # one whose database is gone would take its time


def dice():
    """The same moments every time, unless a seed is named."""
    return random.Random(os.environ.get("CRASH_SEED", "sekisho"))


@pytest.mark.heavy
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.timeout(300 + 10 * ROUNDS)
def it_loses_nothing_when_one_of_several_nodes_is_killed(note, count):
    moments, slowest = dice(), 0.0
    with Cluster() as cluster, site(count, cluster) as here:
        here.goes_on()
        for _ in range(ROUNDS):
            time.sleep(moments.uniform(0.1, 1.2))
            relay = moments.choice(here.relays)
            relay.kill()
            time.sleep(moments.choice([0, 0, 1]))
            begin = time.time()
            relay.start()
            slowest = max(slowest, time.time() - begin)
        acks, said = here.verdict()
        told = here.said()
    assert acks > 10 * ROUNDS, said
    note(f"{count} nodes, {ROUNDS} kills, slowest restart {slowest:.2f} s; {said}; clients saw {dict(told)}")


@pytest.mark.heavy
@pytest.mark.timeout(300 + 100 * ROUNDS)
def it_loses_nothing_when_a_node_stops_past_its_lease(note):
    moments, stolen, stops = dice(), 0, 0
    with Cluster() as cluster, site(2, cluster) as here:
        here.goes_on()
        # A node is sometimes stopped when it sends nothing; some stops more find one that does.
        while stops < ROUNDS or (not stolen and stops < 5 * ROUNDS):
            time.sleep(moments.uniform(0.1, 1.2))
            stopped, stops = moments.randrange(2), stops + 1
            relay, theirs = here.relays[stopped], f"state = 3 AND node = '{NAMES[stopped]}'"
            relay.process.send_signal(signal.SIGSTOP)
            # A writer that was stopped in the middle of a transaction is thrown out by the database after 10 s.
            until = time.time() + 75
            stolen += ended(cluster, theirs) if LEASE == "ended" else int(cluster.sql(f"SELECT count(*) FROM deliveries WHERE {theirs}"))
            assert wait_until(
                lambda: cluster.sql(f"SELECT count(*) FROM deliveries WHERE {theirs}") == "0", max(30, until - time.time()), 0.2
            ), "nobody takes over"
            relay.process.send_signal(signal.SIGCONT)
            here.goes_on()
        acks, said = here.verdict()
        late = sum(relay.log.read_text("utf-8", "replace").count("after the lease was lost") for relay in here.relays)
    assert stolen, "no lease was ever taken over"
    note(f"{stops} stops, {stolen} deliveries taken over, {late} results came too late and were refused; {said}")


def ended(cluster, theirs):
    """Ends the leases of a node that is stopped, as a minute would; how many they were.

    They are counted as they are ended: the other node takes them over at once.
    """
    return int(cluster.sql(f"WITH ended AS (UPDATE deliveries SET due = 1 WHERE {theirs} RETURNING 1) SELECT count(*) FROM ended"))


@pytest.mark.heavy
@pytest.mark.timeout(300 + 40 * ROUNDS)
def it_loses_nothing_over_a_bad_network_to_the_database(note):
    moments = dice()
    with Cluster() as cluster, Proxy(cluster.port) as proxy:
        urls = [cluster.url(port=proxy.listens), cluster.url()]
        with site(2, cluster, urls) as here:
            here.goes_on()
            for number in range(ROUNDS):
                faults = list(MISFORTUNES.values())
                moments.shuffle(faults)
                for fault in faults if ROUNDS > 5 or number == 0 else faults[:1]:
                    fault(proxy, moments)
                    time.sleep(moments.uniform(0.1, 0.6))
            slowest = here.goes_on()
            assert wait_until(lambda: here.relays[0].http("/readyz")[0] == 200, 60, 0.2), here.relays[0].output()
            acks, said = here.verdict()
            told = here.said()
    assert proxy.torn, "no answer was ever torn"
    note(f"{ROUNDS} rounds, {proxy.torn} answers torn, on again after {slowest:.1f} s; {said}; clients saw {dict(told)}")


def silent(proxy, moments):
    """Nothing passes for a moment."""
    proxy.silent = True
    time.sleep(moments.uniform(0.5, 3))
    proxy.silent = False


def slow(proxy, moments):
    """Everything takes long for a moment."""
    proxy.delay = moments.uniform(0.02, 0.2)
    time.sleep(moments.uniform(1, 2))
    proxy.delay = 0.0


def tearing(proxy, moments):
    """Answers get lost in the middle, and their connections with them: for a moment, and until one did."""
    before = proxy.torn
    proxy.tearing = moments.uniform(0.02, 0.1)
    time.sleep(moments.uniform(1, 2))
    wait_until(lambda: proxy.torn > before, 20, 0.05)
    proxy.tearing = 0.0


def refusing(proxy, moments):
    """All connections are reset, and no new one can be made."""
    proxy.refusing = True
    proxy.reset()
    time.sleep(moments.uniform(0.5, 2))
    proxy.refusing = False


MISFORTUNES = {
    "silent": silent, "slow": slow, "tearing": tearing, "refusing": refusing,
    "reset": lambda proxy, _: proxy.reset(),
    "half-closed": lambda proxy, _: proxy.half_close(True),
    "half-closed from the client": lambda proxy, _: proxy.half_close(False),
}


def restarted(how):
    """Stops the database by a signal and starts it."""
    def do(cluster):
        cluster.stop(how)
        cluster.start()
    return do


def killed(everything):
    """Kills the postmaster, or every process."""
    def do(cluster):
        cluster.kill(everything)
        cluster.start()
    return do


def paused(cluster):
    """Stops every process of the database for a while."""
    cluster.pause()
    time.sleep(PAUSE)
    cluster.resume()


ACCIDENTS = {"fast": restarted(signal.SIGINT), "immediate": restarted(signal.SIGQUIT), "postmaster": killed(False), "everything": killed(True),
             "paused": paused}


@pytest.mark.heavy
@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.timeout(300 + (60 + 2 * PAUSE) * ROUNDS)
def it_loses_nothing_when_the_database_is(note, accident):
    moments, slowest = dice(), 0.0
    rounds = max(1, ROUNDS // 10) if accident == "paused" else ROUNDS
    with Cluster() as cluster, site(2, cluster) as here:
        here.goes_on()
        for _ in range(rounds):
            time.sleep(moments.uniform(0.1, 1.2))
            ACCIDENTS[accident](cluster)
            slowest = max(slowest, here.goes_on())
        assert wait_until(lambda: all(relay.http("/readyz")[0] == 200 for relay in here.relays), 60, 0.2), here.relays[0].output()
        acks, said = here.verdict()
        told = here.said()
    assert acks > 10 * rounds, said
    # The relays stay: all that clients may hear is to try again.
    assert all(words.startswith("451 4.3.0") for words in told), told
    note(f"{accident}: {rounds} times, on again after {slowest:.1f} s at most; {said}; clients saw {dict(told)}")


@pytest.mark.heavy
@pytest.mark.timeout(400)
def it_loses_nothing_when_a_replica_takes_over(note):
    with Cluster() as cluster, contextlib.ExitStack() as stack:
        replica = cluster.replica()
        stack.callback(replica.__exit__, None, None, None)
        proxy = stack.enter_context(Proxy(cluster.port))
        # One relay knows both servers, the other what leads to the one that is primary.
        both = cluster.url().replace("/sekisho?", f",127.0.0.1:{replica.port}/sekisho?") + "&target_session_attrs=read-write"
        with site(2, cluster, [both, cluster.url(port=proxy.listens)]) as here:
            here.goes_on()
            time.sleep(2)
            cluster.kill(everything=True)
            began = time.time()
            replica.promote()
            proxy.port = replica.port
            proxy.reset()
            here.goes_on()
            took = time.time() - began
            assert wait_until(lambda: all(relay.http("/readyz")[0] == 200 for relay in here.relays), 60, 0.2), here.relays[0].output()
            time.sleep(1)
            acks, said = here.verdict()
            told = here.said()
    assert all(words.startswith("451 4.3.0") for words in told), told
    note(f"on again after {took:.1f} s; {said}; clients saw {dict(told)}")


@pytest.mark.heavy
@pytest.mark.timeout(400)
def it_confirms_nothing_that_the_replica_does_not_have(note):
    """The replica stops following: nobody gets a 250, and what takes over has everything that did."""
    with Cluster() as cluster, contextlib.ExitStack() as stack:
        replica = cluster.replica()
        stack.callback(replica.__exit__, None, None, None)
        proxy = stack.enter_context(Proxy(cluster.port))
        with site(2, cluster, [cluster.url(port=proxy.listens)] * 2) as here:
            here.goes_on()
            replica.pause()
            before = here.last_confirmed()  # what the replica had before is still answered, late on a busy machine
            time.sleep(PAUSE)
            late = here.confirmed() - before
            assert not late, f"confirmed without the replica: {late}"
            cluster.kill(everything=True)
            replica.resume()
            replica.promote()
            proxy.port = replica.port
            proxy.reset()
            took = here.goes_on()
            # What was claimed by commits whose end nobody heard of waits until its lease is over.
            if LEASE == "ended":
                for name in NAMES[:2]:
                    ended(replica, f"state = 3 AND node = '{name}'")
            acks, said = here.verdict()
    note(f"no 250 in {PAUSE:.0f} s without the replica, on again {took:.1f} s after the failover; {said}")
