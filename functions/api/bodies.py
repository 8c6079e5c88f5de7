"""The JSON of requests and answers."""

from __future__ import annotations

import json
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from api.errors import ApiError, invalid_request

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

# The largest honest body is a rules document, of which SSM takes 8 KiB, or the objects of an image.
MAX_BYTES = 512 * 1024
_JSON = "application/json"


def check_body(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Go on if the request has no body, or one of JSON that may be stored.

    Raises:
        ApiError: 413 if it is too large, 415 if it is of another type, 400 if it is damaged.
    """
    event = app.current_event
    if event.body:
        if len(event.body) > MAX_BYTES:
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The body is too large.")
        if event.headers.get("content-type", _JSON).partition(";")[0].strip().lower() != _JSON:
            raise ApiError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", f"The body must be {_JSON}."
            )
        try:
            # The parsed body is kept for what follows.
            json.dumps(event.json_body, ensure_ascii=False).encode()
        # ValueError: not base64, not UTF-8, not JSON; or half a character, which no service stores.
        except (ValueError, RecursionError):
            raise invalid_request("The body is not JSON.") from None
    return next_middleware(app)


def load(text: str) -> Any:
    """Parse a body.

    Raises:
        ValueError: It is not JSON. Python would take NaN.
        RecursionError: It is nested too deep.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def dump(body: Any) -> str:
    """Return a body as JSON: DynamoDB's decimals are numbers, its sets are lists, and models are objects.

    >>> dump({"score": Decimal("0.5"), "count": Decimal(3), "labels": {"b", "a"}})
    '{"score":0.5,"count":3,"labels":["a","b"]}'
    """
    return json.dumps(body, default=_plain_type, separators=(",", ":"))


def _plain_type(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
