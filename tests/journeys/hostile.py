"""Hostile mail on the desk's pages: no script runs, nothing is loaded, attachments can only be saved."""

import http.server
import threading
import urllib.request

import pytest

from tests.journeys.desk import quiet, sign_in
from tests.rig.check import equal
from tests.rig.chromium import Browser, settle
from tests.rig.desk import TWELVE, Desk
from tests.rig.hostile_mail import hostile
from tests.rig.relay import id_of

pytestmark = pytest.mark.browser

# Number of browsers, in parallel if there are enough cores.
HOSTILE_PARTS = 4


class Canary(http.server.BaseHTTPRequestHandler):
    """A request here was caused by a mail."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("part", range(HOSTILE_PARTS))
def it_is_not_moved_by_hostile_mail(note, part):
    canary = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    threading.Thread(target=canary.serve_forever, daemon=True).start()
    mails = list(hostile(f"http://127.0.0.1:{canary.server_port}", TWELVE[:6]))
    assert len(mails) >= 200, len(mails)
    mails = mails[part::HOSTILE_PARTS]
    ran = []
    with Desk() as desk:
        ids = [id_of(answer) for answer in (desk.send(raw, TWELVE[:6]) for raw in mails) if " held as " in answer]
        assert len(ids) >= 200 // HOSTILE_PARTS, len(ids)
        with Browser() as browser:
            sign_in(browser, desk)
            cookies = browser.do("GET", "/cookie")
            for id in ids:
                browser.open(desk.page(f"/held/{id}"))
                browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
                if browser.run("return window.sekishoRan || document.title === 'RAN'"):
                    ran.append(id)
                if browser.find("iframe"):
                    browser.open(desk.page(f"/held/{id}/html"))
                    if browser.do("GET", "/title") == "RAN":
                        ran.append(id)
                    assert browser.url().endswith("/html"), browser.url()
                # Attachments can only be saved.
                session = "; ".join(f"{one['name']}={one['value']}" for one in cookies)
                request = urllib.request.Request(desk.page(f"/held/{id}/attachment/0"), headers={"Cookie": session})
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        headers = answer.headers
                except urllib.error.HTTPError as error:
                    equal(error.code, 404)
                    continue
                assert headers["Content-Disposition"].startswith("attachment; "), headers
                equal(headers["X-Content-Type-Options"], "nosniff")
                kinds = ("application/octet-stream", "application/pdf", "application/zip", "image/", "text/plain")
                assert headers["Content-Type"].startswith(kinds), headers["Content-Type"]
                assert "svg" not in headers["Content-Type"], headers["Content-Type"]
            for page in ("/", "/?state=all", "/report"):
                browser.open(desk.page(page))
            settle(1)
            quiet(browser, desk)
    canary.shutdown()
    equal(ran, [], "scripts that ran")
    equal(Canary.asked, [], "requests of mails")
    note(f"{len(ids)} mails")
