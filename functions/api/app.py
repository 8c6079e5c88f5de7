"""The API's routes, and the way of a request: who asks, validation, the route, the answer or the error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
)

from api import errors
from api.access import authorise, name_of
from api.bodies import check_body, dump, load
from api.errors import ApiError
from api.routes import (
    changes,
    datasets,
    exports,
    health,
    inspections,
    labels,
    models,
    openapi,
    places,
    rates,
    reviews,
    rules,
    runs,
    session,
    statistics,
)
from contract.text import plain

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

PREFIX = "/api"
ROUTERS = (
    session.router,
    changes.router,
    datasets.router,
    exports.router,
    health.router,
    inspections.router,
    labels.router,
    models.router,
    openapi.router,
    places.router,
    rates.router,
    reviews.router,
    rules.router,
    runs.router,
    statistics.router,
)
_READS = ("GET", "HEAD", "OPTIONS")
_LONGEST_PATH = 1500  # a serial has at most 1,024 characters
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_logger = Logger()


def answer(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of the HTTP API, payload version 2.0.

    The HTTP API has decoded the path, but for the percent sign.
    """
    reply = app.resolve({**event, "rawPath": event["rawPath"].replace("%25", "%")}, context)
    reply["headers"] |= _HEADERS
    _trace(event, reply["statusCode"])
    return reply


def _trace(event: Mapping[str, Any], status: int) -> None:
    """Log who has changed something, or was not let in, and how it ended. What was sent is no part of it.

    The HTTP API's own log has every request that came through it, but not those of who invokes this function directly.
    """
    method = str(event["requestContext"]["http"]["method"])
    if method not in _READS or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        path = plain(str(event["rawPath"]))[:_LONGEST_PATH]
        _logger.info("call", user=name_of(event), method=method, path=path, status=status)


class _Resolver(APIGatewayHttpResolver):
    """A resolver whose parameters in paths hold any character of a name, and not only those that need no encoding."""

    @staticmethod
    def _compile_regex(rule: str, base_regex: str = "^{}$") -> re.Pattern[str]:
        """Return the expression of a route's path. A serial contains the folders below its station's."""
        named = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", rule).replace("(?P<serial>[^/]+)", "(?P<serial>.+)")
        return re.compile(base_regex.format(named), re.DOTALL)


app = _Resolver(serializer=dump, json_body_deserializer=load, debug=False)
# In this order, so that who may not use a route learns nothing about its parameters. The resolver's own option
# `enable_validation` would validate first.
app.use([authorise, check_body, OpenAPIRequestValidationMiddleware()])
for _router in ROUTERS:
    app.include_router(_router, prefix=PREFIX)


def _error(exception: Exception) -> Response[Any]:
    error = errors.error_of(exception)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.error("a request failed", exc_info=exception)
    return errors.response(error)


def _not_found(_: NotFoundError) -> Response[Any]:
    path = app.current_event.path
    routes = (*app._static_routes, *app._dynamic_routes)
    methods = sorted({route.method for route in routes if route.rule.match(path)})
    if not methods:
        return errors.response(errors.not_found("There is nothing at this address."))
    refused = errors.response(
        ApiError(
            HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"This address takes {', '.join(methods)}."
        )
    )
    refused.headers["Allow"] = ", ".join(methods)
    return refused


app.exception_handler(Exception)(_error)
app.not_found(_not_found)
