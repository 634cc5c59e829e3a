#!/usr/bin/env python3
"""Sekisho beside Postfix: the same load into the same sink, in turn, round after round.

    python3 benches/run.py [--rounds 3] [--only WORD] [--markdown FILE]

Needs root and Debian's postfix (an instance of its own, in a temporary folder, as a pure relay with
in_flow_delay=0; both may open fifty connections to the sink). Builds the release binaries first. All traffic stays
on the loopback interface, every run is bounded in count. Each figure is the median of the rounds, with
the lowest and highest; the ratio is of the medians. Mail of 100 KiB and more is of the kinds that `benches/kinds`
makes by a seed; the headline is `letters`, lines that all look like base64. The ceilings at the end are what the
machine does without any relay: the generator into the sink, flushes of a file, copies in memory, SHA-256.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from tests.rig.ports import free_port  # noqa: E402
from tests.rig.relay import TARGET, Relay, wait_until  # noqa: E402

RELEASE = TARGET / "release"
MIB = 1 << 20
# The order of benches/kinds; the first is the headline.
KINDS = ["letters", "prose", "links", "html", "html-qp", "iso-2022-jp", "japanese", "japanese-base64", "random-file", "jpeg", "pdf", "docx",
         "csv-base64", "winmail", "signed", "newsletter", "thread"]


class Sink:
    """The Rust sink as a process, with its counters."""

    def __enter__(self):
        self.process = subprocess.Popen([RELEASE / "examples" / "sink"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, command):
        """Sends one of the sink's own commands."""
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as line:
            file = line.makefile("rwb")
            file.readline()
            file.write(command.encode() + b"\r\n")
            file.flush()
            return file.readline().decode()

    def counters(self):
        """The counters: messages, recipients, octets, first, last."""
        return {k: int(v) for k, v in (pair.split("=") for pair in self.ask("XSTAT").split()[1:])}


class Sekisho(Relay):
    """The relay with the shipped policy."""

    name = "sekisho"

    def __init__(self, sink, env=None, pair=None):
        os.environ["SEKISHO_BIN"] = str(RELEASE / "sekisho")
        tls = f'[tls]\ncertificates = [{{ chain = "{pair[0]}", key = "{pair[1]}" }}]\n' if pair else ""
        super().__init__(sink, upstream_extra='tls = "off"\nconnections = 50', env={"RUST_LOG": "warn,sekisho=info", **(env or {})},
                         listener='tls = "starttls"' if pair else "", extra=f"[limits]\nsessions = 12000\nsessions_per_client = 12000\n{tls}")
        self.address = f"127.0.0.1:{self.port}"

    def pids(self):
        """The process ids of the relay."""
        return [self.process.pid]


