"""Journeys of the relay's own mail: its text, its links, who decides and is told when, and hooks.

Mails are read from the sink with Python's email package.
"""

import email
import email.policy
import hashlib
import hmac
import html.parser
import json
import re
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.journeys.sending import RULES, addresses, mail, notices, real
from tests.rig.check import contains, equal
from tests.rig.clients import Person
from tests.rig.people import SENDER, strangers
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink
from tests.rig.visitor import Browser

PEOPLE = strangers(6, 3)
SIX = addresses(PEOPLE)
APPROVER = "soumu@example.co.jp"
TO_APPROVER = f'approvers = ["{APPROVER}"]'
FIELDS = {
    "Received", "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Auto-Response-Suppress", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Importance", "X-Priority",
}


class Page(html.parser.HTMLParser):
    """The links, the tags and the words of an HTML mail."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.sources, self.words = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name == "href":
                self.links.append(value)
            elif name in ("src", "background", "srcset", "action") or name.startswith("on"):
                self.sources.append((name, value))

    def handle_data(self, data):
        self.words.append(data)


class Letter:
    """One of the relay's mails."""

    def __init__(self, taken):
        self.to = taken.recipients
        self.mail = email.message_from_bytes(taken.content, policy=email.policy.default)
        equal([str(defect) for part in self.mail.walk() for defect in part.defects], [], "defects")
        self.subject = str(self.mail["Subject"])
        self.text = self.mail.get_body(("plain",)).get_content()
        self.page = Page(self.mail.get_body(("html",)).get_content())
        assert set(self.mail.keys()) <= FIELDS, self.mail.keys()
        equal(self.mail["Auto-Submitted"], "auto-generated")
        equal(self.page.sources, [], "something is fetched or run")
        assert not self.page.tags & {"script", "img", "iframe", "link", "form", "object"}, self.page.tags


def letters(sink, to=None, word=""):
    """The relay's mails to a person, with a word in their subject."""
    found = [Letter(taken) for taken in notices(sink)]
    return [one for one in found if (to is None or one.to == [to]) and word in one.subject]


def waited(sink, to, word="", count=1, seconds=30):
    """Waits for that many mails, and returns them."""
    wait_until(lambda: len(letters(sink, to, word)) >= count, seconds, 0.2)
    found = letters(sink, to, word)
    equal(len(found), count, f"mails to {to} with {word!r}; all: {[(x.to, x.subject) for x in letters(sink)]}")
    return found


def hold(relay, subject="[ask] 六人", **more):
    """Sends a message that is held; its id."""
    answer = relay.send(mail(subject, PEOPLE, **more), SIX)
    contains(answer, "held as")
    return id_of(answer)


def it_tells_the_sender_what_would_happen_with_links_that_are_safe():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        hold(relay)
        (letter,) = waited(sink, SENDER.address)
        contains(letter.subject, "保留")
        contains(letter.text, "6名")
        contains(letter.text, APPROVER)
        links = [link for link in letter.page.links]
        equal(len(links), 3, "split, take back, ask")
        for link in links:
            assert re.fullmatch(rf"http://127.0.0.1:{relay.desk}/l/[A-Za-z0-9_-]{{40,}}", link), link
            contains(letter.text, link)
        equal(len(set(links)), 3)
        for address in SIX:
            contains(letter.text, address)
            contains("".join(letter.page.words), address)
        (ask,) = waited(sink, APPROVER)
        page = f"http://127.0.0.1:{relay.desk}/held/{relay.held()[0]['id']}"
        equal(ask.page.links.count(page), 2)
        own = [link for link in ask.page.links if "/l/" in link]
        equal((len(own), len(set(own))), (4, 2), "send individually and return, in each language")
        contains(ask.text, "延べ30件")  # 6 × 5 addresses seen


def it_offers_no_split_for_what_a_rule_holds():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        hold(relay, "[hold] x")
        (letter,) = waited(sink, SENDER.address)
        equal(len(letter.page.links), 2, "take back, ask")
        assert "個別に送信する" not in letter.text and "Send individually" not in letter.text


def it_says_whom_to_ask_without_a_desk_url():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER, start=False) as relay:
        text = relay.config.read_text()
        relay.config.write_text(re.sub(r'^url = "http.*\n', "", text, flags=re.M))
        relay.start()
        held = hold(relay, "[ask] six of them")
        (letter,) = waited(sink, SENDER.address)
        equal(letter.page.links, [])
        contains(letter.text, APPROVER)
        (ask,) = waited(sink, APPROVER)
        contains(ask.text, f"sekisho held release {held}")


