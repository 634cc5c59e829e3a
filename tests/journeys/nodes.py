"""Journeys of relays on PostgreSQL: one as on SQLite, two on one database, what they decide together, and a database
that goes away."""

import email
import email.policy
import itertools
import os
import re
import shutil
import tempfile
import threading
import time
from email.utils import formatdate
from pathlib import Path

from tests.journeys.acme import served, table
from tests.journeys.auth_in import PASSWORD, Guarded, auth
from tests.journeys.tls_in import Certificates
from tests.rig.acme import Authority
from tests.rig.check import contains, equal
from tests.rig.ports import free_port
from tests.rig.postgres import Cluster
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink
from tests.rig.visitor import Browser

FIVE = [f"person{number}@company{number}.example" for number in range(5)]
numbers = itertools.count()


def mail(people, text="hello"):
    """A mail to these people, which no other is."""
    number = next(numbers)
    return (
        f"From: hanako.sato@example.co.jp\r\nTo: {', '.join(people)}\r\nSubject: mail {number}\r\n"
        f"Message-ID: <{number}.{time.time()}@example.co.jp>\r\nDate: {formatdate()}\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
    ).encode()


def key():
    """Where the journal's key is: both nodes have the same."""
    return Path(tempfile.mkdtemp(prefix="sekisho-key-")) / "journal-key"


def nodes(cluster, sink, *names):
    """Relays that share the database."""
    shared = key()
    return [Relay(f"127.0.0.1:{sink.port}", store=cluster.store(name, shared)) for name in names]


def body_of(taken):
    """Its text, decoded."""
    parsed = email.message_from_bytes(taken.content, policy=email.policy.default)
    return "\n".join(part.get_content() for part in parsed.walk() if part.get_content_type() == "text/plain").encode()


def real(sink):
    """What arrived, but for the relays' own notices."""
    return [taken for taken in sink.taken if taken.sender]


def it_delivers_holds_and_releases_on_postgresql():
    with Cluster() as cluster, Sink() as sink:
        (relay,) = nodes(cluster, sink, "one")
        with relay:
            contains(relay.send(mail(["a@x.example"]), ["a@x.example"]), "250 2.0.0 queued as")
            assert wait_until(lambda: len(real(sink)) == 1), relay.output()
            answer = relay.send(mail(FIVE), FIVE)
            contains(answer, "held as")
            equal(len(relay.held()), 1)
            relay.cli("held", "release", id_of(answer), "--as", "split")
            assert wait_until(lambda: len(real(sink)) == 6), relay.output()
            equal(sorted(to for one in real(sink)[1:] for to in one.recipients), sorted(FIVE))
            contains(relay.cli("audit", "verify").stdout, "entries")
            contains(relay.cli("check").stdout, "sekisho at 127.0.0.1")


def it_shares_a_database_with_another_relay():
    with Cluster() as cluster, Sink() as sink:
        one, two = nodes(cluster, sink, "one", "two")
        with one, two:
            answer = one.send(mail(FIVE), FIVE)
            contains(answer, "held as")
            equal([row["id"] for row in two.held()], [id_of(answer)])
            began = time.time()
            two.cli("held", "release", id_of(answer), "--as", "split")
            assert wait_until(lambda: len(real(sink)) == 5, 10), one.output() + two.output()
            assert time.time() - began < 5
            equal(sorted(to for taken in real(sink) for to in taken.recipients), sorted(FIVE))
            # the same mail at both is kept once
            again = mail(["b@y.example"])
            equal({one.send(again, ["b@y.example"], as_it_is=True)[:3], two.send(again, ["b@y.example"], as_it_is=True)[:3]}, {"250"})
            assert wait_until(lambda: len(real(sink)) == 6)
            time.sleep(1)
            equal(len(real(sink)), 6)
            listed = {row["name"]: row["here"] for row in one.json("node", "list")}
            assert wait_until(lambda: len(one.json("node", "list")) == 2, 30), listed
            one.stop()
            contains(two.send(mail(["c@z.example"]), ["c@z.example"]), "250")
            assert wait_until(lambda: len(real(sink)) == 7), two.output()


def it_refuses_a_name_that_another_relay_has():
    with Cluster() as cluster, Sink() as sink:
        one, two = nodes(cluster, sink, "one", "one")
        with one:
            two.start(wait=False)
            two.process.wait(30)
            contains(two.output(), "another relay named one")


