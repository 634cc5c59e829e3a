"""Journeys of what outlasts a mail: circles, the journal and its chain, taking back, notices of decisions, expiring
links and sessions.
"""

import csv
import io
import json
import re
import signal
import sqlite3
import time
from datetime import datetime

from tests.journeys.deciding import hold as hold_six
from tests.journeys.notices import APPROVER, PEOPLE, SIX, TO_APPROVER, hold, letters, link_under, press, waited
from tests.journeys.people import SOUMU, Desk
from tests.journeys.sending import RULES, addresses, mail, real, settle
from tests.rig.check import contains, equal
from tests.rig.people import SENDER, strangers
from tests.rig.relay import Relay, wait_until
from tests.rig.sink import Sink
from tests.rig.visitor import Browser


def change(relay, statement):
    """Changes the database directly."""
    with sqlite3.connect(relay.folder / "sekisho.db") as database:
        changed = database.execute(statement).rowcount
    database.close()
    assert changed > 0, f"nothing was changed by {statement}"


def it_honours_a_circle_until_it_ends():
    with Sink() as sink, Relay(sink.address) as relay:
        contains(relay.send(mail("before", PEOPLE), SIX), "held as")
        made = relay.cli("circle", "make", "Six friends", *SIX, "--for", "1d")
        contains(made.stdout, "made")
        (circle,) = relay.json("circle", "list")
        equal((circle["name"], len(circle["members"])), ("Six friends", 6))
        contains(relay.send(mail("within", PEOPLE), SIX), "queued as")
        (copy,) = settle(sink, 1)
        equal(sorted(copy.recipients), sorted(SIX))
        more = [*PEOPLE, *strangers(7, 99)[6:]]
        contains(relay.send(mail("one more", more), addresses(more)), "held as")
        relay.cli("circle", "end", circle["id"])
        contains(relay.send(mail("after", PEOPLE), SIX), "held as")
        equal([one["id"] for one in relay.json("circle", "list")], [])
        equal(len(relay.json("circle", "list", "--all")), 1)
        equal(len(real(sink.taken)), 1)


def it_lets_a_circle_end_with_its_time():
    with Sink() as sink, Relay(sink.address) as relay:
        relay.cli("circle", "make", "short", *SIX, "--for", "2s")
        contains(relay.send(mail("within", PEOPLE), SIX), "queued as")
        over = wait_until(lambda: "held as" in relay.send(mail("its time is over", PEOPLE), SIX), 10, 0.2)
        assert over, "the circle outlived its time"


def it_finds_what_was_changed_in_the_journal():
    with Sink() as sink, Relay(sink.address) as relay:
        first, second = hold_six(relay, "[ask] eins"), hold_six(relay, "[ask] zwei")
        relay.cli("held", "return", first, "--reason", "zu viele")
        relay.cli("held", "release", second)
        settle(sink, 6)
        contains(relay.cli("audit", "verify").stdout, "entries are as they were written")
        relay.stop()
        contains(relay.cli("audit", "verify").stdout, "entries are as they were written")
        change(relay, "UPDATE journal SET event = replace(event, 'zu viele', 'alles gut') WHERE event LIKE '%zu viele%'")
        for running in (False, True):
            if running:
                relay.start()
            found = relay.cli("audit", "verify", ok=False)
            equal(found.returncode, 1, "verify")
            contains(found.stderr, "the journal was changed, first at entry")
            contains(found.stderr, first)


def it_names_what_was_taken_out_of_the_chain():
    for statement, named in (
        ("DELETE FROM journal WHERE event LIKE '%\"returned\"%'", "is gone, and no purge removed it"),
        ("DELETE FROM chain WHERE seq = 2", "first at entry 2: it was taken out of the chain"),
        ("UPDATE messages SET people = replace(people, 'example', 'elsewhere')", "the acceptance of"),
    ):
        with Sink() as sink, Relay(sink.address) as relay:
            relay.cli("held", "return", hold_six(relay, "[ask] eins"))
            contains(relay.cli("audit", "verify").stdout, "as they were written")
            relay.stop()
            change(relay, statement)
            found = relay.cli("audit", "verify", ok=False)
            equal(found.returncode, 1, statement)
            contains(found.stderr, named)


