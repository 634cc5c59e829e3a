"""Bombs of every kind that the relay opens, sent to the real binary while an honest client sends too.

    BOMBS_AGAIN=2 (4 before a release), BOMBS=word (those with the word in their names)

For each: its size, the CPU it costs alone, the most memory above the idle relay, the reply; then the same bomb again,
so many times, from two clients at once, with an honest client's p99 and the slowest reply of `/healthz` meanwhile.

The goals are 1 s of CPU in a release build, and 64 MiB. The asserted times are generous: they find unbounded work, on
any machine.
"""

import os
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.journeys.sending import RULES, mail
from tests.proofs.hostile import MIB, Line, cpu
from tests.rig.bombs import bombs
from tests.rig.check import contains
from tests.rig.people import strangers
from tests.rig.relay import Relay
from tests.rig.sink import Sink

MEMORY = 64 * MIB
# Finds runaway work in any build; the goal is 1 s in a release build.
CPU_SECONDS, WALL_SECONDS = 20.0, 60.0
WORD = os.environ.get("BOMBS", "")
AGAIN = int(os.environ.get("BOMBS_AGAIN", "2"))


def most_memory(relay):
    """The most resident memory since the last `forget_most`, in octets."""
    for line in Path(f"/proc/{relay.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def forget_most(relay):
    """Resets the peak to the current resident memory."""
    Path(f"/proc/{relay.process.pid}/clear_refs").write_text("5")


def send(relay, header, body, number):
    """Sends one bomb as a new mail; returns the reply."""
    line = Line(relay)
    line.socket.settimeout(WALL_SECONDS)
    # One recipient is hidden, so that everything is opened and searched.
    said = line.say("EHLO client.example", "MAIL FROM:<a@example.co.jp>", "RCPT TO:<b@example.jp>", "RCPT TO:<tanaka@hidden.example>", "DATA")
    contains(said, "354")
    head = (f"From: <a@example.co.jp>\r\nTo: <b@example.jp>\r\nSubject: [split] bomb\r\nMessage-ID: <{number}.{time.time_ns()}@bomb.example>\r\n"
            "Date: Sun, 22 Nov 2026 06:00:00 +0900\r\nMIME-Version: 1.0\r\n").encode()
    answer = line.stream([head, header, b"\r\n", body])
    line.socket.close()
    return answer


class Meanwhile:
    """An honest client and a client of /healthz, alternating until told to stop."""

    def __init__(self, relay):
        self.relay, self.over, self.mails, self.looks, self.failures = relay, threading.Event(), [], [], []
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.send, self.look)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def send(self):
        number = 0
        while not self.over.wait(0.01):
            number += 1
            started = time.monotonic()
            try:
                contains(self.relay.send(mail("honest", strangers(1, number), seed=number), ["w@example.jp"]), "250")
            except Exception as error:
                self.failures.append(f"honest client: {error}")
            self.mails.append(time.monotonic() - started)

    def look(self):
        while not self.over.wait(0.01):
            started = time.monotonic()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.relay.desk}/healthz", timeout=30) as page:
                    page.read()
            except Exception as error:
                self.failures.append(f"/healthz: {error}")
            self.looks.append(time.monotonic() - started)

    def p99(self):
        """The p99 of the honest client's transactions, in seconds."""
        ordered = sorted(self.mails)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0.0


def alone(relay, header, body, number):
    """The cost of one bomb: CPU seconds, most octets above the memory before, the reply."""
    forget_most(relay)
    idle = relay.rss()
    used, started = cpu(relay), time.monotonic()
    answer = send(relay, header, body, number)
    took = time.monotonic() - started
    # The work that it leaves: a delivery, a purge of what it unpacked.
    time.sleep(0.05)
    spent, peak = cpu(relay) - used, most_memory(relay) - idle
    assert answer[:1] in "245" and answer, answer
    assert took < WALL_SECONDS, f"answered after {took:.0f} s"
    assert spent <= CPU_SECONDS, f"{spent:.1f} s of CPU"
    return spent, peak, answer


def crowded(relay, header, body, number):
    """The same from two clients at once: an honest client's p99, the slowest /healthz, how many mails it sent."""
    def once_more(source):
        for again in range(AGAIN):
            send(relay, header, body, f"{number}.{source}.{again}")

    forget_most(relay)
    with Meanwhile(relay) as meanwhile:
        clients = [threading.Thread(target=once_more, args=(source,)) for source in range(2)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        time.sleep(0.1)
    assert not meanwhile.failures, meanwhile.failures[:3]
    return meanwhile.p99(), max(meanwhile.looks), len(meanwhile.mails)


@pytest.mark.alone
@pytest.mark.timeout(1800)
def it_bears_bombs_of_every_kind(note):
    rows, faults = ["| bomb | sent, KiB | CPU, s | memory, MiB | p99, ms | /healthz, ms | answer |", "|---|--:|--:|--:|--:|--:|---|"], []
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        for number in range(20):
            relay.send(mail("warm", strangers(1, number), seed=number), ["w@example.jp"])
        time.sleep(0.5)
        began, worst = relay.rss(), [0.0] * 4
        for number, (name, header, body) in enumerate(bombs()):
            if WORD not in name:
                continue
            spent, peak, answer = alone(relay, header, body, number)
            p99, slowest, _ = crowded(relay, header, body, number)
            size = (len(header) + len(body)) / 1024
            shown = answer.split(" as ")[0] + (":" + answer.split(":", 1)[1] if "held" in answer and ":" in answer else "")
            rows.append(f"| {name} | {size:,.0f} | {spent:.2f} | {peak / MIB:.1f} | {p99 * 1000:.0f} | {slowest * 1000:.0f} | {shown[:70]} |")
            print(rows[-1], flush=True)
            worst = [max(pair) for pair in zip(worst, (spent, peak / MIB, p99, slowest))]
            if peak > MEMORY:
                faults.append(f"{name}: {peak / MIB:.1f} MiB")
            if p99 > 10 or slowest > 10:
                faults.append(f"{name}: an honest client waited {p99:.1f} s, /healthz {slowest:.1f} s")
        assert relay.process.poll() is None
        rows.append("| the worst of each | | {:.2f} | {:.1f} | {:.0f} | {:.0f} | |".format(*worst[:2], worst[2] * 1000, worst[3] * 1000))
        rows.append(f"| all, one after another | | | {(relay.rss() - began) / MIB:.1f} in the end | | | |")
    note("\n" + "\n".join(rows))
    assert not faults, "\n".join(faults)
