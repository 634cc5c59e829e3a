"""A recording SMTP sink: keeps every transaction with its envelope, and replies as a script says.

It reads the content strictly (only CRLF.CRLF ends it), so what it records is what was on the wire, without
dot-stuffing. `on(stage, reply, times)` changes its reply; the reply `drop` closes the connection, `stall` sends
nothing. The dialogue is printed to standard error, without the contents of mails.
"""

import asyncio
import sys
import threading
import time
from dataclasses import dataclass, field

EHLO = ["sink", "PIPELINING", "SIZE 0", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"]


@dataclass
class Taken:
    """One transaction that the sink answered with 250."""

    sender: str
    recipients: list
    content: bytes
    mail: str  # the MAIL command as it came
    rcpt: list  # the RCPT commands as they came
    at: float = field(default_factory=time.time)


class Sink:
    """Runs in a thread of its own; use as a context manager."""

    def __init__(self, port=0):
        self.port = port
        self.taken = []
        self.connections = 0
        self.scripts = []
        # Limits: concurrent sessions, the reply to one more and at which stage; and the number of mails
        # per session.
        self.most, self.full, self.full_at = None, "421 4.7.0 too many connections", "connect"
        self.per_session = None
        self.open = self.refused = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(5), "the sink does not start"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(5)

    def _end(self):
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def on(self, stage, reply, times=None, match=""):
        """From now on, replies to `stage` (connect, ehlo, mail, rcpt, data, dot, after) with `reply`, this many
        times (always, without a number), if the command contains `match`.
        """
        self.scripts.append([stage, reply, times, match])

    def clear(self):
        """Removes all scripted answers."""
        self.scripts.clear()

    def wait(self, count, seconds=20):
        """Waits for `count` transactions; returns all that there are by then."""
        until = time.time() + seconds
        while len(self.taken) < count and time.time() < until:
            time.sleep(0.02)
        return list(self.taken)

    def recipients(self):
        """Every recipient of every transaction."""
        return [r for t in self.taken for r in t.recipients]

    def _run(self):
        asyncio.set_event_loop(self._loop)

        async def start():
            server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20, backlog=512)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()

        self._loop.create_task(start())
        self._loop.run_forever()

    def _scripted(self, stage, text=""):
        for script in self.scripts:
            if script[0] == stage and script[3] in text and script[2] != 0:
                if script[2] is not None:
                    script[2] -= 1
                return script[1]
        return None

    async def _serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        try:
            await self._session(reader, Said(writer, self.port, self.connections))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, Drop):
            pass
        finally:
            self.open -= 1
            writer.close()

    def _limited(self, stage, writer):
        """The reply that this sink's limits require at this stage, if any."""
        if stage == "connect":
            writer.carried, writer.crowded = 0, self.most is not None and self.open > self.most
        if stage == "mail" and self.per_session is not None and writer.carried >= self.per_session:
            self.refused += 1
            return "452 4.4.5 too many messages per session"
        if writer.crowded and stage == self.full_at:
            self.refused += 1
            return self.full
        return None

    async def _answer(self, writer, stage, text, usual):
        reply = self._scripted(stage, text) or self._limited(stage, writer)
        if reply and reply.startswith("421"):
            writer.write(reply.encode() + b"\r\n")
            await writer.drain()
            raise Drop
        if reply == "drop":
            raise Drop
        if reply == "stall":
            await asyncio.sleep(3600)
        writer.write((reply or usual).encode() + b"\r\n")
        return reply is None or reply[0] in "23"

    async def _session(self, reader, writer):
        await self._answer(writer, "connect", "", "220 sink ESMTP")
        sender, recipients, mail, rcpt, open_now = "", [], "", [], False
        while True:
            await writer.drain()
            line = (await reader.readuntil(b"\r\n")).decode("utf-8", "replace").rstrip("\r\n")
            writer.heard(line)
            verb = line[:4].upper()
            if verb == "EHLO":
                await self._answer(writer, "ehlo", line, "\r\n".join(f"250-{x}" for x in EHLO[:-1]) + f"\r\n250 {EHLO[-1]}")
            elif verb == "MAIL":
                sender, recipients, mail, rcpt = angle(line), [], line, []
                open_now = await self._answer(writer, "mail", line, "250 2.1.0 ok")
            elif verb == "RCPT" and not open_now:
                writer.write(b"503 5.5.1 no MAIL\r\n")
            elif verb == "RCPT":
                if await self._answer(writer, "rcpt", line, "250 2.1.5 ok"):
                    recipients.append(angle(line))
                    rcpt.append(line)
            elif verb == "DATA":
                if not recipients:
                    writer.write(b"554 5.5.1 no recipients\r\n")
                elif await self._answer(writer, "data", line, "354 go ahead"):
                    await writer.drain()
                    content = await self._content(reader)
                    writer.heard(f"({len(content)} octets and the dot)")
                    await self._dot(writer, Taken(sender, recipients, content, mail, rcpt))
                    recipients = []
            elif verb == "RSET":
                recipients = []
                writer.write(b"250 2.0.0 ok\r\n")
            elif verb == "QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"250 2.0.0 ok\r\n" if verb in ("NOOP", "HELO") else b"500 5.5.2 what\r\n")

    async def _dot(self, writer, taken):
        """Answers the final dot (scripts of this stage are matched with the recipients). What gets a
        250 is recorded before the answer goes out; `after` records it and loses the answer."""
        text = " ".join(taken.recipients)
        if self._scripted("after", text):
            self.taken.append(taken)
            raise Drop
        reply = self._scripted("dot", text) or self._limited("dot", writer)
        if reply == "drop":
            raise Drop
        if reply == "stall":
            await asyncio.sleep(3600)
        if reply is None or reply.startswith("2"):
            self.taken.append(taken)
            writer.carried += 1
        writer.write((reply or "250 2.0.0 taken").encode() + b"\r\n")

    async def _content(self, reader):
        parts = []
        while True:
            line = await self._line(reader)
            if line == b".\r\n":
                return b"".join(parts)
            parts.append(line[1:] if line.startswith(b".") else line)

    async def _line(self, reader):
        whole = b""
        while True:
            try:
                return whole + await reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                whole += await reader.readexactly(error.consumed)


class Said:
    """A stream's writer that shows what both sides say."""

    def __init__(self, writer, port, number):
        self.writer, self.name = writer, f"sink {port}/{number}"
        self.drain, self.close = writer.drain, writer.close
        self.carried, self.crowded = 0, False

    def write(self, octets):
        """Writes and shows a reply."""
        print(f"{self.name} <- {octets.decode('utf-8', 'replace').rstrip()}", file=sys.stderr)
        self.writer.write(octets)

    def heard(self, line):
        """What the client sent."""
        print(f"{self.name} -> {line}", file=sys.stderr)


class Drop(Exception):
    """Raised to close the connection, as the script says."""


def angle(text):
    """The text between `<` and `>`."""
    return text[text.find("<") + 1 : text.rfind(">")]
