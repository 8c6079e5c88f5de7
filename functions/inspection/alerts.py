"""The picture of each image version that did not pass, and one SNS message for each that failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from contract import notices
from contract.images import UnreadableError
from contract.inspections import Verdict, timestamp
from contract.keys import ANNOTATED
from contract.s3 import split
from contract.scores import ANOMALY
from inspection.findings import findings, remarks
from inspection.latin import transliterate
from inspection.memory import bounded
from inspection.messages import attributes, describe, message, subject
from inspection.objects import Objects
from inspection.pictures.annotating import annotate
from inspection.records import Record
from inspection.store import Inspections
from inspection.thumbnails import Thumbnails

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

_logger = logging.getLogger(__name__)
# An alert waits for six calls of AWS, so several are made side by side. Large images are in memory one at a time.
_THREADS = 4
_SMALL_BYTES = 6 << 20


@dataclass(frozen=True)
class Alerts:
    """Stores pictures and publishes alerts.

    The record is marked last: after a crash before that, the alert is published again with the same alert id,
    so that no defect stays unreported. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html

    Attributes:
        inspections: The records.
        objects: Reads images.
        s3: Stores the pictures and signs their links.
        sns: Publishes.
        topic_arn: The topic of the alerts.
        thumbnails: Makes the small picture for lists.
        artefacts_bucket: Where the pictures are stored.
        link_seconds: How long a picture's link is valid.
        max_pixels: The most pixels that an image may have.
    """

    inspections: Inspections
    objects: Objects
    s3: S3Client
    sns: SNSClient
    topic_arn: str
    thumbnails: Thumbnails
    artefacts_bucket: str
    link_seconds: int
    max_pixels: int

    def process_batch(self, batch: Sequence[tuple[str, Record]]) -> list[str]:
        """Process the new images of a batch of the table's stream.

        Somebody may wait for an alert, and nobody for the picture of a review, so the alerts come first.

        Args:
            batch: The sequence number and the record of each change.

        Returns:
            The sequence numbers of those that the stream must deliver again.
        """
        # The template's filter cannot tell whether `alert` is present, because `exists` works on leaf nodes only:
        # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html
        due = sorted(
            ((number, record) for number, record in batch if is_due(record)),
            key=lambda change: change[1]["verdict"] != Verdict.FAIL,
        )
        # Two changes of one record are one alert, and would be two if they were processed at the same time.
        numbers: dict[tuple[str, str], list[str]] = {}
        images: dict[tuple[str, str], Record] = {}
        for number, record in due:
            identity = record["image"], record["version_id"]
            images.setdefault(identity, record)
            numbers.setdefault(identity, []).append(number)
        small = {
            key: record for key, record in images.items() if int(record.get("image_bytes", 0)) <= _SMALL_BYTES
        }
        with ThreadPoolExecutor(_THREADS) as pool:
            done = dict(zip(small, pool.map(self._is_processed, small.values()), strict=True))
        for identity, record in images.items():
            if identity not in done:
                done[identity] = self._is_processed(record)
        return [number for identity, listed in numbers.items() if not done[identity] for number in listed]

    def _is_processed(self, record: Record) -> bool:
        try:
            self.process(record["image"], record["version_id"])
        # Whatever it is: it must not keep others from their alerts, and the stream delivers this one again.
        except Exception:
            _logger.exception("the record %s is processed again", record.get("id"))
            return False
        return True

    def process(self, image: str, version_id: str) -> bool:
        """Store the picture of an image version that failed or needs a review; alert about one that failed.

        Nothing is done if the record is gone, has another verdict, or says that it was done before.

        Returns:
            Whether the record was marked now.
        """
        record = self.inspections.get(image, version_id)
        if record is None or not is_due(record):
            return False
        data = self._read(record)
        picture = None if data is None else self._store_picture(record, data)
        if not _needs_alert(record):
            return picture is not None and self.inspections.mark_pictured(
                record, picture, self._store_thumbnail(record, data)
            )
        self._publish(record, picture)
        alert = {"id": record["id"], "sent_at": timestamp(datetime.now(UTC))}
        # Nobody waits for the thumbnail as somebody does for the alert.
        return self.inspections.mark_alerted(record, alert, picture, self._store_thumbnail(record, data))

    def _publish(self, record: Record, picture: str | None) -> None:
        document = describe(record, self._link(picture) if picture else None)
        title = subject(document)
        try:
            self._send(document, title)
        except ClientError as error:
            # The API's reference says UTF-8, other pages of AWS still say ASCII. An alert must not depend on it.
            if error.response["Error"]["Code"] != "InvalidParameter" or title.isascii():
                raise
            self._send(document, notices.subject(transliterate(title)))

    def _send(self, document: dict[str, Any], title: str) -> None:
        self.sns.publish(
            TopicArn=self.topic_arn,
            Subject=title,
            MessageStructure="json",
            Message=message(document),
            MessageAttributes=attributes(document),
        )

    def _read(self, record: Record) -> bytes | None:
        """Return the image. None if it cannot be read: the alert is sent all the same."""
        bucket, key = split(record["image"])
        try:
            return self.objects.read(bucket, key, record["version_id"]).data
        except (UnreadableError, ClientError, BotoCoreError) as error:
            _logger.warning("no picture of the inspection %s: %s", record["id"], error)
            return None

    def _store_picture(self, record: Record, data: bytes) -> str | None:
        """Return the key of the picture. None if there is no picture: the alert is sent all the same."""
        # The picture of an earlier judgement stays beside it.
        name = record["id"] + (f"-{record['replay']['number']}" if "replay" in record else "")
        picture_key = f"{ANNOTATED}{record['line']}/{record['received_at'][:10]}/{name}.jpg"
        try:
            heat_map = self._heat_map(record)
            with self.thumbnails.decoding, bounded():
                picture = annotate(data, findings(record), remarks(record), self.max_pixels, heat_map)
            self.s3.put_object(
                Bucket=self.artefacts_bucket, Key=picture_key, Body=picture, ContentType="image/jpeg"
            )
        except (UnreadableError, ClientError, BotoCoreError) as error:
            _logger.warning("no picture of the inspection %s: %s", record["id"], error)
            return None
        except Exception:  # no fault in a picture may keep an alert from being sent
            _logger.warning("no picture of the inspection %s", record["id"], exc_info=True)
            return None
        return picture_key

    def _heat_map(self, record: Record) -> bytes | None:
        """Return the heat map to draw. None if its model has found nothing, or if it cannot be read.

        Another product than the model's own would be red all over, and hide what a person shall see. Such a picture
        has no score.
        """
        if "score" not in record.get("anomaly", {}):
            return None
        if all(detection["label"] != ANOMALY for detection in record.get("detections", ())):
            return None
        try:
            return self.inspections.heat_map(record)
        except (ClientError, BotoCoreError) as error:
            _logger.warning("no heat map of the inspection %s: %s", record["id"], error)
            return None

    def _store_thumbnail(self, record: Record, data: bytes | None) -> str | None:
        """Return the key of the thumbnail. None if it was not made: who first wants to see it will try again."""
        if data is None:
            return None
        try:
            return self.thumbnails.store(record, data)
        except (ClientError, BotoCoreError) as error:
            _logger.warning("no thumbnail of the inspection %s: %s", record["id"], error)
            return None

    def _link(self, key: str) -> str:
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.artefacts_bucket, "Key": key}, ExpiresIn=self.link_seconds
        )


def is_due(record: Mapping[str, Any]) -> bool:
    """Return whether a record still needs its alert, or its picture if a person must look at it.

    A judgement that has replaced another one (functions/replay/) needs a picture of its own.
    """
    needs_picture = record.get("verdict") == Verdict.REVIEW or (
        record.get("verdict") == Verdict.FAIL and "replay" in record
    )
    return _needs_alert(record) or (needs_picture and "picture" not in record)


def _needs_alert(record: Mapping[str, Any]) -> bool:
    """Return whether nobody was alerted about an image that failed. A replay alerts only if it was asked to."""
    is_silent = (record.get("replay") or {}).get("alert") is False
    return record.get("verdict") == Verdict.FAIL and "alert" not in record and not is_silent
