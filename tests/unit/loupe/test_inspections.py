"""Reading inspections back across days and shards, on moto's DynamoDB."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from loupe.errors import LoupeError
from loupe.stack.inspections import moment, query
from loupe.stack.target import Target

NOW = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
SHARDS = 3


def _record(number: int, line: str, verdict: str, at: datetime) -> dict[str, str]:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    record = {
        "image": f"s3://b/incoming/{line}/top/{number}.jpg",
        "version_id": "v",
        "line": line,
        "verdict": verdict,
        "received_at": stamp,
        "time_id": f"{stamp}#{number:032x}",
        "line_bucket": f"{line}#{stamp[:10]}#{number % SHARDS}",
    }
    if verdict != "pass":
        record["verdict_bucket"] = f"{verdict}#{stamp[:10]}#{number % SHARDS}"
    return record


@pytest.fixture
def target() -> Iterator[Target]:
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="eu-central-1")
        names = ["image", "version_id", "line_bucket", "verdict_bucket", "time_id"]
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
                    "Projection": {"ProjectionType": "ALL"},
                }
                for index, key in [("by_line_time", "line_bucket"), ("by_verdict_time", "verdict_bucket")]
            ],
        )
        target = Target(session, None, {"InspectionsTableName": "t", "IndexShards": str(SHARDS)})
        with target.dynamodb.Table("t").batch_writer() as batch:
            for number in range(40):  # two lines, four verdicts, across midnight
                verdict = ("pass", "fail", "review", "unreadable")[number % 4]
                line = "line-1" if number % 5 else "line-2"
                batch.put_item(Item=_record(number, line, verdict, NOW - timedelta(minutes=3 * number)))
        yield target


def _ask(target: Target, **changes: object) -> list[int]:
    wanted = {"line": None, "verdict": None, "since": NOW - timedelta(days=1), "until": NOW, "limit": 1000}
    return [int(record["time_id"].split("#")[1], 16) for record in query(target, **(wanted | changes))]  # type: ignore[arg-type]


def test_a_line_gives_all_of_its_verdicts_newest_first_across_days_and_shards(target: Target):
    assert _ask(target, line="line-1") == [n for n in range(40) if n % 5]


def test_without_a_line_come_those_that_need_a_person(target: Target):
    assert _ask(target) == [n for n in range(40) if n % 4]


def test_line_verdict_and_time_narrow_together(target: Target):
    got = _ask(target, line="line-1", verdict="fail", since=NOW - timedelta(minutes=60))
    assert got == [n for n in range(21) if n % 5 and n % 4 == 1]


def test_the_limit_keeps_the_newest(target: Target):
    assert _ask(target, line="line-1", limit=3) == [1, 2, 3]


def test_passes_without_a_line_are_refused_with_advice(target: Target):
    with pytest.raises(LoupeError, match="by line only"):
        _ask(target, verdict="pass")


@given(st.integers(0, 999), st.sampled_from("smhd"))
def test_a_span_counts_back_from_now(count: int, unit: str):
    seconds = count * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert moment(f"{count}{unit}", NOW) == NOW - timedelta(seconds=seconds)


def test_a_time_without_zone_is_utc_and_nonsense_is_refused():
    assert moment("2026-03-01T08:00", NOW) == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert moment("2026-03-01T08:00+02:00", NOW) == datetime(2026, 3, 1, 6, tzinfo=UTC)
    with pytest.raises(LoupeError, match="no time"):
        moment("yesterday", NOW)
