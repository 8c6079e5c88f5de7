"""S3's notifications as they come out of the queue."""

import json
from dataclasses import dataclass
from typing import Any

from inspection.keys import decode


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

    Empty for what is no announcement of an image: `s3:TestEvent`, other events, anything else that somebody
    put on the queue. Such a message can never become one, so it is acknowledged rather than retried.
    """
    try:
        document = json.loads(body)
        records = document["Records"]
        return [_image_event(record) for record in records if _announces(record)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _announces(record: dict[str, Any]) -> bool:
    name = str(record["eventName"]).removeprefix("s3:")
    return bool(record["eventSource"] == "aws:s3") and name.startswith("ObjectCreated:")


def _image_event(record: dict[str, Any]) -> ImageEvent:
    obj = record["s3"]["object"]
    return ImageEvent(
        bucket=record["s3"]["bucket"]["name"],
        key=decode(obj["key"]),
        version_id=obj.get("versionId") or "null",
        sequencer=normalise_sequencer(obj.get("sequencer") or ""),
        received_at=record["eventTime"],
    )
