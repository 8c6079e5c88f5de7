"""S3's event notifications, as messages of the queue."""

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

    Attributes:
        bucket: The bucket's name.
        key: The object's key, decoded.
        version_id: The object's version, `null` in a bucket without versioning.
        sequencer: Upper-case hex, right-padded with zeros to 64 characters. Plain string comparison orders the
            events of one key, as S3 requires:
            https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
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
    """Return a sequencer in the form of `ImageEvent.sequencer`.

    >>> normalise_sequencer("0a") < normalise_sequencer("0A1")
    True
    """
    return sequencer.upper().ljust(64, "0")


def parse(body: str) -> list[ImageEvent]:
    """Return the images that a queue message announces.

    The list is empty for any other message: `s3:TestEvent`, other events, the placeholder object of a folder, or
    anything else on the queue. A retry cannot change that, so such a message is acknowledged.
    """
    try:
        records = json.loads(body)["Records"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    events = [_image_event(record) for record in records] if isinstance(records, list) else []
    return [event for event in events if event]


def _image_event(record: Any) -> ImageEvent | None:
    try:
        name = record["eventName"].removeprefix("s3:")
        if record["eventSource"] != "aws:s3" or not name.startswith("ObjectCreated:"):
            return None
        s3_object = record["s3"]["object"]
        event = ImageEvent(
            bucket=str(record["s3"]["bucket"]["name"]),
            key=decode(s3_object["key"]),
            version_id=str(s3_object.get("versionId") or "null"),
            sequencer=normalise_sequencer(str(s3_object.get("sequencer") or "")),
            received_at=timestamp(datetime.fromisoformat(record["eventTime"])),
        )
        event.image.encode()
    # ValueError: not a date, or a key that is not UTF-8.
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    return event if event.key.startswith(INCOMING) and not event.key.endswith("/") else None


def decode(event_key: str) -> str:
    """Decode the key of an S3 event once: it is URL-encoded, with `+` for a space.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8. S3 never sends such a key.

    >>> decode("incoming/a%2Bb+c.jpg")
    'incoming/a+b c.jpg'
    """
    return unquote_plus(event_key, errors="strict")
