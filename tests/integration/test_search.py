"""The search for inspections, on moto: what it finds, and how much it reads for it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from contract.inspections import Verdict, partition, record_id, timestamp
from inspection import clients
from inspection.index_reading import Table, Wanted
from inspection.records import Record
from inspection.search import Page, Search
from tests.stack_template import stack_template

REGION = "eu-central-1"
SHARDS = 2
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
_serialize = TypeSerializer().serialize
EVERYTHING = Wanted(NOW - 2 * DAY, NOW + DAY)


def record(number: int, at: datetime, **fields: Any) -> Record:
    line, verdict = fields.get("line", "line-1"), fields.get("verdict", "pass")
    image, version = f"s3://images/incoming/{line}/top/{number}.jpg", f"v{number}"
    identity = record_id(image, version)
    received_at, shard = timestamp(at), int(identity[:8], 16) % SHARDS
    keys = {"line_bucket": partition(line, received_at[:10], shard)}
    if verdict != Verdict.PASS:
        keys["verdict_bucket"] = partition(verdict, received_at[:10], shard)
    return {
        "image": image,
        "version_id": version,
        "id": identity,
        "line": line,
        "station": "top",
        "serial": f"SN{number}",
        "verdict": verdict,
        "received_at": received_at,
        "time_id": f"{received_at}#{identity}",
        "model": {"name": "m", "version": "1"},
        "reasons": [],
        **keys,
        **fields,
    }


def defect(label: str, code: str = "defect") -> list[dict[str, str]]:
    return [{"code": code, "label": label, "message": f"{code}: {label} 0.9"}]


@dataclass
class Known:
    """What is known of the activity. knows: whether also when there was some, or only that there may have been."""

    records: list[Record]
    knows: bool = True

    def lines(self, station: str | None) -> Collection[str]:
        return {r["line"] for r in self.records if station in (None, r["station"])}

    def hours(self, wanted: Wanted) -> Iterator[str]:
        active = {r["received_at"][:13] for r in self.records if wanted.accepts(r)}
        at = wanted.until.replace(minute=0, second=0, microsecond=0)
        while at > wanted.since - timedelta(hours=1):
            if not self.knows or at.isoformat()[:13] in active:
                yield at.isoformat()[:13]
            at -= timedelta(hours=1)


@dataclass
class Stage:
    """The table, a search on it, and what the search has cost."""

    search: Search
    backend: Any
    known: Known
    calls: list[tuple[str, int]] = field(default_factory=list)

    def store(self, records: list[Record]) -> None:
        # Through the API, a thousand records would take five seconds.
        for item in records:
            self.backend.put_item({name: _serialize(value) for name, value in item.items()})
        self.known.records += records

    def pages(self, wanted: Wanted, limit: int) -> Iterator[Page]:
        position = None
        while True:
            page = self.search.page(wanted, limit, position)
            yield page
            position = page.position
            if position is None:
                return

    def found(self, wanted: Wanted, limit: int = 40) -> list[str]:
        return [item["id"] for page in self.pages(wanted, limit) for item in page.records]

    @property
    def queries(self) -> int:
        return sum(name == "Query" for name, _ in self.calls)

    @property
    def read(self) -> int:
        return sum(scanned for _, scanned in self.calls)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield _stage()


def _stage() -> Stage:
    declared = stack_template()["Resources"]
    properties = declared["InspectionsTable"]["Properties"]
    names = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    client = clients.dynamodb()
    client.create_table(TableName="inspections", **{name: properties[name] for name in names})
    known = Known([])
    stage = Stage(
        Search(Table(client, "inspections"), SHARDS, known),
        dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables["inspections"],
        known,
    )

    def after_call(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        stage.calls.append((model.name, parsed.get("ScannedCount", 0)))

    client.meta.events.register("after-call", after_call)
    return stage


def _mixed(count: int = 80) -> list[Record]:
    """Records of all kinds, on three lines, within two days."""
    random = Random(7)  # noqa: S311
    records = []
    for number in range(count):
        verdict = random.choice(["pass", "pass", "pass", "fail", "review", "unreadable"])
        codes = {"fail": "defect", "review": "doubtful"}
        label = random.choice(["scratch", "dent"])
        records.append(
            record(
                number,
                NOW - timedelta(hours=random.uniform(0, 40)),
                line=random.choice(["line-1", "line-2", "line #3"]),
                station=random.choice(["top", "bottom"]),
                serial=f"SN{number % 9}",
                verdict=verdict,
                reasons=defect(label, codes[verdict]) if verdict in codes else defect(label, "allowed"),
                model={"name": "m", "version": random.choice(["1", "2"])},
            )
        )
    return records


def test_each_filter_finds_what_a_look_at_every_record_finds(stage: Stage) -> None:
    records = _mixed()
    stage.store(records)
    span = {"since": EVERYTHING.since, "until": EVERYTHING.until}
    for wanted in (
        Wanted(**span),
        Wanted(NOW - timedelta(hours=30), NOW - timedelta(hours=12)),
        Wanted(**span, line="line #3"),
        Wanted(**span, station="bottom"),
        Wanted(**span, serial="SN4"),
        Wanted(**span, serial="SN4", line="line-1"),
        *(Wanted(**span, verdict=verdict) for verdict in Verdict),
        Wanted(**span, verdict=Verdict.PASS, line="line-1"),
        Wanted(**span, verdict=Verdict.FAIL, line="line-2", station="top"),
        Wanted(**span, defect="scratch"),
        Wanted(**span, defect="scratch", verdict=Verdict.REVIEW),
        Wanted(**span, defect="scratch", verdict=Verdict.PASS),
        Wanted(**span, model="2", line="line-1"),
        Wanted(**span, defect="no such defect"),
        Wanted(**span, line="no such line"),
    ):
        since, until = timestamp(wanted.since), timestamp(wanted.until)
        expected = [r for r in records if wanted.accepts(r) and since <= r["received_at"] <= until]
        expected.sort(key=lambda r: str(r["time_id"]), reverse=True)
        assert stage.found(wanted) == [r["id"] for r in expected], wanted
        # Not all hours are known when a stack is older than its counters.
        if wanted.is_narrow:
            stage.known.knows = not stage.known.knows
    assert {name for name, _ in stage.calls} <= {"Query", "BatchGetItem"}


def test_images_of_the_same_millisecond_are_found_once_each(stage: Stage) -> None:
    records = [record(number, NOW - DAY) for number in range(12)]
    stage.store(records)
    for limit in (1, 5, 12):
        assert stage.found(EVERYTHING, limit) == sorted((r["id"] for r in records), reverse=True)


def test_what_arrives_meanwhile_changes_no_later_page(stage: Stage) -> None:
    old = [record(number, NOW - DAY - timedelta(minutes=number)) for number in range(20)]
    stage.store(old)
    first = stage.search.page(EVERYTHING, 10)
    stage.store([record(number, NOW) for number in range(100, 110)])
    second = stage.search.page(EVERYTHING, 10, first.position)
    assert [r["id"] for r in first.records + second.records] == [r["id"] for r in old]


def test_the_first_page_reads_a_few_records_for_each_that_it_shows_however_many_there_are(
    stage: Stage,
) -> None:
    records = [record(number, NOW - timedelta(milliseconds=500 * number)) for number in range(1_500)]
    costs = set()
    for stored in (records[:300], records[300:]):
        stage.store(stored)
        stage.calls.clear()
        page = stage.search.page(Wanted(NOW - 7 * DAY, NOW + DAY), 48)
        assert [r["id"] for r in page.records] == [r["id"] for r in records[:48]]
        costs.add((stage.read, stage.queries))
    ((read, queries),) = costs
    assert read <= 48 * 4
    assert queries <= SHARDS * 4


def test_a_search_for_what_is_rare_reads_a_bounded_number_and_goes_on(stage: Stage) -> None:
    stage.known.knows = False
    records = [record(number, NOW - DAY - timedelta(seconds=number)) for number in range(500)]
    records.append(record(9999, NOW - 4 * DAY, station="bottom"))
    stage.store(records)
    search = replace(stage.search, max_read=200, max_queries=6)
    wanted = Wanted(NOW - 12 * DAY, NOW + DAY, station="bottom")
    found, pages, position = [], 0, None
    while pages == 0 or position:
        stage.calls.clear()
        page = search.page(wanted, 10, position)
        assert stage.read <= 200 + 8 * SHARDS
        assert stage.queries <= 6 + SHARDS
        found, pages, position = found + page.records, pages + 1, page.position
    assert [r["station"] for r in found] == ["bottom"]
    assert pages > 3


def test_hours_and_days_in_which_nothing_matches_are_not_read(stage: Stage) -> None:
    old = [record(number, NOW - 300 * DAY + timedelta(hours=number)) for number in range(3)]
    common = [record(number, NOW - DAY, station="bottom") for number in range(100, 140)]
    stage.store(old + common)
    wanted = Wanted(NOW - 365 * DAY, NOW - timedelta(hours=6), station="top")
    assert stage.found(wanted, 10) == [r["id"] for r in reversed(old)]
    assert stage.read == len(old)
    assert stage.queries <= 4 * SHARDS


def test_a_record_is_found_by_its_id(stage: Stage) -> None:
    records = [record(number, NOW) for number in range(3)]
    stage.store(records)
    assert stage.search.table.by_id(records[1]["id"]) == records[1]
    assert stage.search.table.by_id("0" * 32) is None
    identities = [records[2]["id"], "f" * 32, records[0]["id"]]
    assert [r["id"] for r in stage.search.table.by_ids(identities)] == [records[2]["id"], records[0]["id"]]


@pytest.mark.parametrize("position", ["", "x", "2026-01-31", "2026-01-31T08:00:00.000Z#g", "2026-99-99T00"])
def test_a_position_that_is_none_is_refused(stage: Stage, position: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of two kinds
        stage.search.page(EVERYTHING, 10, position)
