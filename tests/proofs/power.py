"""The power cut: what got a 250 is on the disk, not in a cache that the cut empties.

    POWER_CUTS=10 (200 before a release), POWER_DATABASE_CUTS=4 (100), POWER_NODE_CUTS=4 (100); needs root, /dev/fuse and
    loop devices

The store lives on ext4 on a loop device over nbdfuse over nbdkit, whose cache filter keeps every write in
memory until the file system asks for a flush, as a disk does. Under load nbdkit is killed: whatever was not
flushed is gone. The file system is checked and mounted again, the relay started, and the oracle of the crash
proof asked. The control runs the same with fsync and fdatasync made to do nothing (libeatmydata): it must
lose mail, or the rig could not tell.

A relay on PostgreSQL keeps no mail on its own disk. What it makes there are the keys of the journal and of the loop marks
where its administrator has given none, at the first start, and its power may be cut directly after it; what else it makes
may be lost altogether.
"""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.journeys.sending import RULES
from tests.proofs.crash import LOADS, acknowledged, generators, judge, taken
from tests.proofs.nodes import site
from tests.rig.check import equal
from tests.rig.postgres import Cluster
from tests.rig.relay import Relay, tool, wait_until

CUTS = int(os.environ.get("POWER_CUTS", "10"))
NODE_CUTS = int(os.environ.get("POWER_NODE_CUTS", "4"))
CONTROL_CUTS = int(os.environ.get("POWER_CONTROL_CUTS", "20"))
DATABASE_CUTS = int(os.environ.get("POWER_DATABASE_CUTS", "4"))
# Nothing is removed between cuts: the disk has room for what all of them bring.
SIZE = (256 + 8 * CUTS) * 1024 * 1024
NODE_SIZE = 64 * 1024 * 1024
DATABASE_SIZE = (512 + 16 * DATABASE_CUTS) * 1024 * 1024


