"""Faults at chosen system calls, by strace: SIGKILL at the Nth, and errors of the disk.

    INJECT_KILLS=20 (each of two calls; 100 before a release), INJECT_ERRORS=6 (each of ten; 30)

Killed at the Nth flush (before it) or the Nth sendto, N spread over 1…200, under the mixed load of `crash`:
lost 0, each duplicate explained. EIO or ENOSPC from the Nth flush or pwrite64 while mail is taken one by one:
a message gets no 250 over a call that failed while it was taken, unless the log was written and flushed anew in
between (then the call was another request's: the relay has some of its own as it starts), a failed flush of the store
ends the process, and after a clean start everything that got a 250 is there, and the next message is taken. The same
errors under the mixed load, with bodies in segments: lost 0.
"""

import contextlib
import os
import random
import re
import signal
import smtplib
import subprocess
import time
from pathlib import Path

import pytest

from tests.proofs.crash import judge, under_load
from tests.rig.relay import Relay, id_of, wait_until

KILLS = int(os.environ.get("INJECT_KILLS", "20"))
ERRORS = int(os.environ.get("INJECT_ERRORS", "6"))
DELAY = '[[rule]]\nname = "later"\nwhen = { size = { at_least = 1 } }\ndemand = "delay 1h"\n'
# SQLite flushes by fdatasync (`.cargo/config.toml`), the relay by fsync; each is counted by itself.
FLUSH = "fsync,fdatasync"


def strace(call, fault, log):
    """The command that injects faults, and logs what the relay replied when."""
    call = FLUSH if call == "flush" else call
    return ["strace", "-f", "-qq", "-y", "-ttt", "-s", "80", "-o", str(log), "-e", f"trace={call},{FLUSH},sendto", "-e", f"inject={call}:{fault}"]


def end(relay):
    """Ends the process under strace: the relay itself; strace ends with it."""
    strace = relay.process.pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{strace}/task/{strace}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
    try:
        relay.process.wait(20)
    except subprocess.TimeoutExpired:
        relay.kill()


