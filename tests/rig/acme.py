"""A small certificate authority that speaks ACME (RFC 8555) on the loopback: directory, nonces, accounts,
orders, http-01 challenges, certificates.

It is strict where a client could be wrong: every request is a JWS with a fresh nonce, the right URL and a
signature by the account's key; a challenge is fetched over HTTP and must hold the key authorisation; the
request for the certificate must be signed by its own key and name what was ordered. openssl does the
cryptography.
"""

import base64
import hashlib
import http.client
import json
import secrets
import ssl
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# SubjectPublicKeyInfo of a P-256 key up to the point itself.
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class Refused(Exception):
    """A problem document: type and detail."""


def unpack(text):
    """base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pack(octets):
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def integer(octets):
    """A DER INTEGER."""
    octets = octets.lstrip(b"\0") or b"\0"
    octets = b"\0" + octets if octets[0] & 0x80 else octets
    return b"\x02" + bytes([len(octets)]) + octets


def openssl(*arguments, feed=b""):
    """Runs openssl; its output."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=feed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    if done.returncode != 0:
        raise Refused("malformed", done.stdout.decode("utf-8", "replace")[:200])
    return done.stdout


def verified(jwk, signed, signature):
    """Whether an ES256 signature is one of this key."""
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or len(signature) != 64:
        return False
    with tempfile.TemporaryDirectory() as folder:
        key, der = Path(folder) / "key.pem", Path(folder) / "signature"
        point = P256 + b"\x04" + unpack(jwk["x"]) + unpack(jwk["y"])
        key.write_text(f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(point).decode()}-----END PUBLIC KEY-----\n")
        pair = integer(signature[:32]) + integer(signature[32:])
        der.write_bytes(b"\x30" + bytes([len(pair)]) + pair)
        try:
            openssl("dgst", "-sha256", "-verify", key, "-signature", der, feed=signed)
            return True
        except Refused:
            return False


