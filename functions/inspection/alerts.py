"""The alert: one SNS message for each defective image version, for people and for machines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inspection.detector import Detection
from inspection.errors import UnreadableError
from inspection.objects import Objects
from inspection.pictures import annotate
from inspection.records import Record, timestamp
from inspection.store import Inspections

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

_SUBJECT_LIMIT = 99  # SNS: less than 100 ASCII characters, no line breaks
_DEFECTS_LIMIT = 50  # SNS takes 256 KiB, attributes included
_PEOPLE = ("default", "email", "sms")
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
            False if it was out already, or the record is gone.
        """
        record = self.inspections.get(image, version_id)
        if record is None or "alert" in record:
            return False
        picture = self._store_picture(record)
        document = describe(record, self._link(picture) if picture else None)
        message = text(document)
        self.sns.publish(
            TopicArn=self.topic_arn,
            Subject=subject(document),
            MessageStructure="json",
            Message=json.dumps(
                dict.fromkeys(_PEOPLE, message)
                | dict.fromkeys(_MACHINES, json.dumps(document, ensure_ascii=False))
            ),
            MessageAttributes=_attributes(document),
        )
        note = {"id": document["alert_id"], "sent_at": timestamp(datetime.now(UTC))}
        return self.inspections.mark_alerted(
            image, version_id, note | ({"picture": picture} if picture else {})
        )

    def _store_picture(self, record: Record) -> str | None:
        """The key of the annotated picture; None if the image is gone, which must not keep the alert back."""
        bucket, _, key = record["image"].removeprefix("s3://").partition("/")
        try:
            stored = self.objects.read(bucket, key, record["version_id"])
            picture = annotate(stored.data, _defects(record), self.max_pixels)
        except UnreadableError:
            return None
        name = f"annotated/{record['line']}/{record['received_at'][:10]}/{record['id']}.jpg"
        self.s3.put_object(Bucket=self.artefacts_bucket, Key=name, Body=picture, ContentType="image/jpeg")
        return name

    def _link(self, key: str) -> str:
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.artefacts_bucket, "Key": key}, ExpiresIn=self.link_seconds
        )


def _defects(record: Record) -> list[Detection]:
    """The detections that made the image fail, best first."""
    failed = {
        (reason.get("label"), reason.get("score"))
        for reason in record["reasons"]
        if reason["code"] == "defect"
    }
    return [
        Detection.model_validate(found)
        for found in record.get("detections", [])
        if (found["label"], found["score"]) in failed
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
        "defects": [found.model_dump() for found in _defects(record)[:_DEFECTS_LIMIT]],
        "image": record["image"],
        "version_id": record["version_id"],
        "model": record.get("model"),
        "rules_version": record.get("rules_version"),
        "captured_at": record.get("captured_at"),
        "inspected_at": record["inspected_at"],
        "picture_url": picture_url,
    }


def subject(document: dict[str, Any]) -> str:
    """`FAIL line-1/top 4711: scratches 0.93 (major)`, in what SNS allows."""
    found = document["defects"][0] if document["defects"] else None
    what = f": {found['label']} {found['score']:.2f}" if found else ""
    words = (
        f"FAIL {document['line']}/{document['station']} {document['serial']}{what} ({document['severity']})"
    )
    plain = "".join(c if " " <= c <= "~" else "?" for c in words)
    return plain if len(plain) <= _SUBJECT_LIMIT else plain[: _SUBJECT_LIMIT - 3] + "..."


def text(document: dict[str, Any]) -> str:
    """The alert for people."""
    defects = "\n".join(
        f"  {found['label']}  {found['score']:.0%}  at x {found['box'][0]:.0f}-{found['box'][2]:.0f}, "
        f"y {found['box'][1]:.0f}-{found['box'][3]:.0f}"
        for found in document["defects"][:10]
    )
    more = len(document["defects"]) - 10
    model = document["model"] or {}
    return (
        f"Defect on {document['line']}, station {document['station']}\n"
        f"Serial:   {document['serial']}\n"
        f"Severity: {document['severity']}\n"
        f"Taken:    {document['captured_at']}\n\n"
        f"Defects:\n{defects}\n"
        + (f"  and {more} more\n" if more > 0 else "")
        + f"\nPicture:  {document['picture_url'] or 'none: the image was deleted'}\n"
        f"Image:    {document['image']} (version {document['version_id']})\n"
        f"Judged by {model.get('name')} {model.get('version')}, rules {document['rules_version']}\n"
        f"Alert id: {document['alert_id']}\n"
    )


def _attributes(document: dict[str, Any]) -> Any:
    """For subscription filter policies: line, verdict, severity, and the classes of the defects."""
    labels = sorted({found["label"] for found in document["defects"]})
    attributes: dict[str, Any] = {
        name: {"DataType": "String", "StringValue": str(document[name])}
        for name in ("line", "verdict", "severity")
        if document[name]
    }
    return attributes | {"defect": {"DataType": "String.Array", "StringValue": json.dumps(labels)}}
