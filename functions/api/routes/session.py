"""Sessions: signing in, staying signed in, signing out.

The page keeps the access token in its memory. The refresh token is in a cookie that no script can read, and that the
browser sends to these addresses alone.
"""

from __future__ import annotations

import functools
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Cookie as CookieParameter
from aws_lambda_powertools.event_handler.openapi.params import Header
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from aws_lambda_powertools.shared.cookies import Cookie, SameSite
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from api import aws
from api.access import Access, Caller, CurrentCaller, allow
from api.errors import ApiError
from api.settings import UserPool
from api.sign_in import NewPasswordNeeded, SignIn, Tokens, bad_credentials

router = APIGatewayHttpRouter()
_COOKIE = "loupe_refresh"
_COOKIE_SECONDS = 30 * 24 * 3600  # as long as the template makes a refresh token valid
_PAGE = "loupe"


class Credentials(BaseModel):
    """Who signs in."""

    username: str = Field(min_length=1, max_length=128)
    password: str = Field(min_length=1, max_length=256)


class NewPassword(BaseModel):
    """The password that replaces the one that an administrator gave."""

    username: str = Field(min_length=1, max_length=128)
    session: str = Field(min_length=20, max_length=2048)
    new_password: str = Field(min_length=1, max_length=256)


class User(TypedDict):
    """Who is signed in."""

    name: str
    groups: list[str]


class Session(TypedDict):
    """A session."""

    user: User


class NewSession(Session):
    """A session that begins or goes on. expires_in: for how many seconds the token is valid."""

    token: str
    expires_in: int


class Challenge(TypedDict):
    """What the user pool wants first: `new_password`. session: what it wants to see again with the answer."""

    challenge: str
    session: str


# A page of another origin cannot send this header without being asked first whether it may, and it may not.
_FromThePage = Annotated[str | None, Header(alias="X-Requested-With", max_length=64)]
_RefreshToken = Annotated[str | None, CookieParameter(alias=_COOKIE)]


@router.post("/session", summary="Sign in")
@allow(Access.ANYONE)
def sign_in(credentials: Credentials) -> Response[NewSession | Challenge]:
    """Start a session: a token, and a cookie that refreshes it; or say that a new password is needed."""
    return _reply(_sign_in().by_password(credentials.username, credentials.password))


@router.post("/session/password", summary="Replace the password that an administrator gave")
@allow(Access.ANYONE)
def set_password(new: NewPassword) -> Response[NewSession | Challenge]:
    """Start a session with a new password."""
    return _reply(_sign_in().by_new_password(new.username, new.session, new.new_password))


@router.post("/session/refresh", summary="Get a new token, by the cookie")
@allow(Access.ANYONE)
def refresh(
    requested_with: _FromThePage = None, token: _RefreshToken = None
) -> Response[NewSession | Challenge]:
    """Go on with a session."""
    _require_page(requested_with)
    if not token:
        raise bad_credentials()
    return _reply(_sign_in().by_refresh_token(token))


@router.delete("/session", summary="Sign out", status_code=HTTPStatus.NO_CONTENT)
@allow(Access.ANYONE)
def sign_out(requested_with: _FromThePage = None, token: _RefreshToken = None) -> Response[None]:
    """End a session."""
    _require_page(requested_with)
    if token:
        _sign_in().end(token)
    return Response(HTTPStatus.NO_CONTENT, cookies=[_cookie("", 0)])


@router.get("/session", summary="Who is signed in")
@allow(Access.SIGNED_IN)
def show(caller: CurrentCaller) -> Session:
    """Return who is asking, and what they may do."""
    return {"user": _user(caller)}


@functools.cache
def _sign_in() -> SignIn:
    return SignIn(aws.cognito(), UserPool.read().user_pool_client_id)


def _require_page(requested_with: str | None) -> None:
    if requested_with != _PAGE:
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", f"Send the header X-Requested-With: {_PAGE}.")


def _reply(outcome: Tokens | NewPasswordNeeded) -> Response[NewSession | Challenge]:
    if isinstance(outcome, NewPasswordNeeded):
        challenge: Challenge = {"challenge": "new_password", "session": outcome.session}
        return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, challenge)
    body: NewSession = {
        "token": outcome.access,
        "expires_in": outcome.expires_in,
        "user": _user(outcome.caller),
    }
    cookies = [_cookie(outcome.refresh, _COOKIE_SECONDS)] if outcome.refresh else []
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, body, cookies=cookies)


def _user(caller: Caller) -> User:
    return {"name": caller.name, "groups": [str(group) for group in caller.groups]}


def _cookie(value: str, seconds: int) -> Cookie:
    """Return the cookie of a refresh token. Only the local cloud, which has no TLS, says that it was asked by HTTP."""
    return Cookie(
        _COOKIE,
        value,
        path="/api/session",
        secure=router.current_event.headers.get("x-forwarded-proto") != "http",
        http_only=True,
        max_age=seconds,
        same_site=SameSite.STRICT_MODE,
    )
