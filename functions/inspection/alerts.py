"""The alert: one SNS message for each defective image version, for people and for machines."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.images import UnreadableError
from contract.inspections import Verdict, timestamp
from contract.keys import ANNOTATED
from contract.s3 import split
from inspection.detector import Detection
from inspection.objects import Objects
from inspection.pictures import annotate
from inspection.records import Record
from inspection.store import Inspections

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

_logger = logging.getLogger(__name__)

_MAX_SUBJECT = 99  # characters. SNS: less than 100, ASCII, no line breaks
_MAX_SMS = 140  # characters
_MAX_DEFECTS = 50  # in the JSON document: SNS takes 256 KiB, attributes included
_MAX_DEFECTS_IN_TEXT = 10
_MAX_LABELS = 100
_TEXT_PROTOCOLS = ("default", "email")
_JSON_PROTOCOLS = ("sqs", "http", "https", "lambda", "email-json", "firehose")


@dataclass(frozen=True)
class Alerts:
    """Publishes alerts.

    The record is marked last: after a crash before that, the alert is published again with the same alert id,
    so that no defect stays unreported. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html

    Attributes:
        inspections: The records.
        objects: Reads images.
        s3: Stores the annotated pictures and signs their links.
        sns: Publishes.
        topic_arn: The topic of the alerts.
        artefacts_bucket: Where the annotated pictures are stored.
        link_seconds: How long a picture's link is valid.
        max_pixels: The most pixels that an image may have.
    """

    inspections: Inspections
    objects: Objects
    s3: S3Client
    sns: SNSClient
    topic_arn: str
    artefacts_bucket: str
    link_seconds: int
    max_pixels: int

    def send(self, image: str, version_id: str) -> bool:
        """Publish the alert of an image version, unless that is done.

        Returns:
            Whether it was sent now: False if it was sent before, if the record is gone, or if its verdict is no
            longer `fail`.
        """
        record = self.inspections.get(image, version_id)
        if record is None or record["verdict"] != Verdict.FAIL or "alert" in record:
            return False
        picture = self._store_picture(record)
        document = describe(record, self._link(picture) if picture else None)
        self.sns.publish(
            TopicArn=self.topic_arn,
            Subject=subject(document),
            MessageStructure="json",
            Message=json.dumps(
                dict.fromkeys(_TEXT_PROTOCOLS, text(document))
                | {"sms": sms(document)}
                | dict.fromkeys(_JSON_PROTOCOLS, json.dumps(document, ensure_ascii=False))
            ),
            MessageAttributes=_attributes(document),
        )
        alert = {"id": document["alert_id"], "sent_at": timestamp(datetime.now(UTC))}
        return self.inspections.mark_alerted(record, alert | ({"picture": picture} if picture else {}))

    def _store_picture(self, record: Record) -> str | None:
        """Return the key of the annotated picture. None if there is no picture: the alert is sent all the same."""
        bucket, key = split(record["image"])
        picture_key = f"{ANNOTATED}{record['line']}/{record['received_at'][:10]}/{record['id']}.jpg"
        try:
            stored = self.objects.read(bucket, key, record["version_id"])
            detections = [detection for detection, _ in _defects(record)]
            picture = annotate(stored.data, detections, self.max_pixels)
            self.s3.put_object(
                Bucket=self.artefacts_bucket, Key=picture_key, Body=picture, ContentType="image/jpeg"
            )
        except (UnreadableError, ClientError, BotoCoreError) as error:
            _logger.warning("no picture for the alert %s: %s", record["id"], error)
            return None
        return picture_key

    def _link(self, key: str) -> str:
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.artefacts_bucket, "Key": key}, ExpiresIn=self.link_seconds
        )


def _defects(record: Record) -> list[tuple[Detection, str]]:
    """Return each defect with its severity, in the order of the record's reasons."""
    detections = record.get("detections", [])
    return [
        (Detection.model_validate(detections[int(reason["detection"])]), reason["severity"])
        for reason in record["reasons"]
        if reason["code"] == "defect"
    ]


def describe(record: Record, picture_url: str | None) -> dict[str, Any]:
    """Return the alert for machines. Every message about an image version has the same `alert_id`."""
    return {
        "alert_id": record["id"],
        "verdict": record["verdict"],
        "severity": record.get("severity"),
        "line": record["line"],
        "station": record["station"],
        "serial": record["serial"],
        "defects": [
            detection.model_dump() | {"severity": severity}
            for detection, severity in _defects(record)[:_MAX_DEFECTS]
        ],
        "image": record["image"],
        "version_id": record["version_id"],
        "model": record.get("model"),
        "rules_version": record.get("rules_version"),
        "captured_at": record.get("captured_at"),
        "inspected_at": record["inspected_at"],
        "picture_url": picture_url,
    }


def subject(document: dict[str, Any]) -> str:
    """Return the subject, such as `MAJOR defect on line-1/top: scratches (4711)`, as SNS allows it."""
    labels = " + ".join(_labels(document)) or "defect"
    wanted = f"{_headline(document)}: {labels} ({document['serial']})"
    plain = "".join(character if " " <= character <= "~" else "?" for character in wanted)
    return plain if len(plain) <= _MAX_SUBJECT else plain[: _MAX_SUBJECT - 3] + "..."


def sms(document: dict[str, Any]) -> str:
    """Return the alert as one text message."""
    labels = ", ".join(_labels(document))
    return f"{_headline(document)}: {labels}. Serial {document['serial']}"[:_MAX_SMS]


def text(document: dict[str, Any]) -> str:
    """Return the alert for people: place, part and defects first, then the picture, then the details."""
    defects = [
        f"  {defect['label']}, {defect['score']:.0%} sure, {defect['severity']}, "
        f"at x {defect['box'][0]:.0f}-{defect['box'][2]:.0f}, y {defect['box'][1]:.0f}-{defect['box'][3]:.0f}"
        for defect in document["defects"][:_MAX_DEFECTS_IN_TEXT]
    ]
    more = len(document["defects"]) - _MAX_DEFECTS_IN_TEXT
    model = document["model"] or {}
    return "\n".join(
        [
            _headline(document),
            "",
            f"Line:     {document['line']}",
            f"Station:  {document['station']}",
            f"Serial:   {document['serial']}",
            f"Taken:    {document['captured_at'][:19].replace('T', ' ')} UTC",
            "",
            "Defects:",
            *defects,
            *([f"  and {more} more"] if more > 0 else []),
            "",
            "Picture with the defects framed:",
            document["picture_url"] or "  none, because the image could not be read again",
            "",
            f"Image:    {document['image']} (version {document['version_id']})",
            f"Model:    {model.get('name')} {model.get('version')}, rules {document['rules_version']}",
            f"Alert:    {document['alert_id']}",
        ]
    )


def _headline(document: dict[str, Any]) -> str:
    return f"{str(document['severity']).upper()} defect on {document['line']}/{document['station']}"


def _labels(document: dict[str, Any]) -> list[str]:
    """Return the classes of the defects, worst first, each once."""
    return list(dict.fromkeys(defect["label"] for defect in document["defects"]))


def _attributes(document: dict[str, Any]) -> Any:
    """Return what subscription filter policies can use: line, verdict, severity, and the classes of the defects."""
    labels = _labels(document)[:_MAX_LABELS]
    attributes: dict[str, Any] = {
        name: {"DataType": "String", "StringValue": str(document[name])}
        for name in ("line", "verdict", "severity")
        if document[name]
    }
    return attributes | {"defect": {"DataType": "String.Array", "StringValue": json.dumps(labels)}}