def thumbprint(jwk):
    """RFC 7638."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return pack(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


class Authority:
    """Runs in threads of its own; a context manager. `ca` (PEM, with `ca_key`) signs; `chain` and `key` are
    its own for HTTPS; challenges are fetched from `challenges`, a port on the loopback,
    which may take `patience` seconds to open."""

    def __init__(self, ca, ca_key, chain, key, challenges, days=90, patience=0):
        self.ca, self.ca_key, self.challenges, self.days = ca, ca_key, challenges, days
        self.nonces, self.accounts, self.orders, self.log = set(), {}, [], []
        self.patience = patience
        self.lock = threading.Lock()
        authority = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.reply(*authority.get(self.path))

            def do_HEAD(self):
                self.reply(200, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    self.reply(*authority.post(self.path, body))
                except Refused as refused:
                    kind, detail = refused.args
                    authority.log.append(f"{self.path}: {kind}: {detail}")
                    self.reply(400, {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail})

            def reply(self, status, body, headers=()):
                octets = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Replay-Nonce", authority.nonce())
                self.send_header("Content-Length", str(len(octets)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(octets)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.base = f"https://localhost:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def directory(self):
        """The directory, where clients begin."""
        return self.base + "/dir"

    def nonce(self):
        """A fresh nonce."""
        with self.lock:
            nonce = secrets.token_urlsafe(12)
            self.nonces.add(nonce)
            return nonce

    def get(self, path):
        """Serves what needs no signature."""
        if path == "/dir":
            return 200, {name: f"{self.base}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}
        if path == "/newNonce":
            return 204, b""
        return 404, {"type": "urn:ietf:params:acme:error:malformed", "detail": "nothing here"}

    def opened(self, path, body):
        """Verifies a request; returns the account's key and the payload."""
        jws = json.loads(body)
        header = json.loads(unpack(jws["protected"]))
        with self.lock:
            if header.get("nonce") not in self.nonces:
                raise Refused("badNonce", "the nonce is not one of ours, or was used")
            self.nonces.remove(header["nonce"])
        if header.get("url") != self.base + path:
            raise Refused("unauthorized", "the URL is another one")
        if header.get("alg") != "ES256" or ("jwk" in header) == ("kid" in header) or ("jwk" in header) != (path == "/newAccount"):
            raise Refused("malformed", "the header is not as it must be")
        jwk = header.get("jwk") or self.accounts.get(header.get("kid"))
        if jwk is None:
            raise Refused("accountDoesNotExist", "no such account")
        if not verified(jwk, f"{jws['protected']}.{jws['payload']}".encode(), unpack(jws["signature"])):
            raise Refused("malformed", "the signature is wrong")
        payload = unpack(jws["payload"])
        return jwk, header.get("kid"), json.loads(payload) if payload else None

    def post(self, path, body):
        """Serves signed requests."""
        jwk, account, payload = self.opened(path, body)
        self.log.append(path)
        word, _, rest = path.lstrip("/").partition("/")
        if word == "newAccount":
            return self.new_account(jwk, payload)
        if word == "newOrder":
            return self.new_order(account, payload)
        order = self.orders[int(rest.split("/")[0])]
        if order["account"] != account:
            raise Refused("unauthorized", "another's order")
        if word == "order":
            return 200, self.shown(order)
        if word == "authz":
            return 200, self.authorization(order, int(rest.split("/")[1]))
        if word == "challenge":
            return self.challenge(order, int(rest.split("/")[1]), jwk)
        if word == "finalize":
            return self.finalize(order, payload)
        if word == "certificate":
            return 200, order["certificate"].encode(), [("Content-Type", "application/pem-certificate-chain")]
        raise Refused("malformed", "nothing here")

    def new_account(self, jwk, payload):
        """The account of a key, which is created if it does not exist."""
        if not payload.get("termsOfServiceAgreed"):
            raise Refused("userActionRequired", "agree to the terms")
        for url, known in self.accounts.items():
            if known == jwk:
                return 200, {"status": "valid"}, [("Location", url)]
        url = f"{self.base}/account/{len(self.accounts)}"
        self.accounts[url] = jwk
        return 201, {"status": "valid", "contact": payload.get("contact", [])}, [("Location", url)]

    def new_order(self, account, payload):
        """An order with a challenge for each name."""
        names = [identifier["value"] for identifier in payload["identifiers"]]
        order = {"number": len(self.orders), "account": account, "names": names, "status": "pending", "certificate": None,
                 "proofs": [{"token": secrets.token_urlsafe(16), "status": "pending", "error": None} for _ in names]}
        self.orders.append(order)
        return 201, self.shown(order), [("Location", f"{self.base}/order/{order['number']}")]

    def shown(self, order):
        """The order as the client sees it."""
        number = order["number"]
        shown = {"status": order["status"], "identifiers": [{"type": "dns", "value": name} for name in order["names"]],
                 "authorizations": [f"{self.base}/authz/{number}/{n}" for n in range(len(order["names"]))],
                 "finalize": f"{self.base}/finalize/{number}"}
        if order["certificate"]:
            shown["certificate"] = f"{self.base}/certificate/{number}"
        return shown

    def authorization(self, order, n):
        """The authorization of one name, with its challenge."""
        return {"identifier": {"type": "dns", "value": order["names"][n]}, "status": order["proofs"][n]["status"],
                "challenges": [{"type": "dns-01", "url": f"{self.base}/none", "status": "pending", "token": "unused"}, self.proof(order, n)]}

    def proof(self, order, n):
        """One challenge of an order."""
        proof = order["proofs"][n]
        shown = {"type": "http-01", "url": f"{self.base}/challenge/{order['number']}/{n}", "status": proof["status"], "token": proof["token"]}
        return {**shown, "error": proof["error"]} if proof["error"] else shown

    def challenge(self, order, n, jwk):
        """The client is ready: fetches the challenge."""
        proof, name = order["proofs"][n], order["names"][n]
        until = time.monotonic() + self.patience
        while True:
            try:
                line = http.client.HTTPConnection("127.0.0.1", self.challenges, timeout=10)
                line.request("GET", f"/.well-known/acme-challenge/{proof['token']}", headers={"Host": name})
                found = line.getresponse().read().decode()
                line.close()
            except OSError as error:
                found = str(error)
                if time.monotonic() < until:
                    time.sleep(0.2)
                    continue
            break
        if found == f"{proof['token']}.{thumbprint(jwk)}":
            proof["status"] = "valid"
        else:
            proof["status"] = order["status"] = "invalid"
            proof["error"] = {"type": "urn:ietf:params:acme:error:unauthorized", "detail": f"found {found[:60]!r}"}
        if all(each["status"] == "valid" for each in order["proofs"]):
            order["status"] = "ready"
        return 200, self.proof(order, n)

    def finalize(self, order, payload):
        """Issues the ordered certificate."""
        if order["status"] != "ready":
            raise Refused("orderNotReady", order["status"])
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "der").write_bytes(unpack(payload["csr"]))
            openssl("req", "-inform", "DER", "-in", folder / "der", "-verify", "-out", folder / "csr")
            text = openssl("req", "-in", folder / "csr", "-noout", "-text").decode()
            if any(f"DNS:{host}" not in text for host in order["names"]) or text.count("DNS:") != len(order["names"]):
                raise Refused("badCSR", "the names are others than those ordered")
            openssl("x509", "-req", "-in", folder / "csr", "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", self.days,
                    "-copy_extensions", "copy", "-out", folder / "pem")
            order["certificate"] = (folder / "pem").read_text() + Path(self.ca).read_text()
        order["status"] = "valid"
        return 200, self.shown(order)
