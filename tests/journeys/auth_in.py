"""Journeys of clients that authenticate: AUTH by real clients, accounts in a file, in a directory and at the
upstream, password guessing, permitted From addresses, and shared mail hosts.
"""

import base64
import hashlib
import hmac
import os
import signal
import smtplib
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.rig import decode
from tests.rig.authority import Authority
from tests.rig.check import contains, equal
from tests.rig.directory import Directory
from tests.rig.dns import NameServer
from tests.rig.mailhost import MailHost
from tests.rig.relay import Relay, binary, wait_until
from tests.rig.sink import Sink

FOLDER = tempfile.TemporaryDirectory(prefix="authority-")
AUTHORITY = Authority(FOLDER.name)
CHAIN, KEY = AUTHORITY.issue("relay")
TLS = f'[tls]\ncertificates = [{{ chain = "{CHAIN}", key = "{KEY}" }}]\n'
HANAKO, TARO, PASSWORD = "hanako.sato@example.co.jp", "taro@example.co.jp", "pencil case 7"
STRANGER = "127.0.0.9"  # in no network that may relay


class Guarded(Relay):
    """A relay with TLS and AUTH; with accounts in a file unless `source` says otherwise."""

    def __init__(self, upstream, auth="optional", source="file:users.toml", more="", listener="", users=True, **others):
        listener = f'tls = "starttls"\nauth = "{auth}"\n{listener}'
        super().__init__(upstream, listener=listener, extra=f'{TLS}[auth]\nsource = "{source}"\n{more}', start=False, **others)
        self.users = users and source.startswith("file:")

    def __enter__(self):
        if self.users:
            self.user("add", "hanako", "--address", HANAKO)
        self.start()
        return self

    def user(self, *arguments, password=PASSWORD, ok=True):
        """`sekisho user …` with a password on its standard input."""
        more = ["--password-stdin"] if arguments[0] in ("add", "passwd") else []
        done = subprocess.run([binary(), "user", *arguments, *more, "--config", str(self.config)], input=password + "\n",
                              capture_output=True, text=True, timeout=60)
        assert not ok or done.returncode == 0, done.stderr
        return done

    def secured(self, source=STRANGER):
        """A client after STARTTLS."""
        client = smtplib.SMTP(timeout=60, source_address=(source, 0))
        client.connect("127.0.0.1", self.port)
        client._host = "127.0.0.1"
        client.starttls(context=AUTHORITY.client())
        client.ehlo("client.example")
        return client

    def signed_in(self, user="hanako", password=PASSWORD, source=STRANGER):
        """A client after authentication."""
        client = self.secured(source)
        client.login(user, password)
        return client

    def metric(self, text):
        """The value of one line of /metrics."""
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith(text):
                return int(line.rsplit(" ", 1)[1])
        return 0


def letter(sender=HANAKO, more=""):
    """A message from this address."""
    return f"{more}From: <{sender}>\r\nTo: <kenji@partner.example>\r\nSubject: x\r\n\r\nhello\r\n".encode()


def plain(user, password):
    """The response of AUTH PLAIN."""
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def auth(client, user, password):
    """AUTH PLAIN; the code and the enhanced code."""
    code, text = client.docmd("AUTH", f"PLAIN {plain(user, password)}")
    return f"{code} {text.decode().split(' ')[0]}"


def post(client, sender=HANAKO, message=None, recipient="kenji@partner.example"):
    """One transaction; returns the decisive reply."""
    for verb, argument in (("mail", sender), ("rcpt", recipient)):
        code, text = getattr(client, verb)(argument)
        if code != 250:
            client.rset()
            return f"{code} {text.decode()}"
    code, text = client.data(message if message is not None else letter())
    return f"{code} {text.decode()}"


def it_keeps_accounts_in_a_file_that_only_its_owner_reads():
    with Sink() as sink, Guarded(sink.address) as relay:
        path = relay.folder / "users.toml"
        equal(stat.S_IMODE(path.stat().st_mode), 0o600)
        assert PASSWORD not in path.read_text() and "$argon2id$" in path.read_text(), "how the password is kept"
        contains(relay.cli("check").stdout, "1 users in ")
        contains(relay.user("add", "HANAKO", ok=False).stderr, "already")
        contains(relay.user("add", "jiro", password="short", ok=False).stderr, "8 characters")
        path.write_text("# ours\n" + path.read_text())
        relay.user("add", "taro", "--address", TARO, "--address", "t.yamada@example.co.jp", password="another word")
        assert path.read_text().startswith("# ours\n"), "the comment is gone"
        equal(relay.json("user", "list"), [
            {"name": "hanako", "addresses": [HANAKO], "roles": []},
            {"name": "taro", "addresses": [TARO, "t.yamada@example.co.jp"], "roles": []}])
        # A running relay checks the file once a second.
        def comes_to(password, answer):
            def said():
                with relay.secured() as client:
                    return auth(client, "taro", password) == answer
            assert wait_until(said, 10, 0.4), f"{password} does not come to {answer}"
        comes_to("another word", "235 2.7.0")
        relay.user("passwd", "taro", password="yet another")
        comes_to("yet another", "235 2.7.0")
        comes_to("another word", "535 5.7.8")
        relay.user("remove", "taro")
        comes_to("yet another", "535 5.7.8")