def it_keeps_hostile_words_words():
    evil = '"><script>alert(1)</script><img src=//evil.example/x> \u202ecod.exe'
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        hold(relay, f"[ask] {evil}")
        for to in (SENDER.address, APPROVER):
            (letter,) = waited(sink, to)
            contains("".join(letter.page.words), "<script>alert(1)</script>")
            assert "\u202e" not in letter.text + "".join(letter.page.words)
            assert all(link.startswith(f"http://127.0.0.1:{relay.desk}/") for link in letter.page.links)


def it_asks_whom_the_rule_the_group_and_the_file_name():
    rules = RULES.replace('name = "test-hold"', 'name = "test-hold"\napprovers = ["privacy@example.co.jp", "manager"]')
    group = '[[group]]\nname = "led"\nsenders = ["hanako.*@example.co.jp"]\napprovers = ["lead@example.co.jp"]\n'
    with Sink() as sink, Relay(
        sink.address, rules, policy_extra=TO_APPROVER + '\nmanagers = "managers.csv"', extra=group, start=False
    ) as relay:
        (relay.folder / "managers.csv").write_text(f"sender,manager\n{SENDER.address},boss@example.co.jp\n")
        relay.start()
        hold(relay, "[hold] a")
        waited(sink, "privacy@example.co.jp")
        waited(sink, "boss@example.co.jp")
        hold(relay, "[ask] b")
        waited(sink, "lead@example.co.jp")
        equal(letters(sink, APPROVER), [])
        # nobody decides on their own mail
        relay.send(mail("[ask] c", PEOPLE), SIX, sender="other@example.co.jp")
        equal(len(relay.held()), 3)


def it_names_a_mistake_in_the_file_of_managers():
    with Sink() as sink, Relay(
        sink.address, RULES, policy_extra='approvers = ["manager"]\nmanagers = "managers.csv"', start=False
    ) as relay:
        (relay.folder / "managers.csv").write_text("a@example.co.jp,b@example.co.jp\nnobody here\n")
        done = relay.cli("check", ok=False)
        contains(done.stdout + done.stderr, "managers.csv:2")


def it_gathers_a_digest_and_lets_the_urgent_through():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER, extra='[notices]\ndigest = "6s"') as relay:
        first, second = hold(relay, "[ask] eins"), hold(relay, "[ask] zwei")
        relay.cli("held", "return", first)
        third = hold(relay, "[ask] drei")
        urgent = mail("[ask] eilt", PEOPLE).replace(b"MIME-Version", b"Importance: High\r\nMIME-Version", 1)
        fourth = id_of(relay.send(urgent, SIX))
        (at_once,) = waited(sink, APPROVER, "eilt", seconds=5)
        equal(at_once.mail["Importance"], "high")
        wait_until(lambda: len(letters(sink, APPROVER)) > 1, 30, 0.2)
        digest = next(one for one in letters(sink, APPROVER) if "eilt" not in one.subject)
        contains(digest.subject, "2")
        for id, inside in ((first, False), (second, True), (third, True), (fourth, False)):
            equal(any(link.endswith(id) for link in digest.page.links), inside, id)
        time.sleep(1)
        equal(len(letters(sink, APPROVER)), 2)


def it_asks_deputies_and_those_behind_when_nobody_answers():
    extra = (
        '[notices]\nescalate = { after = "3s", to = ["bucho@example.co.jp"] }\n'
        f'[[approver]]\naddress = "{APPROVER}"\ndeputies = ["hosa@example.co.jp"]\naway = ["2000-01-01..2999-12-31"]\n'
        '[[approver]]\naddress = "hosa@example.co.jp"\nlanguage = "ja"\n'
    )
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER, extra=extra) as relay:
        hold(relay, "[ask] who is there")
        (deputy,) = waited(sink, "hosa@example.co.jp")
        contains(deputy.text, "承認者が不在のため")
        assert "You are asked" not in deputy.text, "in their language alone"
        equal(letters(sink, "bucho@example.co.jp"), [])
        (behind,) = waited(sink, "bucho@example.co.jp")
        contains(behind.text, "Nobody who was asked has decided so far")
        equal(letters(sink, APPROVER), [])


