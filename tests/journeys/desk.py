"""The desk in Chromium as people use it: lists, held messages, every decision, both languages, two widths, with and
without JavaScript.
"""

import email
import email.policy
import subprocess

import pytest

from tests.rig.chromium import Browser, settle
from tests.rig.check import contains, equal
from tests.rig.desk import PASSWORD, POLICY, TWELVE, Desk, mail
from tests.rig.relay import TOP, binary, id_of, wait_until

pytestmark = pytest.mark.browser


def sign_in(browser, desk, name="soumu", path="/"):
    """Signs in with a password, by the form."""
    browser.open(desk.page(path))
    browser.type("#user", name)
    browser.type("#password", PASSWORD)
    browser.click("main form[action='/login'] button")
    wait_until(lambda: "/login" not in browser.url(), 15)
    assert "/login" not in browser.url(), browser.text()


def quiet(browser, desk):
    """Checks that no page loaded anything from elsewhere or violated its own policy."""
    settle()
    host = f"http://127.0.0.1:{desk.desk}/"
    strange = [url for url in browser.requests() if not url.startswith((host, "data:", "about:", "chrome"))]
    equal(strange, [], "requests to elsewhere")
    # A page with an error status (403, 404, 409) is an error in the console, but not for this test.
    broken = [line for line in browser.console() if "status of 4" not in line]
    equal(broken, [], "console")


def it_lists_and_releases_individually():
    with Desk() as desk:
        id = desk.hold()
        with Browser() as browser:
            sign_in(browser, desk)
            contains(browser.text("main"), "Autumn exhibition")
            contains(browser.text("main"), "佐藤 花子 → tanaka@tanaka-shoji.example and 11 others")
            contains(browser.text(".chips"), "12 people, 9 organisations 1 attachment")
            browser.click(".row-subject a")
            contains(browser.text("h1"), "12 people at 9 organisations would see each other's addresses")
            contains(browser.text(".verdict"), "Each would see 11 other addresses (132 in all)")
            contains(browser.text("main"), "never written to before")
            contains(browser.text("main"), "please come and see us.")
            browser.click(".way .button.main")
            contains(browser.text(".note"), "Sent individually by soumu")
            assert wait_until(lambda: len(desk.delivered()) == 12, 20), len(desk.delivered())
            browser.open(desk.page(f"/m/{id}"))
            contains(browser.text("main"), "delivered")
            quiet(browser, desk)
        equal(desk.held(), [])


def it_does_everything_without_javascript():
    with Desk() as desk:
        ids = [desk.hold(subject=f"Letter {n}") for n in range(4)]
        with Browser(javascript=False, language="ja") as browser:
            sign_in(browser, desk)
            contains(browser.text("h1"), "保留中のメール")
            browser.open(desk.page(f"/held/{ids[0]}"))
            contains(browser.text("h1"), "社外の12名（9組織）に互いのアドレスが見えます")
            browser.click("button[value=bcc]")
            contains(browser.text(".note"), "Bcc で送信しました")
            browser.open(desk.page(f"/held/{ids[1]}/return"))
            browser.type("#reason", "宛先をご確認ください")
            browser.click("main .button.main")
            contains(browser.text(".note"), "宛先をご確認ください")
            browser.open(desk.page())
            for box in browser.find("[data-one]"):
                browser.do("POST", f"/element/{box}/click")
            browser.click("button[value=split]")
            contains(browser.text("h1"), "2件のメールを24通に分けて個別に送信します")
            browser.click("main .button.main")
            contains(browser.text("h1"), "2件のメールを24通に分けて個別に送信しました")
            browser.click("button[name=to]")
            contains(browser.text("nav"), "Held mail")
            quiet(browser, desk)
        equal(desk.held(), [])


