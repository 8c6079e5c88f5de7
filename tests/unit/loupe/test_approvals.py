"""A person's answer to a run that waits for approval."""

import json
from typing import Any

import pytest

from loupe.errors import LoupeError
from loupe.stack import approvals
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering

RUN, LATER = "0123456789ab", "ba9876543210"
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/press"


@pytest.fixture
def target(stack: Target) -> Target:
    _ask(stack, RUN, f"{ARN}/3", "2026-03-02T08:00:00Z")
    _ask(stack, LATER, "4", "2026-03-02T09:00:00Z")
    return stack


def _ask(target: Target, run: str, version: str, at: str) -> None:
    request = {"token": f"token of {run}", "run": run, "version": version, "requested_at": at}
    target.s3.put_object(
        Bucket="artefacts", Key=f"retraining/approvals/{run}.json", Body=json.dumps(request).encode()
    )


@pytest.mark.parametrize(("version_or_run", "run"), [(RUN, RUN), ("3", RUN), ("4", LATER), (LATER, LATER)])
def test_a_run_is_approved_by_its_id_or_its_version(target: Target, version_or_run: str, run: str):
    sent: list[dict[str, Any]] = []
    with answering(target, "stepfunctions", SendTaskSuccess=lambda request: sent.append(request) or {}):
        assert approvals.approve(target, version_or_run).run == run
    output = json.loads(sent[0]["output"])
    assert sent[0]["taskToken"] == f"token of {run}"
    assert output["approved"] is True
    assert output["by"].startswith("arn:aws:")


@pytest.mark.parametrize(("reason", "cause"), [("too slow", "too slow"), (None, "rejected by arn:aws:")])
def test_a_rejection_gives_its_reason_or_else_who_rejected(target: Target, reason, cause: str):
    sent: list[dict[str, Any]] = []
    with answering(target, "stepfunctions", SendTaskFailure=lambda request: sent.append(request) or {}):
        approvals.reject(target, "3", reason)
    assert (sent[0]["taskToken"], sent[0]["error"]) == (f"token of {RUN}", "Rejected")
    assert sent[0]["cause"].startswith(cause)


def test_a_request_that_was_answered_no_longer_waits(target: Target):
    with answering(target, "stepfunctions", SendTaskSuccess=lambda request: {}):
        approvals.approve(target, "3")
    assert [request.run for request in approvals.pending(target)] == [LATER]


@pytest.mark.parametrize("version_or_run", ["9", "aaaaaaaaaaaa"])
def test_a_run_that_does_not_wait_is_refused_with_those_that_do(target: Target, version_or_run: str):
    with pytest.raises(LoupeError, match="does not wait") as caught:
        approvals.approve(target, version_or_run)
    assert f"version 3 of run {RUN}, version 4 of run {LATER}" in caught.value.hint


def test_if_nothing_waits_the_hint_is_nothing(stack: Target):
    with pytest.raises(LoupeError) as caught:
        approvals.reject(stack, "1", None)
    assert "nothing" in caught.value.hint


def test_a_name_that_is_neither_version_nor_run_is_refused(target: Target):
    with pytest.raises(LoupeError, match="neither a version nor a run"):
        approvals.approve(target, "../lock")


@pytest.mark.parametrize("code", ["TaskDoesNotExist", "TaskTimedOut", "InvalidToken"])
def test_a_run_that_no_longer_waits_is_an_error(target: Target, code: str):
    def refuse(_: Any) -> Any:
        raise RefusedError(code)

    with (
        answering(target, "stepfunctions", SendTaskSuccess=refuse),
        pytest.raises(LoupeError, match=f"run {RUN} no longer waits"),
    ):
        approvals.approve(target, "3")


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"{", b'{"token":"t","run":"r","version":"x","requested_at":"y"}']
)
def test_a_damaged_request_is_an_error_with_its_key(stack: Target, body: bytes):
    key = f"retraining/approvals/{RUN}.json"
    stack.s3.put_object(Bucket="artefacts", Key=key, Body=body)
    with pytest.raises(LoupeError, match=key):
        approvals.approve(stack, RUN)
