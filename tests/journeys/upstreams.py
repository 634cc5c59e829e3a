"""Journeys to real upstreams: Postfix, Exim and OpenSMTPD; pins, tokens, alternatives, routes, mail exchangers,
rates.
"""

import http.server
import json
import signal
import ssl
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

from tests.journeys.sending import RULES, addresses, mail, real, settle
from tests.rig.authority import Authority
from tests.rig.check import contains, equal
from tests.rig.dns import NameServer
from tests.rig.mailhost import MailHost
from tests.rig.mta import PASSWORD, USER, Exim, OpenSmtpd, Postfix
from tests.rig.people import strangers
from tests.rig.ports import free_port
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

KEPT = tempfile.TemporaryDirectory(prefix="upstreams-")
FOLDER = Path(KEPT.name)
AUTHORITY = Authority(FOLDER / "ca")
SECRET = FOLDER / "password"
SECRET.write_text(PASSWORD + "\n")
SECRET.chmod(0o600)
LOGIN = f'username = "{USER}"\npassword_file = "{SECRET}"\n'
TRUST = f'ca_file = "{AUTHORITY.ca}"\n'


def one(relay, subject="upstream"):
    """Sends a message to two people; its id."""
    people = strangers(2, 2)
    return id_of(relay.send(mail(subject, people), addresses(people)))


def delivered(relay, message, seconds=30):
    """Whether everything was delivered; otherwise what the queue says."""
    rows = []

    def gone():
        rows[:] = relay.json("queue", "show", message)
        return all(row["state"] == "delivered" for row in rows)

    assert wait_until(gone, seconds, 0.2), f"{rows}\n{relay.output()}"


def waits(relay, message, reason):
    """The delivery waits, for this reason."""
    row = wait_until(lambda: next((r for r in relay.queue() if r["message"] == message and r["last_reply"]), None), 30, 0.2)
    assert row, relay.output()
    equal(row["state"], "waiting")
    contains(row["last_reply"], reason)


def refused(relay, message, reason):
    """The delivery waits or failed, for this reason."""
    def settled():
        return [row for row in relay.json("queue", "show", message) if row["state"] in ("waiting", "failed")]

    rows = wait_until(settled, 30, 0.2)
    assert rows, relay.output()
    contains(rows[0]["last_reply"], reason)


def metric(relay, name):
    """The lines of one metric."""
    return [line for line in relay.http("/metrics")[1].splitlines() if line.startswith(name)]


@pytest.mark.root
def it_logs_in_to_postfix_by_every_mechanism():
    with Sink() as sink, Postfix(AUTHORITY, sink) as postfix:
        for auth, seen in (("", "SCRAM-SHA-256"), ("scram-sha-256", "SCRAM-SHA-256"), ("plain", "PLAIN"), ("login", "LOGIN")):
            before = postfix.log.read_text().count(f"sasl_method={seen}")
            auth = f'auth = "{auth}"\n' if auth else ""
            with Relay(postfix.address, upstream_extra=f"{TRUST}{LOGIN}{auth}") as relay:
                delivered(relay, one(relay))
                equal(postfix.log.read_text().count(f"sasl_method={seen}"), before + 1, auth)
                contains(relay.cli("check", "--connect", ok=False).stdout, f"AUTH {seen}")
        equal(len(real(sink.wait(4))), 4)


@pytest.mark.root
def it_waits_where_postfix_refuses_or_cannot_be_believed():
    wrong = FOLDER / "wrong"
    wrong.write_text("something else\n")
    with Sink() as sink, Postfix(AUTHORITY, sink) as postfix:
        with Relay(postfix.address, upstream_extra=f'{TRUST}username = "{USER}"\npassword_file = "{wrong}"') as relay:
            waits(relay, one(relay), "535 5.7.8")
            assert any('reason="auth"' in line for line in metric(relay, "sekisho_upstream_failures_total")), "no metric"
        with Relay(postfix.address, upstream_extra=LOGIN) as relay:
            waits(relay, one(relay), "4.7.5 the TLS handshake failed")
            assert any('reason="unverified"' in line for line in metric(relay, "sekisho_upstream_failures_total")), "no metric"
            equal(relay.output().count("cannot connect to the upstream"), 1, "log lines")
        with Relay(postfix.address, upstream_extra=f'{LOGIN}pins = ["sha256:{AUTHORITY.key_hash("ca")}"]') as relay:
            waits(relay, one(relay), "is not among the pinned ones")
        # opportunistic: mail may be sent anywhere, credentials may not
        with Relay(postfix.address, upstream_extra=f'{LOGIN}tls = "opportunistic"') as relay:
            waits(relay, one(relay), "credentials for localhost are sent over verified TLS only")
        with Relay(postfix.address, upstream_extra=f'{LOGIN}pins = ["sha256:{AUTHORITY.key_hash(postfix.chain.stem)}"]') as relay:
            delivered(relay, one(relay))


