"""The retrain state machine under faults: whatever fails, it ends, a person is told, and what is proven serves.

The definition runs in MiniStack's engine; `state_machine_account` says what is real.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ministack.services import stepfunctions
from moto import mock_aws

from retraining.errors import SmokeTestError
from statemachine.definition import Definition, load, scopes
from tests.unit.state_machine_account import CHAMPION, ENDPOINT, Account, Endpoint, Fault
from tests.unit.state_machine_engine import Edge, run

DEFINITION = load()
TASKS = {
    name: state
    for scope in scopes(DEFINITION)
    for name, state in scope.states.items()
    if state["Type"] == "Task"
}


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with mock_aws():
        yield Edge()


@dataclass
class Ended:
    """An execution that is over."""

    account: Account
    execution: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.execution["status"])

    @property
    def output(self) -> dict[str, Any]:
        output: dict[str, Any] = self.execution["output"]
        return output

    @property
    def decision(self) -> str | None:
        return self.output.get("decision")

    @property
    def entered(self) -> list[str]:
        """The machine's own states, one after the other."""
        events = self.execution["events"]
        return [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]

    @property
    def serves(self) -> str | None:
        """`champion` or `new`, once all that was begun with the endpoint has ended; None where none serves."""
        endpoint = self.account.settled()
        if endpoint is None or endpoint.status not in ("InService", "Updating"):
            return None
        return "champion" if endpoint.config == CHAMPION else "new"

    @property
    def notice(self) -> str:
        return str(self.account.notices[-1]["Message"])

    @property
    def versions(self) -> list[str]:
        """The registry's, by their status."""
        return [package["ModelApprovalStatus"] for package in self.account.packages]


Prepare = Callable[[Account], dict[str, Any] | None]
Run = Callable[..., Ended]


