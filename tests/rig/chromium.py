"""A real browser: Chromium under chromedriver (W3C WebDriver), spoken to with the standard library alone.

    with Browser(width=1280, language="en") as browser:
        browser.open(url); browser.click("css"); browser.text("h1")

Every page's network requests and console messages are kept: `browser.requests()`, `browser.console()`.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from tests.rig.ports import free_port
from tests.rig.relay import wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-client-side-phishing-detection", "--no-default-browser-check",
    "--disable-extensions", "--metrics-recording-only", "--hide-scrollbars",
]


class Failed(Exception):
    """An error of the driver."""


class Browser:
    """One browser with an empty profile; use as a context manager."""

    def __init__(self, width=1280, height=900, language="en", javascript=True, dark=False):
        self.width, self.height, self.language = width, height, language
        self.javascript, self.dark = javascript, dark

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="sekisho-chromium-")
        self.port = free_port()
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver") or "chromedriver", f"--port={self.port}", "--log-level=OFF"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        ready = wait_until(self._ready, 60, 0.05)
        assert ready, "chromedriver does not answer"
        preferences = {"intl.accept_languages": self.language}
        if not self.javascript:
            preferences["profile.managed_default_content_settings.javascript"] = 2
        options = {
            "args": [*FLAGS, f"--user-data-dir={self.profile}", f"--window-size={self.width},{self.height}",
                     f"--accept-lang={self.language}"],
            "prefs": preferences,
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "acceptInsecureCerts": True,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}, "unhandledPromptBehavior": "ignore"}
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, 90)
        self.session = answer["sessionId"]
        self._requests, self._console = [], []
        self.cdp("Emulation.setDeviceMetricsOverride", width=self.width, height=self.height,
                 deviceScaleFactor=1, mobile=False)
        if self.dark:
            self.scheme("dark")
        return self

    def __exit__(self, *_):
        try:
            self.do("DELETE", "")
        except Exception:  # it is ended in any case
            pass
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            self.driver.kill()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _ready(self):
        try:
            return self._send("GET", "/status", None, 2)["ready"]
        except (OSError, Failed):
            return False

    def _send(self, method, path, body, seconds=60):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise Failed(f"{value['error']}: {value['message'].splitlines()[0]}") from None

    def do(self, method, path, body=None):
        """One command of the session."""
        if method == "POST" and body is None:
            body = {}
        return self._send(method, f"/session/{self.session}{path}", body)

    def cdp(self, command, **parameters):
        """One command of the browser's own protocol."""
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def scheme(self, name):
        """Sets light or dark without transitions, so that colours are not measured half way."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name},
                                                         {"name": "prefers-reduced-motion", "value": "reduce"}])

    def size(self, width, height=900):
        """Sets the size of the window."""
        self.width, self.height = width, height
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url):
        """Opens a page."""
        self.do("POST", "/url", {"url": url})

    def url(self):
        """The URL of the page."""
        return self.do("GET", "/url")

    def source(self):
        """The page's text as the browser has it."""
        return self.do("GET", "/source")

    def find(self, css):
        """All elements, by a CSS selector."""
        found = self.do("POST", "/elements", {"using": "css selector", "value": css})
        return [one[ELEMENT] for one in found]

    def one(self, css, seconds=10):
        """The first element, as soon as it is there."""
        found = wait_until(lambda: self.find(css), seconds, 0.05)
        assert found, f"no {css} on {self.url()}:\n{self.text('body')[:1500]}"
        return found[0]

    def _on(self, css, method, rest):
        """A command on an element; repeated once if the page changed in between."""
        for left in (3, 2, 1, 0):
            try:
                return self.do(method, f"/element/{self.one(css)}/{rest}")
            except Failed as why:
                if "stale" not in str(why) or not left:
                    raise
                time.sleep(0.2)

    def text(self, css="body"):
        """An element's visible text."""
        return self._on(css, "GET", "text")

    def attribute(self, css, name):
        """An element's attribute."""
        return self._on(css, "GET", f"attribute/{name}")

    def click(self, css):
        """Clicks, scrolled into view; gives the page that follows a moment to begin."""
        if not self.javascript:
            self._on(css, "POST", "click")
            return time.sleep(0.4)
        before = self.run("return performance.timeOrigin")
        self._on(css, "POST", "click")
        return wait_until(lambda: self._moved(before), 0.4, 0.05)

    def _moved(self, before):
        try:
            return self.run("return document.readyState === 'complete' && performance.timeOrigin") not in (False, before)
        except Failed:
            return False

    def type(self, css, text):
        """Types into a field, emptied first."""
        element = self.one(css)
        self.do("POST", f"/element/{element}/clear")
        self.do("POST", f"/element/{element}/value", {"text": text})

    def keys(self, *names):
        """Presses keys, one after the other, wherever the focus is."""
        special = {"Tab": "\ue004", "Enter": "\ue007", "Space": " "}
        actions = []
        for name in names:
            key = special.get(name, name)
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.do("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def run(self, script, *arguments):
        """Runs a script in the page and gives what it returns."""
        return self.do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments):
        """Runs a script that calls its last argument when it is done."""
        return self.do("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def cookie(self, name, value, path="/"):
        """Sets a cookie for the page's host."""
        self.do("POST", "/cookie", {"cookie": {"name": name, "value": value, "path": path}})

    def shot(self, path, whole=True):
        """A picture of the page."""
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": self.width, "height": min(size["height"], 8000), "scale": 1}
            data = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        else:
            data = self.do("GET", "/screenshot")
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def _drain(self):
        for entry in self.do("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.append(message["params"]["request"]["url"])
        for entry in self.do("POST", "/se/log", {"type": "browser"}):
            self._console.append(f"{entry['level']}: {entry['message']}")

    def requests(self):
        """Every address asked for so far."""
        self._drain()
        return list(self._requests)

    def console(self):
        """Every console message so far."""
        self._drain()
        return list(self._console)

    def axe(self, script):
        """The violations that axe-core finds, as lines."""
        self.run(script)
        found = self.wait(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations'], iframes: false}).then(r => done(r.violations),"
            " e => done([{id: String(e), nodes: []}]));")
        return [f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
                for one in found for node in (one["nodes"] or [{"target": ""}])]


def settle(seconds=0.3):
    """Waits for requests that the page may still send."""
    time.sleep(seconds)
