"""At its start, a local cloud announces the images that have neither a record nor a message, and no other ones."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ministack.core.responses import request_scope
from ministack.services import cloudformation, dynamodb, s3, sqs

from contract.announcements import StoredVersion, announced, announcement
from localcloud.ministack import lost_announcements, received_messages
from localcloud.ministack.environment import ACCOUNT, REGION

BEGUN = datetime.now(UTC)
QUEUES = ("images", "dead")


class Stage:
    """What a cloud has read from the disk at its start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for store in (cloudformation._stacks, dynamodb._tables, s3._object_versions, sqs._queues):
            monkeypatch.setattr(store, "_data", {})
        monkeypatch.setattr(sqs, "_queue_name_to_url", type(sqs._queue_name_to_url)())
        monkeypatch.setattr(lost_announcements, "_send", lambda lost: self.sent.extend(lost))
        self.reset()

    def reset(self) -> None:
        self.sent: list[Any] = []
        outputs = {"ImagesBucketName": "images", "InspectionsTableName": "inspections"}
        outputs |= {"QueueUrl": url("images"), "DeadLetterQueueUrl": url("dead")}
        s3._object_versions._data.clear()
        with request_scope(ACCOUNT, REGION):
            for name in QUEUES:
                arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
                sqs._queues[url(name)] = {"name": name, "messages": [], "attributes": {"QueueArn": arn}}
                sqs._queue_name_to_url[name] = url(name)
            dynamodb._tables["inspections"] = {"items": {}}
            cloudformation._stacks["loupe"] = {
                "StackStatus": "UPDATE_COMPLETE",
                "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
                "Parameters": [{"ParameterKey": "RecordRetentionDays", "ParameterValue": "400"}],
            }

    def store(
        self, key: str, version: str, age: timedelta = timedelta(hours=1), marker: bool = False
    ) -> StoredVersion:
        stored_at = BEGUN - age
        entry = {"version_id": version, "last_modified": stored_at.isoformat(), "is_delete_marker": marker}
        s3._object_versions._data.setdefault((ACCOUNT, ("images", key)), []).append(entry)
        return StoredVersion("images", key, version, stored_at)

    def send(self, queue: str, version: StoredVersion, **changes: Any) -> None:
        with request_scope(ACCOUNT, REGION):
            body = json.dumps(announcement(version, REGION))
            sqs._queues[url(queue)]["messages"].append({"body": body, **changes})

    def record(self, version: StoredVersion) -> None:
        image, version_id = version.identity
        with request_scope(ACCOUNT, REGION):
            dynamodb._tables["inspections"]["items"].setdefault(image, {})[version_id] = {}

    def lost(self) -> list[tuple[str, str]]:
        number = lost_announcements.announce(BEGUN)
        for thread in threading.enumerate():
            if thread.name == "loupe-announcements":
                thread.join()
        assert number == len(self.sent)
        return [version.identity for _, version in self.sent]


def url(name: str) -> str:
    return f"http://127.0.0.1:4566/{ACCOUNT}/{name}"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_what_has_had_its_record_or_needs_none_is_not_announced(stage: Stage) -> None:
    stage.store("incoming/l/s/", "1")
    stage.store("elsewhere/a", "1")
    stage.store("incoming/l/s/marker", "1", marker=True)
    stage.store("incoming/l/s/expired", "1", age=timedelta(days=400))
    stage.store("incoming/l/s/later", "1", age=timedelta(seconds=-1))
    hidden = stage.store("incoming/l/s/hidden ü+", "1", age=timedelta(days=399))
    stage.store("incoming/l/s/hidden ü+", "2", marker=True)
    assert stage.lost() == [hidden.identity]


def test_a_stack_that_is_not_loupes_is_left_alone(stage: Stage) -> None:
    stage.store("incoming/l/s/a", "1")
    with request_scope(ACCOUNT, REGION):
        cloudformation._stacks["loupe"]["Outputs"].pop()
    assert stage.lost() == []


@pytest.mark.promise(28)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
            st.sampled_from(["nothing", "message", "dead letter", "record", "record and message"]),
        ),
        max_size=8,
    )
)
def test_each_image_with_neither_a_record_nor_a_message_is_announced_once(
    stage: Stage, images: list[tuple[str, str]]
) -> None:
    stage.reset()
    expected = []
    for number, (name, left) in enumerate(images):
        version = stage.store(f"incoming/l/s/{name}.jpg", str(number), timedelta(hours=100 - number))
        assert announced(json.dumps(announcement(version, REGION))) == {version.identity}
        if "message" in left:
            stage.send("images", version)
        if left == "dead letter":
            stage.send("dead", version)
        if "record" in left:
            stage.record(version)
        if left == "nothing":
            expected.append(version.identity)
    assert stage.lost() == expected, "oldest first"


def test_a_received_message_can_be_received_at_once_and_has_used_up_no_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stage.store("incoming/l/s/a", "1")
    received = {"sent_at": 100.0, "visible_at": 9e9, "receive_count": 3, "receipt_handle": "handle"}
    delayed = {"sent_at": 100.0, "visible_at": 9e9, "receive_count": 0, "receipt_handle": None}
    stage.send("images", version, **received)
    stage.send("images", version, **delayed)
    monkeypatch.setattr(sqs, "_restore_state", lambda data: None)
    received_messages.apply()
    sqs._restore_state({})
    with request_scope(ACCOUNT, REGION):
        first, second = sqs._queues[url("images")]["messages"]
    assert (first["visible_at"], first["receive_count"], first["receipt_handle"]) == (100.0, 2, None)
    assert second.items() >= delayed.items()
