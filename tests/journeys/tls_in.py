"""Journeys of mail received over TLS, with common clients: openssl, swaks, smtplib, haproxy."""

import json
import os
import signal
import smtplib
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.rig.check import contains, equal
from tests.rig.ports import free_port
from tests.rig.relay import Relay, installed, tool, wait_until
from tests.rig.sink import Sink

MESSAGE = b"From: hanako.sato@example.co.jp\r\nTo: p@example.net\r\nSubject: s\r\n\r\nx\r\n"
WHO = ("hanako.sato@example.co.jp", ["p@example.net"])


def openssl(*arguments, feed=b"", ok=True):
    """Runs openssl; its output, both streams."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=feed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert not ok or done.returncode == 0, done.stdout.decode("utf-8", "replace")
    return done.stdout.decode("utf-8", "replace")


class Certificates:
    """A folder with an authority and what it issues; a context manager."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="certs-")
        self.folder = Path(self._folder.name)
        self.authority("ca")
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def path(self, name):
        """A file in it."""
        return self.folder / name

    def authority(self, name):
        """A new authority: NAME.pem, NAME.key."""
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 3650, "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.pem"))

    def issue(self, name, hosts, days=90, by="ca", usage="serverAuth", key="ec"):
        """A certificate: NAME.pem (with its authority behind it), NAME.key; the configuration's pair."""
        kind = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}[key]
        extra = self.path(f"{name}.ext")
        extra.write_text(f"subjectAltName={','.join('DNS:' + host for host in hosts)}\nextendedKeyUsage={usage}\n")
        openssl("req", "-new", *kind, "-nodes", "-subj", f"/CN={hosts[0]}", "-keyout", self.path(f"{name}.key.new"), "-out", self.path(f"{name}.csr"))
        openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path(f"{by}.pem"), "-CAkey", self.path(f"{by}.key"), "-CAcreateserial",
                "-days", days, "-extfile", extra, "-out", self.path(f"{name}.leaf"))
        self.path(f"{name}.pem.new").write_text(self.path(f"{name}.leaf").read_text() + self.path(f"{by}.pem").read_text())
        for kind in ("key", "pem"):
            os.replace(self.path(f"{name}.{kind}.new"), self.path(f"{name}.{kind}"))
        return self.pair(name)

    def pair(self, name):
        """As written in the configuration."""
        return f'{{ chain = "{self.path(name + ".pem")}", key = "{self.path(name + ".key")}" }}'


def secured(sink, pairs, listener='tls = "starttls"', extra="", tls="", **more):
    """A relay with these certificates."""
    return Relay(sink.address, listener=listener, extra=f"[tls]\ncertificates = [{', '.join(pairs)}]\n{tls}\n{extra}", **more)


def trusting(certificates, name="ca"):
    """A client's context that trusts one authority."""
    return ssl.create_default_context(cafile=str(certificates.path(f"{name}.pem")))


def shown(port, *arguments):
    """What openssl s_client sees at a port."""
    return openssl("s_client", "-connect", f"127.0.0.1:{port}", *arguments, feed=b"QUIT\r\n", ok=False)


def subject(port, *arguments):
    """The common name of the certificate that is served."""
    text = shown(port, *arguments)
    for line in text.splitlines():
        if line.startswith("subject="):
            return line.split("CN", 1)[1].strip(" =")
    return text


def swaks(port, *arguments, source="127.0.0.1"):
    """One mail by swaks; exit status and its transcript."""
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", WHO[0], "--to", WHO[1][0], "--local-interface", source,
         "--timeout", "30", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def received(copy):
    """The first Received field."""
    return copy.content.split(b"\r\n\r\n")[0].split(b"\r\nFrom:")[0].decode()


