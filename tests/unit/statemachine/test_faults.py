"""The retrain state machine under faults: whatever fails, it ends, sends a notice, and a proven model serves.

The definition runs in MiniStack's engine; `account` describes what is real.
"""

import json
import re
from typing import Any

import pytest

from statemachine.definition import load
from tests.unit.statemachine.account import CHAMPION, ENDPOINT, Fault
from tests.unit.statemachine.rules import tasks
from tests.unit.statemachine.scenarios import (
    Outcome,
    Scenario,
    Start,
    assert_safe,
    fails_its_smoke_test,
    first_model,
    first_model_fails_its_smoke_test,
    on_other_instances_and_fails_its_smoke_test,
    scenario_for,
    the_swap_never_ends,
)

TASKS = dict(tasks(load()))


@pytest.fixture(scope="module")
def undisturbed() -> dict[Scenario, Any]:
    """Return a cache for the result of each scenario without a fault."""
    return {}


@pytest.mark.promise(17)
@pytest.mark.parametrize(
    ("task", "error"),
    [(task, retrier["ErrorEquals"][0]) for task, state in TASKS.items() for retrier in state["Retry"]],
)
def test_a_task_that_fails_once_changes_nothing(
    start: Start, undisturbed: dict[Scenario, Any], task: str, error: str
) -> None:
    fault = Fault(task, "ThrottlingException" if error == "States.ALL" else error, times=1)
    scenario = scenario_for(task)
    if scenario not in undisturbed:
        undisturbed[scenario] = _comparable(start(scenario))
    outcome = start(scenario, fault)
    assert fault.times == 0, "the task was not entered"
    assert _comparable(outcome) == undisturbed[scenario]


def _comparable(outcome: Outcome) -> Any:
    """Return everything that a run leaves, without the names and times that differ between runs."""
    account = outcome.account
    text = json.dumps(
        [outcome.status, outcome.output, account.notices, account.packages, account.configs, account.rules]
    )
    text = re.sub(r"https://[^\\]+", "link", text.replace(account.documents.bucket, "bucket"))
    output = json.loads(text)
    output[1].pop("finished_at", None)
    return output, outcome.serves, account.scaled, account.deleted, outcome.entered


PERMANENT: dict[str, tuple[str, str | None, str | None]] = {
    # the execution's status, the decision, the model that serves
    "Plan": ("FAILED", None, "champion"),
    "Train": ("SUCCEEDED", "kept", "champion"),
    "Tune": ("SUCCEEDED", "promoted", "new"),  # the other candidate wins
    "AwaitTuning": ("SUCCEEDED", "promoted", "new"),
    "StopTuning": ("SUCCEEDED", "promoted", "new"),
    "Children": ("SUCCEEDED", "promoted", "new"),  # only the cost stays unknown
    "DescribeJob": ("SUCCEEDED", "kept", "champion"),
    "Evaluate": ("FAILED", None, "champion"),  # the champion's evaluation fails, too
    "Gate": ("FAILED", None, "champion"),
    "Register": ("FAILED", None, "champion"),
    "AskApproval": ("FAILED", None, "champion"),
    "Approve": ("FAILED", None, "champion"),
    "Reject": ("FAILED", None, "champion"),
    "CreateModel": ("FAILED", None, "champion"),
    "CreateEndpointConfig": ("FAILED", None, "champion"),
    "StageRules": ("FAILED", None, "champion"),
    "DescribeAlarms": ("FAILED", None, "champion"),
    "DescribeEndpoint": ("FAILED", None, "champion"),
    "DescribeServingConfig": ("FAILED", None, "champion"),
    "ForgetFailedScaling": ("SUCCEEDED", "promoted", "new"),  # SageMaker deregisters what is left
    "PauseScaling": ("FAILED", None, "champion"),  # SageMaker refuses the change
    "DeleteFailedEndpoint": ("FAILED", None, None),
    "CreateEndpoint": ("FAILED", None, None),
    "UpdateEndpoint": ("FAILED", None, "champion"),
    "AwaitSwap": ("SUCCEEDED", "rolled_back", "champion"),
    "RegisterScaling": ("SUCCEEDED", "rolled_back", "champion"),
    "PutScalingPolicy": ("SUCCEEDED", "rolled_back", "champion"),
    "RestoreScaling": ("SUCCEEDED", "rolled_back", "champion"),  # the report says that nothing scales it
    "RestoreScalingPolicy": ("SUCCEEDED", "rolled_back", "champion"),
    "ForgetScaling": ("SUCCEEDED", "rolled_back", None),
    "Smoke": ("SUCCEEDED", "rolled_back", "champion"),
    "AwaitRollBack": ("FAILED", None, "champion"),
    "ApplyRules": ("SUCCEEDED", "promoted", "new"),  # the staged scores still apply
    "Withdraw": ("FAILED", None, "champion"),
    "WithdrawRules": ("SUCCEEDED", "rolled_back", "champion"),
    "Report": ("FAILED", None, "new"),
    "Notice": ("FAILED", None, "new"),
    "Retract": ("FAILED", None, "champion"),
}
# Failures that no state can repair: the endpoint refuses the rollback or its deletion, or the notice itself fails.
BEYOND_REPAIR = {"RollBack", "PauseScalingAgain", "DeleteEndpoint", "NoticeFailure"}