FOREIGN = """INSERT INTO journal (row, at, event) SELECT (max(row) << 24) + 9, 1, '{"event":"released","by":"boss","how":"as-is","dropped":[]}' FROM messages"""


def it_records_foreign_rows_by_name_and_serves_again():
    with Sink() as sink, Relay(sink.address) as relay:
        hold_six(relay, "[ask] eins")
        change(relay, FOREIGN)
        change(relay, "INSERT INTO chain (entry, digest) VALUES (99 << 24, zeroblob(32))")
        equal(str(refused(relay))[:3], "451", "what a client is told")
        contains(relay.output(), "somebody else wrote to the database")
        found = relay.cli("audit", "accept-foreign", "--why", "a test", ok=False)
        contains(found.stderr, "another relay works on the database")
        relay.stop()
        equal(relay.cli("audit", "accept-foreign", "--why", " ", ok=False).returncode, 2)
        equal(relay.cli("audit", "verify", ok=False).returncode, 1)
        told = relay.cli("audit", "accept-foreign", "--why", "restored by hand").stdout
        contains(told, "2 entries are not as this relay wrote them")
        contains(relay.cli("audit", "accept-foreign", "--why", "again").stdout, "nothing to record")
        relay.start()
        hold_six(relay, "[ask] zwei")
        verified = relay.cli("audit", "verify").stdout
        contains(verified, "restored by hand")
        contains(verified, "are as they were written")
        equal(relay.json("audit", "verify")["accepted"][0]["entries"], 2)


def refused(relay):
    """The reply to a message that is not accepted."""
    try:
        return relay.send(mail("x", strangers(1, 1)), addresses(strangers(1, 1)))
    except Exception as error:  # where MAIL or DATA is refused
        return f"{getattr(error, 'smtp_code', '')} {error}".removeprefix("(").strip()


def it_mails_the_head_of_the_journal():
    with Sink() as sink, Relay(sink.address, start=False) as relay:
        relay.config.write_text(relay.config.read_text().replace("[store]\n", '[store]\njournal_head_to = "kansa@audit.example"\n'))
        relay.start()
        hold_six(relay, "[ask] eins")
        relay.stop()
        relay.start()

        def mails():
            return [t for t in sink.taken if t.recipients == ["kansa@audit.example"]]

        assert wait_until(mails, 10), "no head was mailed"
        text = mails()[0].content.decode()
        head = re.search(r"audit verify --head (\d+:[0-9a-f]{64})", text)[1]
        contains(relay.cli("audit", "verify", "--head", head).stdout, "as they were written")
        relay.stop()
        relay.start()
        time.sleep(1)
        equal(len(mails()), 1, "one within the hour, however often it is started")


def it_exports_the_journal():
    with Sink() as sink, Relay(sink.address) as relay:
        held = hold_six(relay, '[ask] "=1+1", eins')
        relay.cli("held", "return", held, "--reason", '=HYPERLINK("http://evil.example")')
        relay.stop()  # both exports have the same entries, although a running relay keeps writing
        lines = relay.cli("audit", "export", "--format", "json").stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        of_held = [entry for entry in entries if entry["message"] == held]
        assert len(of_held) > 1, of_held
        equal([entry["event"] for entry in of_held if entry["event"] in ("accepted", "returned")], ["accepted", "returned"])
        rows = list(csv.reader(io.StringIO(relay.cli("audit", "export", "--format", "csv").stdout, newline="")))
        equal(rows[0], ["time", "message", "event", "detail"])
        equal({len(row) for row in rows}, {4})
        equal(len(rows) - 1, len(entries))
        returned = next(row for row in rows if row[2] == "returned" and row[1] == held)
        equal(json.loads(returned[3])["reason"], '=HYPERLINK("http://evil.example")')
        assert not any(field[:1] in ("=", "+", "-", "@") for row in rows for field in row), "a spreadsheet calculates"