@pytest.mark.root
def it_sends_through_exim_and_opensmtpd_over_tls_with_auth():
    wrong = FOLDER / "wrong"
    wrong.write_text("something else\n")
    with Sink() as sink:
        for kind in (Exim, OpenSmtpd):
            with kind(AUTHORITY, sink) as mta:
                for auth in ("", "plain", "login"):
                    auth = f'auth = "{auth}"\n' if auth else ""
                    with Relay(mta.address, upstream_extra=f"{TRUST}{LOGIN}{auth}") as relay:
                        delivered(relay, one(relay))
                for lacking, reason in (
                    (f'{TRUST}username = "{USER}"\npassword_file = "{wrong}"', "535"),
                    (TRUST, "5"),  # relaying denied
                    (LOGIN, "the TLS handshake failed"),
                ):
                    with Relay(mta.address, upstream_extra=lacking) as relay:
                        refused(relay, one(relay), reason)
        equal(len(real(sink.wait(6, 30))), 6)


class TokenService(http.server.ThreadingHTTPServer):
    """Gives the tokens to clients in order."""

    daemon_threads = True

    def __init__(self, tokens):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                service.asked.append({key: value[0] for key, value in form.items()})
                answer = json.dumps({"access_token": tokens[min(len(service.asked), len(tokens)) - 1], "expires_in": 3600}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/token"


def it_logs_in_by_token_and_fetches_a_refused_one_anew():
    secret = FOLDER / "client-secret"
    secret.write_text("hush\n")
    service = TokenService(["stale", "fresh"])
    oauth = (f'{TRUST}username = "relay@example.co.jp"\n[upstream.oauth]\ntoken_url = "{service.url}"\nclient_id = "id"\n'
             f'client_secret_file = "credential:client-secret"\ngrant = "client_credentials"\nscope = "smtp"\n')
    with MailHost(AUTHORITY.server("oauth"), {}, {"relay@example.co.jp": "fresh"}) as host:
        address = f"localhost:{host.port}"
        with Relay(address, upstream_extra=oauth, env={"CREDENTIALS_DIRECTORY": str(FOLDER)}) as relay:
            delivered(relay, one(relay))
            delivered(relay, one(relay, "again"))
            equal([(mechanism, right) for mechanism, _, right in host.logins][:2], [("XOAUTH2", False), ("XOAUTH2", True)])
            equal(len(service.asked), 2)
            equal(service.asked[0], {"client_id": "id", "client_secret": "hush", "grant_type": "client_credentials", "scope": "smtp"})
            for secret_text in ("hush", "fresh", "stale"):
                assert secret_text not in relay.output(), "a secret is in the log"
    service.shutdown()


def it_goes_to_the_stand_in_while_the_upstream_is_down():
    with Sink() as sink:
        also = f'tls = "off"\n[[upstream.also]]\naddress = "{sink.address}"\ntls = "off"\n'
        with Relay(f"127.0.0.1:{free_port()}", upstream_extra=also) as relay:
            for _ in range(3):
                delivered(relay, one(relay))
            equal(len(real(sink.taken)), 3)


def it_routes_each_recipient_once():
    people = strangers(2, 2)
    ours, theirs = people[0].address, people[1].address
    domain = theirs.split("@")[1]
    with Sink() as usual, Sink() as partner, Sink() as branch:
        routes = (f'[upstreams.partner]\naddress = "{partner.address}"\ntls = "off"\n[upstreams.branch]\naddress = "{branch.address}"\n'
                  f'tls = "off"\n[[route]]\nsender_domains = ["branch.example.co.jp"]\nupstream = "branch"\n'
                  f'[[route]]\nrecipient_domains = ["{domain}", "*.{domain}"]\nupstream = "partner"\n')
        with Relay(usual.address, extra=routes) as relay:
            message = id_of(relay.send(mail("routes", people), [ours, theirs]))
            delivered(relay, message)
            delivered(relay, id_of(relay.send(mail("branch", people), [ours, theirs], sender="a@branch.example.co.jp")))
            time.sleep(0.3)
            equal([t.recipients for t in real(usual.taken)], [[ours]])
            equal([t.recipients for t in real(partner.taken)], [[theirs]])
            equal([t.recipients for t in real(branch.taken)], [[ours, theirs]])


def it_finds_the_mail_exchangers():
    with Sink() as sink, NameServer() as dns:
        people = strangers(3, 3)
        one_domain, two_domain, three_domain = (person.address.split("@")[1] for person in people)
        dns.records = {
            one_domain: {"MX": [(10, "dead.mx.test"), (20, "mx.test")]},
            two_domain: {"MX": [(0, ".")]},
            "mx.test": {"A": ["127.0.0.1"]},
            "dead.mx.test": {"A": ["127.0.0.9"]},
            "example.co.jp": {"A": ["127.0.0.1"]},
        }
        dns.fail(three_domain)
        with Relay(f"mx:{sink.port}", upstream_extra="", extra=dns.config) as relay:
            message = id_of(relay.send(mail("mx", people), addresses(people)))
            rows = {}

            def settled():
                rows.update({row["recipients"][0]: row for row in relay.json("queue", "show", message)})
                return len(rows) == 3 and all(row["state"] not in ("ready", "sending") for row in rows.values())

            assert wait_until(settled, 60, 0.3), rows
            states = [rows[person.address]["state"] for person in people]
            equal(states, ["delivered", "failed", "waiting"])
            contains(rows[people[1].address]["last_reply"], "5.1.10")
            contains(rows[people[2].address]["last_reply"], "4.4.3")
            equal([t.recipients for t in real(sink.taken)], [[people[0].address]])
            dns.heal()
            dns.records[three_domain] = {"A": ["127.0.0.1"]}
            wait_until(lambda: (relay.cli("queue", "retry"), len(real(sink.taken)) == 2)[1], 60, 1)
            equal(sorted(t.recipients[0] for t in real(sink.taken)), sorted([people[0].address, people[2].address]))


def it_paces_a_fan_out_over_a_restart_and_says_how_far_it_is(note):
    people = strangers(12, 4)
    with Sink() as sink, Relay(sink.address, RULES, upstream_extra='tls = "off"\nrate = ["6/min", "5000 recipients/day"]') as relay:
        started = time.time()
        message = id_of(relay.send(mail("[split] rate", people), addresses(people)))
        early = len(settle(sink, 6, 10))
        most = 6 + (time.time() - started) / 10 + 1
        assert 6 <= early <= most, early
        progress = wait_until(lambda: next((line for line in relay.cli("queue", "show", message).stdout.splitlines() if "of 12 sent, next at 2" in line), ""), 10, 0.2)
        assert progress, relay.cli("queue", "show", message).stdout
        contains(relay.cli("trace", message).stdout, "of 12 sent, next at 2")
        assert any(float(line.split()[-1]) > 0 for line in metric(relay, "sekisho_upstream_paced{")), "no metric"
        relay.stop()
        relay.start()
        time.sleep(2)
        most = 6 + (time.time() - started) / 10 + 1
        assert len(real(sink.taken)) <= most, f"a restart gave the rate away: {len(real(sink.taken))}"
        # the eighth is sent in its turn, neither at once nor never
        assert wait_until(lambda: len(real(sink.taken)) >= 8, 40, 0.2), relay.cli("queue", "show", message).stdout
        assert time.time() - started >= 15, "too early"
        note(progress)


def reload(relay, old, new, word="reloaded"):
    """Changes the configuration and reloads it."""
    text = relay.config.read_text()
    assert old in text, text
    relay.config.write_text(text.replace(old, new))
    before = relay.log.read_text().count(word)
    relay.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: relay.log.read_text().count(word) > before, 20), relay.output()


