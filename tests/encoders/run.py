"""Runs cases through a relay and prints what came of them, encoder by encoder."""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.encoders import carriers, corpora, large
from tests.encoders.cases import Case, choose, make
from tests.encoders.feed import judge, relay, send_all
from tests.encoders.registry import BUILDERS, CARRIERS, ENCODERS, FOUND, WRAPPERS
from tests.rig.sink import Sink

KEPT = Path(__file__).parent / "kept.txt"
SHOWN = 2  # smallest cases of an encoder that are looked for
BATCH = 250


def passed(mail, outcome):
    """Whether it came as it must."""
    if mail.case is None or mail.case.mirror:
        return not outcome.found
    return outcome.found or (mail.must != FOUND and outcome.named)


def built(cases):
    """The mails of cases; a case that cannot be built is a fault of the encoders and ends the run."""
    mails = []
    for case in cases:
        try:
            mails.append(make(case))
        except Exception as error:
            raise RuntimeError(f"cannot build `{case}`: {error!r}") from error
    return mails


def batch(work):
    """Builds and sends some cases, in a process of its own."""
    cases, port = work
    mails = built(cases)
    return mails, send_all(mails, port, cases[0].seed)


def run(cases, running, jobs):
    """All mails with their outcomes."""
    work = [(cases[at : at + BATCH], running.port) for at in range(0, len(cases), BATCH)]
    mails, replies = [], []
    with multiprocessing.Pool(jobs) as pool:
        for some, answers in pool.imap(batch, work):
            mails += some
            replies += answers
            if len(cases) > 2000:
                print(f"{len(mails)} of {len(cases)} sent", file=sys.stderr, flush=True)
    return list(zip(mails, judge(mails, replies, running)))


def one(case, running):
    """One case, by itself."""
    mail = make(case)
    return mail, judge([mail], send_all([mail], running.port, case.seed), running)[0]


def smallest(case, running):
    """The case with steps left out as long as it still fails, and its mail."""
    best = None
    again = True
    while again:
        again = False
        for smaller in case.smaller():
            mail, outcome = one(smaller, running)
            if not passed(mail, outcome):
                case, best, again = smaller, (mail, outcome), True
                break
    return case, best or one(case, running)


def table(results):
    """A line an encoder, then a line a step around them."""
    rows = defaultdict(Counter)
    for mail, outcome in results:
        if mail.case.mirror:
            rows["mirror", mail.case.encoder][outcome.word()] += 1
            rows["mirror", mail.case.encoder]["missed"] += not passed(mail, outcome)
            continue
        for name in mail.case.steps():
            step = {**ENCODERS, **WRAPPERS, **BUILDERS, **CARRIERS}[name]
            rows[step.family, name][outcome.word()] += 1
            rows[step.family, name]["missed"] += not passed(mail, outcome)
    lines = [f"{'family':16}{'encoder':32}{'cases':>7}{'found':>7}{'named':>7}{'held':>7}{'left':>7}{'refused':>8}{'FAILED':>8}"]
    for (family, name), count in sorted(rows.items()):
        total = sum(count[w] for w in ("found", "named", "held", "left", "refused"))
        lines.append(
            f"{family:16}{name:32}{total:7}"
            + "".join(f"{count[w]:7}" for w in ("found", "named", "held", "left"))
            + f"{count['refused']:8}{count['missed'] or '':>8}"
        )
    return "\n".join(lines)


def report_failures(failures, running, folder):
    """The smallest case of every kind of failure, kept as files; the lines for the list of kept cases."""
    folder.mkdir(parents=True, exist_ok=True)
    told, kinds = set(), Counter()
    for mail, _ in failures:
        first = mail.case.encoder, mail.case.mirror
        if kinds[first] >= SHOWN * 3 or sum(1 for key in told if key[0] == first) >= SHOWN:
            continue
        kinds[first] += 1
        case, (small, outcome) = smallest(mail.case, running)
        key = first, tuple(case.steps())
        if key in told:
            continue
        told.add(key)
        name = "_".join(case.steps()) + f"_{case.seed}{'_mirror' if case.mirror else ''}.eml"
        (folder / name).write_bytes(small.content)
        print(f"FAIL  {case}\n      {small.hidden}: {outcome.word()}; {outcome.words[:200]}\n      {folder / name}")


def arguments():
    parser = argparse.ArgumentParser(prog="python3 -m tests.encoders", description=__doc__)
    parser.add_argument("--cases", type=int, help="how many (default 1000)")
    parser.add_argument("--full", action="store_true", help="20,000 cases")
    parser.add_argument("--seed", type=int, default=1, help="the number of the first case")
    parser.add_argument("--only", default="", help="encoders, or steps, with commas between")
    parser.add_argument("--case", action="append", default=[], help="a case as it is printed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="print every encoder")
    parser.add_argument("--failures", default=tempfile.gettempdir() + "/encoders", help="where failing mails are written")
    return parser.parse_args()


def chosen(told):
    """The cases to run: named ones, or numbers and the kept ones, and the mirror of both."""
    if told.case:
        return [Case.read(line) for line in told.case]
    count = told.cases or (20_000 if told.full else 1_000)
    only = {word.strip() for word in told.only.split(",") if word.strip()}
    encoders = sorted(only & set(ENCODERS)) or None
    cases = []
    for seed in range(told.seed, told.seed + count * (50 if only - set(ENCODERS) else 1)):
        case = choose(seed, only=encoders)
        if not only or only & set(case.steps()):
            cases.append(case)
    cases = cases[:count]
    if only:
        return cases
    mirrors = [choose(seed, mirror=True) for seed in range(told.seed, told.seed + count // 5)]
    return kept() + cases + mirrors


def kept():
    """Cases that failed once."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return [Case.read(line) for line in lines if line.strip() and not line.startswith("#")]


def main():
    told = arguments()
    if told.list:
        for step in [*ENCODERS.values(), *WRAPPERS.values(), *BUILDERS.values(), *CARRIERS.values()]:
            what = (step.make.__doc__ or "").strip().split("\n")[0]
            print(f"{step.family:16}{step.name:32}{step.must:8}{what}".rstrip())
        return
    started = time.time()
    carriers.identity()  # one for all processes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the relay ends with the run
    with Sink() as sink, relay(sink) as running:
        results = run(chosen(told), running, told.jobs)
        print(table(results))
        seconds = time.time() - started
        needless = [] if told.case or told.only else corpora.needless(running, told.seed)
        spent, sizes = ([], []) if told.case or told.only else large.faults(running.config)
        failures = [(mail, outcome) for mail, outcome in results if not passed(mail, outcome)]
        report_failures(failures, running, Path(told.failures))
    for line in needless:
        print(f"NEEDLESS  {line}")
    for line in spent:
        print(f"SPENT     {line}")
    good = len(results) - len(failures)
    print(f"{len(results)} cases in {seconds:.0f} s; needless hits over real text: {len(needless)}")
    if sizes:
        print(f"large documents: {', '.join(sizes)}; faults: {len(spent)}")
    print(f"encoders: {good} passed, {len(failures) + len(needless) + len(spent)} failed")
    sys.exit(bool(failures or needless or spent))
