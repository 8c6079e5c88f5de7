"""Who the API takes a request to be from: no damage to a token's claims gives a right, and no cursor an error."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

from api import cursors
from api.access import Group
from api.errors import ApiError
from tests.api_support import IAM, event, jwt, send
from tests.fuzz.target import Target


@cache
def seeds() -> list[bytes]:
    """Return what the HTTP API's authoriser makes of tokens, and cursors."""
    authorizers = [
        jwt(),
        jwt("viewer"),
        jwt("operator", "reviewer"),
        jwt("admin"),
        jwt("admin", token_use="id"),
        IAM,
    ]
    cursor = cursors.encode("2026-01-05T09:30:15.250Z#3f1e", {"list": "inspections"}) or ""
    return [json.dumps(each).encode() for each in [*authorizers, cursor]]


def _rights(authorizer: Any) -> set[str]:
    """The groups that a request may have at most, read without the product's code."""
    if not isinstance(authorizer, dict):
        return set()
    if isinstance(authorizer.get("iam"), dict) and authorizer["iam"].get("userArn"):
        return set(Group)
    claims = (authorizer.get("jwt") or {}).get("claims") if isinstance(authorizer.get("jwt"), dict) else None
    if not isinstance(claims, dict) or claims.get("token_use") != "access" or not claims.get("username"):
        return set()
    named = json.dumps(claims.get("cognito:groups"))
    highest = [number for number, group in enumerate(Group) if group in named]
    return set(list(Group)[: max(highest) + 1]) if highest else set()


def broken(data: bytes) -> str | None:
    """Ask with an authoriser who it is, or with a cursor where its list goes on."""
    try:
        asked = json.loads(data)
    except (ValueError, RecursionError):
        asked = data.decode("latin-1")
    if not isinstance(asked, dict):
        with suppress(ApiError):
            cursors.decode(str(asked), {"list": "inspections"})
        return None
    answer = send(event("GET", "/session", authorizer=asked))
    if answer.status == 401:
        return None
    if answer.status != 200:
        return f"the answer has the status {answer.status}"
    given = set(answer.body["user"]["groups"])
    return None if given <= _rights(asked) else f"{given} was given"


TARGET = Target("tokens", (32,), seeds, broken, examples=150)
