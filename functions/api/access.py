"""Who is asking, and what they may do.

The API's gateway has verified the token (its JWT authoriser), or AWS has verified the signature of an administrator
who invokes the function directly. What arrives here is who it was:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from aws_lambda_powertools.event_handler import Depends, Request

from api.errors import ApiError
from contract.text import plain

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

_Route = TypeVar("_Route", bound=Callable[..., Any])
_CALLER = "caller"
_ACCESS = "_access"


class Group(StrEnum):
    """The groups of the user pool. Each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    ADMIN = "admin"


_RANKS = {group: rank for rank, group in enumerate(Group)}


class Access(StrEnum):
    """Who may use a route that no group guards."""

    ANYONE = "anyone"  # also without a token: these routes make or end a session
    SIGNED_IN = "signed-in"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking.

    Attributes:
        name: The user's name, or that of an administrator's AWS identity.
        groups: The groups that the user is in, with those that they include.
    """

    name: str
    groups: tuple[Group, ...]

    def may(self, group: Group) -> bool:
        """Return whether the caller may do what this group may."""
        return group in self.groups


def allow(access: Group | Access) -> Callable[[_Route], _Route]:
    """Declare who may use a route: write it below the router's decorator. Nobody may use a route without it."""

    def mark(route: _Route) -> _Route:
        setattr(route, _ACCESS, access)
        return route

    return mark


def access_of(route: Callable[..., Any]) -> Group | Access | None:
    """Return who may use a route; None if that is not declared."""
    return getattr(route, _ACCESS, None)


def authorise(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Go on if the caller may use the route. It runs before the request is validated.

    Raises:
        ApiError: 401 without an identity, 403 without the right.
    """
    route = app.context["_route"].func
    access = access_of(route)
    if access is not Access.ANYONE:
        caller = _identify(app.current_event.raw_event)
        if isinstance(access, Group) and not caller.may(access):
            raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", f"This needs the group {access}.")
        # The answer to an unknown address is a function of the library's.
        if access is None and route.__module__.startswith("api."):
            raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", "Nobody may do this.")
        app.append_context(**{_CALLER: caller})
    return next_middleware(app)


def _current(request: Request) -> Caller:
    caller: Caller = request.context[_CALLER]
    return caller


# A route's parameter of this type receives who is asking.
CurrentCaller = Annotated[Caller, Depends(_current)]


def _identify(event: Mapping[str, Any]) -> Caller:
    """Return who sent a request.

    Raises:
        ApiError: The request names nobody.
    """
    authorizer = _part(event.get("requestContext", {}), "authorizer")
    # The HTTP API has no IAM authoriser, so only who may invoke the function directly can send this.
    if arn := _part(authorizer, "iam").get("userArn"):
        return Caller(plain(str(arn).rpartition("/")[2] or str(arn)), tuple(Group))
    claims = _part(_part(authorizer, "jwt"), "claims")
    # An identity token is for the page alone: it says who somebody is, and not what the API was asked to allow.
    if claims.get("token_use") == "access" and claims.get("username"):
        return caller_of_claims(claims)
    raise ApiError(HTTPStatus.UNAUTHORIZED, "unauthorized", "Sign in first.")


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of what the gateway says; nothing of it, if it is of another form."""
    part = of.get(name)
    return part if isinstance(part, Mapping) else {}


def name_of(event: Mapping[str, Any]) -> str | None:
    """Return the name of who sent a request; None if it names nobody."""
    try:
        return _identify(event).name
    except ApiError:
        return None


def caller_of_claims(claims: Mapping[str, Any]) -> Caller:
    """Return whom the claims of an access token name."""
    return Caller(plain(str(claims["username"])), _with_included(_named(claims.get("cognito:groups"))))


def _named(groups: Any) -> list[str]:
    """Return the names of groups. The HTTP API sends a list as a text, `[admin reviewer]`."""
    if isinstance(groups, str):
        return groups.strip("[]").replace(",", " ").split()
    return [str(name) for name in groups] if isinstance(groups, list) else []


def _with_included(names: list[str]) -> tuple[Group, ...]:
    ranks = [_RANKS[Group(name)] for name in names if name in _RANKS]
    return tuple(Group)[: max(ranks) + 1] if ranks else ()
