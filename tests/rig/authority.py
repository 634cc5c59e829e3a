"""A certificate authority of the tests, by openssl: certificates for names and addresses, in a folder."""

import hashlib
import ssl
import subprocess
from pathlib import Path


class Authority:
    """Makes its own key and certificate in `folder`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca, self._key = self.folder / "ca.pem", self.folder / "ca.key"
        self._openssl("req", "-x509", *self._new_key(self._key), "-out", self.ca, "-days", "30", "-subj", "/CN=Test CA",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def _new_key(self, path, rsa=False):
        kind = ("rsa:2048",) if rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        return "-newkey", *kind, "-nodes", "-keyout", path

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def issue(self, name, alternatives="DNS:localhost,IP:127.0.0.1", rsa=False, usage="serverAuth", days=30):
        """A certificate and its key, as paths."""
        chain, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage={usage}\n")
        self._openssl("req", "-new", *self._new_key(key, rsa), "-out", request, "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", str(days),
                      "-extfile", extensions, "-out", chain)
        return chain, key

    def key_hash(self, name):
        """The SHA-256 of the public key of what was issued under that name, in hex: a pin, or a TLSA 3 1 1."""
        key = subprocess.run(["openssl", "x509", "-in", str(self.folder / f"{name}.pem"), "-pubkey", "-noout"], capture_output=True, check=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
        return hashlib.sha256(der).hexdigest()

    def client(self):
        """What a client needs to trust it."""
        return ssl.create_default_context(cafile=str(self.ca))

    def server(self, name, alternatives="DNS:localhost,IP:127.0.0.1"):
        """What a server of that name needs."""
        chain, key = self.issue(name, alternatives)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        return context
