"""Runs the real binary: a configuration in a temporary folder, `serve`, commands, shutdown.

The binary is cargo's `debug/sekisho`, or the one that SEKISHO_BIN names.
"""

import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.rig.ports import free_port

TOP = Path(__file__).resolve().parents[2]
# Where cargo builds.
TARGET = TOP / os.environ.get("CARGO_TARGET_DIR", "target")
DEFAULT_POLICY = TOP / "policy" / "default.toml"


def binary():
    """The program under test."""
    return os.environ.get("SEKISHO_BIN", str(TARGET / "debug" / "sekisho"))


def tool(name):
    """A load tool (an example of the crate), the release build where there is one."""
    if folder := os.environ.get("SEKISHO_TOOLS"):
        return str(TOP / folder / name)
    for profile in ("release", "debug"):
        path = TARGET / profile / "examples" / name
        if path.exists():
            return str(path)
    raise AssertionError(f"{name} is not built: cargo build --example {name}")


def installed(name):
    """A program that came with the packages of requirements.txt."""
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"{name} is not beside {sys.executable}: pip install -r tests/requirements.txt"
    return str(path)


def wait_until(what, seconds=15, every=0.02):
    """Waits for `what()` to be true and gives its value; the last value when time is over."""
    until = time.time() + seconds
    while True:
        value = what()
        if value or time.time() > until:
            return value
        time.sleep(every)


class Relay:
    """One relay with a folder, a port and an upstream; use as a context manager."""

    # Relays that are running, for inspection; and whether each prints its log to standard error at its end.
    running, shows_log = set(), False

    def __init__(self, upstream, policy=None, mode="enforce", extra="", listener="", folder=None, env=None,
                 policy_extra="", start=True, upstream_extra='tls = "off"', organisation="", desk_extra="",
                 store='url = "sqlite:sekisho.db"'):
        self.folder = Path(folder or tempfile.mkdtemp(prefix="sekisho-"))
        self.own_folder = folder is None
        self.port, self.desk = free_port(), free_port()
        self.upstream, self.env = upstream, env or {}
        if policy is None:
            policy_file = DEFAULT_POLICY
        else:
            policy_file = self.folder / "policy.toml"
            policy_file.write_text(policy)
        self.config = self.folder / "sekisho.toml"
        if "grace" not in desk_extra:
            desk_extra += '\ngrace = "0s"'  # released mail is sent at once
        if "sender_first" not in policy_extra:
            policy_extra += '\nsender_first = "0s"'  # approvers are told at once
        self.config.write_text(
            f'[organisation]\ndomains = ["example.co.jp"]\n{organisation}\n'
            f'[[listener]]\naddress = "127.0.0.1:{self.port}"\nallow = ["127.0.0.1/32"]\n{listener}\n'
            f'[upstream]\naddress = "{upstream}"\n{upstream_extra}\n'
            f'[store]\n{store}\n'
            f'[desk]\naddress = "127.0.0.1:{self.desk}"\nurl = "http://127.0.0.1:{self.desk}"\n{desk_extra}\n'
            f'[policy]\nfiles = ["{policy_file}"]\nmode = "{mode}"\n{policy_extra}\n{extra}\n'
        )
        self.log = Path(tempfile.mkstemp(prefix="sekisho-log-")[1])  # not on the store's disk, which may be full
        self.process, self.through = None, []  # a program, such as strace, that starts `serve`
        self.sent = {}  # how often each Message-ID went
        self._start = start

    def __enter__(self):
        if self._start:
            self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.running.discard(self)
        if self.shows_log and (text := self.output()):
            print(f"---- log of the relay at port {self.port}\n{text}\n----", file=sys.stderr)
        self.log.unlink(missing_ok=True)
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, wait=True):
        """Starts `serve` and waits until it is ready."""
        self.running.add(self)
        self.seen = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [*self.through, binary(), "serve", "--config", str(self.config)], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
            )
        if wait and not wait_until(lambda: self.ready() or self.process.poll() is not None, 60, 0.005):
            raise AssertionError(f"the relay is not ready:\n{self.output()}")
        if wait and self.process.poll() is not None:
            raise AssertionError(f"the relay ended at start with {self.process.returncode}:\n{self.output()}")

    def ready(self):
        """Whether the log has said `ready` since the last start."""
        with open(self.log, "rb") as log:
            log.seek(self.seen)
            return re.search(rb"\bready\b", log.read()) is not None

    def output(self):
        """The last part of what it has logged."""
        return self.log.read_text("utf-8", "replace")[-4000:] if self.log.exists() else ""

    def stop(self, seconds=20):
        """SIGTERM, and waits; returns the exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed"

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def rss(self):
        """Resident memory in octets."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        return 0

    def cli(self, *arguments, ok=True, seconds=30):
        """Runs a command; returns the finished process."""
        done = subprocess.run(
            [binary(), *map(str, arguments), "--config", str(self.config)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=seconds, cwd=self.folder,
            env={**os.environ, **self.env}, text=True,
        )
        if ok and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments):
        """A command's JSON."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    def held(self, state="held"):
        """The held messages in one state (all of them with None)."""
        return [row for row in self.json("held", "list") if state is None or row["state"] == state]

    def queue(self):
        """The queue."""
        return self.json("queue", "list")

    def client(self, source=None):
        """A connection of Python's smtplib, greeted."""
        client = smtplib.SMTP(timeout=30, source_address=(source, 0) if source else None)
        client.connect("127.0.0.1", self.port)
        client.ehlo("client.example")
        return client

    def send(self, message, recipients, sender="hanako.sato@example.co.jp", options=(), rcpt_options=(), as_it_is=False):
        """One message by smtplib; returns the reply to the final dot. A Message-ID that was sent before is changed,
        so that it is a new mail, unless the message has to be sent unchanged.
        """
        if not as_it_is:
            message = self.another(message)
        client = self.client()
        try:
            code, text = client.mail(sender, options)
            assert code == 250, (code, text)
            for recipient in recipients:
                code, text = client.rcpt(recipient, rcpt_options)
                assert code == 250, (code, text)
            code, text = client.data(message)
            return f"{code} {text.decode()}"
        finally:
            client.close()

    def another(self, message):
        """The message, with a Message-ID that was not sent to this relay before."""
        found = re.search(rb"(?im)^message-id:\s*<([^>\r\n]*)>", message) if isinstance(message, bytes) else None
        if found is None:
            return message
        times = self.sent.get(found[1], 0)
        self.sent[found[1]] = times + 1
        at = found.start(1)
        return message if times == 0 else message[:at] + b"%d." % times + message[at:]

    def http(self, path):
        """A page of the desk: status and text."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.desk}{path}", timeout=5) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def id_of(answer):
    """The id in `250 2.0.0 queued as ID` or `held as ID: …`."""
    return answer.split(" as ", 1)[1].split(":")[0].split()[0]
