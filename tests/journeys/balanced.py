"""deploy/compose: its haproxy.cfg and sekisho.toml as they are, but for addresses, in front of two relays that run here;
its compose.yaml read by docker-compose.
"""

import contextlib
import os
import re
import smtplib
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import yaml

from tests.journeys.nodes import FIVE, mail
from tests.rig.check import contains, equal
from tests.rig.ports import free_port
from tests.rig.postgres import Cluster
from tests.rig.relay import TOP, Relay, id_of, wait_until
from tests.rig.sink import Sink

COMPOSE = TOP / "deploy" / "compose"
CLIENT, STRANGER = "127.0.0.7", "127.0.0.8"


def replaced(text, pairs):
    """The text with each of these put in place of what must be there."""
    for old, new in pairs:
        assert old in text, f"{old} is not there any more"
        text = text.replace(old, new)
    return text


def relays(cluster, sink, folder):
    """The two relays of the compose file."""
    (folder / "database-password").write_text("geheim\n")
    for key in ("journal-key", "loop-key"):
        (folder / key).write_bytes(os.urandom(32))
    for name in ("relay1", "relay2"):
        relay = Relay(sink.address, start=False)
        relay.config.write_text(f'hostname = "{name}"\n' + replaced((COMPOSE / "sekisho.toml").read_text(), [
            ("0.0.0.0:2525", f"127.0.0.1:{relay.port}"),
            ("0.0.0.0:8025", f"127.0.0.1:{relay.desk}"),
            ('["192.168.0.0/16", "10.0.0.0/8"]', f'["{CLIENT}/32"]'),
            ("172.30.25.10/32", "127.0.0.1/32"),
            ("172.30.25.0/24", "127.0.0.1/32"),
            ('"smtp.example.co.jp:25"', f'"{sink.address}"\ntls = "off"'),
            ("postgres://sekisho@database/", f"postgres://sekisho@127.0.0.1:{cluster.port}/"),
            ("/run/secrets/", f"{folder}/"),
            ("/var/lib/sekisho", str(relay.folder)),
            ("/usr/share/sekisho/policy/", f"{TOP}/policy/"),
        ]))
        yield relay


