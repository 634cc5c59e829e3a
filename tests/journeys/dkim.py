"""DKIM from the key to two independent verifiers (dkimpy, OpenDKIM), and mail that comes back to the relay."""

import base64
import email
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rig import decode
from tests.rig.check import contains, equal
from tests.rig.people import SENDER, strangers
from tests.rig.relay import TOP, Relay, binary, wait_until
from tests.rig.sink import Sink

CORPUS = TOP / "tests" / "corpus"
SPLIT = '[[rule]]\nname = "all"\nwhen = { size = { at_least = 1 } }\ndemand = "split"\n'
VERIFIER = TOP / "tests" / "rig" / "verify_dkim.py"


class Keys:
    """Keys made by the command, and the record to publish."""

    def __init__(self, *wanted):
        self.folder = tempfile.TemporaryDirectory(prefix="sekisho-keys-")
        self.made = []
        for domain, selector, kind in wanted:
            done = subprocess.run(
                [binary(), "dkim", "keygen", "--domain", domain, "--selector", selector, "--type", kind,
                 "--out", self.folder.name, "--json"], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            self.made.append(json.loads(done.stdout))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    @property
    def records(self):
        return {key["name"]: key["value"] for key in self.made}

    @property
    def table(self):
        keys = ", ".join(
            f'{{ domain = "{k["domain"]}", selector = "{k["selector"]}", key = "{k["file"]}" }}' for k in self.made)
        return f"[dkim]\nkeys = [{keys}]\n"


BOTH = (("example.co.jp", "s1", "rsa"), ("example.co.jp", "e1", "ed25519"))


def verified(records, copies):
    """dkimpy's result for each signature of each copy."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, copy in enumerate(copies):
            files.append(f"{folder}/{number}.eml")
            Path(files[-1]).write_bytes(copy)
        question = json.dumps({"records": records, "files": files})
        done = subprocess.run([sys.executable, str(VERIFIER)], input=question, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def all_good(records, copies, wanted):
    """Each copy has exactly these signatures (selectors) of ours, and dkimpy verifies them."""
    for copy, found in zip(copies, verified(records, copies)):
        ours = [s for s in found if s["selector"] in wanted]
        equal(sorted(s["selector"] for s in ours), sorted(wanted), "signatures")
        for signature in ours:
            assert signature["good"], f"{signature}\n{copy[:3000]!r}"
            assert not {"l", "z", "i"} & set(signature["tags"]), signature


def real(sink):
    """Transactions that are not notices."""
    return [t for t in sink.taken if t.sender]


def envelope_of(message):
    """Everybody in To and Cc except us."""
    found = []
    head = message.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace")
    head = re.sub(r"\r\n[ \t]", " ", head)
    for line in head.split("\r\n"):
        if line.split(":")[0].strip().lower() in ("to", "cc"):
            found += [a for a in decode.ADDRESS.findall(line) if a.isascii()]
    return sorted(set(found))[:4] or ["x@example.com"]


def it_makes_keys_that_only_we_can_read_and_never_overwrites_one():
    with Keys(*BOTH) as keys:
        for key in keys.made:
            equal(stat.S_IMODE(os.stat(key["file"]).st_mode), 0o600, "mode")
            assert all(len(text) <= 255 for text in key["strings"]), key["strings"]
            equal("".join(key["strings"]), key["value"])
            published = subprocess.run(["openssl", "pkey", "-in", key["file"], "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
            value = base64.b64decode(key["value"].split("p=")[1])
            assert published.endswith(value), "openssl sees another public key"
        again = subprocess.run([binary(), "dkim", "keygen", "--domain", "example.co.jp", "--selector", "s1", "--out", keys.folder.name],
                               capture_output=True, text=True)
        equal(again.returncode, 1)
        contains(again.stderr, "it exists")
        with Relay("127.0.0.1:9", extra=keys.table, start=False) as relay:
            shown = relay.json("dkim", "show")
            equal({k["name"]: k["value"] for k in shown}, keys.records)
            contains(relay.cli("dkim", "record", "--selector", "e1").stdout, 'IN TXT ( "v=DKIM1; k=ed25519; p=')


def it_signs_every_copy_of_every_message_of_the_corpus_so_that_dkimpy_verifies_it(note):
    with Keys(*BOTH) as keys, Sink() as sink, Relay(sink.address, SPLIT, extra=keys.table) as relay:
        expected = 0
        for path in sorted(CORPUS.glob("*.eml")):
            message = path.read_bytes()
            people = envelope_of(message)
            options = ["smtputf8", "body=8bitmime"] if not message.split(b"\r\n\r\n", 1)[0].isascii() else ["body=8bitmime"]
            answer = relay.send(message, people, options=options)
            assert answer.startswith("250"), (path.name, answer)
            if "queued" in answer:
                expected += len(people)
        assert expected > 60, f"only {expected} copies left"
        assert wait_until(lambda: len(real(sink)) >= expected, 120), f"{len(real(sink))} of {expected}"
        copies = [t.content for t in real(sink)]
        all_good(keys.records, copies, ["s1", "e1"])
        note(f"{len(copies)} copies")


def without(copy, selector):
    """A copy without the signature under that selector."""
    return re.sub(rb"(?m)^DKIM-Signature: [^\n]*\n\td=[^;]*; s=" + selector.encode() + rb";[^\n]*\n(?:[ \t][^\n]*\n)*", b"", copy)


def opendkim(folder, copy):
    """OpenDKIM's result for a message."""
    file = Path(folder, "copy.eml")
    file.write_bytes(copy)
    done = subprocess.run(["/usr/sbin/opendkim", "-x", f"{folder}/conf", "-t", str(file), "-v"], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def it_signs_so_that_opendkim_verifies_it():
    with Keys(*BOTH) as keys, Sink() as sink, Relay(sink.address, SPLIT, extra=keys.table) as relay:
        expected = 0
        for name in ("outlook-attachments", "raw-shift-jis", "thunderbird-twelve-in-cc"):
            message = (CORPUS / f"{name}.eml").read_bytes()
            contains(relay.send(message, envelope_of(message), options=["body=8bitmime"]), "queued")
            expected += len(envelope_of(message))
        assert wait_until(lambda: len(real(sink)) >= expected, 60), f"{len(real(sink))} of {expected}"
        with tempfile.TemporaryDirectory() as folder:
            records = "".join(f"{name} {value}\n" for name, value in keys.records.items())
            Path(folder, "keys").write_text(records)
            Path(folder, "conf").write_text(f"Mode v\nTestPublicKeys {folder}/keys\nSyslog no\n")
            os.chmod(folder, 0o755)
            for taken in real(sink):
                # it reports one signature per message, so each is verified alone once
                rsa, ed25519 = without(taken.content, "e1"), without(taken.content, "s1")
                for copy, selector in ((rsa, "s1"), (ed25519, "e1")):
                    contains(opendkim(folder, copy), f"(s={selector}, d=example.co.jp")
                    contains(opendkim(folder, copy), "succeeded")
                    changed = opendkim(folder, copy.rstrip() + b"!\r\n")
                    assert "succeeded" not in changed, changed


def it_signs_copies_whose_body_was_re_encoded_on_the_way_out():
    text = "８ビットの本文です。\r\n"
    head = "From: hanako.sato@example.co.jp\r\nTo: a@example.com, b@example.net\r\nSubject: 8bit\r\nDate: Tue, 24 Nov 2026 14:40:00 +0900\r\n" \
        "Message-ID: <8bit@example.co.jp>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    people = ["a@example.com", "b@example.net"]
    signed = "DKIM-Signature: v=1; a=rsa-sha256; d=example.co.jp; s=old; c=relaxed/relaxed; h=From; bh=AAAA; b=AAAA\r\n"
    with Keys(*BOTH) as keys, Sink() as sink:
        sink.on("ehlo", "250-sink\r\n250 PIPELINING")
        # rewritten, small and beyond what is converted in memory
        with Relay(sink.address, SPLIT, extra=keys.table) as relay:
            for size in (1, 60_000):
                contains(relay.send((head + text * size).encode(), people, options=["body=8bitmime"]), "queued")
            assert wait_until(lambda: len(real(sink)) >= 4, 60), len(real(sink))
            copies = [t.content for t in real(sink)]
            for copy in copies:
                assert copy.isascii(), "8-bit octets left"
                decoded = email.message_from_bytes(copy).get_payload(decode=True).decode()
                equal(set(decoded.split()), {text.strip()}, "the text")
            all_good(keys.records, copies, ["s1", "e1"])
        # passed on unmodified, except for a signature that breaks: it is replaced by ours; without one there is none
        sink.taken.clear()
        with Relay(sink.address, extra=keys.table) as relay:
            for begin in (signed, ""):
                contains(relay.send((begin + head + text).encode(), people, options=["body=8bitmime"]), "queued")
            assert wait_until(lambda: len(real(sink)) >= 2, 60), len(real(sink))
            replaced, bare = sorted((t.content for t in real(sink)), key=lambda copy: b"DKIM-Signature" not in copy)
            all_good(keys.records, [replaced], ["s1", "e1"])
            assert b"s=old" not in replaced and b"DKIM-Signature" not in bare


def it_shows_copies_with_marks_and_signatures_as_they_would_leave(note):
    path = CORPUS / "thunderbird-twelve-in-cc.eml"
    with Keys(*BOTH) as keys, Sink() as sink, tempfile.TemporaryDirectory() as folder:
        Path(folder, "mark").write_text("0123456789abcdef\n")
        marks = f'[marks]\nheader = "X-Checked"\nsecret_file = "{folder}/mark"\n'
        with Relay(sink.address, SPLIT, extra=keys.table + marks) as relay:
            relay.stop()  # the key of the loop marks is made at the first start
            out = relay.cli("explain", path, "--copies", f"{folder}/copies").stdout
            copies = [copy.read_bytes() for copy in sorted(Path(folder, "copies").glob("*.eml"))]
            all_good(keys.records, copies, ["s1", "e1"])
            for copy in copies:
                contains(copy.decode("utf-8", "replace"), "(mark ")
                assert b"0123456789abcdef" not in copy, "the secret is shown"
                contains(copy.decode("utf-8", "replace"), "x-checked: (secret)")
            contains(out.lower(), "x-checked is shown without its secret")
            for key in keys.made:
                Path(key["file"]).unlink()
            out = relay.cli("explain", path, "--copies", f"{folder}/bare").stdout
            contains(out, "not signed by example.co.jp (s1)")
            contains(out, "not signed by example.co.jp (e1)")
            assert not any(b"DKIM-Signature" in copy.read_bytes() for copy in Path(folder, "bare").glob("*.eml"))
        note(f"{len(copies)} copies")


def it_signs_large_bodies_that_stand_in_files():
    with Keys(*BOTH) as keys, Sink() as sink, Relay(sink.address, SPLIT, extra=keys.table) as relay:
        people = [p.address for p in strangers(3, 4)]
        text = "".join(f"line {n}\twith  blanks \r\n" if n % 3 else "\r\n" for n in range(40_000)) + "\r\n\r\n"
        message = (f"From: {SENDER.address}\r\nTo: {', '.join(people)}\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
                   f"Content-Type: text/plain\r\n\r\n{text}").encode()
        contains(relay.send(message, people), "queued")
        assert wait_until(lambda: len(real(sink)) >= 3, 60)
        all_good(keys.records, [t.content for t in real(sink)], ["s1", "e1"])


def it_sends_bcc_copies_that_are_alike_to_the_last_byte():
    rules = SPLIT.replace('demand = "split"', 'demand = "bcc"')
    with Keys(*BOTH) as keys, Sink() as sink, Relay(sink.address, rules, extra=keys.table) as relay:
        people = [p.address for p in strangers(5, 4)]
        contains(relay.send((CORPUS / "outlook-two.eml").read_bytes(), people), "queued")
        assert wait_until(lambda: len(real(sink)) >= 5, 30)
        equal(len({t.content for t in real(sink)}), 1, "different copies")
        all_good(keys.records, [real(sink)[0].content], ["s1", "e1"])


def it_leaves_passed_mail_alone_unless_told_to_sign_all():
    message = (CORPUS / "outlook-two.eml").read_bytes()
    people = [p.address for p in strangers(2, 2)]
    with Keys(BOTH[0]) as keys, Sink() as sink:
        with Relay(sink.address, extra=keys.table) as relay:
            contains(relay.send(message, people), "queued")
            assert wait_until(lambda: real(sink), 20)
            assert real(sink)[0].content.endswith(message)
            assert b"DKIM-Signature" not in real(sink)[0].content
        with Relay(sink.address, extra=keys.table + 'sign = "all"\n') as relay:
            sink.taken.clear()
            contains(relay.send(message, people), "queued")
            assert wait_until(lambda: real(sink), 20)
            assert real(sink)[0].content.endswith(message), "bytes of the message changed"
            all_good(keys.records, [real(sink)[0].content], ["s1"])


def it_signs_for_subdomains_and_for_nobody_else():
    with Keys(BOTH[0], ("west.example.co.jp", "w1", "rsa")) as keys, Sink() as sink, Relay(sink.address, SPLIT, extra=keys.table) as relay:
        people = [p.address for p in strangers(1, 4)]
        for sender, selector in (("a@west.example.co.jp", "w1"), ("a@east.example.co.jp", "s1")):
            sink.taken.clear()
            message = f"From: {sender}\r\nTo: {people[0]}\r\nSubject: x\r\n\r\nhello\r\n".encode()
            contains(relay.send(message, people, sender=sender), "queued")
            assert wait_until(lambda: real(sink), 20)
            all_good(keys.records, [real(sink)[0].content], [selector])


def it_replaces_a_signature_that_taking_out_bcc_broke_and_keeps_one_that_it_did_not():
    people = [p.address for p in strangers(1, 6)]
    hidden = "hidden@example.com"
    fake = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.co.jp; s=host; h={}; bh=x; b=y\r\n"
    with Keys(BOTH[0]) as keys, Sink() as sink, Relay(sink.address, extra=keys.table) as relay:
        for covered, stays in (("from:to:subject", True), ("from:to:bcc", False)):
            sink.taken.clear()
            message = (fake.format(covered) + f"From: {SENDER.address}\r\nTo: {people[0]}\r\nBcc: {hidden}\r\nSubject: x\r\n"
                       "Date: Tue, 24 Nov 2026 14:40:00 +0900\r\nMessage-ID: <1@example.co.jp>\r\n\r\nhello\r\n").encode()
            contains(relay.send(message, [*people, hidden]), "queued")
            assert wait_until(lambda: len(real(sink)) == 2, 20)
            for taken in real(sink):
                equal(b"s=host" in taken.content, stays, covered)
                if stays:
                    equal(taken.content.count(b"DKIM-Signature"), 1)
                else:
                    all_good(keys.records, [taken.content], ["s1"])


def it_signs_its_own_notices():
    with Keys(BOTH[0]) as keys, Sink() as sink, Relay(sink.address, extra=keys.table) as relay:
        contains(relay.send((CORPUS / "outlook-six-in-to.eml").read_bytes(), [p.address for p in strangers(6, 3)]), "held")
        assert wait_until(lambda: sink.taken, 60), "no notice"
        all_good(keys.records, [sink.taken[0].content], ["s1"])


def it_takes_new_keys_at_a_reload_and_names_the_file_of_a_bad_one():
    import signal
    with Keys(BOTH[0], ("example.co.jp", "s2", "rsa")) as keys, Sink() as sink:
        first, second = keys.made
        keys.made = [first]
        with Relay(sink.address, SPLIT, extra=keys.table) as relay:
            old = keys.table
            keys.made = [second]
            relay.config.write_text(relay.config.read_text().replace(old, keys.table))
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "reloaded" in relay.output(), 20)
            message = (CORPUS / "outlook-two.eml").read_bytes()
            relay.send(message, envelope_of(message))
            assert wait_until(lambda: real(sink), 20)
            all_good(keys.records, [real(sink)[0].content], ["s2"])
            Path(second["file"]).write_text("no key")
            relay.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "not reloaded" in relay.output(), 20)
            contains(relay.output(), second["file"])
            sink.taken.clear()
            relay.send(message.replace(b"Message-ID: <", b"Message-ID: <2"), envelope_of(message))
            assert wait_until(lambda: real(sink), 20)
            contains(real(sink)[0].content.decode("utf-8", "replace"), "s=s2")
            relay.stop()
            relay.start(wait=False)
            assert wait_until(lambda: relay.process.poll() is not None, 20), "it starts with a broken key"
            contains(relay.output(), second["file"])


