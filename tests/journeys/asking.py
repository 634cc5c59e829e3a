"""Journeys of who is asked, when, and how: senders first, approvers by links in mails, deputies, chat rooms.

Working hours are configured around the moment of the test.
"""

import datetime
import json
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.journeys.notices import PEOPLE, SIX, TO_APPROVER, hold, letters, link_under, press, waited
from tests.journeys.sending import RULES, real
from tests.rig.check import contains, equal
from tests.rig.people import SENDER
from tests.rig.ports import free_port
from tests.rig.relay import Relay, binary, wait_until
from tests.rig.sink import Sink
from tests.rig.visitor import Browser

SOUMU, BUCHO = "soumu@example.co.jp", "bucho@example.co.jp"
BOTH = f'approvers = ["{SOUMU}", "{BUCHO}"]'
PASSWORD = "a long enough password 9"
CONTACT = 'contact = { en = "General Affairs, ext. 1234", ja = "総務部 内線1234" }'


def office(**more):
    """A relay with two approvers; each of them and the sender may sign in."""
    sink = Sink(free_port())
    first = more.pop("sender_first", "0s")
    relay = Relay(sink.address, RULES, policy_extra=f'{BOTH}\nsender_first = "{first}"' + more.pop("policy", ""), start=False,
                  desk_extra='people = "people.toml"\n' + more.pop("desk", CONTACT), **more)
    for name, address in (("soumu", SOUMU), ("bucho", BUCHO), ("hanako", SENDER.address)):
        subprocess.run([binary(), "user", "add", name, "--address", address, "--password-stdin", "--config", relay.config],
                       input=PASSWORD + "\n", text=True, check=True, capture_output=True)
    return sink, relay


def sign_in(relay, name, language="en"):
    browser = Browser(f"http://127.0.0.1:{relay.desk}", language)
    equal(browser.password(name, PASSWORD).status, 303)
    return browser


def it_asks_the_sender_first():
    """Nobody else is told about what the sender can decide alone, until the sender does not answer in time."""
    sink, relay = office(sender_first="6s")
    with sink, relay:
        relay.start()
        hold(relay, "[ask] eins")
        held = hold(relay, "[hold] zwei")
        # For a rule's hold the approvers are asked at once.
        waited(sink, SOUMU, "zwei")
        (letter,) = waited(sink, SENDER.address, "eins")
        press(link_under(letter, "個別に送信する"))
        silent = hold(relay, "[ask] drei")
        (letter,) = waited(sink, SENDER.address, "drei")
        equal(letters(sink, SOUMU, "drei"), [])
        (asked,) = waited(sink, SOUMU, "drei", seconds=20)
        contains(asked.text, "総務部 内線1234")
        equal(letters(sink, SOUMU, "eins"), [], "they had answered")
        equal({row["id"] for row in relay.held()}, {held, silent})


def it_counts_that_time_in_working_hours():
    """Outside working hours the sender's time does not pass; a request to the approvers is sent nevertheless."""
    closed = f'[notices]\nhours = "{(datetime.date.today() + datetime.timedelta(days=2)):%a} 09:00-10:00"'
    sink, relay = office(sender_first="1s", extra=closed)
    with sink, relay:
        relay.start()
        hold(relay, "[ask] nachts")
        (letter,) = waited(sink, SENDER.address, "nachts")
        time.sleep(6)
        equal(letters(sink, SOUMU), [])
        press(link_under(letter, "元のまま送る承認を申請する"), reason="eine Gruppe")
        (wish,) = waited(sink, SOUMU, "承認申請")
        contains(wish.text, "> eine Gruppe")
        time.sleep(6)
        equal(len(letters(sink, SOUMU)), 1, "asked once")


def it_warns_in_the_digest_where_that_is_in_time():
    digest = f'[[approver]]\naddress = "{SOUMU}"\ndigest = "3s"\n[[approver]]\naddress = "{BUCHO}"\ndigest = "1h"'
    sink, relay = office(sender_first="1h", policy='\nexpiry = "20s"', extra=digest)
    with sink, relay:
        relay.start()
        hold(relay, "[ask] eins")
        hold(relay, "[ask] zwei")
        (own,) = waited(sink, SOUMU, seconds=30)
        contains(own.subject, "2")
        contains(own.text, "まもなく期限を過ぎ")
        # A digest within the hour would come too late.
        equal(len(waited(sink, BUCHO, "期限間近", 2)), 2)


