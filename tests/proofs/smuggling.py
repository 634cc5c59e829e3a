"""SMTP smuggling: {CRLF, LF, CR, CRCRLF, NUL CRLF} twice around a dot, cut at every place of the stream.

A client sends one message that hides a second transaction behind each sequence. One message in, at most
one out; the second never. CRLF.CRLF is the control: there the two are two. What does leave has no bare
CR or LF. The stream is sent in two pieces, cut at every octet near the dot and at every eighth elsewhere
(at every octet everywhere with SMUGGLING=all).
"""

import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.rig.check import equal
from tests.rig.relay import Relay, wait_until
from tests.rig.sink import Sink

ENDS = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "CRCRLF": b"\r\r\n", "NUL CRLF": b"\0\r\n"}


def stream(before, after, number):
    """Everything that the client sends after DATA, and the position of the dot."""
    head = b"From: <a@example.co.jp>\r\nTo: <b@example.jp>\r\nSubject: first\r\n\r\nbody"
    tail = (
        f"MAIL FROM:<evil{number}@example.co.jp>\r\nRCPT TO:<victim{number}@example.jp>\r\nDATA\r\n"
        "From: <ceo@example.co.jp>\r\nSubject: second\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n"
    ).encode()
    return head + before + b"." + after + tail, len(head)


def attempt(port, content, cut):
    """One session; the stream is sent in two pieces."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = client.makefile("rb")
        file.readline()
        for command in (b"HELO client.example", b"MAIL FROM:<a@example.co.jp>", b"RCPT TO:<b@example.jp>", b"DATA"):
            client.sendall(command + b"\r\n")
            line = file.readline()
        if not line.startswith(b"354"):
            raise AssertionError(line)
        try:
            client.sendall(content[:cut])
            time.sleep(0.002)
            client.sendall(content[cut:])
            client.shutdown(socket.SHUT_WR)
            file.read()
        except ConnectionError:
            pass  # the relay may disconnect such a client


@pytest.fixture(scope="module")
def sink():
    """One relay for all pairs."""
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def relay(sink):
    """One sink for all pairs."""
    with Relay(sink.address) as relay:
        yield relay


@pytest.mark.parametrize("after", ENDS)
@pytest.mark.parametrize("before", ENDS)
def it_takes_one_message_for_one(sink, relay, before, after):
    content, dot = stream(ENDS[before], ENDS[after], 0)
    everywhere = os.environ.get("SMUGGLING") == "all"
    cuts = [cut for cut in range(1, len(content)) if everywhere or abs(cut - dot) <= 16 or cut % 8 == 0]
    sink.taken.clear()
    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(attempt, relay.port, content, cut) for cut in cuts]:
            job.result()
    assert wait_until(lambda: relay.queue() == [], 20, 0.1), relay.queue()
    firsts = [t for t in sink.taken if t.sender == "a@example.co.jp"]
    seconds = [t for t in sink.taken if t.sender.startswith("evil")]
    bare = [t.content for t in sink.taken if re.search(rb"(?<!\r)\n|\r(?!\n)|\0", t.content)]
    equal(bare, [], "bare CR, LF or NUL")
    equal(len(seconds), len(cuts) if before == after == "CRLF" else 0, "smuggled")
    assert len(firsts) <= len(cuts), f"{len(cuts)} in, {len(firsts)} out"