def it_says_451_while_the_database_is_gone():
    with Cluster() as cluster, Sink() as sink:
        (relay,) = nodes(cluster, sink, "one")
        with relay:
            contains(relay.send(mail(["a@x.example"]), ["a@x.example"]), "250")
            cluster.stop()
            contains(relay.send(mail(["b@x.example"]), ["b@x.example"]), "451 4.3.0")
            equal(relay.http("/readyz")[0], 503)
            cluster.start()
            assert wait_until(lambda: relay.send(mail(["c@x.example"]), ["c@x.example"]).startswith("250"), 20, 0.5)
            assert wait_until(lambda: relay.http("/readyz")[0] == 200, 20, 0.5)
            assert wait_until(lambda: any("c@x.example" in one.recipients for one in real(sink)), 20), relay.output()


def it_loses_nothing_when_a_node_is_killed():
    with Cluster() as cluster, Sink() as sink:
        one, two = nodes(cluster, sink, "one", "two")
        with one, two:
            accepted, stopping = set(), threading.Event()

            def load(relay, name):
                number = 0
                while not stopping.is_set():
                    to = f"{name}{number}@x.example"
                    try:
                        if relay.send(mail([to]), [to]).startswith("250"):
                            accepted.add(to)
                    except (OSError, AssertionError, EOFError, Exception):  # noqa: BLE001 the relay was killed
                        time.sleep(0.05)
                    number += 1

            threads = [threading.Thread(target=load, args=(relay, f"{name}{thread}-"), daemon=True)
                       for relay, name in ((one, "a"), (two, "b")) for thread in range(3)]
            for thread in threads:
                thread.start()
            assert wait_until(lambda: len(accepted) >= 20, 30), one.output()
            one.kill()
            at_the_kill = len(accepted)
            assert wait_until(lambda: len(accepted) >= at_the_kill + 20, 30), two.output()
            stopping.set()
            for thread in threads:
                thread.join()

            def missing():
                return accepted - {to for taken in real(sink) for to in taken.recipients}

            # what the dead node had claimed is taken over when its lease is over
            assert wait_until(lambda: not missing(), 150, 0.5), (len(accepted), sorted(missing()))


def it_says_what_a_database_must_not_be():
    with Cluster(authentication="scram-sha-256") as cluster:
        for extra, words in [
            ("", ["password_file"]),
            ('password_file = "wrong"', ["the password of sekisho is wrong"]),
        ]:
            relay = Relay("127.0.0.1:9", store=cluster.store("one", key(), extra))
            (relay.folder / "wrong").write_text("falsch\n")
            relay.start(wait=False)
            relay.process.wait(30)
            for word in words:
                contains(relay.output(), word)
            assert "falsch" not in relay.output()
            relay.stop()
        cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "postgres")
        cluster.sql("CREATE DATABASE hasty", "postgres")
        cluster.sql("ALTER DATABASE hasty SET synchronous_commit = off", "postgres")
        cluster.sql("CREATE DATABASE other", "postgres")
        cluster.sql("CREATE TABLE theirs (a int)", "other")
        cluster.sql("CREATE DATABASE frozen", "postgres")
        cluster.sql("ALTER DATABASE frozen SET default_transaction_read_only = on", "postgres")
        for database, words in [
            ("latin", ["encoding LATIN1", "UTF8"]),
            ("hasty", ["synchronous_commit is off"]),
            ("other", ["some other program"]),
            ("frozen", ["read-only"]),
            ("missing", ["createdb"]),
        ]:
            store = cluster.store("one", key(), 'password_file = "right"').replace("/sekisho?", f"/{database}?")
            relay = Relay("127.0.0.1:9", store=store)
            (relay.folder / "right").write_text("geheim\n")
            relay.start(wait=False)
            relay.process.wait(30)
            for word in words:
                contains(relay.output(), word)
            assert "panicked" not in relay.output() and "geheim" not in relay.output(), relay.output()
            relay.stop()
        plain = cluster.store("one", key(), 'password_file = "right"').replace("sslmode=disable", "sslmode=require")
        relay = Relay("127.0.0.1:9", store=plain)
        (relay.folder / "right").write_text("geheim\n")
        relay.start(wait=False)
        relay.process.wait(30)
        contains(relay.output(), "cannot be secured")


def it_copies_a_store_there_and_back():
    with Cluster() as cluster, Sink() as sink:
        shared = key()
        with Relay(f"127.0.0.1:{sink.port}") as old:
            old.send(mail(["a@x.example"]), ["a@x.example"])
            held = id_of(old.send(mail(FIVE), FIVE))
            old.send(mail(["b@x.example"], ("x" * 76 + "\r\n") * 10_000), ["b@x.example"])
            assert wait_until(lambda: len(real(sink)) == 2), old.output()
            old.stop()
            with Relay(f"127.0.0.1:{sink.port}", store=cluster.store("one", shared), start=False) as new:
                copied = new.json("store", "copy", f"sqlite:{old.folder}/sekisho.db", cluster.url())
                assert copied["rows"]["messages"] >= 3, copied  # and the relay's own notices
                equal(copied["bodies"], 1)
                equal(copied["chain"]["broken"], None)
                new.start()
                equal([row["id"] for row in new.held()], [held])
                new.cli("held", "release", held, "--as", "split")
                assert wait_until(lambda: len(real(sink)) == 7), new.output()
                new.stop()
                back = new.json("store", "copy", cluster.url(), f"sqlite:{new.folder}/back.db")
                assert back["rows"]["messages"] >= copied["rows"]["messages"], back
                equal(back["bodies"], 1)
                equal(back["chain"]["broken"], None)


