#!/usr/bin/env python3
"""How the relay slows down with what it keeps, and what one recipient more costs.

    python3 benches/growth.py [--delivered 1000000] [--queued 100000] [--held 100000] [--rounds 3] [--built] [--postgres]

1. The same measures with a store that is empty but for one page of held mail, and again with a full one:
   delivered, queued and held messages come in by SMTP. No median may grow by more than 20 %, and on SQLite no 99th of
   a hundred to more than twice.
2. Messages to 10, 500 and 5,000 recipients that are split, held, decided, sent again unchanged, and refused
   by the upstream. A recipient more may not cost twice as much CPU beyond 500 as below.

Prints two tables and ends with status 1 if something grew more than that: it compares figures of one run, never
with a time. Builds the release binaries first; `--built` takes what `SEKISHO_BIN` and `SEKISHO_TOOLS` name.

`--postgres` measures a relay on a PostgreSQL of its own (Debian's, root). Its store is filled by SQL from mail that came
by SMTP, as `filling.py` says, because a million messages would take too long.
"""

import argparse
import contextlib
import hashlib
import html
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from benches import filling  # noqa: E402
from benches import run as bench  # noqa: E402
from tests.rig.desk import PASSWORD, TWELVE, Desk, mail  # noqa: E402
from tests.rig.postgres import Cluster  # noqa: E402
from tests.rig.relay import id_of, wait_until  # noqa: E402
from tests.rig.visitor import Browser  # noqa: E402

POLICY = """
[[rule]]
name = "later"
when = { subject = { contains = "send later" } }
demand = "delay 7d"
[[rule]]
name = "look"
when = { sender = "look@example.co.jp" }
demand = "hold"
[[rule]]
name = "one-each"
when = { external_addresses = { at_least = 5 } }
demand = "split"
"""
# By how much a median and a 99th of a hundred may grow, and a recipient more beyond 500.
MEDIAN, P99, RECIPIENT = 1.2, 2.0, 2.0
SIZES = (10, 500, 5000)
# Mail from this address is held.
LOOK = "look@example.co.jp"


