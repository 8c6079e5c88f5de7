"""Starting, stopping and following executions of the retrain state machine."""

import json
import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from loupe.errors import LoupeError
from loupe.stack import retraining
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering
from tests.unit.loupe.executions import ARN, PLAN, Recorder, described, history

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:press-retrain"
DONE = {"status": "SUCCEEDED", "decision": "kept", "run": "0123456789ab", "reasons": ["no better model"]}


def _wish(**changes: Any) -> retraining.Wish:
    plain: dict[str, Any] = {
        "families": None,
        "tune": False,
        "jobs": None,
        "epochs": None,
        "settings": [],
        "approval": None,
        "force": False,
    }
    return retraining.wish(**plain | changes)


def test_without_options_everything_is_left_to_the_stack():
    assert _wish().document() == {"tune": False, "force": False, "trigger": "manual"}


def test_every_option_reaches_the_execution():
    asked = _wish(
        families="ssdlite, dfine_nano,ssdlite",
        tune=True,
        jobs=9,
        epochs=3,
        settings=["patience=5", "weights=a=b"],
        approval=False,
        force=True,
    )
    assert asked.document() == {
        "families": ["ssdlite", "dfine_nano"],
        "tune": True,
        "tuning_jobs": 9,
        "hyperparameters": {"epochs": "3", "patience": "5", "weights": "a=b"},
        "approval": False,
        "force": True,
        "trigger": "manual",
    }


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_setting_is_split_at_its_first_equals_sign(name: str, value: str):
    name = name.replace("=", "_")
    if name != "family":
        assert _wish(settings=[f"{name}={value}"]).hyperparameters == {name: value}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"families": "yolo"}, "unknown family 'yolo'"),
        ({"families": "ssdlite,_shared"}, "unknown family '_shared'"),
        ({"families": " ,"}, "names no family"),
        ({"jobs": 3}, "--jobs"),
        ({"settings": ["patience"]}, "no NAME=VALUE"),
        ({"settings": ["=5"]}, "no NAME=VALUE"),
        ({"settings": ["patience="]}, "no NAME=VALUE"),
        ({"settings": ["family=ssdlite"]}, "not possible"),
        ({"epochs": 3, "settings": ["epochs=4"]}, "epochs is given twice"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_with_advice(changes: dict[str, Any], message: str):
    with pytest.raises(LoupeError, match=message) as caught:
        _wish(**changes)
    assert caught.value.hint


def test_the_families_are_those_of_the_detectors_and_cost_no_torch():
    # Not in this process, where another test may have imported torch.
    program = (
        "import sys; from loupe.stack.retraining import known_families; mine = known_families(); "
        "assert not {'torch', 'training'} & set(sys.modules); "
        "from training.detectors.registry import families; assert mine == families() != []"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_the_wish_is_the_input_of_the_execution(stack: Target):
    requests: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        requests.append(request)
        return {"executionArn": ARN}

    with answering(stack, "states", StartExecution=answer):
        assert retraining.start(stack, _wish(epochs=3)) == ARN
    assert requests[0]["stateMachineArn"] == MACHINE
    assert json.loads(requests[0]["input"])["hyperparameters"] == {"epochs": "3"}


def test_an_older_template_is_told(stack: Target):
    older = Target(stack.session, None, {})
    with pytest.raises(LoupeError, match="no output RetrainStateMachineArn"):
        retraining.start(older, _wish())


def _running(*arns: str) -> Any:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        assert (request["stateMachineArn"], request["statusFilter"]) == (MACHINE, "RUNNING")
        start = int(request.get("nextToken", 0))
        rest = {"nextToken": str(start + 1)} if start + 1 < len(arns) else {}
        return {"executions": [{"executionArn": arn} for arn in arns[start : start + 1]], **rest}

    return answer


def test_stop_stops_all_that_is_at_work(stack: Target):
    stopped: list[str] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        stopped.append(request["executionArn"])
        return {"stopDate": 0}

    with answering(stack, "states", ListExecutions=_running(f"{ARN}2", ARN), StopExecution=answer):
        assert retraining.stop(stack) == stopped == [f"{ARN}2", ARN]


def test_the_execution_at_work_is_the_first_that_was_started(stack: Target):
    with answering(stack, "states", ListExecutions=_running(f"{ARN}2", ARN)):
        assert retraining.at_work(stack) == ARN


@pytest.mark.parametrize("act", [retraining.stop, retraining.at_work])
def test_where_nothing_is_at_work_that_is_said(stack: Target, act: Any):
    with (
        answering(stack, "states", ListExecutions=_running()),
        pytest.raises(LoupeError, match="no retraining"),
    ):
        act(stack)


def _follow(target: Target, describe: Any, events: list[dict[str, Any]]) -> tuple[dict[str, Any], list[Any]]:
    seen: list[retraining.Progress] = []

    def unknown(_: Any) -> Any:
        raise RefusedError("ValidationException")

    kinds = ("TrainingJob", "HyperParameterTuningJob", "ProcessingJob")
    with (
        answering(target, "sagemaker", **{f"Describe{kind}": unknown for kind in kinds}),
        answering(target, "states", DescribeExecution=describe, GetExecutionHistory=history(events)),
    ):
        return retraining.follow(target, ARN, seen.append, poll_every=0), seen


def _ended() -> Recorder:
    recorder = Recorder()
    recorder.through("Task", "Plan", PLAN)
    return recorder


def test_following_ends_with_the_output_and_has_shown_steps_and_jobs(stack: Target):
    answers = iter(["RUNNING", "PENDING_REDRIVE", "SUCCEEDED"])

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        return {"executionArn": ARN, "status": next(answers), "output": json.dumps(DONE)}

    document, seen = _follow(stack, describe, _ended().events)
    assert document == DONE
    assert len(seen) == 3
    assert [step.name for step in seen[-1].steps] == ["Plan"]
    assert [line.label for line in seen[-1].jobs] == ["ssdlite", "ssdlite-tuned"]
    assert seen[-1].run == PLAN["run"]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_did_not_succeed_tells_why(stack: Target, status: str):
    describe = described(status, error="LabelledDataError", cause="there is no labelled data yet")
    document, _ = _follow(stack, describe, [])
    assert document == {
        "status": status,
        "error": "LabelledDataError",
        "cause": "there is no labelled data yet",
    }


def test_an_error_that_passes_does_not_end_the_following(stack: Target):
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


def test_an_error_that_stays_is_told_at_once(stack: Target):
    def describe(request: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        _follow(stack, describe, [])


def test_an_account_out_of_reach_for_long_ends_the_following_not_the_execution(
    stack: Target, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retraining, "_OFFLINE_SECONDS", 0.0)

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        raise EndpointConnectionError(endpoint_url="https://states")

    with pytest.raises(LoupeError, match="cannot be followed") as caught:
        _follow(stack, describe, [])
    assert "goes on" in caught.value.hint
