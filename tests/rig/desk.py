"""A relay with people who may sign in at its desk, and mail that is held for them."""

import email
import email.message
import email.policy
import os
import re
import subprocess

from tests.rig.relay import Relay, binary, id_of

POLICY = """
[[rule]]
name = "strangers-see-each-other"
when = { external_addresses = { at_least = 5 }, external_organisations = { at_least = 2 } }
unless = { circle = true }
demand = "ask"
[[rule]]
name = "look-first"
when = { subject = { contains = "look first" } }
demand = "hold"
"""
PEOPLE = {
    "soumu": ("soumu@example.co.jp", "approver"),
    "bucho": ("bucho@example.co.jp", "approver"),
    "kansa": ("kansa@example.co.jp", "auditor"),
    "kanri": ("kanri@example.co.jp", "admin"),
    "hanako": ("hanako.sato@example.co.jp", None),
}
PASSWORD = "a long enough password 9"
ORGANISATIONS = ["tanaka-shoji.example", "yamada-kensetsu.example", "suzuki.example", "mirai-denki.example",
                 "aoba.example", "kita.example", "minami.example", "umi.example", "gmail.com"]
TWELVE = [f"{name}@{ORGANISATIONS[index % 9]}" for index, name in enumerate(
    ["tanaka", "yamada", "suzuki", "kimura", "inoue", "mori", "hayashi", "abe", "ishii", "okada", "goto", "hara"])]


def mail(to, subject="Autumn exhibition", text="Dear all,\n\nplease come and see us.\n\nHanako Sato", html=True,
         attach=True):
    """A mail of Hanako's."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = "佐藤 花子 <hanako.sato@example.co.jp>"
    message["To"] = ", ".join(to)
    message["Subject"] = subject
    message["Message-ID"] = f"<{abs(hash((subject, tuple(to), os.urandom(4))))}@example.co.jp>"
    message["Date"] = "Sun, 22 Nov 2026 06:00:00 +0900"
    message.set_content(text)
    if html:
        message.add_alternative(f"<h1>{subject}</h1><p>{text}</p>", subtype="html")
    if attach:
        message.add_attachment(b"%PDF-1.4 " * 500, maintype="application", subtype="pdf", filename="ご案内.pdf")
    return message.as_bytes()


class Desk(Relay):
    """A relay with people who may sign in."""

    def __init__(self, policy=POLICY, **more):
        super().__init__("capture:out", policy=policy, upstream_extra="", desk_extra='people = "people.toml"',
                         policy_extra='approvers = ["soumu@example.co.jp", "bucho@example.co.jp"]', **more)
        for name, (address, role) in PEOPLE.items():
            arguments = ["user", "add", name, "--address", address, "--password-stdin", "--config", str(self.config)]
            if role:
                arguments += ["--role", role]
            done = subprocess.run([binary(), *arguments], input=PASSWORD + "\n", text=True, capture_output=True,
                                  cwd=self.folder, timeout=60)
            assert done.returncode == 0, done.stderr

    def page(self, path="/"):
        """The URL of a page."""
        return f"http://127.0.0.1:{self.desk}{path}"

    def hold(self, count=12, subject="Autumn exhibition", **more):
        """Sends a mail to this many people that is held; returns its id."""
        to = TWELVE[:count] if count <= 12 else [f"person{n}@org{n % 97}.example" for n in range(count)]
        answer = self.send(mail(to, subject, **more), to)
        assert " held as " in answer, answer
        return id_of(answer)

    def delivered(self):
        """The number of copies at the upstream, without notices."""
        return [text for text in (path.read_bytes() for path in (self.folder / "out" / "new").glob("*"))
                if b"Auto-Submitted" not in text]

    def links(self):
        """The paths of the links in notices to senders so far; those of approvers are separate."""
        found = []
        for path in sorted((self.folder / "out" / "new").glob("*")):
            text = path.read_bytes()
            if b"Auto-Submitted" in text:
                notice = email.message_from_bytes(text, policy=email.policy.default)
                if any(address in str(notice["To"]) for address in ("soumu@", "bucho@")):
                    continue
                found += re.findall(r"/l/[A-Za-z0-9_-]{40,}", notice.get_body(("plain",)).get_content())
        return list(dict.fromkeys(found))