def it_takes_up_other_upstreams_and_routes_on_reload():
    people = strangers(2, 2)
    domain = people[1].address.split("@")[1]
    with Sink() as first, Sink() as second, Sink() as partner:
        with Relay(f"127.0.0.1:{free_port()}") as relay:
            dead = relay.upstream
            message = one(relay)
            waits(relay, message, "4.4.1")
            # the upstream is fixed: waiting mail is sent, whatever was known of the old one
            reload(relay, f'address = "{dead}"', f'address = "{first.address}"')
            relay.cli("queue", "retry")
            delivered(relay, message)
            assert any(f'upstream="{first.address}"' in line for line in metric(relay, "sekisho_breaker_open")), "no metric"
            connections = first.connections
            reload(relay, "[policy]", f'[upstreams.partner]\naddress = "{partner.address}"\ntls = "off"\n[[route]]\n'
                   f'recipient_domains = ["{domain}"]\nupstream = "partner"\n[policy]')
            delivered(relay, id_of(relay.send(mail("routes", people), addresses(people))))
            equal([t.recipients for t in real(partner.taken)], [[people[1].address]])
            # the default upstream did not change, so its connection is reused
            equal(first.connections, connections)
            # a mistake changes nothing, and is reported
            reload(relay, f'address = "{first.address}"', f'address = "{second.address}"\nusername = "u"\npassword_file = "nowhere"', "not reloaded")
            contains(relay.output(), "nowhere")
            delivered(relay, id_of(relay.send(mail("again", people), [people[0].address])))
            equal(len(real(second.taken)), 0)
            reload(relay, '\nusername = "u"\npassword_file = "nowhere"', "")
            delivered(relay, id_of(relay.send(mail("other", people), [people[0].address])))
            equal(len(real(second.taken)), 1)
            # a setting that needs a restart is named
            reload(relay, f'[desk]\naddress = "127.0.0.1:{relay.desk}"', f'[desk]\naddress = "127.0.0.1:{free_port()}"')
            contains(relay.output(), "[desk] address changed too, which takes effect only after a restart")


