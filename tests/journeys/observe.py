"""Journeys of observe mode: every message passes, and every listing says what enforce mode would have done."""

import json
import urllib.request

from tests.journeys.sending import addresses, mail, settle
from tests.rig import visitor
from tests.rig.check import contains, equal
from tests.rig.desk import PASSWORD, TWELVE as STRANGERS, Desk, mail as desk_mail
from tests.rig.people import SENDER, strangers
from tests.rig.relay import Relay, id_of
from tests.rig.sink import Sink

TWELVE = strangers(12, 12)
SIX = strangers(6, 6)


def numbers(relay):
    """The metrics by name and labels."""
    lines = relay.http("/metrics")[1].splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def it_says_apart_what_would_have_been_done():
    with Sink() as sink, Relay(sink.address, mode="observe") as relay:
        answer = relay.send(mail("Autumn exhibition", TWELVE), addresses(TWELVE))
        contains(answer, "queued as")
        ours = id_of(answer)
        held = id_of(relay.send(mail("six of them", SIX), addresses(SIX)))
        relay.send(mail("to one alone", TWELVE[:1]), addresses(TWELVE[:1]))
        passed = settle(sink, 3)
        equal(len(passed), 3, "everything passes, as one copy each")

        report = relay.json("report")
        equal(report["accepted"], {"pass": 3}, "what was done")
        equal(report["exposures_prevented"], 0)
        equal(report["would"]["accepted"], {"split": 1, "hold": 1, "pass": 1}, "what would have been")
        equal(report["would"]["exposures_prevented"], 132 + 30)
        equal(report["would"]["senders"], {SENDER.address: {"messages": 2, "exposures_prevented": 162}})
        equal(sum(rule["messages"] for rule in report["would"]["rules"].values()) >= 2, True, "by rule")
        text = relay.cli("report").stdout
        for words in ("would be", "would be prevented   162", "WOULD: RULE", "WOULD: SENDER"):
            contains(text, words)

        (trace,) = relay.json("trace", ours)
        equal((trace["message"]["action"], trace["would"], trace["message"]["would"]), ("pass", "split", "split"))
        contains(relay.cli("trace", held).stdout, "pass; would have been held: 6 outside addresses")
        rows = relay.json("queue", "list", "--all")
        equal(sorted(row["would"] for row in rows), ["hold", "pass", "split"])
        contains(relay.cli("queue", "list", "--all").stdout, "WOULD")

        found = numbers(relay)
        equal(found['sekisho_accepted_total{action="pass"}'], 3)
        equal(found['sekisho_would_accepted_total{action="split"}'], 1)
        equal(found["sekisho_exposures_prevented_total"], 0)
        equal(found["sekisho_would_exposures_prevented_total"], 162)


def it_finds_a_message_by_words_of_its_subject():
    with Sink() as sink, Relay(sink.address) as relay:
        ours = id_of(relay.send(mail("秋の展示会のご案内 ＡＢＣ", TWELVE[:1]), addresses(TWELVE[:1])))
        relay.send(mail("something else", TWELVE[:1]), addresses(TWELVE[:1]))
        for words in ("展示会", "abc", "ご案内 ABC"):
            equal([trace["message"]["id"] for trace in relay.json("trace", words)], [ours], words)
        equal(relay.cli("trace", "nothing of the kind", ok=False).returncode, 1)


def it_explains_in_observe_mode_what_would_be():
    with Sink() as sink, Relay(sink.address, mode="observe") as relay:
        file = relay.folder / "twelve.eml"
        file.write_bytes(mail("twelve", TWELVE))
        explained = relay.json("explain", str(file))
        equal((explained["verdict"]["action"], explained["verdict"]["would"], explained["would"]), ("pass", "split", "split"))
        equal(len(explained["deliveries"]), 1)
        contains(relay.cli("explain", str(file)).stdout, "observe mode: passes; would have been split")


def it_counts_on_over_a_restart_and_says_the_same_in_the_api():
    with Sink() as sink, Relay(sink.address, mode="observe") as relay:
        relay.send(mail("twelve", TWELVE), addresses(TWELVE))
        settle(sink, 1)
        before = numbers(relay)
        relay.stop()
        relay.start()
        after = numbers(relay)
        for name in ('sekisho_accepted_total{action="pass"}', "sekisho_would_exposures_prevented_total",
                     'sekisho_deliveries_ended_total{state="delivered"}'):
            equal(after[name], before[name], name)
        token = relay.json("token", "add", "observer", "--scope", "report:read", "--scope", "message:read")["token"]

        def asked(path):
            request = urllib.request.Request(f"http://127.0.0.1:{relay.desk}/api/v1{path}")
            request.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)

        equal(asked("/report")["would"]["exposures_prevented"], 132)
        (item,) = asked("/messages?q=twelve")["items"]
        equal((item["action"], item["would"]), ("pass", "split"))


def it_says_how_long_what_is_kept():
    with Sink() as sink, Relay(sink.address) as relay:
        kept = "kept for 30 days, what is known of it (journal, audit, deliveries) for 400 days"
        contains(relay.output(), kept)
        contains(relay.cli("check").stdout, kept)


def it_says_so_on_the_pages_of_the_desk_in_both_languages():
    words = {
        "en": ("What would have been done", "addresses that would not have been seen (in all)", "would have been held",
               "Observed only"),
        "ja": ("運用モードだった場合の結果", "見えずに済んだはずのアドレス（延べ）", "運用モードなら保留", "観察モードの判定"),
    }
    with Desk(mode="observe") as desk:
        ours = id_of(desk.send(desk_mail(STRANGERS), STRANGERS))
        for language, (heading, prevented, held, observed) in words.items():
            browser = visitor.Browser(desk.page(), language)
            login = browser.open("/login")
            form = {"csrf": login.csrf, "user": "kanri", "password": PASSWORD}
            browser.follow(browser.post(login.action("/login"), form))
            report = browser.open("/report").body
            for text in (heading, prevented, held, "132", "strangers-see-each-other", SENDER.address):
                contains(report, text)
            trace = browser.open(f"/m/{ours}").body
            for text in (held, observed):
                contains(trace, text)
