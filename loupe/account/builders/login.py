"""A login to the account's registry of images."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account.account import Account
from loupe.errors import LoupeError


@dataclass(frozen=True)
class Token:
    """A login, which ECR gives for twelve hours.

    Attributes:
        registry: The registry's host name.
        user: The user's name, always AWS.
        password: Secret: it is neither printed nor an argument.
    """

    registry: str
    user: str
    password: str = field(repr=False)


def token(account: Account) -> Token:
    """Ask ECR for a login.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html

    Raises:
        LoupeError: ECR refuses.
    """
    try:
        answer = account.client("ecr").get_authorization_token()["authorizationData"][0]
    except (ClientError, BotoCoreError) as error:
        raise LoupeError(
            f"ECR gives no login to push images: {error}", "Your AWS profile needs ecr:GetAuthorizationToken."
        ) from error
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    endpoint = answer["proxyEndpoint"]
    return Token(urlsplit(endpoint).netloc or endpoint, user, password)