def it_shows_a_request_on_top_and_lists_it():
    sink, relay = office()
    with sink, relay:
        relay.start()
        held, other = hold(relay, "[ask] eins"), hold(relay, "[ask] zwei")
        hanako = sign_in(relay, "hanako")
        page = hanako.open(f"/held/{held}")
        contains(page.body, f"/held/{held}/ask")
        contains(page.body, "General Affairs, ext. 1234")
        form = hanako.open(f"/held/{held}/ask")
        equal(hanako.send(form, f"/held/{held}/ask", reason=" ").status, 422)
        page = hanako.follow(hanako.send(form, f"/held/{held}/ask", reason="They know <b>each</b> other"))
        contains(page.body, "They know &#60;b&#62;each&#60;/b&#62; other")
        soumu = sign_in(relay, "soumu", "ja")
        page = soumu.open(f"/held/{held}")
        top = page.body.index("<blockquote")
        assert page.body.index("<h1>") < top < page.body.index('class="card'), "it stands on top"
        for words in ("申請あり", "承認して元のまま送る", "理由を付けて差し戻す", "総務部 内線1234"):
            contains(page.body, words)
        rows = soumu.open("/?asked=yes").body
        assert held in rows and other not in rows
        contains(soumu.open("/").body, other)
        equal(soumu.open(f"/held/{other}/ask").status, 403, "it is not theirs")
        # Declined, with one of the usual reasons.
        form = soumu.open(f"/held/{held}/return")
        soumu.send(form, f"/held/{held}/return", canned="recipients", reason="")
        (back,) = waited(sink, SENDER.address, "差し戻し")
        contains(back.text, "宛先に誤りがないか確認して")
        # The other approver, who was told, learns of the decision; the one who decided is not told.
        (done,) = waited(sink, BUCHO, "対応済み")
        contains(done.text, "soumu が差出人に差し戻しました")
        contains(done.text, "総務部 内線1234")
        equal(letters(sink, SOUMU, "対応済み"), [])


def own_links(letter):
    """The links in an approver's mail that decide, by their labels."""
    return link_under(letter, "個別に送信する"), link_under(letter, "差し戻す")


def it_lets_approvers_decide_out_of_their_mail():
    sink, relay = office()
    with sink, relay:
        relay.start()
        held = hold(relay, "[ask] eins")
        (mine,), (theirs,) = waited(sink, SOUMU), waited(sink, BUCHO)
        split, back = own_links(mine)
        equal(len({split, back, *own_links(theirs)}), 4, "each has their own")
        for language in ("en", "ja"):
            page = Browser(language=language).open(split)
            equal(page.status, 200)
            contains(page.body, "mail-text")
            for address in SIX:
                contains(page.body, address)
            assert "as-is" not in page.body
        equal(relay.held()[0]["id"], held, "a look decides nothing")
        nobody = Browser()
        equal(nobody.post(back, {}).status, 422, "a button without a reason")
        forged = split[:-4] + ("AAAA" if split[-4:] != "AAAA" else "BBBB")
        equal(nobody.post(forged, {"reason": "x"}).status, 404)
        equal(len(relay.held()), 1)
        page = nobody.follow(nobody.post(split, {}))
        contains(page.body, SOUMU)
        wait_until(lambda: len(real(sink.taken)) == 6, 20)
        equal([len(copy.recipients) for copy in real(sink.taken)], [1] * 6)
        (done,) = waited(sink, BUCHO, "対応済み")
        contains(done.text, f"{SOUMU} が個別に送信しました")
        # The other links are no longer valid, and show the decision.
        for late in own_links(theirs):
            contains(nobody.follow(nobody.post(late, {"reason": "late"})).body, SOUMU)
        equal(relay.held("returned"), [])

        hold(relay, "[hold] zwei")
        (mine,) = waited(sink, SOUMU, "zwei")
        nobody.post(own_links(mine)[1], {"canned": "list"})
        (returned,) = waited(sink, SENDER.address, "差し戻し")
        contains(returned.text, "名簿など")  # in the language of who reads it, whatever the page spoke that it was chosen on


