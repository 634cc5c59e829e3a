"""Journeys of learning who wrote with whom: journal copies from mail hosts, archives, and the effect on replies."""

import json
import os
import signal
import smtplib
import subprocess
import tempfile
import time
import urllib.request
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.rig.authority import Authority
from tests.rig.check import contains, equal
from tests.rig.mta import Postfix
from tests.rig.ports import free_port
from tests.rig.relay import Relay, binary, wait_until
from tests.rig.sink import Sink

FOLDER = tempfile.TemporaryDirectory(prefix="authority-")
AUTHORITY = Authority(FOLDER.name)
CHAIN, KEY = AUTHORITY.issue("relay")
HANAKO = "hanako@example.co.jp"
CAROL = "carol@customer.example"
OTHERS = ["dave@partner.example", "erin@third.example", "frank@fourth.example", "grace@fifth.example"]
FIVE, EVE = [CAROL, *OTHERS], "eve@stranger.example"
POLICY = """
[[rule]]
name = "five-see-each-other"
when = { external_addresses = { at_least = 5 } }
unless = { known_to_each_other = true }
demand = "ask"
"""
DAY = 86_400


class Learner(Relay):
    """A relay with an additional listener for journal copies."""

    def __init__(self, upstream, journal='allow = ["127.0.0.1/32"]', extra="", **others):
        self.journal = free_port()
        extra += f'\n[[listener]]\naddress = "127.0.0.1:{self.journal}"\nrole = "journal"\n{journal}\n'
        super().__init__(upstream, policy=POLICY, extra=extra, **others)

    def copy(self, content, source="127.0.0.1", sender="", recipient="journal@relay.example"):
        """A journal copy; returns the decisive reply."""
        client = smtplib.SMTP(timeout=60, source_address=(source, 0))
        client.connect("127.0.0.1", self.journal)
        try:
            return copied(client, content, sender, recipient)
        finally:
            client.close()

    def copies(self, result):
        """The number of copies with that result."""
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith(f'sekisho_journal_copies_total{{result="{result}"}}'):
                return int(line.rsplit(" ", 1)[1])
        return None

    def reply(self, people, to="plan-1@customer.example", number=0):
        """A reply-all of Hanako's to these people; the answer."""
        more = f"In-Reply-To: <{to}>\r\nReferences: <{to}>\r\n" if to else ""
        return self.send(
            f"From: {HANAKO}\r\nTo: {people[0]}\r\nCc: {', '.join(people[1:])}\r\nSubject: Re: plan\r\n{more}"
            f"Date: {formatdate()}\r\nMessage-ID: <re-{number}-{len(people)}@example.co.jp>\r\n\r\nfine\r\n".encode(),
            people, sender=HANAKO,
        )


def copied(client, content, sender="", recipient="journal@relay.example"):
    """One transaction; returns the decisive reply."""
    client.ehlo_or_helo_if_needed()
    for verb, argument in (("mail", sender), ("rcpt", recipient)):
        code, text = getattr(client, verb)(argument)
        if code != 250:
            client.rset()
            return f"{code} {text.decode()}"
    code, text = client.data(content)
    return f"{code} {text.decode()}"


def mail(name="plan-1", author=CAROL, others=(HANAKO, *OTHERS), age=DAY, text="persimmon\r\n"):
    """A mail that shows people to each other."""
    copies = f"Cc: {', '.join(others[1:])}\r\n" if others[1:] else ""
    return (
        f"From: Carol <{author}>\r\nTo: {others[0]}\r\n{copies}Subject: kumquat\r\n"
        f"Date: {formatdate(time.time() - age)}\r\nMessage-ID: <{name}@customer.example>\r\n\r\n{text}"
    ).encode()


def report(original, message_id="plan-1@customer.example", recipients=f"To: {HANAKO}\r\nBcc: {EVE}\r\n"):
    """A journal report as Exchange and Microsoft 365 write it."""
    return (
        "From: Microsoft Exchange <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.co.jp>\r\n"
        "To: journal@relay.example\r\nSubject: kumquat\r\nX-MS-Journal-Report:\r\nMessage-ID: <r1@journal.report.generator>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b1"\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\n'
        f"Sender: {CAROL}\r\nSubject: kumquat\r\nMessage-Id: <{message_id}>\r\n{recipients}\r\n--b1\r\n"
    ).encode() + (b"Content-Type: message/rfc822\r\n\r\n" + original if original else b"Content-Type: text/plain\r\n\r\n") + b"\r\n--b1--\r\n"


