"""The jobs of a run that get no instance, and the tuning job that the state machine itself waits for."""

from typing import Any

import pytest

from tests.unit.statemachine.account import Account, Fault
from tests.unit.statemachine.scenarios import Start, assert_safe, the_tuning_never_ends, tuned_too

JOBS = {
    "CreateTrainingJob": "ml.g5.xlarge for spot training job usage",
    "CreateHyperParameterTuningJob": "ml.g5.xlarge for training job usage",
    "CreateProcessingJob": "ml.c6i.xlarge for processing job usage",
}


def limit(quota: str, instances: int) -> str:
    """Return SageMaker's words about a quota."""
    return (
        f"The account-level service limit '{quota}' is {instances} Instances, with current utilization of "
        f"{instances} Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an "
        "increase for this quota."
    )


@pytest.mark.parametrize("operation", JOBS)
def test_a_quota_of_zero_ends_the_candidate_at_once_and_is_named(start: Start, operation: str) -> None:
    def none(account: Account) -> dict[str, Any]:
        account.refusals[operation] = (99, limit(JOBS[operation], 0))
        return {"tune": True}

    outcome = start(none)
    assert_safe(outcome)
    assert outcome.serves == ("champion" if operation == "CreateProcessingJob" else "new")
    assert f'ask for the quota "{JOBS[operation]}" in Service Quotas' in str(outcome.output) + outcome.notice
    # Not again and again: at most one request for each candidate, and for the champion.
    assert len(outcome.account.requests[operation]) <= 3
    assert "WaitForInstance" not in outcome.account.visited


@pytest.mark.parametrize("operation", JOBS)
def test_a_quota_that_is_used_up_is_waited_for(start: Start, operation: str) -> None:
    def busy(account: Account) -> dict[str, Any]:
        account.refusals[operation] = (5, limit(JOBS[operation], 10))
        return {"tune": True}

    outcome = start(busy)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("promoted", "new")
    assert outcome.account.refusals[operation][0] == 0


def test_a_quota_that_stays_used_up_ends_the_candidate_after_hours(start: Start) -> None:
    def never(account: Account) -> None:
        account.refusals["CreateTrainingJob"] = (999, limit(JOBS["CreateTrainingJob"], 1))

    outcome = start(never)
    assert_safe(outcome)
    assert (outcome.decision, outcome.serves) == ("kept", "champion")
    assert "no instance was free for hours" in outcome.notice
    assert len(outcome.account.requests["CreateTrainingJob"]) == 31


def test_a_tuning_job_that_never_ends_is_stopped_after_five_days_and_fits_into_the_executions_history(
    start: Start,
) -> None:
    """An execution has 25,000 events: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
    outcome = start(the_tuning_never_ends)
    assert_safe(outcome)
    assert outcome.decision == "promoted", "the other candidate wins"
    (job,) = outcome.account.records["HyperParameterTuningJob"].values()
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    errors = {candidate["id"]: candidate["error"] for candidate in outcome.output["candidates"]}
    assert errors["ssdlite-tuned"] == "the tuning job did not end within five days"
    looks = outcome.account.visited.count("AwaitTuning")
    assert sum(min(1800, 20 * 1.1**look) for look in range(looks)) > 5 * 86400
    events_of_a_look = 12  # entered and left: three states; scheduled, started, succeeded: one task
    assert looks * events_of_a_look < 25_000 / 4


def test_a_tuning_job_whose_creation_got_no_answer_is_found_again(start: Start) -> None:
    outcome = start(tuned_too, Fault("Tune", "States.Timeout", times=1, lost=True))
    assert_safe(outcome)
    assert len(outcome.account.records["HyperParameterTuningJob"]) == 1
    assert "Children" in outcome.account.visited
