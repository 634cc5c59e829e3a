"""The API: requests as programs make them, and schemathesis against the OpenAPI document."""

import email
import json
import re
import subprocess
import urllib.error
import urllib.request

from tests.journeys.dkim import Keys
from tests.rig.check import contains, equal
from tests.rig.desk import TWELVE, Desk, mail
from tests.rig.relay import installed, wait_until

ALL = ["held:read", "held:decide", "message:read", "report:read", "queue:read", "circles:read", "circles:change"]


def token(desk, name="all", scopes=tuple(ALL)):
    """A token with these scopes."""
    arguments = [word for scope in scopes for word in ("--scope", scope)]
    return desk.json("token", "add", name, *arguments)["token"]


def ask(desk, path, shown=None, body=None, method=None, raw=None, kind="application/json"):
    """A request; returns status, type and JSON."""
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = kind
    request = urllib.request.Request(desk.page("/api/v1" + path), data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers["Content-Type"], json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        kind = error.headers["Content-Type"]
        return error.code, kind, json.loads(text) if "json" in kind else text


def it_lists_shows_and_releases():
    with Desk() as desk:
        ids = [desk.hold(subject=f"Letter {n}") for n in range(3)]
        shown = token(desk)
        status, _, page = ask(desk, "/held?limit=2", shown)
        equal((status, [one["id"] for one in page["items"]]), (200, [ids[2], ids[1]]))
        status, _, page = ask(desk, f"/held?limit=2&after={page['next']}", shown)
        equal(([one["id"] for one in page["items"]], page["next"]), ([ids[0]], None))
        _, _, found = ask(desk, "/held?q=Letter+1", shown)
        equal([one["id"] for one in found["items"]], [ids[1]])
        _, _, whole = ask(desk, f"/held/{ids[0]}", shown)
        equal((whole["exposures"], whole["external_organisations"], len(whole["all_recipients"])), (132, 9, 12))
        equal(whole["rules"][0]["name"], "strangers-see-each-other")
        _, _, copies = ask(desk, f"/held/{ids[0]}/copies?as=split&limit=1", shown)
        equal((copies["total"], copies["items"][0]["after"]["to"]), (12, TWELVE[0]))
        contains(copies["items"][0]["before"]["to"], TWELVE[11])
        status, _, done = ask(desk, f"/held/{ids[0]}/release", shown, {"as": "split", "drop": [TWELVE[0]]})
        equal((status, done["copies"], done["dropped"]), (200, 11, [TWELVE[0]]))
        assert wait_until(lambda: len(desk.delivered()) == 11, 20), len(desk.delivered())
        status, kind, why = ask(desk, f"/held/{ids[0]}/release", shown, {})
        equal((status, kind, why["state"]), (409, "application/problem+json", "released"))
        status, _, done = ask(desk, f"/held/{ids[1]}/return", shown, {"reason": "not yet"})
        equal((status, done["state"]), (200, "returned"))
        _, _, history = ask(desk, f"/messages/{ids[0]}", shown)
        equal([one["event"] for one in history["events"] if one["event"] in ("accepted", "released")],
              ["accepted", "released"])
        _, _, report = ask(desk, "/report?days=7", shown)
        equal(report["held"], {"held": 1, "released": 1, "returned": 1})
        equal(report["held"], desk.json("report")["held"])


def it_takes_back_and_undoes():
    with Desk() as desk:
        id, shown = desk.hold(), token(desk)
        equal(ask(desk, f"/held/{id}/undo", shown, {})[0], 422)
        equal(ask(desk, f"/held/{id}/take-back", shown, {})[::2], (200, {"id": id, "taken_back": True}))
        equal((desk.held(), ask(desk, f"/held/{id}/take-back", shown, {})[0]), ([], 409))
        equal(ask(desk, f"/held/{id}/undo", shown, {})[::2], (200, {"id": id, "taken_back": False}))
        equal(len(desk.held()), 1)
        head = ask(desk, "/audit/head", shown)[2]
        assert head["entries"] > 2 and len(head["link"]) == 64, head


def it_makes_and_ends_circles():
    with Desk() as desk:
        changes, reads = token(desk, "changes", ["circles:change"]), token(desk, "reads", ["circles:read"])
        status, _, made = ask(desk, "/circles", changes, {"name": "Fair", "members": TWELVE, "days": 30})
        equal((status, made["in_force"], made["made_by"], len(made["members"])), (201, True, "token changes", 12))
        assert " held as " not in desk.send(mail(TWELVE), TWELVE)
        for body, expected in (({"name": "", "members": TWELVE}, 422), ({"name": "x", "members": TWELVE[:1]}, 422),
                               ({"name": "x", "members": ["x", "y"]}, 400), ({"name": "x", "members": TWELVE, "days": 0}, 422)):
            equal(ask(desk, "/circles", changes, body)[0], expected, body)
        path = f"/circles/{made['id']}"
        equal(ask(desk, path, reads, method="DELETE")[0], 403)
        equal(ask(desk, path, changes, method="DELETE")[2]["ended_by"], "token changes")
        equal(ask(desk, path, changes, method="DELETE")[0], 404)
        equal([(one["name"], one["in_force"]) for one in ask(desk, "/circles", reads)[2]["items"]], [("Fair", False)])
        desk.hold()


def it_shows_copies_as_they_leave(note):
    def squeezed(text):
        return re.sub(r"\s+", "", text)

    with Keys(("example.co.jp", "e1", "ed25519"), ("example.co.jp", "s1", "rsa")) as keys, Desk(extra=keys.table) as desk:
        id = desk.hold()
        shown = ask(desk, f"/held/{id}/copies?as=split", token(desk))[2]["items"]
        assert desk.cli("held", "release", id).returncode == 0
        assert wait_until(lambda: len(desk.delivered()) == 12, 20), len(desk.delivered())
        left = {message["To"]: [squeezed(f"{name}:{value}") for name, value in message.items()]
                for message in map(email.message_from_bytes, desk.delivered())}
        for one in shown:
            fields = left[one["recipient"]]
            signatures = [line for line in one["added"] if line.startswith("DKIM-Signature:")]
            equal(len(signatures), 2, one["recipient"])
            # Long fields are shown in part; what is shown equals what was sent.
            for line in one["added"]:
                part = squeezed(line.rstrip("…"))
                assert any(field.startswith(part) for field in fields), (line, fields)
        note(f"{len(shown)} copies")


def it_keeps_to_scopes():
    with Desk() as desk:
        id = desk.hold()
        reads, decides = token(desk, "reads", ["held:read"]), token(desk, "decides", ["held:decide"])
        for path, good in (("/held", reads), (f"/held/{id}", reads), (f"/held/{id}/copies", decides)):
            equal(ask(desk, path, good)[0], 200, path)
        for path, wrong, body in (("/held", decides, None), (f"/held/{id}/copies", reads, None), ("/queue", reads, None),
                                  ("/messages?q=x", reads, None), (f"/messages/{id}", reads, None), ("/report", reads, None),
                                  (f"/held/{id}/release", reads, {}), (f"/held/{id}/return", reads, {}),
                                  (f"/held/{id}/take-back", reads, {}), (f"/held/{id}/undo", reads, {}),
                                  ("/audit/head", reads, None), ("/circles", reads, None), ("/circles", decides, {}),
                                  ("/circles", reads, {"name": "x", "members": TWELVE})):
            status, kind, _ = ask(desk, path, wrong, body)
            equal((status, kind), (403, "application/problem+json"), path)
        for shown in (None, "nonsense", "A" * 43):
            equal(ask(desk, "/held", shown)[0], 401)
        equal(ask(desk, "/openapi.json")[2]["openapi"][:3], "3.1")
        equal(len(desk.held()), 1)


def it_refuses_what_it_cannot_understand():
    with Desk() as desk:
        id, shown = desk.hold(), token(desk)
        for path, body, expected in (
                ("/held?limit=0", None, 400), ("/held?limit=501", None, 400), ("/held?state=lost", None, 400),
                ("/held?after=x", None, 400), ("/held?unknown=1", None, 400), ("/held/nothing", None, 404),
                ("/messages", None, 400), ("/messages?q=", None, 400), ("/report?days=0", None, 400),
                (f"/held/{id}/release", {"as": "loudly"}, 400), (f"/held/{id}/release", {"drop": ["x"]}, 400),
                (f"/held/{id}/release", {"drop": ["stranger@x.example"]}, 422), (f"/held/{id}/release", {"more": 1}, 400),
                (f"/held/{id}/release", {"drop": TWELVE}, 422), (f"/held/{id}/copies?as=x", None, 400)):
            status, kind, _ = ask(desk, path, shown, body)
            equal((status, kind), (expected, "application/problem+json"), f"{path} {body}")
        equal(ask(desk, f"/held/{id}/release", shown, raw=b"{", kind="application/json")[0], 400)
        equal(ask(desk, f"/held/{id}/release", shown, raw=b"as=split", kind="application/x-www-form-urlencoded")[0], 415)
        equal(len(desk.held()), 1)


def it_answers_as_it_says():
    with Desk() as desk:
        for number in range(3):
            desk.hold(subject=f"Letter {number}")
        done = subprocess.run(
            [installed("schemathesis"), "run", desk.page("/api/v1/openapi.json"), "-H", f"Authorization: Bearer {token(desk)}",
             "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
             "--max-examples", "25", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--suppress-health-check", "all",
             "--request-timeout", "20", "--no-color"],
            capture_output=True, text=True, timeout=600, cwd=desk.folder)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
        equal(desk.process.poll(), None, "the relay's end")