def it_takes_delayed_mail_back_and_undoes_that():
    rules = RULES.replace("delay 3s", "delay 5s")
    with Sink() as sink, Relay(sink.address, rules, policy_extra=TO_APPROVER) as relay:
        relay.send(mail("[delay] eins", PEOPLE), SIX)
        (waits,) = waited(sink, SENDER.address, "送信待ち", seconds=4)
        press(link_under(waits, "送信を取り消す"))
        (taken,) = waited(sink, SENDER.address, "取り消し")
        time.sleep(5.5)
        equal(real(sink.taken), [], "it left all the same")
        press(link_under(taken, "取り消しを元に戻す"))
        (copy,) = settle(sink, 1)
        equal(sorted(copy.recipients), sorted(SIX))
        # Ended circles stay ended.
        equal(len(settle(sink, 1)), 1)


def it_undoes_nothing_when_its_time_is_over():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        held = hold(relay, "[ask] eins")
        (letter,) = waited(sink, SENDER.address)
        press(link_under(letter, "送信を取り消す"))
        (taken,) = waited(sink, SENDER.address, "取り消し")
        relay.stop()
        change(relay, "UPDATE held SET undo_until = 1")
        relay.start()
        browser = Browser()
        link = link_under(taken, "取り消しを元に戻す")
        assert browser.post(link, {}).status in (200, 303, 409), "no clear page"
        equal([row["state"] for row in relay.held(None) if row["id"] == held], ["returned"])


def it_tells_the_sender_who_released_it_and_how():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        for subject, way, said in (
            ("[ask] eins です", (), "互いのアドレスは見えません"),
            ("[ask] zwei です", ("--as", "as-is"), "宛先には互いのアドレスが見えます"),
            ("[ask] drei です", ("--as", "bcc", "--drop", SIX[0]), SIX[0]),
        ):
            relay.cli("held", "release", hold(relay, subject), *way)
            found = wait_until(lambda: [x for x in letters(sink, SENDER.address, "送信承認") if subject[6:10] in x.subject], 30, 0.2)
            equal(len(found), 1, subject)
            contains(found[0].text, said)
        # Senders who release their own mail are not notified.
        hold(relay, "[ask] selbst")
        letter = next(x for x in wait_until(lambda: [x for x in letters(sink, SENDER.address, "保留") if "selbst" in x.subject], 30, 0.2))
        press(link_under(letter, "個別に送信する"))
        wait_until(lambda: len(real(sink.taken)) == 6 + 1 + 5 + 6, 20)
        time.sleep(1)
        equal(len(letters(sink, SENDER.address, "送信承認")), 3)


def it_gives_the_mail_back_with_the_notice():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER + '\nexpiry = "8s"') as relay:
        hold(relay, "[ask] abgelaufen", text="本文です。\n")
        relay.cli("held", "return", hold(relay, "[ask] zurück", text="本文です。\n"), "--reason", "宛先を確認してください")
        for word, status, said in (("差し戻し", "5.7.1", "宛先を確認してください"), ("未送信", "5.4.7", "期限")):
            (letter,) = waited(sink, SENDER.address, word, seconds=60)
            contains(letter.text, said)
            equal(letter.mail.get_content_type(), "multipart/report")
            parts = list(letter.mail.iter_parts())
            equal([part.get_content_type() for part in parts],
                  ["multipart/alternative", "message/delivery-status", "message/rfc822"])
            blocks = [dict(block.items()) for block in parts[1].get_payload()]
            equal(sorted(block["Final-Recipient"].split("; ")[1] for block in blocks[1:]), sorted(SIX))
            equal({(block["Action"], block["Status"]) for block in blocks[1:]}, {("failed", status)})
            original = parts[2].get_payload(0)
            contains(original.get_body(("plain",)).get_content(), "本文です")
            assert all(address in str(original["To"]) for address in SIX)
        equal(real(sink.taken), [])


def it_tells_of_a_mail_in_several_transactions_once():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        message = mail("[ask] geteilt", PEOPLE)
        for recipient in SIX:
            contains(relay.send(message, [recipient], as_it_is=True), "held as")
        (row,) = relay.held()
        contains(relay.cli("held", "list").stdout, "geteilt")
        equal(relay.cli("held", "list").stdout.count("geteilt"), 1, "lines of one mail")
        relay.cli("held", "return", row["id"])
        (letter,) = waited(sink, SENDER.address, "差し戻し")
        status = next(part for part in letter.mail.iter_parts() if part.get_content_type() == "message/delivery-status")
        equal(len(status.get_payload()) - 1, 6, "recipients of all transactions")
        time.sleep(1)
        equal(len(letters(sink, SENDER.address, "差し戻し")), 1)


