"""Announcements of images, as messages of the queue.

S3 announces an object by its own notification, or by EventBridge. Either may come through an SNS topic, with or without
raw delivery.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract.inspections import record_id, timestamp
from contract.keys import INCOMING
from contract.s3 import UNVERSIONED, decode
from contract.text import plain

# S3 refuses longer or other names, so that a message with one would come back until it is a dead letter.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_NAME = 1024  # bytes, of a key and of a version
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")  # as botocore checks it
_SEQUENCER = re.compile("[0-9A-Fa-f]{0,64}", re.ASCII)
_SHOWN_CHARACTERS = 200  # of a message that is not understood
_MAX_ENVELOPES = 3


class _NotUnderstoodError(Exception):
    """A message or record that is no announcement in a known form. The text says why."""


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """One object version that S3 has announced.

    Attributes:
        bucket: The bucket's name.
        key: The object's key, decoded.
        version_id: The object's version, `null` in a bucket without versioning.
        sequencer: Upper-case hex, right-padded with zeros to 64 characters; only zeros if the event has none. Plain
            string comparison orders the events of one key, as S3 requires:
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

    @property
    def record_id(self) -> str:
        """The id of its record."""
        return record_id(self.image, self.version_id)


def normalise_sequencer(sequencer: str) -> str:
    """Return a sequencer in the form of `ImageEvent.sequencer`.

    >>> normalise_sequencer("0a") < normalise_sequencer("0A1")
    True
    """
    return sequencer.upper().ljust(64, "0")


def parse(body: str, on_unknown: Callable[[str], None] = lambda _: None) -> list[ImageEvent]:
    """Return the images that a queue message announces.

    The list is empty for `s3:TestEvent`, events other than the creation of an object, the placeholder object of a
    folder, and for what is not understood. A retry cannot change that, so such a message is acknowledged.

    Args:
        body: The message.
        on_unknown: Receives a sentence for each part that is no announcement, or announces an image in a place
            where none is inspected: something is connected wrongly.
    """
    try:
        records = _records(_load(body))
    except _NotUnderstoodError as error:
        on_unknown(f"{error}: {plain(body[:_SHOWN_CHARACTERS])}")
        return []
    events = []
    for record in records:
        try:
            event = _image_event(record)
        except _NotUnderstoodError as error:
            on_unknown(f"{error}: {plain(body[:_SHOWN_CHARACTERS])}")
            continue
        events += [event] if event else []
    return events


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _NotUnderstoodError("the message is not JSON") from None


def _records(document: Any, envelopes: int = 0) -> list[Any]:
    """Return the records of a message, taken out of the envelopes of SNS.

    https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html

    Raises:
        _NotUnderstoodError: It is no such message.
    """
    if not isinstance(document, dict):
        raise _NotUnderstoodError("the message is no event")
    if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        if envelopes == _MAX_ENVELOPES:
            raise _NotUnderstoodError("the message has too many envelopes")
        return _records(_load(document["Message"]), envelopes + 1)
    if document.get("Type") == "SubscriptionConfirmation":
        raise _NotUnderstoodError("a subscription to an SNS topic waits for its confirmation")
    if document.get("Event") == "s3:TestEvent":
        return []
    if "detail-type" in document:
        return [document]
    if isinstance(document.get("Records"), list):
        return list(document["Records"])
    raise _NotUnderstoodError("the message is no event of S3")


def _image_event(record: Any) -> ImageEvent | None:
    """Return the image that a record announces; None if it announces something else.

    Raises:
        _NotUnderstoodError: It is no record of S3, or names an image outside the places where images are inspected.
    """
    try:
        event = _of_eventbridge(record) if "detail-type" in record else _of_s3(record)
        if event is None or event.key.endswith("/"):
            return None
        if max(len(event.key.encode()), len(event.version_id.encode())) > _LONGEST_NAME:
            raise ValueError("S3 has no such name")
    # ValueError, OverflowError: not a date, or a key that is not UTF-8.
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise _NotUnderstoodError("the record is incomplete, or not one of S3") from error
    if not event.key.startswith(INCOMING):
        raise _NotUnderstoodError(f"the image is not below {INCOMING}, and is not inspected")
    return event


def _of_s3(record: Any) -> ImageEvent | None:
    """Read a record of S3's own notification.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    if record["eventSource"] != "aws:s3":
        raise _NotUnderstoodError("the record is not one of S3")
    if not record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
        return None
    s3_object = record["s3"]["object"]
    return ImageEvent(
        bucket=_bucket(record["s3"]["bucket"]["name"]),
        key=decode(_text(s3_object["key"])),
        version_id=_text(s3_object.get("versionId") or UNVERSIONED),
        sequencer=_sequencer(s3_object.get("sequencer") or ""),
        received_at=timestamp(datetime.fromisoformat(record["eventTime"])),
    )


def _of_eventbridge(event: Any) -> ImageEvent | None:
    """Read an event of EventBridge. Its key is not encoded.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    if event["source"] != "aws.s3" or not event["detail-type"].startswith("Object "):
        raise _NotUnderstoodError("the event is not one that S3 sends to EventBridge about an object")
    if event["detail-type"] != "Object Created":
        return None
    s3_object = event["detail"]["object"]
    return ImageEvent(
        bucket=_bucket(event["detail"]["bucket"]["name"]),
        key=_text(s3_object["key"]),
        version_id=_text(s3_object.get("version-id") or UNVERSIONED),
        sequencer=_sequencer(s3_object.get("sequencer") or ""),
        received_at=timestamp(datetime.fromisoformat(event["time"])),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no name")
    return value


def _bucket(value: Any) -> str:
    if not _BUCKET.fullmatch(value):
        raise ValueError(f"{value!r} is no bucket")
    return str(value)


def _sequencer(value: Any) -> str:
    if not _SEQUENCER.fullmatch(value):
        raise ValueError(f"{value!r} is no sequencer")
    return normalise_sequencer(value)
