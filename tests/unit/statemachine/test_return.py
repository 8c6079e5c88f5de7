"""A registered version serves again: without training, by the way of a new model."""

from typing import Any

import pytest

from tests.unit.statemachine.account import CHAMPION, NEW_SCORES, NEW_VERSION, Account, Fault
from tests.unit.statemachine.scenarios import (
    Start,
    an_earlier_version,
    assert_safe,
    fails_its_smoke_test,
    the_swap_never_ends,
)


def test_an_earlier_version_serves_again_with_its_own_scores(start: Start) -> None:
    outcome = start(an_earlier_version)
    assert_safe(outcome)
    assert (outcome.status, outcome.decision, outcome.serves) == ("SUCCEEDED", "restored", "new")
    assert outcome.account.models[outcome.output["endpoint_model"]] == "s3://models/earlier/model.tar.gz"
    assert outcome.account.scores_for(NEW_VERSION) == NEW_SCORES
    assert outcome.output["champion_before"] == CHAMPION
    assert outcome.output["report"] is None
    assert "An earlier version serves again" in outcome.notice
    assert not outcome.account.records["TrainingJob"], "something was trained"


def test_the_last_training_is_still_the_last(start: Start) -> None:
    outcome = start(an_earlier_version)
    assert outcome.account.documents.find("retraining/last/default.json") is None


@pytest.mark.parametrize("fault", ["smoke", "swap", "never"])
def test_a_version_that_fails_now_keeps_its_approval_and_the_champion_serves(
    start: Start, fault: str
) -> None:
    def scenario(account: Account) -> dict[str, Any]:
        if fault == "smoke":
            fails_its_smoke_test(account)
        elif fault == "swap":
            account.swap = "fails"
        else:
            the_swap_never_ends(account)
        return an_earlier_version(account)

    outcome = start(scenario)
    assert_safe(outcome)
    assert outcome.versions == ["Approved"]
    if fault != "never":
        assert (outcome.decision, outcome.serves) == ("rolled_back", "champion")


@pytest.mark.parametrize("state", ["CreateModel", "CreateEndpointConfig", "StageRules", "Smoke", "Report"])
def test_any_task_may_fail_for_good(start: Start, state: str) -> None:
    outcome = start(an_earlier_version, Fault(state, "States.TaskFailed"))
    assert outcome.account.notices
    assert outcome.versions == ["Approved"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"approval": "Rejected"}, "version 1 is Rejected"),
        ({"approval": "PendingManualApproval"}, "version 1 is PendingManualApproval"),
        ({"rules_proposal": ""}, "cannot be proven live"),
    ],
)
def test_a_version_that_may_not_serve_is_refused_and_the_notice_says_why(
    start: Start, change: dict[str, str], message: str
) -> None:
    def scenario(account: Account) -> dict[str, Any]:
        account.register(**change)
        return {"serve": 1}

    outcome = start(scenario)
    assert (outcome.status, outcome.serves) == ("FAILED", "champion")
    assert message in outcome.notice


def test_an_unknown_version_is_refused_with_those_that_exist(start: Start) -> None:
    def scenario(account: Account) -> dict[str, Any]:
        account.register()
        return {"serve": 7}

    outcome = start(scenario)
    assert outcome.status == "FAILED"
    assert "there is no version 7; registered versions: 1" in outcome.notice


def test_a_version_that_serves_is_left_alone(start: Start) -> None:
    def scenario(account: Account) -> dict[str, Any]:
        account.register()
        account.models[CHAMPION] = "s3://models/earlier/model.tar.gz"
        return {"serve": 1}

    outcome = start(scenario)
    assert (outcome.status, outcome.decision) == ("SUCCEEDED", "nothing_new")
    assert outcome.account.visited == ["Plan"]
