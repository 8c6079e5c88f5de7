"""Dead letters in the local cloud: a poison image alone ends there, says why, and is redriven twice without harm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.announcements import StoredVersion, announcement
from contract.inspections import timestamp
from localcloud.sources import REPOSITORY
from loupe.stack import queues
from loupe.stack.alert_inbox import AlertInbox, DefectAlert
from loupe.stack.image_history import by_key
from loupe.stack.target import Target
from loupe.stack.uploads import Source, Upload, upload
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.site_client import Client
from tests.system.test_chain import loupe

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.promise(8)]
DEFECTIVE = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"
LINE = "poison-line"


def dlq(process: CloudProcess, *arguments: str) -> dict[str, Any]:
    """Run `loupe dlq`, and return its JSON."""
    done = loupe("dlq", *arguments, "--json", home=process.home)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def letters(process: CloudProcess, queue: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dlq(process, "--queue", queue)["queues"][0]["letters"]
    return found


@contextmanager
def unreadable(target: Target, key: str) -> Iterator[None]:
    """Let S3 refuse to give one image to the function, and the queue give it up after one attempt."""
    bucket, queue = target.output("ImagesBucketName"), target.output("QueueUrl")
    policy = json.loads(target.s3.get_bucket_policy(Bucket=bucket)["Policy"])
    deny = {"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject", "s3:GetObjectVersion"]}
    denying = {
        **policy,
        "Statement": [*policy["Statement"], {**deny, "Resource": f"arn:aws:s3:::{bucket}/{key}"}],
    }
    attributes = target.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])[
        "Attributes"
    ]
    once = json.loads(attributes["RedrivePolicy"]) | {"maxReceiveCount": 1}
    target.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(denying))
    target.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(once)})
    try:
        yield
    finally:
        target.sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)
        target.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def put(target: Target, *serials: str) -> list[Upload]:
    image = DEFECTIVE.read_bytes()
    sources = [
        Source(key, lambda: image, key) for key in (f"incoming/{LINE}/top/{serial}.jpg" for serial in serials)
    ]
    return upload(target, sources, lambda _: None)


def record(target: Target, uploaded: Upload) -> dict[str, Any] | None:
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    image, version = stored(target, uploaded).identity
    key = {"image": image, "version_id": version}
    return table.get_item(Key=key, ConsistentRead=True).get("Item")


def stored(target: Target, uploaded: Upload) -> StoredVersion:
    bucket = target.output("ImagesBucketName")
    return StoredVersion(bucket, uploaded.origin, uploaded.version_id, datetime.now(UTC))


def alerted(target: Target, uploaded: Upload) -> Callable[[], Any]:
    return lambda: (record(target, uploaded) or {}).get("alert")


def counted(admin: Client) -> int:
    """Return how many images of the line are counted."""
    now = datetime.now(UTC)
    since, until = (timestamp(now + timedelta(hours=hours)) for hours in (-2, 1))
    reply = admin.send("GET", f"/api/statistics?line={LINE}&since={since}&until={until}&by=hour")
    number: int = reply.json["totals"]["inspected"]
    return number


@pytest.fixture(scope="module")
def alerts(target: Target) -> Callable[[], list[str]]:
    """Return what collects the ids of the alerts that were sent since."""
    inbox, heard = AlertInbox(target), list[str]()

    def collect() -> list[str]:
        while messages := inbox.receive(wait_seconds=0):
            heard.extend(each.document["alert_id"] for each in messages if isinstance(each, DefectAlert))
        return heard

    return collect


def test_a_poison_image_is_isolated_says_why_and_is_redriven_twice_without_doubling_anything(
    loupe_process: CloudProcess,
    target: Target,
    admin: Client,
    alerts: Callable[[], list[str]],
    tried: Callable[..., None],
) -> None:
    target.sqs.purge_queue(QueueUrl=target.output("DeadLetterQueueUrl"))
    poison_key = f"incoming/{LINE}/top/POISON.jpg"
    with unreadable(target, poison_key):
        poison, *neighbours = put(target, "POISON", "GOOD-1", "GOOD-2", "GOOD-3")
        # S3 may announce it more than once.
        body = json.dumps(announcement(stored(target, poison), "us-east-1"))
        target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody=body)
        # Its neighbours finish, and only it ends in the dead-letter queue.
        eventually(lambda: all(record(target, each) for each in neighbours))
        eventually(lambda: queues.count(target, "DeadLetterQueueUrl").waiting == 2)
    found = letters(loupe_process, "images")
    image, version = stored(target, poison).identity
    assert [letter["images"] for letter in found] == [[{"image": image, "version_id": version}]] * 2
    letter = found[0]
    assert "AccessDenied" in letter["why"]
    assert "loupe dlq redrive" in letter["next"]
    shown = loupe("dlq", home=loupe_process.home).stdout
    assert "POISON.jpg" in shown
    assert record(target, poison) is None

    # The cause is mended. It is redriven, and once more with two copies of the letter.
    assert dlq(loupe_process, "redrive", "--queue", "images")["queues"][0]["redriven"] == 2
    first = eventually(lambda: record(target, poison))
    eventually(alerted(target, poison))
    for _ in range(2):
        target.sqs.send_message(QueueUrl=target.output("DeadLetterQueueUrl"), MessageBody=letter["body"])
    redriven = _redriven_to_the_queue(target)
    assert redriven == 2
    eventually(lambda: sum(queues.count(target, "QueueUrl")) == 0)
    assert letters(loupe_process, "images") == []
    assert dlq(loupe_process, "redrive", "--queue", "images")["queues"][0]["redriven"] == 0

    again = record(target, poison)
    assert again is not None
    assert again["inspected_at"] == first["inspected_at"]
    assert len(by_key(target, poison_key)) == 1
    eventually(lambda: counted(admin) == 4)
    images = [poison, *neighbours]
    eventually(lambda: all(alerted(target, each)() for each in images))
    ids = [(record(target, each) or {})["id"] for each in images]
    eventually(lambda: set(ids) <= set(alerts()))
    assert [alerts().count(identity) for identity in ids] == [1, 1, 1, 1]
    tried(images=4, faults=3)


def _redriven_to_the_queue(target: Target) -> int:
    """Move letters that came from no queue, for which SQS must be told where to, and return how many."""
    arn = target.sqs.get_queue_attributes(
        QueueUrl=target.output("DeadLetterQueueUrl"), AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    source = target.sqs.get_queue_attributes(QueueUrl=target.output("QueueUrl"), AttributeNames=["QueueArn"])
    target.sqs.start_message_move_task(SourceArn=arn, DestinationArn=source["Attributes"]["QueueArn"])
    (task,) = eventually(
        lambda: [
            each
            for each in target.sqs.list_message_move_tasks(SourceArn=arn)["Results"]
            if each["Status"] == "COMPLETED"
        ]
    )
    return int(task["ApproximateNumberOfMessagesMoved"])


@contextmanager
def broken(target: Target, output: str, **variables: str) -> Iterator[None]:
    """Let a function of the stream fail, and its batches be given up after one attempt."""
    name = target.output(output)
    environment = target.functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    (mapping,) = target.functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    retries = mapping["MaximumRetryAttempts"]
    target.functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=0)
    target.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": environment | variables}
    )
    try:
        yield
    finally:
        target.functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": environment}
        )
        target.functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=retries)


def test_an_alert_that_could_not_be_sent_is_sent_once_by_a_redrive(
    loupe_process: CloudProcess, target: Target, alerts: Callable[[], list[str]], tried: Callable[..., None]
) -> None:
    topic = target.output("DefectsTopicArn")
    with broken(target, "AlertFunctionName", TOPIC_ARN=f"{topic}-deleted"):
        (owed,) = put(target, "OWED-ALERT")
        found = eventually(lambda: letters(loupe_process, "alerts"))
    assert sum(letter["batch"]["records"] for letter in found) == 1
    assert "loupe dlq redrive" in found[0]["next"]
    assert "alert" not in (record(target, owed) or {})

    done = dlq(loupe_process, "redrive", "--queue", "alerts")["queues"][0]
    assert (done["redriven"], done["records"]) == (len(found), 1)
    identity = (record(target, owed) or {})["alert"]["id"]
    eventually(lambda: identity in alerts())
    again = dlq(loupe_process, "redrive", "--queue", "alerts")["queues"][0]
    assert (again["redriven"], again["of"]) == (0, 0)
    assert alerts().count(identity) == 1
    tried(images=1, faults=1)


def test_records_that_could_not_be_counted_are_counted_once_by_a_redrive(
    loupe_process: CloudProcess, target: Target, admin: Client, tried: Callable[..., None]
) -> None:
    before = counted(admin)
    with broken(target, "TrackFunctionName", STATISTICS_TABLE="deleted-table"):
        put(target, "OWED-COUNT-1", "OWED-COUNT-2")
        found = eventually(
            lambda: (
                (all_ := letters(loupe_process, "counts"))
                and sum(letter["batch"]["records"] for letter in all_) == 2
                and all_
            )
        )
    assert counted(admin) == before
    # The letters are there twice, as if two people redrove them.
    for letter in found:
        target.sqs.send_message(QueueUrl=target.output("TrackFailureQueueUrl"), MessageBody=letter["body"])
    done = dlq(loupe_process, "redrive", "--queue", "counts")["queues"][0]
    assert done["redriven"] == 2 * len(found)
    assert counted(admin) == before + 2
    # The stream has forgotten them: they are found in the table.
    forgotten = json.loads(found[0]["body"])
    number = "1".zfill(21)
    forgotten["DDBStreamBatchInfo"] |= {"startSequenceNumber": number, "endSequenceNumber": number}
    target.sqs.send_message(QueueUrl=target.output("TrackFailureQueueUrl"), MessageBody=json.dumps(forgotten))
    assert dlq(loupe_process, "redrive", "--queue", "counts")["queues"][0]["records"] >= 1
    assert counted(admin) == before + 2
    assert letters(loupe_process, "counts") == []
    tried(images=2, faults=2)


def test_a_letter_is_dropped_by_the_beginning_of_its_id(loupe_process: CloudProcess, target: Target) -> None:
    url = target.output("DeadLetterQueueUrl")
    for body in ("no announcement", "nor this"):
        target.sqs.send_message(QueueUrl=url, MessageBody=body)
    first, second = letters(loupe_process, "images")
    refused = loupe("dlq", "drop", first["id"][:8], home=loupe_process.home)
    assert (refused.returncode, "Add --yes." in refused.stderr) == (1, True)
    assert dlq(loupe_process, "drop", first["id"][:8], "--yes")["dropped"] == [first["id"]]
    assert [letter["id"] for letter in letters(loupe_process, "images")] == [second["id"]]
    assert loupe("dlq", "drop", "ffffffff-none", "--yes", home=loupe_process.home).returncode == 1
    assert dlq(loupe_process, "drop", "--all", "--queue", "images", "--yes")["dropped"] == [second["id"]]