def it_gives_a_new_file_of_accounts_to_the_owner_of_the_database():
    relay = Guarded("127.0.0.1:1", users=False)
    try:
        owner = 12345 if os.geteuid() == 0 else os.geteuid()
        os.chown(relay.folder, owner, -1)  # where the database would be
        relay.user("add", "hanako")
        relay.user("add", "taro")
        status = (relay.folder / "users.toml").stat()
        equal((status.st_uid, stat.S_IMODE(status.st_mode)), (owner, 0o600))
    finally:
        Relay.__exit__(relay)


def it_takes_mail_of_swaks_by_every_mechanism_it_knows_that_is_offered():
    with Sink() as sink, Guarded(sink.address) as relay:
        def swaks(mechanism, password=PASSWORD):
            return subprocess.run(
                ["swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--local-interface", STRANGER, "--tls",
                 "--auth", mechanism, "--auth-user", "hanako", "--auth-password", password, "--from", HANAKO,
                 "--to", "kenji@partner.example", "--ehlo", "client.example", "--data", letter().decode()],
                capture_output=True, text=True, timeout=120)
        for number, mechanism in enumerate(["PLAIN", "LOGIN"], 1):
            done = swaks(mechanism)
            equal(done.returncode, 0, done.stdout + done.stderr)
            equal(len(sink.wait(number)), number, mechanism)
            contains(decode.header(sink.taken[-1].content, "Received")[0], "with ESMTPSA id")
            assert swaks(mechanism, "wrong").returncode == 28, "a wrong password"
        for mechanism in ["CRAM-MD5", "CRAM-SHA1", "DIGEST-MD5"]:
            done = swaks(mechanism)
            equal(done.returncode, 28, f"{mechanism}, which is not offered: {done.stdout}")
        with relay.secured() as client:
            for mechanism in ["CRAM-MD5", "CRAM-SHA1", "DIGEST-MD5", "NTLM", "EXTERNAL", "ANONYMOUS", "SCRAM-SHA-1"]:
                equal(client.docmd("AUTH", mechanism)[0], 504, f"{mechanism}, asked for all the same")
            equal(client.login("hanako", PASSWORD)[0], 235)
        equal(len(sink.taken), 2)
        equal(relay.metric('sekisho_auth_total{result="right"}'), 3)
        equal(relay.metric('sekisho_auth_total{result="wrong"}'), 2)


def it_takes_mail_of_smtplib_and_records_who_sent_it():
    with Sink() as sink, Guarded(sink.address) as relay:
        with relay.signed_in() as client:
            contains(post(client), "250 2.0.0 queued as ")
        (copy,) = sink.wait(1)
        contains(decode.header(copy.content, "Received")[0], "with ESMTPSA id")


