"""Journeys of an installation: the unit file, notifications to systemd, and what `check` reports about keys and
listeners.
"""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.journeys.dkim import BOTH, Keys
from tests.rig.check import contains, equal
from tests.rig.dns import NameServer
from tests.rig.relay import TOP, Relay, wait_until
from tests.rig.sink import Sink

UNIT = TOP / "deploy" / "systemd" / "sekisho.service"


class Systemd:
    """systemd's end of a notification socket."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sekisho-notify-")
        self.path = f"{self.folder.name}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.05)
        self.told = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.folder.cleanup()

    def heard(self, line):
        """Whether this line has arrived."""
        try:
            while True:
                self.told += self.socket.recv(4096).decode().splitlines()
        except TimeoutError:
            return line in self.told


def it_tells_systemd_that_it_is_ready_lives_reloads_and_stops():
    with Systemd() as systemd, Sink() as sink:
        env = {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "400000"}
        with Relay(sink.address, env=env) as relay:
            assert wait_until(lambda: systemd.heard("READY=1"), 20), systemd.told
            assert wait_until(lambda: systemd.told.count("WATCHDOG=1") >= 3 or systemd.heard(""), 20), systemd.told
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: systemd.heard("RELOADING=1"), 20), systemd.told
            assert wait_until(lambda: systemd.heard("") or systemd.told.count("READY=1") == 2, 20), systemd.told
            assert any(line.startswith("MONOTONIC_USEC=") for line in systemd.told), systemd.told
            relay.stop()
            assert wait_until(lambda: systemd.heard("STOPPING=1"), 20), systemd.told


def it_runs_in_a_unit_that_exposes_little(note):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", str(UNIT)], capture_output=True, text=True, timeout=60)
    found = re.search(r"Overall exposure level for sekisho.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout[-2000:] + done.stderr
    assert float(found[1]) <= 2.0, found[0]
    note(f"exposure {found[1]}")


def areas(findings, area):
    """The results of `check` in one area: standing and text."""
    return [(f["standing"], f["text"]) for f in findings if f["area"] == area]


def checked(relay, *arguments):
    """Runs `check`, whatever its exit status."""
    done = relay.cli("check", *arguments, "--json", ok=False, seconds=120)
    return json.loads(done.stdout)["checks"]


def it_compares_what_is_published_with_the_keys():
    with Keys(*BOTH) as keys, NameServer({}) as dns, Sink() as sink:
        dns.records.update({name: {"TXT": [value]} for name, value in keys.records.items()})
        network = f'[dns]\nservers = ["127.0.0.1:{dns.port}"]\ndnssec = false\n'
        with Relay(sink.address, extra=keys.table + network, start=False) as relay:
            equal({standing for standing, _ in areas(checked(relay), "dkim")}, {"ok"})
            name = "s1._domainkey.example.co.jp"
            dns.records[name] = {"TXT": [keys.records["e1._domainkey.example.co.jp"]]}
            contains(str(areas(checked(relay), "dkim")), "it is for ed25519 keys")
            dns.records[name] = {"TXT": ["v=DKIM1; k=rsa; p="]}
            contains(str(areas(checked(relay), "dkim")), "revoked")
            del dns.records[name]
            contains(str(areas(checked(relay), "dkim")), "is not published")
            dns.fail(name)
            said = checked(relay)
            assert any("could not be looked up" in text for _, text in areas(said, "dns")), said


def it_names_what_is_wrong_with_keys_and_domains():
    with Keys(("example.co.jp", "e1", "ed25519")) as keys, NameServer({}) as dns, Sink() as sink:
        network = f'[dns]\nservers = ["127.0.0.1:{dns.port}"]\ndnssec = false\n'
        with Relay(sink.address, extra=keys.table + network, start=False) as relay:
            os.chmod(keys.made[0]["file"], 0o644)
            said = str(areas(checked(relay), "dkim"))
            contains(said, "chmod 600")
            contains(said, "add an RSA key")
            Path(keys.made[0]["file"]).unlink()
            contains(str(areas(checked(relay), "dkim")), keys.made[0]["file"])
        with Relay(sink.address, start=False) as relay:
            contains(str(areas(checked(relay), "dkim")), "example.co.jp has no key")


def it_greets_its_own_listeners_and_looks_up_its_name():
    with NameServer({"relay.example.co.jp": {"A": ["192.0.2.7"]}}) as dns, Sink() as sink:
        network = f'[dns]\nservers = ["127.0.0.1:{dns.port}"]\ndnssec = false\n'
        with Relay(sink.address, extra=network, organisation='egress = ["192.0.2.8"]') as relay:
            relay.config.write_text('hostname = "relay.example.co.jp"\n' + relay.config.read_text())
            said = checked(relay, "--connect")
            assert any("answers: " in text and "PIPELINING" in text for standing, text in areas(said, "listener") if standing == "ok"), said
            contains(str(areas(said, "dns")), "relay.example.co.jp is 192.0.2.7")
            contains(str(areas(said, "dns")), "is not 192.0.2.8, from which mail is sent")
            contains(str(areas(said, "spf")), "example.co.jp: ")
            contains(str(areas(said, "dns")), "192.0.2.8, from which mail is sent, has no name")
            dns.records["8.2.0.192.in-addr.arpa"] = {"PTR": ["relay.example.co.jp"]}
            contains(str(areas(checked(relay, "--connect"), "dns")), "is relay.example.co.jp, which is not 192.0.2.8")
            dns.records["relay.example.co.jp"] = {"A": ["192.0.2.8"]}
            contains(str(areas(checked(relay, "--connect"), "dns")), "192.0.2.8 is relay.example.co.jp, and back")
            dns.records["example.co.jp"] = {"TXT": ["v=spf1 include:_spf.example.net -all"]}
            dns.records["_spf.example.net"] = {"TXT": ["v=spf1 ip4:192.0.2.0/29 ~all"]}
            contains(str(areas(checked(relay), "spf")), "does not let 192.0.2.8 send: add `ip4:192.0.2.8`")
            dns.records["_spf.example.net"] = {"TXT": ["v=spf1 ip4:192.0.2.0/28 ~all"]}
            equal(areas(checked(relay), "spf"), [("ok", "example.co.jp lets 192.0.2.8 send")])