def it_leaves_out_and_sends_as_it_is():
    with Desk() as desk:
        first, second = desk.hold(subject="One"), desk.hold(subject="Two")
        with Browser() as browser:
            sign_in(browser, desk)
            browser.open(desk.page(f"/held/{first}/drop"))
            # If nobody is chosen, neither the page nor the desk sends to everybody.
            browser.click("button[value=split]")
            contains(browser.url(), f"/held/{first}/drop")
            browser.run("document.querySelector('form.card').noValidate = true")
            browser.click("button[value=split]")
            contains(browser.text("main"), "Choose at least one recipient to leave out.")
            browser.open(desk.page(f"/held/{first}/drop"))
            browser.click("input[value='goto@yamada-kensetsu.example']")
            browser.click("button[value=split]")
            contains(browser.text(".note"), "Sent individually")
            assert wait_until(lambda: len(desk.delivered()) == 11, 20), len(desk.delivered())
            browser.open(desk.page(f"/held/{second}/as-is"))
            contains(browser.text(".note.stop"), "12 people at 9 organisations")
            browser.click("#sure")
            browser.click("button[value='as-is']")
            contains(browser.text(".note"), "Sent unchanged by soumu")
            quiet(browser, desk)


def it_shows_the_dangerous_among_many_and_counts_alike():
    people = [f"person{n}@org{n % 7}.example" for n in range(30)]
    people += [f"some.one{n}@{domain}" for n in range(8) for domain in ("gmail.com", "yahoo.co.jp")]
    alike = "ken@examp1e.co.jp"
    with Desk() as desk:
        for address in people:
            desk.send(mail([address], "Before", attach=False), [address])
        assert wait_until(lambda: len(desk.delivered()) == len(people), 60), "the known are not written to"
        to = [*people, alike, "new@quite-new.example"]
        id = id_of(desk.send(mail(to, "Many"), to))
        with Browser() as browser:
            sign_in(browser, desk, path=f"/held/{id}")
            shown = browser.run("return [...document.querySelectorAll('#people')][0].closest('section').innerText")
            contains(shown, alike)
            contains(shown, "new@quite-new.example")
            assert people[0] not in shown, "those who are known are not folded"
            contains(shown, "Show 46 more")
            contains(shown, "1 look-alike domain")
            risks = browser.text(".risks")
            contains(risks, "48 people at 25 organisations")
            contains(shown, "48 outside (25 organisations)")


def it_goes_from_one_to_the_next_with_the_filters_kept():
    with Desk() as desk:
        desk.hold(subject="Something else")
        ids = [desk.hold(subject=f"Letter {n}") for n in range(3)]
        with Browser() as browser:
            sign_in(browser, desk)
            contains(browser.do("GET", "/title"), "(4) Held mail")
            browser.open(desk.page("/?q=Letter"))
            contains(browser.text("h1"), "Held mail (3)")
            browser.click(".row-subject a")
            contains(browser.url(), f"/held/{ids[0]}?q=Letter")
            browser.click(".way .button.main")
            contains(browser.text(".around"), "Next one waiting (2 left)")
            browser.click(".around a[rel=next]")
            contains(browser.url(), f"/held/{ids[1]}?q=Letter")
            browser.click(".way a.button")
            browser.click("main .button.main")
            contains(browser.text(".note"), "Returned by soumu")
            contains(browser.text(".around"), "Next one waiting (1 left)")
            browser.click(".back")
            contains(browser.url(), "/?q=Letter")
            contains(browser.text("main"), "2 more are in other states.")
            browser.click(".elsewhere a")
            contains(browser.text("h1"), "Mail in every state (3)")
            quiet(browser, desk)


def it_says_what_changed_while_one_looks():
    with Desk() as desk:
        id = desk.hold()
        with Browser() as browser:
            sign_in(browser, desk, path=f"/held/{id}")
            desk.cli("held", "release", id)
            assert wait_until(lambda: "This changed after you opened the page: Sent individually by" in
                              browser.text(".live"), 20), browser.text(".live")
            equal(browser.run("return [...document.querySelectorAll('.decide button')].every(one => one.disabled)"), True)
            equal(browser.find(".decide a[href]"), [])
            browser.click(".live a")
            assert wait_until(lambda: "12 of 12 delivered." in browser.text(".live"), 30), browser.text(".live")
            browser.open(desk.page("/"))
            desk.hold(subject="Another one")
            assert wait_until(lambda: "1 new mail is held." in browser.text(".live"), 30), browser.text(".live")
            browser.click(".live a")
            contains(browser.text(".rows"), "Another one")
            quiet(browser, desk)


