"""The queue of announced images and its dead letters: what waits there is not lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from contract.announcements import StoredVersion, announcement
from inspection.events import parse

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

Identity = tuple[str, str]
_Item = TypeVar("_Item")

# Waiting images cannot be listed. If no more than this wait, no more than this can be announced twice, and the second
# announcement finds the record of the first. On a line that works, some wait at any moment.
_FEW = 100
_LOOKS, _PAUSE_SECONDS = 5, 1.0
# Of dead letters these are read; they are few, because each one raises an alarm.
_MOST_DEAD_LETTERS = 2000
_READ_SECONDS = 30  # for which a dead letter that was read is hidden from others
_BATCH = 10  # SQS's own limit


class UnsentError(Exception):
    """SQS did not take an announcement."""


@dataclass(frozen=True)
class Queues:
    """Says what waits, and announces.

    Attributes:
        client: The SQS client.
        queue_url: The queue of announced images.
        dead_letter_url: Where it puts those that failed too often.
        region: The AWS region, for the announcements.
        sleep: Pauses for some seconds.
    """

    client: SQSClient
    queue_url: str
    dead_letter_url: str
    region: str
    sleep: Callable[[float], None] = time.sleep

    def obstacle(self, announced: int = 0) -> str | None:
        """Return why it cannot be told which images are lost: they may be among many that wait. None if it can.

        An image that must wait for the endpoint is sent again with a delay, so its message is always a young one: the
        age of the oldest message says nothing.

        Args:
            announced: How many images the same comparison has announced before, which may be those that wait.
        """
        for look in range(_LOOKS):
            waiting, delayed = self._counts(self.queue_url)
            if delayed == 0 and waiting <= _FEW + announced:
                break
            if look + 1 == _LOOKS:
                return f"{waiting + delayed} images wait in the queue, and those without a record may be among them"
            self.sleep(_PAUSE_SECONDS)
        dead, _ = self._counts(self.dead_letter_url)
        if dead > _MOST_DEAD_LETTERS:
            return f"{dead} images are in the dead-letter queue, which are too many to compare: redrive or drop them"
        return None

    def dead_letters(self) -> set[Identity]:
        """Return the images in the dead-letter queue. They are given back at once, and stay there."""
        number, _ = self._counts(self.dead_letter_url)
        found: set[Identity] = set()
        handles: list[str] = []
        try:
            while len(handles) < min(number, _MOST_DEAD_LETTERS) and (messages := self._receive()):
                handles += [message["ReceiptHandle"] for message in messages]
                for message in messages:
                    found |= {(event.image, event.version_id) for event in parse(message["Body"])}
        finally:
            self._give_back(handles)
        return found

    def announce(self, versions: Sequence[StoredVersion]) -> None:
        """Send an announcement of each version.

        Raises:
            UnsentError: SQS did not take one.
        """
        for entries in _entries(versions, lambda version: {"MessageBody": self._body(version)}):
            reply = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
            if failed := reply.get("Failed"):
                raise UnsentError(f"{len(failed)} announcements were not taken: {failed[0].get('Message')}")

    def _body(self, version: StoredVersion) -> str:
        return json.dumps(announcement(version, self.region))

    def _counts(self, url: str) -> tuple[int, int]:
        """Return how many messages can be received, and how many are delayed."""
        attributes = self.client.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"],
        )["Attributes"]
        ready, delayed = (
            attributes["ApproximateNumberOfMessages"],
            attributes["ApproximateNumberOfMessagesDelayed"],
        )
        return int(ready), int(delayed)

    def _receive(self) -> list[Any]:
        reply = self.client.receive_message(
            QueueUrl=self.dead_letter_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_READ_SECONDS,
            WaitTimeSeconds=1,
        )
        return list(reply.get("Messages", []))

    def _give_back(self, handles: Sequence[str]) -> None:
        for entries in _entries(handles, lambda handle: {"ReceiptHandle": handle, "VisibilityTimeout": 0}):
            self.client.change_message_visibility_batch(QueueUrl=self.dead_letter_url, Entries=entries)


def _entries(items: Sequence[_Item], entry: Callable[[_Item], dict[str, Any]]) -> Iterator[Any]:
    """Yield the entries of SQS's batch calls."""
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        yield [{"Id": str(number), **entry(item)} for number, item in enumerate(batch)]