def scram(client, user, password, forget=False):
    """SCRAM-SHA-256 by hand (RFC 5802), with the server's proof verified; the last reply."""
    nonce = base64.b64encode(os.urandom(18)).decode()
    bare = f"n={user},r={nonce}"
    code, text = client.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(f"n,,{bare}".encode()).decode())
    if code != 334:
        return f"{code} {text.decode()}"
    first = base64.b64decode(text).decode()
    attributes = dict(part.split("=", 1) for part in first.split(","))
    assert attributes["r"].startswith(nonce) and len(attributes["r"]) > len(nonce), "the server adds no nonce"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(attributes["s"]), int(attributes["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without = f"c=biws,r={attributes['r']}"
    message = f"{bare},{first},{without}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    code, text = client.docmd(base64.b64encode(f"{without},p={proof}".encode()).decode())
    if code == 334:
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        equal(base64.b64decode(text).decode(), "v=" + base64.b64encode(server).decode(), "the server's proof")
        code, text = client.docmd("")
    return f"{code} {text.decode()}"


def it_proves_itself_both_ways_by_scram():
    with Sink() as sink, Guarded(sink.address) as relay:
        with relay.secured() as client:
            contains(scram(client, "hanako", "wrong"), "535 5.7.8")
            contains(scram(client, "nobody", PASSWORD), "535 5.7.8")
            contains(scram(client, "hanako", PASSWORD), "235 2.7.0")
            contains(post(client), "250 2.0.0 queued as ")
        equal(len(sink.wait(1)), 1)


def it_says_the_right_thing_to_each_wrong_step():
    with Sink() as sink, Guarded(sink.address, auth="required") as relay:
        with relay.client() as client:
            assert "auth" not in client.esmtp_features, "AUTH offered without TLS"
            equal(auth(client, "hanako", PASSWORD), "538 5.7.11")
            contains(post(client), "530 5.7.0")
        with relay.secured("127.0.0.1") as client:
            contains(client.esmtp_features["auth"], "SCRAM-SHA-256 PLAIN LOGIN")
            contains(post(client), "530 5.7.0")
            equal(client.docmd("AUTH", "NTLM")[0], 504)
            equal(client.docmd("AUTH", "PLAIN")[0], 334)
            equal(client.docmd("*")[0], 501)
            equal(auth(client, "hanako", ""), "535 5.7.8")
            equal(auth(client, "hanako", PASSWORD), "235 2.7.0")
            equal(auth(client, "hanako", PASSWORD), "503 5.5.1")
            contains(post(client), "250 2.0.0 queued as ")


def it_lets_nobody_send_as_somebody_else():
    more = '[[auth.send_as]]\nuser = "hanako"\naddresses = ["soumu@example.co.jp", "*@press.example.co.jp"]\n'
    with Sink() as sink, Guarded(sink.address, more=more) as relay:
        with relay.secured() as client:
            contains(post(client), "550 5.7.1 relaying denied")
        with relay.signed_in() as client:
            equal(client.docmd("MAIL", f"FROM:<{HANAKO}> AUTH=<>")[0], 250)  # as Postfix says it
            client.rset()
            for sender in (HANAKO, "Hanako.Sato@EXAMPLE.co.jp", "soumu@example.co.jp", "any@press.example.co.jp"):
                contains(post(client, sender, letter(sender)), "250 2.0.0")
            contains(post(client, "", letter()), "250 2.0.0")
            taken = len(sink.wait(5))
            for sender, message in (
                (TARO, letter()),
                ("any@evil.press.example.co.jp", letter()),
                (HANAKO, letter(TARO)),
                ("", letter(TARO)),
                (HANAKO, letter(more=f"From: {TARO}\r\n")),
                (HANAKO, letter(more=f"Sender: {TARO}\r\n")),
                (HANAKO, letter().replace(b"From: <", b"From: x@evil.example, <")),
                (HANAKO, b"Subject: no From\r\n\r\nx\r\n"),
                (HANAKO, letter(more="no field\r\n")),
            ):
                contains(post(client, sender, message), "550 5.7.1")
            contains(post(client), "250 2.0.0")
        equal(len(sink.wait(taken + 1)), taken + 1)
        assert relay.metric('sekisho_refused_senders_total{why="header"}') == 7, relay.http("/metrics")[1]
        contains(relay.output(), "refused: sender address not allowed for this client")
    with Sink() as sink, Relay(sink.address, listener='senders = ["*@example.co.jp"]') as relay:
        with relay.client() as client:
            contains(post(client), "250 2.0.0")
            contains(post(client, "x@other.example"), "550 5.7.1")
            contains(post(client, HANAKO, letter("x@other.example")), "550 5.7.1")


def it_knows_over_a_restart_where_accounts_are_used_from():
    home, elsewhere = "127.0.0.77", "127.0.0.78"
    with Sink() as sink, Guarded(sink.address) as relay:
        relay.signed_in(source=home).quit()
        relay.stop()
        relay.start()
        for number in range(25):
            with relay.secured(elsewhere) as client:
                said = auth(client, "hanako", f"guess number {number}")
        equal(said, "454 4.7.0", "guesses from everywhere")
        relay.signed_in(source=home).quit()


def it_evaluates_few_guesses_and_locks_nobody_out():
    with Sink() as sink, Guarded(sink.address) as relay:
        relay.signed_in(source="127.0.0.30").quit()
        said = []
        for number in range(40):
            with relay.secured(f"127.0.0.{40 + number % 20}") as client:
                said.append(auth(client, "hanako", f"guess number {number}"))
        equal((said.count("535 5.7.8"), said.count("454 4.7.0")), (20, 20))
        with relay.secured("127.0.0.41") as client:
            equal(auth(client, "hanako", PASSWORD), "454 4.7.0", "the right password from where guesses come")
        relay.signed_in(source="127.0.0.30").quit()
        equal(relay.metric('sekisho_auth_total{result="too-many"}'), 21)


@pytest.mark.alone  # measures time
def it_takes_as_long_for_nobody_as_for_somebody(note):
    with Sink() as sink, Guarded(sink.address) as relay:
        def taken(user, number):
            with relay.secured(f"127.0.0.{100 + number}") as client:
                started = time.perf_counter()
                equal(auth(client, user, "wrong password"), "535 5.7.8")
                return time.perf_counter() - started

        # Alternates, and takes the shortest of each, since other load only makes single tries longer. More tries under
        # load, but fewer than an account's limit on guesses.
        somebody, nobody = [], []
        for number in range(18):
            somebody.append(taken("hanako", number))
            nobody.append(taken("nobody", number))
            alike = 0.5 < min(nobody) / min(somebody) < 2
            if alike and number >= 7:
                break
        said = f"{min(nobody) * 1000:.1f} ms and {min(somebody) * 1000:.1f} ms in {number + 1} tries each"
        assert alike, said
        note(said)


PEOPLE = {"hanako": (PASSWORD, [HANAKO]), "taro": ("another word", [TARO])}


def it_asks_a_directory():
    # Each method has a relay of its own, and so a separate count of guesses.
    with Sink() as sink, Directory(AUTHORITY, PEOPLE) as directory:
        password_file = Path(FOLDER.name) / "service"
        password_file.write_text("admin-password\n")
        password_file.chmod(0o600)
        search = (f'base = "dc=example"\nservice_dn = "cn=admin,dc=example"\n'
                  f'service_password_file = "{password_file}"\nfilter = "(|(uid={{user}})(mail={{user}}))"\n')
        bind = 'bind = "uid={user},ou=people,dc=example"\n'
        ca = f'ca_file = "{AUTHORITY.ca}"\n'
        plain_url, tls_url = f"ldap://localhost:{directory.port}", f"ldaps://localhost:{directory.tls_port}"
        for url, table, users in (
            (tls_url, bind + ca, ["hanako"]),
            (plain_url, search + ca, ["hanako", HANAKO]),  # by STARTTLS
            (plain_url, bind + 'tls = "off"\n', ["Hanako"]),
        ):
            with Guarded(sink.address, source=url, more=f"[auth.ldap]\n{table}") as relay:
                for user in users:
                    with relay.signed_in(user) as client:
                        contains(post(client), "250 2.0.0")
                        contains(post(client, TARO), "550 5.7.1")
                with relay.secured() as client:
                    assert "SCRAM" not in client.esmtp_features["auth"], "SCRAM needs keys that a directory has not"
                for user, password in (
                    ("hanako", "wrong"), ("nobody", PASSWORD), ("*", PASSWORD), ("hanako)(uid=*", PASSWORD),
                    ("hanako,ou=people", PASSWORD), ("hanako", "another word"), ("hanako", ""), ("h*", PASSWORD),
                ):
                    with relay.secured() as client:
                        equal(auth(client, user, password), "535 5.7.8", f"{user} / {password}")
                contains(relay.cli("check", "--connect", ok=False).stdout, f"{url} answers")
                directory.stop()
                with relay.secured() as client:
                    equal(auth(client, "taro", "another word"), "454 4.7.0")
                directory.start()
                with relay.secured() as client:
                    equal(auth(client, "taro", "another word"), "235 2.7.0")
        with Guarded(sink.address, source=tls_url, more=f"[auth.ldap]\n{bind}") as relay:
            with relay.secured() as client:
                equal(auth(client, "hanako", PASSWORD), "454 4.7.0", "a directory whose certificate does not verify")


def it_asks_the_upstream_and_keeps_no_password():
    users = {HANAKO: PASSWORD, "relay@example.co.jp": "service word"}
    with MailHost(AUTHORITY.server("mailhost"), users, tokens={HANAKO: "to.ken"}) as host:
        (Path(FOLDER.name) / "relay-password").write_text("service word\n")
        upstream = (f'ca_file = "{AUTHORITY.ca}"\nusername = "relay@example.co.jp"\n'
                    f'password_file = "{FOLDER.name}/relay-password"\n')
        with Guarded(f"localhost:{host.port}", source="upstream", upstream_extra=upstream) as relay:
            with relay.signed_in(HANAKO) as client:
                contains(post(client), "250 2.0.0")
                contains(post(client, TARO), "550 5.7.1")
            assert wait_until(lambda: host.mails, 30), relay.output()
            equal(host.mails[0][0], "relay@example.co.jp", "who sent it on")
            equal(host.logins[0], ("PLAIN", HANAKO, True))
            relay.signed_in(HANAKO).quit()
            equal([login for login in host.logins if login[1] == HANAKO], [("PLAIN", HANAKO, True)], "asked again")
            with relay.secured() as client:
                equal(auth(client, HANAKO, "wrong"), "535 5.7.8")
            for mechanism in ("XOAUTH2", "OAUTHBEARER"):
                for token, code in (("to.ken", 235), ("wrong", 535)):
                    first = f"user={HANAKO}" if mechanism == "XOAUTH2" else f"n,a={HANAKO},"
                    response = base64.b64encode(f"{first}\1auth=Bearer {token}\1\1".encode()).decode()
                    with relay.secured() as client:
                        said = client.docmd("AUTH", f"{mechanism} {response}")[0]
                        if said == 334:  # why not, in JSON; then the rejection
                            said = client.docmd("AQ==")[0]
                        equal(said, code, f"{mechanism} {token}")
            contains(str(host.logins), "XOAUTH2")
            for path in [relay.log, *relay.folder.rglob("*")]:
                if path.is_file():
                    content = path.read_bytes()
                    for secret in (PASSWORD, plain(HANAKO, PASSWORD), "to.ken"):
                        assert secret.encode() not in content, f"{path} has the password"
            host.server.shutdown()
            host.server.server_close()
            with relay.secured() as client:
                equal(auth(client, HANAKO, "other"), "454 4.7.0")


SPF = {
    "spf.test": {"TXT": ["v=spf1 include:more.spf.test ip4:127.0.7.0/24 ~all"]},
    "more.spf.test": {"TXT": ["v=spf1 ip4:127.0.8.0/24 -all"]},
}


def it_lets_in_our_tenant_of_a_host_that_many_share():
    with Sink() as sink, NameServer(SPF) as dns, tempfile.NamedTemporaryFile("w") as secret:
        secret.write("# the new one\n0123456789abcdef\nfedcba9876543210\n")
        secret.flush()
        tenant = (f'spf = ["spf.test"]\ntenant = {{ domains = ["example.co.jp"], header = "X-Our-Tenant", '
                  f'secret_file = "{secret.name}" }}\n')
        dns.fail("more.spf.test")
        with Relay(sink.address, listener=tenant, extra=dns.config) as relay:
            def send(source, header="", sender=HANAKO):
                with relay.client(source) as client:
                    return post(client, sender, letter(more=header))
            new, old = "X-Our-Tenant: 0123456789abcdef\r\n", "x-our-tenant: fedcba9876543210\r\n"
            contains(send("127.0.8.1", new), "451 4.7.0")
            dns.heal()
            assert wait_until(lambda: send("127.0.8.1", new).startswith("250"), 60, 0.5), relay.output()
            contains(relay.cli("check").stdout, "the SPF record of spf.test names 2 networks")
            contains(send("127.0.7.1", old), "250 2.0.0")
            contains(send("127.0.9.1", new), "550 5.7.1 relaying denied")
            contains(send("127.0.7.1"), "550 5.7.1")
            contains(send("127.0.7.1", "X-Our-Tenant: 0123456789abcdex\r\n"), "550 5.7.1")
            contains(send("127.0.7.1", new + old), "550 5.7.1")
            contains(send("127.0.7.1", new, sender="x@victim.example"), "550 5.7.1")
            contains(send("127.0.0.1", new), "250 2.0.0")  # from our own network; the secret is not passed on
            for copy in sink.wait(3):
                assert b"tenant" not in copy.content.lower(), "the secret left"
            for path in relay.folder.rglob("*"):
                assert not path.is_file() or b"0123456789abcdef" not in path.read_bytes(), f"{path} has the secret"
            # If a record breaks later, the previous networks stay in use; SIGHUP keeps them too.
            dns.fail("spf.test")
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "reloaded" in relay.output(), 20), relay.output()
            contains(send("127.0.7.1", new), "250 2.0.0")


def it_names_what_is_wrong_at_start():
    with Sink() as sink:
        for relay, part in (
            (Guarded(sink.address, users=False), "users.toml: `sekisho user add NAME` creates it"),
            (Guarded(sink.address, source="upstream"), 'needs `tls` "required" or "implicit"'),
            (Relay(sink.address, start=False, listener='spf = ["spf.test"]\ntenant = { domains = ["example.co.jp"], '
                   'header = "X-Our-Tenant", secret_file = "nowhere" }\n'), "nowhere cannot be read"),
        ):
            try:
                done = relay.cli("serve", ok=False)
                equal(done.returncode, 2, part)
                contains(done.stderr, part)
            finally:
                Relay.__exit__(relay)
