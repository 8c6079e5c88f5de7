"""What happened to one image, from its upload to its alert: S3, the logs of functions and endpoint, the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from contract.inspections import BY_ID, record_id
from contract.keys import INCOMING
from contract.s3 import join, split
from loupe.errors import LoupeError
from loupe.stack.inspections import Filter, Inspection, query, to_json_types
from loupe.stack.logs import IMAGE_SOURCES, LogLine, StackLogs
from loupe.stack.target import Target

# Clocks of services differ a little.
_EARLIER = timedelta(minutes=1)
_DAY = timedelta(days=1)
_MOST_IMAGES = 20
_NOT_THERE = ("404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed", "405")


@dataclass(frozen=True)
class Image:
    """A version of an image.

    Attributes:
        identity: The id of its record, which its log lines contain.
        uri: Its address in S3; None if it is not known.
        version: S3's id of the version; None if it is not known.
        record: Its record; None if it has none (yet).
    """

    identity: str
    uri: str | None
    version: str | None
    record: Inspection | None


def by_id(target: Target, identity: str) -> list[Image]:
    """Return the image with this record; one that is known by its id alone if there is no record."""
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    keys = table.query(IndexName=BY_ID, KeyConditionExpression=Key("id").eq(identity))["Items"]
    if not keys:
        return [Image(identity, None, None, None)]
    return [_image(target, str(key["image"]), str(key["version_id"])) for key in keys]


def by_serial(target: Target, serial: str, since: datetime) -> list[Image]:
    """Return the inspected images of a part, newest first.

    Raises:
        LoupeError: There is none.
    """
    records = query(target, Filter(since, datetime.now(UTC), serial=serial), _MOST_IMAGES)
    if not records:
        raise LoupeError(
            f"no inspection of the part {serial!r} since {since.astimezone():%Y-%m-%d %H:%M}",
            f"Look further back (--since 7d), or name the image: loupe logs {INCOMING}LINE/STATION/{serial}.jpg",
        )
    return [Image(record["id"], record["image"], record["version_id"], record) for record in records]


def by_key(target: Target, key: str) -> list[Image]:
    """Return the versions of an object in the images bucket, newest first.

    Raises:
        LoupeError: There is no such object, and there was none.
    """
    bucket = target.output("ImagesBucketName")
    pages = target.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    versions = [
        version["VersionId"]
        for page in pages
        for version in page.get("Versions", [])
        if version["Key"] == key
    ][:_MOST_IMAGES]
    if not versions:
        raise LoupeError(f"{join(bucket, key)} does not exist", "See what was inspected: loupe inspections")
    return [_image(target, join(bucket, key), version) for version in versions]


def _image(target: Target, uri: str, version: str) -> Image:
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    item = table.get_item(Key={"image": uri, "version_id": version}).get("Item")
    return Image(record_id(uri, version), uri, version, to_json_types(item) if item else None)


def lines(target: Target, logs: StackLogs, image: Image, since: datetime | None) -> list[LogLine]:
    """Return what happened to an image, oldest first.

    Args:
        target: The stack.
        logs: Its logs.
        image: The image.
        since: Where to begin in the logs; None for the upload, or a day ago if its time is not known.
    """
    own = [*_upload(target, image), *_record(image)]
    begin = since or min((line.at - _EARLIER for line in own), default=datetime.now(UTC) - _DAY)
    names = [name for name in IMAGE_SOURCES if name in logs.sources()]
    written = logs.read(names, begin, image.identity) if names else []
    return sorted([*own, *written], key=lambda line: line.at)


def _upload(target: Target, image: Image) -> Iterator[LogLine]:
    if image.uri is None or image.version is None:
        return
    bucket, key = split(image.uri)
    version: dict[str, Any] = {} if image.version == "null" else {"VersionId": image.version}
    try:
        found = target.s3.head_object(Bucket=bucket, Key=key, **version)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_THERE:
            raise
        return
    text = f"uploaded {image.uri}, {found['ContentLength']:,} bytes, version {image.version}"
    yield LogLine(found["LastModified"].astimezone(UTC), "s3", "", "INFO", text)


def _record(image: Image) -> Iterator[LogLine]:
    record = image.record
    if record is None:
        return
    words = [f"{record['verdict']}, inspection {record['id']}"]
    words += [f"reason {_reason(reason)}" for reason in record.get("reasons", [])]
    if model := record.get("model"):
        words.append(f"model {model['name']} {model['version']}")
    words += [f"rules {record['rules_version']}"] if record.get("rules_version") else []
    words += [f"{record['timings_ms']['total']:.0f} ms"] if record.get("timings_ms", {}).get("total") else []
    words += [f"trace {record['trace']}"] if record.get("trace") else []
    yield LogLine(_time(record["inspected_at"]), "record", "", "INFO", ", ".join(words))
    if alert := record.get("alert"):
        yield LogLine(_time(alert["sent_at"]), "record", "", "INFO", f"alert {alert['id']} was sent")


def _reason(reason: dict[str, Any]) -> str:
    label, score = reason.get("label"), reason.get("score")
    detail = f" {label}" if label else ""
    return f"{reason['code']}{detail}" + (f" {score:.2f}" if isinstance(score, (int, float)) else "")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
