"""Each call that changes something, and each that was refused, has a line that says whose it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api_support import IAM, event, jwt, send
from tests.unit.api.test_routes import ALL

pytestmark = pytest.mark.promise(32)
CHANGES = [route for _, route in ALL if not route.startswith("GET")]


@pytest.fixture
def calls(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns the lines about calls since it was last asked."""
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "api.app._logger.info", lambda message, **fields: lines.append({"message": message} | fields)
    )

    def since() -> list[dict[str, Any]]:
        found = lines[:]
        lines.clear()
        return found

    return since


@pytest.mark.parametrize("route", CHANGES)
def test_every_call_that_changes_something_names_who_did_it(calls: Any, route: str) -> None:
    method, path = route.split(" ")
    for authorizer, user in (
        (jwt("admin"), "maria"),
        (IAM, "maria"),
        (jwt("viewer", name="otto"), "otto"),
        (None, None),
    ):
        answer = send(event(method, path, authorizer=authorizer, body="not JSON, but secret"))
        assert calls() == [
            {
                "message": "call",
                "user": user,
                "method": method,
                "path": f"/api{path}",
                "status": answer.status,
            }
        ]


def test_what_is_only_read_has_a_line_if_it_is_refused(calls: Any) -> None:
    send(event("GET", "/session", authorizer=jwt("viewer")))
    assert calls() == []
    send(event("GET", "/session"))
    send(event("GET", "/places", authorizer=jwt()))
    assert [(call["user"], call["status"]) for call in calls()] == [(None, 401), ("maria", 403)]


def test_no_line_has_a_password_or_a_forged_line(calls: Any) -> None:
    credentials = {"username": "maria", "password": "CANARY-7f3a"}
    send(event("POST", "/session\x1b[31m\nuser: boss", body=credentials, authorizer=jwt(name="ma\nria")))
    (line,) = calls()
    assert "CANARY" not in json.dumps(line)
    assert line["path"] == "/api/session user: boss"
    assert line["user"] == "ma ria"
    send(event("POST", "/x" * 100_000))
    assert len(calls()[0]["path"]) == 1500
