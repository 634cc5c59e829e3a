"""A mail host that speaks STARTTLS and AUTH, with users and a service account, and keeps what it takes.

Threads, one a connection. `logins` lists (mechanism, user, taken) as they came, `shown` the common
names of clients' certificates (such a client is logged in by it) with the host names they asked for; `mails` lists
(user, sender, recipients, content). The dialogue goes to standard error.
"""

import base64
import socketserver
import ssl
import sys
import threading
import time


class MailHost:
    """Use as a context manager. `users` maps names to passwords, `tokens` names to bearer tokens."""

    def __init__(self, context, users, tokens=None, address=("127.0.0.1", 0)):
        self.bound = address
        self.context, self.users, self.tokens = context, users, tokens or {}
        self.logins, self.mails, self.shown = [], [], []
        context.sni_callback = self.asked_for

    def __enter__(self):
        host = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    Session(host, self.request).run()
                except (OSError, ConnectionError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.server = Server(self.bound, Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def asked_for(self, stream, name, _):
        stream.asked_for = name

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Session:
    def __init__(self, host, stream):
        self.host, self.stream, self.file = host, stream, stream.makefile("rb")
        self.secured, self.user = False, None

    def say(self, *lines):
        print(*(f"mail host {self.host.port} <- {line}" for line in lines), sep="\n", file=sys.stderr)
        self.stream.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError
        line = line.decode().rstrip("\r\n")
        print(f"mail host {self.host.port} -> {line}", file=sys.stderr)
        return line

    def run(self):
        self.say("220 mailhost ESMTP")
        sender, recipients = None, []
        while True:
            line = self.line()
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                last = "250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER" if self.secured else "250 STARTTLS"
                self.say("250-mailhost", "250-8BITMIME", "250-SMTPUTF8", last)
            elif verb == "STARTTLS":
                self.say("220 go")
                self.stream = self.host.context.wrap_socket(self.stream, server_side=True, do_handshake_on_connect=False)
                try:
                    self.stream.do_handshake()
                except ssl.SSLError:
                    # closed at once, what the client wrote meanwhile would take our alert with it
                    time.sleep(0.5)
                    raise
                self.file, self.secured = self.stream.makefile("rb"), True
                if shown := self.stream.getpeercert():
                    self.user = dict(field for (field,) in shown["subject"])["commonName"]
                    self.host.shown.append((self.user, getattr(self.stream, "asked_for", None)))
            elif verb == "AUTH":
                self.auth(*line.split(" ")[1:3])
            elif verb == "MAIL":
                sender, recipients = line, []
                self.say("250 2.1.0 ok" if self.user else "530 5.7.0 authenticate")
            elif verb == "RCPT":
                recipients.append(line)
                self.say("250 2.1.5 ok")
            elif verb == "DATA":
                self.say("354 go")
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    content += self.file.readline()
                self.host.mails.append((self.user, sender, recipients, content[:-3]))
                self.say("250 2.0.0 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 2.0.0 ok")

    def auth(self, mechanism, initial=""):
        decoded = base64.b64decode(initial).decode()
        if mechanism == "PLAIN":
            _, user, password = decoded.split("\0")
            right = self.host.users.get(user) == password
        elif mechanism in ("XOAUTH2", "OAUTHBEARER"):
            user = decoded.split("\1")[0].removeprefix("user=").removeprefix("n,a=").rstrip(",")
            right = f"auth=Bearer {self.host.tokens.get(user)}\1\1" in decoded
        else:
            return self.say("504 5.5.4 what")
        self.host.logins.append((mechanism, user, right))
        if right:
            self.user = user
            return self.say("235 2.7.0 welcome")
        if mechanism != "PLAIN":
            self.say("334 " + base64.b64encode(b'{"status":"401"}').decode())
            self.line()
        return self.say("535 5.7.8 no")
