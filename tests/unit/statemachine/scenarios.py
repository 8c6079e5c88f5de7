"""Scenarios for the retrain state machine, their outcomes, and what holds after each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services import stepfunctions

from contract.families import ANOMALY_FAMILIES
from retraining.errors import SmokeTestError
from tests.unit.retraining.evaluations import GOOD_ONLY, with_images
from tests.unit.statemachine.account import (
    CHAMPION,
    CHAMPION_SCORES,
    CHAMPION_VERSION,
    NEW_SCORES,
    NEW_VERSION,
    Account,
    Endpoint,
)

# Prepares an account, and returns the execution's input if that is not empty.
Scenario = Callable[[Account], dict[str, Any] | None]


@dataclass
class Outcome:
    """An execution that has ended, and the account that it leaves."""

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
        """The state machine's own states in the order in which they were entered, without those inside the Map."""
        events = self.execution["events"]
        return [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]

    @property
    def serves(self) -> str | None:
        """`champion` or `new`, after every change of the endpoint has ended; None if no model serves."""
        endpoint = self.account.settle_endpoint()
        if endpoint is None or endpoint.status not in ("InService", "Updating"):
            return None
        return "champion" if endpoint.config == CHAMPION else "new"

    @property
    def notice(self) -> str:
        return str(self.account.notices[-1]["Message"])

    @property
    def versions(self) -> list[str]:
        """The status of each version in the registry."""
        return [package["ModelApprovalStatus"] for package in self.account.packages]


Start = Callable[..., Outcome]


def assert_safe(outcome: Outcome) -> None:
    """Assert what must hold after every run."""
    assert outcome.status in ("SUCCEEDED", "FAILED")
    assert outcome.account.notices, "no notice was sent"
    live = "Live" in outcome.entered
    assert_rules_fit(outcome)
    assert (outcome.decision in ("promoted", "restored")) <= live
    if outcome.serves == "new":
        assert live, "a model serves that has not passed the smoke test"
        assert outcome.versions == ["Approved"]
    else:
        assert not live
        if "Return" in outcome.entered:
            assert outcome.versions == ["Approved"], (
                "a version lost its approval because it could not serve now"
            )
            return
        assert "Approved" not in outcome.versions, "a version is approved that was never live"


def assert_rules_fit(outcome: Outcome) -> None:
    """Assert that each model is judged by its own scores, from its first image on."""
    account = outcome.account
    assert set(account.scores_at_the_swap) <= {NEW_SCORES}, (
        "the new model was judged by the champion's scores"
    )
    if outcome.serves == "new":
        assert account.scores_for(NEW_VERSION) == NEW_SCORES
    else:
        assert account.scores_for(CHAMPION_VERSION) == CHAMPION_SCORES
    assert account.rules["classes"]["dent"]["severity"] == "critical", "more than the scores was changed"


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


def an_earlier_version(account: Account) -> dict[str, Any]:
    account.register()
    return {"serve": 1}


def fails_its_smoke_test(account: Account) -> None:
    account.smoke = lambda event: _raise(SmokeTestError("on s3://a/b.jpg the endpoint finds\nno scratch"))


def a_person_approves(account: Account) -> dict[str, Any]:
    account.answer = lambda token: stepfunctions._send_task_success({"taskToken": token, "output": "{}"})
    return {"approval": True}


def a_person_rejects(account: Account) -> dict[str, Any]:
    refusal = {"error": "Rejected", "cause": "look at\npicture 12"}
    account.answer = lambda token: stepfunctions._send_task_failure({"taskToken": token, **refusal})
    return {"approval": True}


def an_anomaly_model(account: Account) -> dict[str, Any]:
    """A detector serves, and the candidate is it with an anomaly model beside it."""
    account.reports = {
        "champion": with_images("detector", 0.8),
        ANOMALY_FAMILIES[0]: with_images("both", 0.95),
    }
    return {"families": [ANOMALY_FAMILIES[0]]}


def nothing_to_test_an_anomaly_model_on(account: Account) -> dict[str, Any]:
    """No test image shows a defect, a person approves, and the request wants no approval."""
    account.reports = {
        "champion": with_images("detector", 0.8, **GOOD_ONLY),
        ANOMALY_FAMILIES[0]: with_images("both", 0.8, **GOOD_ONLY),
    }
    a_person_approves(account)
    return {"families": [ANOMALY_FAMILIES[0]], "approval": False}


def the_endpoint_failed_before(account: Account) -> None:
    account.endpoint = Endpoint(CHAMPION, "Failed", "no capacity")


def the_swap_never_ends(account: Account) -> None:
    account.swap = "never ends"


def on_other_instances(account: Account) -> None:
    """The champion runs on another instance type than the stack now asks for, and is scaled."""
    account.champion_type, account.registered = "ml.g5.xlarge", True


def on_other_instances_and_fails_its_smoke_test(account: Account) -> None:
    on_other_instances(account)
    fails_its_smoke_test(account)


def the_tuning_never_ends(account: Account) -> dict[str, Any]:
    account.tuning_ends = False
    return {"tune": True}


def _raise(error: Exception) -> Any:
    raise error


# The scenario that enters a task. All other tasks are entered by `a_better_model`.
_SCENARIOS: dict[str, Scenario] = {
    "Tune": tuned_too,
    "AwaitTuning": tuned_too,
    "StopTuning": the_tuning_never_ends,
    "Children": tuned_too,
    "PauseScaling": on_other_instances,
    "PauseScalingAgain": on_other_instances_and_fails_its_smoke_test,
    "ForgetFailedScaling": the_endpoint_failed_before,
    "RestoreScaling": fails_its_smoke_test,
    "RestoreScalingPolicy": fails_its_smoke_test,
    "ForgetScaling": first_model_fails_its_smoke_test,
    "AskApproval": a_person_approves,
    "Reject": a_person_rejects,
    "DeleteFailedEndpoint": the_endpoint_failed_before,
    "CreateEndpoint": first_model,
    "RollBack": fails_its_smoke_test,
    "AwaitRollBack": fails_its_smoke_test,
    "DeleteEndpoint": first_model_fails_its_smoke_test,
    "Withdraw": fails_its_smoke_test,
    "WithdrawRules": fails_its_smoke_test,
    "Retract": the_swap_never_ends,
    "NoticeFailure": the_swap_never_ends,
}


def scenario_for(task: str) -> Scenario:
    """Return a scenario that enters the task."""
    return _SCENARIOS.get(task, a_better_model)
