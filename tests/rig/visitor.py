"""A small browser without a screen: keeps cookies, fills forms in, follows no redirects by itself."""

import http.client
import re
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit


class Page:
    """A response."""

    def __init__(self, url, status, headers, body):
        self.url, self.status, self.headers, self.body = url, status, headers, body

    def header(self, name):
        """The first field of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def location(self):
        """The Location of a redirect."""
        return urljoin(self.url, self.header("Location"))

    @property
    def csrf(self):
        """The CSRF token of its forms."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.body)
        return unescape(found[1]) if found else ""

    def action(self, part=""):
        """The action of its form (the one whose action contains `part`)."""
        found = [unescape(a) for a in re.findall(r'<form[^>]*action="([^"]*)"', self.body) if part in unescape(a)]
        return urljoin(self.url, found[0]) if found else self.url


class Browser:
    """One browser; `base` is where paths start."""

    def __init__(self, base="", language="en"):
        self.base, self.language, self.cookies = base, language, {}

    def open(self, url, method="GET", form=None, headers=None, raw=None):
        """Requests a page."""
        url = urljoin(self.base, url)
        parts = urlsplit(url)
        sent = {"Accept-Language": self.language, **(headers or {})}
        jar = self.cookies.setdefault(parts.netloc, {})
        if jar:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        body = raw
        if form is not None:
            body = urlencode(form, doseq=True)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path or "/", body, sent)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                content = rest.split(";")[0]
                if "Max-Age=0" in value or "expires=Thu, 01 Jan 1970" in value or not content:
                    jar.pop(key, None)
                else:
                    jar[key] = content
        return Page(url, answer.status, answer.getheaders(), text)

    def post(self, url, form=None, **more):
        """Sends a form."""
        return self.open(url, "POST", form or {}, **more)

    def follow(self, page, most=10):
        """Follows redirects until a page comes."""
        while page.status in (301, 302, 303, 307) and most:
            page, most = self.open(page.location), most - 1
        return page

    def password(self, user, password, back=""):
        """Signs in by password."""
        page = self.open("/login")
        return self.post("/login", {"csrf": page.csrf, "user": user, "password": password, "back": back})

    def send(self, page, path, **form):
        """Sends a form of the desk from this page."""
        return self.post(path, {"csrf": page.csrf, **form})
