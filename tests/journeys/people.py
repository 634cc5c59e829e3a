"""Journeys of signing in at the desk: by password, mailed code, identity provider; sessions, forms, links, API
tokens.
"""

import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.journeys.deciding import hold
from tests.journeys.sending import addresses, mail, notices, settle
from tests.rig import decode
from tests.rig.visitor import Browser
from tests.rig.check import contains, equal
from tests.rig.people import strangers
from tests.rig.ports import alone_with, free_port
from tests.rig.relay import TARGET, TOP, Relay, binary, id_of, wait_until
from tests.rig.sink import Sink

PASSWORD = "correct-horse-battery"
APPROVERS = 'approvers = ["soumu@example.co.jp"]'
PROVIDER = "9.13.3"


class Desk(Relay):
    """A relay whose desk has people with passwords."""

    def __init__(self, upstream, people=(), desk="", **more):
        super().__init__(upstream, start=False, policy_extra=APPROVERS, desk_extra=desk, **more)
        text = self.config.read_text()
        text = text.replace("[desk]\n", '[desk]\npeople = "people.toml"\n', 1)
        self.config.write_text(text)
        for name, address, *roles in people:
            self.add(name, address, *roles)

    def __enter__(self):
        self.start()
        return self

    def add(self, name, address, *roles):
        """`sekisho user add`."""
        words = [word for role in roles for word in ("--role", role)]
        done = subprocess.run(
            [binary(), "user", "add", name, "--address", address, *words, "--password-stdin", "--config",
             str(self.config)],
            input=PASSWORD, text=True, capture_output=True, timeout=30,
        )
        assert done.returncode == 0, done.stderr

    def browser(self, language="en"):
        """A new browser."""
        return Browser(f"http://127.0.0.1:{self.desk}", language)

    def signed(self, user):
        """A browser in which a person has signed in."""
        browser = self.browser()
        page = browser.password(user, PASSWORD)
        equal(page.status, 303, page.body[:500])
        return browser


HANAKO = ("hanako", "hanako.sato@example.co.jp")
SOUMU = ("soumu", "soumu@example.co.jp")
TARO = ("taro", "taro.suzuki@example.co.jp")
KANSA = ("kansa", "kansa@example.co.jp", "auditor")


