"""Journeys of a message from a real client to the upstream: passed, split, hidden, held, delayed, rejected."""

import contextlib
import subprocess
import tempfile
import time

from tests.rig import clients, decode
from tests.rig.check import contains, equal
from tests.rig.clients import Letter
from tests.rig.people import SENDER, strangers
from tests.rig.ports import free_port
from tests.rig.relay import TOP, Relay, id_of, wait_until
from tests.rig.sink import Sink

# One rule per word, so that the subject decides what happens.
RULES = "".join(
    f'[[rule]]\nname = "test-{demand.split()[0]}"\nwhen = {{ subject = {{ contains = ["[{demand.split()[0]}]"] }} }}\ndemand = "{demand}"\n\n'
    for demand in ("split", "bcc", "hold", "ask", "reject", "delay 3s")
)
CORPUS = TOP / "tests" / "corpus"


def mail(subject, people, text="こんにちは。\n", seed=1, **more):
    """A message from Thunderbird to these people."""
    return clients.thunderbird(Letter(SENDER, to=people, subject=subject, text=text, seed=f"{subject}{seed}", **more))


def addresses(people):
    """Their addresses."""
    return [p.address for p in people]


def real(taken):
    """Transactions that are not the relay's own notices."""
    return [t for t in taken if t.sender]


def notices(sink):
    """The relay's own mail at the sink."""
    return [t for t in sink.taken if not t.sender]


def settle(sink, count, seconds=15):
    """Waits for `count` transactions that are not notices, and a little longer for an additional one."""
    wait_until(lambda: len(real(sink.taken)) >= count, seconds)
    time.sleep(0.2)
    return real(sink.taken)


def it_passes_large_bodies_with_every_byte_whether_or_not_they_need_dots():
    lines = "".join(f"line {n} of a long report, with a dot.\r\n" for n in range(20_000))
    long = f"{'x' * 300_000}\r\n"
    bodies = {"none": lines, "first": f".\r\n{lines}", "last": f"{lines}..\r\n", "within": f"{lines}.{lines}", "long": long, "after": f"{long}.{long}"}
    people = addresses(strangers(2, 2))
    for queued in (False, True):
        wanted, port = [], free_port()
        with Relay(f"127.0.0.1:{port}", RULES) as relay, contextlib.ExitStack() as later:
            sink = None if queued else later.enter_context(Sink(port))
            for name, body in bodies.items():
                for action in ("as it is", "[split]"):
                    header = f"From: {SENDER.address}\r\nTo: {', '.join(people)}\r\nSubject: {action}\r\nMessage-ID: <{name}.{len(action)}@large.example>\r\n"
                    contains(relay.send(f"{header}\r\n{body}".encode(), people), "queued")
                    wanted += [body.encode()] * (2 if action == "[split]" else 1)
            if queued:
                relay.stop()
                sink = later.enter_context(Sink(port))
                relay.start()
                relay.cli("queue", "retry")
            copies = settle(sink, len(wanted), 90)
            got = sorted(copy.content.split(b"\r\n\r\n", 1)[1] for copy in copies)
            assert got == sorted(wanted), f"bytes of a body changed, queued: {queued}"


def it_passes_an_ordinary_mail_with_every_byte_but_its_received():
    with Sink() as sink, Relay(sink.address) as relay:
        message = (CORPUS / "outlook-two.eml").read_bytes()
        people = addresses(strangers(2, 2))
        answer = relay.send(message, people)
        contains(answer, "250 2.0.0 queued as ")
        (copy,) = settle(sink, 1)
        equal(sorted(copy.recipients), sorted(people))
        assert copy.content.endswith(message), "bytes of the message changed"
        added = copy.content[: -len(message)]
        assert added.startswith(b"Received: ") and b" for " not in added, added


def it_strips_bcc_and_sends_each_hidden_recipient_a_transaction_of_their_own():
    with Sink() as sink, Relay(sink.address) as relay:
        people = addresses(strangers(3, 6))
        relay.send((CORPUS / "bcc-in-header.eml").read_bytes(), people)
        copies = settle(sink, 3)
        equal(sorted(r for c in copies for r in c.recipients), sorted(people))
        for copy in copies:
            equal(len(copy.recipients), 1, f"recipients of one transaction: {copy.recipients}")
            assert not decode.header(copy.content, "Bcc"), "Bcc left"
            hidden = set(people[1:]) - set(copy.recipients)
            assert not decode.addresses(copy.content) & hidden, "a hidden recipient stands in a copy"