def test_every_task_has_an_expected_outcome() -> None:
    assert PERMANENT.keys() | BEYOND_REPAIR == TASKS.keys()


@pytest.mark.promise(17)
@pytest.mark.parametrize("task", PERMANENT)
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "unanswered"])
def test_a_task_that_fails_permanently_leaves_a_proven_model(start: Start, task: str, lost: bool) -> None:
    """Refused: nothing was done. Unanswered: the service did it, and the task timed out."""
    if lost:
        outcome = start(scenario_for(task), Fault(task, "States.Timeout", lost=True, cause=""))
    else:
        outcome = start(scenario_for(task), Fault(task, TASKS[task]["Retry"][0]["ErrorEquals"][0]))
    assert task in outcome.account.visited
    if task not in ("Reject", "Withdraw", "Retract"):
        assert_safe(outcome)
    if not lost:
        assert (outcome.status, outcome.decision, outcome.serves) == PERMANENT[task]
    if not lost and outcome.status == "FAILED" and task != "Retract":
        # A target that stays makes SageMaker refuse the change that follows.
        assert ("scalable target" if task == "PauseScaling" else "Rate exceeded") in outcome.notice
    if outcome.serves is None:
        assert outcome.account.endpoint is None or outcome.account.endpoint.config == CHAMPION


def test_first_model_whose_swap_cannot_be_watched_leaves_no_endpoint(start: Start) -> None:
    outcome = start(first_model, Fault("AwaitSwap", "SageMaker.SageMakerException"))
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("rolled_back", None)
    assert outcome.account.endpoint is None


def test_a_rollback_that_is_always_refused_is_reported_with_the_model_that_serves(start: Start) -> None:
    outcome = start(fails_its_smoke_test, Fault("RollBack", "SageMaker.SageMakerException"))
    assert (outcome.status, outcome.serves) == ("FAILED", "new")
    assert outcome.output["Error"] == "RollBackFailed"
    for part in ("does not serve again", "no scratch", "Rate exceeded", "loupe models"):
        assert part in outcome.notice
    assert outcome.versions == ["Rejected"]
    assert outcome.account.visited.count("RollBack") == 3


def test_a_rollback_to_another_instance_type_is_reported_if_autoscaling_stays(start: Start) -> None:
    fault = Fault("PauseScalingAgain", "ApplicationAutoScaling.InternalServiceException")
    outcome = start(on_other_instances_and_fails_its_smoke_test, fault)
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "RollBackFailed")
    assert "scalable target" in outcome.notice


def test_a_rollback_whose_answer_is_lost_is_recognised_as_done(start: Start) -> None:
    outcome = start(fails_its_smoke_test, Fault("RollBack", "States.Timeout", lost=True))
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("rolled_back", "champion")


def test_a_notice_names_an_endpoint_that_cannot_be_deleted(start: Start) -> None:
    outcome = start(
        first_model_fails_its_smoke_test, Fault("DeleteEndpoint", "SageMaker.AccessDeniedException")
    )
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "EndpointNotDeleted")
    assert f"delete {ENDPOINT}" in outcome.notice
    assert outcome.versions == ["Rejected"]


def test_a_deletion_whose_answer_is_lost_is_recognised_as_done(start: Start) -> None:
    fault = Fault("DeleteEndpoint", "States.Timeout", lost=True, cause="")
    outcome = start(first_model_fails_its_smoke_test, fault)
    assert_safe(outcome)
    assert (outcome.decision, outcome.account.endpoint) == ("rolled_back", None)


def test_if_the_notice_cannot_be_sent_the_execution_has_the_cause(start: Start) -> None:
    outcome = start(the_swap_never_ends, Fault("NoticeFailure", "SNS.InternalErrorException"))
    assert (outcome.status, outcome.output["Error"]) == ("FAILED", "SwapTimeout")
    assert outcome.account.notices == []
