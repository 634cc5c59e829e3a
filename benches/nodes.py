#!/usr/bin/env python3
"""One relay on SQLite, one on PostgreSQL, two that share it: how much mail a second, and what a message takes on disk.

    python3 benches/nodes.py [--rounds 3] [--count 4000] [--speed | --sizes] [--markdown FILE]

Stores and databases are made in $TMPDIR, so that all are on the same disk; PostgreSQL is Debian's, with its own
settings but for the size of its log. The release build is measured, or what SEKISHO_BIN and SEKISHO_TOOLS name. Speed
is from the generator's start to the sink's last copy, the configurations in turn, round after round: medians, with the
lowest and highest, and ratios of the medians. Sizes: so many messages, then what tables and files have grown by.
"""

import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from tests.rig.postgres import Cluster  # noqa: E402
from tests.rig.relay import TARGET, Relay, tool, wait_until  # noqa: E402

SPLIT = '[[rule]]\nname = "split"\nwhen = { subject = { contains = ["[split]"] } }\ndemand = "split"\n'
KIB = 1024
# What the sizes are measured of: a name, octets, recipients (more than one are split), how many of them.
MAILS = [("4 KiB to one", 4 * KIB, 1, 1.0), ("4 KiB to twelve, split", 4 * KIB, 12, 0.25), ("100 KiB to one", 100 * KIB, 1, 0.25), ("1 MiB to one", 1024 * KIB, 1, 0.05)]
# Tables whose rows go with a mail's content after `keep.contents`; all others stay for `keep.messages`.
CONTENTS = {"contents", "bodies", "chunks"}


