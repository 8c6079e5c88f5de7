"""Tasks that move dead letters back: as on AWS, one at a time, to where each message came from, without losing one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import sqs

from localcloud.ministack import message_moves
from localcloud.ministack.environment import ACCOUNT, REGION

pytestmark = pytest.mark.promise(8)


def arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two queues with one dead-letter queue, and a queue that has none."""
    monkeypatch.setattr(sqs._queues, "_data", {})
    monkeypatch.setattr(sqs, "_queue_name_to_url", type(sqs._queue_name_to_url)())
    monkeypatch.setattr(sqs, "_HANDLERS", dict(sqs._HANDLERS))
    message_moves.apply()
    with request_scope(ACCOUNT, REGION):
        redrive = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1})
        call("CreateQueue", QueueName="dead")
        for name in ("images", "again"):
            call(
                "CreateQueue", QueueName=name, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"}
            )
        call("CreateQueue", QueueName="other")
        yield


def call(action: str, **request: Any) -> Any:
    """Call SQS, and let what it has started end."""

    async def run() -> Any:
        answer = sqs._HANDLERS[action](request, request.get("QueueUrl", ""))
        answer = await answer if asyncio.iscoroutine(answer) else answer
        started = asyncio.all_tasks() - {asyncio.current_task()}
        if request.get("MaxNumberOfMessagesPerSecond") is None:
            await asyncio.gather(*started)
        return answer

    return asyncio.run(run())


def url(name: str) -> str:
    return str(call("GetQueueUrl", QueueName=name)["QueueUrl"])


def fail(queue: str, *bodies: str) -> None:
    """Send messages, and receive them once too often."""
    for body in bodies:
        call("SendMessage", QueueUrl=url(queue), MessageBody=body)
    for _ in range(2):
        call("ReceiveMessage", QueueUrl=url(queue), MaxNumberOfMessages=10)


def bodies(queue: str) -> list[str]:
    return [message["body"] for message in sqs._get_q(url(queue))["messages"]]


def latest() -> dict[str, Any]:
    results: list[dict[str, Any]] = call("ListMessageMoveTasks", SourceArn=arn("dead"))["Results"]
    return results[0]


def test_each_message_goes_back_to_the_queue_that_it_came_from_as_a_new_one(
    tried: Callable[..., None],
) -> None:
    fail("images", "a", "b")
    fail("again", "c")
    assert bodies("dead") == ["a", "b", "c"]
    before = {message["id"] for message in sqs._get_q(url("dead"))["messages"]}

    call("StartMessageMoveTask", SourceArn=arn("dead"))
    assert (bodies("dead"), bodies("images"), bodies("again")) == ([], ["a", "b"], ["c"])
    assert {name: latest()[name] for name in ("Status", "ApproximateNumberOfMessagesMoved")} == {
        "Status": "COMPLETED",
        "ApproximateNumberOfMessagesMoved": 3,
    }
    moved = sqs._get_q(url("images"))["messages"]
    assert all(message["receive_count"] == 0 and message["id"] not in before for message in moved)
    # It fails again, and comes back with its source.
    fail("images")
    assert bodies("dead") == ["a", "b"]
    call("StartMessageMoveTask", SourceArn=arn("dead"))
    assert bodies("images") == ["a", "b"]
    tried(inputs=5)


def test_all_go_to_another_queue_if_one_is_named() -> None:
    fail("images", "a")
    call("StartMessageMoveTask", SourceArn=arn("dead"), DestinationArn=arn("other"))
    assert (bodies("dead"), bodies("other")) == ([], ["a"])


def test_what_somebody_has_just_received_stays() -> None:
    fail("images", "a", "b")
    call("ReceiveMessage", QueueUrl=url("dead"), MaxNumberOfMessages=1, VisibilityTimeout=60)
    call("StartMessageMoveTask", SourceArn=arn("dead"))
    assert (bodies("dead"), bodies("images")) == (["a"], ["b"])


def test_a_message_without_a_source_fails_the_task_and_stays() -> None:
    call("SendMessage", QueueUrl=url("dead"), MessageBody="sent by hand")
    call("StartMessageMoveTask", SourceArn=arn("dead"))
    assert bodies("dead") == ["sent by hand"]
    assert latest()["Status"] == "FAILED"


def test_a_task_that_was_cancelled_moves_no_more() -> None:
    fail("images", *"abcdef")

    async def run() -> dict[str, Any]:
        task = await sqs._HANDLERS["StartMessageMoveTask"](
            {"SourceArn": arn("dead"), "MaxNumberOfMessagesPerSecond": 1}, ""
        )
        with pytest.raises(sqs._Err, match="already a task running"):
            await sqs._HANDLERS["StartMessageMoveTask"]({"SourceArn": arn("dead")}, "")
        await asyncio.sleep(0)
        answer: dict[str, Any] = sqs._HANDLERS["CancelMessageMoveTask"](task, "")
        return answer

    moved = asyncio.run(run())["ApproximateNumberOfMessagesMoved"]
    assert len(bodies("dead")) == 6 - moved
    assert latest()["Status"] == "CANCELLED"
    assert "TaskHandle" not in latest()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"SourceArn": arn("nowhere")}, "ResourceNotFoundException"),
        ({"SourceArn": arn("other")}, "InvalidParameterValue"),
        ({"SourceArn": arn("dead"), "DestinationArn": arn("nowhere")}, "ResourceNotFoundException"),
        ({"SourceArn": arn("dead"), "MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue"),
    ],
)
def test_what_aws_refuses_is_refused(request_: dict[str, Any], code: str) -> None:
    with pytest.raises(sqs._Err) as error:
        call("StartMessageMoveTask", **request_)
    assert error.value.code == code
