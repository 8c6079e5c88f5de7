"""Jobs by name: what was done is found again, what failed or was left behind gets the next name."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from retraining.jobs import Found, Jobs
from tests.unit.retraining.account import Account, RefusedError

KINDS = ["training", "tuning", "processing"]
DONE = {"BestTrainingJob": {"TrainingJobName": "j-001"}}

Find = Callable[[str], Found]


@pytest.fixture(params=KINDS)
def find(account: Account, request: pytest.FixtureRequest) -> Find:
    found: Find = getattr(Jobs(account.sagemaker), request.param)
    return found


def test_a_name_that_is_not_known_is_free(find: Find) -> None:
    assert find("j") == Found("j")


def test_a_job_that_is_done_is_found_again_and_nothing_stopped(find: Find, account: Account) -> None:
    account.job("j", "Completed", **DONE)
    found = find("j")
    assert found.name == "j"
    assert found.done is not None
    assert found.done["BestTrainingJob"] == DONE["BestTrainingJob"]
    assert account.stopped == []


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Stopping"])
def test_after_a_job_that_came_to_nothing_comes_the_next_name(
    find: Find, account: Account, status: str
) -> None:
    account.job("j", status)
    assert find("j") == Found("j-2")
    assert account.stopped == []


def test_a_job_that_an_earlier_run_left_at_work_is_stopped(find: Find, account: Account) -> None:
    account.job("j", "InProgress")
    assert find("j") == Found("j-2")
    assert account.stopped == ["j"]


def test_names_are_counted_on_until_one_is_done_or_free(find: Find, account: Account) -> None:
    account.job("j", "Failed")
    account.job("j-2", "Stopped")
    assert find("j") == Found("j-3")
    account.job("j-3", "Completed", **DONE)
    assert find("j").name == "j-3"
    assert find("j").done


def test_a_tuning_job_that_found_no_model_came_to_nothing(account: Account) -> None:
    account.job("j", "Completed")
    assert Jobs(account.sagemaker).tuning("j") == Found("j-2")
    assert Jobs(account.sagemaker).training("j").done


def test_an_error_that_is_not_about_the_name_is_not_taken_for_a_free_one(
    find: Find, account: Account
) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    for name in ("DescribeTrainingJob", "DescribeHyperParameterTuningJob", "DescribeProcessingJob"):
        account.answers[name] = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        find("j")