def it_warns_before_it_expires_and_tells_when_it_did():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER + '\nexpiry = "12s"') as relay:
        hold(relay, "[ask] forgotten")
        (warning,) = waited(sink, SENDER.address, "保留中")
        equal(len(warning.page.links), 3)
        waited(sink, APPROVER, "期限間近")
        wait_until(lambda: relay.held("expired"), 60, 0.3)
        waited(sink, SENDER.address, "未送信", seconds=60)
        equal(real(sink.taken), [])


def it_tells_when_a_delayed_mail_leaves():
    with Sink() as sink, Relay(sink.address, RULES.replace("delay 3s", "delay 5s"), policy_extra=TO_APPROVER) as relay:
        contains(relay.send(mail("[delay] later", PEOPLE), SIX), "queued as")
        (letter,) = waited(sink, SENDER.address, "送信待ち", seconds=4)
        equal(len(letter.page.links), 1)
        wait_until(lambda: real(sink.taken), 20)
        assert real(sink.taken), "it did not leave"


def it_reports_success_once_where_the_next_hop_does_not():
    asked = ["NOTIFY=SUCCESS,FAILURE"]
    for offers, reports in ((False, 1), (True, 0)):
        with Sink() as sink, Relay(sink.address, RULES) as relay:
            if not offers:
                sink.on("ehlo", "250-sink\r\n250 8BITMIME")
            relay.send(mail("[split] done", PEOPLE), SIX, rcpt_options=asked)
            wait_until(lambda: len(real(sink.taken)) == 6, 20)
            wait_until(lambda: len(sink.taken) > 7, 8 if reports else 2)
            found = [email.message_from_bytes(one.content, policy=email.policy.default) for one in notices(sink)]
            found = [one for one in found if one.get_content_type() == "multipart/report"]
            equal(len(found), reports, f"DSN offered: {offers}")
            for report in found:
                status = next(part for part in report.walk() if part.get_content_type() == "message/delivery-status")
                fields = [dict(block.items()) for block in status.get_payload()]
                equal([block["Action"] for block in fields[1:]], ["relayed"] * 6)
                equal(sorted(block["Final-Recipient"].split("; ")[1] for block in fields[1:]), sorted(SIX))


def press(url, **form):
    """Presses the one button behind a link, as a browser does."""
    with urllib.request.urlopen(url, timeout=20) as page:
        assert page.status == 200
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data=body, timeout=20) as page:
        return page.read().decode()


def link_under(letter, label):
    """The link of a button."""
    return re.search(re.escape(label) + r"[:：]\s+(\S+)", letter.text)[1]


def it_does_by_a_press_what_is_safe():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        hold(relay, "[ask] eins")
        (letter,) = waited(sink, SENDER.address)
        press(link_under(letter, "個別に送信する"))
        wait_until(lambda: len(real(sink.taken)) == 6, 20)
        equal([len(copy.recipients) for copy in real(sink.taken)], [1] * 6)


def it_takes_back_undoes_and_asks_by_links():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        held = hold(relay, "[ask] zwei")
        (letter,) = waited(sink, SENDER.address)
        press(link_under(letter, "送信を取り消す"))
        equal(relay.held(), [])
        (taken,) = waited(sink, SENDER.address, "取り消し")
        press(link_under(taken, "取り消しを元に戻す"))
        equal([row["id"] for row in relay.held()], [held])
        third = hold(relay, "[hold] drei")
        letter = next(one for one in waited(sink, SENDER.address, "保留", 2) if "drei" in one.subject)
        press(link_under(letter, "元のまま送る承認を申請する"), reason="Ein Team <b>& mehr</b>")
        (wish,) = waited(sink, APPROVER, "承認申請")
        contains(wish.text, "> Ein Team <b>& mehr</b>")
        equal(wish.page.links[0].rsplit("/", 1)[1], third)
        equal(real(sink.taken), [])