def run(*words):
    """A system tool that has to succeed."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}"
    return done.stdout.strip()


class Disk:
    """A disk with a volatile write cache, mounted at `mount`."""

    def __init__(self, folder, size=SIZE):
        self.folder, self.size = Path(folder), size
        self.image, self.mount, self.fuse = self.folder / "image", self.folder / "mount", self.folder / "nbd"
        self.socket = self.folder / "socket"
        self.mount.mkdir()
        self.fuse.write_bytes(b"")
        with open(self.image, "wb") as image:
            image.truncate(size)
        self.server = self.client = self.loop = None
        self.plug_in()
        run("mkfs.ext4", "-q", "-F", self.loop)
        run("mount", self.loop, str(self.mount))

    def plug_in(self):
        """Starts the disk; the loop device is there afterwards."""
        self.socket.unlink(missing_ok=True)
        self.server = subprocess.Popen(
            ["nbdkit", "--foreground", "--unix", str(self.socket), "--filter=cache", "file", str(self.image), "cache=writeback"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        assert wait_until(self.socket.exists, 10), "nbdkit made no socket"
        self.client = subprocess.Popen(["nbdfuse", str(self.fuse), "--unix", str(self.socket)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert wait_until(lambda: self.fuse.stat().st_size == self.size, 10), "nbdfuse shows no disk"
        self.loop = run("losetup", "--find", "--show", str(self.fuse))

    def cut(self):
        """Cuts the power: every write that was not flushed is lost."""
        self.server.kill()
        self.server.wait()

    def unplug(self):
        """Removes what is left of the disk."""
        subprocess.run(["umount", "-l", str(self.mount)], stderr=subprocess.DEVNULL)
        if self.loop:
            subprocess.run(["losetup", "-d", self.loop], stderr=subprocess.DEVNULL)
            self.loop = None
        subprocess.run(["fusermount3", "-u", "-z", str(self.fuse)], stderr=subprocess.DEVNULL)
        for process in (self.client, self.server):
            if process and process.poll() is None:
                process.kill()
                process.wait()

    def recover(self):
        """Restores the power: checked and mounted as at boot."""
        self.unplug()
        self.plug_in()
        checked = subprocess.run(["fsck.ext4", "-p", "-f", self.loop], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert checked.returncode in (0, 1), f"fsck: exit {checked.returncode}\n{checked.stdout}"
        run("mount", self.loop, str(self.mount))


@contextlib.contextmanager
def on_such_a_disk(through=()):
    """A relay whose store is on the disk, under mixed load; what the generators and the sink say is kept elsewhere."""
    assert os.geteuid() == 0, "this proof mounts a disk: run it as root"
    folder = Path(tempfile.mkdtemp(prefix="sekisho-power-"))
    disk = Disk(folder)
    try:
        with Relay("127.0.0.1:9", RULES, start=False, upstream_extra='tls = "off"\nconnections = 20', folder=disk.mount) as relay:
            relay.through = list(through)
            sink = subprocess.Popen([tool("sink"), "--log", str(folder / "sink")], stdout=subprocess.PIPE, text=True)
            address = sink.stdout.readline().split()[-1]
            relay.config.write_text(relay.config.read_text().replace("127.0.0.1:9", address))
            run("sync", "-f", str(disk.mount))
            relay.start()
            loads = list(generators(relay, folder))

            def end_load():
                for load in loads:
                    load.kill()
                    load.wait()

            try:
                yield relay, disk, folder, end_load
            finally:
                end_load()
                relay.kill() if relay.process and relay.process.poll() is None else None
                sink.kill()
                sink.wait()
    finally:
        disk.unplug()
        shutil.rmtree(folder, ignore_errors=True)


def cut_and_recover(relay, disk, dice):
    """Lets it run for a moment, cuts the power, and restarts everything."""
    time.sleep(dice.uniform(0.3, 1.5))
    disk.cut()
    time.sleep(0.05)  # the machine is off; what still runs sees a dead disk
    relay.kill()
    disk.recover()
    relay.start()


@pytest.mark.root
@pytest.mark.heavy
@pytest.mark.timeout(300 + 30 * CUTS)
def it_keeps_what_got_a_250_through_power_cuts(note):
    dice = random.Random(os.environ.get("CRASH_SEED", "sekisho"))
    with on_such_a_disk() as (relay, disk, folder, end_load):
        for _ in range(CUTS):
            cut_and_recover(relay, disk, dice)
        time.sleep(0.5)
        end_load()
        acks, said = judge(relay, folder)
        assert acks > CUTS, said
        note(f"{CUTS} power cuts; {said}")


@pytest.mark.root
@pytest.mark.heavy
@pytest.mark.timeout(300 + 30 * CONTROL_CUTS)
def it_would_see_a_store_that_does_not_flush(note):
    """The control: a relay whose flushes do nothing loses acknowledged mail in such a cut, or does not start again."""
    dice = random.Random(os.environ.get("CRASH_SEED", "sekisho"))
    for cut in range(1, CONTROL_CUTS + 1):
        with on_such_a_disk(through=["eatmydata"]) as (relay, disk, folder, end_load):
            try:
                cut_and_recover(relay, disk, dice)
            except AssertionError as error:
                note(f"found at cut {cut}: {str(error).splitlines()[0]}")
                return
            end_load()
            time.sleep(0.5)
            wait_until(lambda: relay.queue() == [], 30, 0.5)
            counts, held = taken(folder), {r for row in relay.held() for r in row["recipients"]}
            lost = [r for name in LOADS for rs in acknowledged(folder, name).values() for r in rs if not counts[r] and r not in held]
            if lost:
                note(f"found at cut {cut}: {len(lost)} recipients lost without flushes")
                return
    raise AssertionError(f"{CONTROL_CUTS} cuts without a single flush lost nothing: the rig cannot see a loss")


@contextlib.contextmanager
def a_database_on_such_a_disk(through=()):
    """Two relays under load whose database is on the disk; they themselves are elsewhere."""
    assert os.geteuid() == 0, "this proof mounts a disk: run it as root"
    folder = Path(tempfile.mkdtemp(prefix="sekisho-power-"))
    folder.chmod(0o755)  # the server's user gets through
    disk = Disk(folder, DATABASE_SIZE)
    try:
        cluster = Cluster(["max_wal_size=64MB", "min_wal_size=32MB"], inside=disk.mount)
        cluster.through = list(through)
        with cluster:
            run("sync", "-f", str(disk.mount))
            try:
                with site(2, cluster) as here:
                    here.goes_on()
                    yield here, disk
            finally:
                cluster.kill(everything=True)
    finally:
        disk.unplug()
        shutil.rmtree(folder, ignore_errors=True)


def cut_database(here, disk, dice, patience=60):
    """Lets it run for a moment, cuts the database's power, and restarts its machine; how long mail took to go on."""
    time.sleep(dice.uniform(0.3, 1.5))
    disk.cut()
    time.sleep(0.05)
    here.cluster.kill(everything=True)
    disk.recover()
    here.cluster.start()
    return here.goes_on(patience)


@pytest.mark.root
@pytest.mark.heavy
@pytest.mark.timeout(300 + 60 * DATABASE_CUTS)
def it_keeps_what_got_a_250_when_the_database_loses_its_power(note):
    dice = random.Random(os.environ.get("CRASH_SEED", "sekisho"))
    with a_database_on_such_a_disk() as (here, disk):
        slowest = max(cut_database(here, disk, dice) for _ in range(DATABASE_CUTS))
        acks, said = here.verdict()
        assert acks > DATABASE_CUTS, said
        note(f"{DATABASE_CUTS} power cuts of the database, on again after {slowest:.1f} s at most; {said}")


