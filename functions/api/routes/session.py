"""Sessions: who is signed in."""

from __future__ import annotations

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api.access import Access, Caller, CurrentCaller, allow

router = APIGatewayHttpRouter()


class User(TypedDict):
    """Who is signed in."""

    name: str
    groups: list[str]


class Session(TypedDict):
    """A session."""

    user: User


@router.get("/session", summary="Who is signed in")
@allow(Access.SIGNED_IN)
def show(caller: CurrentCaller) -> Session:
    """Return who is asking, and what they may do."""
    return {"user": user_of(caller)}


def user_of(caller: Caller) -> User:
    """Return a caller as the API shows one."""
    return {"name": caller.name, "groups": [str(group) for group in caller.groups]}
