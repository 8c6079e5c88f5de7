"""The retrain state machine and the rules: each model is judged by its own scores, whatever happens.

`assert_safe` checks that after every run of these tests, and of the others.
"""

from typing import Any

from tests.unit.retraining.evaluations import proposal
from tests.unit.statemachine.account import (
    CHAMPION_SCORES,
    CHAMPION_VERSION,
    NEW_SCORES,
    NEW_VERSION,
    Account,
    Fault,
)
from tests.unit.statemachine.scenarios import Start, assert_safe, fails_its_smoke_test, first_model

PROPOSED = {"fail_score": 0.42, "review_score": 0.17}


def test_with_a_new_model_its_scores_go_into_force_and_nothing_else_changes(start: Start) -> None:
    outcome = start()
    assert_safe(outcome)
    rules, result = outcome.account.rules, outcome.output["rules"]
    assert rules["classes"] == {"dent": {"severity": "critical", **PROPOSED}, "scratch": PROPOSED}
    assert rules["version"] == result["after"]["version"]
    assert rules["version"].startswith(f"{outcome.output['run']}-")
    assert (result["applied"], result["before"]["version"]) == (True, "1")
    (package,) = outcome.account.packages
    assert package["CustomerMetadataProperties"]["rules"] == rules["version"]
    assert package["CustomerMetadataProperties"]["rules_proposal"] == result["proposal"]
    assert rules["version"] in outcome.notice


def test_while_the_models_are_swapped_each_is_judged_by_its_own_scores(start: Start) -> None:
    seen: list[Any] = []

    def looked_at(account: Account) -> None:
        account.meanwhile["AwaitSwap"] = lambda: seen.extend(
            [account.scores_for(CHAMPION_VERSION), account.scores_for(NEW_VERSION), account.rules["version"]]
        )

    assert_safe(start(looked_at))
    assert seen == [CHAMPION_SCORES, NEW_SCORES, "1"]


def test_the_first_model_brings_its_scores_too(start: Start) -> None:
    outcome = start(first_model)
    assert_safe(outcome)
    assert outcome.output["rules"]["applied"]
    assert outcome.account.scores_at_the_swap == [NEW_SCORES]


def test_after_a_rollback_the_rules_are_those_of_before(start: Start) -> None:
    outcome = start(fails_its_smoke_test)
    assert_safe(outcome)
    assert outcome.decision == "rolled_back"
    assert outcome.account.rules == {"version": "1", "classes": {"dent": {"severity": "critical"}}}
    assert outcome.output["rules"] is None


def test_if_the_scores_cannot_be_applied_the_model_stays_and_is_still_judged_by_them(start: Start) -> None:
    outcome = start(fault=Fault("ApplyRules", "AccessDeniedException", cause="not allowed"))
    assert_safe(outcome)
    assert (outcome.status, outcome.decision) == ("SUCCEEDED", "promoted")
    assert outcome.output["rules"]["reason"] == "AccessDeniedException: not allowed"
    assert f"loupe rules set --scores {outcome.output['rules']['proposal']}" in outcome.notice


def test_if_the_stack_does_not_want_it_the_rules_stay_and_the_notice_has_the_command(start: Start) -> None:
    def unwanted(account: Account) -> None:
        account.applies_rules = False

    outcome = start(unwanted)
    assert (outcome.decision, outcome.output["rules"]["applied"]) == ("promoted", False)
    assert outcome.account.rules["version"] == "1"
    assert outcome.account.scores_for(NEW_VERSION) == CHAMPION_SCORES
    assert "ApplyProposedRules" in outcome.notice
    assert "loupe rules set --scores s3://" in outcome.notice


def test_a_model_without_operating_points_goes_live_and_the_notice_says_what_is_missing(start: Start) -> None:
    def without(account: Account) -> None:
        account.meanwhile["Register"] = lambda: [
            account.documents.write(item["Key"], proposal(labels=()))
            for item in account.documents.listing("reports/")
            if item["Key"].endswith("/rules.json")
        ]

    outcome = start(without)
    assert (outcome.decision, outcome.output["rules"]["applied"]) == ("promoted", False)
    assert "no class has a fail_score" in outcome.notice
    assert outcome.account.rules["version"] == "1"


def test_a_change_of_a_person_during_the_swap_is_kept(start: Start) -> None:
    def changed(account: Account) -> None:
        document = {"version": "mine", "classes": {"dent": {"severity": "critical", "smallest_area": 40}}}
        account.meanwhile["ApplyRules"] = lambda: account.set_rules(document)

    outcome = start(changed)
    assert_safe(outcome)
    assert outcome.output["rules"]["before"]["version"] == "mine"
    assert outcome.account.rules["classes"]["dent"] == {
        "severity": "critical",
        "smallest_area": 40,
        **PROPOSED,
    }
