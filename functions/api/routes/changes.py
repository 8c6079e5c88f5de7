"""The feed: what was inspected since a page asked last."""

from __future__ import annotations

import json
from typing import Annotated, Any, NotRequired, cast

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws, cursors
from api.access import Group, allow
from api.settings import Statistics
from tracking.feed import Feed, Position
from tracking.places import Places

router = APIGatewayHttpRouter()


class Change(TypedDict):
    """An inspection in short."""

    id: str
    image: str
    version_id: str
    line: str
    station: str
    serial: str
    verdict: str
    severity: NotRequired[str]
    model: NotRequired[dict[str, str]]
    rules_version: NotRequired[str]
    received_at: str
    inspected_at: str
    reasons: list[dict[str, Any]]


class Changes(TypedDict):
    """A part of the feed. `more`: there is more already, so ask again at once."""

    items: list[Change]
    next: str
    more: bool


@router.get("/changes", summary="Follow what is inspected")
@allow(Group.VIEWER)
def follow(
    after: Annotated[str | None, Query(max_length=500)] = None,
    line: Annotated[str | None, Query(min_length=1, max_length=1024)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 20,
) -> Changes:
    """Return what was inspected since `after`, the `next` of the last answer, oldest first; without it the newest.

    None is missing, but one may come twice within seconds: tell them apart by `id` and `inspected_at`.
    """
    table, scope = Statistics.read().statistics_table, {"list": "changes", "line": line}
    feed = Feed(aws.dynamodb(), table)
    lines = [line] if line is not None else Places(aws.dynamodb(), table).lines()
    former = _position(cursors.decode(after, scope))
    items, position = feed.after(lines, former, limit) if former else feed.newest(lines, limit)
    cursor = cursors.encode(json.dumps(position), scope)
    return cast(Changes, {"items": items, "next": cursor, "more": position.more})


def _position(text: str | None) -> Position | None:
    """Return the position in a cursor, which a client may also have made up.

    Raises:
        ApiError: It is none.
    """
    if text is None:
        return None
    try:
        return Position.parse(text)
    except (ValueError, RecursionError):
        raise cursors.invalid_cursor() from None