def it_takes_mail_from_smtplib_and_swaks_in_every_mode():
    with Certificates() as certificates, Sink() as sink:
        pair = certificates.issue("mail", ["localhost"])
        ports = {mode: free_port() for mode in ("required", "implicit")}
        more = "".join(f'[[listener]]\naddress = "127.0.0.1:{port}"\nallow = ["127.0.0.0/8"]\ntls = "{mode}"\n' for mode, port in ports.items())
        with secured(sink, [pair], extra=more) as relay:
            context = trusting(certificates)
            for port in (relay.port, ports["required"]):
                with smtplib.SMTP("localhost", port, timeout=30) as client:
                    client.starttls(context=context)
                    client.ehlo("client.example")
                    assert not client.has_extn("starttls"), "STARTTLS is advertised within TLS"
                    client.sendmail(*WHO, MESSAGE)
            with smtplib.SMTP_SSL("localhost", ports["implicit"], timeout=30, context=context) as client:
                client.sendmail(*WHO, MESSAGE)
            for copy in sink.wait(3):
                contains(received(copy), "with ESMTPS")
            for port, how in ((relay.port, "--tls"), (ports["required"], "--tls"), (ports["implicit"], "--tls-on-connect")):
                status, text = swaks(port, how)
                equal(status, 0, text)
            status, text = swaks(relay.port)
            equal(status, 0, text)
            contains(received(sink.wait(7)[6]), "with ESMTP ")
            status, text = swaks(ports["required"])
            contains(text, "530 5.7.0")
            equal(len(sink.wait(7)), 7)
            numbers = relay.http("/metrics")[1]
            contains(numbers, 'sekisho_tls_handshakes_total{result="ok"} 6')
            (expires,) = (line.split()[-1] for line in numbers.splitlines() if line.startswith("sekisho_certificate_expires_seconds{"))
            assert abs(int(expires) - time.time() - 90 * 86_400) < 3_600, expires


