"""No foreign text on a Japanese page or in a Japanese mail: no English word, rule name, part number or octet
position.

Walks all pages, and all mails that 28 dangerous mails and their decisions cause.
"""

import email
import email.policy
import html
import re
import socket
import tomllib

from tests.journeys.dangers import MAILS, SENDER, STRICT, built
from tests.journeys.people import Desk
from tests.journeys.sending import mail, notices, real
from tests.rig.check import contains, equal
from tests.rig.people import strangers
from tests.rig.relay import id_of, wait_until
from tests.rig.sink import Sink

# Names without a Japanese form, and technical terms for header fields and formats.
ALLOWED = set("""
    Sekisho Bcc Cc To From Subject Message-ID CSV HTML API Cookie JavaScript PIN URL PDF ZIP KB MB GB B English
    Accept-Language Asia Tokyo Excel Word PowerPoint
""".split())
PROGRAM = {"sekisho", "token", "add", "user", "held", "show", "release", "return", "as", "bcc", "as-is", "reason"}
SLUGS = [rule["name"] for rule in tomllib.loads(STRICT)["rule"]]
UNTOLD = [*SLUGS, "builtin:", "at byte", "part 1", "part 2", "パート", "text/plain", "application/"]
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]+")


def seen(page):
    """The visible and spoken text of a page, without text from mails."""
    body = re.sub(r"(?s)<(script|style|svg|code|pre|kbd|samp|iframe)\b.*?</\1>", " ", page)
    body = re.sub(r'(?s)<(\w+)[^>]*\blang="en"[^>]*>.*?</\1>', " ", body)
    # Shown literally: ids, file types, header fields.
    body = re.sub(r'(?s)<(\w+)[^>]*\bclass="[^"]*\bmono\b[^"]*"[^>]*>.*?</\1>', " ", body)
    said = re.findall(r'\b(?:aria-label|placeholder|alt)="([^"]*)"', body)
    body = re.sub(r"(?s)<bdi[^>]*>.*?</bdi>", " ", body)
    return html.unescape(" ".join([re.sub(r"(?s)<[^>]+>", " ", body), *said]))


def foreign(text, known):
    """Latin words in a text that are neither allowed, nor an address, nor from the mails."""
    text = re.sub(r"https?://\S+", " ", text)
    text = re.sub(r"\S+@\S+", " ", text)
    text = re.sub(r"\b[a-z0-9-]+(\.[a-z0-9-]+)+\b", " ", text)  # hosts, and names of files
    text = re.sub(r"\.[a-z0-9]{2,4}\b", " ", text)
    text = re.sub(r"\b[0-9][0-9a-z]{9,}\b", " ", text)
    words = [word.strip("'’-") for word in WORD.findall(text)]
    return [word for word in words if word not in ALLOWED and word not in known]


def parts(message):
    """A mail as text, and as HTML without its tags."""
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        if part is not None:
            text = part.get_content()
            yield kind, seen(text) if kind == "html" else text