def it_keeps_to_its_rate_over_reloads():
    people = strangers(12, 4)
    with Sink() as sink, Relay(sink.address, RULES, upstream_extra='tls = "off"\nrate = "6/min"\nconnections = 2\n') as relay:
        started = time.time()
        relay.send(mail("[split] rate", people), addresses(people))
        settle(sink, 6, 10)
        for count in (3, 4, 5):
            reload(relay, f"connections = {count - 1}\n", f"connections = {count}\n")
            time.sleep(0.5)
        most = 6 + (time.time() - started) / 10 + 1
        assert 6 <= len(real(sink.taken)) <= most, len(real(sink.taken))


@pytest.mark.root
def it_reads_its_password_anew_on_reload():
    secret = FOLDER / "changing"
    secret.write_text("not yet\n")
    with Sink() as sink, Postfix(AUTHORITY, sink) as postfix:
        with Relay(postfix.address, upstream_extra=f'{TRUST}username = "{USER}"\npassword_file = "{secret}"') as relay:
            message = one(relay)
            waits(relay, message, "535 5.7.8")
            secret.write_text(PASSWORD + "\n")
            reload(relay, "", "")
            relay.cli("queue", "retry")
            delivered(relay, message)


def client_pair(name, files, **how):
    """Puts a client certificate into these files, moved there as a renewal would: the chain, then the key."""
    for made, place in zip(AUTHORITY.issue(name, usage="clientAuth", **how), files):
        fresh = place.with_suffix(".new")
        fresh.write_bytes(made.read_bytes())
        fresh.chmod(0o600)
        fresh.rename(place)


def it_shows_an_upstream_the_certificate_that_is_in_force():
    context = AUTHORITY.server("demanding")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(AUTHORITY.ca)
    files = (FOLDER / "client.pem", FOLDER / "client.key")
    client_pair("one", files)
    shown = f'{TRUST}certificate = {{ chain = "{files[0]}", key = "{files[1]}" }}'
    with MailHost(context, {}) as host:
        with Relay(f"localhost:{host.port}", upstream_extra=shown) as relay:
            delivered(relay, one(relay))
            equal(set(host.shown), {("one", "localhost")}, "certificate and name asked for")
            contains(relay.cli("check", "--connect", ok=False).stdout, "our certificate was presented")
            [line] = metric(relay, "sekisho_upstream_certificate_expires_seconds{")
            contains(line, "client.pem")
            # a reload uses the new one, also on connections that were kept
            client_pair("two", files)
            reload(relay, "", "")
            delivered(relay, one(relay, "after a reload"))
            equal(host.shown[-1], ("two", "localhost"))
            # so does a changed file, without a signal
            before = relay.log.read_text().count("certificates reloaded")
            client_pair("three", files)
            assert wait_until(lambda: relay.log.read_text().count("certificates reloaded") > before, 20, 0.1), relay.output()
            delivered(relay, one(relay, "after a change"))
            equal(host.shown[-1], ("three", "localhost"))
            # a mismatched pair changes nothing, and is reported with its key
            files[0].write_bytes(AUTHORITY.issue("stranger", usage="clientAuth")[0].read_bytes())
            reload(relay, "", "", "not reloaded")
            contains(relay.output(), "[upstream] certificate.chain: ")
            contains(relay.output(), "does not belong to the key")
            delivered(relay, one(relay, "as before"))
            equal(host.shown[-1], ("three", "localhost"))
        # without one, the upstream says what it requires, and the mail waits
        with Relay(f"localhost:{host.port}", upstream_extra=TRUST) as relay:
            waits(relay, one(relay), "asks for our certificate: set `certificate`")