def it_speaks_tls_1_2_and_1_3_and_nothing_older():
    with Certificates() as certificates, Sink() as sink:
        pairs = [certificates.issue("mail", ["localhost"]), certificates.issue("rsa", ["localhost"], key="rsa")]
        with secured(sink, pairs) as relay:
            start = ("-starttls", "smtp", "-servername", "localhost")
            for version, suite in (("-tls1_2", "ECDHE-ECDSA-"), ("-tls1_3", "TLS_AES_")):
                contains(shown(relay.port, *start, version), suite)
            contains(shown(relay.port, *start, "-tls1_2", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"), "ECDHE-RSA-")
            for version in ("-tls1", "-tls1_1"):
                contains(shown(relay.port, *start, version, "-cipher", "ALL:@SECLEVEL=0"), "Cipher is (NONE)")
            for weak in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"):
                contains(shown(relay.port, *start, "-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0"), "Cipher is (NONE)")
            assert wait_until(lambda: relay.output().count("TLS handshake failed") >= 6), relay.output()
            contains(relay.http("/metrics")[1], 'sekisho_tls_handshakes_total{result="failed"} 6')


def it_has_no_weakness_that_sslyze_knows():
    with Certificates() as certificates, Sink() as sink:
        pairs = [certificates.issue("mail", ["localhost"]), certificates.issue("rsa", ["localhost"], key="rsa")]
        implicit = free_port()
        more = f'[[listener]]\naddress = "127.0.0.1:{implicit}"\nallow = ["127.0.0.0/8"]\ntls = "implicit"\n'
        with secured(sink, pairs, extra=more) as relay:
            # Both in parallel: each waits for replies that must not come.
            scans = [
                subprocess.Popen([installed("sslyze"), "--mozilla_config=intermediate", f"--certinfo_ca_file={certificates.path('ca.pem')}", *words],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                for words in (["--starttls=smtp", f"localhost:{relay.port}"], [f"localhost:{implicit}"])
            ]
            for scan in scans:
                text = scan.communicate(timeout=250)[0].decode("utf-8", "replace")
                assert scan.returncode == 0 and "OK - Compliant" in text, text[-3000:]
                assert "VULNERABLE" not in text, text[-3000:]


def it_chooses_the_certificate_by_the_name_asked_for():
    with Certificates() as certificates, Sink() as sink:
        pairs = [certificates.issue("one", ["one.example"]), certificates.issue("two", ["two.example", "*.two.example"])]
        with secured(sink, pairs) as relay:
            for name, wanted in (("one.example", "one.example"), ("TWO.example", "two.example"), ("a.two.example", "two.example"),
                                 ("unknown.example", "one.example")):
                equal(subject(relay.port, "-starttls", "smtp", "-servername", name), wanted, name)
            equal(subject(relay.port, "-starttls", "smtp", "-noservername"), "one.example", "no name")


def it_never_carries_out_what_came_behind_starttls():
    evil = b"MAIL FROM:<hanako.sato@example.co.jp>\r\nRCPT TO:<evil@example.net>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n.\r\n"
    with Certificates() as certificates, Sink() as sink:
        with secured(sink, [certificates.issue("mail", ["localhost"])]) as relay:
            for injected in (evil, b"EHLO evil\r\n" + evil, b"RSET\r\n", b"x"):
                with socket.create_connection(("127.0.0.1", relay.port), timeout=30) as line:
                    file = line.makefile("rb")
                    file.readline()
                    line.sendall(b"EHLO c\r\n")
                    while file.readline()[3:4] == b"-":
                        pass
                    line.sendall(b"STARTTLS\r\n" + injected)
                    contains(file.read().decode(), "501 5.5.4")
            # In a second packet, before the handshake: TLS rejects it as an invalid handshake.
            with socket.create_connection(("127.0.0.1", relay.port), timeout=30) as line:
                file = line.makefile("rb")
                file.readline()
                line.sendall(b"STARTTLS\r\n")
                contains(file.readline().decode(), "220")
                line.sendall(evil)
                try:
                    assert b"250" not in file.read()
                except ConnectionError:
                    pass
            # And with a valid handshake after it.
            with socket.create_connection(("127.0.0.1", relay.port), timeout=30) as line:
                line.recv(1000)
                line.sendall(b"MAIL FROM:<evil@example.co.jp>\r\n")
                line.recv(1000)
                line.sendall(b"STARTTLS\r\n")
                line.recv(1000)
                with trusting(certificates).wrap_socket(line, server_hostname="localhost") as secure:
                    secure.sendall(b"RCPT TO:<evil@example.net>\r\n")
                    contains(secure.recv(1000).decode(), "503 5.5.1")
            relay.send(MESSAGE, WHO[1])
            equal(sink.wait(1)[0].recipients, WHO[1])
            time.sleep(0.3)
            equal(len(sink.taken), 1)
            contains(relay.http("/metrics")[1], 'sekisho_connections_refused_total{reason="starttls"} 4')


def it_lets_a_certificate_with_the_right_name_relay():
    with Certificates() as certificates, Sink() as sink:
        certificates.authority("other")
        certificates.issue("good", ["mail-a.hosts.example"], usage="clientAuth")
        certificates.issue("server", ["mail-b.hosts.example"], usage="serverAuth")
        certificates.issue("wrong", ["mail.elsewhere.example"], usage="clientAuth")
        certificates.issue("forged", ["mail-a.hosts.example"], by="other", usage="clientAuth")
        pair = certificates.issue("mail", ["localhost"])
        with secured(sink, [pair], listener='tls = "starttls"\nclient_certificates = ["*.hosts.example"]',
                     tls=f'client_ca_file = "{certificates.path("ca.pem")}"') as relay:
            for name, wanted in (("good", "250 2.0.0 queued"), ("server", "250 2.0.0 queued"), ("wrong", "has no name that may relay"),
                                 ("forged", "does not verify"), (None, "550 5.7.1")):
                own = ["--tls-cert", certificates.path(f"{name}.leaf"), "--tls-key", certificates.path(f"{name}.key")] if name else []
                for version in ("tlsv1_2", "tlsv1_3"):
                    status, text = swaks(relay.port, "--tls", "--tls-protocol", version, *own, source="127.0.0.2")
                    contains(text, wanted)
            status, text = swaks(relay.port, "--tls", source="127.0.0.1")
            equal(status, 0, text)
            equal(len(sink.wait(5)), 5)
            contains(relay.output(), "its issuer is unknown")


def it_keeps_the_old_certificate_when_the_new_is_bad():
    with Certificates() as certificates, Sink() as sink:
        pair = certificates.issue("mail", ["one.example"])
        certificates.issue("other", ["other.example"])
        with secured(sink, [pair]) as relay:
            served = lambda: subject(relay.port, "-starttls", "smtp")
            equal(served(), "one.example")
            open_before = smtplib.SMTP("localhost", relay.port, timeout=60)
            open_before.starttls(context=ssl._create_unverified_context())
            # Its file changed: no signal is needed.
            certificates.issue("mail", ["two.example"])
            assert wait_until(lambda: served() == "two.example", 30, 0.3), relay.output()
            # Half of another pair.
            good = certificates.path("mail.pem").read_text()
            certificates.path("mail.pem").write_text(certificates.path("other.pem").read_text())
            assert wait_until(lambda: "does not belong to the key" in relay.output(), 30), relay.output()
            time.sleep(3)
            equal(relay.output().count("not reloaded"), 1, "log lines about one bad file")
            equal(served(), "two.example")
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "not reloaded, the old configuration stays" in relay.output()), relay.output()
            equal(served(), "two.example")
            certificates.path("mail.pem").write_text(good)
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "reloaded: " in relay.output()), relay.output()
            open_before.sendmail(*WHO, MESSAGE)
            equal(len(sink.wait(1)), 1)


def it_swaps_certificates_a_hundred_times_under_load_with_no_failure(note):
    with Certificates() as certificates, Sink() as sink:
        pairs = [[certificates.path(f"{n}.{kind}").read_text() for kind in ("key", "pem")]
                 for n in ("a", "b") if certificates.issue(n, ["localhost"])]
        pair = certificates.issue("mail", ["localhost"])
        with secured(sink, [pair]) as relay:
            stop, failures, sent = threading.Event(), [], []
            context = trusting(certificates)

            def load(number):
                kept = None
                while not stop.is_set():
                    try:
                        # Every other thread keeps its connection, the others open a new one each time.
                        client = kept
                        if client is None:
                            client = smtplib.SMTP("localhost", relay.port, timeout=60)
                            client.starttls(context=context)
                        client.sendmail(*WHO, MESSAGE)
                        sent.append(number)
                        if number % 2:
                            kept = client
                        else:
                            client.quit()
                    except Exception as error:  # any error is a failure
                        failures.append(repr(error))
                        kept = None

            threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            log = lambda: relay.log.read_text("utf-8", "replace").count("reloaded: ")
            for swap in range(100):
                for kind, text in zip(("key", "pem"), pairs[swap % 2]):
                    beside = certificates.path(f"mail.{kind}.new")
                    beside.write_text(text)
                    os.replace(beside, certificates.path(f"mail.{kind}"))
                relay.process.send_signal(signal.SIGHUP)
                assert wait_until(lambda: log() > swap, 30, 0.01), relay.output()
            stop.set()
            for thread in threads:
                thread.join(90)
            equal(failures, [])
            equal(len(sink.wait(len(sent), 60)), len(sent), "messages at the sink")
            assert len(sent) >= 50, f"only {len(sent)} messages were sent meanwhile"
            note(f"{len(sent)} messages")


def it_believes_balancers_and_nobody_else():
    with Sink() as sink, Relay(sink.address, listener='proxy = ["127.0.0.3/32"]') as relay:
        def answers(header, source="127.0.0.3"):
            with socket.create_connection(("127.0.0.1", relay.port), timeout=30, source_address=(source, 0)) as line:
                line.sendall(header)
                file, last = line.makefile("rb"), b""
                try:
                    if not file.readline().startswith(b"220"):
                        return "refused"
                    for command in (b"EHLO c", b"MAIL FROM:<hanako.sato@example.co.jp>", b"RCPT TO:<p@example.net>"):
                        line.sendall(command + b"\r\n")
                        last = file.readline()
                        while last[3:4] == b"-":
                            last = file.readline()
                except ConnectionError:
                    return "refused"
                return last.decode()

        signature = b"\r\n\r\n\0\r\nQUIT\n"
        second = lambda source: signature + b"\x21\x11" + struct.pack(">H", 12) + socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 4000, 25)
        contains(answers(b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 25\r\n"), "250 ")
        contains(answers(b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\r\n"), "192.0.2.7 is not in a network")
        contains(answers(second("127.0.0.1")), "250 ")
        contains(answers(second("192.0.2.7")), "192.0.2.7 is not in a network")
        contains(answers(signature + b"\x20\x00\0\0"), "550 5.7.1")
        contains(answers(b"PROXY TCP4 nonsense\r\n"), "refused")
        # From any other client it is an unknown command, or data before the greeting.
        with socket.create_connection(("127.0.0.1", relay.port), timeout=30, source_address=("127.0.0.2", 0)) as line:
            file = line.makefile("rb")
            line.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 25\r\n")
            first = file.readline()
            assert first.startswith(b"554") or file.readline().startswith(b"500"), first
        contains(relay.http("/metrics")[1], 'reason="proxy"} 1')
        contains(relay.output(), "malformed PROXY header")


def it_stands_behind_haproxy():
    with Certificates() as certificates, Sink() as sink, tempfile.TemporaryDirectory() as folder:
        pair = certificates.issue("mail", ["localhost"])
        implicit = free_port()
        more = f'[[listener]]\naddress = "127.0.0.1:{implicit}"\nallow = ["127.0.0.1/32"]\ntls = "implicit"\nproxy = ["127.0.0.5/32"]\n'
        with secured(sink, [pair], listener='tls = "starttls"\nproxy = ["127.0.0.5/32"]', extra=more) as relay:
            front = {version: free_port() for version in ("send-proxy", "send-proxy-v2")}
            targets = {"send-proxy": relay.port, "send-proxy-v2": implicit}
            config = Path(folder) / "haproxy.cfg"
            config.write_text("defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n" + "".join(
                f"listen {version}\n bind 127.0.0.1:{port}\n server relay 127.0.0.1:{targets[version]} {version} source 127.0.0.5\n"
                for version, port in front.items()))
            balancer = subprocess.Popen(["haproxy", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                assert wait_until(lambda: all(socket.socket().connect_ex(("127.0.0.1", port)) == 0 for port in front.values())), "haproxy does not start"
                status, text = swaks(front["send-proxy"], "--tls")
                equal(status, 0, text)
                status, text = swaks(front["send-proxy-v2"], "--tls-on-connect")
                equal(status, 0, text)
                status, text = swaks(front["send-proxy-v2"], "--tls-on-connect", source="127.0.0.2")
                contains(text, "127.0.0.2 is not in a network")
                for copy in sink.wait(2):
                    contains(received(copy), "[127.0.0.1]")
            finally:
                balancer.kill()
                balancer.wait()


def it_makes_shows_and_checks_certificates():
    with Certificates() as certificates, Sink() as sink:
        soon = certificates.issue("soon", ["soon.example"], days=10)
        relay = secured(sink, [soon], start=False)
        with relay:
            cli = lambda *words, ok=True: relay.cli(*words, ok=ok)
            said = cli("cert", "self-signed", "--name", "new.example", "--name", "192.0.2.7", "--out", "made").stdout
            contains(said, "certificates = [{ chain = ")
            key = relay.folder / "made" / "new.example.key"
            equal(key.stat().st_mode & 0o777, 0o600)
            contains(openssl("x509", "-in", relay.folder / "made" / "new.example.pem", "-noout", "-text"), "DNS:new.example, IP Address:192.0.2.7")
            equal(cli("cert", "self-signed", "--name", "new.example", "--out", "made", ok=False).returncode, 1, "it does not overwrite")
            (row,) = json.loads(cli("cert", "show", "--json").stdout)
            equal((row["names"], row["self_signed"], row["days_left"] in (9, 10)), (["soon.example"], False, True), row)
            contains(cli("cert", "show").stdout, "soon.example")
            check = lambda: json.loads(cli("check", "--json", ok=False).stdout)["checks"]
            of = lambda standing: [f["text"] for f in check() if f["area"] == "tls" and f["standing"] == standing]
            assert any("expires in" in text for text in of("warning")), check()
            equal(of("error"), [])
            # The key of another certificate: reported with its file, and the relay does not start.
            certificates.issue("other", ["other.example"])
            certificates.path("soon.key").write_text(certificates.path("other.key").read_text())
            assert any("soon.pem: its certificate does not belong to the key" in text for text in of("error")), check()
            relay.start(wait=False)
            equal(relay.process.wait(30), 2, "exit status")
            contains(relay.output(), "soon.pem")
            certificates.path("soon.key").unlink()
            assert any("soon.key" in text and "cannot be read" in text for text in of("error")), check()
            certificates.issue("soon", ["soon.example"], days=-1)
            assert any("expired" in text for text in of("error")), check()
            relay.start()
            contains(relay.output(), "its certificate expired")


def it_holds_idle_tls_sessions_cheaply(note):
    with Certificates() as certificates, Sink() as sink, secured(sink, [certificates.issue("mail", ["localhost"])]) as relay:
        def open_sessions(count):
            process = subprocess.Popen(
                [tool("generate"), "--target", f"127.0.0.1:{relay.port}", "--sessions", str(count), "--mode", "idle", "--tls", "starttls"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            contains(process.stdout.readline(), str(count))
            return process

        first = open_sessions(20)
        before = relay.rss()
        second = open_sessions(400)
        each = (relay.rss() - before) / 400 / 1024
        for process in (first, second):
            process.communicate("\n")
        assert each <= 64, f"{each:.1f} KiB each"
        note(f"{each:.1f} KiB each")