def it_refuses_the_link_of_who_decides_no_more():
    sink, relay = office()
    with sink, relay:
        relay.start()
        hold(relay, "[ask] eins")
        (mine,) = waited(sink, SOUMU)
        split, _ = own_links(mine)
        text = relay.config.read_text()
        relay.config.write_text(text.replace(f'"{SOUMU}", ', ""))
        relay.process.send_signal(signal.SIGHUP)
        browser = Browser()
        wait_until(lambda: browser.open(split).status == 403, 20)
        page = browser.post(split, {})
        equal(page.status, 403)
        contains(page.body, "You do not decide on this mail")
        relay.config.write_text(text.replace('people = "people.toml"', 'people = "people.toml"\nmail_decisions = false'))
        relay.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "Mails do not decide here any more" in browser.post(split, {}).body, 20)
        contains(browser.post(split, {}).body, "Mails do not decide here any more")
        equal(len(relay.held()), 1)
        hold(relay, "[ask] zwei")
        (plain,) = waited(sink, SOUMU, "zwei")
        assert not any("/l/" in link for link in plain.page.links)


def it_sends_mails_to_the_deputy_whom_an_approver_names():
    sink, relay = office()
    with sink, relay:
        relay.start()
        hold(relay, "[ask] vorher")
        (mine,) = waited(sink, SOUMU)
        split, _ = own_links(mine)
        soumu = sign_in(relay, "soumu")
        page = soumu.open("/account")
        contains(page.body, f'<option value="{BUCHO}">')
        until = (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=3)).isoformat()
        for wrong in ({"until": "2000-01-01", "deputy": BUCHO}, {"until": until, "deputy": "x@example.co.jp"}):
            equal(soumu.send(page, "/account/away", address=SOUMU, **wrong).status, 422)
        equal(soumu.send(page, "/account/away", address=BUCHO, until=until, deputy=SOUMU).status, 403, "another's")
        page = soumu.follow(soumu.send(page, "/account/away", address=SOUMU, until=until, deputy=BUCHO))
        contains(page.body, until)
        listed = json.loads(relay.cli("user", "absences", "--json").stdout)
        equal([(one["approver"], one["deputy"], one["until"]) for one in listed], [(SOUMU, BUCHO, until)])
        refused = Browser().post(split, {})
        equal(refused.status, 403)
        contains(refused.body, BUCHO)
        waited(sink, BUCHO, "vorher")
        hold(relay, "[ask] nachher")
        waited(sink, BUCHO, "nachher")
        equal(letters(sink, SOUMU, "nachher"), [])
        soumu.send(page, "/account/back", address=SOUMU)
        hold(relay, "[ask] wieder")
        waited(sink, SOUMU, "wieder")
        relay.cli("user", "away", SOUMU, "--until", until, "--deputy", BUCHO)
        hold(relay, "[ask] verwaltet")
        waited(sink, BUCHO, "verwaltet")
        equal(letters(sink, SOUMU, "verwaltet"), [])
        contains(relay.cli("user", "away", SOUMU, "--until", until, "--deputy", "x@example.co.jp", ok=False).stderr, "cannot stand in")
        contains(relay.cli("user", "back", SOUMU).stdout, "back")


class Room:
    """A chat room's webhook."""

    def __init__(self):
        self.taken, self.headers = [], []
        room = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                room.headers.append(dict(self.headers))
                room.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/geheim"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hook(self, format, language):
        return (f'[[webhook]]\nurl = "{self.url}"\nevents = ["held", "decided"]\nformat = "{format}"\n'
                f'language = "{language}"\nallow = ["127.0.0.1/32"]\n')


def it_tells_chat_rooms_and_follows_up():
    teams, slack = Room(), Room()
    evil = "[ask] <!channel> @here <https://evil.example|x> [y](https://evil.example) <at>Z</at>"
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER,
                               extra=teams.hook("teams", "ja") + slack.hook("slack", "en")) as relay:
        held = hold(relay, evil)
        assert wait_until(lambda: teams.taken and slack.taken, 30)
        page = f"http://127.0.0.1:{relay.desk}/held/{held}"
        card = teams.taken[0]["attachments"][0]["content"]
        equal([action["url"] for action in card["actions"]], [page])
        said = json.dumps(card, ensure_ascii=False)
        for words in ("メールが保留され", "宛先6名", SIX[0], "件名に「", "期限"):
            contains(said, words)
        said = json.dumps(slack.taken[0], ensure_ascii=False)
        contains(said, page)
        contains(said, "6 recipients")
        assert "<!channel>" not in said and "@here" not in said and "://evil" not in said, said
        relay.cli("held", "release", held)
        assert wait_until(lambda: len(teams.taken) > 1 and len(slack.taken) > 1, 30)
        contains(json.dumps(teams.taken[1], ensure_ascii=False), "個別に送信しました")
        contains(json.dumps(slack.taken[1]), "sent it individually")
        assert not any("Sekisho-Signature" in one for one in teams.headers + slack.headers)
        assert "geheim" not in relay.output(), "the URL is a secret"
