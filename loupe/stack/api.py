"""Asks the stack's HTTP API, by invoking its function directly.

Whoever may invoke the function is an administrator of the stack, and signs in nowhere: AWS checks the signature. The
function notes the name of the AWS identity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from contract.text import counted
from loupe.errors import LoupeError
from loupe.stack.target import Target

_PREFIX = "/api"
_SHOWN_PROBLEMS = 10


class ApiError(LoupeError):
    """The API refuses a request.

    Attributes:
        status: The HTTP status.
        code: Stable, such as `stale_version`.
        details: More about it.
    """

    def __init__(self, status: int, code: str, message: str, details: list[Any]) -> None:
        super().__init__(message, _hint(details))
        self.status = status
        self.code = code
        self.details = details


def call(
    target: Target, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
) -> Any:
    """Return the answer to a request: what its JSON says, or its text.

    Args:
        target: The stack.
        method: The HTTP method.
        path: The path, without `/api` and not encoded.
        query: The query. What is None is left out.
        body: The body, for JSON.

    Raises:
        ApiError: The API refuses the request.
        LoupeError: The function failed.
    """
    return _ask(target, method, path, query or {}, body)[0]


def page(target: Target, path: str, query: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Return a part of an export, and the cursor of the next one if there is more.

    Args:
        target: The stack.
        path: As for `call`.
        query: As for `call`.

    Raises:
        ApiError: The API refuses the request.
        LoupeError: The function failed.
    """
    content, headers = _ask(target, "GET", path, query, None)
    return content, headers.get("x-next-cursor")


def _ask(
    target: Target, method: str, path: str, query: Mapping[str, Any], body: Any
) -> tuple[Any, dict[str, str]]:
    reply = target.functions.invoke(
        FunctionName=target.output("ApiFunctionName"),
        Payload=json.dumps(_event(target.identity, method, path, query, body)),
    )
    answer = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise LoupeError(
            f"the API's function failed: {answer.get('errorMessage', 'no reason given')}",
            "Its log says more: loupe logs",
        )
    return _read(answer)


def _event(arn: str, method: str, path: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
    """Return a request as the HTTP API would send it, with the AWS identity as its sender.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    asked = {name: str(value) for name, value in query.items() if value is not None}
    # The HTTP API decodes a path, but for the percent sign.
    raw_path = _PREFIX + path.replace("%", "%25")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": urlencode(asked),
        "queryStringParameters": asked,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "stage": "$default",
            "http": {"method": method, "path": raw_path},
            "authorizer": {"iam": {"userArn": arn}},
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = json.dumps(body)
    return event


def _read(answer: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """Return what an answer says, and its headers.

    Raises:
        ApiError: It is an error.
    """
    status, text = int(answer["statusCode"]), answer.get("body") or ""
    headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
    content: Any = json.loads(text) if headers.get("content-type") == "application/json" else text
    if status < HTTPStatus.BAD_REQUEST:
        return content, headers
    error = content["error"]
    raise ApiError(status, error["code"], error["message"].rstrip("."), error.get("details", []))


def _hint(details: list[Any]) -> str:
    """Return the problems of a request, one a line."""
    problems = [text for text in details if isinstance(text, str)]
    rest = len(problems) - _SHOWN_PROBLEMS
    more = [f"and {counted(rest, 'more problem')}"] if rest > 0 else []
    return "\n".join([*problems[:_SHOWN_PROBLEMS], *more])