def it_exempts_nothing_once_a_circle_has_ended_on_either_relay():
    with Cluster() as cluster, Sink() as sink:
        one, two = nodes(cluster, sink, "one", "two")
        with one, two:
            one.cli("circle", "make", "fair", *FIVE)
            contains(two.send(mail(FIVE), FIVE), "250 2.0.0 queued as")
            # mail goes on at the other relay while the circle ends at this one
            said, stopping = [], threading.Event()

            def load():
                while not stopping.is_set():
                    began = time.time()
                    said.append((began, two.send(mail(FIVE), FIVE)))

            threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
            for thread in threads:
                thread.start()
            assert wait_until(lambda: len(said) >= 5, 30), two.output()
            (circle,) = one.json("circle", "list")
            one.cli("circle", "end", str(circle["id"]))
            ended = time.time()
            assert wait_until(lambda: sum(began >= ended for began, _ in said) >= 5, 30), two.output()
            stopping.set()
            for thread in threads:
                thread.join()
            before = [answer for began, answer in said if began < ended and "held as" not in answer]
            after = [answer for began, answer in said if began >= ended]
            assert before and after, said
            assert all("held as" in answer for answer in after), after
            contains(one.send(mail(FIVE), FIVE), "held as")


def it_keeps_two_relays_to_one_rate_towards_an_upstream():
    with Cluster() as cluster, Sink() as sink:
        shared = key()
        one, two = [Relay(f"127.0.0.1:{sink.port}", store=cluster.store(name, shared),
                          upstream_extra='tls = "off"\nrate = "12/min"') for name in ("one", "two")]
        with one, two:
            started = time.time()
            for number in range(30):
                to = f"rate{number}@x.example"
                contains((one, two)[number % 2].send(mail([to]), [to]), "250")
            assert wait_until(lambda: len(real(sink)) >= 12, 20), one.output() + two.output()
            time.sleep(6)
            most = 12 + (time.time() - started) / 5 + 1
            assert len(real(sink)) <= most, f"{len(real(sink))} of {most}"
            two.stop()
            two.start()
            # a restart gives nothing away, and each goes in its turn
            assert wait_until(lambda: len(real(sink)) >= 16, 30, 0.2), one.output() + two.output()
            assert len(real(sink)) <= 12 + (time.time() - started) / 5 + 1
            waiting = [line for line in one.http("/metrics")[1].splitlines() if line.startswith("sekisho_upstream_paced{")]
            assert waiting, "no metric"


def it_keeps_two_relays_to_one_sending_budget():
    with Cluster() as cluster, Sink() as sink:
        shared = key()
        one, two = [Relay(f"127.0.0.1:{sink.port}", store=cluster.store(name, shared),
                          upstream_extra='tls = "off"\nbudget = "20/day"') for name in ("one", "two")]
        with one, two:
            said = []
            for number in range(30):
                to = f"budget{number}@x.example"
                said.append((one, two)[number % 2].send(mail([to]), [to]))
            equal((sum("queued as" in answer for answer in said), sum("held as" in answer for answer in said)), (20, 10))
            assert all("queued as" in answer for answer in said[:20]), said
            one.stop()
            one.start()
            to = "budget@x.example"
            contains(one.send(mail([to]), [to]), "held as")


def it_evaluates_few_guesses_at_two_relays_together():
    with Cluster() as cluster, Sink() as sink:
        shared = key()
        one, two = [Guarded(sink.address, store=cluster.store(name, shared)) for name in ("one", "two")]
        with one, two:
            one.signed_in(source="127.0.0.30").quit()
            said = []
            for number in range(60):
                with (one, two)[number % 2].secured(f"127.0.0.{40 + number % 20}") as client:
                    said.append(auth(client, "hanako", f"guess number {number}"))
            equal((said.count("535 5.7.8"), said.count("454 4.7.0")), (20, 40))
            for relay in (one, two):
                with relay.secured("127.0.0.41") as client:
                    equal(auth(client, "hanako", PASSWORD), "454 4.7.0", "the right password from where guesses come")
            one.signed_in(source="127.0.0.30").quit()


