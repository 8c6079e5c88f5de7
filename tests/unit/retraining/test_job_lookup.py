"""Jobs by name: a completed job is found again, a failed or abandoned one gets the next name."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from retraining.jobs import Job, Jobs
from tests.unit.retraining.account import Account, RefusedError

KINDS = ["training", "tuning", "processing"]
COMPLETED = {"BestTrainingJob": {"TrainingJobName": "j-001"}}

Find = Callable[[str], Job]


@pytest.fixture(params=KINDS)
def find(account: Account, request: pytest.FixtureRequest) -> Find:
    method: Find = getattr(Jobs(account.sagemaker), request.param)
    return method


def test_an_unknown_name_is_free(find: Find) -> None:
    assert find("j") == Job("j")


def test_a_completed_job_is_found_again_and_not_stopped(find: Find, account: Account) -> None:
    account.job("j", "Completed", **COMPLETED)
    job = find("j")
    assert job.name == "j"
    assert job.completed is not None
    assert job.completed["BestTrainingJob"] == COMPLETED["BestTrainingJob"]
    assert account.stopped == []


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Stopping"])
def test_after_a_failed_job_comes_the_next_name(find: Find, account: Account, status: str) -> None:
    account.job("j", status)
    assert find("j") == Job("j-2")
    assert account.stopped == []


def test_a_job_that_an_earlier_run_left_running_is_stopped(find: Find, account: Account) -> None:
    account.job("j", "InProgress")
    assert find("j") == Job("j-2")
    assert account.stopped == ["j"]


def test_names_are_tried_until_one_is_completed_or_free(find: Find, account: Account) -> None:
    account.job("j", "Failed")
    account.job("j-2", "Stopped")
    assert find("j") == Job("j-3")
    account.job("j-3", "Completed", **COMPLETED)
    assert find("j").name == "j-3"
    assert find("j").completed


def test_a_completed_tuning_job_without_a_model_counts_as_failed(account: Account) -> None:
    account.job("j", "Completed")
    assert Jobs(account.sagemaker).tuning("j") == Job("j-2")
    assert Jobs(account.sagemaker).training("j").completed


def test_another_error_is_not_taken_for_a_free_name(find: Find, account: Account) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    for name in ("DescribeTrainingJob", "DescribeHyperParameterTuningJob", "DescribeProcessingJob"):
        account.answers[name] = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        find("j")
