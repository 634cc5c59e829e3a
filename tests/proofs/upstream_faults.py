"""Upstream faults through the real binary: each stage of the upstream's session goes wrong in each way.

Two recipients in one transaction. After the fault the upstream is well again and the queue is retried.
Each recipient then has exactly one copy; after a lost answer two are allowed, and marked; after a 5xx
none, and the sender has a report.
"""

import time

import pytest

from tests.journeys.sending import addresses, mail, notices, real
from tests.rig.check import equal
from tests.rig.people import strangers
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "dot", "after"]
FAULTS = {"drop": "drop", "4xx": "451 4.3.0 not now", "5xx": "554 5.3.0 never", "garbage": "xyzzy \x00\xff"}
TWO = strangers(2, 3)
CELLS = [(stage, fault) for stage in STAGES for fault in FAULTS if stage != "after" or fault == "drop"]


@pytest.mark.parametrize("stage, fault", CELLS)
def it_delivers_each_once_after_a_fault(stage, fault):
    with Sink() as sink, Relay(sink.address) as relay:
        # The report uses the same upstream, so it must get through.
        sink.on(stage, FAULTS[fault], len(TWO) if stage == "rcpt" else 1)
        ours = id_of(relay.send(mail(f"{stage} {fault}", TWO, "hello\n"), addresses(TWO)))
        final = stage in ("mail", "rcpt", "data", "dot") and fault == "5xx"
        met = wait_until(lambda: (final and relay.queue() == []) or real(sink.taken) or any(r["last_reply"] for r in relay.queue()), 20, 0.05)
        assert met, f"nothing came of it: {relay.queue()}"
        sink.clear()
        drain(relay)
        got = sorted(r for t in real(sink.taken) for r in t.recipients)
        wanted = sorted(addresses(TWO))
        if final:
            equal(got, [], "delivered after a 5xx")
            assert wait_until(lambda: notices(sink), 90, 0.2), "no report"
            return
        equal(set(got), set(wanted))
        if len(got) > len(wanted):
            assert stage in ("dot", "after"), f"twice after a fault at {stage}: {got}"
            trace = relay.cli("trace", ours, "--json").stdout.replace(" ", "")
            assert '"possible_duplicate":true' in trace, f"twice without a mark: {got}"


def drain(relay):
    """Retries until nothing is left in the queue."""
    until = time.time() + 100
    while relay.queue():
        assert time.time() < until, f"still queued: {relay.queue()}"
        relay.cli("queue", "retry", ok=False)
        wait_until(lambda: relay.queue() == [], 0.5, 0.05)
