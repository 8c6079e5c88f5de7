"""Dead images go back to the queue that they came from, by a task of SQS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loupe.errors import LoupeError
from loupe.stack.target import Target

_POLL_SECONDS = 1.0
_LOCAL_POLL_SECONDS = 0.05
_ENDED = ("COMPLETED", "CANCELLED", "FAILED")


@dataclass(frozen=True, slots=True)
class Move:
    """How far a task is.

    Attributes:
        moved: How many messages it has moved.
        to_move: How many there were at its start.
        status: SQS's word.
    """

    moved: int
    to_move: int
    status: str


def move(
    target: Target, url: str, rate: int | None, on_progress: Callable[[Move], None] = lambda move: None
) -> Move:
    """Move all messages of a dead-letter queue back to the queues that they came from, and wait for the end.

    A moved message counts its receives anew. If it fails again, it comes back.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html

    Args:
        target: The stack.
        url: The dead-letter queue.
        rate: At most so many messages per second; None for what SQS takes for right.
        on_progress: Receives how far it is.

    Raises:
        LoupeError: The task has failed.
    """
    arn = target.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    # One task at a time moves a queue's messages; one that somebody has started before is as good.
    if _latest(target, arn).status != "RUNNING":
        limits: Any = {} if rate is None else {"MaxNumberOfMessagesPerSecond": rate}
        target.sqs.start_message_move_task(SourceArn=arn, **limits)
    while (found := _latest(target, arn)).status not in _ENDED:
        on_progress(found)
        time.sleep(_LOCAL_POLL_SECONDS if target.local_cloud else _POLL_SECONDS)
    if found.status == "FAILED":
        raise LoupeError("SQS could not move the messages", "What was not moved is still there: loupe dlq")
    return found


def _latest(target: Target, arn: str) -> Move:
    found = target.sqs.list_message_move_tasks(SourceArn=arn, MaxResults=1)["Results"]
    if not found:
        return Move(0, 0, "COMPLETED")
    entry = found[0]
    return Move(
        int(entry.get("ApproximateNumberOfMessagesMoved", 0)),
        int(entry.get("ApproximateNumberOfMessagesToMove", 0)),
        entry["Status"],
    )