def it_offers_a_way_back_from_a_small_mailing():
    """Twelve people at four companies: split after ten minutes, and its sender may decide otherwise."""
    firms = ["kita-kogyo.example", "aozora-shoji.example", "minato-press.example", "sakura-do.example"]
    team = [Person("", f"member{number}@{firms[number % 4]}") for number in range(12)]
    everybody = addresses(team)
    with Sink() as sink, Relay(sink.address, policy_extra=TO_APPROVER) as relay:
        contains(relay.send(mail("立ち上げ eins", team), everybody), "queued as")
        (letter,) = waited(sink, SENDER.address, "送信待ち")
        equal(real(sink.taken), [])
        press(link_under(letter, "今すぐ個別に送信する"))
        wait_until(lambda: len(real(sink.taken)) == 12, 20)
        equal([len(copy.recipients) for copy in real(sink.taken)], [1] * 12)

        contains(relay.send(mail("立ち上げ zwei", team, seed=2), everybody), "queued as")
        letter = next(one for one in waited(sink, SENDER.address, "送信待ち", 2) if "zwei" in one.subject)
        press(link_under(letter, "宛先は互いに知り合い：元のまま送る承認を申請する"), reason="ein Projekt")
        (row,) = relay.held()
        (wish,) = waited(sink, APPROVER, "承認申請")
        contains(wish.text, "> ein Projekt")
        equal(len(real(sink.taken)), 12, "nothing leaves while the approver is asked")
        relay.cli("held", "release", row["id"], "--as", "as-is")
        wait_until(lambda: len(real(sink.taken)) == 13, 20)
        equal(sorted(real(sink.taken)[12].recipients), sorted(everybody))

        contains(relay.send(mail("立ち上げ drei", team, seed=3), everybody), "queued as")
        letter = next(one for one in waited(sink, SENDER.address, "送信待ち", 3) if "drei" in one.subject)
        press(link_under(letter, "送信を取り消す"))
        waited(sink, SENDER.address, "取り消し")
        equal(len(real(sink.taken)), 13)


def it_sends_again_openly_what_was_split_at_once():
    """Twelve strangers are split at once; the notice lists the recipients, and its link asks an approver."""
    with Sink() as sink, Relay(sink.address, policy_extra=TO_APPROVER) as relay:
        team = strangers(12, 12)
        everybody = addresses(team)
        # One of them is unreachable yet: the split is partly delivered when its sender asks.
        sink.on("rcpt", "451 4.2.0 later", match=everybody[11])
        sent = mail("全員で", team)
        old = id_of(relay.send(sent, everybody, as_it_is=True))
        assert wait_until(lambda: len(real(sink.taken)) == 11, 60)
        (letter,) = waited(sink, SENDER.address, "個別")
        for address in everybody:
            contains(letter.text, address)
        link = link_under(letter, "全員に見える形で送り直す承認を申請する")
        browser = Browser()
        contains(browser.open(link).body, 'name="reason"')
        equal(relay.held(), [], "a look changed something")
        equal(browser.post(link, {"reason": " "}).status, 403)
        page = browser.follow(browser.post(link, {"reason": "ein Projekt"}))
        (row,) = relay.held()
        contains(page.body, f"/held/{row['id']}")
        browser.follow(browser.post(link, {"reason": "once more"}))
        equal([one["id"] for one in relay.held()], [row["id"]], "asked for twice")
        equal(sorted(row["recipients"]), sorted(everybody))
        (wish,) = waited(sink, APPROVER, "承認申請")
        contains(wish.text, "> ein Projekt")
        contains(wish.text, "個別に送信済み")
        contains(relay.cli("trace", old).stdout, row["id"])
        contains(relay.cli("trace", row["id"]).stdout, old)
        contains(relay.send(sent, everybody, as_it_is=True), f"queued as {old}")
        equal(len(relay.held()), 1, "the old mail's repetition changed the new one")
        equal(len(real(sink.taken)), 11, "nothing leaves before somebody agrees")

        sink.clear()
        relay.cli("held", "release", row["id"], "--as", "as-is")
        open_ones = lambda: [copy for copy in real(sink.taken) if len(copy.recipients) > 1]
        assert wait_until(open_ones, 60), "it did not leave"
        (copy,) = open_ones()
        equal(sorted(copy.recipients), sorted(everybody))
        alone = next(one for one in real(sink.taken) if len(one.recipients) == 1)
        opened, single, written = (email.message_from_bytes(one) for one in (copy.content, alone.content, sent))
        assert opened["Message-ID"] != single["Message-ID"], "hosts would drop it as a duplicate"
        equal([opened[name] for name in ("To", "Date", "Subject")], [written[name] for name in ("To", "Date", "Subject")])
        equal(opened.get_payload(decode=True), written.get_payload(decode=True))
        page = browser.follow(browser.post(link, {"reason": "and again"}))
        equal([one["state"] for one in relay.held(None)], ["released"])


