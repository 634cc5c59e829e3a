"""Hands mails to a running relay in random pieces, and asks what it made of them."""

import json
import os
import random
import re
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.encoders.cases import SEEN, SENDER
from tests.rig.relay import Relay, binary

POLICY = '[[rule]]\nname = "everybody-alone"\nwhen = { recipients = { at_least = 1 } }\ndemand = "split"\n'
# Named, too, but not where the address is: what else the libraries and archives here put in.
BESIDE = re.compile(r"x\.bin|thumbnail|printerSettings|smime\.p7s")
SESSION = 40  # mails a connection


@dataclass
class Outcome:
    """What came of one mail."""

    found: bool = False  # the hidden address itself was found
    named: bool = False  # a part of it is named as one that cannot be read
    left: bool = False  # copies went out
    held: bool = False
    words: str = ""

    def word(self):
        """One word for the table."""
        return next((w for w in ("found", "named", "held", "left") if getattr(self, w)), "refused")


def relay(sink):
    """A relay that splits everything."""
    return Relay(sink.address, policy=POLICY)


class Line:
    """An SMTP client that writes as a slow or odd network does."""

    def __init__(self, port, seed):
        self.rng = random.Random(f"line {seed}")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = self.socket.makefile("rb")
        self.reply()
        self.say(b"EHLO client.example")

    def reply(self):
        text = b""
        while True:
            line = self.replies.readline()
            text += line
            if line[3:4] != b"-":
                return text.decode("utf-8", "replace").strip()

    def say(self, line):
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def send(self, content, recipients):
        """One mail; the last reply."""
        answer = self.say(f"MAIL FROM:<{SENDER}> BODY=8BITMIME".encode())
        for recipient in recipients:
            answer = self.say(f"RCPT TO:<{recipient}>".encode())
        answer = self.say(b"DATA")
        if not answer.startswith("354"):
            raise AssertionError(f"the relay says {answer}")
        content = content if content.endswith(b"\r\n") else content + b"\r\n"
        content = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        at = 0
        few = self.rng.choice([1, 2, 7, 60, 900]) if len(content) < 4000 else len(content)
        while at < len(content):
            size = (
                max(self.rng.randrange(1, few + 1), len(content) // 100) if self.rng.random() < 0.9 else self.rng.randrange(1, 9)
            )
            self.socket.sendall(content[at : at + size])
            at += size
            if self.rng.random() < 0.02:
                time.sleep(0.0005)
        return self.reply()

    def close(self):
        self.socket.close()


def send_all(mails, port, seed):
    """Sends them; the replies in order."""
    replies, line = [], None
    for at, mail in enumerate(mails):
        if at % SESSION == 0:
            if line:
                line.close()
            line = Line(port, f"{seed} {at}")
        replies.append(line.send(mail.content, [SEEN, mail.hidden]))
    if line:
        line.close()
    return replies


def judge(mails, replies, running):
    """What became of each: the relay's list tells of what it holds; what left or was held for another
    reason is looked at by `explain`."""
    held = {row["id"]: row for row in json.loads(running.cli("held", "list", "--limit", "1000000", "--json", seconds=120).stdout)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda pair: verdict(*pair, held, running), zip(mails, replies)))


def verdict(mail, reply, held, running):
    ident = reply.split(" as ", 1)[1].split(":")[0].split()[0] if " as " in reply else ""
    row = held.get(ident)
    reasons = " ".join(row["reasons"]) if row else ""
    if row and f" first {mail.hidden} in ".lower() in reasons.lower():  # the audit's own word
        return Outcome(found=True, held=True, words=reasons)
    if not reply.startswith("250"):
        return Outcome(words=reply)
    told = explain(mail, running.config)
    outcome = Outcome(held=row is not None, left=row is None, words=reasons)
    outcome.found = any(hit["address"].lower() == mail.hidden.lower() for hit in told["hits"])
    outcome.named = any(not BESIDE.search(part) for part in told["facts"]["opaque_parts"])
    outcome.words = outcome.words or "; ".join(told["facts"]["opaque_parts"] + told["facts"]["problems"])
    return outcome


def explain(mail, config):
    """What `sekisho explain` says of the whole file at once."""
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        Path(file.name).write_bytes(mail.content)
        command = [
            binary(),
            "explain",
            file.name,
            "--from",
            SENDER,
            "--to",
            SEEN,
            "--to",
            mail.hidden,
            "--config",
            str(config),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        return {"hits": [], "facts": {"opaque_parts": [], "problems": [done.stderr.strip()]}}
    return json.loads(done.stdout)
