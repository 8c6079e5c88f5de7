"""What happens after a run that Step Functions ended: its reason reaches people, and its jobs do not run on."""

from collections.abc import Callable
from datetime import timedelta

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from retraining.aftermath import Aftermath
from tests.unit.retraining.account import BEGAN, Account

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:press-retrain:one"
PREFIX = "01234567"
End = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def end(account: Account) -> End:
    """End the execution, and return the notices."""
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="press-operations")["TopicArn"]
    sent = sns_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].topics[topic].sent_notifications
    sent.clear()

    def end(status: str, **ending: str) -> list[tuple[str, str]]:
        account.executions[EXECUTION], account.endings[EXECUTION] = status, ending
        Aftermath(account.states, account.sagemaker, sns, topic, PREFIX).clear(EXECUTION)
        return [(subject, body) for _, body, subject, _, _ in sent]

    return end


@pytest.mark.parametrize("error", ["States.Runtime", "States.DataLimitExceeded"])
def test_an_error_that_no_state_can_catch_reaches_people_with_its_reason(end: End, error: str) -> None:
    cause = "The field 'RandomSeed' is not supported by Step Functions\x1b[31m"
    ((subject, message),) = end("FAILED", error=error, cause=cause)
    assert subject == "Loupe: retraining failed"
    assert f"The retraining one failed: {error}. The field 'RandomSeed' is not supported" in message
    assert "\x1b" not in message
    assert "loupe models" in message


def test_a_run_that_has_sent_its_own_notice_gets_no_second_one(end: End) -> None:
    assert end("FAILED", error="SwapRefused", cause="no capacity") == []


def test_a_run_that_ran_out_of_its_own_time_is_reported(end: End) -> None:
    ((subject, message),) = end("TIMED_OUT")
    assert subject == "Loupe: retraining failed"
    assert "did not end within two weeks: no cause was given" in message


def test_a_run_that_a_person_stopped_is_reported_as_stopped(end: End) -> None:
    ((subject, message),) = end("ABORTED", error="Stopped", cause="stopped by `loupe retrain --stop`")
    assert subject == "Loupe: retraining stopped"
    assert "was stopped: Stopped. stopped by" in message


def test_jobs_for_which_nobody_waits_are_stopped_and_named(end: End, account: Account) -> None:
    account.job(f"{PREFIX}-ab-hpo", "InProgress")
    ((_, message),) = end("ABORTED")
    assert set(account.stopped) == {f"{PREFIX}-ab-hpo"}
    assert f"Stopped: {PREFIX}-ab-hpo" in message


def test_jobs_of_a_failed_run_are_stopped_without_a_second_notice(end: End, account: Account) -> None:
    account.job(f"{PREFIX}-ab-hpo", "InProgress")
    assert end("FAILED", error="SwapRefused") == []
    assert account.stopped


def test_no_other_job_is_stopped(end: End, account: Account) -> None:
    """One that has ended, one of another stack, and one of the next run, which has begun meanwhile."""
    account.job(f"{PREFIX}-done", "Completed")
    account.job(f"other-{PREFIX}-job", "InProgress")
    account.job(f"{PREFIX}-next", "InProgress", CreationTime=BEGAN + timedelta(days=2))
    end("ABORTED")
    assert account.stopped == []