@pytest.mark.root
@pytest.mark.heavy
@pytest.mark.timeout(300 + 60 * CONTROL_CUTS)
def it_would_see_a_database_that_does_not_flush(note):
    """The control: a database that claims to flush and does not loses acknowledged mail, its journal or itself."""
    dice = random.Random(os.environ.get("CRASH_SEED", "sekisho"))
    for cut in range(1, CONTROL_CUTS + 1):
        with a_database_on_such_a_disk(through=["eatmydata"]) as (here, disk):
            try:
                cut_database(here, disk, dice, patience=15)
                here.verdict()
            except AssertionError as error:
                note(f"found at cut {cut}: {str(error).splitlines()[0][:200]}")
                return
    raise AssertionError(f"{CONTROL_CUTS} cuts without a single flush lost nothing: the rig cannot see a loss")


@contextlib.contextmanager
def nodes_on_such_disks():
    """Two relays, each with its files on such a disk, that are not started yet; their database is elsewhere."""
    assert os.geteuid() == 0, "this proof mounts disks: run it as root"
    with tempfile.TemporaryDirectory(prefix="sekisho-power-") as folder, contextlib.ExitStack() as stack:
        disks = []
        for name in ("one", "two"):
            (Path(folder) / name).mkdir()
            disks.append(Disk(Path(folder) / name, NODE_SIZE))
            stack.callback(disks[-1].unplug)
        with Cluster() as cluster, site(2, cluster, load=False, start=False, folders=[disk.mount for disk in disks]) as here:
            for disk in disks:
                run("sync", "-f", str(disk.mount))
            try:
                yield here, disks
            finally:
                for relay in here.relays:
                    relay.kill() if relay.process and relay.process.poll() is None else None


def cut_node(relay, disk):
    """Cuts the power of a relay's machine."""
    disk.cut()
    time.sleep(0.05)
    relay.kill()


KEYS = ("journal-key", "sekisho.key")


def keys(relay):
    """The keys that a relay has made."""
    return [(relay.folder / name).read_bytes() for name in KEYS]


def others(relay):
    """What else a relay has made in its folder."""
    return [file for file in relay.folder.iterdir() if file.name not in (*KEYS, "sekisho.toml", "policy.toml", "lost+found")]


@pytest.mark.root
@pytest.mark.heavy
@pytest.mark.timeout(300 + 30 * NODE_CUTS)
def it_keeps_what_got_a_250_when_a_node_loses_its_power(note):
    dice, slowest = random.Random(os.environ.get("CRASH_SEED", "sekisho")), 0.0
    with nodes_on_such_disks() as (here, disks):
        (one, two), (first, second) = here.relays, disks
        # The keys that it has just made are on the disk before anything is signed with them.
        one.start()
        made = keys(one)
        cut_node(one, first)
        first.recover()
        one.start()
        equal(keys(one), made, "the keys")
        shutil.copyfile(first.mount / "journal-key", second.mount / "journal-key")
        run("sync", "-f", str(second.mount))
        two.start()
        here.load()
        here.goes_on()
        for _ in range(NODE_CUTS):
            time.sleep(dice.uniform(0.3, 1.5))
            at = dice.randrange(2)
            cut_node(here.relays[at], disks[at])
            slowest = max(slowest, here.goes_on())
            disks[at].recover()
            here.relays[at].start()
            here.goes_on()
        one.kill()
        equal(keys(one), made, "the keys")
        lost = sorted(file.name for file in others(one))
        for file in others(one):
            file.unlink()
        one.start()
        here.goes_on()
        acks, said = here.verdict()
    assert acks > NODE_CUTS, said
    note(f"{NODE_CUTS} power cuts of a node, mail went on after {slowest:.1f} s at most; it starts without {', '.join(lost)}; {said}")


@pytest.mark.root
@pytest.mark.heavy
@pytest.mark.timeout(300)
def it_would_see_a_node_that_does_not_flush(note):
    """The control: a relay whose flushes do nothing has no key of the journal after such a cut."""
    with nodes_on_such_disks() as (here, (disk, _)):
        relay = here.relays[0]
        relay.through = ["eatmydata"]
        relay.start()
        cut_node(relay, disk)
        disk.recover()
        relay.start(wait=False)
        assert relay.process.wait(60) != 0, "the key is there although nothing was flushed: the rig cannot see a loss"
        assert "journal" in relay.output(), relay.output()
        note(f"found: {relay.output().splitlines()[-1][:200]}")


def it_refuses_a_database_that_may_lose_what_it_confirms():
    for setting, words in (("fsync=off", "fsync is off"), ("synchronous_commit=off", "synchronous_commit is off")):
        with Cluster([setting]) as cluster, tempfile.TemporaryDirectory() as folder:
            relay = Relay("127.0.0.1:9", store=cluster.store("one", Path(folder) / "journal-key"), start=False)
            with relay:
                relay.start(wait=False)
                assert relay.process.wait(30) != 0 and words in relay.output(), relay.output()
