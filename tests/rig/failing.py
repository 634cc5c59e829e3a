"""Upstreams that fail once, at one stage of the session and in one way, and are well otherwise.

    with Upstreams() as all: host = all.add("dot", "drop", "starttls", context) … host.taken, host.met, host.let_go

Stages and faults are those of `STAGES` and `FAULTS`. In the clear (`plain`) and inside TLS the dialogue is the same.
What a fault is:

* drop: the connection is reset; with PIPELINING it is closed, for a reset takes with it replies that were not yet read.
  At `connect` nobody listens until `recover`.
* 4xx, 5xx, garbage: this instead of the reply. At `connect` it is said at once, in the clear, and the connection ends.
* stall: nothing is said any more, and in the body nothing is read. At `connect` the kernel does not even answer (the
  queue of connections is full) until `recover`.
* half-close: our side ends the stream, and reads on until the other side ends it too.

At `banner`, where nothing or no more is said, half a banner has been. At `starttls` under implicit TLS the fault takes the
place of our part of the handshake. In the body it comes after the first line; after a reply there, the rest is read and
gets none. After the final dot the mail is taken unless the reply is 4xx or 5xx: what gets lost is the answer.
"""

import base64
import contextlib
import re
import selectors
import socket
import struct
import sys
import threading
from dataclasses import dataclass

STAGES = ["connect", "banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot", "quit"]
FAULTS = ["drop", "4xx", "5xx", "stall", "garbage", "half-close"]
MODES = ["plain", "starttls", "implicit"]
SAID = {"4xx": b"451 4.3.0 not now", "5xx": b"554 5.3.0 never", "garbage": b"\x00\xff\x1b[2Jwhat?"}
USER, PASSWORD = "relay", "geheim"
LOGIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
# A window so small that a large body does not fit into it and the other side's buffers.
NARROW, WIDE = 8 * 1024, 1024 * 1024


class Over(Exception):
    """The session has ended."""


@dataclass
class Taken:
    """A mail that was taken: its envelope, its content, and whether it came inside TLS."""

    sender: str
    recipients: list
    content: bytes
    secured: bool


