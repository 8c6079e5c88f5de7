"""What becomes of an exception."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from api.errors import ApiError, error_of, response
from api.routes import session
from tests.api_support import call


def _aws(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "arn:aws:secret"}}, "Query")


@pytest.mark.parametrize(
    "error",
    [
        _aws("ThrottlingException"),
        _aws("ProvisionedThroughputExceededException"),
        ConnectTimeoutError(endpoint_url="https://secret"),
        ReadTimeoutError(endpoint_url="https://secret"),
        EndpointConnectionError(endpoint_url="https://secret"),
    ],
)
def test_what_passes_is_unavailable_and_says_when_to_ask_again(error: Exception) -> None:
    answer = response(error_of(error))
    assert (answer.status_code, answer.body["error"]["code"]) == (503, "unavailable")  # type: ignore[index]
    assert "secret" not in str(answer.body)
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("error", [_aws("AccessDeniedException"), KeyError("secret"), RecursionError()])
def test_a_fault_gives_no_detail(error: Exception) -> None:
    found = error_of(error)
    assert (found.status, found.code, found.details) == (500, "internal", [])
    assert "secret" not in found.message


def test_a_fault_is_logged_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> None:
        raise KeyError("broken wire")

    monkeypatch.setattr(session, "_user", fail)
    answer = call("GET", "/session")
    assert (answer.status, answer.code) == (500, "internal")
    assert "broken wire" not in str(answer.body)
    assert "broken wire" in caplog.text


@pytest.mark.promise(31)
def test_an_errors_message_is_one_plain_line() -> None:
    body: Any = response(ApiError(409, "conflict", "line\x1b[31m\nnext")).body
    assert body["error"]["message"] == "line next"
