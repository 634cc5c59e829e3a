"""Journeys of the process: failing to start, reloading, stopping, recovering; `try`, `check`, `explain`, `replay`."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.journeys.sending import CORPUS, RULES, addresses, mail, real, settle
from tests.rig import decode
from tests.rig.check import contains, equal
from tests.rig.people import strangers
from tests.rig.ports import free_port
from tests.rig.relay import TOP, Relay, binary, wait_until
from tests.rig.sink import Sink

TWO = strangers(2, 3)


def refused(relay, status, *words):
    """`serve` ends by itself with this status and one clear sentence that contains these words."""
    relay.start(wait=False)
    relay.process.wait(15)
    equal(relay.process.returncode, status, relay.output())
    for word in words:
        contains(relay.output(), word)
    assert "panicked" not in relay.output(), relay.output()


def edit(relay, before, after):
    """Changes the configuration."""
    text = relay.config.read_text()
    contains(text, before)
    relay.config.write_text(text.replace(before, after))


def it_says_which_port_is_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken, Relay("127.0.0.1:9", start=False) as relay:
        port = taken.getsockname()[1]
        edit(relay, f"127.0.0.1:{relay.port}", f"127.0.0.1:{port}")
        refused(relay, 1, f"127.0.0.1:{port}", "another program listens there")


def it_refuses_a_store_it_cannot_write():
    with Relay("127.0.0.1:9", start=False) as relay:
        edit(relay, "sqlite:sekisho.db", "sqlite:/proc/nowhere/sekisho.db")
        refused(relay, 1, "/proc/nowhere")


def it_refuses_a_policy_that_is_not_there():
    with Relay("127.0.0.1:9", start=False) as relay:
        edit(relay, "default.toml", "defualt.toml")
        refused(relay, 2, "defualt.toml")


def it_names_line_column_and_a_near_name_for_a_wrong_key():
    with Relay("127.0.0.1:9", start=False) as relay:
        edit(relay, "[upstream]\naddress", "[upstream]\nadress")
        refused(relay, 2, "sekisho.toml", "adress", "address")
        assert re.search(r"sekisho\.toml:\d+:\d+", relay.output()), relay.output()


def it_names_line_and_column_for_a_wrong_rule():
    with Relay("127.0.0.1:9", '[[rule]]\nname = "x"\nwhen = { external_adresses = { at_least = 5 } }\ndemand = "ask"\n', start=False) as relay:
        refused(relay, 2, "external_adresses", "external_addresses")
        assert re.search(r"policy\.toml:3:\d+", relay.output()), relay.output()


def it_refuses_a_corrupt_database_and_says_what_to_run():
    with Sink() as sink, Relay(sink.address) as relay:
        for n in range(20):
            relay.send(mail("x", TWO, seed=n), addresses(TWO))
        relay.stop()
        with open(relay.folder / "sekisho.db", "r+b") as database:
            database.seek(0)
            database.write(os.urandom(65536))
        for extra in relay.folder.glob("sekisho.db-*"):
            extra.unlink()
        refused(relay, 1, "database")


def it_does_not_serve_twice_from_one_store():
    with Sink() as sink, Relay(sink.address) as relay:
        second = subprocess.run([binary(), "serve", "--config", str(relay.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        assert second.returncode != 0, "two relays on one store"
        contains(relay.send(mail("x", TWO), addresses(TWO)), "queued as")


def it_takes_a_new_policy_on_sighup_and_keeps_the_old_one_when_it_is_wrong():
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        policy = relay.folder / "policy.toml"
        policy.write_text(RULES + '[[rule]]\nname = "all"\nwhen = { recipients = { at_least = 1 } }\ndemand = "hold"\n')
        contains(relay.send(mail("x", TWO), addresses(TWO)), "queued as")
        relay.process.send_signal(signal.SIGHUP)
        held = wait_until(lambda: "held as" in relay.send(mail("y", TWO), addresses(TWO)), 5, 0.2)
        assert held, "the new policy is not in force"
        policy.write_text("[[rule]\nbroken")
        relay.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "not reloaded" in relay.output(), 10), relay.output()
        contains(relay.send(mail("z", TWO), addresses(TWO)), "held as")
        equal(relay.process.poll(), None, "the relay ended")


def it_drains_on_sigterm_and_keeps_what_it_took():
    with Sink() as sink, Relay(sink.address) as relay:
        client = relay.client()
        client.mail("hanako.sato@example.co.jp")
        client.rcpt(TWO[0].address)
        code, _ = client.docmd("DATA")
        equal(code, 354)
        relay.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        client.send(mail("x", TWO[:1]) + b"\r\n.\r\n")
        code, text = client.getreply()
        equal(code, 250, text)
        equal(relay.process.wait(40), 0, relay.output())
        if not real(sink.taken):
            relay.start()
        equal(len(settle(sink, 1)), 1)


def it_loses_nothing_over_twenty_restarts_under_load():
    with Sink() as sink, Relay(sink.address) as relay:
        sent = set()
        for n in range(20):
            for m in range(5):
                address = f"n{n}.{m}@example.jp"
                contains(relay.send(mail("x", strangers(1, n), seed=f"{n}.{m}"), [address]), "queued as")
                sent.add(address)
            equal(relay.stop(), 0)
            relay.start()
        wait_until(lambda: set(sink.recipients()) >= sent, 30)
        equal(sorted(sink.recipients()), sorted(sent))


def it_answers_each_command_without_a_configuration_or_a_relay():
    with tempfile.TemporaryDirectory() as folder:
        for words in (["version"], ["--help"], ["serve", "--help"], ["completions", "bash"]):
            done = subprocess.run([binary(), *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=10)
            equal(done.returncode, 0, f"{words}: {done.stderr}")
        done = subprocess.run([binary(), "held", "list"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=10)
        equal(done.returncode, 2, done.stderr)
        contains(done.stderr, "sekisho.toml")
        done = subprocess.run([binary(), "hold", "list"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=10)
        equal(done.returncode, 2, done.stderr)


def it_explains_what_the_relay_then_does(note):
    """The verdict of `explain` for each corpus message equals the relay's reply."""
    with Sink() as sink, Relay(sink.address) as relay:
        seen = 0
        for path in sorted(CORPUS.glob("*.eml")):
            message = path.read_bytes()
            people = ["extra@example.jp"] if path.stem in ("list-post",) else sorted(
                a for a in decode.addresses("\n".join(v for n in ("To", "Cc") for v in decode.header(message, n)).encode()) if not a.endswith("@example.co.jp"))
            if not people or len(people) > 100:
                continue
            arguments = [x for p in people for x in ("--to", p)]
            said = json.loads(relay.cli("explain", path, "--from", "hanako.sato@example.co.jp", *arguments, "--json").stdout)
            answer = relay.send(message, people)
            action = said["verdict"]["action"]
            did = "hold" if " held as " in answer else "reject" if answer.startswith("550") else "pass"
            equal(did, action if action in ("hold", "reject") else "pass", f"{path.name}: explain says {action}, the answer was {answer}")
            for key in ("disclosure", "timing"):
                assert key in said["verdict"], key
            assert isinstance(said["facts"]["external_addresses"], list)
            assert isinstance(said["facts"]["external_organisations"], int)
            assert all({"name", "matched", "why"} <= set(rule) for rule in said["rules"])
            seen += 1
        note(f"{seen} messages")


