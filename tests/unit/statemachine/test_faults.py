"""The retrain state machine under faults: whatever fails, it ends, a person is told, and what is proven serves.

The definition runs in MiniStack's engine; `account` says what is real.
"""

import json
import re
from typing import Any

import pytest

from statemachine.definition import load
from tests.unit.statemachine.account import CHAMPION, ENDPOINT, Fault
from tests.unit.statemachine.rules import tasks
from tests.unit.statemachine.ways import (
    Ended,
    Prepare,
    Run,
    fails_its_smoke_test,
    first_model,
    first_model_fails_its_smoke_test,
    stays_safe,
    the_swap_never_ends,
    way,
)

TASKS = dict(tasks(load()))


@pytest.fixture(scope="module")
def undisturbed() -> dict[Prepare, Any]:
    """The outcome of each way without a fault, once it was asked for."""
    return {}


@pytest.mark.parametrize(
    ("task", "error"),
    [(task, retrier["ErrorEquals"][0]) for task, state in TASKS.items() for retrier in state["Retry"]],
)
def test_a_task_that_fails_once_changes_nothing(
    start: Run, undisturbed: dict[Prepare, Any], task: str, error: str
) -> None:
    fault = Fault(task, "ThrottlingException" if error == "States.ALL" else error, times=1)
    if way(task) not in undisturbed:
        undisturbed[way(task)] = _outcome(start(way(task)))
    ended = start(way(task), fault)
    assert fault.times == 0, "the task was not reached"
    assert _outcome(ended) == undisturbed[way(task)]


def _outcome(ended: Ended) -> Any:
    """All that a run leaves, but for names and times of its own."""
    account = ended.account
    text = json.dumps([ended.status, ended.output, account.notices, account.packages, account.configs])
    text = re.sub(r"https://[^\\]+", "link", text.replace(account.documents.bucket, "bucket"))
    output = json.loads(text)
    output[1].pop("finished_at", None)
    return output, ended.serves, account.scaled, account.deleted, ended.entered


FOR_GOOD: dict[str, tuple[str, str | None, str | None]] = {
    # the execution's status, the decision, what serves
    "Plan": ("FAILED", None, "champion"),
    "Train": ("SUCCEEDED", "kept", "champion"),
    "Tune": ("SUCCEEDED", "promoted", "new"),  # the other candidate wins
    "Children": ("SUCCEEDED", "promoted", "new"),  # only its cost stays unknown
    "DescribeJob": ("SUCCEEDED", "kept", "champion"),
    "Evaluate": ("FAILED", None, "champion"),  # the champion's, too
    "Gate": ("FAILED", None, "champion"),
    "Register": ("FAILED", None, "champion"),
    "AskApproval": ("FAILED", None, "champion"),
    "Approve": ("FAILED", None, "champion"),
    "Reject": ("FAILED", None, "champion"),
    "CreateModel": ("FAILED", None, "champion"),
    "CreateEndpointConfig": ("FAILED", None, "champion"),
    "DescribeEndpoint": ("FAILED", None, "champion"),
    "DeleteFailedEndpoint": ("FAILED", None, None),
    "CreateEndpoint": ("FAILED", None, None),
    "UpdateEndpoint": ("FAILED", None, "champion"),
    "AwaitSwap": ("SUCCEEDED", "rolled_back", "champion"),
    "RegisterScaling": ("SUCCEEDED", "rolled_back", None),
    "PutScalingPolicy": ("SUCCEEDED", "rolled_back", None),
    "Smoke": ("SUCCEEDED", "rolled_back", "champion"),
    "AwaitRollBack": ("FAILED", None, "champion"),
    "Withdraw": ("FAILED", None, "champion"),
    "Report": ("FAILED", None, "new"),
    "Notice": ("FAILED", None, "new"),
    "Retract": ("FAILED", None, "champion"),
}
# What cannot be mended: the endpoint itself refuses the way back, its deletion, or the notice is what fails.
BEYOND_HELP = {"RollBack", "DeleteEndpoint", "NoticeFailure"}


def test_every_task_has_its_fault() -> None:
    assert FOR_GOOD.keys() | BEYOND_HELP == TASKS.keys()


@pytest.mark.parametrize("task", FOR_GOOD)
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "unanswered"])
def test_a_task_that_fails_for_good_leaves_what_is_proven(start: Run, task: str, lost: bool) -> None:
    """Refused: nothing was done. Unanswered: the service did it, and the state ran out of time."""
    if lost:
        ended = start(way(task), Fault(task, "States.Timeout", lost=True, cause=""))
    else:
        ended = start(way(task), Fault(task, TASKS[task]["Retry"][0]["ErrorEquals"][0]))
    assert task in ended.account.visited
    if task not in ("Reject", "Withdraw", "Retract"):
        stays_safe(ended)
    if not lost:
        assert (ended.status, ended.decision, ended.serves) == FOR_GOOD[task]
    if not lost and ended.status == "FAILED" and task != "Retract":
        assert "Rate exceeded" in ended.notice
    if ended.serves is None:
        assert ended.account.endpoint is None or ended.account.endpoint.config == CHAMPION


def test_first_model_whose_swap_cannot_be_watched_leaves_no_endpoint(start: Run) -> None:
    ended = start(first_model, Fault("AwaitSwap", "SageMaker.SageMakerException"))
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("rolled_back", None)
    assert ended.account.endpoint is None


def test_a_rollback_that_is_refused_for_good_is_told_of_the_model_that_serves(start: Run) -> None:
    ended = start(fails_its_smoke_test, Fault("RollBack", "SageMaker.SageMakerException"))
    assert (ended.status, ended.serves) == ("FAILED", "new")
    assert ended.output["Error"] == "RollBackFailed"
    for part in ("does not serve again", "no scratch", "Rate exceeded", "loupe models"):
        assert part in ended.notice
    assert ended.versions == ["Rejected"]
    assert ended.account.visited.count("RollBack") == 3


def test_a_rollback_without_an_answer_is_found_to_have_been_done(start: Run) -> None:
    ended = start(fails_its_smoke_test, Fault("RollBack", "States.Timeout", lost=True))
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("rolled_back", "champion")


def test_an_endpoint_that_cannot_be_deleted_is_named_to_a_person(start: Run) -> None:
    ended = start(
        first_model_fails_its_smoke_test, Fault("DeleteEndpoint", "SageMaker.AccessDeniedException")
    )
    assert (ended.status, ended.output["Error"]) == ("FAILED", "EndpointNotDeleted")
    assert f"delete {ENDPOINT}" in ended.notice
    assert ended.versions == ["Rejected"]


def test_a_deletion_without_an_answer_is_found_to_have_been_done(start: Run) -> None:
    fault = Fault("DeleteEndpoint", "States.Timeout", lost=True, cause="")
    ended = start(first_model_fails_its_smoke_test, fault)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)


def test_a_notice_that_cannot_be_sent_leaves_the_cause_with_the_execution(start: Run) -> None:
    ended = start(the_swap_never_ends, Fault("NoticeFailure", "SNS.InternalErrorException"))
    assert (ended.status, ended.output["Error"]) == ("FAILED", "SwapTimeout")
    assert ended.account.notices == []
