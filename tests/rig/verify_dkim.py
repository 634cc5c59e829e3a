"""Verifies DKIM signatures with dkimpy.

    verify_dkim.py < QUESTION > ANSWER

QUESTION is JSON: `records` (name → text), `files`. ANSWER: for each file a list with one entry a
signature, in the order they stand: `domain`, `selector`, `algorithm`, `good`, `why`.
"""

import json
import sys

import dkim


def look(raw, records):
    """One message's signatures."""
    def dns(name, timeout=5):
        value = records.get(name.decode().rstrip("."))
        return value.encode() if value is not None else None

    found = []
    count = sum(1 for name, _ in dkim.rfc822_parse(raw)[0] if name.lower() == b"dkim-signature")
    for at in range(count):
        verifier = dkim.DKIM(raw, minkey=1024)
        good, why = False, ""
        try:
            good = verifier.verify(idx=at, dnsfunc=dns)
        except dkim.DKIMException as error:
            why = str(error)
        fields = {k.decode(): v.decode() for k, v in (verifier.signature_fields or {}).items()}
        found.append({
            "domain": fields.get("d", ""), "selector": fields.get("s", ""), "algorithm": fields.get("a", ""),
            "tags": sorted(fields), "covers": fields.get("h", "").lower().replace(" ", "").split(":"), "good": good, "why": why,
        })
    return found


question = json.load(sys.stdin)
json.dump([look(open(path, "rb").read(), question["records"]) for path in question["files"]], sys.stdout)
