"""A TCP proxy that can be told to be a bad network: it drops, delays, half-closes, resets, or leads elsewhere."""

import asyncio
import contextlib
import random
import socket
import struct
import threading

from tests.rig.ports import free_port


class Proxy:
    """Listens on the loopback interface and passes everything on to `port`; use as a context manager.

    Its attributes may be changed at any time: `port` (for new connections), `silent` (nothing passes, nobody is
    told), `refusing` (new connections are reset), `delay` (seconds for each piece), and `tearing` (the share of
    answers that get lost together with their connection, after part of them has passed).
    """

    def __init__(self, port, seed="sekisho"):
        self.port, self.listens = port, free_port()
        self.silent = self.refusing = False
        self.delay = self.tearing = 0.0
        self.dice, self.torn = random.Random(seed), 0
        self.open, self.loop = {}, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10), "the proxy does not start"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.listens))
        self.ready.set()
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader, writer):
        if self.refusing:
            return reset(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return reset(writer)
        pair = (writer, there[1])
        self.open[id(writer)] = pair
        try:
            await asyncio.gather(self._pass(reader, there[1], pair, False), self._pass(there[0], writer, pair, True))
        finally:
            self.open.pop(id(writer), None)
            for one in pair:
                with contextlib.suppress(OSError):
                    one.close()

    async def _pass(self, reader, writer, pair, answers):
        """Passes one direction on until it ends, and then its end."""
        with contextlib.suppress(OSError):
            while octets := await reader.read(65_536):
                while self.silent:
                    await asyncio.sleep(0.02)
                if self.delay:
                    await asyncio.sleep(self.delay)
                if answers and self.tearing and self.dice.random() < self.tearing:
                    writer.write(octets[: self.dice.randrange(len(octets))])
                    self.torn += 1
                    for one in pair:
                        reset(one)
                    return
                writer.write(octets)
                await writer.drain()
            writer.write_eof()

    def _each(self, what):
        def do():
            for pair in list(self.open.values()):
                with contextlib.suppress(OSError):
                    what(*pair)
        self.loop.call_soon_threadsafe(do)

    def reset(self):
        """Resets every connection on both sides."""
        self._each(lambda one, other: (reset(one), reset(other)))

    def half_close(self, towards_client):
        """Ends every connection in one direction; the other still passes."""
        self._each(lambda one, other: (one if towards_client else other).write_eof())


def reset(writer):
    """Closes a connection so that the other side gets a reset."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
