"""Journeys of deliveries that do not succeed at once: deferral, failure and its report, the verbs of the queue."""

import email
import time

from tests.journeys.sending import RULES, addresses, mail, notices, settle
from tests.rig import decode
from tests.rig.check import contains, equal
from tests.rig.people import SENDER, strangers
from tests.rig.ports import free_port
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

TWO = strangers(2, 3)


def states(relay, **filters):
    """The states in the queue."""
    return [row["state"] for row in relay.queue()]


def it_keeps_what_the_upstream_defers_and_retries_on_demand():
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on("dot", "451 4.7.1 greylisted, come again")
        relay.send(mail("x", TWO), addresses(TWO))
        (row,) = wait_until(lambda: [r for r in relay.queue() if r["state"] == "waiting"], 10) or [None]
        assert row, relay.queue()
        contains(row["last_reply"], "greylisted, come again")
        equal(row["attempts"], 1)
        equal(sorted(row["recipients"]), sorted(addresses(TWO)))
        sink.clear()
        relay.cli("queue", "retry")
        equal(len(settle(sink, 1)), 1)
        assert wait_until(lambda: relay.queue() == [], 5), relay.queue()


def it_parts_recipients_that_fare_differently():
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on("rcpt", "450 4.2.1 mailbox busy", match=TWO[1].address)
        relay.send(mail("x", TWO), addresses(TWO))
        (copy,) = settle(sink, 1)
        equal(copy.recipients, [TWO[0].address])
        (row,) = wait_until(relay.queue, 5)
        equal(row["recipients"], [TWO[1].address])
        sink.clear()
        relay.cli("queue", "retry", "--recipient", TWO[1].address)
        settle(sink, 2)
        equal(sorted(sink.recipients()), sorted(addresses(TWO)), "each exactly once")


def it_reports_a_failure_with_the_upstreams_own_words():
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on("rcpt", "550 5.1.1 no such user here, says mx7", match=TWO[0].address)
        relay.send(mail("x", TWO), addresses(TWO))
        report = wait_until(lambda: notices(sink), 60, 0.1)
        assert report, "no report"
        equal(report[0].recipients, [SENDER.address])
        message = email.message_from_bytes(report[0].content)
        equal(message.get_content_type(), "multipart/report")
        text = "\n".join(decode.texts(report[0].content))
        for part in ("Reporting-MTA:", f"Final-Recipient: rfc822; {TWO[0].address}", "Action: failed", "Status: 5.1.1", "no such user here, says mx7"):
            contains(text.replace("rfc822;" + TWO[0].address, "rfc822; " + TWO[0].address), part)
        assert TWO[1].address not in "".join(l for l in text.splitlines() if l.startswith("Final-Recipient")), "a report about the one who got it"


def it_sends_one_report_for_a_split_mail():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        people = strangers(6, 3)
        sink.on("rcpt", "550 5.1.1 unknown", match=people[0].address)
        sink.on("rcpt", "550 5.1.1 unknown", match=people[1].address)
        relay.send(mail("[split] x", people), addresses(people))
        settle(sink, 4)
        reports = wait_until(lambda: [n for n in notices(sink) if b"multipart/report" in n.content], 60, 0.1)
        time.sleep(1)
        reports = [n for n in notices(sink) if b"multipart/report" in n.content]
        equal(len(reports), 1, "reports")
        for person in people[:2]:
            assert any(person.address in text for text in decode.texts(reports[0].content)), person.address


def it_never_reports_to_the_null_sender():
    with Sink() as sink, Relay(sink.address) as relay:
        for person in TWO:
            sink.on("rcpt", "550 5.1.1 unknown", match=person.address)
        relay.send(mail("x", TWO[:1]), addresses(TWO[:1]), sender="")
        assert wait_until(lambda: relay.queue() == [], 10)
        # Reports are sent in order: once that of a later failure is here, the first one was processed.
        relay.send(mail("y", TWO[1:]), addresses(TWO[1:]))
        assert wait_until(lambda: notices(sink), 60, 0.1), "no report of the second mail"
        equal([report.recipients for report in notices(sink)], [[SENDER.address]], "reports")
        assert not any(TWO[0].address in text for text in decode.texts(sink.taken[0].content)), "a report of the null sender's mail"


def it_pauses_resumes_and_drops():
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on("dot", "451 4.0.0 later")
        relay.send(mail("x", TWO[:1]), addresses(TWO[:1]))
        relay.send(mail("y", TWO[1:]), addresses(TWO[1:]))
        wait_until(lambda: states(relay) == ["waiting", "waiting"], 10)
        relay.cli("queue", "pause")
        equal(states(relay), ["paused", "paused"])
        sink.clear()
        time.sleep(0.5)
        equal(sink.taken, [], "paused mail left")
        relay.cli("queue", "drop", "--recipient", TWO[0].address)
        relay.cli("queue", "resume")
        relay.cli("queue", "retry")
        (copy,) = settle(sink, 1)
        equal(copy.recipients, [TWO[1].address])


def it_shows_an_upstream_that_is_gone_and_catches_up():
    port = free_port()
    with Relay(f"127.0.0.1:{port}") as relay:
        for n in range(5):
            contains(relay.send(mail("x", TWO, seed=n), addresses(TWO)), "queued as")
        rows = wait_until(lambda: [r for r in relay.queue() if r["last_reply"]], 10)
        assert rows, relay.queue()
        equal(len(relay.queue()), 5)
        with Sink(port) as sink:
            relay.cli("queue", "retry")
            assert wait_until(lambda: len(sink.taken) == 5, 90, 0.2), f"{len(sink.taken)} came: {relay.queue()}"


def it_traces_a_message_from_the_250_to_the_upstreams_answer():
    with Sink() as sink, Relay(sink.address) as relay:
        ours = id_of(relay.send(mail("x", TWO), addresses(TWO)))
        settle(sink, 1)
        for text in (ours, TWO[0].address, decode.header(sink.taken[0].content, "Message-ID")[0].strip("<> ")):
            shown = wait_until(lambda: "taken" in relay.cli("trace", text).stdout, 5)
            assert shown, relay.cli("trace", text).stdout
            contains(relay.cli("trace", text).stdout, ours)
        assert relay.json("trace", ours)


def it_marks_what_may_be_a_duplicate():
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on("after", "drop", 1)
        ours = id_of(relay.send(mail("x", TWO[:1]), addresses(TWO[:1])))
        wait_until(lambda: [r for r in relay.queue() if r["state"] in ("uncertain", "waiting")] or len(sink.taken) > 1, 10)
        relay.cli("queue", "retry")
        equal(len(settle(sink, 2)), 2, "tried again after a lost answer")
        text = relay.cli("trace", ours, "--json").stdout
        contains(text, "possible_duplicate")
        contains(text.replace(" ", ""), '"possible_duplicate":true')


def it_reports_numbers():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.send(mail("x", TWO), addresses(TWO))
        people = strangers(12, 4)
        relay.send(mail("many", people), addresses(people))
        settle(sink, 13)
        equal(relay.http("/healthz")[0], 200)
        equal(relay.http("/readyz")[0], 200)
        status, metrics = relay.http("/metrics")
        equal(status, 200)
        contains(metrics, "# TYPE")
        contains(metrics, "# EOF")
        contains(relay.cli("report").stdout, "132")
