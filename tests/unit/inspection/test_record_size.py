"""A record fits into an item of DynamoDB, whatever the endpoint answers, and its verdict stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.inspections import Verdict
from inspection.detector import Prediction
from inspection.events import ImageEvent
from inspection.findings import findings, remarks
from inspection.record_size import MOST_BYTES, item_size
from inspection.records import Inspection, build_record, classes_of
from inspection.rules import Rules, judge
from tests.inspection_support import detection, prediction

pytestmark = pytest.mark.promise(20)
NOW = datetime(2026, 1, 5, 9, 30, 16, tzinfo=UTC)
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
LIMIT = 400 * 1024
RULES = Rules(version="1")


def record_of(answer: dict[str, Any], key: str = "incoming/line-1/top/SN1.jpg") -> tuple[Any, Any]:
    """The judgement of an answer, and the record about it."""
    event = ImageEvent("b" * 63, key, "v" * 1024, "0" * 64, "2026-01-05T09:30:15.250Z")
    parsed = Prediction.model_validate(answer)
    doubts = [doubt.message for doubt in parsed.warnings]
    judgement = judge(RULES, "line-1", parsed.detections, parsed.quality, doubts, parsed.image)
    inspection = Inspection(event, judgement, prediction=parsed, rules_version="1")
    return judgement, build_record(inspection, NOW, 8, 30)


def wire_size(value: Any) -> int:
    """The bytes of a value in DynamoDB's own form, without what JSON adds to it: names, and values as text."""
    kind, inner = next(iter(value.items()))
    if kind == "M":
        return sum(len(name.encode()) + wire_size(each) for name, each in inner.items())
    if kind == "L":
        return sum(map(wire_size, inner))
    return len(str(inner).encode()) if kind == "S" else len(str(inner)) // 2 + 1


labels = st.sampled_from(["pits", "e" * 200, "\U0001f525" * 200, "裂" * 100]) | st.text(
    min_size=1, max_size=200
)
found = st.builds(
    lambda label, score, model: {
        **detection(label, score, (1.123456, 2.654321, 3.111111, 4.222222)),
        **model,
    },
    labels,
    st.floats(0, 1),
    st.sampled_from([{}, {"model": "\U0001f525" * 200}]),
)
answers = st.builds(
    lambda several, times, distinct, warnings: (
        (several * times)[:500]
        and prediction(
            *[
                each | ({"label": f"{number}{each['label']}"[:200]} if distinct else {})
                for number, each in enumerate((several * times)[:500])
            ],
            warnings=[{"message": "\U0001f525" * 500}] * warnings,
        )
    ),
    st.lists(found, min_size=1, max_size=5),
    st.sampled_from([1, 30, 100, 500]),
    st.booleans(),
    st.integers(0, 20),
)


@settings(max_examples=15, deadline=None)
@given(answers, st.sampled_from(["incoming/line-1/top/SN1.jpg", "incoming/" + "l" * 500 + "/t/" + "s" * 500]))
def test_any_answer_gives_a_record_that_dynamodb_takes_with_the_same_verdict(answer: Any, key: str) -> None:
    judgement, record = record_of(answer, key)
    assert item_size(record) <= MOST_BYTES
    assert wire_size(TypeSerializer().serialize(record)) < LIMIT
    assert record["verdict"] == judgement.verdict
    assert record.get("severity") == judgement.severity
    assert all(finding.label for finding in findings(record))
    kept, seen = record["detections"], [each["label"] for each in answer["detections"]]
    # Each reason names the detection that it was about.
    for reason in record["reasons"]:
        if "detection" in reason:
            assert kept[reason["detection"]]["label"] == reason["label"]
    places = iter(seen)
    assert all(each["label"] in places for each in kept), "the order of the detections is another one"
    shortened = [reason for reason in record["reasons"] if reason["code"] == "shortened"]
    lost = len(seen) - len(kept) + len(judgement.reasons) - (len(record["reasons"]) - len(shortened))
    assert len(shortened) == (lost > 0)
    assert all("do not fit" in reason["message"] for reason in shortened)


def test_of_many_long_labels_what_decides_stays() -> None:
    long = "\U0001f525" * 199
    many = [detection(f"{long}{number % 7}", 0.9 - number / 2000, (1, 2, 3, 4)) for number in range(500)]
    judgement, record = record_of(prediction(*many, warnings=[{"message": "wrong scale"}]))
    assert judgement.verdict is Verdict.FAIL
    assert classes_of(record) == {f"{long}{number}" for number in range(7)}
    assert "wrong scale" in remarks(record)
    assert record["reasons"][-1]["code"] == "shortened"
    assert record["reasons"][0]["label"] == judgement.reasons[0].label
    assert len(record["detections"]) > 50


def test_an_answer_of_usual_labels_is_kept_whole() -> None:
    many = [detection("pitted_surface", 0.9, (1000.5, 2000.25, 3000.75, 4000.5)) for _ in range(500)]
    judgement, record = record_of(prediction(*many, image={"width": 6000, "height": 5000}))
    assert len(record["detections"]) == 500
    assert len(record["reasons"]) == len(judgement.reasons) == 500


def test_a_record_without_an_answer_is_not_changed() -> None:
    _, record = record_of(prediction())
    assert record["reasons"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"name": "x" * 100_000, "version": "1"}},
        {"quality": {"x" * 100_000: 1.0}},
        {"quality": {str(number): 1.0 for number in range(5000)}},
        {"timings_ms": {str(number): 1.0 for number in range(5000)}},
    ],
)
def test_an_answer_with_endless_names_is_no_answer(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at most"):
        Prediction.model_validate(prediction() | change)