def it_splits_twelve_strangers_in_cc_at_once():
    with Sink() as sink, Relay(sink.address) as relay:
        message = (TOP / "examples" / "twelve-in-cc.eml").read_bytes()
        people = strangers(12, 4)
        contains(relay.send(message, [*addresses(people), "koho@example.co.jp"]), "queued as")
        copies = settle(sink, 13)
        equal(len(copies), 13)
        for copy in copies:
            equal(len(copy.recipients), 1)
            seen = decode.addresses(copy.content) & set(addresses(people))
            equal(seen - set(copy.recipients), set(), "others visible")
            assert decode.body(copy.content) == decode.body(message), "the body changed"
            if not copy.recipients[0].endswith("@example.co.jp"):
                contains(decode.header(copy.content, "To")[0], copy.recipients[0])
            equal(decode.header(copy.content, "Message-ID"), decode.header(message, "Message-ID"))
            equal(decode.header(copy.content, "X-OriginatorOrg"), [], "a dropped field")


def it_keeps_the_display_name_of_each_recipient():
    with Sink() as sink, Relay(sink.address) as relay:
        people = strangers(12, 4)
        relay.send(clients.japanese_webmail(Letter(SENDER, to=people, subject="件名", text="本文")), addresses(people))
        for copy in settle(sink, 12):
            person = next(p for p in people if p.address == copy.recipients[0])
            contains(decode.header(copy.content, "To")[0], person.name or person.address)


def it_sends_bcc_copies_that_are_all_alike():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        people = strangers(4, 3)
        relay.send(mail("[bcc] x", people), addresses(people))
        copies = settle(sink, 4)
        equal(len(copies), 4)
        # Equal to the last byte, including trace fields: nothing in a copy may reveal its recipient.
        equal(len({c.content for c in copies}), 1, "different copies")
        equal([len(c.recipients) for c in copies], [1] * 4, "recipients of a transaction")
        assert not decode.addresses(copies[0].content) & set(addresses(people)), "an address is visible"


def it_holds_six_strangers_and_tells_sender_and_approvers():
    with Sink() as sink, Relay(sink.address, policy_extra='approvers = ["soumu@example.co.jp"]') as relay:
        answer = relay.send((CORPUS / "outlook-six-in-to.eml").read_bytes(), addresses(strangers(6, 3)))
        contains(answer, "250 2.0.0 held as ")
        (row,) = relay.held()
        equal(row["id"], id_of(answer))
        equal(row["sender"], SENDER.address)
        equal(len(row["recipients"]), 6)
        contains(row["subject"], "説明会")
        assert row["reasons"], "no reason given"
        told = wait_until(lambda: {r for t in notices(sink) for r in t.recipients} >= {SENDER.address, "soumu@example.co.jp"}, 240, 0.2)
        assert told, f"told: {[t.recipients for t in notices(sink)]}"
        for notice in notices(sink):
            assert decode.header(notice.content, "Auto-Submitted"), "a notice without Auto-Submitted"
        equal(real(sink.taken), [], "copies that left a hold")


def it_tells_the_sender_how_many_got_a_mail_of_their_own():
    with Sink() as sink, Relay(sink.address) as relay:
        people = strangers(12, 4)
        relay.send((CORPUS / "gmail-twelve-in-to.eml").read_bytes(), addresses(people))
        settle(sink, 12)
        told = wait_until(lambda: notices(sink), 240, 0.2)
        assert told, "no notice"
        equal(told[0].recipients, [SENDER.address])
        assert any("12" in text for text in decode.texts(told[0].content)), "the notice does not say to how many"


def it_delays_and_then_sends():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        people = strangers(2, 3)
        started = time.time()
        contains(relay.send(mail("[delay] x", people), addresses(people)), "queued as")
        time.sleep(1.0)
        equal(real(sink.taken), [], "sent too early")
        settle(sink, 1)
        equal(sorted(r for taken in real(sink.taken) for r in taken.recipients), sorted(addresses(people)))
        assert time.time() - started >= 3, "the delay was too short"


def it_rejects_with_550_and_stores_nothing():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        people = strangers(2, 3)
        contains(relay.send(mail("[reject] x", people), addresses(people)), "550 5.7.1")
        equal(relay.queue(), [])
        equal(relay.held(None), [])


def it_passes_everything_in_observe_mode_but_strips_bcc():
    with Sink() as sink, Relay(sink.address, mode="observe") as relay:
        people = addresses(strangers(6, 3))
        contains(relay.send((CORPUS / "outlook-six-in-to.eml").read_bytes(), people), "queued as")
        (copy,) = settle(sink, 1)
        equal(sorted(copy.recipients), sorted(people))
        relay.send((CORPUS / "bcc-in-header.eml").read_bytes(), addresses(strangers(3, 6)))
        for copy in settle(sink, 4):
            equal(decode.header(copy.content, "Bcc"), [])


def it_holds_what_it_cannot_parse():
    with Sink() as sink, Relay(sink.address) as relay:
        for name in ("unterminated-quote", "zero-width-space"):
            answer = relay.send((CORPUS / f"{name}.eml").read_bytes(), ["keiko.suzuki1@example.jp"])
            contains(answer, "held as")
        equal(relay.queue(), [])
        time.sleep(0.5)
        equal(real(sink.taken), [])