def it_says_so_when_a_link_is_over_and_does_nothing():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER + '\nexpiry = "6s"') as relay:
        hold(relay, "[ask] eins")
        (letter,) = waited(sink, SENDER.address, "保留", seconds=5)
        split, back = link_under(letter, "個別に送信する"), link_under(letter, "送信を取り消す")
        token = split.rsplit("/", 1)[1]
        browser = Browser()
        other = "A" if token[-2] != "A" else "B"
        for forged in (token[:-2] + other + token[-1], token[:-1], "A" * len(token), "x", token + token, "%00" * 9):
            for method in ("GET", "POST"):
                page = browser.open(split.replace(token, forged), method, form={} if method == "POST" else None)
                equal(page.status, 404, (method, forged))
                contains(page.body, "<h1")
        equal(browser.open(split).status, 200)
        equal(len(relay.held()), 1, "a look changed something")
        assert wait_until(lambda: relay.held("expired"), 60, 0.3), "it did not expire"
        for link in (split, back):
            page = browser.follow(browser.post(link, {}))
            equal(page.status, 200)
            contains(page.body, "nobody decided in time")
            equal(page.body.count("<button"), browser.open(link).body.count("<button"))
        equal(len(relay.held("expired")), 1)
        equal(real(sink.taken), [])


def it_does_nothing_twice_by_a_link():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        hold(relay, "[ask] eins")
        (letter,) = waited(sink, SENDER.address)
        split, back = link_under(letter, "個別に送信する"), link_under(letter, "送信を取り消す")
        browser = Browser()
        for link in (split, split, back, split):
            page = browser.follow(browser.post(link, {}))
            equal(page.status, 200, link)
        settle(sink, 6)
        time.sleep(0.5)
        equal(len(real(sink.taken)), 6)
        equal([row["state"] for row in relay.held(None)], ["released"])


def it_signs_out_whose_session_is_over():
    with Sink() as sink, Desk(sink.address, [SOUMU], desk='session = "1h"\nidle = "10m"') as desk:
        for column in ("expires", "seen"):
            soumu = desk.signed("soumu")
            equal(soumu.open("/").status, 200)
            held = hold_six(desk, f"[ask] {column}")
            page = soumu.open(f"/held/{held}")
            equal(page.status, 200)
            desk.stop()
            change(desk, f"UPDATE sessions SET {column} = 1")
            desk.start()
            answer = soumu.send(page, f"/held/{held}/release", how="split")
            assert answer.status in (303, 401, 403), answer.status
            equal(soumu.open("/").status, 303, "signed in all the same")
            equal([row["state"] for row in desk.held(None) if row["id"] == held], ["held"])
        stranger = desk.browser()
        for name in ("sekisho-session", "__Host-session", "session"):
            stranger.cookies[f"127.0.0.1:{desk.desk}"] = {name: "A" * 43}
            equal(stranger.open("/").status, 303, "a forged session")


def it_takes_up_approvers_and_expiry_at_a_reload_and_names_the_rest():
    with Sink() as sink, Relay(sink.address, RULES, policy_extra=TO_APPROVER) as relay:
        text = relay.config.read_text()
        text = text.replace(TO_APPROVER, 'approvers = ["other@example.co.jp"]\nexpiry = "1h"')
        text = text.replace('url = "sqlite:sekisho.db"', 'url = "sqlite:sekisho.db"\nkeep = { messages = "60d" }')
        relay.config.write_text(text)
        relay.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "reloaded" in relay.output(), 20), relay.output()
        contains(relay.output(), "[store] keep or [knowledge] keep changed too")
        held = hold(relay, "[ask] danach")
        waited(sink, "other@example.co.jp")
        equal(letters(sink, APPROVER), [])
        row = next(row for row in relay.held() if row["id"] == held)
        received, expires = (datetime.fromisoformat(row[name].replace("Z", "+00:00")) for name in ("received", "expires"))
        equal(round((expires - received).total_seconds()), 3600, row)
