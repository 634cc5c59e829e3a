"""Every guide's configuration, unchanged, with the files and names it needs: `check --connect` finds nothing
missing, reports each thing that is removed, and the relay starts with it.
"""

import contextlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.rig.authority import Authority
from tests.rig.check import contains, equal
from tests.rig.dns import NameServer
from tests.rig.mailhost import MailHost
from tests.rig.ports import alone_with, free_port
from tests.rig.relay import TOP, binary

pytestmark = pytest.mark.root

# The guide of PostgreSQL is followed in nodes.py: it changes the store of a configuration, and nothing else.
GUIDES = sorted(path for path in (TOP / "deploy" / "guides").glob("*.md") if path.name != "postgresql.md")
OURS, THEIRS = "127.0.46.1", "127.0.46.2"


def configuration(guide):
    """The configuration in a guide."""
    fenced = re.findall(r"(?ms)^```(?:toml)?\n(.*?)^```", guide.read_text())
    (text,) = [block for block in fenced if "[organisation]" in block]
    return text


class Home:
    """A folder with everything that a guide's configuration names; a context manager."""

    def __init__(self, guide):
        self.text, self.stack = configuration(guide), contextlib.ExitStack()

    def __enter__(self):
        # A guide's listeners and upstream are at the ports it names.
        self.stack.enter_context(alone_with("guides"))
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="guide-")))
        self.authority = Authority(self.folder / "ca")
        self.dns = self.stack.enter_context(NameServer())
        text = self.text.replace("/etc/sekisho/", f"{self.folder}/").replace("0.0.0.0", OURS)
        text = text.replace("127.0.0.1:8025", f"127.0.0.1:{free_port()}")
        host, port = re.search(r'(?m)^\[upstream\]\naddress = "([^"]+):(\d+)"', text).groups()
        hostname = re.search(r'(?m)^hostname = "([^"]+)"', text)
        self.dns.records = {
            "example.co.jp": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"], "MX": [(10, "mx.example.co.jp")]},
            **{name: {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]} for found in re.findall(r"spf = \[(.*?)\]", text) for name in re.findall('"([^"]+)"', found)},
        }
        if hostname:
            self.dns.records[hostname[1]] = {"A": [OURS]}
        if not host[0].isdigit():
            self.dns.records[host] = {"A": [THEIRS]}
            text = text.replace("[upstream]\n", f'[upstream]\nca_file = "{self.authority.ca}"\n', 1)
        for chain, key in re.findall(r'chain = "([^"]+)", key = "([^"]+)"', text):
            made = self.authority.issue("relay", f"DNS:{hostname[1] if hostname else 'localhost'}")
            for place, content in zip((chain, key), made):
                self.file(place, content.read_bytes())
        (self.folder / "new").mkdir()
        for domain, selector, key in re.findall(r'domain = "([^"]+)", selector = "([^"]+)", key = "([^"]+)"', text):
            made = json.loads(subprocess.run([binary(), "dkim", "keygen", "--domain", domain, "--selector", selector, "--out", self.folder / "new", "--json"],
                                             capture_output=True, text=True, check=True).stdout)
            self.file(key, Path(made["file"]).read_bytes())
            self.dns.records[made["name"]] = {"TXT": [made["value"]]}
        for secret in re.findall(r'(?:password_file|secret_file|secret) = "([^"]+)"', text):
            self.file(secret, b"0123456789abcdef0123456789abcdef\n")
        for folder in ("policy", "certs"):
            (self.folder / folder).mkdir(exist_ok=True)
        (self.folder / "policy" / "default.toml").write_bytes((TOP / "policy" / "default.toml").read_bytes())
        self.config = self.folder / "sekisho.toml"
        self.config.write_text(f"{text}\n{self.dns.config}")
        if users := re.search(r'source = "file:([^"]+)"', text):
            self.sekisho("user", "add", "hanako@example.co.jp", "--password-stdin", feed="correct horse\n")
            assert self.at(users[1]).exists(), users[1]
        bound = ("127.0.0.1" if host[0].isdigit() else THEIRS, int(port))
        user = re.search(r'(?m)^username = "([^"]+)"', text)
        users = {user[1]: "0123456789abcdef0123456789abcdef"} if user else {}
        self.stack.enter_context(MailHost(self.authority.server("theirs", f"DNS:{host},IP:127.0.0.1" if not host[0].isdigit() else "DNS:localhost"), users, address=bound))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def at(self, place):
        """Where a file of the configuration is."""
        return self.folder / place.removeprefix("credential:")

    def file(self, place, content):
        path = self.at(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)

    def sekisho(self, *arguments, feed=""):
        """A command; what it says."""
        return subprocess.run([binary(), *arguments, "--config", str(self.config)], input=feed, capture_output=True, text=True, timeout=120,
                              cwd=self.folder, env={**os.environ, "CREDENTIALS_DIRECTORY": str(self.folder)})

    def checked(self):
        """What `check --connect` finds: (standing, area, text)."""
        done = self.sekisho("check", "--connect", "--json")
        return [(one["standing"], one["area"], one["text"]) for one in json.loads(done.stdout)["checks"]]


def it_finds_nothing_missing_in_any_guide(note):
    for guide in GUIDES:
        with Home(guide) as home:
            found = home.checked()
            equal([one for one in found if one[0] == "error"], [], guide.name)
            assert any(area == "upstream" and "accepts connections" in text for _, area, text in found), (guide.name, found)
            # each item of a guide's checklist is reported when it is missing
            missing = [path for path in home.folder.iterdir() if path.suffix in (".pem", "") and path.is_file() and path.name.endswith(("secret", "password", ".pem"))]
            for path in missing:
                kept = path.read_bytes()
                path.unlink()
                assert any(standing == "error" and path.name in text for standing, _, text in home.checked()), (guide.name, path.name)
                home.file(path.name, kept)
    note(f"{len(GUIDES)} guides")


def it_says_when_names_do_not_lead_where_a_guide_says():
    guide = next(guide for guide in GUIDES if guide.stem == "google-workspace")
    with Home(guide) as home:
        home.dns.records["example.co.jp"] = {}
        found = home.checked()
        assert any(area == "spf" and standing != "ok" for standing, area, _ in found), found
        del home.dns.records["_spf.google.com"]
        contains(str([text for standing, _, text in home.checked() if standing == "error"]), "_spf.google.com")
