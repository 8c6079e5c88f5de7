"""Messages on the queue: any text is acknowledged, and what announces an image names one that can be looked for."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from functools import cache

from boto3.dynamodb.types import TypeSerializer

from contract.inspections import Verdict
from contract.keys import INCOMING
from contract.text import plain
from inspection.events import ImageEvent, parse
from inspection.records import Inspection, build_record
from inspection.rules import Judgement, Reason
from tests.fuzz.mutation import mutate
from tests.fuzz.target import Target
from tests.inspection_support import WRAPPINGS, golden, s3_record

_HOSTILE = (
    *(
        b"%00",
        b"%0A",
        b"%0D%0A",
        b"+",
        b"%2B",
        b"%252B",
        b"%",
        b"%ff",
        b"%ed%a0%80",
        b"..%2f",
        b"\\ud83d",
        b"\\u2028",
    ),
    *(
        b"[" * 5000,
        b'{"Message":' * 50,
        b"a" * 2000,
        b"9" * 5000,
        b"1e999",
        b"null",
        b"\x1b[31m",
        b"9999-12-31T23:59:59Z",
    ),
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY = 1024  # bytes
_serialize = TypeSerializer().serialize


@cache
def seeds() -> list[bytes]:
    """Return announcements in every wrapping, and what S3 and SNS send besides."""
    record = s3_record("incoming/line-1/top/a+b%2B%C3%BC.jpg", object={"versionId": "v1"})
    documents = [wrap(record) for wrap in WRAPPINGS.values()]
    documents.append(
        {"Records": [record, s3_record("incoming/x"), {**record, "eventName": "ObjectRemoved:Delete"}]}
    )
    documents.append({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "images"})
    documents.append({"Type": "SubscriptionConfirmation", "Token": "x", "TopicArn": "arn:aws:sns:::x"})
    bodies = [json.loads(item["body"]) for item in golden("inspect-image")["Records"]]
    return [json.dumps(document).encode() for document in [*documents, *bodies]]


def _mutated(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    for _ in range(rng.randint(0, 2)):
        place = rng.randint(0, len(data))
        data = data[:place] + rng.choice(_HOSTILE) + data[place:]
    return mutate(data, rng, seeds)


def broken(data: bytes) -> str | None:
    """Read a message, and write the record of each image that it announces."""
    told: list[str] = []
    events = parse(data.decode(errors="replace"), told.append)
    if any(sentence != plain(sentence) for sentence in told):
        return "what is not understood is told with control characters"
    return next(filter(None, map(_broken_event, events)), None)


def _broken_event(event: ImageEvent) -> str | None:
    if not event.key.startswith(INCOMING) or event.key.endswith("/"):
        return f"no image is at {event.key!r}"
    if len(event.key.encode()) > _LONGEST_KEY or not event.bucket or len(event.version_id) > _LONGEST_KEY:
        return "S3 refuses the name, again and again, until the message is a dead letter"
    if len(event.sequencer) < 64 or not set(event.sequencer) <= set("0123456789ABCDEF"):
        return f"the sequencer orders nothing: {event.sequencer}"
    judgement = Judgement(Verdict.UNREADABLE, [Reason("deleted", "the image was deleted")])
    record = build_record(Inspection(event, judgement), datetime.now(UTC), 8, 400)
    for value in record.values():
        _serialize(value)
    datetime.fromisoformat(record["received_at"])
    return None


TARGET = Target("announcements", (4, 5), seeds, broken, mutate=_mutated, seconds=5, mib=200, examples=100)
