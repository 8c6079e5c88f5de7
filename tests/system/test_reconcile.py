"""Images without a record in the local cloud, with the function, its role, and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.announcements import StoredVersion, announcement
from contract.s3 import join
from loupe.stack import queues
from loupe.stack.target import Target
from loupe.stack.uploads import Source, Upload, follow, upload
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.commands import loupe

pytestmark = pytest.mark.system


@contextmanager
def no_announcements(target: Target) -> Iterator[None]:
    """Let S3 announce nothing."""
    bucket = target.output("ImagesBucketName")
    configured = target.s3.get_bucket_notification_configuration(Bucket=bucket)
    configured.pop("ResponseMetadata", None)  # type: ignore[misc]
    target.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        target.s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration=configured,  # type: ignore[arg-type]
        )


def reconcile(home: Path, *options: str) -> dict[str, Any]:
    done = loupe("reconcile", "--json", "--since", "1h", "--older-than", "0", *options, home=home)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def bury(target: Target, uploaded: Upload) -> None:
    """Put the announcement of an image into the dead-letter queue."""
    bucket = target.output("ImagesBucketName")
    version = StoredVersion(bucket, uploaded.origin, uploaded.version_id, datetime.now(UTC))
    target.sqs.send_message(
        QueueUrl=target.output("DeadLetterQueueUrl"),
        MessageBody=json.dumps(announcement(version, "us-east-1")),
    )


@pytest.mark.promise(28)
def test_an_image_that_was_never_announced_is_found_and_inspected_and_a_dead_letter_stays_one(
    loupe_process: CloudProcess, target: Target
) -> None:
    home = loupe_process.home
    eventually(lambda: sum(queues.count(target, "QueueUrl")) == 0)
    keys = ["incoming/lost/top/a+b ü.txt", "incoming/lost/top/dead.txt"]
    with no_announcements(target):
        lost, dead = upload(target, [Source(key, lambda: b"no image", key) for key in keys], lambda _: None)
    bury(target, dead)
    before = sum(queues.count(target, "DeadLetterQueueUrl"))

    shown = reconcile(home, "--dry-run")
    assert {lost.identity, dead.identity} <= {
        (image["image"], image["version_id"]) for image in shown["images"]
    }
    found = reconcile(home)
    assert found["announced"] == found["missing"] - found["dead_letters"] >= 1
    assert follow(target, [lost], lambda _: None, patience=60)[lost.identity]["image"] == join(
        target.output("ImagesBucketName"), keys[0]
    )
    assert sum(queues.count(target, "DeadLetterQueueUrl")) == before
    assert reconcile(home)["announced"] == 0

    # As the schedule does.
    reply = target.functions.invoke(FunctionName=target.output("ReconcileFunctionName"), Payload=b"{}")
    assert "FunctionError" not in reply
    assert json.loads(reply["Payload"].read())["obstacle"] is None
    target.sqs.purge_queue(QueueUrl=target.output("DeadLetterQueueUrl"))
