"""A small name server over UDP and TCP: TXT, MX, A, AAAA, CNAME, TLSA from a dictionary, unsigned.

    with NameServer({"example.com": {"MX": [(10, "mx.example.com")], "TXT": ["v=spf1 -all"]},
                     "mx.example.com": {"A": ["127.0.0.2"]}}) as dns:
        … [dns] servers = ["127.0.0.1:{dns.port}"], dnssec = false …

`records` may be changed while it runs. `fail(name)` answers SERVFAIL for a name, `silent(name)` not at
all. `asked` lists the questions that came, as (name, type).
"""

import ipaddress
import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
NAMES = {number: name for name, number in TYPES.items()}


def encode_name(name):
    """A name on the wire."""
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"


def encode(kind, value):
    """A record's data on the wire."""
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack("!H", value[0]) + encode_name(value[1])
    if kind in ("CNAME", "PTR"):
        return encode_name(value)
    if kind == "TXT":
        octets = value.encode()
        parts = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
        return b"".join(bytes([len(part)]) + part for part in parts)
    if kind == "TLSA":
        usage, selector, matching, data = value
        return bytes([usage, selector, matching]) + bytes.fromhex(data)
    raise AssertionError(f"no record {kind}")


class NameServer:
    """Runs in threads of its own; use as a context manager."""

    def __init__(self, records=None, ttl=60):
        self.records, self.ttl = dict(records or {}), ttl
        self.asked, self.failing, self.mute = [], set(), set()
        self.port = 0

    def __enter__(self):
        for _ in range(50):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            try:
                tcp = socketserver.ThreadingTCPServer(udp.getsockname(), self._handler())
                break
            except OSError:
                udp.close()
        else:
            raise AssertionError("no port is free over UDP and TCP")
        tcp.daemon_threads = True
        self.port, self._udp, self._tcp = udp.getsockname()[1], udp, tcp
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=tcp.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._udp.close()
        self._tcp.shutdown()
        self._tcp.server_close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def config(self):
        """The table that makes a relay ask this server."""
        return f'[dns]\nservers = ["{self.address}"]\ndnssec = false\n'

    def fail(self, name):
        """From now on SERVFAIL for this name."""
        self.failing.add(name.lower())

    def silent(self, name):
        """From now on no answer for this name."""
        self.mute.add(name.lower())

    def heal(self):
        """Undoes `fail` and `silent`."""
        self.failing.clear()
        self.mute.clear()

    def _serve_udp(self):
        while True:
            try:
                question, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(question)
            if answer is not None:
                if len(answer) > 1200:  # asks again over TCP
                    answer = answer[:2] + bytes([answer[2] | 2]) + answer[3:6] + bytes(6) + answer[12 : self._end]
                self._udp.sendto(answer, peer)

    def _handler(outer):
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while len(size := self.rfile.read(2)) == 2:
                    answer = outer._answer(self.rfile.read(struct.unpack("!H", size)[0]))
                    if answer is None:
                        return
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        return Handler

    def _answer(self, question):
        ident, flags = struct.unpack("!HH", question[:4])
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii"))
            at += 1 + question[at]
        number = struct.unpack("!H", question[at + 1 : at + 3])[0]
        self._end = at + 5
        name, kind = ".".join(labels).lower(), NAMES.get(number, str(number))
        self.asked.append((name, kind))
        if name in self.mute:
            return None
        answers, code = [], 0
        if name in self.failing:
            code = 2
        else:
            here, seen = name, 0
            while True:
                entry = self._entry(here)
                if entry is None:
                    code = 0 if answers or self._has_below(here) else 3
                    break
                if "CNAME" in entry and kind != "CNAME" and seen < 8:
                    target = entry["CNAME"][0]
                    answers.append(self._record(here, "CNAME", target))
                    here, seen = target.rstrip(".").lower(), seen + 1
                    continue
                answers += [self._record(here, kind, value) for value in entry.get(kind, [])]
                break
        authority = [] if answers else [self._soa()]
        head = struct.pack("!HHHHHH", ident, 0x8580 | (flags & 0x0100) | code, 1, len(answers), len(authority), 0)
        return head + question[12 : self._end] + b"".join(answers + authority)

    def _entry(self, name):
        return next((entry for own, entry in self.records.items() if own.rstrip(".").lower() == name), None)

    def _has_below(self, name):
        return any(own.rstrip(".").lower().endswith(f".{name}") for own in self.records)

    def _record(self, name, kind, value):
        data = encode(kind, value)
        return encode_name(name) + struct.pack("!HHIH", TYPES[kind], 1, self.ttl, len(data)) + data

    def _soa(self):
        data = encode_name("ns.test") + encode_name("admin.test") + struct.pack("!IIIII", 1, 60, 60, 60, 1)
        return encode_name("") + struct.pack("!HHIH", TYPES["SOA"], 1, 1, len(data)) + data
