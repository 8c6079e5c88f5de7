"""One run at a time, and a run that was killed blocks no other."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.keys import LOCK
from retraining import lock
from retraining.documents import Documents
from tests.unit.retraining.account import Account, RefusedError

ARN = "arn:aws:states:eu-central-1:123456789012:execution:press-retrain:"
MINE, OTHER, THIRD = (ARN + name for name in ("mine", "other", "third"))


def holder(documents: Documents) -> str:
    stored = documents.find(LOCK)
    assert stored
    return str(stored[0]["execution"])


def acquire(documents: Documents, account: Account, execution: str = MINE) -> str | None:
    return lock.acquire(documents, account.states, execution)


def test_a_free_lock_is_taken(documents: Documents, account: Account) -> None:
    assert acquire(documents, account) is None
    assert holder(documents) == MINE
    assert account.calls == []


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE"])
def test_a_running_execution_keeps_the_lock(documents: Documents, account: Account, status: str) -> None:
    account.executions[OTHER] = status
    acquire(documents, account, OTHER)
    assert acquire(documents, account) == OTHER
    assert holder(documents) == OTHER


@pytest.mark.promise(10)
@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_has_ended_does_not_hold_the_lock(
    documents: Documents, account: Account, status: str
) -> None:
    account.executions[OTHER] = status
    acquire(documents, account, OTHER)
    assert acquire(documents, account) is None
    assert holder(documents) == MINE


def test_an_execution_that_step_functions_forgot_does_not_hold_the_lock(
    documents: Documents, account: Account
) -> None:
    acquire(documents, account, OTHER)
    assert acquire(documents, account) is None
    assert holder(documents) == MINE


def test_the_same_execution_can_take_the_lock_twice(documents: Documents, account: Account) -> None:
    account.executions[MINE] = "RUNNING"
    assert [acquire(documents, account), acquire(documents, account)] == [None, None]


def test_the_lock_is_not_taken_if_the_holder_s_status_is_not_known(
    documents: Documents, account: Account
) -> None:
    def refuse(_: Any) -> Any:
        raise RefusedError("AccessDeniedException")

    acquire(documents, account, OTHER)
    account.answers["DescribeExecution"] = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        acquire(documents, account)
    assert holder(documents) == OTHER


@pytest.mark.promise(18)
@pytest.mark.parametrize("before", [None, THIRD], ids=["free", "held by one that ended"])
def test_only_one_of_two_simultaneous_executions_gets_the_lock(
    documents: Documents, account: Account, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    account.executions |= {OTHER: "RUNNING", THIRD: "SUCCEEDED"}
    if before:
        acquire(documents, account, before)
    raced: list[str] = []
    write = Documents.write

    def other_first(self: Documents, *arguments: Any, **options: Any) -> bool:
        if not raced:
            raced.append(OTHER)
            assert lock.acquire(documents, account.states, OTHER) is None
        return write(self, *arguments, **options)

    monkeypatch.setattr(Documents, "write", other_first)
    assert acquire(documents, account) == OTHER
    assert holder(documents) == OTHER


def test_a_lock_that_is_deleted_meanwhile_is_taken(
    documents: Documents, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire(documents, account, OTHER)
    deleted: list[Any] = []
    write = Documents.write

    def deleted_first(self: Documents, *arguments: Any, **options: Any) -> bool:
        if not deleted:
            deleted.append(documents.s3.delete_object(Bucket="artefacts", Key=LOCK))
        return write(self, *arguments, **options)

    monkeypatch.setattr(Documents, "write", deleted_first)
    assert acquire(documents, account) is None
    assert holder(documents) == MINE