class Sink:
    """The sink as a process that logs each transaction."""

    def __enter__(self):
        self.log = Path(tempfile.mkstemp(prefix="sekisho-sink-")[1])
        self.process = subprocess.Popen([tool("sink"), "--log", str(self.log)], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.unlink()

    def copies(self):
        """How many copies came, and when the last did, in microseconds."""
        lines = [line for line in self.log.read_text().splitlines() if " <> " not in line]
        return len(lines), int(lines[-1].split()[0]) if lines else 0


def generate(targets, **options):
    """Runs the generator; returns its JSON."""
    words = [tool("generate"), *[word for target in targets for word in ("--target", target)]]
    for key, value in options.items():
        words += [f"--{key}", str(value)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1800)
    assert done.returncode == 0, f"{done.stdout} {done.stderr}"
    return json.loads(done.stdout)


@contextlib.contextmanager
def site(kind, sink):
    """The relays of one configuration: `sqlite`, `postgres` or `two`. Their addresses, the first relay, the cluster."""
    with contextlib.ExitStack() as stack:
        more = {"upstream_extra": 'tls = "off"\nconnections = 50', "env": {"RUST_LOG": "warn,sekisho=info"},
                "extra": "[limits]\nsessions = 2000\nsessions_per_client = 2000\n", "policy": SPLIT, "start": False}
        cluster = None
        if kind == "sqlite":
            relays = [stack.enter_context(Relay(sink.address, **more))]
        else:
            cluster = stack.enter_context(Cluster(["max_wal_size=4GB", "checkpoint_timeout=30min"]))
            key = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "journal-key"
            names = ("one", "two") if kind == "two" else ("one",)
            relays = [stack.enter_context(Relay(sink.address, store=cluster.store(name, key), **more)) for name in names]
        for relay in relays:
            relay.start()
        yield [f"127.0.0.1:{relay.port}" for relay in relays], relays[0], cluster


def rate(kind, sessions, count):
    """Messages a second through one configuration."""
    with Sink() as sink, site(kind, sink) as (targets, relay, _):
        generate(targets, count=max(20, count // 20), sessions=10, size=4096, prefix="warm")
        warm = max(20, count // 20)
        assert wait_until(lambda: sink.copies()[0] >= warm, 300, 0.05), relay.output()
        run = generate(targets, count=count, sessions=sessions, size=4096)
        assert wait_until(lambda: sink.copies()[0] >= warm + count, 600, 0.05), f"{sink.copies()} {relay.output()}"
        return count / ((sink.copies()[1] - run["started"]) / 1e6)


def spread(values):
    """Median, lowest and highest."""
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def speed(options):
    """The table of speeds."""
    lines = ["| 4 KiB, messages/s | SQLite | PostgreSQL | ratio | two nodes on it | ratio to one node |", "|---|---|---|---|---|---|"]
    for sessions in (10, 100):
        found = {kind: [] for kind in ("sqlite", "postgres", "two")}
        for number in range(options.rounds):
            for kind in list(found) if number % 2 == 0 else reversed(found):
                found[kind].append(rate(kind, sessions, options.count))
            print(f"  {sessions} sessions, round {number + 1}: " + ", ".join(f"{k} {v[-1]:.4g}" for k, v in found.items()), file=sys.stderr, flush=True)
        middle = {kind: statistics.median(values) for kind, values in found.items()}
        lines.append(f"| over {sessions} sessions | {spread(found['sqlite'])} | {spread(found['postgres'])} | {middle['postgres'] / middle['sqlite']:.2f}× "
                     f"| {spread(found['two'])} | {middle['two'] / middle['postgres']:.2f}× |")
    return "\n".join(lines)


def sqlite_tables(relay):
    """Octets by table with its indexes, and of files beside the database."""
    database = relay.folder / "sekisho.db"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        owner = dict(db.execute("SELECT name, tbl_name FROM sqlite_schema"))
        sizes = {}
        for name, size in db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
            table = owner.get(name, name)
            sizes[table] = sizes.get(table, 0) + size
    sizes["bodies"] = sum(path.stat().st_size for folder in relay.folder.glob("*bodies*") for path in folder.rglob("*") if path.is_file())
    return sizes


def postgres_tables(cluster):
    """Octets by table with its parts, its indexes and what is stored out of line."""
    rows = cluster.sql("SELECT coalesce(pg_partition_root(oid)::regclass::text, relname), sum(pg_total_relation_size(oid)) FROM pg_class "
                       "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1")
    return {name: int(size) for name, size in (row.split("|") for row in rows.splitlines())}


def sizes(options):
    """The table of sizes."""
    lines = ["| a message, KiB | store | in all | content, kept 30 days | records, kept 400 days | written to the log |", "|---|---|---|---|---|---|"]
    details = []
    for name, octets, recipients, share in MAILS:
        count = max(20, int(options.count * share))
        for kind in ("sqlite", "postgres"):
            with Sink() as sink, site(kind, sink) as (targets, relay, cluster):
                load = {"size": octets, "recipients": recipients, "subject": "[split] x" if recipients > 1 else "x"}

                def measured():
                    if kind == "postgres":
                        # Without what updates left behind, which autovacuum makes room of.
                        cluster.sql("VACUUM FULL")
                        return postgres_tables(cluster), int(cluster.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").split(".")[0])
                    relay.stop()
                    with contextlib.closing(sqlite3.connect(relay.folder / "sekisho.db")) as db:
                        db.execute("VACUUM")
                    found = sqlite_tables(relay)
                    relay.start()
                    return found, 0

                generate(targets, count=20, sessions=10, prefix="warm", **load)
                assert wait_until(lambda: sink.copies()[0] >= 20 * recipients, 300, 0.05), relay.output()
                before, _ = measured()
                wal = int(cluster.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").split(".")[0]) if cluster else 0
                generate(targets, count=count, sessions=10, **load)
                assert wait_until(lambda: sink.copies()[0] >= (20 + count) * recipients, 600, 0.05), relay.output()
                assert wait_until(lambda: relay.queue() == [], 60, 0.2), relay.queue()[:2]
                logged = int(cluster.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").split(".")[0]) - wal if cluster else 0
                after, _ = measured()
            grown = {table: (size - before.get(table, 0)) / count / KIB for table, size in after.items() if size != before.get(table, 0)}
            content = sum(size for table, size in grown.items() if table in CONTENTS)
            whole = sum(grown.values())
            lines.append(f"| {name} | {'SQLite' if kind == 'sqlite' else 'PostgreSQL'} | {whole:.1f} | {content:.1f} | {whole - content:.2f} "
                         f"| {f'{logged / count / KIB:.1f}' if logged else ''} |")
            largest = sorted(grown.items(), key=lambda item: -item[1])[:6]
            details.append(f"  {name}, {kind}, {count}: " + ", ".join(f"{table} {size:.2f}" for table, size in largest))
            print(details[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--speed", action="store_true", help="only speed")
    parser.add_argument("--sizes", action="store_true", help="only sizes")
    parser.add_argument("--markdown", help="writes the tables into this file as well")
    options = parser.parse_args()
    if "SEKISHO_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--bin", "sekisho", "--examples"], cwd=TOP, check=True)
        os.environ["SEKISHO_BIN"] = str(TARGET / "release" / "sekisho")
    tables = [table(options) for table, wanted in ((speed, options.speed), (sizes, options.sizes)) if wanted or not (options.speed or options.sizes)]
    print("\n\n".join(tables))
    if options.markdown:
        Path(options.markdown).write_text("\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