class Postfix:
    """Debian's Postfix, an instance of its own."""

    name = "postfix"

    def __init__(self, sink, env=None, pair=None):
        self.folder, self.env = Path(tempfile.mkdtemp(prefix="postfix-")), env or {}
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        queue, config, data = (self.folder / n for n in ("queue", "etc", "data"))
        for path in (queue, config, data):
            path.mkdir()
        self.folder.chmod(0o755)
        shutil.chown(data, "postfix")
        host, port = sink.rsplit(":", 1)
        imports = " ".join(["MAIL_CONFIG", "MAIL_DEBUG", "MAIL_LOGTAG", "TZ", "LANG=C", *(f"{k}={v}" for k, v in self.env.items())])
        (config / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {data}\ncommand_directory = /usr/sbin\n"
            "daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\nmyhostname = postfix.example\n"
            f"inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmydestination =\nmynetworks = 127.0.0.0/8\nrelayhost = [{host}]:{port}\n"
            "alias_maps =\nlocal_recipient_maps =\nlocal_transport = error:none\nin_flow_delay = 0\n"
            "default_destination_concurrency_limit = 50\ninitial_destination_concurrency = 50\nsmtp_destination_recipient_limit = 1\n"
            "smtp_destination_concurrency_failed_cohort_limit = 100\nmessage_size_limit = 200000000\nsmtpd_recipient_limit = 5000\n"
            "smtp_connection_cache_on_demand = yes\nsmtp_connection_cache_destinations = static:all\ndisable_dns_lookups = yes\n"
            "smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\nsmtpd_peername_lookup = no\n"
            f"default_process_limit = 1500\nmaillog_file = {self.folder}/log\nmaillog_file_prefixes = {self.folder}\nimport_environment = {imports}\nexport_environment = {imports}\n"
        )
        if pair:
            with open(config / "main.cf", "a") as main:
                main.write(f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {pair[1]}, {pair[0]}\nsmtpd_tls_loglevel = 0\n")
        lines = [
            f"127.0.0.1:{self.port} inet n - n - 1500 smtpd",
            "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
            "tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap", "smtp unix - - n - 50 smtp", "relay unix - - n - 50 smtp", "showq unix n - n - - showq",
            "error unix - - n - - error", "retry unix - - n - - error", "discard unix - - n - - discard",
            "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd",
        ]
        (config / "master.cf").write_text("\n".join(lines) + "\n")
        self.config = config

    def __enter__(self):
        done = subprocess.run(["postfix", "-c", self.config, "start"], env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0, 10), done.stdout.decode()
        self.master = int((self.folder / "queue" / "pid" / "master.pid").read_text())
        return self

    def __exit__(self, *_):
        subprocess.run(["postfix", "-c", self.config, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """The process ids of the master and its children."""
        children = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == self.master:
                    children.append(int(stat.parent.name))
            except (OSError, ValueError):
                pass
        return [self.master, *children]


def cpu(pids):
    """CPU seconds used by processes, their waited-for children included."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(int(fields[n]) for n in (11, 12, 13, 14))
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def resident(pids):
    """Private memory of processes in octets, so that shared pages are not counted twice."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean", "Private_Dirty")):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


def generate(target, **options):
    """Runs the generator; returns its JSON."""
    words = [str(RELEASE / "examples" / "generate"), "--target", target]
    for key, value in options.items():
        words += [f"--{key}", str(value)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=900)
    assert done.stdout and done.returncode == 0, f"{target}: {done.stdout} {done.stderr}"
    return json.loads(done.stdout)


def through(server, sink, copies, **options):
    """From the generator's start to the sink's last copy: seconds, and CPU seconds a message."""
    sink.ask("XRESET")
    before = cpu(server.pids())
    run = generate(server.address, **options)
    assert wait_until(lambda: sink.counters()["messages"] >= copies, 300, 0.02), f"{server.name}: {sink.counters()} of {copies}"
    seconds = (sink.counters()["last"] - run["started"]) / 1e6
    return seconds, max(cpu(server.pids()) - before, 0) / run["taken"], run


def spread(values, digits=3):
    """Median, lowest and highest."""
    return f"{statistics.median(values):.{digits}g} ({min(values):.{digits}g} to {max(values):.{digits}g})"


class Bench:
    """All rounds of all measures."""

    def __init__(self, options):
        self.options, self.rows = options, []

    def wanted(self, name):
        """Whether this measure was asked for."""
        return not self.options.only or self.options.only in name

    def measure(self, name, unit, better, figure, env=None, rounds=None, pair=None):
        """Runs `figure(server, sink)` for both servers in turn; adds a row. `better` is `more` or `less`.
        With a `pair` (certificate and key) both offer STARTTLS."""
        if not self.wanted(name):
            return
        figures = {Sekisho.name: [], Postfix.name: []}
        with Sink() as sink:
            for number in range(rounds or self.options.rounds):
                order = [Sekisho, Postfix] if number % 2 == 0 else [Postfix, Sekisho]
                for kind in order:
                    with kind(sink.address, env, pair) as server:
                        figures[kind.name].append(figure(server, sink))
                print(f"  {name}: round {number + 1}: " + ", ".join(f"{k} {v[-1]:.4g}" for k, v in figures.items()), file=sys.stderr, flush=True)
        ours, theirs = (statistics.median(figures[n]) for n in ("sekisho", "postfix"))
        ratio = (ours / theirs if better == "more" else theirs / ours) if ours and theirs else 0
        self.rows.append((name, unit, spread(figures["sekisho"], 4), spread(figures["postfix"], 4), f"{ratio:.1f}×"))

    def single(self, name, unit, values, note=""):
        """Adds a row without a comparison."""
        self.rows.append((name, unit, spread(values, 4), "", note))

    def table(self):
        """The rows as a Markdown table."""
        lines = ["| measure | unit | Sekisho | Postfix | ratio |", "|---|---|---|---|---|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows])


def rates(bench):
    """Throughput by size, CPU per message, latency."""
    spent = {}

    def rate(label, size, count, kind):
        def figure(server, sink):
            seconds, processor, _ = through(server, sink, count, count=count, size=size, sessions=10, kind=kind)
            spent.setdefault((label, server.name), []).append(processor * 1000)
            return count / seconds
        return figure

    for label, size, count, kind in (("4 KiB over 10 sessions", 4096, 12_000, "prose"), ("100 KiB of letters over 10 sessions", 102_400, 4000, "letters"),
                                     ("5 MiB of letters over 10 sessions", 5 * MIB, 60, "letters")):
        bench.measure(label, "messages/s", "more", rate(label, size, count, kind))
        if (label, "sekisho") in spent:
            ours, theirs = spent[label, "sekisho"], spent[label, "postfix"]
            bench.rows.append((f"{label}: CPU", "ms/message", spread(ours), spread(theirs), f"{statistics.median(theirs) / statistics.median(ours):.1f}×"))

    slow = {}

    def latency(server, sink):
        generate(server.address, count=50, sessions=1, mode="connect")
        run = generate(server.address, count=300, sessions=1, mode="connect")
        slow.setdefault(server.name, []).append(run["p99_us"] / 1000)
        return run["p50_us"] / 1000

    label = "from connecting to the 250, one session"
    bench.measure(f"{label}, p50", "ms", "less", latency)
    if slow:
        ratio = statistics.median(slow["postfix"]) / statistics.median(slow["sekisho"])
        bench.rows.append((f"{label}, p99", "ms", spread(slow["sekisho"]), spread(slow["postfix"]), f"{ratio:.1f}×"))


def splits(bench):
    """One message to many recipients, and how long the generator alone takes for as many transactions."""
    for copies in (50, 500):
        def split(server, sink, copies=copies):
            return through(server, sink, copies, count=1, recipients=copies, sessions=1)[0]

        bench.measure(f"one message, {copies} copies at the sink", "s", "less", split)

    def large(server, sink):
        return through(server, sink, 50, count=1, recipients=50, sessions=1, size=5 * MIB, kind="letters")[0]

    bench.measure("one message of 5 MiB of letters, 50 copies at the sink", "s", "less", large)
    if bench.wanted("500 transactions"):
        alone = []
        with Sink() as sink:
            for _ in range(bench.options.rounds):
                alone.append(generate(sink.address, count=500, sessions=10)["seconds"])
        bench.single("500 transactions, the generator alone", "s", alone)


def kinds(bench):
    """5 MiB of each kind, one session, passed: messages a second, and MiB a second of CPU."""
    for kind in KINDS:
        spent = {}

        def figure(server, sink, kind=kind, spent=spent):
            seconds, processor, _ = through(server, sink, 20, count=20, size=5 * MIB, sessions=1, kind=kind)
            spent.setdefault(server.name, []).append(5 / max(processor, 1e-6))
            return 20 / seconds

        label = f"5 MiB of {kind}, one session"
        bench.measure(label, "messages/s", "more", figure)
        if spent:
            ratio = statistics.median(spent["sekisho"]) / statistics.median(spent["postfix"])
            bench.rows.append((f"{label}: CPU", "MiB/s of CPU", spread(spent["sekisho"]), spread(spent["postfix"]), f"{ratio:.1f}×"))


def ceilings(bench):
    """The limits of the machine, without a relay between generator and sink."""
    for label, size, count, kind in (("4 KiB", 4096, 4000, "prose"), ("5 MiB of letters", 5 * MIB, 60, "letters")):
        name = f"ceiling: {label} over 10 sessions, the generator into the sink"
        if bench.wanted(name):
            with Sink() as sink:
                bench.single(name, "messages/s", [count / generate(sink.address, count=count, size=size, sessions=10, kind=kind)["seconds"]
                                                  for _ in range(bench.options.rounds)])
    name = "ceiling: a flush of 4 KiB (fsync)"
    if bench.wanted(name):
        with tempfile.NamedTemporaryFile(dir=os.environ.get("TMPDIR", "/tmp")) as file:
            def flushes():
                began, number = time.monotonic(), 0
                while time.monotonic() - began < 1:
                    os.pwrite(file.fileno(), b"x" * 4096, 4096 * number)
                    os.fsync(file.fileno())
                    number += 1
                return number / (time.monotonic() - began)
            bench.single(name, "flushes/s", [flushes() for _ in range(bench.options.rounds)])
    name = "ceiling: copies in memory"
    if bench.wanted(name):
        block = bytearray(64 * MIB)

        def copies():
            began = time.monotonic()
            bytes(block)
            return 64 / (time.monotonic() - began)
        bench.single(name, "MiB/s", [copies() for _ in range(bench.options.rounds)])
    name = "ceiling: SHA-256 (openssl speed)"
    if bench.wanted(name):
        done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "1", "-bytes", "16384", "-evp", "sha256"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=True)
        rate = float([line for line in done.stdout.splitlines() if line.startswith("+F")][0].split(":")[-1])
        bench.single(name, "MiB/s", [rate / MIB])


def slow_disk(bench):
    """Throughput with 5 ms added to each fsync."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shim = f"{folder}/slowsync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, TOP / "benches" / "load" / "slowsync.c", "-ldl"], check=True)
        env = {"LD_PRELOAD": shim, "SLOWSYNC_US": "5000"}
        for sessions, count in ((1, 100), (10, 1000), (100, 4000)):
            def figure(server, sink, sessions=sessions, count=count):
                return count / through(server, sink, count, count=count, sessions=sessions)[0]
            bench.measure(f"fsync + 5 ms, {sessions} sessions", "messages/s", "more", figure, env)


def memory(bench):
    """Memory of idle sessions, and of concurrent large messages."""
    def idle(server, sink):
        generate(server.address, count=20, sessions=5)
        before = resident(server.pids())
        process = subprocess.Popen([RELEASE / "examples" / "generate", "--target", server.address, "--sessions", "1000", "--mode", "idle"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert "1000" in process.stdout.readline()
        time.sleep(1)
        after = resident(server.pids())
        process.communicate("\n")
        return (after - before) / 1000 / 1024

    bench.measure("1,000 idle sessions", "KiB/session", "less", idle, rounds=3)

    def big(server, sink):
        most = 0
        process = subprocess.Popen([RELEASE / "examples" / "generate", "--target", server.address, "--sessions", "50", "--count", "50", "--size", str(25 * MIB)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None or sink.counters()["messages"] < 50:
            most = max(most, resident(server.pids()))
            time.sleep(0.05)
        sink.ask("XRESET")
        return most / MIB

    bench.measure("50 messages of 25 MiB at once", "MiB", "less", big, rounds=3)


def secured(bench):
    """Over TLS: mail, session setup, idle sessions. No session is resumed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        subprocess.run([RELEASE / "sekisho", "cert", "self-signed", "--name", "localhost", "--out", folder],
                       check=True, stdout=subprocess.DEVNULL)
        pair = (f"{folder}/localhost.pem", f"{folder}/localhost.key")

        def rate(server, sink):
            return 4000 / through(server, sink, 4000, count=4000, size=4096, sessions=10, tls="starttls")[0]

        bench.measure("4 KiB over 10 sessions, TLS", "messages/s", "more", rate, pair=pair)

        def setup(server, sink):
            generate(server.address, count=100, sessions=10, mode="greet", tls="starttls")
            return 2000 / generate(server.address, count=2000, sessions=10, mode="greet", tls="starttls")["seconds"]

        bench.measure("TLS sessions set up", "sessions/s", "more", setup, pair=pair)

        def idle(count):
            def figure(server, sink):
                generate(server.address, count=20, sessions=5, tls="starttls")
                before = resident(server.pids())
                process = subprocess.Popen(
                    [RELEASE / "examples" / "generate", "--target", server.address, "--sessions", str(count), "--mode", "idle", "--tls", "starttls"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                assert str(count) in process.stdout.readline()
                time.sleep(1)
                after = resident(server.pids())
                process.communicate("\n")
                return (after - before) / count / 1024
            return figure

        bench.measure("1,000 idle TLS sessions", "KiB/session", "less", idle(1_000), rounds=3, pair=pair)
        if bench.wanted("10,000 idle TLS sessions"):
            values = []
            with Sink() as sink:
                for _ in range(3):
                    with Sekisho(sink.address, None, pair) as server:
                        values.append(idle(10_000)(server, sink))
            bench.single("10,000 idle TLS sessions", "KiB/session", values)


def main():
    """Builds, measures, prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--bin", "sekisho", "--example", "sink", "--example", "generate"], cwd=TOP, check=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # ten thousand sessions are ten thousand files
    bench = Bench(options)
    for part in (rates, splits, kinds, slow_disk, memory, secured, ceilings):
        part(bench)
    print(bench.table())
    if options.markdown:
        Path(options.markdown).write_text(bench.table() + "\n")


if __name__ == "__main__":
    main()
