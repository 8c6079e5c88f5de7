"""Changes to MiniStack's SQS: dead letters can be moved back to their queues (StartMessageMoveTask).

MiniStack does not know the three actions, with which `loupe dlq redrive` and the AWS console redrive a queue:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html

As on AWS, the source must be the dead-letter queue of another queue, one task at a time moves its messages, those that
somebody has just received are left alone, and a moved message is a new one: it has another id, and it counts its
receives anew.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
A task ends with the cloud; what it has not moved by then stays in the dead-letter queue.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ministack.core.concurrency import esm_wake
from ministack.core.responses import new_uuid
from ministack.services import sqs

_MOST_TASKS = 10
_MOST_PER_SECOND = 500
RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"


@dataclass
class _Task:
    """A task that moves messages.

    Attributes:
        source: The ARN of the dead-letter queue.
        destination: The ARN of the queue that receives the messages; None for that from which each came.
        rate: Messages per second; None if the request has left it open.
        to_move: How many there were at the start.
        handle: The task's handle.
        started_at: When it was started, in milliseconds since 1970.
        status: `RUNNING`, `COMPLETED`, `CANCELLED` or `FAILED`.
        moved: How many were moved.
        reason: Why it failed.
    """

    source: str
    destination: str | None
    rate: int | None
    to_move: int
    handle: str = field(default_factory=new_uuid)
    started_at: int = field(default_factory=lambda: int(time.time() * 1000))
    status: str = RUNNING
    moved: int = 0
    reason: str | None = None

    def entry(self) -> dict[str, Any]:
        """Return the task as ListMessageMoveTasks shows it; only of a task that runs, with its handle."""
        members = {
            "TaskHandle": self.handle if self.status == RUNNING else None,
            "Status": self.status,
            "SourceArn": self.source,
            "DestinationArn": self.destination,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self.reason,
            "StartedTimestamp": self.started_at,
        }
        return {name: value for name, value in members.items() if value is not None}


class _Tasks:
    """The newest tasks of each dead-letter queue, and those that run."""

    def __init__(self) -> None:
        self._by_source: dict[str, deque[_Task]] = {}
        # asyncio itself keeps no task alive.
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        """Answer StartMessageMoveTask."""
        source, destination = str(request.get("SourceArn") or ""), request.get("DestinationArn") or None
        queue = _dead_letter_queue(source)
        if destination and sqs._queue_by_arn(destination) is None:
            raise _not_found(destination)
        rate = request.get("MaxNumberOfMessagesPerSecond")
        if rate is not None and not 1 <= int(rate) <= _MOST_PER_SECOND:
            text = f"MaxNumberOfMessagesPerSecond must be between 1 and {_MOST_PER_SECOND}."
            raise sqs._Err("InvalidParameterValue", text)
        tasks = self._by_source.setdefault(source, deque(maxlen=_MOST_TASKS))
        if tasks and tasks[0].status == RUNNING:
            raise sqs._Err("UnsupportedOperation", "There is already a task running. Only one is allowed.")
        task = _Task(source, destination, rate and int(rate), len(_ready(queue)))
        tasks.appendleft(task)
        running = asyncio.get_running_loop().create_task(_move(task))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return {"TaskHandle": task.handle}

    def list(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        """Answer ListMessageMoveTasks."""
        source = str(request.get("SourceArn") or "")
        _dead_letter_queue(source)
        limit = int(request.get("MaxResults") or 1)
        if not 1 <= limit <= _MOST_TASKS:
            raise sqs._Err("InvalidParameterValue", f"MaxResults must be between 1 and {_MOST_TASKS}.")
        tasks = self._by_source.get(source, deque())
        return {"Results": [task.entry() for task in tasks][:limit]}

    def cancel(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        """Answer CancelMessageMoveTask."""
        handle = request.get("TaskHandle")
        for tasks in self._by_source.values():
            for task in tasks:
                if task.handle == handle:
                    if task.status != RUNNING:
                        raise sqs._Err("UnsupportedOperation", "The task is not running.")
                    task.status = CANCELLED
                    return {"ApproximateNumberOfMessagesMoved": task.moved}
        raise sqs._Err("ResourceNotFoundException", "There is no such task.", 404)


def apply() -> None:
    """Patch MiniStack."""
    tasks = _Tasks()
    sqs._HANDLERS.update(
        {
            "StartMessageMoveTask": tasks.start,
            "ListMessageMoveTasks": tasks.list,
            "CancelMessageMoveTask": tasks.cancel,
        }
    )


def _dead_letter_queue(arn: str) -> dict[str, Any]:
    """Return the queue. Raises MiniStack's error if it is not the dead-letter queue of another queue."""
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        raise _not_found(arn)
    if not any(_target(other) == arn for _, other in list(sqs._queues.all_items())):
        text = "Source queue must be configured as a Dead Letter Queue."
        raise sqs._Err("InvalidParameterValue", text)
    found: dict[str, Any] = queue
    return found


def _target(queue: dict[str, Any]) -> str | None:
    """Return the ARN of a queue's dead-letter queue; None if it has none."""
    try:
        return str(json.loads(queue["attributes"]["RedrivePolicy"])["deadLetterTargetArn"])
    except (KeyError, ValueError, TypeError):
        return None


def _not_found(arn: str) -> Exception:
    text = f"The resource that you specified for the ARN {arn} doesn't exist."
    error: Exception = sqs._Err("ResourceNotFoundException", text, 404)
    return error


def _ready(queue: dict[str, Any]) -> list[dict[str, Any]]:
    now = time.time()
    return [message for message in list(queue["messages"]) if message["visible_at"] <= now]


async def _move(task: _Task) -> None:
    """Move what was in the queue at the start, one message at a time."""
    while task.status == RUNNING:
        # As MiniStack's own poller: it replaces the list of messages while it holds this.
        with sqs._queues_lock:
            finished = not _move_one(task)
        if task.status == RUNNING and finished:
            task.status = COMPLETED
        await asyncio.sleep(1 / task.rate if task.rate else 0)


def _move_one(task: _Task) -> bool:
    """Move the oldest message. Returns False if there is none left to move."""
    source = sqs._queue_by_arn(task.source)
    ready = _ready(source) if source and task.moved < task.to_move else []
    if source is None or not ready:
        return False
    message = ready[0]
    arn = task.destination or message.get("sys", {}).get("DeadLetterQueueSourceArn", "")
    destination = sqs._queue_by_arn(arn)
    if destination is None:
        task.status, task.reason = FAILED, f"The destination queue {arn or 'of a message'} does not exist."
        return False
    # First there, then away from here: whatever comes between, nothing is lost.
    destination["messages"].append(_as_new(message))
    source["messages"] = [other for other in source["messages"] if other is not message]
    task.moved += 1
    esm_wake.set()
    return True


def _as_new(message: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    system = {
        name: value for name, value in message.get("sys", {}).items() if name != "DeadLetterQueueSourceArn"
    }
    return {
        **message,
        "id": new_uuid(),
        "receipt_handle": None,
        "sent_at": now,
        "enqueued_at": now,
        "visible_at": now,
        "receive_count": 0,
        "first_receive_at": None,
        "sys": {**system, "SentTimestamp": str(int(now * 1000))},
    }
