"""The function that compares bucket and table, with its queues and its memory, on moto."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from handlers import reconcile
from reconciliation import queues
from reconciliation.passes import Memory, Passes
from tests.inspection_support import Context, message
from tests.integration.moto_cloud import Cloud

DAY = timedelta(days=1)


class Stage:
    """The function with its dead-letter queue and its memory, and a page size of two."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.sqs, self.ssm = cloud, boto3.client("sqs"), boto3.client("ssm")
        self.dead_letters = self.sqs.create_queue(QueueName=f"{cloud.images}-dead")["QueueUrl"]
        self.parameter = f"/{cloud.images}/reconcile"
        self.ssm.put_parameter(Name=self.parameter, Value="{}", Type="String")

    def reset(self) -> None:
        """Forget everything; moto takes too long to make it anew."""
        self.cloud.reset()
        self.forget()
        versions = self.cloud.s3.list_object_versions(Bucket=self.cloud.images, MaxKeys=1000)
        for entry in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
            self.cloud.s3.delete_object(
                Bucket=self.cloud.images, Key=entry["Key"], VersionId=entry["VersionId"]
            )

    def forget(self) -> None:
        """Empty the queues and the memory."""
        for url in (self.cloud.queue_url, self.dead_letters):
            # It could be purged only once a minute.
            self.sqs.delete_queue(QueueUrl=url)
            self.sqs.create_queue(QueueName=url.rpartition("/")[2])
        self.ssm.put_parameter(Name=self.parameter, Value="{}", Type="String", Overwrite=True)

    def ask(self, **changes: Any) -> dict[str, Any]:
        """Invoke the function as `loupe reconcile` does, until it has listed everything. Return the sum."""
        since = datetime.now(UTC) - DAY
        event = {"since": since.isoformat(), "older_than_seconds": -60, "dry_run": False, "marker": None}
        total: Counter[str] = Counter()
        while True:
            answer = reconcile.handler({**event, **changes}, Context(900))  # type: ignore[arg-type]
            total.update(
                {
                    name: answer[name]
                    for name in ("listed", "compared", "missing", "dead_letters", "announced")
                }
            )
            changes |= {"marker": answer["marker"], "announced": total["announced"]}
            if answer["marker"] is None:
                return {**answer, **total}

    def passes(self, now: datetime) -> Passes:
        """Return the comparison on the schedule, at another time."""
        made = reconcile._passes()
        return Passes(made.reconciler, made.ssm, made.parameter, made.retention_days, lambda: now)

    def memory(self) -> Memory:
        return Memory.of(self.ssm.get_parameter(Name=self.parameter)["Parameter"]["Value"])

    def deliver(self) -> int:
        """Let `inspect` process what the queue holds. Return the number of messages."""
        delivered = 0
        while received := self.sqs.receive_message(QueueUrl=self.cloud.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            records = [json.loads(item["Body"])["Records"][0] for item in received]
            assert self.cloud.inspect(*[message(record, number=n) for n, record in enumerate(records)]) == []
            for item in received:
                self.sqs.delete_message(QueueUrl=self.cloud.queue_url, ReceiptHandle=item["ReceiptHandle"])
            delivered += len(received)
        return delivered

    def recorded(self) -> list[tuple[str, str]]:
        return sorted((record["image"], record["version_id"]) for record in self.cloud.records())

    def identity(self, announced: dict[str, Any], key: str) -> tuple[str, str]:
        return f"s3://{self.cloud.images}/{key}", announced["s3"]["object"]["versionId"]

    def bury(self, announced: dict[str, Any]) -> None:
        self.sqs.send_message(QueueUrl=self.dead_letters, MessageBody=json.dumps({"Records": [announced]}))


def start(cloud: Cloud) -> Iterator[Stage]:
    """Make the function's queues, its memory and its environment."""
    stage = Stage(cloud)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "IMAGES_BUCKET": cloud.images,
            "DEAD_LETTER_QUEUE_URL": stage.dead_letters,
            "RECONCILE_PARAMETER": stage.parameter,
            "AWS_REGION": "eu-central-1",
        }.items():
            patch.setenv(name, value)
        patch.setattr(queues, "_PAUSE_SECONDS", 0)
        patch.setattr(queues, "_FEW", 5)
        reconcile._passes.cache_clear()
        passes = reconcile._passes()
        passes.reconciler.versions.client.meta.events.register(
            "provide-client-params.s3.ListObjectVersions", _two_a_page
        )
        yield stage
    reconcile._passes.cache_clear()


def _two_a_page(params: dict[str, Any], **_: Any) -> None:
    params["MaxKeys"] = 2
