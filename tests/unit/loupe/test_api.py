"""The command asks the API by invoking its function. The function here is the real one."""

import io
import json
from typing import Any

import boto3
import pytest

from handlers import api
from loupe.errors import LoupeError
from loupe.stack.api import ApiError, call
from loupe.stack.target import Target
from tests.inspection_support import Context

ARN = "arn:aws:sts::123456789012:assumed-role/Engineer/maria"


class Functions:
    """Lambda's client: it runs the function here."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answer: dict[str, Any] | None = None

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        assert FunctionName == "press-api"
        self.events.append(json.loads(Payload))
        if self.answer is not None:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(self.answer).encode())}
        reply = api.handler(self.events[-1], Context())  # type: ignore[arg-type]
        return {"Payload": io.BytesIO(json.dumps(reply).encode())}


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def target(functions: Functions) -> Target:
    session = boto3.Session("testing", "testing", region_name="eu-central-1")
    target = Target(session, None, {"ApiFunctionName": "press-api"})
    target.__dict__.update(functions=functions, identity=ARN)
    return target


def test_whoever_may_invoke_the_function_is_an_administrator(target: Target) -> None:
    user = call(target, "GET", "/session")["user"]
    assert user == {"name": "maria", "groups": ["viewer", "operator", "reviewer", "admin"]}


def test_a_refusal_has_its_status_and_code(target: Target) -> None:
    with pytest.raises(ApiError) as refused:
        call(target, "DELETE", "/session")
    assert (refused.value.status, refused.value.code) == (403, "forbidden")


def test_an_error_of_the_api_is_one_for_the_user(target: Target) -> None:
    query = {"limit": 1000, "verdict": "good", "line": None}
    with pytest.raises(ApiError) as refused:
        call(target, "GET", "/inspections", query)
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
    assert refused.value.message == "The request is not valid"
    assert refused.value.hint.splitlines() == [
        "verdict: must be 'pass', 'review', 'fail' or 'unreadable'",
        "limit: must be at most 100",
    ]


def test_a_path_arrives_as_the_http_api_sends_it(target: Target, functions: Functions) -> None:
    with pytest.raises(ApiError):
        call(target, "GET", "/no/50% ü/way", {"a": "b c", "d": 1})
    (event,) = functions.events
    assert event["rawPath"] == "/api/no/50%25 ü/way"
    assert event["rawQueryString"] == "a=b+c&d=1"


def test_a_body_travels_as_json(target: Target, functions: Functions) -> None:
    with pytest.raises(ApiError, match="not valid"):
        call(target, "POST", "/session", body={"username": "maria"})
    assert json.loads(functions.events[0]["body"]) == {"username": "maria"}


def test_a_function_that_fails_says_where_to_look(target: Target, functions: Functions) -> None:
    functions.answer = {"errorMessage": "Task timed out after 29.00 seconds"}
    with pytest.raises(LoupeError, match="Task timed out") as failed:
        call(target, "GET", "/session")
    assert "loupe logs" in failed.value.hint
