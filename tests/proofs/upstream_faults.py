"""Upstream faults through the real binary: each stage of the upstream's session goes wrong in each way.

    python3 -m tests.proofs.upstream_faults

Two recipients in one transaction. After the fault the upstream is well again and the queue is retried.
Each recipient then has exactly one copy; after a lost answer two are allowed, and marked; after a 5xx
none, and the sender has a report.
"""

import sys
import time

from tests.journeys.sending import addresses, mail, notices, real
from tests.rig.people import strangers
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "dot", "after"]
FAULTS = {"drop": "drop", "4xx": "451 4.3.0 not now", "5xx": "554 5.3.0 never", "garbage": "xyzzy \x00\xff"}
TWO = strangers(2, 3)


def cell(stage, fault, reply):
    """One stage, one fault; what is wrong, or nothing."""
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on(stage, reply, len(TWO) if stage == "rcpt" else 1)  # the report goes the same way: it must get through
        ours = id_of(relay.send(mail(f"{stage} {fault}", TWO, "hello\n"), addresses(TWO)))
        final = stage in ("mail", "rcpt", "data", "dot") and fault == "5xx"
        wait_until(lambda: (final and relay.queue() == []) or real(sink.taken) or any(r["last_reply"] for r in relay.queue()), 20, 0.05)
        sink.clear()

        def through():
            relay.cli("queue", "retry", ok=False)
            time.sleep(0.3)
            return relay.queue() == []

        if not wait_until(through, 100, 0.5):
            return f"still queued: {relay.queue()}"
        got = sorted(r for t in real(sink.taken) for r in t.recipients)
        wanted = sorted(addresses(TWO))
        if final:
            if got:
                return f"delivered after a 5xx: {got}"
            return None if wait_until(lambda: notices(sink), 90, 0.2) else "no report"
        if set(got) != set(wanted):
            return f"got {got}"
        if len(got) > len(wanted):
            marked = '"possible_duplicate":true' in relay.cli("trace", ours, "--json").stdout.replace(" ", "")
            return None if stage in ("dot", "after") and marked else f"twice without a mark: {got}"
        return None


def main():
    """All cells."""
    passed = failed = 0
    for stage in STAGES:
        for fault, reply in FAULTS.items():
            if stage == "after" and fault != "drop":
                continue
            try:
                wrong = cell(stage, fault, reply)
            except AssertionError as error:
                wrong = str(error)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            if wrong:
                print(f"FAIL  {stage} × {fault}: {wrong}", flush=True)
    print(f"upstream faults: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