def it_writes_out_every_copy_it_explains():
    with Relay("127.0.0.1:9", start=False) as relay:
        out = relay.folder / "copies"
        relay.cli("explain", TOP / "examples" / "twelve-in-cc.eml", "--copies", out)
        copies = [p for p in Path(out).rglob("*") if p.is_file()]
        equal(len(copies), 13)
        outsiders = set(addresses(strangers(12, 4)))
        for copy in copies:
            assert len(decode.addresses(copy.read_bytes()) & outsiders) <= 1, copy


def it_replays_a_folder_and_counts_the_exposures():
    with Relay("127.0.0.1:9", start=False) as relay:
        done = relay.cli("replay", TOP / "examples" / "twelve-in-cc.eml", seconds=60)
        contains(done.stdout, "132")


def it_checks_a_good_configuration_and_its_upstream():
    with Sink() as sink, Relay(sink.address, start=False) as relay:
        relay.cli("check")
        relay.cli("check", "--connect")
        edit(relay, sink.address, "127.0.0.1:9")
        equal(relay.cli("check", "--connect", ok=False).returncode, 1)


def it_runs_the_cases_of_the_shipped_policies():
    done = subprocess.run([binary(), "policy", "test", "policy"], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    equal(done.returncode, 0, done.stdout[-1500:] + done.stderr[-1500:])


def it_tries_everything_with_nothing_configured():
    """`try FILE`: splits the twelve, says where the copies are, keeps running, accepts mail from a real client."""
    with tempfile.TemporaryDirectory() as folder:
        relay, desk = free_port(), free_port()
        process = subprocess.Popen(
            [binary(), "try", str(TOP / "examples" / "twelve-in-cc.eml"), "--listen", f"127.0.0.1:{relay}", "--desk", f"127.0.0.1:{desk}", "--dir", f"{folder}/out"],
            stdout=open(f"{folder}/said", "wb"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder)
        try:
            copies = lambda: [p for p in Path(folder, "out").rglob("*") if p.is_file() and p.parent.name in ("new", "cur")]
            wait_until(lambda: len(copies()) >= 13, 20)
            text = Path(folder, "said").read_text()
            assert len(copies()) >= 13, text
            equal(process.poll(), None, text)
            outsiders = set(addresses(strangers(12, 4)))
            for copy in copies():
                raw = copy.read_bytes()
                if b"Auto-Submitted" not in raw:
                    assert len(decode.addresses(raw) & outsiders) <= 1, copy
            done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(relay), "--from", "me@example.co.jp", "--to",
                                   ",".join(addresses(strangers(6, 3))), "--header", "To: " + ", ".join(addresses(strangers(6, 3)))],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
            equal(done.returncode, 0, done.stdout)
            contains(done.stdout.decode(), "held as")
            command = wait_until(lambda: re.search(r"sekisho held release .+", Path(folder, "said").read_text()), 5)
            assert command, Path(folder, "said").read_text()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError("Ctrl-C does not end it") from None
