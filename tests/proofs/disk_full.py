"""Disk full: the store on a small tmpfs that is filled and freed, again and again.

    DISK_CYCLES=20 (100 before a release); needs root (it mounts a tmpfs)

Full: 452 4.3.1, the lists still answer. Freed: the next messages are taken without a restart. In the
end everything acknowledged is at the sink or held.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.journeys.sending import RULES, mail, real
from tests.rig.check import equal
from tests.rig.people import strangers
from tests.rig.relay import Relay, id_of, wait_until
from tests.rig.sink import Sink

CYCLES = int(os.environ.get("DISK_CYCLES", "20"))


def send(relay, name, subject="x", size=2000):
    """One message to one address; returns the reply, whichever command got it."""
    client = relay.client()
    try:
        code, text = client.mail("hanako.sato@example.co.jp")
        if code == 250:
            code, text = client.rcpt(f"{name}@example.jp")
        if code == 250:
            code, text = client.data(mail(subject, strangers(1, name), "x" * 70 + "\n" * (size // 70), seed=name))
        return f"{code} {text.decode()}"
    except Exception as error:  # smtplib raises where DATA is refused
        return f"{getattr(error, 'smtp_code', 0)} {getattr(error, 'smtp_error', error)}"
    finally:
        client.close()


def fill(path):
    """Writes until the disk is full."""
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


def cycle(relay, folder, number, kept):
    """Fills, checks, frees, checks."""
    filler = Path(folder) / "filler"
    fill(filler)
    answers = []
    for n in range(50):
        answers.append(send(relay, f"full{number}-{n}", size=100_000))
        if answers[-1].startswith("250"):
            kept.append(f"full{number}-{n}@example.jp")
        if answers[-1].startswith("452"):
            break
    assert answers[-1].startswith("452") and "4.3.1" in answers[-1], f"on a full disk: {answers[-1]}"
    relay.json("held", "list")
    relay.json("queue", "list")
    filler.unlink()
    answer = wait_until(lambda: (a := send(relay, f"free{number}")).startswith("250") and a, 20, 0.3)
    assert answer, f"after the disk was freed: {send(relay, 'late')}"
    kept.append(f"free{number}@example.jp")


@pytest.fixture
def folder():
    """A file system of 24 MiB."""
    assert os.geteuid() == 0, "this proof mounts a tmpfs: run it as root"
    folder = tempfile.mkdtemp(prefix="sekisho-full-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


@pytest.mark.root
@pytest.mark.timeout(120 + 30 * CYCLES)
def it_refuses_for_now_on_a_full_disk_and_goes_on_when_there_is_room(note, folder):
    with Sink() as sink, Relay(sink.address, RULES, folder=folder) as relay:
        held, kept = id_of(send(relay, "held", "[hold] x")), []
        for number in range(CYCLES):
            cycle(relay, folder, number, kept)
        equal([row["id"] for row in relay.held()], [held], "the held message")
        wait_until(lambda: relay.cli("queue", "retry") and set(kept) <= set(sink.recipients()), 60, 0.5)
        got = [r for t in real(sink.taken) for r in t.recipients]
        missing = set(kept) - set(got)
        assert not missing, f"acknowledged and not delivered: {sorted(missing)[:5]}"
        note(f"{CYCLES} cycles, {len(kept)} acknowledged, all delivered")
