"""Dangers of a mail and the actions on it: described alike everywhere; nothing dangerous is sent without a tick, and
decisions can be undone.
"""

import base64
import email
import email.policy
import html
import re
import tomllib
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.journeys.people import HANAKO, KANSA, SOUMU, Desk
from tests.journeys.sending import RULES, addresses, mail, notices, real, settle
from tests.rig.check import contains, equal
from tests.rig.people import strangers
from tests.rig.relay import TOP, id_of, wait_until
from tests.rig.sink import Sink

MAILS = tomllib.loads((TOP / "tests" / "risks.toml").read_text())["mail"]
STRICT = (TOP / "policy" / "strict.toml").read_text()
SENDER = "hanako.sato@example.co.jp"
PEOPLE = strangers(6, 3)
SIX = addresses(PEOPLE)
# A reason that begins within this many characters is read at a glance, including the words before it.
BEFORE = 20


def word(text):
    """A word of a header in base64."""
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def built(one):
    """A mail of the table: its envelope's recipients and its bytes."""
    shown = one.get("to", []) + [f"p{n}@company{n}.example" for n in range(one.get("strangers", 0))]
    to = ",\r\n ".join(shown) or "undisclosed-recipients:;"
    head = (f"From: {one.get('sender', SENDER)}\r\nTo: {to}\r\nSubject: {word(one['subject'])}\r\n"
            f"Message-ID: <{one['name']}@example.co.jp>\r\nDate: Sun, 29 Nov 2026 10:00:00 +0900\r\n"
            f"MIME-Version: 1.0\r\n{one.get('head', '')}")
    if "raw" in one:
        text = head + one["raw"]
    else:
        def part(fields, body):
            lines = "\r\n".join(body[at:at + 76] for at in range(0, len(body), 76))
            return f"--B\r\n{fields}\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}\r\n"
        written = one.get("text", "よろしくお願いいたします。\n")
        text = head + "Content-Type: multipart/mixed; boundary=B\r\n\r\n"
        text += part("Content-Type: text/plain; charset=utf-8", base64.b64encode(written.encode()).decode())
        for file in one.get("files", []):
            name = f'\r\nContent-Disposition: attachment; filename="{word(file["name"])}"' if file["name"] else ""
            text += part(f"Content-Type: {file['type']}{name}", file["base64"])
        text += "--B--\r\n"
    return shown + [f"b{n}@blind{n}.example" for n in range(one.get("bcc", 0))], text.encode()


def bodies(sink, to, subject):
    """The text parts of the relay's mails to a person about a subject."""
    found = []
    for taken in notices(sink):
        message = email.message_from_bytes(taken.content, policy=email.policy.default)
        if taken.recipients == [to] and subject in str(message["Subject"]):
            found.append(message.get_body(("plain",)).get_content())
    return found


def told(text, one, languages=("ja", "en")):
    """Whether a text, unwrapped, begins with the danger, in one of these languages."""
    flat = re.sub(r"\s+", " ", text)
    spaced = flat.replace(" ", "")
    return any(0 <= spaced.find(one[language].replace(" ", "")) <= BEFORE for language in languages)


def within(page, pattern):
    """The text of an element of a page, without tags."""
    found = re.search(pattern, page.body, re.S)
    return html.unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""


def it_names_the_true_reason_in_every_place():
    wrong = []
    extra = '[notices]\nlanguage = "ja"\n[[approver]]\naddress = "kacho@example.co.jp"\ndigest = "5s"\n'
    with Sink() as sink, Desk(sink.address, [HANAKO, ("soumu", "soumu@example.co.jp", "admin")], policy=STRICT,
                              extra=extra) as desk:
        desk.config.write_text(desk.config.read_text().replace(
            'approvers = ["soumu@example.co.jp"]', 'approvers = ["soumu@example.co.jp", "kacho@example.co.jp"]'))
        desk.stop()
        desk.start()
        known = {one["knows"] for one in MAILS if "knows" in one}
        for domain in known:
            desk.send(mail("ご挨拶", strangers(1, 1)).replace(b"To:", f"To: ken@{domain},".encode(), 1),
                      [f"ken@{domain}"], sender=SENDER)
        # delivered, and noted by the relay: only then are they known
        assert wait_until(lambda: len(real(sink.taken)) == len(known) and desk.queue() == [], 20), "the known are not written to"
        ids = {}
        for one in MAILS:
            to, raw = built(one)
            answer = desk.send(raw, to, sender=one.get("sender", SENDER))
            contains(answer, "held as")
            ids[one["name"]] = id_of(answer)
        for language in ("ja", "en"):
            browser = desk.signed("soumu")
            browser.language = language
            rows = "".join(browser.open(f"/?state=held&q={urllib.parse.quote(one['subject'][:30])}").body for one in MAILS)
            for one in MAILS:
                id = ids[one["name"]]
                page = browser.open(f"/held/{id}")
                equal(page.status, 200, page.body[:300])
                places = {
                    "page": within(page, r"<h1>(.*?)</h1>"),
                    "first of its list": within(page, r'<ul class="risks"[^>]*>\s*<li[^>]*>(.*?)</li>'),
                    "row": within(type(page)("", 200, [], next(iter(re.findall(
                        rf'href="/held/{id}[?"].*?</li>', rows, re.S)), "")), r'<span class="row-why[^"]*">(.*?)</bdi>'),
                    "bulk": within(browser.open(f"/bulk?do=return&id={id}"), r'<span class="row-why[^"]*">(.*?)</bdi>'),
                }
                for place, said in places.items():
                    if not told(said, one, (language,)) and not (place in ("row", "bulk", "first of its list")
                                                                 and "名（" in one["ja"] and said):
                        wrong.append(f"{one['name']} {language} {place}: {said[:90]!r}")
                equal(page.body.count("builtin:"), page.body.count('title="builtin:'), "a slug is shown")
        wait_until(lambda: len(notices(sink)) >= 2 * len(MAILS), 90, 0.5)
        for one in MAILS:
            for to in (SENDER, "soumu@example.co.jp"):
                if to == SENDER and one.get("sender", SENDER) != SENDER:
                    continue
                texts = wait_until(lambda: bodies(sink, to, one["subject"][:30]), 60, 0.5) or []
                if not any(told(text, one) for text in texts):
                    wrong.append(f"{one['name']} mail to {to}: {[text[:80] for text in texts]}")
        def digests():
            return re.sub(r"\s", "", "".join(bodies(sink, "kacho@example.co.jp", "承認待ち")))
        wait_until(lambda: all(one["ja"].replace(" ", "") in digests() or "名（" in one["ja"] for one in MAILS), 60, 0.5)
        wrong += [f"{one['name']} digest" for one in MAILS
                  if one["ja"].replace(" ", "") not in digests() and "名（" not in one["ja"]]
    equal(wrong, [], "places that do not say what is dangerous")