def it_previews_attachments_and_finds_them():
    rows = "氏名,メール\r\n" + "".join(f"会員{n},member{n}@kaiin.example\r\n" for n in range(30))
    event = ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:打ち合わせ\r\nDTSTART:20261202T040000Z\r\n"
             "ORGANIZER;CN=佐藤 花子:mailto:hanako.sato@example.co.jp\r\nATTENDEE:mailto:a@x.example\r\n"
             "END:VEVENT\r\nEND:VCALENDAR\r\n")
    message = email.message_from_bytes(mail(TWELVE, "With files"), policy=email.policy.SMTP)
    message.add_attachment(rows.encode("cp932"), maintype="text", subtype="csv", filename="会員名簿.csv")
    message.add_attachment("<script>alert(1)</script>\n", subtype="plain", filename="note.txt")
    message.add_attachment(event, subtype="calendar", filename="invite.ics")
    with Desk() as desk:
        id = id_of(desk.send(message.as_bytes(), TWELVE))
        desk.hold(subject="Without")
        with Browser(language="ja") as browser:
            sign_in(browser, desk)
            browser.open(desk.page("/?q=会員名簿"))
            equal(len(browser.find(".row")), 1)
            browser.open(desk.page(f"/held/{id}"))
            browser.run("document.querySelectorAll('.files details').forEach(one => one.open = true)")
            text = browser.text(".attached")
            for part in ("PDF", "表（CSV）", "31行・2列）、メールアドレス30件", "会員0", "member18@kaiin.example",
                         "<script>alert(1)</script>", "予定", "打ち合わせ", "主催者", "佐藤 花子", "参加者"):
                contains(text, part)
            assert "member19@" not in text, "more than twenty rows"
            quiet(browser, desk)


def it_makes_remembers_and_ends_circles():
    with Desk() as desk:
        with Browser() as browser:
            sign_in(browser, desk, path="/circles")
            contains(browser.text("h1"), "Circles")
            browser.type("#name", "Autumn fair")
            browser.type("#members", "one@aoba.example\nno address")
            browser.click("form[action='/circles'] .button.main")
            contains(browser.text(".note.stop"), "“no address” is not a mail address")
            contains(browser.run("return document.querySelector('#members').value"), "one@aoba.example")
            browser.type("#members", "\n".join(["one@aoba.example", *TWELVE]))
            browser.click("form[action='/circles'] .button.main")
            contains(browser.text(".note.good"), "“Autumn fair” is in force")
            contains(browser.text("main section"), "13 members")
            assert " held as " not in desk.send(mail(TWELVE), TWELVE)
            browser.click("form[action$='/end'] button")
            contains(browser.text(".note.good"), "“Autumn fair” has ended")
            equal(browser.find("form[action$='/end']"), [])
            id = desk.hold()
            browser.open(desk.page(f"/held/{id}/as-is"))
            contains(browser.text("form.card"), "12 people outside")
            browser.click("#remember")
            browser.click("#sure")
            browser.click("button[value='as-is']")
            contains(browser.text(".note"), "Sent unchanged by soumu")
            browser.open(desk.page("/circles"))
            contains(browser.text("main section"), "Autumn exhibition")
            contains(browser.text("main section"), "12 members")
            assert " held as " not in desk.send(mail(TWELVE, "Once more"), TWELVE)
            quiet(browser, desk)
        with Browser() as browser:
            sign_in(browser, desk, "kansa", "/circles")
            contains(browser.text("main"), "not make or end them")
            equal(browser.find("main form"), [])


def it_names_each_place_that_the_audit_found():
    with Desk() as desk:
        subject = f"For {TWELVE[3]} only"
        id = desk.hold(subject=subject)
        with Browser() as browser:
            sign_in(browser, desk)
            browser.open(desk.page(f"/held/{id}"))
            text = browser.text("main")
            contains(text, "cannot hide them")
            equal(browser.find("button[value=split]"), [])
            browser.open(desk.page(f"/held/{id}/as-is"))
            for box in browser.find("input[type=checkbox]"):
                browser.do("POST", f"/element/{box}/click")
            browser.click("button[value='as-is']")
            contains(browser.text(".note"), "Sent unchanged by soumu")