def it_checks_the_certificate_it_shows():
    files = (FOLDER / "checked.pem", FOLDER / "checked.key")
    shown = f'{TRUST}certificate = {{ chain = "{files[0]}", key = "{files[1]}" }}'
    with Relay("localhost:1", upstream_extra=shown, start=False) as relay:
        def found():
            return [(one["standing"], one["text"]) for one in json.loads(relay.cli("check", "--json", ok=False).stdout)["checks"] if one["area"] == "upstream"]

        def says(standing, *parts):
            got = found()
            assert any(got_standing == standing and all(part in text for part in parts) for got_standing, text in got), got

        says("error", "[upstream] certificate.chain: ", "checked.pem: it cannot be read")
        client_pair("good", files, days=90)
        says("ok", "[upstream] certificate.chain: ", "CN=good, until ")
        files[1].chmod(0o644)
        says("warning", "[upstream] certificate.key: ", "everybody can read it")
        files[1].unlink()
        says("error", "[upstream] certificate.key: ", "checked.key: it cannot be read")
        client_pair("soon", files, days=9)
        says("warning", "its certificate expires in 8 days")
        for made, place in zip(AUTHORITY.issue("server-only"), files):
            place.write_bytes(made.read_bytes())
        says("warning", "[upstream] certificate.chain: ", "it is only for servers")
        client_pair("past", files, days=-1)
        says("error", "[upstream] certificate.chain: ", "its certificate expired on ")
        files[1].write_bytes(AUTHORITY.issue("other", usage="clientAuth")[1].read_bytes())
        says("error", "[upstream] certificate.chain: ", "does not belong to the key in ")


def it_holds_what_would_pass_a_budget_with_the_forecast():
    people = strangers(12, 4)
    budget = 'tls = "off"\nbudget = ["10/day", "15/day outside"]'
    with Sink() as sink, Relay(sink.address, RULES, upstream_extra=budget) as relay:
        def send(count, subject, sender="hanako.sato@example.co.jp"):
            # individually, since no rule of this policy concerns them
            return relay.send(mail(subject, people[:count]), addresses(people[:count]), sender=sender)

        contains(send(8, "[split] eight"), "queued as")
        settle(sink, 8, 10)
        held = send(3, "[split] three more")
        contains(held, "held as")
        contains(held, "over the budget of 10 recipients a day for each sender")
        [row] = relay.held()
        contains(" ".join(row["reasons"]), "this mail goes to 3; 8 of 10 used in the last 24 hours; room again on ")
        [used, *_] = metric(relay, 'sekisho_upstream_budget_used{upstream="upstream",budget="10/day sender"}')
        equal(used.split()[-1], "8")
        # a restart does not reset the budget
        relay.stop()
        relay.start()
        contains(send(3, "[split] after a restart"), "held as")
        # `explain` predicts it from the relay's current usage
        draft = relay.folder / "draft.eml"
        draft.write_bytes(mail("[split] a draft", people[:3]))
        told = relay.json("explain", str(draft))
        equal(told["verdict"]["action"], "hold")
        assert [rule for rule in told["rules"] if rule["name"] == "builtin:budget" and rule["matched"]], told["rules"]
        equal(told["deliveries"], [])
        # another sender has a separate budget, within the common one
        contains(send(7, "[split] another", "taro@example.co.jp"), "queued as")
        contains(send(1, "[split] one too many", "jiro@example.co.jp"), "over the budget of 15 outside recipients a day in all")
        # a release by an approver takes precedence
        relay.cli("held", "release", row["id"], "--as", "split")
        settle(sink, 8 + 7 + 3, 20)
        assert not any("three more" in line["subject"] for line in relay.held()), relay.held()