class Full(Desk):
    """A relay in front of a sink, without notices, with people who decide."""

    def __init__(self, sink, cluster=None):
        self.cluster = cluster
        # beside the server's files, for they are the same on every node
        store = {"store": cluster.store("one", Path(tempfile.mkdtemp(dir=cluster.folder)) / "journal-key")} if cluster else {}
        super().__init__(policy=POLICY, env={"RUST_LOG": "warn"}, **store)
        text = self.config.read_text("utf-8").replace('address = "capture:out"', f'address = "{sink}"\ntls = "off"\nconnections = 50')
        self.config.write_text(text + '\n[notices]\ndigest = "daily 09:00"\n', "utf-8")
        self.address = f"127.0.0.1:{self.port}"

    def spent(self):
        """CPU seconds of all its threads so far."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass
        return total / 1e9

    def settled(self, sink, copies):
        """Waits until the sink has so many copies, and the relay has recorded what became of them."""
        assert wait_until(lambda: sink.counters()["messages"] >= copies, 120, 0.005), f"{sink.counters()} of {copies}"

    def without_notices(self):
        """Removes notices that wait to be written, which would come into the way of the measures for long."""
        self.stop(60)
        if self.cluster:
            self.cluster.sql("DELETE FROM notices")
        else:
            with contextlib.closing(sqlite3.connect(self.folder / "sekisho.db")) as db, db:
                db.execute("DELETE FROM notices")
        self.start()

    def idle(self):
        """Waits until the relay does nothing any more."""
        before = self.spent()
        for _ in range(600):
            time.sleep(0.1)
            now = self.spent()
            # with PostgreSQL, the relay listens and looks now and then
            if now - before < (0.005 if self.cluster else 0.002):
                return
            before = now
        raise AssertionError("the relay does not come to rest")


def percentiles(taken):
    """Median and 99th of a hundred."""
    taken = sorted(taken)
    return taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 99 // 100)]


def timed(number, ask):
    """Milliseconds of this many calls."""
    taken = []
    for _ in range(number):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def measures(desk, sink, browser, rounds):
    """All measures once: name → (median, 99th), in milliseconds; throughput and CPU as milliseconds a message."""
    found = {}
    generate = bench.generate
    generate(desk.address, count=100, sessions=1, mode="connect")
    runs = [generate(desk.address, count=300, sessions=1, mode="connect") for _ in range(rounds)]
    found["connect to 250"] = tuple(statistics.median(run[key] / 1000 for run in runs) for key in ("p50_us", "p99_us"))
    walls, cpus = [], []
    for _ in range(rounds):
        sink.ask("XRESET")
        before = desk.spent()
        run = generate(desk.address, count=2000, sessions=10)
        desk.settled(sink, 2000)
        walls.append((sink.counters()["last"] - run["started"]) / 1e3 / 2000)
        desk.idle()
        cpus.append((desk.spent() - before) * 1000 / 2000)
    found["4 KiB over 10 sessions, a message"] = (statistics.median(walls), None)
    found["its CPU"] = (statistics.median(cpus), None)
    found["a message to 50, split, at the sink"] = percentiles([split(desk, sink, 50) for _ in range(10 * rounds)])
    found["a decision to 12 copies at the sink"] = percentiles([decide(desk, sink, browser) for _ in range(10 * rounds)])
    found["the desk's list"] = percentiles(timed(50 * rounds, lambda: get(browser, "/")))
    found["the list of one recipient"] = percentiles(timed(50 * rounds, lambda: get(browser, "/?q=nobody@nowhere.example")))
    found["metrics"] = percentiles(timed(30 * rounds, lambda: desk.http("/metrics")))
    return found


def get(browser, path):
    """Requests a page; anything but 200 is an error."""
    page = browser.open(path)
    assert page.status == 200, (path, page.status, page.body[:300])
    return page


def split(desk, sink, number):
    """One message to so many, from the first octet to the last copy at the sink, in milliseconds."""
    sink.ask("XRESET")
    run = bench.generate(desk.address, count=1, recipients=number, sessions=1)
    desk.settled(sink, number)
    return (sink.counters()["last"] - run["started"]) / 1000


def release(browser, held, page):
    """Releases a held message by the form of its page, every checkbox ticked."""
    ticks = [html.unescape(key) for key in re.findall(r'name="tick" value="([^"]+)"', page.body)]
    answer = browser.post(f"/held/{held}/release", {"csrf": page.csrf, "as": "split", "tick": ticks})
    assert answer.status in (302, 303), (len(ticks), [t[:200] for t in ticks], re.findall("<li><bdi>(.{300})", answer.body))


def decide(desk, sink, browser):
    """Holds a mail and releases it by the form of its page; how long the last copy took to the sink."""
    held = id_of(desk.send(mail(TWELVE), TWELVE, sender=LOOK))
    page = get(browser, f"/held/{held}")
    sink.ask("XRESET")
    began = time.time()
    release(browser, held, page)
    desk.settled(sink, 12)
    return max(sink.counters()["last"] / 1e6 - began, 0) * 1000


def fill(desk, options):
    """Fills the store; says how fast."""
    if desk.cluster:
        return fill_by_sql(desk, options)
    for what, number, subject in (("delivered", options.delivered, "load"), ("queued", options.queued, "send later"), ("held", options.held, "load")):
        began = time.monotonic()
        done = 0
        while done < number:  # each run of the generator ends after ten minutes
            part = min(100_000, number - done)
            bench.generate(desk.address, count=part, sessions=20, size=2000, subject=subject, prefix=what + str(done),
                           **({"from": LOOK} if what == "held" else {}))
            done += part
        print(f"  {number} {what} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    desk.without_notices()
    desk.idle()


def fill_by_sql(desk, options):
    """Fills a store in PostgreSQL from a thousand messages of each kind."""
    bench.generate(desk.address, count=1000, sessions=20, size=2000, subject="send later", prefix="model")
    bench.generate(desk.address, count=1000, sessions=20, size=2000, subject="load", prefix="model", **{"from": LOOK})
    desk.idle()
    desk.stop(60)
    for what, number, which in (
        ("delivered", options.delivered, "EXISTS (SELECT 1 FROM deliveries d WHERE d.row >> 24 = messages.row AND d.state = 5) "
         "AND NOT EXISTS (SELECT 1 FROM held h WHERE h.message = messages.row)"),
        ("queued", options.queued, "subject = 'send later'"),
        ("held", options.held, "EXISTS (SELECT 1 FROM held h WHERE h.message = messages.row AND h.state = 0)"),
    ):
        if number:
            filling.multiply(desk.cluster, what, number, which)
    desk.start()
    desk.without_notices()
    desk.idle()


def sign_in(desk):
    """A browser with an administrator signed in."""
    browser = Browser(desk.page())
    assert browser.password("kanri", PASSWORD).status in (302, 303)
    return browser


def stored(options):
    """Part one; returns what grew too much."""
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(["max_wal_size=8GB", "checkpoint_timeout=30min"])) if options.postgres else None
        sink = stack.enter_context(bench.Sink())
        desk = stack.enter_context(Full(sink.address, cluster))
        browser = sign_in(desk)
        # so that the list is a full page in both
        bench.generate(desk.address, count=60, sessions=10, size=2000, prefix="page", **{"from": LOOK})
        measures(desk, sink, browser, 1)  # warms it up
        empty = measures(desk, sink, browser, options.rounds)
        fill(desk, options)
        browser = sign_in(desk)
        measures(desk, sink, browser, 1)
        full = measures(desk, sink, browser, options.rounds)
    print(f"\n| with {options.delivered:,} delivered, {options.queued:,} queued, {options.held:,} held | empty, median / p99 | full | growth |\n|---|---|---|---|")
    worse = []
    for name, (median, p99) in empty.items():
        now, late = full[name]
        growth = f"{now / median:.2f}×" + (f" / {late / p99:.2f}×" if p99 else "")
        show = [f"{a:.3g}" + (f" / {b:.3g}" if b else "") for a, b in ((median, p99), (now, late))]
        print(f"| {name}, ms | {show[0]} | {show[1]} | {growth} |")
        # below a quarter of a millisecond, the difference is the clock's
        if now > median * MEDIAN + 0.25:
            worse.append(f"{name}: the median grew {now / median:.2f} times")
        if p99 and late > p99 * P99 + 1 and not options.postgres:
            worse.append(f"{name}: the 99th of a hundred grew {late / p99:.2f} times")
    return worse


def crowd(number, tag):
    """So many outsiders, and the mail to them, which no earlier one equals."""
    # hashes, so that no domain looks like another
    people = [f"{tag}-{n}@{hashlib.sha256(b'%d' % (n % 700)).hexdigest()[:12]}.example" for n in range(number)]
    return people, lambda subject: mail(people, subject=subject, attach=False)


class Refusing(bench.Sink):
    """A sink that refuses every recipient for good."""

    def __enter__(self):
        self.process = subprocess.Popen([bench.RELEASE / "examples" / "sink", "--fault", "rcpt=550:1"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1]
        return self


def costs(desk, sink, browser, number, turn):
    """CPU of the relay, in milliseconds, for each thing that can be done with a message to so many."""
    people, written = crowd(number, f"p{number}-{turn}")
    found = {}

    def spend(name, act):
        desk.idle()
        before = desk.spent()
        result = act()
        desk.idle()
        found[name] = (desk.spent() - before) * 1000
        return result

    message = written("autumn")
    sink.ask("XRESET")

    def passes():
        desk.send(message, people, as_it_is=True)
        desk.settled(sink, number)

    spend("accepted, split and sent", passes)
    spend("sent again unchanged", lambda: desk.send(message, people, as_it_is=True))
    held = id_of(spend("held", lambda: desk.send(written("winter"), people, sender=LOOK, as_it_is=True)))
    page = get(browser, f"/held/{held}")
    sink.ask("XRESET")

    def decides():
        release(browser, held, page)
        desk.settled(sink, number)

    spend("decided and sent", decides)
    return found


def refused(desk, number, turn):
    """CPU for a message whose recipients the upstream refuses, until it is reported."""
    people, written = crowd(number, f"r{number}-{turn}")
    desk.idle()
    before = desk.spent()
    desk.send(written("autumn"), people, as_it_is=True)
    desk.idle()
    spent = (desk.spent() - before) * 1000
    # only now, for the answer costs the relay something too
    assert not [row for row in desk.queue() if row["attempts"] == 0], "not all were refused"
    return spent


def recipients(options):
    """Part two; returns what grew too much."""
    found = {}
    with bench.Sink() as sink, Full(sink.address) as desk:
        browser = sign_in(desk)
        costs(desk, sink, browser, 50, "warm")
        for turn in range(options.rounds):
            for number in SIZES:
                for name, spent in costs(desk, sink, browser, number, turn).items():
                    found.setdefault(name, {}).setdefault(number, []).append(spent)
    with Refusing() as sink, Full(sink.address) as desk:
        refused(desk, 50, "warm")
        for turn in range(options.rounds):
            for number in SIZES:
                found.setdefault("refused by the upstream", {}).setdefault(number, []).append(refused(desk, number, turn))
    print("\n| one message to | " + " | ".join(f"{number:,}" for number in SIZES) + " | one recipient more, below and above 500 | growth |")
    print("|---|" + "---|" * (len(SIZES) + 2))
    worse = []
    for name, by_size in found.items():
        few, some, many = (statistics.median(by_size[number]) for number in SIZES)
        below, above = max((some - few) / (SIZES[1] - SIZES[0]), 1e-4), (many - some) / (SIZES[2] - SIZES[1])
        print(f"| {name}, CPU ms | {few:.3g} | {some:.3g} | {many:.3g} | {below:.3g}, {above:.3g} | {above / below:.2f}× |")
        if above > below * RECIPIENT + 0.01:
            worse.append(f"{name}: a recipient more costs {above / below:.2f} times as much beyond {SIZES[1]}")
    return worse


def main():
    """Builds, measures, prints, and judges the growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delivered", type=int, default=1_000_000)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--held", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["stored", "recipients"])
    parser.add_argument("--built", action="store_true")
    parser.add_argument("--postgres", action="store_true", help="a relay on PostgreSQL; only the first part")
    options = parser.parse_args()
    if options.built:
        bench.RELEASE = Path(os.environ["SEKISHO_TOOLS"]).parent
    else:
        subprocess.run(["cargo", "build", "--release", "--bin", "sekisho", "--example", "sink", "--example", "generate"], cwd=TOP, check=True)
        os.environ["SEKISHO_BIN"] = str(bench.RELEASE / "sekisho")
    worse = []
    if options.only != "recipients":
        worse += stored(options)
    if options.only != "stored" and not options.postgres:
        worse += recipients(options)
    for line in worse:
        print(f"GREW: {line}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
