"""Signing in and out, by the user pool.

No answer tells whether a user exists: the pool hides it (PreventUserExistenceErrors), and whatever it refuses gets one
error here. https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pool-managing-errors.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from api.access import Caller, caller_of_claims
from api.errors import ApiError, invalid_request

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_cognito_idp.type_defs import (
        InitiateAuthResponseTypeDef,
        RespondToAuthChallengeResponseTypeDef,
    )

_REPLACE: Literal["NEW_PASSWORD_REQUIRED"] = "NEW_PASSWORD_REQUIRED"
_BUSY = frozenset({"TooManyRequestsException", "LimitExceededException", "TooManyFailedAttemptsException"})
_REFUSED = frozenset(
    {
        "CodeMismatchException",
        "ForbiddenException",
        "InvalidParameterException",
        "NotAuthorizedException",
        "PasswordResetRequiredException",
        "UserNotConfirmedException",
        "UserNotFoundException",
    }
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session.

    Attributes:
        access: The access token.
        expires_in: For how many seconds it is valid.
        refresh: The refresh token; None if the session was refreshed, which gives no new one.
    """

    access: str
    expires_in: int
    refresh: str | None

    @property
    def caller(self) -> Caller:
        """Whose session it is. The token comes from the user pool itself, so its signature is not looked at."""
        payload = self.access.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return caller_of_claims(claims)


@dataclass(frozen=True, slots=True)
class NewPasswordNeeded:
    """The password is right, and must be replaced by one that only the user knows.

    Attributes:
        session: What the pool wants to see again with the new password.
    """

    session: str


@dataclass(frozen=True)
class SignIn:
    """Signs in by the app client of the user pool.

    Attributes:
        client: Calls the user pool.
        client_id: The app client.
    """

    client: CognitoIdentityProviderClient
    client_id: str

    def by_password(self, name: str, password: str) -> Tokens | NewPasswordNeeded:
        """Return a session.

        Raises:
            ApiError: The pool refuses it.
        """
        with _refusals():
            reply = self.client.initiate_auth(
                ClientId=self.client_id,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": name, "PASSWORD": password},
            )
        return _outcome(reply)

    def by_new_password(self, name: str, session: str, password: str) -> Tokens | NewPasswordNeeded:
        """Replace the password that an administrator gave, and return a session.

        Raises:
            ApiError: The pool refuses it, or the new password.
        """
        with _refusals():
            reply = self.client.respond_to_auth_challenge(
                ClientId=self.client_id,
                ChallengeName=_REPLACE,
                Session=session,
                ChallengeResponses={"USERNAME": name, "NEW_PASSWORD": password},
            )
        return _outcome(reply)

    def by_refresh_token(self, token: str) -> Tokens:
        """Return a session that goes on.

        Raises:
            ApiError: The pool refuses it: the token is not one of its own, was revoked, or is too old.
        """
        with _refusals():
            reply = self.client.initiate_auth(
                ClientId=self.client_id,
                AuthFlow="REFRESH_TOKEN_AUTH",
                AuthParameters={"REFRESH_TOKEN": token},
            )
        outcome = _outcome(reply)
        if isinstance(outcome, NewPasswordNeeded):
            raise bad_credentials()
        return outcome

    def end(self, token: str) -> None:
        """Revoke a refresh token, and with it the access tokens that came from it."""
        try:
            self.client.revoke_token(Token=token, ClientId=self.client_id)
        except ClientError as error:
            # What is no token of the pool cannot open anything either.
            if error.response["Error"]["Code"] in _BUSY:
                raise _without_message(error) from None


def bad_credentials() -> ApiError:
    """Return the error of a session that the user pool refuses."""
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        "bad_credentials",
        "The name or the password is wrong, or the session has ended.",
    )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "InvalidPasswordException":
            raise invalid_request(
                "The new password is too simple.", [error.response["Error"]["Message"]]
            ) from error
        if code in _BUSY:
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "Too many attempts; wait a minute."
            ) from error
        if code in _REFUSED:
            raise bad_credentials() from error
        raise _without_message(error) from None


def _outcome(
    reply: InitiateAuthResponseTypeDef | RespondToAuthChallengeResponseTypeDef,
) -> Tokens | NewPasswordNeeded:
    challenge = reply.get("ChallengeName")
    if challenge == _REPLACE:
        return NewPasswordNeeded(reply["Session"])
    if challenge:
        raise ApiError(
            HTTPStatus.FORBIDDEN,
            "unsupported_challenge",
            f"The user pool asks for {challenge}, which this page cannot answer; ask the pool's administrator.",
        )
    result: Any = reply["AuthenticationResult"]
    return Tokens(result["AccessToken"], result["ExpiresIn"], result.get("RefreshToken"))


def _without_message(error: ClientError) -> ClientError:
    """Return an error without the service's words, which may repeat a secret that was sent; the error is logged."""
    code = error.response["Error"]["Code"]
    return ClientError({"Error": {"Code": code, "Message": "(not shown)"}}, error.operation_name)
