"""Decides who may call the local cloud: AWS clients on this machine that sign their requests, and nobody else."""

from collections.abc import Mapping

# Who signs in through a client of a user pool has no credentials yet. AWS takes these unsigned:
# https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-public-server-side.html
_PUBLIC = frozenset(
    f"AWSCognitoIdentityProviderService.{operation}"
    for operation in ("InitiateAuth", "RespondToAuthChallenge", "RevokeToken")
)

# What a presigned link has: of version 4, and of version 2, in which boto3 and the AWS CLI 1 presign in us-east-1.
_SIGNATURES = ({"X-Amz-Signature"}, {"AWSAccessKeyId", "Signature", "Expires"})


def is_public(method: str, path: str, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> bool:
    """Return whether AWS takes a request without a signature.

    The form of the request is part of it: MiniStack looks at the path of some services before it looks at the target,
    and takes whoever does not sign for the account's root.

    >>> is_public("POST", "/", {"x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth"}, {})
    True
    >>> is_public("PUT", "/bucket/key", {"x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth"}, {})
    False
    """
    asks_for_nothing_else = method == "POST" and path == "/" and not query and "authorization" not in headers
    return asks_for_nothing_else and headers.get("x-amz-target") in _PUBLIC


def refusal(
    method: str,
    path: str,
    headers: Mapping[str, str],
    query: Mapping[str, list[str]],
    port: int,
    signed: bool,
) -> str | None:
    """Return why a request is refused, or None if it is accepted.

    A web page that the user visits can send requests to 127.0.0.1 too, and could create a function, which
    is any code. A browser cannot be made to omit Origin or Sec-Fetch-Site, nor to send a false Host (a
    name that an attacker's DNS points to 127.0.0.1), and a page cannot sign.

    Args:
        method: The HTTP method.
        path: The path of the URL.
        headers: The headers, with names in lower case.
        query: The query parameters.
        port: The port of the local cloud.
        signed: Whether the request names credentials whose signature is checked later.

    >>> refusal("GET", "/bucket/key", {"host": "127.0.0.1:4566"}, {}, 4566, signed=True)
    >>> refusal("GET", "/bucket/key", {"host": "evil.example:4566"}, {}, 4566, signed=True)
    'The Host header does not name this local cloud.'
    """
    if headers.get("host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return "The Host header does not name this local cloud."
    # A presigned link that the user opens is a browser's request, but a signed one.
    presigned = method in ("GET", "HEAD") and any(query.keys() >= names for names in _SIGNATURES)
    from_page = "origin" in headers or headers.get("sec-fetch-site", "none") != "none"
    if from_page and not (presigned and "origin" not in headers):
        return "Web pages may not call the local cloud."
    # MiniStack's administration (/_ministack/reset, ...) requires no credentials. No bucket name starts with _.
    if path.startswith("/_"):
        return "This path is not part of AWS."
    if not signed:
        return "Sign the request with the credentials of this local cloud."
    return None