def it_tells_the_second_of_two_who_was_first():
    with Desk() as desk:
        id = desk.hold()
        # With its script the first page would soon say so itself, and disable its buttons.
        with Browser(javascript=False) as one, Browser() as two:
            sign_in(one, desk, "soumu", f"/held/{id}")
            sign_in(two, desk, "bucho", f"/held/{id}")
            two.click(".way .button.main")
            contains(two.text(".note"), "Sent individually by bucho")
            one.click("button[value=bcc]")
            contains(one.text(".note"), "This mail was already decided on. Nothing more was done.")
            contains(one.text(".note"), "Sent individually by bucho")


def it_leaves_what_changed_meanwhile():
    with Desk() as desk:
        ids = [desk.hold(subject=f"Letter {n}") for n in range(3)]
        with Browser() as browser:
            sign_in(browser, desk)
            browser.click("[data-all]")
            contains(browser.text("[data-chosen]"), "3 chosen")
            browser.click("button[value=return]")
            contains(browser.text("h1"), "Return these 3 mails")
            desk.cli("held", "release", ids[1])
            browser.click("main .button.main")
            contains(browser.text("h1"), "2 mails were returned")
            contains(browser.text(".note"), "1 mail is left as it is")
            contains(browser.text(".note"), "Letter 1")
            quiet(browser, desk)


def it_shows_each_person_what_is_theirs():
    with Desk() as desk:
        id = desk.hold()
        look = desk.hold(count=2, subject="look first")
        with Browser() as browser:
            sign_in(browser, desk, "hanako", f"/held/{id}")
            contains(browser.text("main"), "This is your own mail")
            equal(len(browser.find("button[value=split]")), 1)
            equal(browser.find("button[value=bcc]"), [])
            browser.open(desk.page(f"/held/{look}"))
            equal(browser.find("button[value=split]"), [])
            browser.open(desk.page(f"/held/{look}/as-is"))
            contains(browser.text("h1"), "You cannot decide on this mail")
            browser.open(desk.page("/report"))
            contains(browser.text("h1"), "Page not found")
        with Browser() as browser:
            sign_in(browser, desk, "kansa", f"/held/{id}")
            text = browser.text("main")
            contains(text, "not what is written in it")
            assert "please come and see us" not in text
            equal(browser.find("main button"), [])
            for path in ("html", "attachment/0", "copies"):
                browser.open(desk.page(f"/held/{id}/{path}"))
                assert "please come" not in browser.source()


def it_shows_every_copy_before_and_after():
    with Desk() as desk:
        id = desk.hold(count=500, subject="Newsletter")
        with Browser() as browser:
            sign_in(browser, desk)
            browser.open(desk.page(f"/held/{id}/copies"))
            contains(browser.text("#after"), "1–25 of 500")
            equal(len(browser.find(".copies > li")), 25)
            browser.click("a[rel=next]")
            contains(browser.text("#after"), "26–50 of 500")
            after = browser.text(".copies > li .copy")
            contains(after, "person25@org25.example")
            assert "person26@" not in after
            browser.click(".ways-tabs li:nth-child(2) a")
            contains(browser.text(".copies > li .copy"), "undisclosed-recipients")
            quiet(browser, desk)


