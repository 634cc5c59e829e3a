"""Real mail servers from Debian as upstreams: Postfix, Exim and OpenSMTPD, each from a temporary folder,
with STARTTLS and AUTH, handing what they take on to a sink.

The three conflict as packages, so Exim and OpenSMTPD are unpacked into a folder and run from there, in
a mount namespace of their own where they find the users and folders they were built for. That takes root.
"""

import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rig.ports import alone_with, free_port
from tests.rig.relay import wait_until

USER, PASSWORD = "relay", "correct horse"
UNPACKED = Path(os.environ.get("SEKISHO_MTAS", "/var/cache/sekisho-tests/mtas"))
# The users that the servers find in their namespace. None of the machine's own: it may have users of these names, with
# other numbers and other folders.
IDS = {"root": 0, "daemon": 1, "mail": 8, "Debian-exim": 64001, "opensmtpd": 64002, "opensmtpq": 64003, "nogroup": 65534, "nobody": 65534}
USERS = "".join(f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n" for name, number in IDS.items() if name != "nogroup")
GROUPS = "".join(f"{name}:x:{number}:\n" for name, number in IDS.items() if name != "nobody")
EXIM = IDS["Debian-exim"]


def unpack():
    """Exim and OpenSMTPD in a folder, fetched once."""
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with alone_with("unpacking"), tempfile.TemporaryDirectory() as folder:
        if (UNPACKED / "usr/sbin/exim4").exists() and (UNPACKED / "usr/sbin/smtpd").exists():
            return
        fetch = ["apt-get", "download", "exim4-daemon-light", "opensmtpd"]
        if subprocess.run(fetch, cwd=folder, capture_output=True, timeout=120).returncode != 0:
            run(["apt-get", "update", "-q"])
            run(fetch, cwd=folder)
        for package in Path(folder).glob("*.deb"):
            run(["dpkg", "-x", str(package), str(UNPACKED)])


def run(command, **more):
    """Runs a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Mta:
    """One server; use as a context manager. `authority` issues its certificate for `localhost`."""

    def __init__(self, authority, sink):
        self.folder = Path(tempfile.mkdtemp(prefix="mta-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.port, self.sink, self.process = free_port(), sink, None
        self.chain, self.key = authority.issue(f"mta-{self.folder.name}", rsa=True)
        self.log = self.folder / "log"

    def __enter__(self):
        self.configure()
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )
        if not wait_until(lambda: self.answers() or self.process.poll() is not None, 30, 0.1) or self.process.poll() is not None:
            said = self.log.read_text("utf-8", "replace")[-3000:]
            self.__exit__()
            raise AssertionError(f"{type(self).__name__} does not start:\n{said}")
        return self

    def __exit__(self, *_):
        if self.process:
            for kind in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self.process.pid, kind)
                except ProcessLookupError:
                    break
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    continue
        if self.log.exists():
            print(f"---- log of {type(self).__name__}\n{self.log.read_text('utf-8', 'replace')[-4000:]}\n----", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def answers(self):
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as client:
                return client.ehlo()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    @property
    def address(self):
        return f"localhost:{self.port}"

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def in_namespace(self, command, setup=""):
        """A command that sees our users, in a mount namespace of its own."""
        passwd, group = self.write("passwd", USERS), self.write("group", GROUPS)
        # Names are looked up only in these files.
        order = self.write("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
        binds = " && ".join(f"mount --bind {path} /etc/{path.name}" for path in (passwd, group, order))
        script = f"{binds} && {setup or 'true'} && exec {command}"
        return ["unshare", "--mount", "sh", "-ec", script]


class Postfix(Mta):
    """Postfix with Cyrus SASL and a password file of its own."""

    mechanisms = "PLAIN LOGIN SCRAM-SHA-256"

    def configure(self):
        folder = self.folder
        (folder / "queue").mkdir()
        (folder / "data").mkdir()
        shutil.chown(folder / "data", "postfix")
        services = "".join(
            f"{line}\n"
            for line in (
                f"127.0.0.1:{self.port} inet n - n - - smtpd",
                "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr",
                "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
                "trace unix - - n - 0 bounce", "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap",
                "smtp unix - - n - - smtp", "relay unix - - n - - smtp", "error unix - - n - - error",
                "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil",
                "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd", "showq unix n - n - - showq",
            )
        )
        self.write("etc/master.cf", services)
        self.write(
            "etc/main.cf",
            f"""compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {self.log}
maillog_file_prefixes = /tmp
mail_owner = postfix
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks =
myhostname = localhost
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{self.sink.port}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {self.chain}
smtpd_tls_key_file = {self.key}
smtpd_sasl_auth_enable = yes
""",
        )
        self.write(
            "etc/sasl/smtpd.conf",
            f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {folder}/sasldb\nmech_list: {self.mechanisms}\n",
        )
        run(["/usr/sbin/saslpasswd2", "-p", "-c", "-f", str(folder / "sasldb"), "-u", "localhost", USER], input=PASSWORD)
        shutil.chown(folder / "sasldb", "postfix")

    def command(self):
        return ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), "start-fg"]

    def __exit__(self, *nothing):
        subprocess.run(["/usr/sbin/postfix", "-c", str(self.folder / "etc"), "stop"], capture_output=True, timeout=30)
        super().__exit__(*nothing)


class Exim(Mta):
    """Exim with its own PLAIN and LOGIN."""

    def configure(self):
        unpack()
        for name in ("spool", "logs"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, EXIM, EXIM)
        key = self.write("key.pem", Path(self.key).read_text(), 0o640)
        os.chown(key, 0, EXIM)
        self.write("chain.pem", Path(self.chain).read_text())
        self.write(
            "exim.conf",
            f"""primary_hostname = localhost
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/logs/%slog
pid_file_path = {self.folder}/exim.pid
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {self.folder}/chain.pem
tls_privatekey = {self.folder}/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = rcpt
never_users =
queue_run_in_order = true
keep_environment =
exim_path = {UNPACKED}/usr/sbin/exim4
disable_ipv6 = true
host_lookup =
rfc1413_hosts =
begin acl
rcpt:
  accept authenticated = *
  deny message = relaying denied
begin routers
on:
  driver = manualroute
  transport = hop
  route_list = * 127.0.0.1
  self = send
begin transports
hop:
  driver = smtp
  port = {self.sink.port}
  allow_localhost = true
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User : Password
  server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}}}}}{{eq{{$auth2}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth1
""",
        )

    def command(self):
        exim = UNPACKED / "usr/sbin/exim4"
        return self.in_namespace(f"{exim} -bdf -q1m -C {self.folder}/exim.conf", f"mount --bind {exim} {exim}")


class OpenSmtpd(Mta):
    """OpenSMTPD with AUTH from a table. A preloaded library repairs its use of keys: see opensmtpd_keys.c."""

    def configure(self):
        unpack()
        shim = Path(__file__).with_name("opensmtpd_keys.c")
        run(["cc", "-shared", "-fPIC", "-o", str(self.folder / "keys.so"), str(shim), "-ldl"])
        hashed = run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD).strip()
        self.write("users", f"{USER} {hashed}\n", 0o600)
        self.write("chain.pem", Path(self.chain).read_text())
        self.write("key.pem", Path(self.key).read_text(), 0o600)
        self.write(
            "smtpd.conf",
            f"""pki localhost cert "{self.folder}/chain.pem"
pki localhost key "{self.folder}/key.pem"
table users file:{self.folder}/users
listen on 127.0.0.1 port {self.port} hostname localhost tls-require pki localhost auth <users>
action "on" relay host smtp://127.0.0.1:{self.sink.port}
match auth from any for any action "on"
""",
            0o600,
        )

    def command(self):
        libraries = UNPACKED / "usr/libexec/opensmtpd"
        setup = (
            "mount -t tmpfs tmpfs /var/spool && mkdir -m 711 /var/spool/smtpd && "
            "mount -t tmpfs tmpfs /var/lib && mkdir -p -m 755 /var/lib/opensmtpd/empty && "
            f"mount -t tmpfs tmpfs /var/run && mkdir -p /usr/libexec && mount -t tmpfs tmpfs /usr/libexec && cp -r {libraries} /usr/libexec/"
        )
        smtpd = f"{UNPACKED}/usr/sbin/smtpd -dF -f {self.folder}/smtpd.conf"
        return self.in_namespace(f"env LD_PRELOAD={self.folder}/keys.so {smtpd}", setup)
