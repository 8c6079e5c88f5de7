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

_SUBJECT_LIMIT = 99  # SNS: less than 100 ASCII characters, no line breaks
_DEFECTS_LIMIT = 50  # SNS takes 256 KiB, attributes included
_DEFECTS_TOLD = 10  # in the text
_LABELS_LIMIT = 100
_PEOPLE = ("default", "email")
_MACHINES = ("sqs", "http", "https", "lambda", "email-json", "firehose")


@dataclass(frozen=True)
class Alerts:
    """Draws, publishes, notes.

    The note on the record comes last: a crash before it publishes once more, with the same alert id, and a
    defect is never left untold. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
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
        """Publish the alert for an image version, unless that is done.

        Returns:
            False if it was out already, or the record is gone or no longer of a defect.
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
                dict.fromkeys(_PEOPLE, text(document))
                | {"sms": sms(document)}
                | dict.fromkeys(_MACHINES, json.dumps(document, ensure_ascii=False))
            ),
            MessageAttributes=_attributes(document),
        )
        note = {"id": document["alert_id"], "sent_at": timestamp(datetime.now(UTC))}
        return self.inspections.mark_alerted(record, note | ({"picture": picture} if picture else {}))

    def _store_picture(self, record: Record) -> str | None:
        """The key of the annotated picture; None if there can be none, which must not keep the alert back."""
        bucket, key = split(record["image"])
        name = f"{ANNOTATED}{record['line']}/{record['received_at'][:10]}/{record['id']}.jpg"
        try:
            stored = self.objects.read(bucket, key, record["version_id"])
            picture = annotate(stored.data, [found for found, _ in _defects(record)], self.max_pixels)
            self.s3.put_object(Bucket=self.artefacts_bucket, Key=name, Body=picture, ContentType="image/jpeg")
        except (UnreadableError, ClientError, BotoCoreError) as error:
            _logger.warning("no picture for the alert %s: %s", record["id"], error)
            return None
        return name

    def _link(self, key: str) -> str:
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.artefacts_bucket, "Key": key}, ExpiresIn=self.link_seconds
        )


def _defects(record: Record) -> list[tuple[Detection, str]]:
    """The detections that made the image fail, worst and surest first, each with its severity."""
    found = record.get("detections", [])
    return [
        (Detection.model_validate(found[int(reason["detection"])]), reason["severity"])
        for reason in record["reasons"]
        if reason["code"] == "defect"
    ]


def describe(record: Record, picture_url: str | None) -> dict[str, Any]:
    """The alert for machines; `alert_id` is the same however often it is sent."""
    return {
        "alert_id": record["id"],
        "verdict": record["verdict"],
        "severity": record.get("severity"),
        "line": record["line"],
        "station": record["station"],
        "serial": record["serial"],
        "defects": [
            found.model_dump() | {"severity": severity}
            for found, severity in _defects(record)[:_DEFECTS_LIMIT]
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
    """`MAJOR defect on line-1/top: scratches (4711)`, in what SNS allows."""
    what = " + ".join(_labels(document)) or "defect"
    words = f"{_headline(document)}: {what} ({document['serial']})"
    plain = "".join(c if " " <= c <= "~" else "?" for c in words)
    return plain if len(plain) <= _SUBJECT_LIMIT else plain[: _SUBJECT_LIMIT - 3] + "..."


def sms(document: dict[str, Any]) -> str:
    """One message of a phone."""
    return f"{_headline(document)}: {', '.join(_labels(document))}. Serial {document['serial']}"[:140]


def text(document: dict[str, Any]) -> str:
    """The alert for people: what, where and which part at a glance, then the picture, then where it comes from."""
    defects = [
        f"  {found['label']}, {found['score']:.0%} sure, {found['severity']}, "
        f"at x {found['box'][0]:.0f}-{found['box'][2]:.0f}, y {found['box'][1]:.0f}-{found['box'][3]:.0f}"
        for found in document["defects"][:_DEFECTS_TOLD]
    ]
    more = len(document["defects"]) - _DEFECTS_TOLD
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
            document["picture_url"] or "  none, since the image could not be read again",
            "",
            f"Image:    {document['image']} (version {document['version_id']})",
            f"Judge:    model {model.get('name')} {model.get('version')}, rules {document['rules_version']}",
            f"Alert:    {document['alert_id']}",
        ]
    )


def _headline(document: dict[str, Any]) -> str:
    return f"{str(document['severity']).upper()} defect on {document['line']}/{document['station']}"


def _labels(document: dict[str, Any]) -> list[str]:
    """The classes of the defects, worst first, each once."""
    return list(dict.fromkeys(found["label"] for found in document["defects"]))


def _attributes(document: dict[str, Any]) -> Any:
    """For subscription filter policies: line, verdict, severity, and the classes of the defects."""
    labels = _labels(document)[:_LABELS_LIMIT]
    attributes: dict[str, Any] = {
        name: {"DataType": "String", "StringValue": str(document[name])}
        for name in ("line", "verdict", "severity")
        if document[name]
    }
    return attributes | {"defect": {"DataType": "String.Array", "StringValue": json.dumps(labels)}}
