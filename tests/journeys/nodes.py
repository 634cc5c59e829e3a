"""Journeys of relays on PostgreSQL: one as on SQLite, two on one database, and a database that goes away."""

import itertools
import tempfile
import threading
import time
from email.utils import formatdate
from pathlib import Path

from tests.rig.check import contains, equal
from tests.rig.postgres import Cluster
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

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

            threads = [threading.Thread(target=load, args=(relay, f"{name}{thread}-"))
                       for relay, name in ((one, "a"), (two, "b")) for thread in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(2)
            one.kill()
            time.sleep(2)
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
