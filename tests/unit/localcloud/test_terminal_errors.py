"""A task with a field that its API does not have, or with too much data, ends the execution: nothing catches it."""

import json
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import stepfunctions

from localcloud.ministack import terminal_errors
from localcloud.sagemaker import task_fields

SDK = "arn:aws:states:::aws-sdk:sagemaker:"
OPTIMIZED = "arn:aws:states:::sagemaker:"
CAUGHT = {"ErrorEquals": ["States.ALL"], "Next": "Caught"}
TUNING = {
    "HyperParameterTuningJobName": "t",
    "HyperParameterTuningJobConfig": {"Strategy": "Random", "RandomSeed": 1},
}


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """MiniStack's Step Functions as in the local cloud; every task has the answer of its resource, or an empty one."""
    for name, value in vars(stepfunctions).copy().items():
        if callable(value):
            monkeypatch.setattr(stepfunctions, name, value)
    for store in ("_state_machines", "_executions"):
        monkeypatch.setattr(stepfunctions, store, AccountRegionScopedDict())
    monkeypatch.setattr(stepfunctions, "_emit_execution_status_event", lambda execution: None)
    answers: dict[str, Any] = {}
    monkeypatch.setattr(stepfunctions, "_invoke_resource", lambda resource, given: answers.get(resource, {}))
    terminal_errors.apply()
    task_fields.connect()
    return answers


def run(resource: str, arguments: Any) -> dict[str, Any]:
    """The execution of a task that catches everything."""
    task = {"Type": "Task", "Resource": resource, "Arguments": arguments, "Catch": [CAUGHT], "End": True}
    definition = {
        "StartAt": "Task",
        "QueryLanguage": "JSONata",
        "States": {"Task": task, "Caught": {"Type": "Succeed"}},
    }
    machine = {"name": "m", "definition": json.dumps(definition), "roleArn": "arn:aws:iam::0:role/r"}
    arn = json.loads(stepfunctions._create_state_machine(machine)[2])["stateMachineArn"]
    execution: dict[str, Any] = {
        "executionArn": arn.replace(":stateMachine:", ":execution:") + ":e",
        "stateMachineArn": arn,
        "name": "e",
        "status": "RUNNING",
        "startDate": "2026-01-01T00:00:00.000Z",
        "input": "{}",
        "output": None,
        "events": [],
    }
    stepfunctions._executions[execution["executionArn"]] = execution
    stepfunctions._run_execution(execution["executionArn"])
    return execution


@pytest.mark.parametrize(
    ("resource", "arguments", "field"),
    [
        (f"{SDK}describeEndpoint", {"EndpointName": "e", "Endpoint": "e"}, '"Endpoint"'),
        (f"{SDK}createModel", {"ModelName": "m", "Tags": [{"key": "k", "Value": "v"}]}, '"key"'),
        (f"{OPTIMIZED}createHyperParameterTuningJob.sync", TUNING, '"RandomSeed"'),
        (f"{OPTIMIZED}createModel", {"ModelName": "m", "S3Operations": {}}, '"S3Operations"'),
        (f"{SDK}describeEndpoint", {}, "'EndpointName' is required"),
        ("arn:aws:states:::aws-sdk:applicationautoscaling:describeScalableTargets", {"X": 1}, '"X"'),
    ],
)
def test_a_field_that_the_api_does_not_have_ends_the_execution(
    resource: str, arguments: dict[str, Any], field: str
) -> None:
    execution = run(resource, arguments)
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")
    assert f"The field {field}" in execution["cause"]


def test_known_fields_reach_the_api(answers: dict[str, Any]) -> None:
    answers[f"{SDK}createHyperParameterTuningJob"] = {"called": True}
    execution = run(f"{SDK}createHyperParameterTuningJob", TUNING)
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"]) == {"called": True}


def test_an_answer_that_is_too_large_ends_the_execution(answers: dict[str, Any]) -> None:
    resource = f"{SDK}describeEndpoint"
    answers[resource] = {"FailureReason": "x" * 262_144}
    execution = run(resource, {"EndpointName": "e"})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_other_errors_are_caught() -> None:
    execution = run(f"{SDK}describeEndpoint", "{% $error('bad') %}")
    assert execution["status"] == "SUCCEEDED"