def it_follows_a_link_once_at_two_relays():
    with Cluster() as cluster, Sink() as sink:
        one, two = nodes(cluster, sink, "one", "two")
        with one, two:
            contains(one.send(mail(FIVE), FIVE), "held as")

            def found():
                return [link for taken in sink.taken if not taken.sender
                        for link in re.findall(rb"http://127.0.0.1:\d+(/l/[A-Za-z0-9_-]{40,})", body_of(taken))]

            assert wait_until(found, 40, 0.2), one.output() + two.output()
            link = found()[0].decode()
            pages = []

            def follow(relay):
                browser = Browser(f"http://127.0.0.1:{relay.desk}")
                browser.open(link)
                pages.append(browser.follow(browser.post(link)))

            threads = [threading.Thread(target=follow, args=(relay,)) for relay in (one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            equal([page.status for page in pages], [200, 200])
            assert wait_until(lambda: len(real(sink)) == 5, 20), [page.body[:2000] for page in pages]
            time.sleep(1)
            equal(sorted(to for taken in real(sink) for to in taken.recipients), sorted(FIVE))
            equal(one.held(), [])


def it_orders_one_certificate_for_two_relays():
    with Cluster() as cluster, Certificates() as certificates, Sink() as sink:
        certificates.issue("authority", ["localhost"])
        ports = [free_port(), free_port()]
        # the authority asks the second relay, whichever ordered
        with Authority(certificates.path("ca.pem"), certificates.path("ca.key"), certificates.path("authority.pem"),
                       certificates.path("authority.key"), ports[1], patience=60) as authority:
            shared, domains = key(), ("relay.localhost.example",)
            one, two = [Relay(sink.address, listener='tls = "starttls"', store=cluster.store(name, shared),
                              extra=table(authority, certificates, port, domains))
                        for name, port in zip(("one", "two"), ports)]
            with one, two:
                for relay in (one, two):
                    assert wait_until(lambda relay=relay: served(relay, certificates) == list(domains), 90, 0.5), \
                        one.output() + two.output() + str(authority.log)
                equal(authority.log.count("/newOrder"), 1)
                equal([(relay.folder / "acme" / f"{domains[0]}.pem").read_text() for relay in (one, two)][0],
                      (two.folder / "acme" / f"{domains[0]}.pem").read_text())


def it_refuses_a_certificate_that_is_not_the_databases():
    with Certificates() as certificates, Sink() as sink:
        certificates.issue("database", ["db.example"])
        folder = Path(tempfile.mkdtemp(prefix="sekisho-pg-tls-"))
        for name in ("database.pem", "database.key"):
            shutil.copy(certificates.path(name), folder / name)
            (folder / name).chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(folder / name, "nobody", "nogroup")
        folder.chmod(0o755)
        tls = ["ssl=on", f"ssl_cert_file={folder}/database.pem", f"ssl_key_file={folder}/database.key"]
        with Cluster(settings=tls) as cluster:
            authority = str(certificates.path("ca.pem"))
            for mode, roots, words in [
                ("require", "", None),
                ("verify-full", "", ["certificate is not accepted", "sslrootcert"]),
                # the authority is right, the host is not the one that the certificate names
                ("verify-full", f"&sslrootcert={authority}", ["certificate is not accepted", "the host"]),
            ]:
                store = cluster.store("one", key()).replace("sslmode=disable", f"sslmode={mode}{roots}")
                relay = Relay(f"127.0.0.1:{sink.port}", store=store, start=False)
                with relay:
                    relay.start(wait=words is None)
                    if words is None:
                        contains(relay.send(mail(["a@x.example"]), ["a@x.example"]), "250")
                        continue
                    relay.process.wait(30)
                    for word in words:
                        contains(relay.output(), word)
                    assert "panicked" not in relay.output()


def it_shows_the_same_totals_at_two_relays():
    with Cluster() as cluster, Sink() as sink:
        one, two = nodes(cluster, sink, "one", "two")
        with one, two:
            for number in range(6):
                to = f"totals{number}@x.example"
                contains((one, one, two)[number % 3].send(mail([to]), [to]), "250")
            contains(two.send(mail(FIVE), FIVE), "held as")
            assert wait_until(lambda: len(real(sink)) == 6, 20)

            def lines(relay, *names):
                text = relay.http("/metrics")[1].splitlines()
                return sorted(line for line in text if line.startswith(tuple(f"sekisho_{name}" for name in names)))

            read = ("accepted_total", "exposures_prevented_total", "would_", "held{", "deliveries{", "deliveries_ended_total")
            assert wait_until(lambda: lines(one, *read) == lines(two, *read) and lines(one, *read), 20, 0.5), \
                (lines(one, *read), lines(two, *read))
            contains("\n".join(lines(one, *read)), 'sekisho_accepted_total{action="pass"} 6')
            queued = [int(line.rsplit(" ", 1)[1]) for relay in (one, two)
                      for line in lines(relay, 'answers_total{answer="queued"')]
            equal(queued, [4, 2])