@contextlib.contextmanager
def balancer(one, two, folder):
    """haproxy as the compose file has it; its ports for mail and for the desk."""
    smtp, desk = free_port(), free_port()
    text = replaced((COMPOSE / "haproxy.cfg").read_text(), [
        ("bind :2525", f"bind 127.0.0.1:{smtp}"), ("bind :8025\n", f"bind 127.0.0.1:{desk}\n"),
        ("relay1:2525 send-proxy-v2 port 8025", f"127.0.0.1:{one.port} send-proxy-v2 port {one.desk}"),
        ("relay2:2525 send-proxy-v2 port 8025", f"127.0.0.1:{two.port} send-proxy-v2 port {two.desk}"),
        ("relay1:8025", f"127.0.0.1:{one.desk}"), ("relay2:8025", f"127.0.0.1:{two.desk}"),
    ])
    config = folder / "haproxy.cfg"
    config.write_text(text)
    with open(folder / "haproxy.log", "wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield smtp, desk
    finally:
        process.kill()
        process.wait()


def send(port, to, source=CLIENT):
    """One mail through the balancer; the reply to its end, or what was said instead."""
    try:
        with contextlib.closing(smtplib.SMTP(timeout=60, source_address=(source, 0))) as client:
            client.connect("127.0.0.1", port)
            client.ehlo("client.example")
            said = client.mail("hanako.sato@example.co.jp")
            for one in to:
                said = client.rcpt(one) if said[0] == 250 else said
            if said[0] == 250:
                said = client.data(mail(to))
            return f"{said[0]} {said[1].decode()}"
    except smtplib.SMTPResponseException as error:
        return f"{error.smtp_code} {error.smtp_error!r}"
    except smtplib.SMTPServerDisconnected:
        return "closed"


def answers(url):
    """Whether a page is there. The balancer says 503 until its checks have found a relay."""
    try:
        return urllib.request.urlopen(url, timeout=10).status == 200
    except OSError:
        return False


class Senders:
    """Clients that send one mail after the other."""

    def __init__(self, port, count=4):
        self.port, self.taken, self.said, self.over = port, [], Counter(), threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        count = 0
        while not self.over.wait(0.05):
            to, count = f"c{number}-{count}@x.example", count + 1
            answer = send(self.port, [to])
            self.said[answer.split()[0]] += 1
            if answer.startswith("250"):
                self.taken.append(to)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def go_on(self, seconds=60):
        """Waits until several more were taken."""
        before = len(self.taken)
        assert wait_until(lambda: len(self.taken) >= before + 8, seconds, 0.05), self.said


def it_goes_on_behind_the_balancer_while_a_relay_is_drained_or_killed(note):
    with Cluster(authentication="scram-sha-256") as cluster, Sink() as sink, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        one, two = relays(cluster, sink, folder)
        with one, two, balancer(one, two, folder) as (port, desk):
            one.start()
            two.start()
            ready = lambda: wait_until(lambda: answers(f"http://127.0.0.1:{desk}/readyz"), 20, 0.2)
            assert wait_until(lambda: send(port, ["first@x.example"]).startswith("250"), 20, 0.5), (folder / "haproxy.log").read_text()
            assert ready()
            # The relays see the client's own address: it stands in the trace, and decides who may relay.
            (first,) = [taken for taken in sink.wait(1) if taken.recipients == ["first@x.example"]]
            contains(first.content.decode(), f"[{CLIENT}]")
            contains(send(port, ["b@x.example"], STRANGER), f"{STRANGER} is not in a network")
            answer = send(port, FIVE)
            contains(answer, "held as")
            equal([row["id"] for row in one.held()], [row["id"] for row in two.held()], "both have it")

            senders = Senders(port)
            senders.go_on()
            equal(one.stop(60), 0, one.output())
            senders.go_on()
            drained = dict(senders.said)
            assert set(drained) <= {"250", "421"}, drained
            assert ready(), "the desk is behind the same balancer"
            one.start()
            assert wait_until(lambda: "smtp/relay1 is UP" in (folder / "haproxy.log").read_text(), 30, 0.2), (folder / "haproxy.log").read_text()
            two.kill()
            senders.go_on()
            senders.end()
            one.cli("held", "release", id_of(answer), "--as", "split")
            two.start()
            missing = lambda: set(senders.taken + FIVE) - {to for taken in sink.taken for to in taken.recipients}
            assert wait_until(lambda: not missing(), 90, 0.5), missing()
            one.cli("audit", "verify")
    note(f"{len(senders.taken)} taken; clients saw {drained} through the drain, {dict(senders.said)} in all")


def it_has_a_compose_file_that_is_understood():
    with tempfile.TemporaryDirectory() as folder:
        for file in COMPOSE.iterdir():
            Path(folder, file.name).write_bytes(file.read_bytes())
        done = subprocess.run(["docker-compose", "-f", f"{folder}/compose.yaml", "config"], capture_output=True, text=True, timeout=120)
        equal(done.returncode, 0, done.stderr)
        services = yaml.safe_load(done.stdout)["services"]
    equal(sorted(services), ["balancer", "database", "relay1", "relay2"])
    # What the files say of each other.
    haproxy, config = (COMPOSE / "haproxy.cfg").read_text(), (COMPOSE / "sekisho.toml").read_text()
    equal(sorted(set(re.findall(r"server (\w+) \1:", haproxy))), [name for name in sorted(services) if "build" in services[name]])
    assert services["relay1"]["hostname"] != services["relay2"]["hostname"], "two relays of one name do not start"
    for name in ("relay1", "relay2"):
        own = [volume for volume in map(str, services[name]["volumes"]) if "/var/lib/sekisho" in volume]
        assert len(own) == 1 and f"state{name[-1]}" in own[0], own
        equal(len(services[name]["secrets"]), 3)
    contains(config, f'proxy = ["{services["balancer"]["networks"]["mail"]["ipv4_address"]}/32"]')
    contains(config, "@database/")
    for volume in services["relay1"]["volumes"] + services["balancer"]["volumes"]:
        source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
        assert not source.startswith(("/", ".")) or (COMPOSE / Path(source).name).exists(), source
    assert (TOP / services["relay1"]["build"]["dockerfile"]).exists()
