"""Executions of state machines continue after a restart of the cloud with the state they were in."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import stepfunctions

from localcloud.ministack import step_functions
from tests.unit.localcloud.stage import eventually

DEFINITION = {
    "StartAt": "First",
    "QueryLanguage": "JSONata",
    "States": {
        "First": {"Type": "Pass", "Output": {"from": "first"}, "Next": "Second"},
        "Second": {
            "Type": "Pass",
            "Output": "{% {'input': $states.input, 'variable': $colour} %}",
            "End": True,
        },
    },
}


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's Step Functions with nothing in it, changed as in the local cloud."""
    for name, value in vars(stepfunctions).copy().items():
        if callable(value):
            monkeypatch.setattr(stepfunctions, name, value)
    for store in ("_state_machines", "_executions"):
        monkeypatch.setattr(stepfunctions, store, AccountRegionScopedDict())
    monkeypatch.setattr(stepfunctions, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    monkeypatch.setattr(stepfunctions, "_emit_execution_status_event", lambda execution: None)
    step_functions.apply()


def left_behind(entered: str, state_input: Any, **members: Any) -> dict[str, Any]:
    """An execution that was in the state `entered` when the cloud ended, as MiniStack restores it."""
    machine = {
        "name": "m",
        "definition": json.dumps(DEFINITION),
        "roleArn": "arn:aws:iam::000000000000:role/r",
    }
    arn = json.loads(stepfunctions._create_state_machine(machine)[2])["stateMachineArn"]
    execution_arn = arn.replace(":stateMachine:", ":execution:") + ":e"
    details = {"name": entered, "input": json.dumps(state_input)}
    stepfunctions._executions[execution_arn] = {
        "executionArn": execution_arn,
        "stateMachineArn": arn,
        "name": "e",
        "status": "FAILED",
        "error": "States.ServiceRestart",
        "cause": "restart",
        "startDate": "2026-01-01T00:00:00.000Z",
        "stopDate": "2026-01-01T00:01:00.000Z",
        "input": json.dumps({"given": 1}),
        "output": None,
        "events": [{"id": 1, "type": "PassStateEntered", "stateEnteredEventDetails": details}],
        "loupe_variables": {"colour": "blue"},
        **members,
    }
    execution: dict[str, Any] = stepfunctions._executions[execution_arn]
    return execution


def entered_states(execution: dict[str, Any]) -> list[str]:
    return [
        event["stateEnteredEventDetails"]["name"]
        for event in execution["events"]
        if "stateEnteredEventDetails" in event
    ]


def test_an_execution_continues_with_its_last_state_its_input_and_its_variables() -> None:
    execution = left_behind("Second", {"from": "before"})
    step_functions.resume_executions()
    eventually(lambda: execution["status"] != "RUNNING")
    assert execution["status"] == "SUCCEEDED", execution
    assert json.loads(execution["output"]) == {"input": {"from": "before"}, "variable": "blue"}
    assert entered_states(execution) == ["Second", "After a restart of the local cloud", "Second"]
    assert step_functions.was_resumed(execution)
    machine = stepfunctions._state_machines[execution["stateMachineArn"]]
    assert json.loads(machine["definition"]) == DEFINITION


def test_executions_that_continue_do_not_change_each_other_or_new_ones() -> None:
    first = left_behind("Second", {"from": "one"})
    step_functions.resume_executions()
    # A look-up in another thread at the same time finds the deployed definition.
    machine = stepfunctions._state_machines.get(first["stateMachineArn"])
    assert json.loads(machine["definition"])["StartAt"] == "First"
    eventually(lambda: first["status"] != "RUNNING")
    started = stepfunctions._start_execution({"stateMachineArn": first["stateMachineArn"], "name": "new"})
    new = stepfunctions._executions[json.loads(started[2])["executionArn"]]
    eventually(lambda: new["status"] != "RUNNING")
    assert entered_states(new)[0] == "First"
    assert not step_functions.was_resumed(new)


@pytest.mark.parametrize(
    "members",
    [{"error": "States.TaskFailed"}, {"sync": True}],
    ids=["failed by itself", "nobody waits for its result"],
)
def test_other_executions_stay_as_they_are(members: dict[str, Any]) -> None:
    execution = left_behind("Second", {}, **members)
    step_functions.resume_executions()
    assert execution["status"] == "FAILED"


def test_an_execution_whose_state_is_gone_stays_failed() -> None:
    execution = left_behind("Removed", {})
    step_functions.resume_executions()
    assert execution["status"] == "FAILED"
