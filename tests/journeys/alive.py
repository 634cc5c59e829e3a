"""Journeys of a relay in trouble: a log that cannot be written, a desk under a connection flood, a store in use, an
upstream with few sessions; and clients with odd behaviour.
"""

import email
import itertools
import os
import re
import selectors
import smtplib
import socket
import subprocess
import time

from tests.journeys.sending import RULES, addresses, mail, real, settle
from tests.rig.check import contains, equal
from tests.rig.people import strangers
from tests.rig.relay import Relay, binary, id_of, wait_until
from tests.rig.sink import Sink

TWO = strangers(2, 3)
MANY = int(os.environ.get("SILENT", "5000"))


def metric(relay, name):
    """One value of /metrics, 0 if it is missing."""
    _, text = relay.http("/metrics")
    found = re.search(rf"(?m)^sekisho_{re.escape(name)} (\S+)$", text)
    return float(found[1]) if found else 0


def serve_into(relay, stderr):
    """`serve` with a standard error of ours."""
    relay.running.add(relay)
    relay.process = subprocess.Popen(
        [binary(), "serve", "--config", str(relay.config)], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **relay.env},
    )

    def answers():
        try:
            return relay.http("/healthz")[0] == 200
        except OSError:
            return False

    assert wait_until(answers, 20, 0.05), "the relay does not start"


def goes_on(relay, sink):
    """Mail passes, and the lost lines are counted."""
    for n in range(3):
        contains(relay.send(mail("x", TWO, seed=n), addresses(TWO)), "queued as")
    settle(sink, 3)
    equal(relay.http("/readyz")[0], 200)
    lost = wait_until(lambda: metric(relay, "log_lines_lost_total"), 5)
    assert lost, "nothing was counted"
    equal(relay.process.poll(), None, "the relay ended")
    equal(relay.stop(), 0)


def it_goes_on_when_whoever_read_its_log_is_gone():
    with Sink() as sink, Relay(sink.address, start=False) as relay:
        reading, writing = os.pipe()
        serve_into(relay, writing)
        os.close(writing)
        os.close(reading)
        goes_on(relay, sink)


def it_goes_on_when_its_log_is_on_a_full_disk():
    with Sink() as sink, Relay(sink.address, start=False) as relay, open("/dev/full", "wb") as full:
        serve_into(relay, full)
        goes_on(relay, sink)


def it_goes_on_when_nobody_empties_the_pipe_of_its_log():
    with Sink() as sink, Relay(sink.address, start=False, env={"SEKISHO_LOG": "trace"}) as relay:
        reading, writing = os.pipe()
        serve_into(relay, writing)
        os.close(writing)
        until = time.time() + 200
        while metric(relay, "log_lines_lost_total") == 0 and time.time() < until:
            contains(relay.send(mail("x", TWO), addresses(TWO)), "queued as")
        goes_on(relay, sink)
        os.close(reading)


