"""Ports of this process alone: tests run in several processes and several checkouts at the same time.

Each process takes a block of ports below those that the kernel uses for outgoing connections, and listens on the
block's first port while it runs, so that no other process takes the same block. For a fixed port, such as that of
HTTPS, `alone_with` keeps other processes away.
"""

import contextlib
import fcntl
import functools
import itertools
import socket
import tempfile
from pathlib import Path

FIRST, LAST, BLOCK = 10240, 32768, 256


@functools.cache
def block():
    """The socket that reserves our block, and the block's ports in a cycle."""
    for first in range(FIRST, LAST, BLOCK):
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
            guard.listen()
        except OSError:
            guard.close()
            continue
        return guard, itertools.cycle(range(first + 1, first + BLOCK))
    raise AssertionError(f"every block of ports from {FIRST} to {LAST} is taken")


def free_port(*hosts):
    """A port that nobody listens on at these addresses (127.0.0.1 unless named)."""
    _, ports = block()
    for port in itertools.islice(ports, BLOCK):
        try:
            for host in hosts or ("127.0.0.1",):
                with socket.socket() as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return port
    raise AssertionError("no port of this process's block is free")


@contextlib.contextmanager
def alone_with(name):
    """Waits until no other test process on this machine has this, and takes it."""
    with open(Path(tempfile.gettempdir()) / f"sekisho-tests-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
