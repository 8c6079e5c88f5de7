"""The one form of the API's errors, and what becomes of an exception."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from contract.text import plain
from inspection.rules_document import describe_problem

# Codes of AWS errors that pass, such as those of a table that just grows into its load:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_PASSING = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_RETRY_AFTER_SECONDS = "2"


class ApiError(Exception):
    """An answer that is an error.

    Attributes:
        status: The HTTP status.
        code: Stable, for programs, such as `stale_version`.
        message: One sentence, for people.
        details: More about it: problems, or what the caller needs to know to go on.
    """

    def __init__(self, status: int, code: str, message: str, details: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.status = HTTPStatus(status)
        self.code = code
        self.message = message
        self.details = list(details)


def invalid_request(message: str, details: Sequence[Any] = ()) -> ApiError:
    """Return the error of a request that is not as it must be."""
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", message, details)


def not_found(message: str) -> ApiError:
    """Return the error of what does not exist."""
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", message)


def conflict(code: str, message: str, details: Sequence[Any] = ()) -> ApiError:
    """Return the error of a change that does not fit to what others did meanwhile."""
    return ApiError(HTTPStatus.CONFLICT, code, message, details)


def unavailable(message: str = "The service is busy; try again in a moment.") -> ApiError:
    """Return the error of what may succeed soon."""
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", message)


def error_of(exception: Exception) -> ApiError:
    """Return the error that an exception becomes."""
    match exception:
        case ApiError():
            return exception
        case RequestValidationError():
            return invalid_request("The request is not valid.", list(_problems(exception)))
        case HTTPClientError() | ConnectionError():
            return unavailable()
        case ClientError() if exception.response["Error"]["Code"] in _PASSING:
            return unavailable()
    return ApiError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong here; the API's log has the cause.",
    )


def _problems(error: RequestValidationError) -> Iterator[str]:
    """Yield what is wrong with a request, each with its place in the query or in the body."""
    for details in error.errors():
        yield plain(describe_problem({**details, "loc": tuple(details["loc"])[1:]}))


def response(error: ApiError) -> Response[dict[str, Any]]:
    """Return the answer of an error."""
    body: dict[str, Any] = {"code": error.code, "message": plain(error.message)}
    if error.details:
        body["details"] = error.details
    busy = error.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
    return Response(
        status_code=int(error.status),
        content_type=content_types.APPLICATION_JSON,
        body={"error": body},
        headers={"Retry-After": _RETRY_AFTER_SECONDS} if busy else None,
    )
