"""The endpoint's hours in the command: until when it rests, and a start or a stop by hand, in moto's account."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from loupe.errors import LoupeError
from loupe.stack import hours, waiting
from loupe.stack.target import Target

NAME = "/press/endpoint"
NIGHT, SHIFT = datetime(2026, 1, 5, 23, 0, tzinfo=UTC), datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
HOURS = {"EndpointHours": "MON-FRI 05:45-22:15", "EndpointTimezone": "Europe/Berlin"}


class Function:
    """The function that keeps the hours. answer: its payload."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"action": "created", "run": True, "status": "Missing"}
        self.error: dict[str, str] = {}
        self.calls = 0

    def invoke(self, **_: Any) -> Any:
        import io

        self.calls += 1
        return {"Payload": io.BytesIO(json.dumps(self.answer).encode())} | self.error


@pytest.fixture
def function() -> Function:
    return Function()


def target_of(stack: Target, function: Function, document: dict[str, Any], **outputs: str) -> Target:
    stack.ssm.put_parameter(Name=NAME, Value=json.dumps(document), Type="String", Overwrite=True)
    named = {"HoursParameterName": NAME, "HoursFunctionName": "press-hours"}
    target = dataclasses.replace(stack, outputs=stack.outputs | named | outputs)
    target.__dict__["functions"] = function
    return target


def document(target: Target) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(target.ssm.get_parameter(Name=NAME)["Parameter"]["Value"])
    return stored


def test_an_endpoint_that_rests_says_until_when(stack: Target, function: Function) -> None:
    target = target_of(stack, function, {"resting": "press-1"}, **HOURS)
    rest = hours.rest(target, NIGHT)
    assert rest
    assert rest.text == "rests until Tue 06 Jan, 05:45"


def test_an_endpoint_that_nobody_deployed_does_not_rest(stack: Target, function: Function) -> None:
    assert hours.rest(target_of(stack, function, {}, **HOURS), NIGHT) is None


def test_a_stack_that_is_older_than_hours_has_none(stack: Target) -> None:
    assert hours.rest(stack, NIGHT) is None
    assert hours.shifts(stack) is None


def test_a_start_at_night_lasts_until_the_end_of_the_next_shift(stack: Target, function: Function) -> None:
    target = target_of(stack, function, {"resting": "press-1", "wish": None}, **HOURS)
    outcome = hours.start(target, NIGHT)
    assert outcome.action == "created"
    assert document(target) == {
        "resting": "press-1",
        "wish": {"run": True, "until": "2026-01-06T21:15:00.000Z"},
    }


def test_a_start_during_a_shift_takes_back_a_stop(stack: Target, function: Function) -> None:
    wish = {"run": False, "until": "2026-01-07T04:45:00.000Z"}
    target = target_of(stack, function, {"resting": "press-1", "wish": wish}, **HOURS)
    hours.start(target, SHIFT)
    assert document(target)["wish"] is None


def test_a_stop_during_a_shift_lasts_until_the_next_one(stack: Target, function: Function) -> None:
    function.answer = {"action": "stopped", "run": False, "status": "InService"}
    target = target_of(stack, function, {"resting": None}, **HOURS)
    assert hours.stop(target, SHIFT).action == "stopped"
    assert document(target)["wish"] == {"run": False, "until": "2026-01-07T04:45:00.000Z"}
    rest = hours.rest(target_of(stack, function, document(target) | {"resting": "press-1"}, **HOURS), SHIFT)
    assert rest
    assert rest.text == "rests until Wed 07 Jan, 05:45, stopped by hand"


def test_without_hours_a_stop_lasts_until_a_start(stack: Target, function: Function) -> None:
    function.answer["action"] = "stopped"
    target = target_of(stack, function, {"resting": "press-1"}, EndpointHours="always")
    assert hours.stop(target, NIGHT).until is None
    rest = hours.rest(target, NIGHT)
    assert rest
    assert rest.text == "rests until it is started, stopped by hand"
    hours.start(target, NIGHT)
    assert document(target)["wish"] is None


def test_a_function_that_fails_is_reported_with_its_reason(stack: Target, function: Function) -> None:
    function.answer = {"errorMessage": "An error occurred (ResourceLimitExceeded)"}
    function.error = {"FunctionError": "Unhandled"}
    target = target_of(stack, function, {"resting": "press-1"}, **HOURS)
    with pytest.raises(LoupeError, match="ResourceLimitExceeded"):
        hours.start(target, NIGHT)


def test_hours_that_are_not_valid_are_named(stack: Target) -> None:
    target = dataclasses.replace(stack, outputs=stack.outputs | {"EndpointHours": "MON 06:00-07:00"})
    with pytest.raises(LoupeError, match="EndpointHours"):
        hours.shifts(target)


def test_who_waits_for_a_verdict_learns_that_the_endpoint_rests(stack: Target, function: Function) -> None:
    target = target_of(stack, function, {"resting": "press-1"}, **HOURS)
    cause = waiting.why_waiting(target, 0)
    assert cause
    # By the real clock, a shift may be on; then it is about to come.
    assert cause.message.startswith("the endpoint press rests until ")
    assert cause.hint == "To start it now: loupe endpoint start"
