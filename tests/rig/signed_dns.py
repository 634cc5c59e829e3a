"""A name server that signs: NSD over a root zone of the tests' own, signed by ldns (both from Debian).

    with SignedNames("mx.test. A 127.0.0.1") as dns:
        … the configuration table `dns.config` makes a relay trust it and nobody else …

Names are absolute. The zone stays as it is while the server runs.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.rig.ports import free_port
from tests.rig.relay import wait_until

START = "@ 60 IN SOA ns. admin. 1 3600 600 86400 60\n@ 60 IN NS ns.\nns. 60 IN A 127.0.0.1\n"


class SignedNames:
    """Use as a context manager."""

    def __init__(self, *records):
        self.folder = Path(tempfile.mkdtemp(prefix="signed-dns-"))
        lines = (record.replace(" ", " 60 IN ", 1) for record in records)
        (self.folder / "zone").write_text("$ORIGIN .\n" + START + "".join(f"{line}\n" for line in lines))
        self.port, self.process = free_port(), None
        self.anchor = self.folder / "anchor"

    def __enter__(self):
        base = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", ".").strip()
        self._run("ldns-signzone", "-f", "zone.signed", "zone", base)
        key = (self.folder / f"{base}.key").read_text().split(";")[0].split()
        self.anchor.write_text(f". 60 IN DNSKEY {' '.join(key[-4:])}\n")
        (self.folder / "nsd.conf").write_text(
            f'server:\n  ip-address: 127.0.0.1@{self.port}\n  database: ""\n  zonesdir: "{self.folder}"\n  username: ""\n'
            f'  pidfile: "{self.folder}/pid"\n  xfrdfile: "{self.folder}/xfrd"\n  zonelistfile: "{self.folder}/zones"\n'
            f'  server-count: 1\nremote-control:\n  control-enable: no\nzone:\n  name: "."\n  zonefile: zone.signed\n'
        )
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(self.folder / "nsd.conf")], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        assert wait_until(self._answers, 20, 0.1), (self.folder / "log").read_text()
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def _answers(self):
        asked = subprocess.run(["drill", "-D", "@127.0.0.1", "-p", str(self.port), "SOA", "."], capture_output=True, text=True, timeout=20)
        return "RRSIG" in asked.stdout

    @property
    def config(self):
        """The table that makes a relay ask this server and trust its key."""
        return f'[dns]\nservers = ["127.0.0.1:{self.port}"]\ntrust_anchor_file = "{self.anchor}"\n'
