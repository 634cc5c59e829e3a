#!/usr/bin/env python3
"""The desk's pages over HTTP with many held messages, and how soon a decision reaches the upstream.

    python3 benches/pages.py [--held 100000] [--rounds 200]

Builds the release binary and the load tools first. Everything comes in by SMTP and is asked for by HTTP, as
people do; each answer is timed from the request to its last octet. Prints the median, the 99th of a hundred
and the longest, in milliseconds, and asserts nothing of them.
"""

import argparse
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from benches.run import RELEASE, Sink, generate  # noqa: E402
from tests.rig.desk import PASSWORD, TWELVE, Desk, mail  # noqa: E402
from tests.rig.relay import id_of, wait_until  # noqa: E402
from tests.rig.visitor import Browser  # noqa: E402

POLICY = """
[[rule]]
name = "strangers-see-each-other"
when = { external_addresses = { at_least = 1 } }
demand = "ask"
"""
LISTS = {
    "list, first page": "/",
    "list, a subject that all have": "/?q=load",
    "list, a subject that one has": "/?q=exhibition",
    "list, one recipient": "/?q=load-77-3@host3.example",
    "list, every state": "/?state=all",
    "report": "/report",
}


class Many(Desk):
    """A relay in front of the sink that holds all mail to the outside."""

    def __init__(self, sink):
        os.environ["SEKISHO_BIN"] = str(RELEASE / "sekisho")
        super().__init__(policy=POLICY, env={"RUST_LOG": "warn,sekisho=info"})
        text = self.config.read_text("utf-8").replace('address = "capture:out"', f'address = "{sink}"\ntls = "off"\nconnections = 50')
        # Approvers get a daily digest, so that notices do not affect the measurement.
        self.config.write_text(text + '\n[notices]\ndigest = "daily 09:00"\n', "utf-8")

    def without_notices(self):
        """Removes pending notices to senders, so that they do not affect the measurement."""
        self.stop(60)
        with contextlib.closing(sqlite3.connect(self.folder / "sekisho.db")) as db, db:
            db.execute("DELETE FROM notices")
        self.start()


def timed(rounds, ask):
    """The durations of this many requests in milliseconds, sorted."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)


def show(name, taken):
    """Prints a line of results."""
    p99 = taken[min(len(taken) - 1, len(taken) * 99 // 100)]
    print(f"{name:42} {taken[len(taken) // 2]:9.1f} {p99:9.1f} {taken[-1]:9.1f}", flush=True)


def get(browser, path):
    """Requests a page; anything but 200 is an error."""
    page = browser.open(path)
    assert page.status == 200, (path, page.status, page.body[:300])
    return page


def decide(desk, sink, browser):
    """Holds one more mail and releases it by the form of its page; returns how long the last copy took to the upstream."""
    held = id_of(desk.send(mail(TWELVE), TWELVE))
    page = get(browser, f"/held/{held}")
    before = int(sink.counters()["messages"])
    began = time.time()
    answer = browser.send(page, f"/held/{held}/release", **{"as": "split"})
    assert answer.status in (302, 303), answer.body[:300]
    assert wait_until(lambda: sink.counters()["messages"] >= before + len(TWELVE), 30, 0.002), "not sent"
    return max(sink.counters()["last"] / 1e6 - began, 0) * 1000


def main():
    """Fills the store, measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--held", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--bin", "sekisho", "--example", "sink", "--example", "generate"], cwd=TOP, check=True)
    with Sink() as sink, Many(sink.address) as desk:
        began = time.time()
        generate(f"127.0.0.1:{desk.port}", count=options.held, recipients=12, size=2000, sessions=10)
        print(f"{options.held} messages to 12 came to be held in {time.time() - began:.0f} s", flush=True)
        desk.without_notices()
        people = [f"person{n}@org{n % 97}.example" for n in range(500)]
        large = id_of(desk.send(mail(people), people))
        browser = Browser(desk.page())
        assert browser.password("kanri", PASSWORD).status in (302, 303)
        print(f"{'milliseconds':42} {'median':>9} {'p99':>9} {'longest':>9}")
        for name, path in LISTS.items():
            show(name, timed(options.rounds, lambda path=path: get(browser, path)))
        show("held page of 500 recipients", timed(options.rounds, lambda: get(browser, f"/held/{large}")))
        show("its copies, first page", timed(options.rounds, lambda: get(browser, f"/held/{large}/copies")))
        show("from a decision to 12 copies at the sink", sorted(decide(desk, sink, browser) for _ in range(20)))


if __name__ == "__main__":
    main()