def it_adds_the_missing_date_and_message_id():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.send((CORPUS / "no-date-no-id.eml").read_bytes(), ["x@example.jp"])
        (copy,) = settle(sink, 1)
        equal(len(decode.header(copy.content, "Date")), 1)
        equal(len(decode.header(copy.content, "Message-ID")), 1)


def it_knows_a_circle_that_was_openly_written_to_before():
    with Sink() as sink, Relay(sink.address) as relay:
        people = strangers(11, 9)
        first = clients.outlook(Letter(SENDER, to=people, subject="打ち合わせ", text="1"))
        held = id_of(relay.send(first, addresses(people)))
        first_id = decode.header(first, "Message-ID")[0].strip().strip("<>")
        if not relay.held():  # the default policy splits eleven; disclose it with a smaller one below
            settle(sink, 11)
        reply = clients.thunderbird(Letter(SENDER, to=people, subject="Re: 打ち合わせ", text="2", seed=2, in_reply_to=first_id))
        answer = relay.send(reply, addresses(people))
        contains(answer, "held as")  # the first was split, so they have not seen each other
        few = people[:6]
        asked = clients.outlook(Letter(SENDER, to=few, subject="六人", text="3", seed=3))
        held = id_of(relay.send(asked, addresses(few)))
        relay.cli("held", "release", held, "--as", "as-is")
        asked_id = decode.header(asked, "Message-ID")[0].strip().strip("<>")
        again = clients.thunderbird(Letter(SENDER, to=few, subject="Re: 六人", text="4", seed=4, in_reply_to=asked_id))
        wait_until(lambda: any(len(t.recipients) == 6 for t in sink.taken), 10)
        contains(relay.send(again, addresses(few)), "queued as")
        outsider = strangers(1, 99)
        forged = clients.thunderbird(Letter(SENDER, to=[*few, *outsider], subject="Re: 六人", text="5", seed=5, in_reply_to=asked_id))
        contains(relay.send(forged, addresses([*few, *outsider])), "held as")


def it_takes_mail_from_swaks_curl_and_smtp_source():
    with Sink() as sink, Relay(sink.address) as relay, tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(mail("curl", strangers(1, 1)))
        file.flush()
        to = "hanako@example.jp"
        commands = [
            ["swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--from", SENDER.address, "--to", to, "--silent", "3"],
            ["curl", "-sS", f"smtp://127.0.0.1:{relay.port}/client.example", "--mail-from", SENDER.address, "--mail-rcpt", to, "-T", file.name],
            ["/usr/sbin/smtp-source", "-m", "20", "-s", "4", "-l", "4000", "-f", SENDER.address, "-t", to, f"127.0.0.1:{relay.port}"],
        ]
        for command in commands:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            equal(done.returncode, 0, done.stdout.decode()[-500:])
        equal(len(settle(sink, 22)), 22)


def it_passes_on_dsn_parameters_of_a_passed_mail():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.send(mail("dsn", strangers(1, 1)), ["x@example.jp"], options=["RET=HDRS", "ENVID=abc123"],
                   rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;x@example.jp"])
        (copy,) = settle(sink, 1)
        contains(copy.mail.upper(), "RET=HDRS")
        contains(copy.mail, "ENVID=abc123")
        contains(copy.rcpt[0].upper(), "NOTIFY=")
        contains(copy.rcpt[0], "ORCPT=rfc822;x@example.jp")


def it_stuffs_dots_both_ways():
    with Sink() as sink, Relay(sink.address) as relay:
        text = ".\n..\n.x\n\n.\nend\n"
        message = mail("dots", strangers(1, 1), text)
        relay.send(message, ["x@example.jp"])
        (copy,) = settle(sink, 1)
        assert copy.content.endswith(message), copy.content[-100:]


def it_never_sends_a_message_of_the_corpus_to_strangers_who_see_each_other(note):
    """Every corpus message to its recipients: what is not held is split, or shows fewer than the policy's limit."""
    with Sink() as sink, Relay(sink.address) as relay:
        held = 0
        for path in sorted(CORPUS.glob("*.eml")):
            message = path.read_bytes()
            people = sorted({a for a in decode.addresses(b"\r\n".join(
                f"{n}: {v}".encode() for n in ("To", "Cc", "Bcc") for v in decode.header(message, n))) if not a.endswith("@example.co.jp")})
            sink.taken.clear()
            if not people or len(people) > 100:
                continue
            answer = relay.send(message, people)
            held += " held as " in answer
            if " queued as " not in answer:
                continue
            wait_until(lambda: len({r for t in real(sink.taken) for r in t.recipients}) >= len(people), 10)
            for copy in real(sink.taken):
                if len(copy.recipients) > 4 and path.stem not in ("auto-forward", "delivery-report"):
                    raise AssertionError(f"{path.name}: {len(copy.recipients)} strangers in one copy")
        note(f"{held} held")
