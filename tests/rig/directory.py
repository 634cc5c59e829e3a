"""A directory of people: a real slapd on free ports, plain and over TLS."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.rig.ports import free_port

SLAPD, SLAPADD, SLAPPASSWD = "/usr/sbin/slapd", "/usr/sbin/slapadd", "/usr/sbin/slappasswd"


class Directory:
    """Use as a context manager. `people` maps user names to (password, addresses)."""

    def __init__(self, authority, people):
        self.folder = Path(tempfile.mkdtemp(prefix="slapd-"))
        self.port, self.tls_port = free_port(), free_port()
        chain, key = authority.issue("directory")
        (self.folder / "db").mkdir()
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
        self.config = self.folder / "slapd.conf"
        self.config.write_text(
            f"{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {self.folder}/pid\n"
            f"TLSCACertificateFile {authority.ca}\nTLSCertificateFile {chain}\nTLSCertificateKeyFile {key}\n"
            # As a directory may be set up: a bind without a password is anonymous and succeeds.
            "allow bind_anon_cred\n"
            f'database mdb\nsuffix "dc=example"\nrootdn "cn=admin,dc=example"\nrootpw admin-password\n'
            f"directory {self.folder}/db\naccess to attrs=userPassword by anonymous auth\n"
            "access to * by users read by anonymous auth\n"
        )
        entries = ["dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n",
                   "dn: ou=people,dc=example\nobjectClass: organizationalUnit\nou: people\n"]
        for user, (password, addresses) in people.items():
            mails = "".join(f"mail: {address}\n" for address in addresses)
            entries.append(f"dn: uid={user},ou=people,dc=example\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {user}\n"
                           f"sn: {user}\n{mails}userPassword: {password}\n")
        ldif = self.folder / "people.ldif"
        ldif.write_text("\n".join(entries))
        done = subprocess.run([SLAPADD, "-f", str(self.config), "-l", str(ldif)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Starts it and waits until it listens."""
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([SLAPD, "-f", str(self.config), "-h", urls, "-d", "0"], stdout=log, stderr=log)
        import socket
        until = time.time() + 30
        while time.time() < until:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("slapd does not start")

    def stop(self):
        """Stops it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