def comes_back(copy):
    """A copy as another host hands it on."""
    return b"Received: from mx by elsewhere.example; Tue, 24 Nov 2026 14:40:00 +0900\r\n" + copy


def it_refuses_what_comes_round_again_but_neither_list_posts_nor_forwards():
    with Sink() as sink, Relay(sink.address) as relay:
        people = [p.address for p in strangers(2, 2)]
        relay.send((CORPUS / "outlook-two.eml").read_bytes(), people)
        assert wait_until(lambda: real(sink), 20)
        copy = real(sink)[0].content
        for person in people:
            assert person.encode() not in copy.split(b"From:")[0], "a recipient stands in our trace field"
        again = comes_back(copy)
        answer = relay.send(again, people[:1])
        contains(answer, "554 5.4.6")
        contains(relay.send(again, people[:1], sender="list-bounces@example.co.jp"), "250")
        contains(relay.send(again, ["somebody.else@example.com"]), "250")
        _, metrics = relay.http("/metrics")
        contains(metrics, 'sekisho_answers_total{answer="loop"} 1')
        contains(relay.output(), "loop")


def it_refuses_what_passed_too_often():
    with Sink() as sink, Relay(sink.address) as relay:
        copy = (CORPUS / "outlook-two.eml").read_bytes()
        for turn in range(4):
            sink.taken.clear()
            answer = relay.send(copy, [f"turn{turn}@example.com"], sender=f"turn{turn}@example.co.jp")
            contains(answer, "250")
            assert wait_until(lambda: real(sink), 20), f"turn {turn}"
            copy = comes_back(real(sink)[0].content)
        contains(relay.send(copy, ["turn4@example.com"], sender="turn4@example.co.jp"), "554 5.4.6")


def it_puts_the_mark_of_the_mail_host_and_takes_off_what_a_client_forged():
    with tempfile.NamedTemporaryFile("w") as secret, Sink() as sink:
        secret.write("first-secret-of-the-rule\n")
        secret.flush()
        table = f'[marks]\nheader = "X-Sekisho-Checked"\nsecret_file = "{secret.name}"\n'
        with Relay(sink.address, extra=table) as relay:
            people = [p.address for p in strangers(1, 2)]
            message = (CORPUS / "outlook-two.eml").read_bytes()
            contains(relay.send(b"x-sekisho-CHECKED: forged\r\n" + message, people), "queued")
            assert wait_until(lambda: real(sink), 20)
            copy = real(sink)[0].content
            equal(decode.header(copy, "X-Sekisho-Checked"), ["first-secret-of-the-rule"])
            assert copy.endswith(message), "bytes of the message changed"
            # the mark exempts from nothing
            held = relay.send(b"X-Sekisho-Checked: first-secret-of-the-rule\r\n" + (CORPUS / "outlook-six-in-to.eml").read_bytes(),
                              [p.address for p in strangers(6, 3)])
            contains(held, "held")
            assert "first-secret" not in relay.output(), "the secret stands in the log"
