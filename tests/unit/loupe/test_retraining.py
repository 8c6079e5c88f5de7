"""Starting, stopping and following executions of the retrain state machine."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from loupe.errors import LoupeError
from loupe.stack import retraining
from loupe.stack.retrain_request import RetrainRequest
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering
from tests.unit.loupe.executions import ARN, PLAN, Recorder, described, history

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:press-retrain"
DONE = {"status": "SUCCEEDED", "decision": "kept", "run": "0123456789ab", "reasons": ["no better model"]}


def test_the_request_is_the_input_of_the_execution(stack: Target):
    requests: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        requests.append(request)
        return {"executionArn": ARN}

    with answering(stack, "stepfunctions", StartExecution=answer):
        assert retraining.start(stack, RetrainRequest(hyperparameters={"epochs": "3"})) == ARN
    assert requests[0]["stateMachineArn"] == MACHINE
    assert json.loads(requests[0]["input"])["hyperparameters"] == {"epochs": "3"}


def test_an_older_template_is_an_error(stack: Target):
    older = Target(stack.session, None, {})
    with pytest.raises(LoupeError, match="no output RetrainStateMachineArn"):
        retraining.start(older, RetrainRequest())


def _running(*arns: str) -> Any:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        assert (request["stateMachineArn"], request["statusFilter"]) == (MACHINE, "RUNNING")
        start = int(request.get("nextToken", 0))
        rest = {"nextToken": str(start + 1)} if start + 1 < len(arns) else {}
        return {"executions": [{"executionArn": arn} for arn in arns[start : start + 1]], **rest}

    return answer


def test_stop_stops_all_running_executions(stack: Target):
    stopped: list[str] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        stopped.append(request["executionArn"])
        return {"stopDate": 0}

    with answering(stack, "stepfunctions", ListExecutions=_running(f"{ARN}2", ARN), StopExecution=answer):
        assert retraining.stop(stack) == stopped == [f"{ARN}2", ARN]


def test_the_execution_to_follow_is_the_oldest_running_one(stack: Target):
    with answering(stack, "stepfunctions", ListExecutions=_running(f"{ARN}2", ARN)):
        assert retraining.find_running(stack) == ARN


@pytest.mark.parametrize("act", [retraining.stop, retraining.find_running])
def test_if_nothing_is_running_that_is_an_error(stack: Target, act: Any):
    with (
        answering(stack, "stepfunctions", ListExecutions=_running()),
        pytest.raises(LoupeError, match="no retraining"),
    ):
        act(stack)


def _follow(target: Target, describe: Any, events: list[dict[str, Any]]) -> tuple[dict[str, Any], list[Any]]:
    progress: list[retraining.RunProgress] = []

    def unknown(_: Any) -> Any:
        raise RefusedError("ValidationException")

    kinds = ("TrainingJob", "HyperParameterTuningJob", "ProcessingJob")
    with (
        answering(target, "sagemaker", **{f"Describe{kind}": unknown for kind in kinds}),
        answering(target, "stepfunctions", DescribeExecution=describe, GetExecutionHistory=history(events)),
    ):
        return retraining.follow(target, ARN, progress.append, poll_every=0), progress


def _ended() -> Recorder:
    recorder = Recorder()
    recorder.through("Task", "Plan", PLAN)
    return recorder


def test_follow_returns_the_output_and_reports_steps_and_jobs(stack: Target):
    answers = iter(["RUNNING", "PENDING_REDRIVE", "SUCCEEDED"])

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        return {"executionArn": ARN, "status": next(answers), "output": json.dumps(DONE)}

    document, progress = _follow(stack, describe, _ended().events)
    assert document == DONE
    assert len(progress) == 3
    assert [step.name for step in progress[-1].steps] == ["Plan"]
    assert [job.subject for job in progress[-1].jobs] == ["ssdlite", "ssdlite-tuned"]
    assert progress[-1].run == PLAN["run"]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_did_not_succeed_gives_its_cause(stack: Target, status: str):
    describe = described(status, error="LabelledDataError", cause="there is no labelled data yet")
    document, _ = _follow(stack, describe, [])
    assert document == {
        "status": status,
        "error": "LabelledDataError",
        "cause": "there is no labelled data yet",
    }


def test_follow_continues_after_a_transient_error(stack: Target):
    faults: list[Exception] = [
        RefusedError("ThrottlingException"),
        EndpointConnectionError(endpoint_url="https://states"),
        RefusedError("InternalServerError", status=500),
    ]

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        if faults:
            raise faults.pop()
        return {"executionArn": ARN, "status": "SUCCEEDED", "output": json.dumps(DONE)}

    document, _ = _follow(stack, describe, _ended().events)
    assert document == DONE
    assert not faults


def test_a_permanent_error_is_raised_at_once(stack: Target):
    def describe(request: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        _follow(stack, describe, [])


def test_follow_ends_when_aws_is_unreachable_for_long_and_the_execution_continues(
    stack: Target, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retraining, "_OFFLINE_SECONDS", 0.0)

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        raise EndpointConnectionError(endpoint_url="https://states")

    with pytest.raises(LoupeError, match="can no longer be followed") as caught:
        _follow(stack, describe, [])
    assert "continues" in caught.value.hint
