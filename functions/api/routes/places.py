"""Places: the lines and stations that have inspected images."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws
from api.access import Group, allow
from api.settings import Statistics
from tracking.places import Places

router = APIGatewayHttpRouter()


class Place(TypedDict):
    """A station of a line."""

    line: str
    station: str
    first_seen: str
    last_seen: str
    models: list[str]


class PlaceList(TypedDict):
    """All places."""

    items: list[Place]


@router.get("/places", summary="List the lines and stations")
@allow(Group.VIEWER)
def show_all() -> PlaceList:
    """Return every station that has inspected images, with the versions of its models. `last_seen` is to the minute."""
    items: list[Any] = Places(aws.dynamodb(), Statistics.read().statistics_table).read()
    return {"items": items}