def it_waits_for_a_store_that_a_command_has():
    with Sink() as sink, Relay(sink.address) as first:
        second = subprocess.Popen([binary(), "serve", "--config", str(first.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(1)
        first.stop()
        try:
            assert wait_until(lambda: first.http("/readyz")[0] == 200 if second.poll() is None and listens(first.desk) else False, 15)
        finally:
            second.terminate()
            second.wait(20)


def listens(port):
    """Whether the port is open."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def it_finds_at_check_a_webhook_that_serve_refuses():
    with Sink() as sink, Relay(sink.address, start=False) as relay:
        secret = relay.folder / "hook"
        secret.write_text("0123456789abcdef0123\n")
        secret.chmod(0o600)
        config = relay.config.read_text()
        relay.config.write_text(config + f'\n[[webhook]]\nurl = "http://127.0.0.1:9/x"\nsecret_file = "{secret}"\nevents = ["held"]\n')
        checked = relay.cli("check", ok=False)
        assert checked.returncode != 0, checked.stdout
        contains(checked.stdout + checked.stderr, "private network")


class Siege:
    """Silent connections to the desk, from one address or many; some begin a header or a body."""

    BEGUN = [b"", b"GET /heal", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST /l/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\na=",
             b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"]

    def __init__(self, port, count, sources):
        self.sockets, self.port = [], port
        with selectors.DefaultSelector() as pending:
            for number in range(count):
                one = socket.socket()
                one.setblocking(False)
                one.bind((sources[number % len(sources)], 0))
                one.connect_ex(("127.0.0.1", port))
                pending.register(one, selectors.EVENT_WRITE, self.BEGUN[number % len(self.BEGUN)])
                self.sockets.append(one)
                if number % 200 == 199:
                    self.speak(pending)
            until = time.time() + 20
            while pending.get_map() and time.time() < until:
                self.speak(pending)

    @staticmethod
    def speak(pending):
        """Sends the given beginning on each connection."""
        for key, _ in pending.select(0.05):
            pending.unregister(key.fileobj)
            try:
                key.fileobj.send(key.data)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()


def stands(sources, note):
    """Mail and /healthz work during the flood."""
    with Sink() as sink, Relay(sink.address) as relay:
        began = time.time()
        slowest = 0
        with Siege(relay.desk, MANY, sources):
            besieged = time.time()
            for n in range(10):
                start = time.time()
                equal(relay.http("/healthz")[0], 200)
                slowest = max(slowest, time.time() - start)
                contains(relay.send(mail("x", TWO, seed=n), addresses(TWO)), "queued as")
            settle(sink, 10)
            open_now = metric(relay, "desk_connections")
            descriptors = len(os.listdir(f"/proc/{relay.process.pid}/fd"))
        assert open_now <= 512, open_now
        assert descriptors < 900, descriptors
        assert slowest < 5, slowest
        note(f"{MANY} connections in {besieged - began:.1f} s, {open_now:.0f} open, {descriptors} descriptors, /healthz {slowest * 1000:.0f} ms at worst")


def it_stands_silent_connections_from_one_address(note):
    stands(["127.0.0.9"], note)


def it_stands_silent_connections_from_many_addresses(note):
    stands([f"127.0.{a}.{b}" for a, b in itertools.product(range(1, 11), range(1, 201))], note)


def it_refuses_a_form_before_its_body_comes():
    with Sink() as sink, Relay(sink.address) as relay:
        for path, length, status in [("/held/1/release", 100, b" 401 "), ("/api/v1/held", 100, b" 401 "), ("/l/abc", 100_000, b" 413 ")]:
            with socket.create_connection(("127.0.0.1", relay.desk), 5) as one:
                one.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
                answer = one.recv(4000)
                assert status in answer.split(b"\r\n")[0], (path, answer)


def it_tells_numbers_to_its_own_networks_only():
    with Sink() as sink, Relay(sink.address, desk_extra='monitoring = ["127.0.0.77/32"]') as relay:
        status, text = relay.http("/metrics")
        equal(status, 403)
        assert sink.address not in text
        equal(relay.http("/healthz")[0], 200)
        equal(relay.http("/readyz"), (200, "ready\n"))
        token = relay.json("token", "add", "prometheus", "--scope", "report:read")["token"]
        with socket.create_connection(("127.0.0.1", relay.desk), 5) as one:
            one.sendall(f"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
            contains(read_all(one).decode(), "sekisho_build_info")


def read_all(one):
    """Reads until the other side closes."""
    got = b""
    while piece := one.recv(65536):
        got += piece
    return got


def through_few(note, **limits):
    """Sixty copies through an upstream with limits: how long it takes, and what was counted."""
    people = strangers(60, 7)
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        for key, value in limits.items():
            setattr(sink, key, value)
        began = time.time()
        contains(relay.send(mail("[split] many", people), addresses(people)), "queued as")
        assert wait_until(lambda: len(real(sink.taken)) >= 60, 30), len(real(sink.taken))
        took, taken = time.time() - began, real(sink.taken)
        equal(sorted(r for t in taken for r in t.recipients), sorted(addresses(people)))
        time.sleep(0.5)
        equal(len(real(sink.taken)), 60, "somebody got it twice")
        assert took < 10, took
        attempts = [row.get("attempts") for row in relay.json("queue", "list", "--state", "delivered")]
        assert all(number in (None, 0, 1) for number in attempts), attempts
        limit = metric(relay, 'upstream_sessions_limit{upstream="%s"}' % sink.address)
        note(f"{took:.1f} s, refused {sink.refused} times, limit {limit:.0f}")


def it_sends_sixty_copies_through_three_sessions(note):
    through_few(note, most=3)


def it_knows_after_a_restart_how_many_sessions_are_allowed():
    people = strangers(40, 7)
    with Sink() as sink, Relay(sink.address, RULES) as relay:
        sink.most = 3
        name = 'upstream_sessions_limit{upstream="%s"}' % sink.address
        contains(relay.send(mail("[split] many", people), addresses(people)), "queued as")
        settle(sink, 40)
        limit = metric(relay, name)
        assert 1 <= limit <= 4, limit
        relay.stop()
        relay.start()
        equal(metric(relay, name), limit)
        before = sink.refused
        contains(relay.send(mail("[split] more", people, seed=2), addresses(people)), "queued as")
        settle(sink, 80)
        assert sink.refused - before <= 2, f"{sink.refused - before} sessions were refused anew"


def it_sends_sixty_copies_where_the_third_session_is_refused_after_the_dot(note):
    through_few(note, most=3, full_at="dot", full="432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded")


def it_sends_sixty_copies_through_sessions_of_five(note):
    through_few(note, per_session=5)


def greeted(relay, line):
    """The reply to a first line of these octets."""
    with socket.create_connection(("127.0.0.1", relay.port), 5) as one:
        one.recv(1000)
        one.sendall(line + b"\r\n")
        return one.recv(1000).decode()


def it_takes_clients_by_any_name():
    with Sink() as sink, Relay(sink.address) as relay:
        for name in ["経理-PC".encode("cp932"), "Дмитрий-ПК".encode("cp1251"), b"my_pc", b"my pc", b"", "経理".encode()]:
            for verb in (b"EHLO ", b"HELO "):
                contains(greeted(relay, (verb + name).rstrip()), "250")
        client = smtplib.SMTP(timeout=10)
        client.connect("127.0.0.1", relay.port)
        client.send(b"EHLO " + "経理-PC".encode("cp932") + b"\r\n")
        client.getreply()
        client.ehlo_or_helo_if_needed = lambda: None
        client.sendmail("hanako.sato@example.co.jp", addresses(TWO), mail("x", TWO))
        client.quit()
        copy = settle(sink, 1)[0].content
        assert copy.split(b"\r\n\r\n")[0].isascii(), copy
        contains(copy.decode("latin-1"), "-PC ([127.0.0.1])")


def it_takes_bare_lf_in_commands_where_it_is_allowed():
    with Sink() as sink, Relay(sink.address, listener='normalise_line_ends = ["127.0.0.1/32"]') as relay:
        with socket.create_connection(("127.0.0.1", relay.port), 5) as one, one.makefile("rb") as said:
            # A client that speaks before the greeting is refused.
            contains(said.readline().decode(), "220 ")
            one.sendall(b"HELO device\n")
            contains(said.readline().decode(), "250 ")
            to = addresses(TWO[:1])[0]
            one.sendall(f"MAIL FROM:<hanako.sato@example.co.jp>\nRCPT TO:<{to}>\nDATA\n".encode())
            for code in ("250 ", "250 ", "354 "):
                contains(said.readline().decode(), code)
            one.sendall(mail("x", TWO[:1]) + b"\r\n.\r\n")
            contains(said.readline().decode(), "queued as")
        settle(sink, 1)


def it_writes_a_header_in_ascii_for_a_next_hop_without_smtputf8():
    with Sink() as sink, Relay(sink.address) as relay:
        plain = "250-sink\r\n250-PIPELINING\r\n250 8BITMIME"
        sink.on("ehlo", plain)
        raw = mail("x", TWO[:1]).replace(b"Subject: x", "Subject: Straße und 道".encode())
        assert "Straße".encode() in raw, raw
        contains(relay.send(raw, addresses(TWO[:1]), options=["SMTPUTF8", "BODY=8BITMIME"]), "queued as")
        header = settle(sink, 1)[0].content.split(b"\r\n\r\n")[0]
        assert header.isascii(), header
        contains(header.decode(), "=?UTF-8?B?")


def it_encodes_a_raw_file_name_and_gives_up_at_a_raw_message_id():
    with Sink() as sink, Relay(sink.address) as relay:
        sink.on("ehlo", "250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
        head = "From: <a@example.co.jp>\r\nTo: {}\r\nMessage-ID: <{}@example.co.jp>\r\nDate: Sun, 22 Nov 2026 06:00:00 +0900\r\nMIME-Version: 1.0\r\n"
        to, options = addresses(TWO[:1]), ["SMTPUTF8", "BODY=8BITMIME"]
        named = (head.format(to[0], "one") + 'Content-Type: text/plain; charset=utf-8; name="報告書 (最終).txt"\r\n\r\nx\r\n').encode()
        contains(relay.send(named, to, options=options), "queued as")
        content = settle(sink, 1)[0].content
        assert content.split(b"\r\n\r\n")[0].isascii(), content
        equal(email.message_from_bytes(content).get_filename(), "報告書 (最終).txt")
        # In other octets it would be another id, and no reply would find its thread.
        answer = relay.send((head.format(to[0], "書") + "\r\nx\r\n").encode(), to, options=options)
        rows = wait_until(lambda: [row for row in relay.json("queue", "list", id_of(answer), "--all") if row["state"] == "failed"], 15)
        assert rows, "it was not given up"
        contains(rows[0]["last_reply"], "5.6.7")
        contains(rows[0]["last_reply"], "Message-ID")