def numbers(count, seed):
    """The first few, and others up to 200."""
    dice = random.Random(seed)
    first = list(range(1, min(count // 2, 20) + 1))
    return first + sorted(dice.sample(range(len(first) + 1, 201), count - len(first)))


def killed_at(call):
    """Kills at the Nth of a call, repeatedly."""
    hit = 0
    with under_load() as (relay, end_load):
        time.sleep(0.5)
        for number in numbers(KILLS, call):
            end(relay) if relay.through else relay.kill()
            relay.through = strace(call, f"signal=SIGKILL:when={number}", relay.folder / "strace")
            relay.start(wait=False)
            if wait_until(lambda: relay.process.poll() is not None, 15, 0.05):
                hit += 1
        end(relay)
        relay.through = []
        relay.start()
        end_load()
        acks, said = judge(relay)
    assert acks > 0, said
    assert hit >= KILLS // 2, f"only {hit} of {KILLS} were hit"
    return f"{hit} of {KILLS} killed there; {said}"


@pytest.mark.heavy
@pytest.mark.timeout(600 + 20 * KILLS)
@pytest.mark.parametrize("call", ["flush", "sendto"])
def it_loses_nothing_when_killed_at(note, call):
    note(killed_at(call))


def send(port, name, size):
    """One message: when it began, and the reply's code and text."""
    began = time.time()
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.ehlo("client.example")
            # From the null sender, so that no notice of the delay is sent and each write belongs to the tested message.
            client.mail("")
            client.rcpt(f"{name}@example.com")
            head = f"From: hanako.sato@example.co.jp\r\nTo: {name}@example.com\r\nSubject: {name}\r\nMessage-ID: <{name}@example.co.jp>\r\n\r\n"
            code, text = client.data(head + "x" * 70 + "\r\n" + ("y" * 78 + "\r\n") * (size // 80))
    except (OSError, smtplib.SMTPException) as error:
        code, text = getattr(error, "smtp_code", 0), b""
    return began, code, text.decode("utf-8", "replace") if isinstance(text, bytes) else ""


def failed_calls(log):
    """Moments at which a call failed by injection, with the file it was for."""
    found, open_calls = [], {}
    for line in log.read_text("utf-8", "replace").splitlines():
        if match := re.match(r"(\d+) +(\d+\.\d+) \w+\(\d+<([^>]*)>", line):
            thread, moment, file = match[1], float(match[2]), match[3]
            open_calls[thread] = (moment, file)
        elif match := re.match(r"(\d+) +\d+\.\d+ <\.\.\. \w+ resumed>", line):
            moment, file = open_calls.get(match[1], (0.0, ""))
        else:
            continue
        if "(INJECTED)" in line:
            found.append((moment, file))
    return found


def flushes_of_the_log(log):
    """Times at which a flush of the store's log succeeded."""
    found, open_calls = [], {}
    for line in log.read_text("utf-8", "replace").splitlines():
        if match := re.match(r"(\d+) +(\d+\.\d+) f(?:data)?sync\(\d+<([^>]*)>", line):
            open_calls[match[1]] = match[3]
            ended = float(match[2])
        elif match := re.match(r"(\d+) +(\d+\.\d+) <\.\.\. f(?:data)?sync resumed>", line):
            ended = float(match[2])
        else:
            continue
        if line.rstrip().endswith("= 0") and open_calls.get(match[1], "").endswith("-wal"):
            found.append(ended)
    return found


def answers_of(log):
    """When the relay sent each 250, by the message's id: a client may receive it later."""
    said = {}
    for line in log.read_text("utf-8", "replace").splitlines():
        if match := re.match(r'\d+ +(\d+\.\d+) sendto\(\d+<[^>]*>, "250 2\.0\.0 (?:queued|held) as (\w+)', line):
            said[match[2]] = float(match[1])
    return said


def failed_under_load(call, error):
    """One error at the Nth of a call under load: what got a 250 is there, and whole."""
    hit = 0
    with under_load() as (relay, end_load):
        time.sleep(0.5)
        for number in numbers(ERRORS, call + error + "load"):
            end(relay) if relay.through else relay.kill()
            log = relay.folder / "strace"
            relay.through = strace(call, f"error={error}:when={number}", log)
            relay.start(wait=False)
            wait_until(lambda: relay.process.poll() is not None, 3, 0.05)
            hit += len(failed_calls(log))
        end(relay)
        relay.through = []
        sizes = [segment.stat().st_size for segment in (relay.folder / "sekisho.db.bodies").glob("*.segment")]
        assert sizes.count(0) <= 1, f"segments with nothing in them are left: {sizes}"
        relay.start()
        end_load()
        acks, said = judge(relay)
    assert acks > 0, said
    assert hit >= ERRORS // 2, f"only {hit} of {ERRORS} failed"
    return f"{hit} failed; {len(sizes)} segments; {said}"


@pytest.mark.heavy
@pytest.mark.timeout(600 + 20 * ERRORS)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["flush", "pwrite64"])
def it_loses_nothing_under_load_over_a_failed(note, call, error):
    note(failed_under_load(call, error))


def failing(call, error, size):
    """Errors at the Nth of a call, each in a fresh start on one store."""
    seen, taken = 0, []
    with Relay("127.0.0.1:9", DELAY) as relay:
        for number in numbers(ERRORS, call + error):
            number = 1 + number % 40
            relay.stop()
            log = relay.folder / "strace"
            relay.through = strace(call, f"error={error}:when={number}", log)
            relay.start(wait=False)
            answers = []
            if wait_until(lambda: relay.ready() or relay.process.poll() is not None, 30, 0.05) and relay.process.poll() is None:
                for at in range(number + 4):
                    answers.append((f"{call}{error}{number}-{at}".lower(), send(relay.port, f"{call}{error}{number}-{at}".lower(), size)))
                    if relay.process.poll() is not None:
                        break
            time.sleep(0.2)
            said, flushed = answers_of(log), flushes_of_the_log(log)
            taken_here = {name: (began, said[id_of(text)]) for name, (began, code, text) in answers if code == 250}
            for moment, file in failed_calls(log):
                seen += 1
                # SQLite flushes its folder a second time, after the relay did at its start: that one may fail
                if file == str(relay.folder) and answers:
                    continue
                # the database file is written when the log is moved into it, and nobody waits for that
                if not file.endswith(".db"):
                    for name, (began, ended) in taken_here.items():
                        anew = call != "flush" and any(moment < flush <= ended for flush in flushed)
                        assert anew or not began <= moment <= ended, f"{name} got its 250 over a failed {call} of {file}"
                if call == "flush" and file.endswith((".db", "-wal")):
                    assert wait_until(lambda: relay.process.poll() is not None, 10, 0.1), f"it went on after a failed {call} of {file}"
                    late = [name for name, (began, _) in taken_here.items() if began > moment]
                    assert not late, f"a 250 after a failed flush: {late}"
            end(relay)
            relay.through = []
            relay.start()  # clean, or this fails
            taken += taken_here
            assert send(relay.port, f"after-{call}{error}{number}".lower(), 100)[1] == 250, relay.output()
        there = {recipient.split("@")[0] for row in relay.queue() for recipient in row["recipients"]}
        missing = [name for name in taken if name not in there]
        assert not missing, f"acknowledged and gone: {missing[:5]}"
        assert seen >= ERRORS // 2, f"only {seen} calls failed"
    return f"{seen} failed, {len(taken)} acknowledged and there"


@pytest.mark.timeout(300 + 60 * ERRORS)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call, size", [("flush", 100), ("pwrite64", 100), ("flush", 600_000)], ids=["flush", "write", "flush-of-a-large-body"])
def it_gives_no_250_over_a_failed(note, call, size, error):
    note(failing(call, error, size))