class Receiver:
    """A hook's receiver, which refuses as often as requested."""

    def __init__(self, secret, refuse=0):
        self.secret, self.refuse, self.calls, self.wrong = secret.encode(), refuse, [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seconds, given = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", self.headers["Sekisho-Signature"]).groups()
                wanted = hmac.new(receiver.secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
                if not hmac.compare_digest(given, wanted) or abs(time.time() - int(seconds)) > 60:
                    receiver.wrong.append(body)
                refused = receiver.refuse > 0
                receiver.refuse -= refused
                receiver.calls.append((refused, self.headers["Sekisho-Delivery"], json.loads(body)))
                self.send_response(503 if refused else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hook(self, events='["held", "decided"]', allow='allow = ["127.0.0.1/32"]'):
        return f'[[webhook]]\nurl = "{self.url}"\nevents = {events}\nsecret_file = "hook-secret"\n{allow}\n'

    def taken(self):
        return [body for refused, _, body in self.calls if not refused]


SECRET = "sixteen characters at least"


def it_calls_hooks_until_they_take_it():
    receiver = Receiver(SECRET, refuse=1)
    with Sink() as sink, Relay(sink.address, RULES, extra=receiver.hook(), start=False) as relay:
        (relay.folder / "hook-secret").write_text(SECRET + "\n")
        relay.start()
        held = hold(relay, "[ask] geheim")
        wait_until(lambda: len(receiver.taken()) >= 1, 30)
        (told,) = receiver.taken()
        equal((told["event"], told["id"], told["state"], told["held_for"]), ("held", held, "held", "ask"))
        equal((told["sender"], told["recipients"]), (SENDER.address, 6))
        equal(len({delivery for _, delivery, _ in receiver.calls}), 1, "the same call twice")
        relay.cli("held", "release", held)
        wait_until(lambda: len(receiver.taken()) >= 2, 30)
        decided = receiver.taken()[1]
        equal((decided["event"], decided["state"], decided["released"]), ("decided", "released", "split"))
        equal(receiver.wrong, [])
        everything = json.dumps(receiver.calls)
        assert "geheim" not in everything and SIX[0] not in everything, "contents were told"
        # a call is counted once its answer is stored, which is after the receiver sent it
        wait_until(lambda: 'sekisho_webhook_calls_total{result="ok"} 2' in relay.http("/metrics")[1], 10)
        contains(relay.http("/metrics")[1], 'sekisho_webhook_calls_total{result="ok"} 2')


def it_tells_a_hook_of_what_happened_while_it_was_down():
    receiver = Receiver(SECRET)
    with Sink() as sink, Relay(sink.address, RULES, extra=receiver.hook('["decided"]'), start=False) as relay:
        (relay.folder / "hook-secret").write_text(SECRET + "\n")
        relay.start()
        held = hold(relay)
        relay.stop()
        relay.cli("held", "return", held)
        equal(receiver.calls, [])
        relay.start()
        wait_until(lambda: receiver.taken(), 30)
        equal([(told["event"], told["state"]) for told in receiver.taken()], [("decided", "returned")])


def it_never_calls_a_private_address_that_was_not_named():
    receiver = Receiver(SECRET)
    with Sink() as sink, Relay(sink.address, RULES, extra=receiver.hook(allow=""), start=False) as relay:
        (relay.folder / "hook-secret").write_text(SECRET + "\n")
        relay.start(wait=False)
        wait_until(lambda: relay.process.poll() is not None, 30)
        contains(relay.output(), "is in a private network")
        # behind a host name it is refused at each call
        relay.config.write_text(relay.config.read_text().replace("//127.0.0.1:" + str(receiver.server.server_port), f"//localhost:{receiver.server.server_port}"))
        relay.start()
        hold(relay)
        wait_until(lambda: "a call to a hook failed and will be repeated" in relay.output(), 30)
        contains(relay.output(), "private network")
        equal(receiver.calls, [])


def it_names_a_hook_secret_that_is_too_short():
    receiver = Receiver(SECRET)
    with Sink() as sink, Relay(sink.address, RULES, extra=receiver.hook(), start=False) as relay:
        (relay.folder / "hook-secret").write_text("short\n")
        relay.start(wait=False)
        wait_until(lambda: relay.process.poll() is not None, 30)
        contains(relay.output(), "hook-secret is too short")
