"""S3's notifications as they come out of the queue."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from contract.inspections import timestamp
from contract.keys import INCOMING


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """One object version that S3 has announced.

    sequencer: upper-case hex, right-padded with zeros to 64 characters, so that plain string comparison orders
        the events of one key, as
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html asks.
    received_at: S3's own time of the upload, ISO 8601 in UTC.
    """

    bucket: str
    key: str
    version_id: str
    sequencer: str
    received_at: str

    @property
    def image(self) -> str:
        """The URI of the object, without its version."""
        return f"s3://{self.bucket}/{self.key}"


def normalise_sequencer(sequencer: str) -> str:
    """See ImageEvent.sequencer.

    >>> normalise_sequencer("0a") < normalise_sequencer("0A1")
    True
    """
    return sequencer.upper().ljust(64, "0")


def parse(body: str) -> list[ImageEvent]:
    """The images that a queue message announces.

    Empty for what is no announcement of an image: `s3:TestEvent`, other events, a folder's placeholder, anything
    else that somebody put on the queue. Such a message can never become one, so it is acknowledged rather than
    retried.
    """
    try:
        records = json.loads(body)["Records"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    parsed = [_image_event(record) for record in records] if isinstance(records, list) else []
    return [event for event in parsed if event]


def _image_event(record: Any) -> ImageEvent | None:
    try:
        name = record["eventName"].removeprefix("s3:")
        if record["eventSource"] != "aws:s3" or not name.startswith("ObjectCreated:"):
            return None
        obj = record["s3"]["object"]
        event = ImageEvent(
            bucket=str(record["s3"]["bucket"]["name"]),
            key=decode(obj["key"]),
            version_id=str(obj.get("versionId") or "null"),
            sequencer=normalise_sequencer(str(obj.get("sequencer") or "")),
            received_at=timestamp(datetime.fromisoformat(record["eventTime"])),
        )
        event.image.encode()
    except (
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
    ):  # ValueError: no date, or a key that is no UTF-8
        return None
    return event if event.key.startswith(INCOMING) and not event.key.endswith("/") else None


def decode(event_key: str) -> str:
    """The key of an S3 event, which is URL-encoded with `+` for a space, decoded once.

    Raises UnicodeDecodeError for what S3 never sends: bytes that are no UTF-8.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    >>> decode("incoming/a%2Bb+c.jpg")
    'incoming/a+b c.jpg'
    """
    return unquote_plus(event_key, errors="strict")
