"""The dead-letter queues of a stack, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from contract.announcements import announced
from contract.inspections import record_id
from loupe.stack.target import Target

# For which a letter that was read is hidden from others.
_READ_SECONDS = 60
_BATCH = 10  # SQS's own limit
# One listing. A queue with more has one cause, and the first letters show it.
MOST = 1000


class Name(StrEnum):
    """How people call the queues."""

    IMAGES = "images"
    ALERTS = "alerts"
    COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """A queue of what failed too often.

    Attributes:
        name: Its name for people.
        output: The stack's output with its URL.
        function: The function that failed, as in the name of its log.
        function_output: The stack's output with the name of that function.
        holds: What is in it, in words.
    """

    name: Name
    output: str
    function: str
    function_output: str
    holds: str

    @property
    def holds_batches(self) -> bool:
        """Whether its letters only say where in the records' stream to look."""
        return self.name is not Name.IMAGES


QUEUES = (
    DeadLetterQueue(
        Name.IMAGES, "DeadLetterQueueUrl", "inspect", "InspectFunctionName", "images without a verdict"
    ),
    DeadLetterQueue(
        Name.ALERTS,
        "AlertFailureQueueUrl",
        "alert",
        "AlertFunctionName",
        "records without an alert or a picture",
    ),
    DeadLetterQueue(
        Name.COUNTS, "TrackFailureQueueUrl", "track", "TrackFunctionName", "records that were not counted"
    ),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Where the records are that a function could not process.

    https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html

    Attributes:
        stream: The ARN of the stream.
        shard: The shard.
        first: The sequence number of its first record.
        last: That of its last record.
        size: How many records it has.
        arrived_first: When its first record was written.
        arrived_last: When its last record was written.
        condition: Why the function's event source gave it up, such as `RetryAttemptsExhausted`.
    """

    stream: str
    shard: str
    first: str
    last: str
    size: int
    arrived_first: datetime
    arrived_last: datetime
    condition: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a dead-letter queue.

    Attributes:
        id: SQS's id.
        handle: SQS's handle of this delivery.
        queue: Where it is.
        sent_at: When it was sent: of an image, when it was announced or redriven last.
        receives: How often it was received, this time included.
        images: The image versions that it announces, as (URI, version).
        batch: The batch that failed; None if the letter is no such report.
        body: The message.
    """

    id: str
    handle: str
    queue: DeadLetterQueue
    sent_at: datetime
    receives: int
    images: tuple[tuple[str, str], ...]
    batch: Batch | None
    body: str

    @property
    def function(self) -> str:
        """The function that failed, as in the name of its log. Images of a replay share the queue of dead images."""
        return "replay" if '"replay":' in self.body else self.queue.function

    @property
    def inspections(self) -> tuple[str, ...]:
        """The ids that the images' records have or would have."""
        return tuple(record_id(image, version) for image, version in self.images)


@contextmanager
def opened(target: Target, queue: DeadLetterQueue) -> Iterator[list[Letter]]:
    """Read the letters of a queue, at most `MOST`, oldest first. At the end those that are still there are given back.

    Args:
        target: The stack.
        queue: The queue. Whoever removes a letter meanwhile calls `remove`.
    """
    url, letters = target.output(queue.output), list[Letter]()
    try:
        seen: set[str] = set()
        while len(letters) < MOST and (messages := _receive(target, url)):
            fresh = [_letter(message, queue) for message in messages if message["MessageId"] not in seen]
            letters += fresh
            seen |= {letter.id for letter in fresh}
            if not fresh:
                break  # all were seen: the oldest are visible again
        letters.sort(key=lambda letter: letter.sent_at)
        yield letters
    finally:
        _give_back(target, url, [letter.handle for letter in letters])


def remove(target: Target, letter: Letter) -> None:
    """Delete a letter for ever."""
    target.sqs.delete_message(QueueUrl=target.output(letter.queue.output), ReceiptHandle=letter.handle)


def _receive(target: Target, url: str) -> list[Any]:
    reply = target.sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=_BATCH,
        VisibilityTimeout=_READ_SECONDS,
        WaitTimeSeconds=0 if target.local_cloud else 1,
        MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
    )
    return list(reply.get("Messages", []))


def _give_back(target: Target, url: str, handles: Sequence[str]) -> None:
    """Make letters visible again. What was deleted or moved meanwhile is refused, one by one."""
    for start in range(0, len(handles), _BATCH):
        entries: Any = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + _BATCH])
        ]
        target.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _letter(message: dict[str, Any], queue: DeadLetterQueue) -> Letter:
    attributes = message["Attributes"]
    return Letter(
        id=message["MessageId"],
        handle=message["ReceiptHandle"],
        queue=queue,
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receives=int(attributes["ApproximateReceiveCount"]),
        images=tuple(sorted(announced(message["Body"]))),
        batch=_batch(message["Body"]) if queue.holds_batches else None,
        body=message["Body"],
    )


def _batch(body: str) -> Batch | None:
    try:
        document = json.loads(body)
        found = document["DDBStreamBatchInfo"]
        return Batch(
            stream=str(found["streamArn"]),
            shard=str(found["shardId"]),
            first=str(found["startSequenceNumber"]),
            last=str(found["endSequenceNumber"]),
            size=int(found["batchSize"]),
            arrived_first=_time(found["approximateArrivalOfFirstRecord"]),
            arrived_last=_time(found["approximateArrivalOfLastRecord"]),
            condition=str(document["requestContext"]["condition"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
