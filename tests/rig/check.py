"""Runs the functions of a module one after the other and counts.

    run(globals())      runs every function whose name begins with `it_`, or those named on the command line

The last line is `N passed, N failed`; the exit status is 1 when one failed.
"""

import sys
import time
import traceback


def run(names, kind):
    """Runs the checks of one module; ends the process."""
    wanted = sys.argv[1:]
    checks = [(name, check) for name, check in names.items() if name.startswith("it_") and callable(check)]
    if wanted:
        checks = [pair for pair in checks if any(word in pair[0] for word in wanted)]
    passed, failed = 0, []
    for name, check in checks:
        started = time.time()
        try:
            note = check()
            passed += 1
            print(f"ok    {name[3:].replace('_', ' ')} ({time.time() - started:.1f} s){': ' + note if note else ''}", flush=True)
        except Exception as error:  # a check may fail in any way: it is counted and shown
            failed.append(name)
            print(f"FAIL  {name[3:].replace('_', ' ')} ({time.time() - started:.1f} s)", flush=True)
            if isinstance(error, AssertionError):
                where = traceback.extract_tb(error.__traceback__)[-1]
                print(f"      {where.filename}:{where.lineno}: {where.line}\n      {error}", flush=True)
            else:
                traceback.print_exc()
    print(f"{kind}: {passed} passed, {len(failed)} failed", flush=True)
    sys.exit(1 if failed or not checks else 0)


def equal(got, wanted, what=""):
    """Fails with both values shown."""
    assert got == wanted, f"{what or 'value'}: got {got!r}, wanted {wanted!r}"


def contains(text, part):
    """Fails when `part` is not in `text`."""
    assert part in text, f"{part!r} is not in {text[:2000]!r}"
