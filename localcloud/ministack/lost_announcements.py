"""Announces the images again whose announcement was lost when the cloud was killed.

S3 writes an object to disk before it answers; the message about it, and the record that follows, are saved up to some
seconds later (autosave.py). So after `kill -9` there may be images with neither. At the start everything that is known
is in memory: this finds them exactly, and takes a second for 100,000 images.

A record that exists needs no help from here: it is saved together with the part of the table's stream that its alert
and its counters have not processed yet (streams.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import cloudformation, dynamodb, s3, sqs

from contract.announcements import StoredVersion, announced, announcement, oldest_expected
from localcloud.ministack.environment import ACCOUNT, REGION
from localcloud.stopping import stopping

logger = logging.getLogger(__name__)

# Every receive looks at all messages of a queue, so a long queue is slow.
_MOST_WAITING = 500
_PAUSE_S = 0.2
_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


@dataclass(frozen=True, slots=True)
class _Stack:
    """Where a stack of Loupe keeps what is compared here.

    Attributes:
        bucket: The name of the images bucket.
        queue: The ARN of the queue.
        dead_letters: The ARN of the dead-letter queue.
        table: The name of the inspections table.
        retention_days: After how many days a record is deleted.
    """

    bucket: str
    queue: str
    dead_letters: str
    table: str
    retention_days: int


def announce(before: datetime) -> int:
    """Announce every image without a record and without a message, in a thread, and return how many they are.

    Args:
        before: When the cloud began to serve; what was uploaded later has not been lost.
    """
    with request_scope(ACCOUNT, REGION):
        lost = [(stack, version) for stack in _stacks() for version in _lost(stack, before)]
    if lost:
        logger.warning("images are inspected again, because their announcement was lost: %d", len(lost))
        threading.Thread(target=_send, args=(lost,), daemon=True, name="loupe-announcements").start()
    return len(lost)


def _stacks() -> Iterator[_Stack]:
    """Yield the stacks that are complete and have what Loupe's template makes."""
    for stack in list(cloudformation._stacks.values()):
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs") or []}
        parameters = {
            given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters") or []
        }
        try:
            found = _Stack(
                outputs["ImagesBucketName"],
                _queue_arn(outputs["QueueUrl"]),
                _queue_arn(outputs["DeadLetterQueueUrl"]),
                outputs["InspectionsTableName"],
                int(parameters["RecordRetentionDays"]),
            )
        except (KeyError, ValueError):
            continue  # no stack of Loupe
        if stack.get("StackStatus") in _COMPLETE and sqs._queue_by_arn(found.queue):
            yield found


def _queue_arn(url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"


def _lost(stack: _Stack, before: datetime) -> list[StoredVersion]:
    """Return a stack's images without a record and without a message, oldest first.

    The messages are read before the records. What is inspected in between then has its record; the other way round it
    could seem to have neither.
    """
    table = dynamodb._tables.get(stack.table)
    if table is None:
        return []
    waiting = _waiting(stack.queue) | _waiting(stack.dead_letters)
    since = oldest_expected(datetime.now(UTC), stack.retention_days)
    lost = [
        version
        for version in _versions(stack.bucket)
        if version.has_a_record_to_come(since, before)
        and version.identity not in waiting
        and not _has_record(table, *version.identity)
    ]
    return sorted(lost, key=lambda version: version.stored_at)


def _waiting(arn: str) -> set[tuple[str, str]]:
    """Return the images that the messages of a queue announce, whether they wait, are in work or delayed."""
    queue = sqs._queue_by_arn(arn) or {"messages": []}
    return {identity for message in list(queue["messages"]) for identity in announced(message["body"])}


def _has_record(table: dict[str, Any], image: str, version_id: str) -> bool:
    return version_id in table["items"].get(image, ())


def _versions(bucket: str) -> Iterator[StoredVersion]:
    """Yield the versions of all objects of a bucket; delete markers are no versions of an object."""
    for (account, (name, key)), versions in list(s3._object_versions._data.items()):
        if account != ACCOUNT or name != bucket:
            continue
        for version in list(versions):
            if version.get("is_delete_marker"):
                continue
            stored_at = datetime.fromisoformat(version["last_modified"])
            etag = str(version.get("etag", "")).strip('"')
            yield StoredVersion(
                bucket, key, version["version_id"], stored_at, int(version.get("size", 0)), etag
            )


def _send(lost: list[tuple[_Stack, StoredVersion]]) -> None:
    """Put the announcements into the queues, no faster than they are processed."""
    # As for every request (gateway.py): the queue's policy demands TLS.
    iam_evaluator.pin_request_origin("127.0.0.1", True)
    with request_scope(ACCOUNT, REGION):
        for stack, version in lost:
            while (queue := sqs._queue_by_arn(stack.queue)) and len(queue["messages"]) >= _MOST_WAITING:
                if stopping.wait(_PAUSE_S):
                    return  # the next start finds the rest
            event = announcement(version, REGION)
            s3._deliver_event_to_sqs(stack.queue, event, REGION, bucket_name=stack.bucket)
