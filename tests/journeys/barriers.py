"""Accessibility of the desk: the important things on one screen, axe-core on every page, two widths, two languages."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.journeys.desk import sign_in
from tests.rig.check import contains, equal
from tests.rig.chromium import Browser
from tests.rig.desk import TWELVE, Desk, mail
from tests.rig.ports import alone_with
from tests.rig.relay import TARGET, id_of, wait_until

pytestmark = pytest.mark.browser


def bottoms(browser, **css):
    """The lower edges of elements, in pixels from the top of the page."""
    return {name: browser.run("return Math.ceil(document.querySelector(arguments[0]).getBoundingClientRect().bottom)", one)
            for name, one in css.items()}


@pytest.mark.parametrize("language", ["en", "ja"])
def it_shows_what_matters_on_one_screen(note, language):
    names = [f'"田中 {n}" <{address}>' for n, address in enumerate(TWELVE)]
    text = "\n".join(f"{n} 行目の本文です。" for n in range(1, 21))
    with Desk() as desk:
        id = id_of(desk.send(mail(names, "秋の展示会のご案内", text=text), TWELVE))
        with Browser(height=800, language=language) as browser:
            sign_in(browser, desk, path=f"/held/{id}")
            ends = bottoms(browser, sender=".verdict .facts", risks=".risks", lines=".mail-text", files=".attached",
                           six=".people .person:nth-child(6)", button=".way .button.main")
            high = [f"{name} ends at {end}" for name, end in ends.items() if end > 800]
            equal(high, [], "not on the first screen")
            contains(browser.text(".mail-text"), "8 行目")
            contains(browser.text(".people .person"), "田中")
            tall = browser.run("return document.documentElement.scrollHeight")
            assert tall <= 1800, f"the page of 12 recipients is {tall} high"
            # The actions stay visible.
            browser.run("scrollTo(0, 700)")
            top = browser.run("return document.querySelector('.way .button.main').getBoundingClientRect().top")
            assert 0 <= top <= 800, top
            note(f"{tall} high; the sixth name ends at {ends['six']}")
        with Browser(width=390, height=844, language=language) as browser:
            sign_in(browser, desk, path=f"/held/{id}")
            for place in (0, 600, 99999):
                browser.run("scrollTo(0, arguments[0])", place)
                seen = browser.run("return [...document.querySelectorAll('.at-thumb .button')].map(one => {"
                                   "const box = one.getBoundingClientRect();"
                                   "return one === document.elementFromPoint(box.x + box.width / 2, box.y + 10)})")
                equal(seen, [True, True], f"the two buttons at {place}")


def axe_script():
    """axe-core, fetched once by npm."""
    folder = Path(os.environ.get("SEKISHO_AXE", TARGET / "axe"))
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    with alone_with("axe"):
        if not script.exists():
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix",
                            str(folder), "axe-core@4.14.1"], check=True, timeout=180, stdout=subprocess.DEVNULL)
        return script.read_text()


@pytest.mark.parametrize("width, language", [(1280, "en"), (390, "ja")])
def it_has_no_barriers(note, width, language):
    script, wrong, looked = axe_script(), [], 0
    with Desk() as desk:
        one = desk.hold(count=6, subject="会議のご案内")
        assert wait_until(lambda: len(desk.links()) >= 2, 60), "no links in the notices"
        links, many = [*desk.links(), f"/l/{'x' * 43}"], desk.hold(count=500, subject="Newsletter")
        done, unsafe = desk.hold(subject="Done"), desk.hold(subject=f"For {TWELVE[3]}")
        desk.cli("held", "release", done)
        desk.cli("circle", "make", "展示会", *TWELVE)
        paths = ["/", "/?state=all", "/?q=nothing-like-this", f"/held/{one}", f"/held/{many}", f"/held/{done}",
                 f"/held/{unsafe}", f"/held/{one}/copies", f"/held/{many}/copies?as=bcc&page=2",
                 f"/held/{one}/as-is", f"/held/{unsafe}/as-is", f"/held/{one}/drop", f"/held/{one}/return",
                 f"/bulk?do=split&id={one}&id={done}", "/report", f"/m/{done}", "/held/nothing", "/circles",
                 "/mine", "/node", "/queue?state=failed", "/queue", "/users", "/tokens", "/account", "/nowhere"]
        with Browser(width=width, language=language) as browser:
            for path in [*links, "/login", "", *paths]:
                if not path:
                    sign_in(browser, desk, "kanri")
                    continue
                browser.open(desk.page(path))
                browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
                wide = browser.run("return document.documentElement.scrollWidth")
                if wide > width:
                    wrong.append(f"{path}: {wide} wide")
                for scheme in ("light", "dark"):
                    browser.scheme(scheme)
                    looked += 1
                    wrong += [f"{path} {scheme}: {line}" for line in browser.axe(script)]
    equal(wrong, [], "barriers")
    note(f"{looked} looks")