class Upstream:
    """One of them. `answers` are replies to RCPT for what begins an address, until `recover` or, if they are 5xx, always."""

    def __init__(self, stage, fault, mode, context=None, pipelining=True, late=False, answers=()):
        self.stage, self.fault, self.mode, self.context = stage, fault, mode, context
        # The fault at `ehlo` comes inside TLS with `late`.
        self.pipelining, self.late, self.answers = pipelining, late, dict(answers)
        self.logs_in = stage == "auth"
        self.offers_tls = mode == "starttls" or stage == "starttls" and mode == "plain"
        self.taken, self.met, self.let_go, self.well = [], False, False, threading.Event()
        self.lock, self.filler = threading.Lock(), None
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        if stage == "body" and fault in ("drop", "stall"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
        self.listens = (stage, fault) not in (("connect", "drop"), ("connect", "stall"))
        if self.listens:
            self.socket.listen(64)
        elif fault == "stall":
            self.socket.listen(0)
            self.filler = socket.create_connection(("127.0.0.1", self.port))

    def fails_at(self, stage):
        """Whether the fault is due; it comes once."""
        with self.lock:
            if self.met or self.well.is_set() or self.stage != stage:
                return False
            self.met = True
            return True

    def answer_to(self, recipient):
        """The reply to RCPT."""
        for begins, said in self.answers.items():
            if recipient.startswith(begins) and (said.startswith("5") or not self.well.is_set()):
                return said
        return "250 2.1.5 recipient"


class Upstreams:
    """All of them, each at a port of its own; use as a context manager."""

    def __init__(self):
        self.hosts, self.sessions, self.selector, self.over = [], [], selectors.DefaultSelector(), threading.Event()
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(5)
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.stream.shutdown(socket.SHUT_RDWR)
        for host in self.hosts:
            host.well.set()
            host.socket.close()

    def add(self, *what, **more):
        """Starts one."""
        host = Upstream(*what, **more)
        self.hosts.append(host)
        if host.listens:
            self.selector.register(host.socket, selectors.EVENT_READ, host)
        return host

    def recover(self, host):
        """From now on it is well, even if nobody met its fault."""
        host.well.set()
        if not host.listens:
            host.listens = True
            if host.filler:
                host.filler.close()
            host.socket.listen(64)
            self.selector.register(host.socket, selectors.EVENT_READ, host)

    def _accept(self):
        while not self.over.is_set():
            for key, _ in self.selector.select(0.1) if self.selector.get_map() else []:
                with contextlib.suppress(OSError):
                    session = Session(key.data, key.fileobj.accept()[0], len(self.sessions))
                    self.sessions.append(session)
                    session.start()


class Session(threading.Thread):
    """One session."""

    def __init__(self, host, stream, number):
        super().__init__(daemon=True)
        self.host, self.stream, self.buffer, self.secured = host, stream, bytearray(), False
        self.name = f"upstream {host.port}/{number}"

    def run(self):
        try:
            self.talk()
        except (OSError, Over):
            pass
        finally:
            self.stream.close()

    def tell(self, arrow, what):
        """Shows what one side says."""
        print(f"{self.name} {arrow} {what[:200]!r}", file=sys.stderr)

    def read(self):
        """Some octets more."""
        octets = self.stream.recv(65_536)
        if not octets:
            raise Over
        self.buffer += octets

    def until(self, end):
        """Everything up to this end, which is taken off."""
        looked = 0
        while (at := self.buffer.find(end, max(0, looked - len(end)))) < 0:
            looked = len(self.buffer)
            self.read()
        found = bytes(self.buffer[:at])
        del self.buffer[: at + len(end)]
        return found

    def write(self, octets):
        """Says this."""
        self.tell("<-", octets)
        self.stream.sendall(octets + b"\r\n")

    def say(self, stage, text):
        """Replies, unless the fault is due; whether the usual reply went out."""
        if self.host.fails_at(stage):
            return self.fail()
        self.write(text.encode())
        return True

    def fail(self):
        """The fault. The session goes on only after a reply."""
        host = self.host
        self.tell("--", host.fault)
        if host.fault in SAID:
            self.write(SAID[host.fault])
            return False
        if host.fault == "drop" and host.pipelining:
            raise Over
        if host.fault == "drop":
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Over
        if host.fault == "half-close":
            self.stream.shutdown(socket.SHUT_WR)
        elif host.stage == "body":
            host.well.wait()
        # A reset, too, is an end of the other side's waiting.
        with contextlib.suppress(ConnectionError):
            while self.stream.recv(65_536):
                pass
        host.let_go = True
        raise Over

    def secure(self):
        """The handshake."""
        self.stream = self.host.context.wrap_socket(self.stream, server_side=True)
        self.secured = True

    def talk(self):
        host = self.host
        if host.well.is_set():
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WIDE)
        if host.fails_at("connect"):
            self.fail()
            return
        if host.mode == "implicit":
            if host.stage == "starttls" and host.fails_at("starttls"):
                self.stream.recv(1, socket.MSG_PEEK)
                self.fail()
                return
            self.secure()
        if host.stage == "banner" and host.fault not in SAID and not host.met and not host.well.is_set():
            self.write(b"220-half a banner")
        self.say("banner", "220 upstream ESMTP")
        self.commands()

    def commands(self):
        """The dialogue after the banner."""
        host, logged_in, sender, recipients = self.host, not self.host.logs_in, None, []
        while True:
            line = self.until(b"\r\n").decode("utf-8", "replace")
            self.tell("->", line)
            verb, inside = line.split(" ")[0].upper(), re.search(r"<(.*?)>", line)
            if verb in ("EHLO", "HELO"):
                self.say("ehlo" if verb == "EHLO" and (self.secured or not host.late) else "", self.greeting(verb))
            elif verb == "STARTTLS" and host.offers_tls and not self.secured:
                if self.say("starttls", "220 2.0.0 go on"):
                    self.secure()
            elif verb == "AUTH":
                right = line == f"AUTH PLAIN {LOGIN}"
                logged_in = self.say("auth", "235 2.7.0 welcome" if right else "535 5.7.8 who?") and right
            elif verb == "MAIL":
                recipients, sender = [], None
                if not logged_in:
                    self.write(b"530 5.7.0 log in first")
                elif self.say("mail", "250 2.1.0 sender"):
                    sender = inside[1]
            elif verb == "RCPT" and sender is not None:
                answer = host.answer_to(inside[1])
                if self.say("rcpt" if answer.startswith("2") else "", answer) and answer.startswith("2"):
                    recipients.append(inside[1])
            elif verb == "DATA" and recipients:
                if self.say("data", "354 go on"):
                    self.content(sender, recipients)
                recipients, sender = [], None
            elif verb in ("RSET", "NOOP"):
                recipients, sender = [], None
                self.write(b"250 2.0.0 fine")
            elif verb == "QUIT":
                self.say("quit", "221 2.0.0 bye")
                raise Over
            else:
                self.write(b"503 5.5.1 not now")

    def greeting(self, verb):
        """The reply to EHLO."""
        offers = ["SIZE 99999999", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        offers += ["PIPELINING"] if self.host.pipelining else []
        offers += ["STARTTLS"] if self.host.offers_tls and not self.secured else []
        offers += ["AUTH PLAIN"] if self.host.logs_in else []
        lines = ["upstream", *(offers if verb == "EHLO" else [])]
        return "\r\n".join(f"250{' ' if at + 1 == len(lines) else '-'}{line}" for at, line in enumerate(lines))

    def content(self, sender, recipients):
        """Reads the content, and answers to its dot."""
        first = self.until(b"\r\n")
        answered = not self.say_nothing("body")
        content = first + b"\r\n" + self.until(b"\r\n.\r\n") + b"\r\n"
        self.tell("->", f"({len(content)} octets and the dot)")
        if answered:
            return
        host = self.host
        fails = host.fails_at("dot")
        if not fails or host.fault not in ("4xx", "5xx"):
            content = re.sub(rb"(?m)^\.", b"", content)
            host.taken.append(Taken(sender, recipients, content, self.secured))
        if fails:
            self.fail()
        else:
            self.write(b"250 2.0.0 taken")

    def say_nothing(self, stage):
        """The fault, where nothing is said usually; whether there was none."""
        return not self.host.fails_at(stage) or self.fail()
