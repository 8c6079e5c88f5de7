"""Previews and proposals of rules by the API, from records and decisions on moto."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from api import rule_cases
from handlers import track
from inspection.records import Record
from inspection.rules import Rules
from inspection.store import Inspections
from review.items import to_item
from tests.api_support import Answer, call
from tests.inspection_support import detection, prediction
from tests.integration.api_cloud import SHARDS, ApiCloud, start
from tests.unit.inspection.factory import record_of
from tests.unit.tracking.stage import stream_event

RULES: dict[str, Any] = {"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3}}
STRICT: dict[str, Any] = {"version": "2", "default": {"fail_score": 0.35, "review_score": 0.05}}
GOOD, BAD = "pass", "fail"


class Floor:
    """A line that inspects, and people who decide."""

    def __init__(self, cloud: ApiCloud, line: str) -> None:
        self.tables, self.client, self.line = cloud.tables, boto3.client("dynamodb"), line
        self.store = Inspections(self.client, self.tables["TABLE_NAME"])
        self.lines: set[str] = set()

    def inspect(self, score: float, decided: str | None = None, line: str = "") -> Record:
        """Inspect a part in which the model sees a scratch with this score, or none with 0."""
        line = line or self.line
        answer = prediction(*([detection("scratch", score)] if score else []))
        at = datetime.now(UTC) - timedelta(minutes=10) + timedelta(seconds=next(_NUMBERS))
        record = record_of(Rules.model_validate(RULES), answer, next(_NUMBERS), line, at, SHARDS)
        reviewed = record | ({"review": {"by": "anna", "verdict": decided}} if decided else {})
        assert self.store.put(reviewed)
        if line not in self.lines:
            # The search has to know the line. To count every record takes moto long.
            track.handler(stream_event([("INSERT", record)]), None)  # type: ignore[arg-type]
            self.lines.add(line)
        if decided:
            # Two people have decided: only the last decision counts.
            objects = [{"label": "scratch", "box": [1, 2, 3, 4]}] if decided == BAD else []
            decisions = [{"verdict": "unusable", "objects": []}, {"verdict": decided, "objects": objects}]
            item = to_item({"id": record["id"], "image": record["image"], "decisions": decisions})
            self.client.put_item(TableName=self.tables["REVIEWS_TABLE"], Item=item)
        return record


_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def _cloud() -> Iterator[ApiCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RULES_CACHE_SECONDS", "30")
        # Each day is some queries, on which moto spends long.
        patch.setattr(rule_cases, "_BACK", timedelta(days=2))
        yield from start(patch)


@pytest.fixture
def floor(_cloud: ApiCloud, monkeypatch: pytest.MonkeyPatch) -> Floor:
    """A line of its own for each test, and rules of its own."""
    mark = f"line-{next(_NUMBERS)}"
    monkeypatch.setenv("RULES_PARAMETER", f"/{mark}/rules")
    boto3.client("ssm").put_parameter(Name=f"/{mark}/rules", Value=json.dumps(RULES), Type="String")
    # The number of a change is claimed in the history table, which the tests share.
    history = _cloud.tables["HISTORY_TABLE"]
    client = boto3.client("dynamodb")
    for item in client.scan(TableName=history)["Items"]:
        client.delete_item(TableName=history, Key={name: item[name] for name in ("subject", "at_id")})
    return Floor(_cloud, mark)


def preview(document: Any = STRICT, **body: Any) -> Answer:
    return call("POST", "/rules/preview", "viewer", body={"document": document, **body})


def test_a_preview_judges_the_newest_inspections_again_and_counts_what_people_say(floor: Floor) -> None:
    floor.inspect(0.9, BAD)
    doubtful = floor.inspect(0.4, GOOD)
    passed = floor.inspect(0.1, BAD)
    floor.inspect(0.0, GOOD, line=f"{floor.line}-b")
    answer = preview(last=4)
    assert answer.status == 200, answer.body
    body = answer.body
    assert body["inspected"] == 4
    assert body["current"] == {"pass": 2, "review": 1, "fail": 1, "unreadable": 0}
    assert body["proposed"] == {"pass": 1, "review": 1, "fail": 2, "unreadable": 0}
    assert sorted(body["moves"], key=lambda move: str(move["from"])) == [
        {"from": "pass", "to": "review", "count": 1, "ids": [passed["id"]]},
        {"from": "review", "to": "fail", "count": 1, "ids": [doubtful["id"]]},
    ]
    assert (body["escape"]["current"]["value"], body["escape"]["proposed"]["value"]) == (0.5, 0.0)
    assert (body["overkill"]["current"]["value"], body["overkill"]["proposed"]["value"]) == (0.0, 0.5)
    assert body["by_label"]["scratch"]["histogram"]["rejected"][2] == 1
    assert body["notes"] == []


def test_a_preview_is_of_the_last_images_and_of_one_line(floor: Floor) -> None:
    for score in (0.9, 0.9, 0.0):
        floor.inspect(score)
    floor.inspect(0.9, line=f"{floor.line}-b")
    assert preview(last=2).body["current"] == {"pass": 1, "review": 0, "fail": 1, "unreadable": 0}
    own = preview(line=floor.line).body
    assert own["inspected"] == 3
    assert any(note.startswith("Only 3 images could be found since ") for note in own["notes"])
    assert preview(line="nowhere").body["inspected"] == 0


def test_a_preview_says_how_many_images_were_read_in_the_time(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_cases, "_SECONDS", 0.0)
    monkeypatch.setattr(rule_cases, "_PAGE", 2)
    for _ in range(5):
        floor.inspect(0.9)
    body = preview(line=floor.line).body
    assert body["inspected"] == 2
    assert any(note.startswith("Only 2 images could be read, back to ") for note in body["notes"])


def test_a_preview_of_rules_that_are_not_valid_is_refused_with_every_problem(floor: Floor) -> None:
    answer = preview({"version": "", "default": {"fail_score": 2}})
    assert (answer.status, len(answer.body["error"]["details"])) == (400, 2)
    for body in ({"document": STRICT, "last": 0}, {"document": STRICT, "last": 10_001}, {"last": 5}):
        assert call("POST", "/rules/preview", "viewer", body=body).status == 400


def test_invalid_rules_in_force_are_compared_by_the_recorded_verdicts(floor: Floor) -> None:
    floor.inspect(0.9)
    boto3.client("ssm").put_parameter(
        Name=f"/{floor.line}/rules", Value='{"version": 5}', Type="String", Overwrite=True
    )
    body = preview(last=1).body
    assert body["current"]["fail"] == 1
    assert any("rules in force are not valid" in note for note in body["notes"])
    refused = call("POST", "/rules/proposal", "reviewer", body={"escape": 0.1})
    assert refused.status == 400


def test_decisions_propose_rules_that_can_be_put_into_force(floor: Floor) -> None:
    for number in range(30):
        floor.inspect(0.2 if number < 3 else 0.8, BAD)
        floor.inspect(0.1, GOOD)
    wish = {"escape": 0.05, "overkill": 0.1, "last": 60}
    answer = call("POST", "/rules/proposal", "reviewer", body=wish)
    assert answer.status == 200, answer.body
    body = answer.body
    assert body["by_label"]["scratch"]["review_score"] == 0.2
    assert body["by_label"]["scratch"]["decided"] == 30
    assert (
        body["preview"]["escape"]["current"]["value"],
        body["preview"]["escape"]["proposed"]["value"],
    ) == (0.1, 0.0)
    assert body["document"]["version"] == "1-proposed"
    put = call("PUT", "/rules", "admin", body={"document": body["document"], "number": 1})
    assert put.status == 200
    again = call("POST", "/rules/proposal", "reviewer", body=wish).body
    assert again["document"] == put.body["document"], "the same decisions speak for the same rules"


@pytest.mark.parametrize("body", [{}, {"escape": 0}, {"escape": 1}, {"escape": 0.1, "overkill": 2}])
def test_a_proposal_needs_a_rate_that_can_be_reached(floor: Floor, body: Any) -> None:
    assert call("POST", "/rules/proposal", "reviewer", body=body).status == 400


def test_only_reviewers_ask_for_proposals(floor: Floor) -> None:
    assert call("POST", "/rules/proposal", "operator", body={"escape": 0.1}).status == 403
