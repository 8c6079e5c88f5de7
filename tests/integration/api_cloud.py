"""The tables and buckets behind the API, on moto, as template.yaml declares them."""

import functools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from contract.images import ImageHeader
from contract.inspections import Verdict, timestamp
from handlers import track
from inspection import clients
from inspection.detector import Prediction
from inspection.events import ImageEvent, normalise_sequencer
from inspection.records import Inspection, Record, build_record
from inspection.rules import Judgement, Reason
from inspection.store import Inspections
from tests.api_support import forget
from tests.inspection_support import prediction
from tests.stack_template import stack_template
from tests.unit.tracking.stage import stream_event

REGION = "eu-central-1"
SHARDS = 2
TABLES = {
    "TABLE_NAME": "InspectionsTable",
    "STATISTICS_TABLE": "StatisticsTable",
    "REVIEWS_TABLE": "ReviewsTable",
    "HISTORY_TABLE": "HistoryTable",
}


@dataclass
class ApiCloud:
    """What the API works on.

    Attributes:
        images: The images bucket.
        artefacts: The artefacts bucket.
        tables: The tables by their environment variables.
    """

    images: str
    artefacts: str
    tables: dict[str, str]

    def __post_init__(self) -> None:
        self.s3 = boto3.client("s3")
        self._store = Inspections(boto3.client("dynamodb"), self.tables["TABLE_NAME"])

    def reset(self) -> None:
        """Empty the tables for the next test. To create them again takes half a second."""
        for name in self.tables.values():
            dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[name].items.clear()
        for listed in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.artefacts):
            for stored in listed.get("Contents", []):
                self.s3.delete_object(Bucket=self.artefacts, Key=stored["Key"])
        track._stream.cache_clear()

    def add(
        self,
        key: str,
        verdict: Verdict = Verdict.PASS,
        *reasons: Reason,
        at: datetime | None = None,
        data: bytes | None = None,
        detections: tuple[dict[str, Any], ...] = (),
        **answer: Any,
    ) -> Record:
        """Store an image, and its record as the inspection writes it; count it as the stream would."""
        stored = self.s3.put_object(
            Bucket=self.images, Key=key, Body=b"no image" if data is None else data, ContentType="text/html"
        )
        at = at or datetime.now(UTC)
        event = ImageEvent(self.images, key, stored["VersionId"], normalise_sequencer("1"), timestamp(at))
        predicted = Prediction.model_validate(prediction(*detections, **answer))
        inspection = Inspection(
            event,
            Judgement(verdict, list(reasons)),
            header=ImageHeader(200, 100, "JPEG") if data else None,
            # No model has seen a picture that cannot be read.
            prediction=None if verdict is Verdict.UNREADABLE else predicted,
            rules_version="3",
        )
        record = build_record(inspection, at, SHARDS, 400)
        if predicted.anomaly and predicted.anomaly.heat_map:
            self._store.keep_heat_map(record, predicted.anomaly.heat_map)
        assert self._store.put(record)
        track.handler(stream_event([("INSERT", record)]), None)  # type: ignore[arg-type]
        return record

    def empty(self) -> None:
        """Delete everything in the tables and buckets. To create them again takes seconds."""
        for name in self.tables.values():
            dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[name].items.clear()
        for bucket in (self.images, self.artefacts):
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys.clear()
        forget()
        track._stream.cache_clear()

    def record(self, record: Record) -> Record:
        """Return a record as it is now."""
        found = self._store.get(record["image"], record["version_id"])
        assert found
        return found


def start(patch: pytest.MonkeyPatch) -> Iterator[ApiCloud]:
    """Create all resources and the API's environment; end with nothing kept."""
    template = stack_template()["Resources"]
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        forget()
        track._stream.cache_clear()
        # A client takes longer to make than all calls of a test together.
        for maker in (
            "dynamodb",
            "dynamodb_once",
            "s3",
            "ssm",
            "sagemaker",
            "states",
            "cognito",
            "cloudwatch",
        ):
            patch.setattr(clients, maker, functools.cache(getattr(clients, maker)))
        mark = uuid.uuid4().hex[:8]
        cloud = ApiCloud(
            f"images-{mark}",
            f"artefacts-{mark}",
            {name: f"{logical.lower()}-{mark}" for name, logical in TABLES.items()},
        )
        for bucket in (cloud.images, cloud.artefacts):
            cloud.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for name, logical in TABLES.items():
            declared = template[logical]["Properties"]
            wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
            boto3.client("dynamodb").create_table(
                TableName=cloud.tables[name], **{part: declared[part] for part in wanted if part in declared}
            )
        for name, value in {
            **cloud.tables,
            "IMAGES_BUCKET": cloud.images,
            "ARTEFACTS_BUCKET": cloud.artefacts,
            "INDEX_SHARDS": str(SHARDS),
            "MAX_IMAGE_BYTES": "8000000",
            "MAX_IMAGE_PIXELS": "100000000",
            "REVIEW_PASS_SHARE": "0",
            "REVIEW_FAIL_SHARE": "0",
        }.items():
            patch.setenv(name, value)
        yield cloud
    forget()
    track._stream.cache_clear()
