"""Journeys of one mail in several transactions: held once, decided once, delivered once."""

import threading
import time
import zlib

from tests.journeys.sending import RULES, addresses, mail, notices, real, settle
from tests.rig import clients, decode
from tests.rig.check import contains, equal
from tests.rig.clients import Letter
from tests.rig.people import SENDER, strangers
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

TWELVE = strangers(12, 5)
ALL = addresses(TWELVE)


def fork(subject, recipient, people=TWELVE, text="価格表をお送りします。\n", **more):
    """The transaction that Gmail makes for one recipient: a boundary and a signature of its own."""
    letter = Letter(SENDER, to=people, subject=subject, text=text, seed=subject, **more)
    message = clients.gmail(letter)
    boundary = message.split(b'boundary="', 1)[1].split(b'"', 1)[0]
    own = boundary[:-6] + f"{zlib.crc32(recipient.encode()) % 1000000:06d}".encode()
    domain = recipient.rsplit("@", 1)[1].encode()
    darn = message.split(b"darn=", 1)[1].split(b"\r\n", 1)[0].split(b";", 1)[0]
    return message.replace(boundary, own).replace(b"darn=" + darn, b"darn=" + domain)


def send(relay, subject, recipient, **more):
    """Sends one fork; returns the reply."""
    return relay.send(fork(subject, recipient, **more), [recipient], as_it_is=True)


