"""The tables and buckets that reviews need, and records to review."""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from PIL import Image

from contract.inspections import record_id, timestamp
from inspection.store import Inspections
from review.decision import Choice, Decision, LabelledObject
from review.decisions import Decisions, Written
from review.history import History
from review.items import from_item, to_item
from review.labels import Labels
from review.queue import ReviewQueue
from review.sampling import Cause, Selection
from tests.stack_template import stack_template
from tracking.transactions import Transactions

START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
REGION = "eu-central-1"
TABLES = {
    "inspections": "InspectionsTable",
    "statistics": "StatisticsTable",
    "reviews": "ReviewsTable",
    "history": "HistoryTable",
}
_DOUBTFUL = Selection(Cause.VERDICT, 1.0)


def picture(width: int = 200, height: int = 100, shade: int = 128, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), shade).save(buffer, kind)
    return buffer.getvalue()


def failed(*objects: tuple[str, tuple[float, float, float, float]], comment: str = "") -> Decision:
    """Return the decision that a part is bad."""
    return Decision(Choice.FAIL, tuple(LabelledObject(label, box) for label, box in objects), comment)


PASSED, UNUSABLE = Decision(Choice.PASS), Decision(Choice.UNUSABLE)
SCRATCH = ("scratch", (10.0, 20.0, 60.0, 80.0))


def reason(code: str, label: str = "scratch", score: float = 0.4, fail_score: float = 0.5) -> dict[str, Any]:
    return {
        "code": code,
        "message": f"{code}: {label}",
        "label": label,
        "score": score,
        "fail_score": fail_score,
        "severity": "major",
        "detection": 0,
    }


def record(name: str = "SN1", verdict: str = "review", **changes: Any) -> dict[str, Any]:
    """Return an inspection record of line-1. Without other reasons: a scratch, doubtful or sure as the verdict says."""
    image = changes.pop("image", f"s3://images/incoming/line-1/top/{name}.jpg")
    version = changes.pop("version_id", "v1")
    code = {"review": "doubtful", "fail": "defect"}.get(verdict)
    reasons = [reason(code)] if code else []
    received = changes.get("received_at", timestamp(START))
    return {
        "id": record_id(image, version),
        "image": image,
        "version_id": version,
        "line": "line-1",
        "station": "top",
        "serial": name,
        "verdict": verdict,
        "reasons": reasons,
        "detections": [{"label": "scratch", "score": 0.4, "box": [10, 20, 60, 80]}] if reasons else [],
        "quality": {"exposure": 0.5, "sharpness": 120.0},
        "model": {"name": "steel", "version": "7"},
        "received_at": received,
        "inspected_at": received,
        "time_id": f"{received}#{record_id(image, version)}",
        "image_width": 200,
        "image_height": 100,
        "image_format": "JPEG",
        "expires_at": int((START + timedelta(days=400)).timestamp()),
    } | changes


@functools.cache
def declared() -> Any:
    """Return the template's resources."""
    return stack_template()["Resources"]


Saved = tuple[dict[str, Any], dict[str, bytes], datetime]


def _tables() -> Any:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables


@dataclass
class Desk:
    """Where people review: tables, buckets, and a clock that the test moves.

    Attributes:
        client: The DynamoDB client.
        now: The time.
    """

    client: Any
    s3: Any
    now: datetime = START

    @classmethod
    def make(cls) -> Desk:
        """Create the tables as the template declares them, and the buckets."""
        client, s3 = boto3.client("dynamodb"), boto3.client("s3")
        for name, resource in TABLES.items():
            properties = declared()[resource]["Properties"]
            wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
            client.create_table(
                TableName=name, **{key: properties[key] for key in wanted if key in properties}
            )
        for bucket in ("images", "artefacts"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return cls(client, s3)

    def reset(self) -> None:
        self.now = START
        for name in TABLES:
            _tables()[name].items.clear()
        for bucket in ("images", "artefacts"):
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys.clear()

    def save(self) -> Saved:
        """Return what is in the tables, and the labels."""
        tables = {name: copy.deepcopy(_tables()[name].items) for name in TABLES}
        listed = self.s3.list_objects_v2(Bucket="artefacts", Prefix="labels/").get("Contents", [])
        labels = {
            item["Key"]: self.s3.get_object(Bucket="artefacts", Key=item["Key"])["Body"].read()
            for item in listed
        }
        return tables, labels, self.now

    def restore(self, saved: Saved) -> None:
        """Return to what was saved, in the tables and the artefacts bucket."""
        tables, labels, self.now = saved
        for name, items in tables.items():
            _tables()[name].items = copy.deepcopy(items)
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets["artefacts"].keys.clear()
        for key, body in labels.items():
            self.s3.put_object(Bucket="artefacts", Key=key, Body=body)

    def clock(self) -> datetime:
        return self.now

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def queue(self) -> ReviewQueue:
        return ReviewQueue(self.client, "reviews", self.clock)

    @property
    def decisions(self) -> Decisions:
        return Decisions(
            queue=self.queue,
            inspections=Inspections(self.client, "inspections"),
            inspections_table="inspections",
            statistics_table="statistics",
            history=self.history,
            labels=Labels(self.s3, "artefacts"),
            transactions=Transactions(self.client, "statistics", sleep=lambda _: None),
        )

    def decide(self, identity: str, by: str, decision: Decision, version: int | None = None) -> Written:
        """Claim and decide. version: without it, the one of the claim."""
        claimed = self.queue.claim(identity, by)
        return self.decisions.decide(identity, by, decision, version or claimed["version"])

    @property
    def history(self) -> History:
        return History(self.client, "history", self.clock)

    def enqueue(self, name: str = "SN1", selection: Selection = _DOUBTFUL, **changes: Any) -> str:
        """Put an inspection into the queue. Return its id."""
        inspected = record(name, **changes)
        assert self.queue.enqueue(inspected, selection)
        identity: str = inspected["id"]
        return identity

    def counters(self) -> dict[str, int]:
        """Return what the counters by the day count, over all of them."""
        total: Counter[str] = Counter()
        for item in self.items("statistics"):
            if item["pk"].startswith("day#"):
                total.update({name: value for name, value in item.items() if ":" in name and value})
        return dict(total)

    def record(self, inspected: dict[str, Any]) -> dict[str, Any]:
        """Return a record as it is in the table now."""
        key = to_item({"image": inspected["image"], "version_id": inspected["version_id"]})
        return from_item(self.client.get_item(TableName="inspections", Key=key)["Item"])

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return every item of a table."""
        return [from_item(item) for item in self.client.scan(TableName=table)["Items"]]

    def upload(
        self, name: str = "SN1", verdict: str = "review", data: bytes = b"", **changes: Any
    ) -> dict[str, Any]:
        """Upload a picture, write its record, and put it into the queue. Return the record."""
        key = f"incoming/line-1/top/{name}.jpg"
        version = self.s3.put_object(Bucket="images", Key=key, Body=data or picture())["VersionId"]
        inspected = record(name, verdict, version_id=version, **changes)
        self.client.put_item(TableName="inspections", Item=to_item(inspected))
        cause = Cause.VERDICT if verdict == "review" else Cause.SAMPLE
        self.queue.enqueue(inspected, Selection(cause, 1.0 if verdict == "review" else 0.1))
        return inspected

    def label(self, identity: str) -> dict[str, Any] | None:
        """Return the label document of an inspection."""
        try:
            body = self.s3.get_object(Bucket="artefacts", Key=f"labels/{identity}.json")["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        document: dict[str, Any] = json.loads(body)
        return document


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
