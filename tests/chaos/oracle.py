"""What must be true after every fault: nothing is lost, nothing is doubled, nothing is judged otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import Attr

from contract.s3 import split
from loupe.stack.api import call
from loupe.stack.inspections import to_json_types
from review.sampling import Sampling
from tests.chaos.factory import Factory, Judged, judgement
from tests.chaos.traffic import Traffic
from tests.system.cloud_process import eventually

_PATIENCE_S = 240
_VERDICTS = ("pass", "fail", "review", "unreadable")
Record = dict[str, Any]


def check(
    factory: Factory,
    traffic: Traffic,
    *,
    repeated: int = 0,
    judged: Mapping[str, list[Judged]] | None = None,
) -> list[Record]:
    """Compare records, counters, feed, alerts and review queue of a line with those of an undisturbed factory.

    Args:
        factory: Where the images went; without faults by now.
        traffic: What was sent.
        repeated: How many alerts may have come once more, with the same id: as many as the faults that hid from the
            function that its alert was sent.
        judged: What each version of a model says about each picture; None for the starter model alone.

    Returns:
        The records.
    """
    records = _records(factory, traffic.line)
    found = {(record["image"], record["version_id"]): record for record in records}
    assert len(found) == len(records)
    assert traffic.sent.keys() - found.keys() == set(), "lost"
    for identity in found.keys() - traffic.sent.keys():
        assert split(identity[0])[1] in traffic.unanswered, "never sent"
    expected = judged or {factory.version: factory.judged}
    for identity, record in found.items():
        number = traffic.sent.get(identity, traffic.unanswered.get(split(identity[0])[1]))
        assert number is not None
        # What cannot be read gets no answer of a model.
        version = record["model"]["version"] if "model" in record else factory.version
        assert judgement(record) == expected[version][number], record
    _check_counters(factory, traffic, records)
    _check_reviews(factory, traffic.line, records)
    _check_alerts(factory, traffic.line, records, repeated)
    eventually(lambda: factory.waiting() == 0, _PATIENCE_S)
    assert factory.given_up() == 0
    return records


def _records(factory: Factory, line: str) -> list[Record]:
    table = factory.target.dynamodb.Table(factory.target.output("InspectionsTableName"))
    items: list[Record] = []
    arguments: dict[str, Any] = {"FilterExpression": Attr("line").eq(line), "ConsistentRead": True}
    while True:
        reply = table.scan(**arguments)
        items += map(to_json_types, reply["Items"])
        if "LastEvaluatedKey" not in reply:
            return items
        arguments["ExclusiveStartKey"] = reply["LastEvaluatedKey"]


def _check_counters(factory: Factory, traffic: Traffic, records: list[Record]) -> None:
    # In a test of the clock some images are of the next hour.
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()

    def totals() -> Record:
        report = call(
            factory.target, "GET", "/statistics", {"since": "1d", "until": until, "line": traffic.line}
        )
        counted: Record = report["totals"]
        return counted

    eventually(lambda: totals()["inspected"] >= len(records), _PATIENCE_S)
    counted, verdicts = totals(), Counter(record["verdict"] for record in records)
    assert counted["inspected"] == len(records)
    assert {name: counted[name] for name in _VERDICTS} == {name: verdicts[name] for name in _VERDICTS}
    traffic.read_feed()
    counted_once = {(record["id"], record["inspected_at"]) for record in records}
    assert sorted(counted_once - traffic.shown) == [], "not shown in the feed"
    assert sorted(traffic.shown - counted_once) == [], "shown in the feed, and no record"


def _check_reviews(factory: Factory, line: str, records: list[Record]) -> None:
    sampling = Sampling(
        float(factory.variable("TrackFunctionName", "REVIEW_PASS_SHARE")),
        float(factory.variable("TrackFunctionName", "REVIEW_FAIL_SHARE")),
    )
    expected = {record["id"] for record in records if sampling.select(record)}

    def queued() -> list[str]:
        shown: list[str] = []
        cursor = None
        while True:
            page = call(factory.target, "GET", "/reviews", {"line": line, "limit": 100, "cursor": cursor})
            shown += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return shown

    eventually(lambda: len(queued()) >= len(expected), _PATIENCE_S)
    found = queued()
    assert len(found) == len(set(found)), "queued twice"
    assert set(found) == expected


def _check_alerts(factory: Factory, line: str, records: list[Record], repeated: int) -> None:
    failed = {record["id"] for record in records if record["verdict"] == "fail"}

    def all_marked() -> bool:
        marked = (record for record in _records(factory, line) if "alert" in record)
        return {record["id"] for record in marked} == failed

    eventually(all_marked, _PATIENCE_S)
    factory.receive_alerts()
    ours = Counter({alert: count for alert, count in factory.alerts.items() if alert in failed})
    assert set(ours) == failed
    assert ours.total() - len(failed) <= repeated, "alerted twice"