def at_once(relay, subject, recipients):
    """All forks in sessions of their own, at the same time; the answers."""
    answers, barrier = [], threading.Barrier(len(recipients))

    def one(recipient):
        barrier.wait()
        answers.append(send(relay, subject, recipient))

    threads = [threading.Thread(target=one, args=(recipient,)) for recipient in recipients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(len(answers), len(recipients), "answers")
    return answers


def the_item(relay, state="held"):
    """The one item in this state."""
    rows = relay.held(state)
    equal(len(rows), 1, f"items: {rows}")
    return rows[0]


def once_each(copies, people):
    """Checks that each of these got exactly one copy, alone."""
    equal(sorted(r for c in copies for r in c.recipients), sorted(people))


def it_holds_twelve_transactions_once_and_decides_once():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        for answer in at_once(relay, "[ask] twelve", ALL):
            contains(answer, "held as")
        item = the_item(relay)
        equal(sorted(item["recipients"]), sorted(ALL))
        equal((item["members"], item["awaited"]), (12, []))
        assert wait_until(lambda: len(notices(sink)) >= 1, 20), "nobody was told"
        time.sleep(1)
        held = [n for n in notices(sink) if SENDER.address in n.recipients]
        equal(len(held), 1, "notices to the sender")
        relay.cli("held", "release", item["id"])
        copies = settle(sink, 12)
        once_each(copies, ALL)
        for copy in copies:
            equal(decode.addresses(copy.content) & set(ALL), set(copy.recipients))
            foreign = [a.rsplit("@", 1)[1].encode() for a in ALL if a not in copy.recipients]
            assert not any(b"darn=" + domain in copy.content for domain in foreign), "a sibling's signature"
        equal(relay.held(), [])
        the_item(relay, "released")


def it_says_how_many_came_and_waits_before_it_tells():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        send(relay, "[ask] some", ALL[0])
        send(relay, "[ask] some", ALL[1])
        item = the_item(relay)
        equal((len(item["recipients"]), len(item["awaited"])), (2, 10))
        contains(relay.cli("held", "list").stdout, "2 of 12")
        contains(relay.cli("held", "show", item["id"]).stdout, "2 of 12 recipients received, in 2 transactions")
        time.sleep(6.5)
        equal(notices(sink), [], "told before the mail was quiet")
        # The last ones arrive: nothing is awaited any more.
        for recipient in ALL[2:]:
            send(relay, "[ask] some", recipient)
        assert wait_until(lambda: notices(sink), 20), "nobody was told when all had come"


def it_tells_at_once_when_one_transaction_has_all():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        relay.send(mail("[ask] whole", TWELVE), ALL)
        assert wait_until(lambda: notices(sink), 15), "nobody was told"


def it_sends_a_late_sibling_as_the_others_were():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        at_once(relay, "[ask] late", ALL[:11])
        relay.cli("held", "release", the_item(relay)["id"], "--as", "bcc")
        settle(sink, 11)
        contains(send(relay, "[ask] late", ALL[11]), "queued as")
        copies = settle(sink, 12)
        once_each(copies, ALL)
        for copy in copies:
            equal(decode.addresses(copy.content) & set(ALL), set(), "visible")
        equal(relay.held(), [])


def it_leaves_a_dropped_recipient_out_who_comes_late():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        for recipient in (ALL[0], ALL[1]):
            send(relay, "[ask] dropped", recipient)
        relay.cli("held", "release", the_item(relay)["id"], "--as", "as-is", "--drop", ALL[1])
        settle(sink, 1)
        send(relay, "[ask] dropped", ALL[2])
        copies = settle(sink, 2)
        once_each(copies, [ALL[0], ALL[2]])
        assert all(ALL[1] not in decode.addresses(copy.content) for copy in copies)


def it_holds_an_unseen_bcc_and_another_content_as_addenda():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        at_once(relay, "[ask] addendum", ALL[:3])
        item = the_item(relay)["id"]
        relay.cli("held", "release", item)
        settle(sink, 3)
        contains(send(relay, "[ask] addendum", "unseen@other.example"), "held as")
        addendum = the_item(relay)
        equal(addendum["addendum_to"], item)
        contains(relay.cli("held", "show", addendum["id"]).stdout, f"addendum  to {item}")
        contains(send(relay, "[ask] addendum", ALL[3], text="別の内容です。\n"), "held as")
        equal(the_item(relay)["members"], 2)
        contains(send(relay, "[ask] addendum", ALL[4]), "queued as")
        once_each(settle(sink, 4), [*ALL[:3], ALL[4]])


def it_delivers_nothing_of_what_went_back():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        send(relay, "[ask] back", ALL[0])
        relay.cli("held", "return", the_item(relay)["id"])
        answer = send(relay, "[ask] back", ALL[1])
        contains(answer, "250 2.0.0 held as")
        equal(relay.held(), [])
        equal(len(the_item(relay, "returned")["recipients"]), 2)
        assert wait_until(lambda: notices(sink), 15), "the sender was not told"
        time.sleep(0.5)
        equal(real(sink.taken), [])


def it_delivers_once_what_a_client_sends_again():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        for subject, people in (("plain", ALL[:1]), ("[split] four", ALL[:4]), ("[ask] held", ALL[:4])):
            before = len(real(sink.taken))
            message = mail(subject, [p for p in TWELVE if p.address in people])
            first = relay.send(message, people, as_it_is=True)
            second = relay.send(message, people, as_it_is=True)
            equal(id_of(second), id_of(first), subject)
            if "held" in subject:
                contains(second, "held as")
                relay.cli("held", "release", id_of(first))
            once_each(settle(sink, before + len(people))[before:], people)
            contains(relay.cli("trace", id_of(first)).stdout, "received again")


def it_delivers_once_when_the_answer_was_lost_over_a_kill():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        message = mail("lost", TWELVE[:1])
        client = relay.client()
        client.mail(SENDER.address)
        client.rcpt(ALL[0])
        client.putcmd("data")
        client.getreply()
        client.send(message + b".\r\n")
        # Delivered and recorded: what is in transit at a kill may arrive twice, and is marked.
        assert wait_until(lambda: sink.taken and relay.queue() == [], 20), "not delivered"
        client.close()  # the 250 is never read
        relay.kill()
        relay.start()
        contains(relay.send(message, ALL[:1], as_it_is=True), "queued as")
        once_each(settle(sink, 1), ALL[:1])


def it_delivers_what_is_sent_again_to_whom_it_is_new():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        message = mail("more", TWELVE[:2])
        relay.send(message, ALL[:1], as_it_is=True)
        contains(relay.send(message, ALL[:2], as_it_is=True), "queued as")
        once_each(settle(sink, 2), ALL[:2])


def it_takes_a_template_that_reuses_its_message_id_for_another_mail():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        send(relay, "[ask] template", ALL[0])
        again = send(relay, "[ask] template", ALL[0], date="Wed, 25 Nov 2026 09:00:00 +0900")
        equal(len(relay.held()), 2)
        contains(relay.cli("trace", id_of(again)).stdout, "which is another mail")


def it_tells_of_a_split_once():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        at_once(relay, "[split] told once", ALL)
        once_each(settle(sink, 12), ALL)
        assert wait_until(lambda: notices(sink), 60), "the sender was not told"
        time.sleep(6)
        equal(len(notices(sink)), 1, "notices")


def it_never_takes_two_alerts_for_one():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        bare = b"From: monitor@example.co.jp\r\nTo: " + ALL[0].encode() + b"\r\nSubject: alert\r\n\r\ndisk full\r\n"
        dated = b"Date: Tue, 24 Nov 2026 14:40:00 +0900\r\n" + bare
        for message in (bare, bare, dated, dated.replace(b"disk", b"swap")):
            relay.send(message, ALL[:1], as_it_is=True)
        equal(len(settle(sink, 4)), 4)


def it_delivers_a_list_of_forty_each_alone_and_once():
    with Sink() as sink, Relay(sink.address) as relay:
        members = addresses(strangers(40, 9))
        listed = [clients.Person("全員", "all@example.co.jp")]
        message = mail("to the list", listed)
        for _ in range(2):
            contains(relay.send(message, members, as_it_is=True), "queued as")
        copies = settle(sink, 40)
        equal([len(c.recipients) for c in copies], [1] * 40)
        once_each(copies, members)


def it_exempts_no_forged_thread():
    with Sink() as sink, Relay(sink.address) as relay:
        known, outsider = strangers(6, 3), strangers(7, 3)[6:]
        first = mail("円卓", known)
        held = id_of(relay.send(first, addresses(known), as_it_is=True))
        relay.cli("held", "release", held, "--as", "as-is")
        settle(sink, 1)
        thread = decode.header(first, "Message-ID")[0].strip().strip("<>")
        contains(relay.send(mail("Re: 円卓", known, in_reply_to=thread), addresses(known)), "queued as")
        joined = [*known, *outsider]
        contains(relay.send(mail("Re: Re: 円卓", joined, in_reply_to=thread), addresses(joined)), "held as")