def ask_page(desk, user, id):
    """A person's browser, and the page of a held mail in it."""
    browser = desk.signed(user)
    return browser, browser.open(f"/held/{id}")


def it_sends_nothing_dangerous_without_a_tick():
    one = next(one for one in MAILS if one["name"] == "attach")
    with Sink() as sink, Desk(sink.address, [HANAKO, SOUMU], policy=STRICT) as desk:
        to, raw = built(one)
        id = id_of(desk.send(raw, to, sender=SENDER))
        browser, page = ask_page(desk, "soumu", id)
        main = re.findall(r'class="button main"[^>]*>(.*?)<', page.body)
        equal(main, ["Return to sender…"], "going back comes first")
        ticks = [html.unescape(key) for key in re.findall(r'name="tick" value="([^"]+)"', page.body)]
        assert ticks, page.body[:2000]
        for given in ([], ticks[:-1], ["exposed"]):
            done = browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": "split", "tick": given})
            equal(done.status, 422, given)
            contains(done.body, "会員名簿.csv")
        equal([row["id"] for row in desk.held()], [id])
        # Bulk decisions never ask: such a mail is left unchanged, and named.
        sure = browser.open(f"/bulk?do=split&id={id}")
        contains(sure.body, "会員名簿.csv")
        assert 'name="id"' not in sure.body, "it would be sent"
        left = browser.follow(browser.post("/bulk", {"csrf": page.csrf, "do": "split", "id": id}))
        contains(left.body, "会員名簿.csv")
        equal(real(sink.taken), [])
        done = browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": "split", "tick": ticks})
        equal(done.status, 303, done.body[:300])
        equal(len(settle(sink, 6)), 6)


def it_leaves_out_somebody_or_sends_to_nobody():
    with Sink() as sink, Desk(sink.address, [SOUMU], policy=RULES) as desk:
        id = id_of(desk.send(mail("[ask] 六人", PEOPLE), SIX))
        browser, page = ask_page(desk, "soumu", id)
        done = browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": "split", "leave": "out"})
        equal(done.status, 422)
        equal([row["id"] for row in desk.held()], [id])
        done = browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": "split", "leave": "out", "drop": SIX[0]})
        equal(done.status, 303)
        equal(len(settle(sink, 5)), 5)


def it_waits_so_that_a_release_can_be_undone():
    with Sink() as sink, Desk(sink.address, [SOUMU], policy=RULES, desk='grace = "6s"') as desk:
        id = id_of(desk.send(mail("[ask] 六人", PEOPLE), SIX))
        browser, page = ask_page(desk, "soumu", id)
        for way in ("split", "bcc", "as-is"):
            browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": way})
            equal(desk.held("released")[0]["id"], id)
            shown = browser.open(f"/held/{id}")
            contains(shown.body, "You can still undo this")
            undone = browser.follow(browser.post(f"/held/{id}/undo", {"csrf": page.csrf}))
            contains(undone.body, "Undone. The mail waits for a decision again.")
            equal([row["id"] for row in desk.held()], [id])
        equal(real(sink.taken), [])
        browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": "split"})
        equal(real(sink.taken), [], "it left at once")
        equal(len(settle(sink, 6)), 6)
        equal(browser.post(f"/held/{id}/undo", {"csrf": page.csrf}).status, 409, "it has left")
        done = browser.open(f"/held/{id}")
        contains(done.body, "Sent individually: no recipient sees another")
        # The relation as it was at the decision: the mail itself did not make the recipients known.
        contains(done.body, "never written to before")


