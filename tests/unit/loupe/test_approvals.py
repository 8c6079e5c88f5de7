"""A person's answer to a run that waits for approval."""

import json
from typing import Any

import pytest

from loupe.errors import LoupeError
from loupe.stack import approvals, registry
from loupe.stack.approvals import ApprovalRequest
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering
from tests.unit.loupe.serving_stack import Stack

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
        approved = approvals.approve(target, version_or_run)
    assert isinstance(approved, ApprovalRequest)
    assert approved.run == run
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


def _status(press: Stack, number: int) -> tuple[str, str]:
    (version,) = [version for version in registry.versions(press.target, None) if version.number == number]
    package = press.target.sagemaker.describe_model_package(ModelPackageName=version.arn)
    return version.status, package.get("ApprovalDescription", "")


def test_a_version_that_no_run_asks_about_is_approved_in_the_registry(press: Stack):
    """As the SageMaker SDK registers one: `loupe models` shows that it waits."""
    press.register("a", "PendingManualApproval")
    answered = approvals.approve(press.target, "1")
    assert isinstance(answered, registry.Version)
    assert answered.status == "Approved"
    status, why = _status(press, 1)
    assert status == "Approved"
    assert why.startswith("approved by arn:aws:")


def test_a_version_that_no_run_asks_about_is_rejected_with_the_reason(press: Stack):
    press.register("a", "PendingManualApproval")
    approvals.reject(press.target, "1", "too slow")
    assert _status(press, 1) == ("Rejected", "too slow")


def test_the_question_of_a_run_comes_before_the_registry(press: Stack):
    """The run itself writes the decision into the registry, after what it checks."""
    press.register("a", "PendingManualApproval")
    _ask(press.target, RUN, "1", "2026-03-02T08:00:00Z")
    with answering(press.target, "stepfunctions", SendTaskSuccess=lambda request: {}):
        assert isinstance(approvals.approve(press.target, "1"), ApprovalRequest)
    assert _status(press, 1)[0] == "PendingManualApproval"


@pytest.mark.parametrize(("status", "hint"), [("Approved", "rollback 1"), ("Rejected", "rollback 1 --force")])
def test_a_version_that_is_decided_is_not_decided_again(press: Stack, status: str, hint: str):
    press.register("a", status)
    with pytest.raises(LoupeError, match=f"version 1 is {status} already") as caught:
        approvals.approve(press.target, "1")
    assert caught.value.hint.endswith(hint)


def test_what_waits_is_listed_once_whether_a_run_or_the_registry_asks(press: Stack):
    for name in ("a", "b"):
        press.register(name, "PendingManualApproval")
    _ask(press.target, RUN, "1", "2026-03-02T08:00:00Z")
    with pytest.raises(LoupeError, match="9 does not wait") as caught:
        approvals.approve(press.target, "9")
    assert caught.value.hint == f"Waiting: version 1 of run {RUN}, version 2."
