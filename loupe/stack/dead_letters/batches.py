"""Batches of the records' stream that a function gave up: found again, and given to the function once more.

Such a letter only says where the records were in the stream, which keeps them for a day. Later they are found in the
table by the time at which they were written. Both functions take a record twice without harm: `alert` marks each one
that it has alerted about, and `track` finds what it has counted in the feed, for two days.
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError, ParamValidationError

from contract.inspections import timestamp
from contract.s3 import UNVERSIONED
from contract.text import counted
from loupe.errors import LoupeError
from loupe.stack.dead_letters.letters import Batch, DeadLetterQueue, Letter, Name
from loupe.stack.target import Target

# What `track` has counted stays in the feed for two days (functions/tracking/summaries.py). After that, a record that
# is counted already could not be told from one that is not.
_COUNTED_ONCE = timedelta(hours=46)
# Between a record's own time and its arrival in the stream, which is stated in seconds.
_CLOCKS = timedelta(seconds=5)
_AT_A_TIME = {Name.ALERTS: 10, Name.COUNTS: 100}  # as the stream delivers them (template.yaml)
_LOST = (
    *("TrimmedDataAccessException", "ExpiredIteratorException", "ResourceNotFoundException"),
    "ValidationException",
)

_serialize = TypeSerializer().serialize
_Event = dict[str, Any]


def process_again(target: Target, letter: Letter) -> int:
    """Give the records of a letter to its function once more.

    Returns:
        How many records it has processed.

    Raises:
        LoupeError: They cannot be found, or the function fails again. The letter is as good as before.
    """
    batch, queue = letter.batch, letter.queue
    if batch is None:
        raise LoupeError(
            f"{letter.id[:8]} says nothing about a batch", f"Remove it: loupe dlq drop {letter.id[:8]}"
        )
    events: Iterable[_Event] | None = _of_the_stream(target, batch)
    if events is None:
        if queue.name is Name.COUNTS and batch.arrived_first < datetime.now(UTC) - _COUNTED_ONCE:
            raise LoupeError(
                f"{counted(batch.size, 'record')} of {batch.arrived_first:%Y-%m-%d %H:%M} UTC cannot be counted "
                "exactly any more: after two days it is not known which records are counted",
                f"The records themselves are in the table. Remove the letter: loupe dlq drop {letter.id[:8]}",
            )
        events = _of_the_table(target, batch)
    wanted = [event for event in events if _is_wanted(event, queue.name)]
    size = _AT_A_TIME[queue.name]
    for start in range(0, len(wanted), size):
        _invoke(target, queue, batch.stream, wanted[start : start + size])
    return len(wanted)


def _of_the_stream(target: Target, batch: Batch) -> list[_Event] | None:
    """Return the records as the stream has them; None if it no longer has all of them."""
    client = target.streams
    try:
        iterator: str | None = client.get_shard_iterator(
            StreamArn=batch.stream,
            ShardId=batch.shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch.first,
        )["ShardIterator"]
        events: list[_Event] = []
        while iterator:
            page = client.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                if int(record["dynamodb"]["SequenceNumber"]) > int(batch.last):
                    return events if _begins(events, batch) else None
                events.append(dict(record))
            if events and int(events[-1]["dynamodb"]["SequenceNumber"]) >= int(batch.last):
                break
            iterator = page.get("NextShardIterator") if page["Records"] else None
    except ParamValidationError:
        return None  # no place in a stream is called so
    except ClientError as error:
        if error.response["Error"]["Code"] not in _LOST:
            raise
        return None
    return events if _begins(events, batch) else None


def _begins(events: Sequence[_Event], batch: Batch) -> bool:
    return bool(events) and int(events[0]["dynamodb"]["SequenceNumber"]) == int(batch.first)


def _of_the_table(target: Target, batch: Batch) -> Iterator[_Event]:
    """Yield what was written in the time of a batch. The whole table is read, because no index knows that time."""
    first, last = batch.arrived_first - _CLOCKS, batch.arrived_last + _CLOCKS
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    request: Any = {
        "FilterExpression": Attr("inspected_at").between(timestamp(first), timestamp(last))
        & Attr("verdict").exists()
    }
    while True:
        page = table.scan(**request)
        for number, item in enumerate(page["Items"]):
            yield _event_of(item, batch, number)
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _event_of(item: dict[str, Any], batch: Batch, number: int) -> _Event:
    image = {name: _serialize(value) for name, value in item.items()}
    return {
        "eventID": f"{batch.first}-{number}",
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": {name: image[name] for name in ("image", "version_id")},
            "NewImage": image,
            "SequenceNumber": str(int(batch.first) + number),
            "StreamViewType": "NEW_IMAGE",
        },
    }


def _is_wanted(event: _Event, name: Name) -> bool:
    """Return whether a function would receive an event: what the filters in template.yaml say."""
    change = event["dynamodb"]
    verdict = change.get("NewImage", {}).get("verdict", {}).get("S")
    if verdict is None:
        return False
    if name is Name.ALERTS:
        return verdict in ("fail", "review") and event["eventName"] in ("INSERT", "MODIFY")
    return bool(event["eventName"] == "INSERT" or change["Keys"]["version_id"]["S"] == UNVERSIONED)


def _invoke(target: Target, queue: DeadLetterQueue, stream: str, events: Sequence[_Event]) -> None:
    """Invoke the function with a batch. Raises LoupeError if it fails as a whole or in part."""
    records = [event | {"eventSourceARN": stream} for event in events]
    reply = target.functions.invoke(
        FunctionName=target.output(queue.function_output),
        Payload=json.dumps({"Records": records}, default=_plain).encode(),
    )
    answer = json.loads(reply["Payload"].read() or b"null")
    failed = (answer or {}).get("batchItemFailures") or []
    if "FunctionError" in reply or failed:
        what = answer.get("errorMessage") or f"{counted(len(failed), 'record')} failed"
        raise LoupeError(
            f"the function {queue.function} fails again: {what}",
            f"Its log says more: loupe logs {queue.function} --errors",
        )


def _plain(value: Any) -> Any:
    """Return a value of the streams API as the event of a function has it."""
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value)} is not part of an event")
