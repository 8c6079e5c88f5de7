"""Ways through the retrain state machine, how they are gone, and what holds at the end of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services import stepfunctions

from retraining.errors import SmokeTestError
from tests.unit.statemachine.account import CHAMPION, Account, Endpoint

Prepare = Callable[[Account], dict[str, Any] | None]


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


Run = Callable[..., Ended]


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
    "Children": tuned_too,
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
