"""Why a stack cannot be read, and what mends it."""

from __future__ import annotations

import os

from botocore import exceptions
from botocore.exceptions import ClientError

from loupe.errors import CredentialsError, NoStackError, RegionError, StackError, UnreachableError

_LOG_IN = "Log in, or choose a profile: export AWS_PROFILE=NAME"
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "AuthFailure",
}
_DENIED = {"AccessDenied", "AccessDeniedException"}
_WITHOUT_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.UnauthorizedSSOTokenError,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
)
_WITHOUT_ANSWER = (exceptions.ConnectionError, exceptions.HTTPClientError)


def reason(
    stack: str, error: Exception, region: str | None = None, local_address: str | None = None
) -> StackError:
    """Return the error to tell for one of botocore.

    Args:
        stack: The stack's name.
        error: What botocore raised when the stack was read.
        region: The region that was asked.
        local_address: The address of the local cloud that was asked; None for AWS.
    """
    if isinstance(error, exceptions.NoRegionError):
        return RegionError("no AWS region is chosen", "Choose one: export AWS_REGION=eu-central-1")
    if isinstance(error, _WITHOUT_CREDENTIALS):
        return CredentialsError(f"there are no credentials for AWS: {error}", _LOG_IN)
    if isinstance(error, _WITHOUT_ANSWER):
        return _unreachable(stack, error, local_address)
    if isinstance(error, ClientError):
        return _refused(stack, error, region, local_address)
    return StackError(f"cannot read the stack {stack!r}: {error}", "Check AWS_PROFILE and AWS_REGION.")


def _unreachable(stack: str, error: Exception, local_address: str | None) -> StackError:
    if local_address:
        start = 'Start it, and read its new address: loupe up --detach; eval "$(loupe env)".'
        return UnreachableError(f"no local cloud answers on {local_address}", start + _for_aws())
    return UnreachableError(
        f"cannot read the stack {stack!r}: {error}",
        "Check the network, the proxy, and the name of the region.",
    )


def _refused(stack: str, error: ClientError, region: str | None, local_address: str | None) -> StackError:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code == "ValidationError" and "does not exist" in message:
        return _missing(stack, region, local_address)
    if code in _EXPIRED:
        return CredentialsError(f"the AWS credentials have expired: {message}", _LOG_IN)
    if code in _UNKNOWN and local_address:
        return CredentialsError(
            f"the local cloud on {local_address} does not know these credentials: they are another's",
            'Read its own: eval "$(loupe env)"',
        )
    if code in _UNKNOWN:
        return CredentialsError(f"AWS does not accept these credentials: {message}", _LOG_IN)
    hint = "Its owner can allow it, or choose another profile: export AWS_PROFILE=NAME"
    return StackError(
        f"cannot read the stack {stack!r}: {message}",
        hint if code in _DENIED else "Check AWS_PROFILE and AWS_REGION.",
    )


def _missing(stack: str, region: str | None, local_address: str | None) -> StackError:
    if local_address:
        return NoStackError(
            f"there is no stack {stack!r} in the local cloud on {local_address}",
            "Its own is the one without --stack." + _for_aws(),
        )
    return NoStackError(
        f"there is no stack {stack!r} in {region}",
        f"If it is in another region: export AWS_REGION=NAME. To create it: loupe cloud create --stack {stack}",
    )


def _for_aws() -> str:
    """Return how to leave a local cloud that only a variable chose."""
    return ' For AWS: eval "$(loupe env --unset)"' if os.environ.get("AWS_ENDPOINT_URL") else ""
