"""The record of an image version, and messages that are deferred."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st

from contract.images import ImageHeader
from contract.inspections import Verdict, record_id
from inspection import events
from inspection.detector import Prediction
from inspection.queue import Message, Queue
from inspection.records import Inspection, build_record
from inspection.rules import Judgement, Reason, Severity
from tests.inspection_support import detection, golden, message, prediction

NOW = datetime(2026, 1, 5, 9, 30, 16, 500_000, tzinfo=UTC)


def event(**changes: Any) -> events.ImageEvent:
    values = {
        "bucket": "b",
        "key": "incoming/line-1/top/SN1.jpg",
        "version_id": "v1",
        "sequencer": events.normalise_sequencer("0A"),
        "received_at": "2026-01-05T09:30:15.250Z",
    }
    return events.ImageEvent(**(values | changes))


FAILED = Inspection(
    event(),
    Judgement(
        Verdict.FAIL,
        [Reason("defect", "defect: pits 0.75", "pits", 0.75, 0.5, "major", 0)],
        Severity.MAJOR,
    ),
    size_bytes=1234,
    header=ImageHeader(100, 200, "JPEG"),
    prediction=Prediction.model_validate(prediction(detection("pits", 0.75, (1, 2.25, 3, 4)))),
    rules_version="3",
    timings_ms={"read": 1.23456789},
)


def test_the_record_of_an_inspected_image() -> None:
    assert (
        build_record(FAILED, NOW, index_shards=8, retention_days=1)
        == {
            "image": "s3://b/incoming/line-1/top/SN1.jpg",
            "version_id": "v1",
            "id": (identity := record_id("s3://b/incoming/line-1/top/SN1.jpg", "v1")),
            "sequencer": "0A".ljust(64, "0"),
            "verdict": "fail",
            "severity": "major",
            "reasons": [
                {
                    "code": "defect",
                    "message": "defect: pits 0.75",
                    "label": "pits",
                    "score": Decimal("0.75"),
                    "fail_score": Decimal("0.5"),
                    "severity": "major",
                    "detection": 0,
                }
            ],
            "detections": [
                {
                    "label": "pits",
                    "score": Decimal("0.75"),
                    "box": [Decimal("1.0"), Decimal("2.25"), Decimal(3), Decimal(4)],
                }
            ],
            "quality": {"sharpness": Decimal("120.5")},
            "doubts": [],
            "model": {"name": "steel", "version": "7"},
            "line": "line-1",
            "station": "top",
            "serial": "SN1",
            "image_bytes": 1234,
            "image_format": "JPEG",
            "image_width": 200,  # of the upright image
            "image_height": 100,
            "captured_at": "2026-01-05T09:30:15.250Z",
            "received_at": "2026-01-05T09:30:15.250Z",
            "inspected_at": "2026-01-05T09:30:16.500Z",
            "rules_version": "3",
            "timings_ms": {"read": Decimal("1.234568"), "model_total": Decimal("8.25")},
            "time_id": f"2026-01-05T09:30:15.250Z#{identity}",
            "line_bucket": f"line-1#2026-01-05#{int(identity[:8], 16) % 8}",
            "verdict_bucket": f"fail#2026-01-05#{int(identity[:8], 16) % 8}",
            "expires_at": int(NOW.timestamp()) + 86_400,
        }
    )


def test_a_record_keeps_why_the_model_may_be_blind_on_the_picture() -> None:
    answer = prediction(warnings=[{"code": "scale", "message": "the picture is at another scale"}])
    doubted = replace(FAILED, prediction=Prediction.model_validate(answer))
    assert build_record(doubted, NOW, 8, 1)["doubts"] == ["the picture is at another scale"]


def test_a_field_without_a_value_is_left_out() -> None:
    record = build_record(
        Inspection(event(), Judgement(Verdict.UNREADABLE, [Reason("deleted", "gone")])), NOW, 8, 1
    )
    assert (
        not {"model", "detections", "image_width", "image_format", "severity", "rules_version"}
        & record.keys()
    )
    assert record["verdict_bucket"].startswith("unreadable#")


def test_a_pass_stays_out_of_the_index_by_verdict() -> None:
    assert "verdict_bucket" not in build_record(Inspection(event(), Judgement(Verdict.PASS, [])), NOW, 8, 1)


def test_the_camera_s_time_takes_precedence() -> None:
    inspection = Inspection(event(), Judgement(Verdict.PASS, []), captured_at="2026-01-05T09:30:14.000Z")
    assert build_record(inspection, NOW, 8, 1)["captured_at"] == "2026-01-05T09:30:14.000Z"


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_two_image_versions_never_share_an_identity(key: str, version: str, key2: str, version2: str) -> None:
    clean = [
        text.replace("\0", "").encode(errors="ignore").decode() for text in (key, version, key2, version2)
    ]
    same = (clean[0], clean[1]) == (clean[2], clean[3])
    assert (record_id(clean[0], clean[1]) == record_id(clean[2], clean[3])) == same


def test_the_index_spreads_a_day_evenly() -> None:
    """1,000 images/s need every partition: none may get more than a quarter above its share."""
    counts: dict[str, int] = {}
    for number in range(8_000):
        record = build_record(
            Inspection(event(version_id=str(number)), Judgement(Verdict.PASS, [])), NOW, 8, 1
        )
        counts[record["line_bucket"]] = counts.get(record["line_bucket"], 0) + 1
    assert len(counts) == 8
    assert max(counts.values()) < 1_250


def sqs() -> tuple[Queue, Stubber]:
    client = boto3.client("sqs", "eu-central-1", aws_access_key_id="t", aws_secret_access_key="t")
    stubber = Stubber(client)
    stubber.activate()
    return Queue(client, "https://queue"), stubber


@pytest.mark.parametrize(
    ("deferrals", "longest"), [(0, 5), (1, 10), (4, 80), (7, 640), (8, 900), (9, 900), (1000, 900)]
)
def test_a_deferred_message_waits_longer_each_time(deferrals: int, longest: int) -> None:
    queue, stubber = sqs()
    stubber.add_response(
        "send_message",
        {},
        {
            "QueueUrl": "https://queue",
            "MessageBody": ANY,
            "DelaySeconds": ANY,
            "MessageAttributes": {"deferrals": {"DataType": "Number", "StringValue": str(deferrals + 1)}},
        },
    )
    delay = queue.defer(Message.from_record(message(deferrals=deferrals)))
    assert longest / 2 - 1 <= delay <= longest
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(("receives", "seconds"), [(1, 10), (2, 40), (3, 160), (4, 360), (99, 360)])
def test_a_failed_message_returns_before_its_visibility_timeout(receives: int, seconds: int) -> None:
    queue, stubber = sqs()
    expected = {"QueueUrl": "https://queue", "ReceiptHandle": "handle-1", "VisibilityTimeout": seconds}
    stubber.add_response("change_message_visibility", {}, expected)
    queue.hasten(Message.from_record(message(receives=receives)))
    stubber.assert_no_pending_responses()


def test_a_deferred_message_counts_its_deferrals() -> None:
    (record,) = golden("inspect-deferred")["Records"]
    assert Message.from_record(record).deferrals == 3
    assert (
        Message.from_record(record | {"messageAttributes": {"deferrals": {"stringValue": "many"}}}).deferrals
        == 0
    )
