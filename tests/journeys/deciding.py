"""Journeys of held messages: list, show, release in each way, drop, return, expire; across restarts."""

import time

import pytest

from tests.journeys.sending import RULES, addresses, mail, notices, real, settle
from tests.rig import decode
from tests.rig.check import contains, equal
from tests.rig.people import SENDER, strangers
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

PEOPLE = strangers(6, 3)
SIX = addresses(PEOPLE)


def hold(relay, subject="[ask] 六人", people=None):
    """Sends a message that is held; its id."""
    people = people or PEOPLE
    answer = relay.send(mail(subject, people), addresses(people))
    contains(answer, "held as")
    return id_of(answer)


@pytest.mark.alone  # measures time
def it_releases_as_split_when_nothing_else_is_said():
    with Sink() as sink, Relay(sink.address) as relay:
        held = hold(relay)
        started = time.time()
        relay.cli("held", "release", held)
        wait_until(lambda: real(sink.taken), 5, 0.01)
        took = time.time() - started
        copies = settle(sink, 6)
        equal([len(c.recipients) for c in copies], [1] * 6)
        for copy in copies:
            equal(decode.addresses(copy.content) & set(SIX), set(copy.recipients))
        equal(relay.held(), [])
        equal(relay.held(None)[0]["state"], "released")
        assert took < 1.5, f"the release took {took:.1f} s to take effect"


def it_releases_as_is_to_all_in_one():
    with Sink() as sink, Relay(sink.address) as relay:
        held = hold(relay)
        relay.cli("held", "release", held, "--as", "as-is")
        (copy,) = settle(sink, 1)
        equal(sorted(copy.recipients), sorted(SIX))
        assert set(SIX) <= decode.addresses(copy.content)


def it_releases_as_bcc():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.cli("held", "release", hold(relay), "--as", "bcc")
        for copy in settle(sink, 6):
            equal(decode.addresses(copy.content) & set(SIX), set(), "visible")


def it_drops_a_recipient_from_envelope_and_header():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.cli("held", "release", hold(relay), "--as", "as-is", "--drop", SIX[0])
        (copy,) = settle(sink, 1)
        equal(sorted(copy.recipients), sorted(SIX[1:]))
        assert SIX[0] not in decode.addresses(copy.content), "the dropped mailbox stands in the copy"


def it_returns_with_a_reason_and_tells_the_sender():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.cli("held", "return", hold(relay), "--reason", "wrong-list")
        equal(relay.held(None)[0]["state"], "returned")
        told = wait_until(lambda: [n for n in notices(sink) if any("wrong-list" in t for t in decode.texts(n.content))], 30)
        assert told, "the sender was not told why"
        equal(told[0].recipients, [SENDER.address])
        equal(real(sink.taken), [])


def it_lets_only_the_first_decision_stand():
    with Sink() as sink, Relay(sink.address) as relay:
        held = hold(relay)
        relay.cli("held", "return", held)
        second = relay.cli("held", "release", held, ok=False)
        equal(second.returncode, 1)
        contains(second.stderr, "returned")
        time.sleep(0.5)
        equal(real(sink.taken), [])


def it_expires_and_returns():
    with Sink() as sink, Relay(sink.address, policy_extra='expiry = "3s"') as relay:
        hold(relay)
        row = wait_until(lambda: relay.held("expired"), 60, 0.3)
        assert row, relay.held(None)
        assert wait_until(lambda: notices(sink), 60), "no notice of the expiry"
        equal(real(sink.taken), [])


def it_keeps_holds_over_a_restart_and_a_kill():
    with Sink() as sink, Relay(sink.address) as relay:
        first, second = hold(relay), hold(relay, "[ask] zwei")
        relay.stop()
        equal({row["id"] for row in relay.held()}, {first, second}, "without a relay")
        relay.start()
        equal({row["id"] for row in relay.held()}, {first, second}, "after a restart")
        relay.kill()
        relay.start()
        relay.cli("held", "release", first)
        equal(len(settle(sink, 6)), 6)


def it_decides_while_no_relay_runs():
    with Sink() as sink, Relay(sink.address) as relay:
        held = hold(relay)
        relay.stop()
        relay.cli("held", "release", held)
        equal(real(sink.taken), [])
        relay.start()
        equal(len(settle(sink, 6)), 6)


def it_shows_who_would_see_whom():
    with Sink() as sink, Relay(sink.address) as relay:
        held = hold(relay)
        shown = relay.cli("held", "show", held).stdout
        for address in SIX:
            contains(shown, address)
        contains(relay.cli("held", "list").stdout, held)
        missing = relay.cli("held", "show", "0" * 16, ok=False)
        equal(missing.returncode, 1)
        assert missing.stderr.strip(), "no word about an id that does not exist"


def it_holds_by_a_rule_whatever_the_copies_look_like():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        held = hold(relay, "[hold][split] x")
        relay.cli("held", "release", held, "--as", "as-is")
        (copy,) = settle(sink, 1)
        equal(len(copy.recipients), 6)


def it_splits_without_asking_when_another_rule_settles_it():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        contains(relay.send(mail("[ask][split] x", PEOPLE), SIX), "queued as")
        equal(len(settle(sink, 6)), 6)