def it_lets_a_reply_pass_to_people_a_journal_report_showed_to_each_other():
    with Sink() as sink, Learner(sink.address) as relay:
        contains(relay.output(), f"journal=127.0.0.1:{relay.journal}")
        contains(relay.reply(FIVE), "held as")
        contains(relay.copy(report(mail())), "250 2.0.0 noted as ")
        contains(relay.reply(FIVE, number=1), "queued as")
        answer = relay.reply([*FIVE, EVE], number=2)
        contains(answer, "held as")
        held = relay.json("held", "show", answer.split(" as ", 1)[1].split(":")[0])
        contains(str(held), EVE)
        contains(relay.reply(FIVE, to="never-seen@customer.example", number=3), "queued as")  # the same people, on a new thread
        wait_until(lambda: len([t for t in sink.taken if t.sender]) >= 2)
        everything = b"".join(t.content for t in sink.taken)
        assert b"persimmon" not in everything and b"journal report" not in everything, "a copy was relayed"
        assert b"persimmon" not in b"".join(p.read_bytes() for p in relay.folder.glob("sekisho.db*") if p.is_file()), "contents were kept"


def it_takes_the_same_mail_of_two_hosts_once_and_names_what_it_cannot_read():
    with Sink() as sink, Learner(sink.address) as relay:
        equal([relay.copies(result) for result in ("learned", "known", "nothing", "unreadable")], [0, 0, 0, 0])
        for content in (report(mail()), mail(), report(mail())):
            contains(relay.copy(content, sender=CAROL), "250 2.0.0 noted as ")
        six = [f"p{number}@n{number}.example" for number in range(6)]
        contains(relay.copy(mail("own-1", author=HANAKO, others=six)), "250 ")  # our own mail: the relay knows itself what was sent
        contains(relay.copy(mail("two", others=(HANAKO,))), "250 ")
        broken = [relay.copy(report(b"")), relay.copy(report(mail("other"))), relay.copy(b"no header\r\n\r\nx\r\n")]
        for answer in broken:
            contains(answer, "250 2.0.0 noted as ")
            name = answer.split(" as ")[1].split()[0]
            assert wait_until(lambda name=name: any(name in line and "cannot be read" in line for line in relay.output().splitlines())), relay.output()
        equal([relay.copies(result) for result in ("learned", "known", "nothing", "unreadable")], [1, 2, 2, 3])
        assert CAROL not in relay.output() and HANAKO not in relay.output(), "the log names people"
        contains(relay.reply(FIVE), "queued as")
        contains(relay.reply(six, to="own-1@customer.example"), "held as")


def it_takes_copies_of_named_sources_alone():
    tls = f'[tls]\ncertificates = [{{ chain = "{CHAIN}", key = "{KEY}" }}]\n[auth]\nsource = "file:users.toml"\n'
    with Sink() as sink, Learner(sink.address, journal='allow = ["127.0.0.3/32"]\ntls = "starttls"\nauth = "optional"\nusers = ["host"]',
                                 extra=tls, start=False) as relay:
        for name in ("host", "hanako"):
            subprocess.run([binary(), "user", "add", name, "--password-stdin", "--config", str(relay.config)], input="pencil case 7\n",
                           check=True, capture_output=True, text=True, timeout=60)
        relay.start()
        contains(relay.cli("check").stdout, "journal copies only; nothing is relayed here")
        equal(relay.copy(mail(), source="127.0.0.9"), "550 5.7.1 127.0.0.9 may not send copies for the journal here")
        contains(relay.copy(mail(), source="127.0.0.3"), "250 2.0.0 noted as ")
        for name, said in (("hanako", "550 5.7.1 hanako may not send copies for the journal here"), ("host", "250 2.0.0 noted as ")):
            for source in ("127.0.0.9", "127.0.0.3"):
                client = smtplib.SMTP(timeout=60, source_address=(source, 0))
                client.connect("127.0.0.1", relay.journal)
                client._host = "127.0.0.1"
                client.starttls(context=AUTHORITY.client())
                client.ehlo("client.example")
                client.login(name, "pencil case 7")
                contains(copied(client, mail()), said)
                client.close()
        equal(relay.copies("learned"), 1)
        time.sleep(0.3)
        equal(sink.taken, [])


