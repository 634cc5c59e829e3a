"""A PostgreSQL cluster of its own: made in a temporary folder, run by an unprivileged user, flushing to disk.

It needs Debian's `postgresql`, which `tests/run` installs.
"""

import atexit
import contextlib
import functools
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


def as_user(*command):
    """The command, run by the unprivileged user."""
    wrap = ["setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups"] if os.getuid() == 0 else []
    return [*wrap, *map(str, command)]


def owned(folder):
    """A new folder of that user's."""
    path = Path(tempfile.mkdtemp(prefix="sekisho-pg-", dir=folder))
    if os.getuid() == 0:
        shutil.chown(path, USER, "nogroup")
    return path


@functools.cache
def template(authentication):
    """The files of a new cluster with an empty database `sekisho`, made once by each process: the others are copies."""
    folder = owned(None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    secret = folder / "secret"
    secret.write_text("geheim\n")
    secret.chmod(0o644)
    subprocess.run(
        as_user(
            programs() / "initdb", "-D", folder / "data", "--username=sekisho", "--encoding=UTF8", "--locale=C.UTF-8",
            "--no-instructions", "--no-sync", f"--auth={authentication}", f"--pwfile={secret}",
        ),
        check=True, stdout=subprocess.DEVNULL, cwd="/",
    )
    # Without a server: the program itself executes what it reads.
    subprocess.run(
        as_user(programs() / "postgres", "--single", "-F", "-D", folder / "data", "postgres"),
        input=b"CREATE DATABASE sekisho;\n", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )
    return folder / "data"


class Cluster:
    """One server; use as a context manager. `inside` is where its folder is made."""

    def __init__(self, settings=(), authentication="trust", inside=None):
        self.folder = owned(inside)
        self.port, self.settings, self.authentication = free_port(), list(settings), authentication
        self.process, self.through = None, []  # a program, such as eatmydata, that starts the server

    def __enter__(self):
        self.make()
        self.start()
        return self

    def make(self):
        """Makes the cluster's files."""
        subprocess.run(["cp", "-a", template(self.authentication), self.folder / "data"], check=True)

    def __exit__(self, *_):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Runs the server, and waits until it answers."""
        if self.process is not None:
            # A file of the server before: by now its process id may be another program's.
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}",
                    "max_connections=100", *self.settings]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                as_user(*self.through, programs() / "postgres", "-D", self.folder / "data",
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
            self.resume()  # a paused server hears nothing
            self.process.wait(60)

    def processes(self):
        """The ids of the server's processes; the first is the postmaster's."""
        first = self.process.pid
        with contextlib.suppress(FileNotFoundError):
            return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        return [first]

    def signal_all(self, how):
        """Sends a signal to every process of the server, to the postmaster first, so that it makes no more."""
        self.process.send_signal(how)
        for one in self.processes()[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, how)

    def pause(self):
        """Stops every process; connections stay and nothing answers."""
        self.signal_all(signal.SIGSTOP)

    def resume(self):
        """Lets them go on."""
        self.signal_all(signal.SIGCONT)

    def kill(self, everything=False):
        """SIGKILL to the postmaster (or to everything, as when the machine stops), and waits for the last process."""
        there = self.processes()
        if everything:
            self.signal_all(signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        until = time.time() + 60
        while any(is_running(one) for one in there):
            assert time.time() < until, "processes of the database outlive it"
            time.sleep(0.02)

    def replica(self):
        """A streaming replica of this server, which every commit waits for from now on."""
        made = Replica(self)
        made.make()
        made.start()
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "postgres")
        self.sql("SELECT pg_reload_conf()", "postgres")
        until = time.time() + 30
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "postgres") != "1":
            assert time.time() < until, "the replica does not follow"
            time.sleep(0.05)
        return made

    def program(self, name, *words, feed=None):
        """Runs one of PostgreSQL's programs against this server; what it writes."""
        done = subprocess.run(
            [programs() / name, "-U", "sekisho", "-h", self.folder, "-p", str(self.port), *map(str, words)],
            input=feed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", check=False,
            env={**os.environ, "PGPASSWORD": "geheim"},
        )
        assert done.returncode == 0, f"{name}: {done.stderr.decode()}"
        return done.stdout

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

    def url(self, database="sekisho", mode="disable", port=None):
        """The address of a database, or of what stands before it at another port."""
        return f"postgres://sekisho@127.0.0.1:{port or self.port}/{database}?sslmode={mode}"

    def store(self, node, key, extra="", url=None):
        """A relay's `[store]`."""
        return f'url = "{url or self.url()}"\nnode = "{node}"\njournal_key_file = "{key}"\n{extra}'


class Replica(Cluster):
    """A streaming replica of another server."""

    def __init__(self, primary):
        super().__init__(primary.settings, primary.authentication)
        self.primary = primary

    def make(self):
        """Copies the primary's files."""
        subprocess.run(
            as_user(
                programs() / "pg_basebackup", "-D", self.folder / "data", "-U", "sekisho", "-h", "127.0.0.1", "-p", self.primary.port,
                "-R", "-X", "stream", "-c", "fast", "--no-sync",
            ),
            check=True, stdout=subprocess.DEVNULL, cwd="/", env={**os.environ, "PGPASSWORD": "geheim"},
        )

    def promote(self):
        """Makes it the primary."""
        assert self.sql("SELECT pg_promote(true, 60)", "postgres") == "t", "the replica was not promoted"


def is_running(process):
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
