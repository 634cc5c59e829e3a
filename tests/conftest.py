"""What pytest adds to the journeys and proofs: kinds, notes beside a name, and what was said when one fails.

A test's standard error is its evidence, and pytest shows it for those that failed: the dialogue of every
smtplib client, of the sink and the other hosts of the rig, and the log of each relay that ended.
"""

import smtplib
from pathlib import Path

import pytest

from tests.rig.relay import Relay

# The most that a failed test shows of each stream, and of each line.
SHOWN, LINE = 30_000, 300

smtplib.SMTP.debuglevel = 1
Relay.shows_log = True


def pytest_addoption(parser):
    """Options of our own."""
    parser.addoption("--markdown", metavar="FILE", help="writes the table of accidents into FILE")


def pytest_collection_modifyitems(items):
    """Marks every test with its kind."""
    for item in items:
        folder, name = item.path.parent.name, item.path.stem
        item.add_marker("incidents" if (folder, name) == ("journeys", "incidents") else folder)


@pytest.fixture
def note(record_property):
    """Adds a note beside the test's name in the summary: a count, a measurement."""
    return lambda text: record_property("note", text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the log of each relay that still runs when a test fails, shortened."""
    report = yield
    if report.failed:
        for relay in list(Relay.running):
            report.sections.append((f"log of the relay at port {relay.port}", relay.output()))
        report.sections = [(title, shortened(text)) for title, text in report.sections]
    return report


def shortened(text):
    """The beginning and the end of a text, with long lines cut."""
    lines = [line if len(line) <= LINE else f"{line[:LINE]}… ({len(line)} characters)" for line in text.splitlines()]
    text = "\n".join(lines) + "\n"
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN // 10]}\n[… {len(text) - SHOWN} characters …]\n{text[-SHOWN * 9 // 10:]}"


def pytest_terminal_summary(terminalreporter, config):
    """The notes, and the table of accidents."""
    noted, rows = [], []
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "note":
                noted.append(f"{report.nodeid}: {value}")
            elif name == "accident":
                rows.append(value)
    if noted:
        terminalreporter.section("notes")
        terminalreporter.write_line("\n".join(sorted(noted)))
    if rows:
        table = accidents(rows)
        terminalreporter.section("accidents")
        terminalreporter.write_line(table)
        if target := config.getoption("--markdown"):
            Path(target).write_text(table + "\n")


def accidents(rows):
    """The table of the README, in the order of incidents.toml."""
    table = ["| accident | recipients | field | verdict | copies | outside addresses in a copy, at most | disclosures prevented | seconds |",
             "|---|---|---|---|---|---|---|---|"]
    table += [f"| {n} | {r} | {f} | {v} | {c} | {m} | {d:,} | {s:.1f} |" for _, n, r, f, v, c, m, d, s in sorted(rows)]
    return "\n".join(table)