def it_changes_who_is_a_source_and_what_a_listener_is_for_by_a_reload():
    with Sink() as sink, Learner(sink.address) as relay:
        contains(relay.copy(mail()), "noted as")
        config = relay.config.read_text()

        def reload(text):
            relay.config.write_text(text)
            seen = relay.log.read_text().count("reloaded")
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: relay.log.read_text().count("reloaded") > seen), relay.output()

        at = config.index('role = "journal"')
        reload(config[:at] + config[at:].replace("127.0.0.1/32", "127.0.0.8/32"))
        contains(relay.copy(mail()), "550 5.7.1")
        reload(config[:at] + config[at:].replace('allow = ["127.0.0.1/32"]', ""))  # names nobody: refused as a whole
        contains(relay.cli("check", ok=False).stderr, "accepts copies only from named sources")
        contains(relay.copy(mail(), source="127.0.0.8"), "noted as")
        reload(config.replace('role = "journal"', ""))
        contains(relay.copy(mail("two", author=HANAKO, others=(CAROL, "kenji@partner.example")), sender=HANAKO, recipient=CAROL), "queued as")


class Copying(Postfix):
    """Postfix that sends a copy of everything to the journal, as in our guide."""

    journal = None

    def configure(self):
        super().configure()
        with open(self.folder / "etc/main.cf", "a") as main:
            main.write(
                "smtpd_relay_restrictions = permit_mynetworks, reject\nmynetworks = 127.0.0.0/8\n"
                "always_bcc = journal@journal.invalid\nrecipient_bcc_maps = inline:{ { taro@example.co.jp = journal@journal.invalid } }\n"
                f"transport_maps = inline:{{ {{ journal.invalid = smtp:[127.0.0.1]:{self.journal} }} }}\n"
            )


@pytest.mark.root
def it_learns_from_what_postfix_copies_by_always_bcc():
    with Sink() as sink, Learner(sink.address) as relay:
        postfix = Copying(AUTHORITY, sink)
        postfix.journal = relay.journal
        with postfix:
            with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
                client.sendmail(CAROL, [HANAKO], mail())
                client.sendmail(CAROL, ["taro@example.co.jp"], mail("plan-2", others=("taro@example.co.jp", "kate@sixth.example")))
            assert wait_until(lambda: relay.copies("learned") == 2, 60), postfix.log.read_text()
            delivered = wait_until(lambda: len(sink.taken) >= 2 and sink.taken, 30)
            equal(sorted(r for t in delivered for r in t.recipients), sorted([HANAKO, "taro@example.co.jp"]))
            contains(relay.reply(FIVE), "queued as")
            contains(relay.reply([*FIVE, EVE], number=1), "held as")


def mbox(path, mails, damage=b""):
    """Mails in a mailbox file, with damage in its middle."""
    with open(path, "wb") as out:
        for number, content in enumerate(mails):
            if number == len(mails) // 2:
                out.write(damage)
            out.write(b"From MAILER-DAEMON Mon Nov 10 10:00:00 2025\n" + content.replace(b"\r\n", b"\n") + b"\n")