def it_counts_the_same_on_the_page_and_the_command_line():
    policy = POLICY.replace('demand = "hold"', 'demand = "hold"\napprovers = ["bucho@example.co.jp"]')
    group = ('[[group]]\nname = "sales"\nsenders = ["hanako.sato@example.co.jp"]\n'
             'approvers = ["soumu@example.co.jp"]\n')
    with Desk(policy, extra=group) as desk:
        sent = desk.hold()
        desk.hold()
        desk.hold(count=2, subject="look first")
        desk.send(mail(TWELVE[:2], "Plain"), TWELVE[:2])
        desk.cli("held", "release", sent)
        numbers = desk.json("report")
        equal((numbers["accepted"], numbers["held"]), ({"hold": 3, "pass": 1}, {"held": 2, "released": 1}))
        strangers = {"held": 1, "released": 1}
        equal(numbers["rules"], {"strangers-see-each-other": strangers, "look-first": {"held": 1}})
        equal(numbers["groups"], {"sales": {"held": 2, "released": 1}})
        equal(numbers["approvers"], {"soumu@example.co.jp": strangers, "bucho@example.co.jp": {"held": 1}})
        equal((numbers["exposures_prevented"], numbers["decisions"]["count"], len(numbers["days"])), (132, 1, 1))
        printed = desk.cli("report").stdout
        for part in ("exposures prevented  132", "decisions by people  1", "SENDER'S GROUP", "sales"):
            contains(printed, part)

        def figures(browser):
            return browser.run("return [...document.querySelectorAll('.figure .big:not(.words)')]"
                               ".map(one => Number(one.textContent))")

        def rows(browser, table):
            return browser.run("return [...document.querySelectorAll(arguments[0] + ' ~ .scroll tbody tr')]"
                               ".map(row => row.innerText.split(/\\s+/).slice(0, 6))", f"#{table}")

        with Browser() as browser:
            sign_in(browser, desk, "kansa", "/report")
            # Prevented, held, split, passed; waiting, released, returned.
            equal(figures(browser), [132, 3, 0, 1, 2, 1, 0])
            equal(rows(browser, "rules"), [["strangers-see-each-other", "2", "1", "1", "0", "0"],
                                           ["look-first", "1", "1", "0", "0", "0"]])
            contains(browser.text("section[aria-labelledby=rules]"), "0 / 1 (0%)")
            equal(rows(browser, "senders"), [["hanako.sato@example.co.jp", "3", "2", "1", "0", "0"]])
            equal(rows(browser, "groups"), [["sales", "3", "2", "1", "0", "0"]])
            equal(len(rows(browser, "approvers")), 2)
        # A person who is asked about some mail sees only the figures of that mail.
        for name, expected, rule in (("soumu", [132, 2, 1, 1, 0], "strangers-see-each-other"),
                                     ("bucho", [0, 1, 1, 0, 0], "look-first")):
            with Browser() as browser:
                sign_in(browser, desk, name, "/report")
                contains(browser.text("main"), "mails that you were asked about")
                equal((name, figures(browser)), (name, expected))
                equal([row[0] for row in rows(browser, "rules")], [rule])
                equal(rows(browser, "approvers"), [])


def it_works_by_keyboard_alone():
    with Desk() as desk:
        desk.hold()
        with Browser() as browser:
            sign_in(browser, desk)
            browser.open(desk.page())
            browser.keys("Tab")
            equal(browser.run("return document.activeElement.className"), "skip")
            browser.keys("Enter")
            for _ in range(30):
                browser.keys("Tab")
                if browser.run("return !!document.activeElement.closest('.row-subject')"):
                    break
            browser.keys("Enter")
            wait_until(lambda: "/held/" in browser.url(), 10)
            for _ in range(30):
                browser.keys("Tab")
                if browser.run("return document.activeElement.value === 'split'"):
                    break
            browser.keys("Enter")
            contains(browser.text(".note"), "Sent individually")


def it_opens_from_try():
    """`sekisho try` ends in the browser."""
    message = TOP / "examples" / "twelve-in-cc.eml"
    trial = subprocess.Popen([binary(), "try", str(message), "--listen", "127.0.0.1:0", "--desk", "127.0.0.1:0"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        link = ""
        for line in trial.stdout:
            if "/login/once/" in line:
                link = line.strip()
                break
        assert link.startswith("http://127.0.0.1:"), link
        with Browser() as browser:
            browser.open(link)
            if browser.find("main form button"):
                browser.click("main form button")
            contains(browser.text("h1"), "Held mail")
            browser.do("DELETE", "/cookie")
            browser.open(link)
            assert "Held mail" not in browser.text("h1"), "the link worked twice"
    finally:
        trial.terminate()
        trial.wait(20)
