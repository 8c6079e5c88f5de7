"""A client of the API's function for tests: it sends the events that the HTTP API would send."""

import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from handlers import api
from tests.inspection_support import Context


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: The HTTP status.
        headers: Its headers, with lower-case names.
        body: The body: what its JSON says, or its text.
        cookies: The cookies that it sets.
    """

    status: int
    headers: dict[str, str]
    body: Any
    cookies: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The code of the error that it is."""
        return str(self.body["error"]["code"])


def jwt(*groups: str, name: str = "maria", **claims: str) -> dict[str, Any]:
    """Return an authorizer as the HTTP API's JWT authoriser makes it for an access token. Lists arrive as text."""
    access = {"username": name, "token_use": "access", "client_id": "client"}
    listed = {"cognito:groups": f"[{' '.join(groups)}]"} if groups else {}
    return {"jwt": {"claims": access | listed | claims, "scopes": None}}


IAM = {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/Engineer/maria"}}


def event(
    method: str,
    path: str,
    query: dict[str, Any] | None = None,
    body: Any = None,
    authorizer: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    cookies: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a request as the HTTP API sends it, payload version 2.0."""
    document: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "ANY /api/{proxy+}",
        "rawPath": f"/api{path}",
        "rawQueryString": urlencode(query or {}),
        "headers": {"host": "loupe.test"} | {name.lower(): value for name, value in (headers or {}).items()},
        "requestContext": {
            "stage": "$default",
            "http": {"method": method, "path": f"/api{path}", "sourceIp": "192.0.2.7"},
            "requestId": "request-1",
        },
        "isBase64Encoded": False,
    }
    if query:
        document["queryStringParameters"] = {name: str(value) for name, value in query.items()}
    if cookies:
        document["cookies"] = list(cookies)
    if authorizer:
        document["requestContext"]["authorizer"] = authorizer
    if body is not None:
        document["body"] = body if isinstance(body, str) else json.dumps(body)
        document["headers"].setdefault("content-type", "application/json")
    return document


def send(request: dict[str, Any]) -> Answer:
    """Invoke the function with a request."""
    reply = api.handler(request, Context())  # type: ignore[arg-type]
    headers = {name.lower(): value for name, value in reply["headers"].items()}
    text = reply["body"]
    if reply.get("isBase64Encoded"):
        text = base64.b64decode(text)
    is_json = headers.get("content-type", "").startswith("application/json")
    return Answer(
        reply["statusCode"], headers, json.loads(text) if is_json else text, reply.get("cookies") or []
    )


def call(method: str, path: str, *groups: str, name: str = "maria", **parts: Any) -> Answer:
    """Send a request of a user who is in these groups.

    Args:
        method: The HTTP method.
        path: The path, without `/api`.
        groups: The user's groups in the user pool.
        name: The user's name.
        parts: Others of `event`: query, body, headers, cookies.
    """
    return send(event(method, path, authorizer=jwt(*groups, name=name), **parts))


def forget() -> None:
    """Forget what the API keeps between requests: its settings, and the clients that it has made."""
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] == "api":
            for member in vars(module).values():
                if clear := getattr(member, "cache_clear", None):
                    clear()
