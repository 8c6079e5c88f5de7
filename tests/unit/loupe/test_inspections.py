"""Queries across days and shards, on moto's DynamoDB."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from contract.inspections import partition, timestamp
from loupe.errors import LoupeError
from loupe.stack.inspections import Filter, parse_time, query
from loupe.stack.target import Target

NOW = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
SHARDS = 3


def _record(number: int, line: str, verdict: str, at: datetime) -> dict[str, str]:
    received_at = timestamp(at)
    record = {
        "image": f"s3://b/incoming/{line}/top/{number}.jpg",
        "version_id": "v",
        "line": line,
        "station": ("top", "side")[number % 2],
        "serial": f"SN{number // 2}",
        "verdict": verdict,
        "received_at": received_at,
        "time_id": f"{received_at}#{number:032x}",
        "line_bucket": partition(line, received_at[:10], number % SHARDS),
    }
    if verdict != "pass":
        record["verdict_bucket"] = partition(verdict, received_at[:10], number % SHARDS)
    return record


@pytest.fixture
def target() -> Iterator[Target]:
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="eu-central-1")
        names = ["image", "version_id", "line_bucket", "verdict_bucket", "serial", "time_id"]
        session.client("dynamodb").create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": "image", "KeyType": "HASH"},
                {"AttributeName": "version_id", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": index,
                    "KeySchema": [
                        {"AttributeName": key, "KeyType": "HASH"},
                        {"AttributeName": "time_id", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": projection},
                }
                for index, key, projection in [
                    ("by_line_time", "line_bucket", "ALL"),
                    ("by_verdict_time", "verdict_bucket", "ALL"),
                    ("by_serial", "serial", "KEYS_ONLY"),
                ]
            ],
        )
        target = Target(session, None, {"InspectionsTableName": "t", "IndexShards": str(SHARDS)})
        with target.dynamodb.Table("t").batch_writer() as batch:
            for number in range(40):  # two lines, four verdicts, across midnight
                verdict = ("pass", "fail", "review", "unreadable")[number % 4]
                line = "line-1" if number % 5 else "line-2"
                batch.put_item(Item=_record(number, line, verdict, NOW - timedelta(minutes=3 * number)))
        yield target


def _query(target: Target, **changes: object) -> list[int]:
    limit = changes.pop("limit", 1000)
    wanted = Filter(**({"since": NOW - timedelta(days=1), "until": NOW} | changes))  # type: ignore[arg-type]
    return [int(record["time_id"].split("#")[1], 16) for record in query(target, wanted, limit)]  # type: ignore[arg-type]


def test_a_line_gives_all_of_its_verdicts_newest_first_across_days_and_shards(target: Target):
    assert _query(target, line="line-1") == [n for n in range(40) if n % 5]


def test_without_a_line_come_those_that_need_attention(target: Target):
    assert _query(target) == [n for n in range(40) if n % 4]


def test_line_verdict_and_time_are_combined(target: Target):
    numbers = _query(target, line="line-1", verdict="fail", since=NOW - timedelta(minutes=60))
    assert numbers == [n for n in range(21) if n % 5 and n % 4 == 1]


def test_the_limit_keeps_the_newest(target: Target):
    assert _query(target, line="line-1", limit=3) == [1, 2, 3]


def test_a_serial_gives_all_of_its_inspections_passes_too_whatever_its_line(target: Target):
    assert _query(target, serial="SN4") == [8, 9]
    assert _query(target, serial="SN4", verdict="pass") == [8]
    assert _query(target, serial="SN4", line="line-2") == []
    assert _query(target, serial="SN4", until=NOW - timedelta(minutes=26)) == [9]


def test_a_station_narrows_every_search(target: Target):
    assert _query(target, line="line-1", station="top") == [n for n in range(0, 40, 2) if n % 5]
    assert _query(target, verdict="fail", station="side") == list(range(1, 40, 4))


def test_a_time_span_that_ends_before_it_begins_is_refused(target: Target):
    with pytest.raises(LoupeError, match="after it ends") as caught:
        _query(target, since=NOW - timedelta(hours=2), until=NOW - timedelta(hours=3))
    assert "--since" in caught.value.hint


def test_passes_without_a_line_are_refused(target: Target):
    with pytest.raises(LoupeError, match="by line only"):
        _query(target, verdict="pass")


@given(st.integers(0, 999), st.sampled_from("smhd"))
def test_a_duration_counts_back_from_now(count: int, unit: str):
    seconds = count * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert parse_time(f"{count}{unit}", NOW) == NOW - timedelta(seconds=seconds)


def test_a_time_without_a_time_zone_is_local_and_other_text_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    assert parse_time("2026-03-01T08:00", NOW) == datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
    assert parse_time("2026-03-01T08:00+02:00", NOW) == datetime(2026, 3, 1, 6, tzinfo=UTC)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text", ["yesterday", "", "2h ago", "99999999999d", "9999999999999999999d", "²h"])
def test_other_text_is_refused_with_an_example(text: str):
    with pytest.raises(LoupeError, match="not a time") as caught:
        parse_time(text, NOW)
    assert "2h" in caught.value.hint
