"""Journeys of a certificate by ACME, from an authority on the loopback that checks every signature."""

import smtplib
import ssl
import time

from tests.journeys.tls_in import MESSAGE, WHO, Certificates
from tests.rig.acme import Authority
from tests.rig.check import contains, equal
from tests.rig.ports import free_port
from tests.rig.relay import Relay, wait_until
from tests.rig.sink import Sink


def table(authority, certificates, port, domains):
    """The configuration's part."""
    names = ", ".join(f'"{name}"' for name in domains)
    return (f'[tls.acme]\ndirectory = "{authority.directory}"\ndomains = [{names}]\ncontact = ["soumu@example.co.jp"]\n'
            f'cache = "acme"\naddress = "127.0.0.1:{port}"\nca_file = "{certificates.path("ca.pem")}"\nterms_agreed = true\n')


def served(relay, certificates):
    """The names in the certificate that a verifying client sees; empty if verification fails."""
    context = ssl.create_default_context(cafile=str(certificates.path("ca.pem")))
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
        client._host = "relay.localhost.example"
        try:
            client.starttls(context=context)
        except ssl.SSLError:
            return None
        return sorted(name for _, name in client.sock.getpeercert()["subjectAltName"])


def it_gets_a_certificate_and_keeps_it_over_a_restart():
    with Certificates() as certificates, Sink() as sink:
        certificates.issue("authority", ["localhost"])
        port = free_port()
        with Authority(certificates.path("ca.pem"), certificates.path("ca.key"), certificates.path("authority.pem"),
                       certificates.path("authority.key"), port) as authority:
            domains = ("relay.localhost.example", "smtp.localhost.example")
            relay = Relay(sink.address, listener='tls = "starttls"', extra=table(authority, certificates, port, domains), start=False)
            with relay:
                equal(relay.json("cert", "show"), [])
                checks = relay.json("check")["checks"]
                assert any("a certificate will be ordered" in check["text"] for check in checks), checks
                relay.start()
                assert wait_until(lambda: served(relay, certificates) == sorted(domains), 60, 0.2), relay.output() + str(authority.log)
                contains(relay.output(), "ACME certificate issued")
                contains(relay.http("/metrics")[1], 'sekisho_acme_orders_total{result="ok"} 1')
                for name in ("relay.localhost.example.key", "account.json"):
                    equal((relay.folder / "acme" / name).stat().st_mode & 0o777, 0o600, name)
                (row,) = relay.json("cert", "show")
                equal((row["names"], row["self_signed"]), (list(domains), False))
                context = ssl.create_default_context(cafile=str(certificates.path("ca.pem")))
                with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
                    client._host = domains[0]
                    client.starttls(context=context)
                    client.sendmail(*WHO, MESSAGE)
                equal(len(sink.wait(1)), 1)
                relay.stop()
                relay.start()
                equal(served(relay, certificates), sorted(domains), "after a restart")
                time.sleep(1)
                equal(len(authority.orders), 1, "orders")
                # Other names are another certificate, of the same account.
                relay.stop()
                text = relay.config.read_text()
                relay.config.write_text(text.replace('"smtp.localhost.example"', '"mx.localhost.example"'))
                relay.start()
                assert wait_until(lambda: "mx.localhost.example" in (served(relay, certificates) or []), 60, 0.2), relay.output() + str(authority.log)
                equal((len(authority.orders), len(authority.accounts)), (2, 1))


def it_serves_on_when_the_authority_does_not_believe_it():
    with Certificates() as certificates, Sink() as sink:
        certificates.issue("authority", ["localhost"])
        # Challenges go to a port where nobody answers.
        with Authority(certificates.path("ca.pem"), certificates.path("ca.key"), certificates.path("authority.pem"),
                       certificates.path("authority.key"), free_port()) as authority:
            extra = table(authority, certificates, free_port(), ("relay.localhost.example",))
            with Relay(sink.address, listener='tls = "starttls"', extra=extra) as relay:
                assert wait_until(lambda: "ACME order failed" in relay.output(), 60), relay.output()
                contains(relay.output(), "the authority does not authorise relay.localhost.example: found")
                contains(relay.http("/metrics")[1], 'sekisho_acme_orders_total{result="failed"} 1')
                equal(served(relay, certificates), None, "the stand-in does not verify")
                with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
                    client._host = "relay.localhost.example"
                    client.starttls(context=ssl._create_unverified_context())
                    client.sendmail(*WHO, MESSAGE)
                equal(len(sink.wait(1)), 1)