def it_takes_back_at_the_desk_as_by_mail():
    with Sink() as sink, Desk(sink.address, [HANAKO, SOUMU], policy=RULES) as desk:
        id = id_of(desk.send(mail("[ask] 六人", PEOPLE), SIX))
        browser, page = ask_page(desk, "hanako", id)
        browser.language = "ja"
        # The form of earlier versions works too.
        for path in ("take-back", "return"):
            done = browser.follow(browser.post(f"/held/{id}/{path}", {"csrf": page.csrf}))
            contains(done.body, "送信を取り消しました。誰にも送信していません")
            contains(done.body, "差出人（hanako）が送信を取り消しました")
            assert "taken back" not in done.body, "English on a Japanese page"
            back = browser.follow(browser.post(f"/held/{id}/undo", {"csrf": page.csrf}))
            contains(back.body, "元に戻しました。判断を待っています。")
        equal([row["id"] for row in desk.held()], [id])


def it_gives_back_with_a_reason_of_several_lines():
    with Sink() as sink, Desk(sink.address, [SOUMU, KANSA], policy=RULES) as desk:
        id = id_of(desk.send(mail("[ask] 六人", PEOPLE), SIX))
        browser, page = ask_page(desk, "soumu", id)
        browser.language = "ja"
        browser.post(f"/held/{id}/return", {"csrf": page.csrf, "canned": "list", "reason": "急ぎません。\r\nよろしく。"})
        for path in (f"/held/{id}", "/?state=returned", f"/m/{id}"):
            body = browser.open(path).body
            contains(body, "急ぎません。")
            contains(body, "名簿など、添付してはいけないファイルを外して送り直してください。")
            assert "\ufffd" not in body, path
        # The person who decided is told so; auditors get no checkboxes.
        late = browser.follow(browser.post(f"/held/{id}/release", {"csrf": page.csrf, "as": "split"}))
        contains(late.body, "あなたが判断済みです")
        desk.send(mail("[ask] zwei", PEOPLE), SIX)
        assert "data-one" not in desk.signed("kansa").open("/").body, "an auditor decides on nothing"


def press(url, **form):
    """Presses the button behind a link; status and page."""
    body = urllib.parse.urlencode(form, doseq=True).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, {"Accept-Language": "ja"}), timeout=20) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def links(sink, count=1):
    """The links of the sender's notices, in order."""
    def found():
        return [re.findall(r"http://\S+/l/[A-Za-z0-9_-]{40,}", text)
                for text in bodies(sink, SENDER, "")]
    wait_until(lambda: len(found()) >= count, 40, 0.2)
    return [link for each in found() for link in each]


def it_tells_after_each_link_what_was_done():
    with Sink() as sink, Desk(sink.address, [SOUMU], policy=RULES, desk='grace = "5s"') as desk:
        desk.send(mail("[ask] 六人", PEOPLE), SIX, sender=SENDER)
        split, take_back, ask = links(sink)[:3]
        status, page = press(take_back)
        contains(page, "送信を取り消しました")
        contains(page, 'name="undo"')
        status, page = press(take_back, undo="1")
        equal(status, 200)
        contains(page, "元に戻しました")
        assert "対応済み" not in page
        equal(len(desk.held()), 1)
        status, page = press(split)
        contains(page, "個別に送信します（6通）")
        contains(page, 'name="undo"')
        status, page = press(split, undo="1")
        contains(page, "元に戻しました")
        equal(len(desk.held()), 1)
        status, page = press(ask, reason="知り合いです")
        contains(page, "元のまま送る承認を申請しました")
        contains(page, "soumu@example.co.jp")
        equal(real(sink.taken), [])
        press(split)
        equal(len(settle(sink, 6)), 6)


@pytest.mark.parametrize("tick", [False, True])
def it_asks_behind_a_link_that_would_complete_an_accident(tick):
    one = next(one for one in MAILS if one["name"] == "lookalike")
    with Sink() as sink, Desk(sink.address, [SOUMU], policy=STRICT) as desk:
        desk.send(mail("ご挨拶", strangers(1, 1)), [f"ken@{one['knows']}"], sender=SENDER)
        assert wait_until(lambda: len(real(sink.taken)) == 1 and desk.queue() == [], 20)
        to, raw = built(one)
        desk.send(raw, to, sender=SENDER)
        split = links(sink)[0]
        with urllib.request.urlopen(split, timeout=20) as page:
            ticks = [html.unescape(key) for key in re.findall(r'name="tick" value="([^"]+)"', page.read().decode())]
        equal(len(ticks), 1)
        status, page = press(split, tick=ticks if tick else [])
        equal(status, 200 if tick else 422)
        if tick:
            equal(len(settle(sink, 7)), 7)
        else:
            contains(page, "ken@aozora-sh0ji.co.jp")
            equal(len(desk.held()), 1)
