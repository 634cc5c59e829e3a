"""Journeys to mail exchangers as their domains demand: order and alternatives, MTA-STS, DANE, and an attacker on the
network path.
"""

import contextlib
import http.server
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.journeys.sending import mail
from tests.rig.authority import Authority
from tests.rig.check import contains, equal
from tests.rig.dns import NameServer
from tests.rig.exchanger import Exchanger
from tests.rig.people import strangers
from tests.rig.ports import alone_with, free_port
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.signed_dns import SignedNames

pytestmark = pytest.mark.root

KEPT = tempfile.TemporaryDirectory(prefix="exchangers-")
FOLDER = Path(KEPT.name)
AUTHORITY = Authority(FOLDER / "ca")
TRUST = f'ca_file = "{AUTHORITY.ca}"\n'
# Where policies are served: HTTPS has one port, so it has an address of its own.
POLICIES = "127.0.44.1"


class Hosts:
    """Exchangers of these names, each at an address of its own; a context manager."""

    def __init__(self, **between):
        self.between, self.hosts, self.stack = between, {}, contextlib.ExitStack()
        self.port = free_port(*(f"127.0.0.{2 + at}" for at in range(len(between))))

    def __enter__(self):
        for at, (name, between) in enumerate(self.between.items()):
            # a host with another identity has a certificate for another name, a plain text host has none
            named = "elsewhere.test" if between == "other" else f"{name}.mx.test"
            context = None if between == "clear" else AUTHORITY.server(name, f"DNS:{named}")
            host = Exchanger(context, f"127.0.0.{2 + at}", self.port, "" if between in ("other", "clear") else between)
            self.hosts[name] = self.stack.enter_context(host)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def __getitem__(self, name):
        return self.hosts[name]

    def address(self, name):
        return self.hosts[name].address

    def taken(self, name):
        """What a host accepted: whether over TLS, and for whom."""
        return [(secured, recipients) for secured, recipients, _ in self.hosts[name].taken]


class PolicyHost:
    """Serves a policy for each domain over HTTPS; use as a context manager. `asked` lists the names."""

    def __init__(self, policies):
        self.policies, self.asked, self.stack = policies, [], contextlib.ExitStack()

    def __enter__(self):
        self.stack.enter_context(alone_with("policies"))
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.headers["Host"].removeprefix("mta-sts.")
                host.asked.append(name)
                policy = host.policies.get(name, "").encode()
                self.send_response(200 if policy and self.path == "/.well-known/mta-sts.txt" else 404)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(policy)))
                self.end_headers()
                self.wfile.write(policy)

            def log_message(self, *_):
                pass

        names = ",".join(f"DNS:mta-sts.{name}" for name in self.policies)
        self.server = http.server.ThreadingHTTPServer((POLICIES, 443), Handler)
        self.server.socket = AUTHORITY.server("policies", names).wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.stack.close()


