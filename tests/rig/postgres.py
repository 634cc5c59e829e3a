"""A PostgreSQL cluster of its own: made in a temporary folder, run by an unprivileged user, flushing to disk.

It needs Debian's `postgresql`, which `tests/run` installs.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.rig.ports import free_port

PROGRAMS = Path("/usr/lib/postgresql")
# Root may not run a server.
USER = "nobody"


def programs():
    """The folder of the newest version's programs."""
    found = sorted(PROGRAMS.glob("*/bin/initdb")) if PROGRAMS.exists() else []
    assert found, "these tests need PostgreSQL: apt-get install postgresql"
    return found[-1].parent


class Cluster:
    """One server; use as a context manager."""

    def __init__(self, settings=(), authentication="trust"):
        self.folder = Path(tempfile.mkdtemp(prefix="sekisho-pg-"))
        self.port, self.settings, self.authentication = free_port(), list(settings), authentication
        self.process = None

    def _as_user(self, *command):
        wrap = ["setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups"] if os.getuid() == 0 else []
        return [*wrap, *map(str, command)]

    def __enter__(self):
        if os.getuid() == 0:
            shutil.chown(self.folder, USER, "nogroup")
        secret = self.folder / "secret"
        secret.write_text("geheim\n")
        if os.getuid() == 0:
            shutil.chown(secret, USER, "nogroup")
        subprocess.run(
            self._as_user(
                programs() / "initdb", "-D", self.folder / "data", "--username=sekisho", "--encoding=UTF8",
                "--locale=C.UTF-8", "--no-instructions", f"--auth={self.authentication}", f"--pwfile={secret}",
            ),
            check=True, stdout=subprocess.DEVNULL, cwd="/",
        )
        self.start()
        self.sql("CREATE DATABASE sekisho", "postgres")
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Runs the server, and waits until it answers."""
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}",
                    "max_connections=100", *self.settings]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self._as_user(programs() / "postgres", "-D", self.folder / "data",
                              *[part for setting in settings for part in ("-c", setting)]),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
            )
        until = time.time() + 60
        while subprocess.run(
            [programs() / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)], cwd="/", check=False,
        ).returncode:
            assert self.process.poll() is None and time.time() < until, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def stop(self, how=signal.SIGINT):
        """Stops the server: SIGINT throws everybody out, SIGQUIT does not even tidy up."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def sql(self, text, database="sekisho"):
        """Runs SQL; its answer as text."""
        done = subprocess.run(
            [programs() / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "sekisho", "-d", database,
             "-h", self.folder, "-p", str(self.port), "-c", text],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", check=False,
            env={**os.environ, "PGPASSWORD": "geheim"},
        )
        assert done.returncode == 0, f"{text}: {done.stderr}"
        return done.stdout.strip()

    def url(self, database="sekisho", mode="disable"):
        """The address of a database."""
        return f"postgres://sekisho@127.0.0.1:{self.port}/{database}?sslmode={mode}"

    def store(self, node, key, extra=""):
        """A relay's `[store]`."""
        return f'url = "{self.url()}"\nnode = "{node}"\njournal_key_file = "{key}"\n{extra}'