def it_learns_from_archives_while_it_runs_and_forgets():
    with Sink() as sink, Learner(sink.address) as relay:
        archive = relay.folder / "archive"
        (archive / "maildir" / "cur").mkdir(parents=True)
        others = [mail(f"m{number}", author=f"a{number}@customer.example") for number in range(40)]
        damage = b"From x Mon Nov 10 10:00:00 2025\n\x00\x01\x02 no mail\n\n"
        mbox(archive / "sent.mbox", [*others, mail("old", age=380 * DAY)], damage)
        (archive / "maildir" / "cur" / "1:2,S").write_bytes(report(mail()))
        (archive / "2.eml").write_bytes(mail("own", author=HANAKO, others=FIVE, age=9 * DAY))  # before the relay was installed
        (archive / "3.eml").write_bytes(b"\x89PNG\r\n\x1a\n\r\n")
        done = relay.cli("learn", archive)
        contains(done.stdout, "43 mails were read; 42 show who knows whom (0 of them known before)")
        contains(done.stdout, "1 are older than --since")
        contains(done.stderr, f"sent.mbox at octet {(archive / 'sent.mbox').read_bytes().index(damage)}: no mail can be read there")
        contains(done.stderr, "3.eml: no mail can be read there")
        contains(relay.reply(FIVE), "queued as")
        again = relay.json("learn", archive, "--since", "2y")
        equal((again["mails"], again["learned"], again["known"], again["unreadable"]), (43, 1, 42, 2))
        contains(relay.cli("forget", CAROL).stdout, f"{CAROL} was taken out of ")
        contains(relay.cli("forget", CAROL).stdout, f"nothing was learned of {CAROL}")
        contains(relay.reply(FIVE, number=1), "held as")
        contains(relay.output(), "a person was removed from what was learned")
        assert CAROL not in relay.output(), "whom it was about is what they wanted forgotten"
        contains(relay.cli("learn", relay.folder / "nowhere", ok=False).stderr, "there is no ")
        record = [json.loads(line) for line in relay.cli("audit", "export").stdout.splitlines()]
        acts = [(entry["event"], entry.get("mails", entry.get("sets"))) for entry in record if entry["event"] in ("learned", "forgotten")]
        equal([name for name, _ in acts], ["learned", "learned", "forgotten"])
        equal([number for name, number in acts if name == "learned"], [43, 43])
        contains(relay.cli("audit", "verify").stdout, "are as they were written")
        token = relay.json("token", "add", "hr", "--scope", "knowledge:change")["token"]
        request = urllib.request.Request(f"http://127.0.0.1:{relay.desk}/api/v1/knowledge/forget", json.dumps({"address": OTHERS[0]}).encode(),
                                         {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["sets"] >= 40
        relay.stop()
        contains(relay.cli("learn", archive).stdout, "known before")  # also while no relay is running


def it_goes_on_where_it_was_broken_off():
    with Sink() as sink, Learner(sink.address) as relay:
        path = relay.folder / "mbox"
        people = ((HANAKO, f"x{number}@a{number % 97}.example", f"y{number}@b.example") for number in range(30_000))
        mbox(path, [mail(f"n{number}", author=f"a{number}@customer.example", others=some) for number, some in enumerate(people)])
        note = Path(f"{relay.folder}/sekisho.db.learning")
        process = subprocess.Popen([binary(), "learn", str(path), "--config", str(relay.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert wait_until(lambda: note.exists() or process.poll() is not None, 60), "nothing was noted"
        process.kill()
        process.communicate()
        assert note.exists(), "it was over too soon"
        assert CAROL not in note.read_text() and "a1@" not in note.read_text(), "people stand in the note"
        done = relay.cli("learn", path, seconds=300)
        contains(done.stderr, "where an earlier run stopped")
        contains(done.stdout, "30,000 mails were read; 30,000 show who knows whom")
        assert not note.exists(), "the note is still there"
        equal(relay.json("learn", path, "--again")["known"], 30_000)


@pytest.mark.root
def it_asks_for_copies_again_while_the_disk_is_full():
    folder = Path(tempfile.mkdtemp(prefix="sekisho-full-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        with Sink() as sink, Learner(sink.address, folder=folder) as relay:
            contains(relay.copy(mail()), "250 2.0.0 noted as ")
            filler = folder / "filler"
            with open(filler, "wb", buffering=0) as file:
                for size in (65536, 4096, 512):
                    try:
                        while file.write(b"\0" * size):
                            pass
                    except OSError:
                        pass
            for number in range(3_000):
                answer = relay.copy(mail(f"f{number}", others=(HANAKO, *(f"p{number}-{n}@x.example" for n in range(40)))))
                if not answer.startswith("250"):
                    break
            assert answer.startswith("452 4.3.1"), answer
            filler.unlink()
            again = mail(f"f{number}", others=(HANAKO, *(f"p{number}-{n}@x.example" for n in range(40))))
            assert wait_until(lambda: relay.copy(again).startswith("250"), 20, 0.3), relay.copy(again)
            contains(relay.reply([f"p{number}-{n}@x.example" for n in range(6)], to=f"f{number}@customer.example"), "queued as")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        os.rmdir(folder)