def policy(mode, *hosts):
    """A policy's text."""
    return "\r\n".join(["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), "max_age: 86400", ""])


def post(relay, domain):
    """Sends one mail to a person there; its id."""
    return id_of(relay.send(mail("exchanger", strangers(1, 1)), [f"a@{domain}"]))


def comes_to(relay, message, state):
    """Waits until the delivery is in this state; returns the last reply."""
    rows = []

    def settled():
        rows[:] = relay.json("queue", "show", message)
        return rows and all(row["state"] not in ("ready", "sending") for row in rows)

    assert wait_until(settled, 60, 0.1), f"{rows}\n{relay.output()}"
    equal([row["state"] for row in rows], [state], f"{rows}\n{relay.output()}")
    return rows[0]["last_reply"]


def it_goes_through_the_exchangers_in_their_order():
    with Hosts(near="", far="", clear="clear") as hosts, NameServer() as dns:
        dns.records = {
            "order.test": {"MX": [(30, "far.mx.test"), (5, "dead.mx.test"), (20, "near.mx.test")]},
            "bare.test": {"A": [hosts.address("clear")]},
            "dead.mx.test": {"A": ["127.0.9.9"]},
            **{f"{name}.mx.test": {"A": [hosts.address(name)]} for name in hosts.hosts},
        }
        with Relay(f"mx:{hosts.port}", upstream_extra=TRUST, extra=dns.config) as relay:
            comes_to(relay, post(relay, "order.test"), "delivered")
            equal(hosts.taken("near"), [(True, ["a@order.test"])])
            equal(hosts.taken("far"), [])
            # without a policy TLS is opportunistic, and a domain without MX is its own exchanger
            comes_to(relay, post(relay, "bare.test"), "delivered")
            equal(hosts.taken("clear"), [(False, ["a@bare.test"])])
            hosts["near"].__exit__()
            comes_to(relay, post(relay, "order.test"), "delivered")
            equal(len(hosts.taken("far")), 1)


def it_keeps_to_mta_sts():
    domains = {
        "good": "enforce", "other": "enforce", "strip": "enforce", "refuse": "enforce", "inject": "enforce", "unnamed": "enforce",
        "tested": "testing", "downgraded": "testing",
    }
    between = {"other": "other", "strip": "strip", "refuse": "refuse", "inject": "inject", "tested": "other", "downgraded": "strip"}
    policies = {f"{name}.test": policy(mode, "elsewhere.mx.test" if name == "unnamed" else f"{name}.mx.test") for name, mode in domains.items()}
    with Hosts(**{name: between.get(name, "") for name in domains}) as hosts, NameServer() as dns, PolicyHost(policies) as policy_host:
        for name in domains:
            dns.records |= {
                f"{name}.test": {"MX": [(10, f"{name}.mx.test")]},
                f"_mta-sts.{name}.test": {"TXT": ["v=STSv1; id=1;"]},
                f"mta-sts.{name}.test": {"A": [POLICIES]},
                f"{name}.mx.test": {"A": [hosts.address(name)]},
            }
        with Relay(f"mx:{hosts.port}", upstream_extra=TRUST, extra=dns.config) as relay:
            comes_to(relay, post(relay, "good.test"), "delivered")
            equal(hosts.taken("good"), [(True, ["a@good.test"])])
            for name, reason in (
                ("other", "4.7.5 the TLS handshake failed"), ("strip", "4.7.4 strip.mx.test offers no STARTTLS"), ("refuse", "454 4.7.0 not now"),
                ("inject", "4.7.0 the upstream sent more after its reply to STARTTLS"), ("unnamed", "4.7.0 unnamed.mx.test is not in the domain's MTA-STS policy"),
            ):
                contains(comes_to(relay, post(relay, f"{name}.test"), "waiting"), reason)
                equal(hosts.taken(name), [], name)
                assert not any(line.startswith(("MAIL", "RCPT", "DATA")) for line in hosts[name].heard), hosts[name].heard
            # a policy in testing mode is checked and stops nothing
            for name, secured in (("tested", True), ("downgraded", False)):
                comes_to(relay, post(relay, f"{name}.test"), "delivered")
                equal(hosts.taken(name), [(secured, [f"a@{name}.test"])])
            equal(relay.output().count("an MTA-STS policy in testing mode would have prevented this"), 2)
            numbers = relay.http("/metrics")[1]
            assert 'sekisho_upstream_failures_total{upstream="mx",reason="unverified"}' in numbers, numbers
            # hiding the record or the policy gains nothing while the policy is known
            for name in ("good", "strip"):
                del dns.records[f"_mta-sts.{name}.test"]
                dns.records[f"mta-sts.{name}.test"] = {}
            comes_to(relay, post(relay, "good.test"), "delivered")
            equal([secured for secured, _ in hosts.taken("good")], [True, True])
            comes_to(relay, post(relay, "strip.test"), "waiting")
            # nor does waiting for a restart
            relay.stop()
            relay.start()
            comes_to(relay, post(relay, "strip.test"), "waiting")
            equal(hosts.taken("strip"), [])
            equal(policy_host.asked.count("good.test"), 1)


def it_keeps_to_dane():
    # good: a certificate for another name, whose key is in the TLSA record; DANE needs no name there
    between = {"good": "other", "mismatch": "", "strip": "strip", "refuse": "refuse", "inject": "inject", "standin": "", "unusable": "other"}
    with Hosts(**between) as hosts:
        def tlsa(name, key):
            return f"_{hosts.port}._tcp.{name}.mx.test. TLSA 3 1 1 {key}"

        records = [f"{name}.mx.test. A {hosts.address(name)}" for name in between]
        records += [f"{name}.test. MX 10 {name}.mx.test." for name in between if name != "standin"]
        records += [tlsa(name, AUTHORITY.key_hash(name)) for name in ("good", "strip", "refuse", "inject", "standin")]
        records += [tlsa("mismatch", "00" * 32), "mismatch.test. MX 20 standin.mx.test.", "alone.test. MX 10 mismatch.mx.test."]
        records += [f"_{hosts.port}._tcp.unusable.mx.test. TLSA 9 9 9 00"]
        # DANE takes precedence where MTA-STS would reject the certificate (RFC 8461 §2)
        records += ['_mta-sts.good.test. TXT "v=STSv1; id=1;"', f"mta-sts.good.test. A {POLICIES}"]
        policies = {"good.test": policy("enforce", "good.mx.test")}
        with SignedNames(*records) as dns, PolicyHost(policies), Relay(f"mx:{hosts.port}", upstream_extra=TRUST, extra=dns.config) as relay:
            comes_to(relay, post(relay, "good.test"), "delivered")
            equal(hosts.taken("good"), [(True, ["a@good.test"])])
            # the preferred host has the wrong identity, so the next one is used
            comes_to(relay, post(relay, "mismatch.test"), "delivered")
            equal((hosts.taken("mismatch"), hosts.taken("standin")), ([], [(True, ["a@mismatch.test"])]))
            for domain, name, reason in (
                ("alone.test", "mismatch", "4.7.5 the TLS handshake failed"), ("strip.test", "strip", "4.7.4 strip.mx.test offers no STARTTLS"),
                ("refuse.test", "refuse", "454 4.7.0 not now"), ("inject.test", "inject", "4.7.0 the upstream sent more after"),
            ):
                contains(comes_to(relay, post(relay, domain), "waiting"), reason)
                equal(hosts.taken(name), [], name)
                assert not any(line.startswith(("MAIL", "RCPT", "DATA")) for line in hosts[name].heard), hosts[name].heard
            # unusable records still demand TLS (RFC 7672 §2.2)
            comes_to(relay, post(relay, "unusable.test"), "delivered")
            equal(hosts.taken("unusable"), [(True, ["a@unusable.test"])])


def it_says_nothing_to_a_smarthost_that_answers_before_it_is_asked():
    with Exchanger(AUTHORITY.server("injected"), between="inject") as host:
        password = FOLDER / "password"
        password.write_text("hush\n")
        login = f'username = "relay"\npassword_file = "{password}"\n'
        for more in (TRUST + login, TRUST + 'tls = "opportunistic"\n'):
            with Relay(f"localhost:{host.port}", upstream_extra=more) as relay:
                contains(comes_to(relay, post(relay, "anywhere.test"), "waiting"), "4.7.0 the upstream sent more after its reply to STARTTLS")
                assert 'reason="unverified"' in relay.http("/metrics")[1]
        equal(host.taken, [])
        assert not any(line.startswith(("AUTH", "MAIL", "RCPT", "DATA")) for line in host.heard), host.heard


def it_uses_no_host_whose_signatures_do_not_hold():
    with Hosts(good="") as hosts:
        records = [f"good.mx.test. A {hosts.address('good')}", "good.test. MX 10 good.mx.test."]
        with SignedNames(*records) as dns, SignedNames(*records) as other:
            # the names of one, the key of the other
            network = dns.config.replace(str(dns.anchor), str(other.anchor))
            with Relay(f"mx:{hosts.port}", upstream_extra=TRUST, extra=network) as relay:
                contains(comes_to(relay, post(relay, "good.test"), "waiting"), "has an invalid DNSSEC signature")
                time.sleep(0.3)
                equal(hosts["good"].connections, 0)