@pytest.fixture
def start(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the definition on an account that a function has prepared; it returns what is wished for."""

    def start(
        prepare: Prepare = lambda account: None,
        fault: Fault | None = None,
        definition: Definition = DEFINITION,
    ) -> Ended:
        account = edge.open()
        wishes = prepare(account) or {}
        account.fault = fault
        with monkeypatch.context() as patch:
            edge.functions(patch)
            return Ended(account, run(account, definition, patch, **wishes))

    return start


# ---------------------------------------------------------------- ways through the machine


def a_better_model(account: Account) -> None:
    """The champion serves, the candidate is better."""


def tuned_too(account: Account) -> dict[str, Any]:
    return {"tune": True}


def first_model(account: Account) -> None:
    account.endpoint = None
    account.models.clear()
    account.configs.clear()


def first_model_fails_its_smoke_test(account: Account) -> None:
    first_model(account)
    fails_its_smoke_test(account)


def fails_its_smoke_test(account: Account) -> None:
    account.smoke = lambda event: _raise(SmokeTestError("on s3://a/b.jpg the endpoint finds\nno scratch"))


def a_person_approves(account: Account) -> dict[str, Any]:
    account.answer = lambda token: stepfunctions._send_task_success({"taskToken": token, "output": "{}"})
    return {"approval": True}


def a_person_rejects(account: Account) -> dict[str, Any]:
    refusal = {"error": "Rejected", "cause": "look at\npicture 12"}
    account.answer = lambda token: stepfunctions._send_task_failure({"taskToken": token, **refusal})
    return {"approval": True}


def the_endpoint_failed_before(account: Account) -> None:
    account.endpoint = Endpoint(CHAMPION, "Failed", "no capacity")


def the_swap_never_ends(account: Account) -> None:
    account.swap = "never ends"


def _raise(error: Exception) -> Any:
    raise error


# The way that leads through a task; all others lie on the way of a better model.
WAY: dict[str, Prepare] = {
    "Tune": tuned_too,
    "AskApproval": a_person_approves,
    "Reject": a_person_rejects,
    "DeleteFailedEndpoint": the_endpoint_failed_before,
    "CreateEndpoint": first_model,
    "RegisterScaling": first_model,
    "PutScalingPolicy": first_model,
    "RollBack": fails_its_smoke_test,
    "AwaitRollBack": fails_its_smoke_test,
    "DeleteEndpoint": first_model_fails_its_smoke_test,
    "Withdraw": fails_its_smoke_test,
    "Retract": the_swap_never_ends,
    "NoticeFailure": the_swap_never_ends,
}


def way(task: str) -> Prepare:
    return WAY.get(task, a_better_model)


# ---------------------------------------------------------------- each task fails


def stays_safe(ended: Ended) -> None:
    """What holds however a run ends."""
    assert ended.status in ("SUCCEEDED", "FAILED")
    assert ended.account.notices, "nobody was told"
    live = "Live" in ended.entered
    assert (ended.decision == "promoted") <= live
    if ended.serves == "new":
        assert live, "a model serves that the smoke test has not passed"
        assert ended.versions == ["Approved"]
    else:
        assert not live
        assert "Approved" not in ended.versions, "a version may be gone back to that never was live"


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


# ---------------------------------------------------------------- what else may come


def test_a_better_model_is_promoted(start: Run) -> None:
    ended = start()
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "promoted", "new")
    assert ended.output["champion_before"] == CHAMPION
    assert ended.output["endpoint_model"] in ended.account.models
    assert ended.account.scaled == []
    (package,) = ended.account.packages
    assert package["CustomerMetadataProperties"]["model_name"] == ended.output["endpoint_model"]


def test_what_is_no_better_is_not_registered(start: Run) -> None:
    def worse(account: Account) -> None:
        account.quality["ssdlite"] = 0.45

    ended = start(worse)
    stays_safe(ended)
    assert (ended.decision, ended.serves, ended.versions) == ("kept", "champion", [])


def test_first_model_brings_its_endpoint_and_its_scaling(start: Run) -> None:
    ended = start(first_model)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    assert ended.output["champion_before"] is None
    assert ended.account.scaled == ["RegisterScalableTarget", "PutScalingPolicy"]


def test_nothing_new_trains_nothing_and_tells_nobody(start: Run) -> None:
    ended = start(lambda account: {"minimum_new_labels": 100})
    assert (ended.status, ended.decision) == ("SUCCEEDED", "nothing_new")
    assert ended.account.visited == ["Plan"]
    assert ended.account.notices == []


def test_a_second_run_ends_at_once(start: Run) -> None:
    def busy(account: Account) -> None:
        account.at_work = "arn:aws:states:us-east-1:000000000000:execution:retrain:other"
        account.documents.write("retraining/lock.json", {"execution": account.at_work})

    ended = start(busy)
    assert (ended.status, ended.decision) == ("SUCCEEDED", "already_running")
    assert ended.account.visited == ["Plan"]


def test_an_input_that_asks_for_nonsense_fails_with_its_reason(start: Run) -> None:
    ended = start(lambda account: {"families": ["yolo"]})
    assert (ended.status, ended.output["Error"]) == ("FAILED", "InvalidRequestError")
    assert "unknown family 'yolo'" in ended.output["Cause"]
    assert "unknown family 'yolo'" in ended.notice
    assert "Traceback" not in ended.notice


def test_a_candidate_that_fails_does_not_keep_the_other_from_winning(start: Run) -> None:
    def one_fails(account: Account) -> dict[str, Any]:
        account.failing_jobs = {"-ssdlite": "AlgorithmError: loss is nan"}
        account.quality["dfine_nano"] = 0.7
        return {"families": ["ssdlite", "dfine_nano"]}

    ended = start(one_fails)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    errors = {each["id"]: each["error"] for each in ended.output["candidates"]}
    assert errors == {"ssdlite": "AlgorithmError: loss is nan", "dfine_nano": None}


@pytest.mark.parametrize("tune", [False, True])
def test_all_candidates_fail_and_the_champion_stays(start: Run, tune: bool) -> None:
    def all_fail(account: Account) -> dict[str, Any]:
        account.failing_jobs = {"-ssdlite": "out of memory", "-hpo": "no training job completed"}
        return {"tune": tune}

    ended = start(all_fail)
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "kept", "champion")
    assert "out of memory" in ended.notice
    assert ("no training job completed" in ended.notice) == tune


def test_a_champion_that_cannot_be_evaluated_is_not_replaced(start: Run) -> None:
    def no_figures(account: Account) -> None:
        account.failing_jobs = {"-eval-champion": "the artefact is gone"}

    ended = start(no_figures)
    stays_safe(ended)
    assert (ended.status, ended.serves, ended.versions) == ("FAILED", "champion", [])
    assert "the artefact is gone" in ended.notice


def test_what_was_trained_and_evaluated_is_not_made_again(start: Run) -> None:
    first = start(fault=Fault("Gate", "BrokenReportError"))
    assert first.status == "FAILED"

    def as_it_was_left(account: Account) -> None:
        account.records, account.documents = first.account.records, first.account.documents

    second = start(as_it_was_left)
    assert second.decision == "promoted"
    assert not {"Train", "Evaluate"} & set(second.account.visited)


def test_an_endpoint_that_was_deleted_meanwhile_is_made_anew(start: Run) -> None:
    def deleted(account: Account) -> None:
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", None)

    ended = start(deleted)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    assert "CreateEndpoint" in ended.account.visited


def test_a_model_that_was_deployed_meanwhile_is_not_replaced(start: Run) -> None:
    def deployed(account: Account) -> None:
        account.models["by-hand"], account.configs["by-hand"] = "s3://x/model.tar.gz", "by-hand"
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", Endpoint("by-hand"))

    ended = start(deployed)
    assert (ended.status, ended.decision) == ("SUCCEEDED", "kept")
    assert "by-hand" in ended.notice
    assert ended.account.endpoint == Endpoint("by-hand")
    assert ended.versions == ["Rejected"]


def test_an_endpoint_that_had_failed_is_made_anew(start: Run) -> None:
    ended = start(the_endpoint_failed_before)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    assert ended.account.deleted == [CHAMPION]


def test_an_endpoint_that_is_being_changed_is_waited_for(start: Run) -> None:
    def scaled(account: Account) -> None:
        changing = Endpoint(CHAMPION, "Updating", ahead=[("InService", CHAMPION, None)])
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(account, "endpoint", changing)

    ended = start(scaled)
    stays_safe(ended)
    assert ended.decision == "promoted"
    assert "WaitForEndpoint" in ended.entered


@pytest.mark.parametrize("status", ["SystemUpdating", "Failed"])
def test_an_endpoint_that_never_comes_to_rest_is_given_up(start: Run, status: str) -> None:
    def busy(account: Account) -> None:
        account.meanwhile["DescribeEndpoint"] = lambda: setattr(
            account, "endpoint", Endpoint(CHAMPION, status)
        )
        account._DeleteEndpoint = lambda request: None  # type: ignore[method-assign]

    ended = start(busy)
    assert (ended.status, ended.output["Error"]) == ("FAILED", "EndpointBusy")
    assert status in ended.notice
    assert ended.versions == ["Rejected"]


def test_an_alarm_during_the_swap_brings_the_champion_back(start: Run) -> None:
    def alarmed(account: Account) -> None:
        account.swap = "fails"

    ended = start(alarmed)
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "rolled_back", "champion")
    assert "An alarm went into ALARM state" in ended.notice
    assert ended.versions == ["Rejected"]


def test_an_endpoint_that_does_not_come_up_is_removed(start: Run) -> None:
    def broken(account: Account) -> None:
        first_model(account)
        account.creation = "fails"

    ended = start(broken)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)
    assert "ping health check" in ended.notice


def test_a_failed_smoke_test_brings_the_champion_back(start: Run) -> None:
    ended = start(fails_its_smoke_test)
    stays_safe(ended)
    assert (ended.status, ended.decision, ended.serves) == ("SUCCEEDED", "rolled_back", "champion")
    assert "on s3://a/b.jpg the endpoint finds" in ended.notice
    (package,) = ended.account.packages
    assert "\n" not in package["ApprovalDescription"], "the registry takes one line"


def test_a_failed_smoke_test_of_the_first_model_leaves_no_endpoint(start: Run) -> None:
    ended = start(first_model_fails_its_smoke_test)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)


def test_a_rollback_that_fails_once_is_begun_anew(start: Run) -> None:
    def twice(account: Account) -> None:
        fails_its_smoke_test(account)
        account.meanwhile["RollBack"] = lambda: setattr(account, "swap", "fails")

    ended = start(twice)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("rolled_back", "champion")
    assert ended.account.visited.count("RollBack") == 2


def test_a_person_approves_and_it_goes_live(start: Run) -> None:
    ended = start(a_person_approves)
    stays_safe(ended)
    assert (ended.decision, ended.serves) == ("promoted", "new")
    asked = ended.account.documents.find(f"retraining/approvals/{ended.output['run']}.json")
    assert asked
    assert asked[0]["version"] == "1"
    assert any("approve" in str(notice["Subject"]) for notice in ended.account.notices)


def test_a_person_rejects_and_the_champion_stays(start: Run) -> None:
    ended = start(a_person_rejects)
    stays_safe(ended)
    assert (ended.decision, ended.serves, ended.versions) == ("rejected", "champion", ["Rejected"])
    assert ended.account.packages[0]["ApprovalDescription"] == "not approved: look at picture 12"


def test_nobody_answers_and_the_champion_stays(start: Run) -> None:
    short: Definition = json.loads(json.dumps(DEFINITION))
    short["States"]["AskApproval"]["TimeoutSeconds"] = 0.01
    ended = start(lambda account: {"approval": True}, definition=short)
    stays_safe(ended)
    assert (ended.decision, ended.serves, ended.versions) == ("rejected", "champion", ["Rejected"])
    assert "nobody approved it within a week" in ended.notice


def test_a_swap_that_never_ends_is_given_up(start: Run) -> None:
    ended = start(the_swap_never_ends)
    assert (ended.status, ended.output["Error"]) == ("FAILED", "SwapTimeout")
    assert ended.serves == "champion"
    assert ended.versions == ["Rejected"]
    assert ended.account.visited.count("AwaitSwap") * 300 > 4 * 3600, "longer than SageMaker's own patience"


def test_an_endpoint_that_never_comes_up_is_named_to_a_person(start: Run) -> None:
    """SageMaker refuses to delete what it is making."""

    def stuck(account: Account) -> None:
        first_model(account)
        account.creation = "never ends"

    ended = start(stuck)
    assert (ended.status, ended.output["Error"]) == ("FAILED", "EndpointNotDeleted")
    assert ENDPOINT in ended.notice


def test_an_endpoint_that_comes_up_too_late_is_deleted(start: Run) -> None:
    def late(account: Account) -> None:
        first_model(account)
        account.creation = "never ends"

        def come_up() -> None:
            account.endpoint = Endpoint(account._there().config)

        account.meanwhile["DeleteEndpoint"] = lambda: account.meanwhile.update(DeleteEndpoint=come_up)

    ended = start(late)
    stays_safe(ended)
    assert (ended.decision, ended.account.endpoint) == ("rolled_back", None)
