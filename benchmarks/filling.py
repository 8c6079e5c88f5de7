"""Fills a stack's tables with a month of inspections, without inspecting images: records, counters, feed, places.

The records are made by the code of the functions. They go into the tables in batches. Their counters are added up here
and written once, because to count 100,000 records in transactions takes a laptop many minutes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from contract.inspections import timestamp
from contract.keys import incoming
from loupe.stack.target import Target

# As in the Lambda packages.
sys.path.insert(0, "functions")

from inspection.detector import Detection, Model, Prediction, Size
from inspection.events import ImageEvent, normalise_sequencer
from inspection.records import Inspection, Record, build_record
from inspection.rules import Rules, judge
from tracking.beginning import Beginning
from tracking.cells import Cell, cell_of
from tracking.counters import Counts, counts_of, updates
from tracking.places import Places
from tracking.summaries import feed_items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DAYS = 30
LINES, STATIONS = 4, 2
RARE = "rolled-in_scale"  # one in 200 of the failed images has it
_COMMON = ("crazing", "inclusion", "patches", "pitted_surface", "scratches")
_FEED = timedelta(days=2)
_RULES = Rules(version="1")
_RETENTION_DAYS = 400
_SETTINGS = (
    *("EventSourceArn", "BatchSize", "MaximumBatchingWindowInSeconds", "FilterCriteria", "DestinationConfig"),
    *(
        "BisectBatchOnFunctionError",
        "FunctionResponseTypes",
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "ParallelizationFactor",
    ),
)


def records(number: int, until: datetime, shards: int) -> Iterator[Record]:
    """Yield records evenly spread over the last 30 days, oldest first: 7 % fail, 3 % review, the others pass."""
    chance = random.Random(0)  # noqa: S311 - no secret
    for index in range(number):
        at = until - timedelta(days=DAYS) * (1 - (index + 1) / number)
        line, station = f"line-{index % LINES + 1}", f"station-{index // LINES % STATIONS + 1}"
        event = ImageEvent(
            bucket="benchmark-images",
            key=incoming(line, station, f"P{index:07d}.jpg"),
            version_id=f"v{index}",
            sequencer=normalise_sequencer(f"{index:016X}"),
            received_at=timestamp(at),
        )
        detections = _detections(chance)
        prediction = Prediction(
            model=Model(name="steel", version="8" if index > number / 2 else "7"),
            image=Size(width=200, height=200, format="JPEG"),
            detections=detections,
            quality={"sharpness": 410.5, "exposure": 0.42, "clipped": 0.0},
            timings_ms={"decode": 1.2, "model": 9.1, "total": 11.0},
        )
        inspection = Inspection(
            event=event,
            judgement=judge(_RULES, line, detections, prediction.quality),
            size_bytes=20_000,
            prediction=prediction,
            rules_version=_RULES.version,
            timings_ms={"download": 8.0, "endpoint": 14.0},
        )
        yield build_record(inspection, at + timedelta(milliseconds=800), shards, _RETENTION_DAYS)


def _detections(chance: random.Random) -> list[Detection]:
    lot = chance.random()
    label = RARE if chance.random() < 1 / 200 else chance.choice(_COMMON)
    score = 0.9 if lot < 0.07 else 0.4 if lot < 0.1 else 0.1
    return [Detection(label=label, score=score, box=(20.0, 30.0, 80.0, 90.0))]


def fill(target: Target, number: int) -> list[Record]:
    """Write so many records, and all that is derived from them, into an empty stack.

    Returns:
        The records, oldest first.
    """
    made = list(records(number, datetime.now(UTC), int(target.output("IndexShards"))))
    client = target.session.client("dynamodb", endpoint_url=target.endpoint_url)
    statistics = target.output("StatisticsTableName")
    with _without_triggers(target):
        with target.dynamodb.Table(target.output("InspectionsTableName")).batch_writer() as batch:
            for record in made:
                batch.put_item(Item=record)
        with target.dynamodb.Table(statistics).batch_writer() as batch:
            for record in made:
                inspected = datetime.fromisoformat(record["inspected_at"])
                if datetime.now(UTC) - inspected < _FEED:
                    batch.put_item(Item=feed_items(record, inspected)[0])
        _count(client, statistics, made)
    return made


def _count(client: DynamoDBClient, table: str, made: list[Record]) -> None:
    cells: dict[Cell, Counts] = {}
    for record in made:
        cells.setdefault(cell_of(record), Counts()).update(counts_of(record, queued=False))
    for action in updates(table, cells, int(made[-1]["expires_at"])):
        client.update_item(**action["Update"])
    Places(client, table).see(made)
    Beginning(client, table).remember(datetime.fromisoformat(made[0]["received_at"]))


@contextmanager
def _without_triggers(target: Target) -> Iterator[None]:
    """Detach the functions from the stream until the block ends. They never see what was written meanwhile."""
    removed: list[Any] = []
    for name in ("AlertFunctionName", "TrackFunctionName"):
        pages = target.functions.list_event_source_mappings(FunctionName=target.output(name))
        removed += pages["EventSourceMappings"]
    for mapping in removed:
        target.functions.delete_event_source_mapping(UUID=mapping["UUID"])
    yield
    for mapping in removed:
        settings = {name: mapping[name] for name in _SETTINGS if mapping.get(name)}
        function = mapping["FunctionArn"].rpartition(":")[2]
        target.functions.create_event_source_mapping(
            FunctionName=function, StartingPosition="LATEST", **settings
        )