def it_shows_nothing_foreign_on_japanese_pages_and_in_japanese_mails():
    wrong = []
    extra = ('[notices]\nlanguage = "ja"\nzone = "Asia/Tokyo"\n[[approver]]\naddress = "kacho@example.co.jp"\n'
             'digest = "5s"\n')
    people = [("hanako", SENDER), ("soumu", "soumu@example.co.jp", "admin"), ("kansa", "kansa@example.co.jp", "auditor")]
    sources = "".join(built(one)[1].decode("latin-1") + str(one) for one in MAILS)
    words = {word.strip("'’-") for word in WORD.findall(sources)}
    # The accounts, this host, and the sink's replies, which are quoted.
    known = words | {"hanako", "soumu", "kansa", "kacho", "taken", *WORD.findall(socket.gethostname())}
    with Sink() as sink, Desk(sink.address, people, policy=STRICT, extra=extra, desk='grace = "1s"') as desk:
        sink.on("rcpt", "550 5.1.1 no such user here", match="nobody@")
        for one in MAILS:
            if "knows" in one:
                desk.send(mail("ご挨拶", strangers(1, 1)), [f"ken@{one['knows']}"], sender=SENDER)
        met = {one["knows"] for one in MAILS if "knows" in one}
        assert wait_until(lambda: len(real(sink.taken)) >= len(met) and desk.queue() == [], 20)
        ids = {}
        for one in MAILS:
            to, raw = built(one)
            answer = desk.send(raw, to, sender=one.get("sender", SENDER))
            contains(answer, "held as")
            ids[one["name"]] = id_of(answer)
        desk.send(mail("不達", strangers(1, 1)), ["nobody@aozora-shoji.example"], sender=SENDER)
        admin, own, auditor = desk.signed("soumu"), desk.signed("hanako"), desk.signed("kansa")

        def look(browser, path, statuses=(200,)):
            browser.language = "ja"
            page = browser.follow(browser.open(path))
            assert page.status in statuses, (path, page.status, page.body[:300])
            judge(f"{path}", seen(page.body))
            return page

        def judge(place, text):
            found = foreign(text, known | PROGRAM)
            if found:
                wrong.append(f"{place}: {sorted(set(found))}")
            wrong.extend(f"{place}: {untold}" for untold in UNTOLD if untold in text)

        csrf = look(admin, "/").csrf
        for id in ids.values():
            for path in (f"/held/{id}", f"/held/{id}/return", f"/held/{id}/as-is", f"/m/{id}"):
                look(admin, path, (200, 403, 409))
        one = ids["twelve"]
        for path in (f"/held/{one}/drop", f"/held/{one}/copies", f"/held/{one}/copies?as=bcc", f"/held/{one}/copies?as=as-is", "/?state=all", "/?q=nothing", "/mine", "/report",
                     "/circles", "/queue", "/users", "/tokens", "/node", "/account", "/no/such/page", "/held/none",
                     f"/bulk?do=split&id={one}", f"/bulk?do=return&id={one}"):
            look(admin, path, (200, 404))
        for path in ("/mine", f"/held/{one}", "/account", "/report"):
            look(own, path, (200, 404))
        for path in ("/", f"/held/{one}", f"/m/{one}"):
            look(auditor, path)
        for path in ("/login", "/login/code", "/l/" + "A" * 43):
            look(desk.browser(), path, (200, 404, 410))
        decided = {
            "twelve": ("release", {"as": "split"}), "three": ("release", {"as": "bcc"}),
            "free-mail": ("return", {"reason": "名簿を外してください。"}), "one-organisation": ("take-back", {}),
        }
        for name, (what, form) in decided.items():
            browser = own if what == "take-back" else admin
            done = browser.post(f"/held/{ids[name]}/{what}", {"csrf": browser.open("/").csrf, **form})
            judge(f"{what} {name}", seen(browser.follow(done).body))
        refused = admin.post(f"/held/{ids['attach']}/release", {"csrf": csrf, "as": "split"})
        judge("release without a tick", seen(refused.body))
        wait_until(lambda: any("配信不能" in str(email.message_from_bytes(t.content, policy=email.policy.default)["Subject"])
                               for t in notices(sink)), 40, 0.5)
        wait_until(lambda: len(notices(sink)) >= 2 * len(MAILS) + 4, 60, 0.5)
        for name in decided:
            look(admin, f"/held/{ids[name]}")
            look(admin, f"/m/{ids[name]}")
        look(admin, "/report")
        look(admin, "/queue")
        subjects = set()
        for taken in notices(sink):
            message = email.message_from_bytes(taken.content, policy=email.policy.default)
            subject = str(message["Subject"])
            subjects.add(subject[:6])
            for kind, text in parts(message):
                # A mail server's reply is quoted as it came.
                quoted = re.sub(r"詳細：.*", " ", text)
                judge(f"mail {kind} 「{subject}」", f"{subject}\n{quoted}")
        assert len(subjects) >= 6, f"there are mails of these kinds alone: {subjects}"
    equal(sorted(set(wrong)), [], "foreign on Japanese pages and in Japanese mails")
