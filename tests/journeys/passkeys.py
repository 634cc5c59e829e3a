"""Journeys of passkeys: a browser with a virtual authenticator creates one, signs in with it; and what a mailed code
still allows then.
"""

import re

import pytest

from tests.rig.chromium import Browser
from tests.rig.check import contains, equal
from tests.rig.desk import PASSWORD, Desk
from tests.rig.relay import wait_until

pytestmark = pytest.mark.browser


class Localhost(Desk):
    """A desk that supports passkeys: with a host name instead of an address."""

    def __init__(self, **more):
        super().__init__(start=False, **more)
        text = self.config.read_text()
        self.config.write_text(text.replace(f'url = "http://127.0.0.1:{self.desk}"', f'url = "http://localhost:{self.desk}"'))

    def __enter__(self):
        self.start()
        return self

    def page(self, path="/"):
        return f"http://localhost:{self.desk}{path}"


def authenticator(browser, verified=True):
    """Adds a virtual authenticator."""
    return browser.do("POST", "/webauthn/authenticator", {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserConsenting": True, "isUserVerified": verified,
    })


def by_password(browser, desk, name, path="/account"):
    browser.open(desk.page(f"/login?back={path}"))
    browser.type("#user", name)
    browser.type("#password", PASSWORD)
    browser.click("main form[action='/login'] button")
    wait_until(lambda: "/login" not in browser.url(), 15)


def make(browser):
    """Makes a passkey on the account's page."""
    browser.type("#label", "blue laptop")
    browser.click("form[data-passkey=make] button")
    wait_until(lambda: "blue laptop" in browser.text(), 15)


def sign_in(browser, desk, back="/account"):
    """Signs in by the passkey; whether it worked."""
    browser.open(desk.page(f"/login?back={back}"))
    browser.click("form[data-passkey=use] button")
    return wait_until(lambda: "/login" not in browser.url(), 5)


def sign_out(browser):
    browser.click("form[action='/logout'] button")
    wait_until(lambda: "/login" in browser.url(), 10)


def it_makes_a_passkey_signs_in_with_it_and_takes_it_away():
    with Localhost() as desk, Browser() as browser:
        authenticator(browser)
        by_password(browser, desk, "kanri")
        make(browser)
        sign_out(browser)
        assert sign_in(browser, desk), browser.text()
        contains(browser.text(), "Administrator")
        contains(browser.text("section[aria-labelledby=sessions]"), "Passkey")
        browser.open(desk.page("/users"))
        contains(browser.text(), "blue laptop")
        browser.open(desk.page("/account"))
        browser.click("form[action='/account/passkey/remove'] button")
        assert "blue laptop" not in browser.text()
        sign_out(browser)
        assert not sign_in(browser, desk), "a key that was taken away signs in"
        contains(browser.text(), "was not accepted")


def it_asks_that_somebody_proves_to_be_there():
    with Localhost() as desk, Browser() as browser:
        authenticator(browser, verified=False)
        by_password(browser, desk, "soumu")
        browser.click("form[data-passkey=make] button")
        wait_until(lambda: browser.run("return !document.querySelector('[data-passkey-failed]').hidden"), 10)
        contains(browser.text(), "was not added")


def it_ends_sessions_everywhere_and_with_the_account():
    with Localhost() as desk, Browser() as one, Browser() as other:
        authenticator(one)
        by_password(one, desk, "soumu")
        make(one)
        by_password(other, desk, "soumu")
        other.open(desk.page("/account"))
        other.click("form[action='/account/out'] button")
        one.open(desk.page("/account"))
        contains(one.url(), "/login")
        assert sign_in(one, desk)
        desk.cli("user", "remove", "soumu")
        wait_until(lambda: one.open(desk.page("/account")) or "/login" in one.url(), 10)
        assert not sign_in(one, desk), "a key outlives its account"


def it_does_not_disclose_by_a_code_where_there_is_a_passkey():
    with Localhost(policy='[[rule]]\nname = "look"\nwhen = { subject = { contains = "Autumn" } }\ndemand = "hold"\n') as desk:
        id = desk.hold(2)
        with Browser() as browser:
            authenticator(browser)
            browser.open(desk.page(f"/login?back=/held/{id}/as-is"))
            browser.type("#address", "soumu@example.co.jp")
            browser.click("main form[action='/login/code/send'] button")
            contains(browser.text(), "soumu@example.co.jp")
            code = wait_until(lambda: code_in(desk), 15)
            link = link_in(desk)
            contains(link, f"&back=/held/{id}/as-is")
            browser.open(link)
            browser.click("main form[action='/login/code'] button")
            contains(browser.url(), f"/held/{id}/as-is")
            contains(browser.source(), "id=\"sure\"")
            assert code
            browser.open(desk.page("/account"))
            make(browser)
            browser.open(desk.page(f"/held/{id}/as-is"))
            assert 'id="sure"' not in browser.source(), "a code discloses where there is a passkey"
            sign_out(browser)
            assert sign_in(browser, desk, f"/held/{id}/as-is"), browser.text()
            contains(browser.source(), "id=\"sure\"")
            equal(len(desk.delivered()), 0)


def texts(desk):
    return [path.read_bytes().decode("utf-8", "replace").replace("=\r\n", "").replace("=3D", "=")
            for path in (desk.folder / "out" / "new").glob("*")]


def code_in(desk):
    found = [re.search(r"code=(\d{8})", text) for text in texts(desk)]
    return next((match.group(1) for match in found if match), None)


def link_in(desk):
    found = [re.search(r"http://localhost:\d+/login/code\?code=\d{8}\S*", text) for text in texts(desk)]
    return next(match.group(0) for match in found if match)
