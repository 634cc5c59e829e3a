"""A mail exchanger that accepts everything, with or without STARTTLS, and an attacker in the middle.

    with Exchanger(context, "127.0.0.2") as host: … host.taken lists (secured, recipients, content) …

`between` is what the attacker does: "strip" hides STARTTLS, "refuse" answers it with 454,
"inject" puts a reply behind the answer to STARTTLS, before the handshake. `heard` lists every command
that came in the clear. The dialogue goes to standard error.
"""

import contextlib
import socket
import socketserver
import sys
import threading


class Exchanger:
    """Use as a context manager. Without a context it offers no TLS."""

    def __init__(self, context=None, address="127.0.0.1", port=0, between="", offers=("8BITMIME", "SMTPUTF8")):
        self.context, self.address, self.port, self.between, self.offers = context, address, port, between, offers
        self.taken, self.heard, self.connections, self.streams = [], [], 0, []

    def __enter__(self):
        host = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                host.connections += 1
                host.streams.append(self.request)
                try:
                    Session(host, self.request).run()
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.server = Server((self.address, self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)


class Session:
    def __init__(self, host, stream):
        self.host, self.stream, self.file, self.secured = host, stream, stream.makefile("rb"), False

    def say(self, *lines):
        print(*(f"exchanger {self.host.address} <- {line}" for line in lines), sep="\n", file=sys.stderr)
        self.stream.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError
        line = line.decode("utf-8", "replace").rstrip("\r\n")
        print(f"exchanger {self.host.address} -> {line}", file=sys.stderr)
        if not self.secured:
            self.host.heard.append(line.strip())
        return line

    def run(self):
        self.say("220 exchanger ESMTP")
        recipients = []
        while True:
            line = self.line()
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                starttls = self.host.context and not self.secured and self.host.between != "strip"
                offers = [*self.host.offers, *(["STARTTLS"] if starttls else []), "SIZE 0"]
                self.say("250-exchanger", *(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")
            elif verb == "STARTTLS" and self.host.between == "refuse":
                self.say("454 4.7.0 not now")
            elif verb == "STARTTLS":
                behind = ["250-exchanger", "250 AUTH PLAIN"] if self.host.between == "inject" else []
                self.say("220 2.0.0 go ahead", *behind)
                self.stream = self.host.context.wrap_socket(self.stream, server_side=True)
                self.host.streams.append(self.stream)
                self.file, self.secured = self.stream.makefile("rb"), True
            elif verb == "RCPT":
                recipients.append(line[line.find("<") + 1 : line.rfind(">")])
                self.say("250 2.1.5 ok")
            elif verb == "DATA":
                self.say("354 go ahead")
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    if not (octets := self.file.readline()):
                        raise ConnectionError
                    content += octets
                self.host.taken.append((self.secured, recipients, content[:-3]))
                recipients = []
                self.say("250 2.0.0 taken")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok")