def it_signs_in_by_password_and_out_again():
    with Sink() as sink, Desk(sink.address, [HANAKO]) as desk:
        browser = desk.browser()
        shut = browser.open("/?state=all")
        equal(shut.status, 303)
        contains(shut.location, "/login?")
        wrong = browser.password("hanako", "something-else")
        equal(wrong.status, 401)
        contains(wrong.body, "is not right")
        before = dict(browser.cookies[f"127.0.0.1:{desk.desk}"])
        done = browser.password("hanako", PASSWORD, back="/?state=all")
        equal((done.status, done.header("Location")), (303, "/?state=all"))
        cookie = next(v for k, v in done.headers if k.lower() == "set-cookie" and v.startswith("sekisho="))
        for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
            contains(cookie, word)
        page = browser.open("/")
        equal(page.status, 200)
        for name, part in [
            ("Content-Security-Policy", "default-src 'none'"),
            ("Content-Security-Policy", "frame-ancestors 'none'"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ]:
            contains(page.header(name), part)
        assert "sekisho" not in before, "there was a session before anybody signed in"
        again = desk.browser()
        session = browser.cookies[f"127.0.0.1:{desk.desk}"]["sekisho"]
        out = browser.post("/logout", {"csrf": page.csrf})
        equal(out.status, 303)
        equal(browser.open("/").status, 303)
        again.cookies[f"127.0.0.1:{desk.desk}"] = {"sekisho": session}
        equal(again.open("/").status, 303, "the session lives on")


def it_limits_guesses_and_locks_nobody_out_where_they_always_come_from():
    with Sink() as sink, Desk(sink.address, [HANAKO], desk='proxies = ["127.0.0.1/32"]') as desk:
        def attempt(password, source):
            browser = desk.browser()
            page = browser.open("/login")
            return browser.post("/login", {"csrf": page.csrf, "user": "hanako", "password": password},
                                headers={"X-Forwarded-For": source})
        equal(attempt(PASSWORD, "198.51.100.7").status, 303)
        said = [attempt(f"guess {n}", f"203.0.113.{n}").status for n in range(26)]
        equal(said[:20], [401] * 20)
        equal(said[20:], [429] * 6)
        equal(attempt(PASSWORD, "203.0.113.99").status, 429, "a stranger with the right password, meanwhile")
        equal(attempt(PASSWORD, "198.51.100.7").status, 303, "she herself, from where she always comes")


def it_refuses_forms_that_are_not_its_own():
    with Sink() as sink, Desk(sink.address, [HANAKO, SOUMU]) as desk:
        held = hold(desk)
        browser = desk.signed("soumu")
        page = browser.open(f"/held/{held}")
        equal(page.status, 200)
        path = f"/held/{held}/release"
        other = desk.signed("hanako").open("/").csrf
        for form, headers in [
            ({"as": "as-is"}, {}),
            ({"as": "as-is", "csrf": ""}, {}),
            ({"as": "as-is", "csrf": "x" * 43}, {}),
            ({"as": "as-is", "csrf": other}, {}),
            ({"as": "as-is", "csrf": page.csrf}, {"Sec-Fetch-Site": "cross-site"}),
            ({"as": "as-is", "csrf": page.csrf}, {"Sec-Fetch-Site": "same-site"}),
            ({"as": "as-is", "csrf": page.csrf}, {"Origin": "https://evil.example"}),
        ]:
            equal(browser.post(path, form, headers=headers).status, 403, f"{form} {headers}")
        for method in ("GET", "HEAD"):
            # Opening the URL of a form leads to the page of the form; nothing is decided.
            led = browser.open(path, method)
            equal((led.status, led.location.endswith(f"/held/{held}")), (303, True), led.location)
            equal([row["id"] for row in desk.held()], [held], "a GET that decides")
        big = browser.open(path, "POST", raw=b"x" * (3 << 20),
                           headers={"Content-Type": "application/x-www-form-urlencoded"})
        equal(big.status, 413)
        equal([row["id"] for row in desk.held()], [held])
        done = browser.post(path, {"as": "as-is", "csrf": page.csrf, "acknowledge": []},
                            headers={"Sec-Fetch-Site": "same-origin"})
        equal(done.status, 303, done.body[:300])
        equal(len(settle(sink, 1)), 1)


def it_mails_a_code_that_is_good_in_one_browser():
    with Sink() as sink, Desk(sink.address) as desk:
        held = hold(desk)
        def ask(address, browser):
            page = browser.open("/login")
            return browser.post("/login/code/send", {"csrf": page.csrf, "address": address})
        def codes(address):
            mails = [m for m in notices(sink) if m.recipients == [address]]
            texts = [t for m in mails for t in decode.texts(m.content)]
            return list(dict.fromkeys(f"{a}{b}" for t in texts for a, b in re.findall(r"^ +(\d{4}) (\d{4})", t, re.M)))
        browser, other = desk.browser(), desk.browser("ja")
        answers = [ask(address, b) for address, b in [
            ("soumu@example.co.jp", browser), ("nobody@elsewhere.example", desk.browser())]]
        equal(len({(a.status, a.header("Location")) for a in answers}), 1, "the answer tells who is known")
        (code,) = wait_until(lambda: codes("soumu@example.co.jp"), 20)
        ask("soumu@example.co.jp", other)
        assert wait_until(lambda: len(codes("soumu@example.co.jp")) == 2, 20), "no second code"
        assert not codes("nobody@elsewhere.example"), "a stranger got mail"
        filled = browser.open(f"/login/code?code={code}")
        contains(filled.body, f'value="{code}"')
        equal(browser.open("/").status, 303, "the link alone signed somebody in")
        stranger = desk.browser()
        equal(stranger.send(stranger.open("/login/code"), "/login/code", code=code).status, 401, "another browser")
        done = browser.send(browser.open("/login/code"), "/login/code", code=f"{code[:4]} {code[4:]}")
        equal(done.status, 303, done.body[:300])
        page = browser.open(f"/held/{held}")
        equal(page.status, 200, "the approver named in the policy sees what is assigned")
        again = browser.send(other.open("/login/code"), "/login/code", code=code)
        assert again.status in (401, 403), "a code is good twice"
        second = codes("soumu@example.co.jp")[1]
        for _ in range(5):
            wrong = "".join("9" if c != "9" else "1" for c in second)
            equal(other.send(other.open("/login/code"), "/login/code", code=wrong).status, 401)
        equal(other.send(other.open("/login/code"), "/login/code", code=second).status, 401, "after five tries")


def it_shows_each_their_own_and_404_to_others():
    with Sink() as sink, Desk(sink.address, [HANAKO, SOUMU, TARO, KANSA]) as desk:
        held = hold(desk)
        for user, status in [("hanako", 200), ("soumu", 200), ("taro", 404), ("kansa", 200)]:
            browser = desk.signed(user)
            equal(browser.open(f"/held/{held}").status, status, user)
            listed = browser.open("/?state=all").body
            equal(held in listed, status == 200, f"{user}'s list")
        taro = desk.signed("taro")
        page = taro.open("/")
        equal(taro.send(page, f"/held/{held}/release", **{"as": "split"}).status, 404)
        kansa = desk.signed("kansa")
        page = kansa.open("/")
        assert kansa.send(page, f"/held/{held}/release", **{"as": "split"}).status in (403, 404)
        equal([row["id"] for row in desk.held()], [held])


def it_asks_on_the_mails_page_to_send_it_again_openly():
    with Sink() as sink, Desk(sink.address, [HANAKO, TARO]) as desk:
        everybody = strangers(12, 12)
        old = id_of(desk.send(mail("Kickoff", everybody), addresses(everybody)))
        settle(sink, 12)
        stranger, sender = desk.signed("taro"), desk.signed("hanako")
        equal(stranger.open(f"/m/{old}").status, 404)
        page = sender.open(f"/m/{old}")
        contains(page.body, "Send it again openly")
        path = f"/m/{old}/again"
        equal(sender.post(path, {"reason": "", "csrf": page.csrf}).status, 403, "without a reason")
        equal(stranger.post(path, {"reason": "why not", "csrf": stranger.open("/").csrf}).status, 404)
        equal(desk.held(), [])
        done = sender.post(path, {"reason": "one project", "csrf": page.csrf})
        (row,) = desk.held()
        equal((done.status, done.header("Location")), (303, f"/held/{row['id']}"))
        contains(sender.open(f"/m/{old}").body, row["id"])
        held = sender.open(f"/held/{row['id']}")
        contains(held.body, "one project")
        contains(held.body, old)
        for way in ("split", "as-is"):
            done = sender.post(f"/held/{row['id']}/release", {"as": way, "csrf": held.csrf})
            equal(done.status, 403, "it takes another person")
        equal(len(desk.held()), 1)


def it_ends_sessions_when_the_account_changes_and_keeps_others_over_a_restart():
    with Sink() as sink, Desk(sink.address, [HANAKO, SOUMU], desk='session = "1h"\nidle = "10m"') as desk:
        hanako, soumu = desk.signed("hanako"), desk.signed("soumu")
        desk.cli("user", "roles", "hanako", "--role", "auditor")
        assert wait_until(lambda: hanako.open("/").status == 303, 15, 0.3), "the session outlived its account"
        equal(soumu.open("/").status, 200, "another's session ended as well")
        again = desk.signed("hanako")
        equal(again.open("/").status, 200)
        desk.cli("user", "remove", "hanako")
        assert wait_until(lambda: again.open("/").status == 303, 15, 0.3), "the session outlived its account"
        desk.stop()
        desk.start()
        equal(soumu.open("/").status, 200, "a restart signs everybody out")


def it_makes_tokens_with_scopes_and_takes_them_away():
    with Sink() as sink, Desk(sink.address) as desk:
        made = desk.json("token", "add", "scraper", "--scope", "held:read", "--expires", "90d")
        assert len(made["token"]) == 43, made
        twice = desk.cli("token", "add", "scraper", "--scope", "held:read", ok=False)
        equal(twice.returncode, 1)
        contains(twice.stderr, "already")
        equal(desk.cli("token", "add", "x", "--scope", "held:everything", ok=False).returncode, 2)
        listed = desk.json("token", "list")
        equal([(t["name"], t["scopes"]) for t in listed], [("scraper", ["held:read"])])
        assert made["token"] not in desk.cli("token", "list").stdout, "the secret is shown again"
        files = [path.read_bytes() for path in desk.folder.glob("sekisho.db*") if path.is_file()]
        assert all(made["token"].encode() not in text for text in files), "the secret is kept"
        desk.cli("token", "remove", "scraper")
        equal(desk.cli("token", "remove", "scraper", ok=False).returncode, 1)
        equal(desk.json("token", "list"), [])


def provider(port, back):
    """The provider: npm's oidc-provider, fetched once into target/."""
    place = TARGET / "oidc-provider"
    with alone_with("provider"):
        if not (place / "node_modules" / "oidc-provider").exists():
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", f"oidc-provider@{PROVIDER}"],
                           cwd=place, check=True, timeout=600)
    return subprocess.Popen([shutil.which("node"), str(TOP / "tests" / "rig" / "provider.mjs"), str(port), back, str(place)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def sign_in_there(browser, person):
    """To the provider and back; returns the last page of the desk."""
    page = browser.open("/login/oidc?back=/%3Fstate%3Dall")
    equal(page.status, 303, page.body[:300])
    page = browser.follow(page)
    for form in ({"prompt": "login", "login": person, "password": "any"}, {"prompt": "consent"}):
        contains(page.body, "<form")
        page = browser.post(page.action(), form)
        while page.status in (302, 303) and "/login/oidc/return" not in page.location:
            page = browser.open(page.location)
        if page.status in (302, 303):
            return page
    raise AssertionError(f"the provider did not send {person} back: {page.status} {page.body[:500]}")


def it_signs_in_by_a_real_provider():
    port = free_port()
    with Sink() as sink:
        secret = '[desk.oidc]\nname = "Example"\nissuer = "http://127.0.0.1:{}"\nclient_id = "sekisho"\n'.format(port)
        secret += 'client_secret_file = "oidc-secret"\nroles = { approver = ["mail-approvers"], admin = ["mail-admins"] }\n'
        desk = Desk(sink.address, extra=secret)
        (desk.folder / "oidc-secret").write_text("a secret/with+signs\n")
        back = f"http://127.0.0.1:{desk.desk}/login/oidc/return"
        there = provider(port, back)
        try:
            line = ""
            while "ready" not in line:
                line = there.stdout.readline()
                assert line, "the provider ended at start"
            with desk:
                held = hold(desk)
                contains(desk.browser().open("/login").body, "Sign in with Example")
                for person, sees in [("soumu", True), ("boss", True), ("taro", False)]:
                    browser = desk.browser()
                    came = browser.open(sign_in_there(browser, person).location)
                    equal((came.status, came.header("Location")), (303, "/?state=all"), came.body[:600])
                    equal(browser.open(f"/held/{held}").status, 200 if sees else 404, person)
                for person in ("unverified", "stranger"):
                    browser = desk.browser()
                    equal(browser.open(sign_in_there(browser, person).location).status, 403, person)
                    equal(browser.open("/").status, 303, person)
                browser = desk.browser()
                way = sign_in_there(browser, "soumu").location
                equal(desk.browser().open(way).status, 403, "the way back in another browser")
                equal(browser.open(way.replace("state=", "state=x")).status, 403, "another state")
                equal(browser.open(way).status, 403, "the cookie was used up")
                browser = desk.browser()
                way = sign_in_there(browser, "soumu").location
                cookies = dict(browser.cookies[f"127.0.0.1:{desk.desk}"])
                equal(browser.open(way).status, 303)
                browser.cookies[f"127.0.0.1:{desk.desk}"].update(cookies)
                equal(browser.open(way).status, 403, "a code replayed")
                page = browser.open("/")
                out = browser.follow(browser.send(page, "/logout"))
                contains(out.body, "Sign out at the provider too")
        finally:
            there.kill()
            there.wait()


def it_says_so_when_the_provider_is_away():
    with Sink() as sink:
        text = f'[desk.oidc]\nissuer = "http://127.0.0.1:{free_port()}"\nclient_id = "sekisho"\n'
        with Desk(sink.address, extra=text) as desk:
            page = desk.browser().open("/login/oidc")
            equal(page.status, 502)
            contains(page.body, "cannot be reached")
            equal(desk.browser().open("/healthz").status, 200)


class Saying:
    """A provider with given metadata."""

    def __init__(self):
        self.issuer, self.keys = None, [KEY]
        saying = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                said = {"keys": saying.keys} if self.path == "/keys" else {
                    "issuer": saying.issuer or saying.url, "authorization_endpoint": f"{saying.url}/auth",
                    "token_endpoint": f"{saying.url}/token", "jwks_uri": f"{saying.url}/keys"}
                body = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# RFC 7517, appendix A.1.
KEY = {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
       "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "sig", "kid": "1"}


def it_checks_the_provider_before_anybody_needs_it():
    provider = Saying()
    with Sink() as sink:
        text = f'[desk.oidc]\nissuer = "{provider.url}"\nclient_id = "sekisho"\nclient_secret_file = "oidc-secret"\n'
        desk = Desk(sink.address, extra=text)

        def check(wanted, *more):
            done = desk.cli("check", *more, ok=False)
            contains(done.stdout + done.stderr, wanted)

        check("oidc-secret")  # there is none
        secret = desk.folder / "oidc-secret"
        secret.write_text("a secret of some length\n")
        secret.chmod(0o600)
        check("--connect checks it")
        check("which has 1 keys", "--connect")
        provider.issuer = "https://login.microsoftonline.com/{tenantid}/v2.0"
        check("it calls itself https://login.microsoftonline.com/{tenantid}/v2.0", "--connect")
        provider.issuer, provider.keys = None, []
        check("it has no key that could be used here", "--connect")
        provider.server.shutdown()
        provider.server.server_close()
        check("the provider cannot be asked", "--connect")
        desk.config.write_text(desk.config.read_text().replace(provider.url, "https://login.microsoftonline.com/common/v2.0"))
        check("every organisation in the world")
        desk.stop()


def it_speaks_japanese():
    with Sink() as sink, Desk(sink.address, [HANAKO]) as desk:
        page = desk.browser("ja").open("/login")
        contains(page.body, "ログイン")
        contains(page.body, 'lang="ja"')
