"""Changes to MiniStack's HTTP API, and how it is called in this process: tokens, cookies and counts as on AWS."""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from ministack.core.responses import request_scope
from ministack.services import apigateway, cognito

from localcloud.ministack import metrics
from localcloud.ministack.environment import ACCOUNT, REGION

logger = logging.getLogger(__name__)

_STAGE = "$default"
# A page asks for several things at once, and each request that finds no idle worker starts one: a process that takes a
# second of a core. So a few workers answer one after another, which takes less time altogether.
_AT_ONCE = 4
_turns = asyncio.Semaphore(_AT_ONCE)


@dataclass(frozen=True)
class Answer:
    """The answer of an HTTP API.

    Attributes:
        status: The HTTP status.
        headers: Its headers, with names in lower case; one that is there several times, such as Set-Cookie, stands
            so often in the list.
        body: Its body.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def apply() -> None:
    """Patch MiniStack."""
    _read_keys_in_this_process()
    _hand_cookies_over()


async def execute(
    api_id: str, method: str, raw_path: str, query: str, headers: dict[str, str], body: bytes
) -> Answer:
    """Send a request to a deployed HTTP API, through its authoriser; from the loop that serves MiniStack.

    Args:
        api_id: The API.
        method: The HTTP method.
        raw_path: The path of the URL as it was sent.
        query: The query string as it was sent.
        headers: The headers, with names in lower case.
        body: The body.

    Returns:
        The answer. What fails is 500, as on AWS, without a word about the cause.
    """
    path = apigateway.decode_http_api_path(raw_path)
    parameters = parse_qs(query, keep_blank_values=True)
    try:
        async with _turns:
            with request_scope(ACCOUNT, REGION):
                status, answered, content = await apigateway.handle_execute(
                    api_id, _STAGE, path, method, headers, body, parameters, raw_query_string=query
                )
    except Exception:  # whatever it is, the client gets an answer, and the log the cause
        logger.exception("the HTTP API failed")
        status, answered = 500, {"content-type": "application/json"}
        content = b'{"message":"Internal Server Error"}'
    _count(api_id, status)
    # A function may answer without a body, as with 204.
    content = content or b""
    return Answer(status, _pairs(answered), content if isinstance(content, bytes) else content.encode())


def _pairs(headers: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name.lower(), str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
    ]


def _count(api_id: str, status: int) -> None:
    """Record what CloudWatch counts of an HTTP API, so that alarms see it.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
    """
    for name, value in (("Count", 1), ("4xx", 400 <= status < 500), ("5xx", status >= 500)):
        metrics.record("AWS/ApiGateway", name, float(value), "Count", {"ApiId": api_id})


def _read_keys_in_this_process() -> None:
    """Verify tokens by the keys of the user pool in this process.

    MiniStack fetches them over HTTP from its own port, where an unsigned request is refused.
    """

    async def fetch_jwks(url: str) -> dict[str, Any]:
        pool_id = url.removesuffix("/.well-known/jwks.json").rpartition("/")[2]
        if cognito._get_pool_unscoped(pool_id) is None:
            return {"keys": []}
        keys: dict[str, Any] = json.loads(cognito.well_known_jwks(pool_id)[2])
        return keys

    apigateway._fetch_jwks = fetch_jwks


def _hand_cookies_over() -> None:
    """Hand the cookies to a function in `cookies`, as payload version 2.0 does, and not among the headers.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    run = apigateway.run_reentrant

    async def run_with_cookies(function: Any, record: Any, event: dict[str, Any], **options: Any) -> Any:
        sent = event.get("headers", {}).pop("cookie", None) if event.get("version") == "2.0" else None
        if sent:
            event["cookies"] = [cookie.strip() for cookie in sent.split(";")]
        return await run(function, record, event, **options)

    apigateway.run_reentrant = run_with_cookies
