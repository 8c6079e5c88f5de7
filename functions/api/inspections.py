"""Inspections as the API shows them, and what the routes about them work with."""

from __future__ import annotations

import functools
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from api import aws, settings
from api.errors import not_found
from api.links import Links, PictureLinks
from inspection.heat_maps import data_url
from inspection.index_reading import Table
from inspection.objects import Objects
from inspection.records import Record
from inspection.search import Search
from inspection.store import Inspections
from inspection.views import Views
from tracking.activity import CountedActivity
from tracking.places import Places
from tracking.statistics import Statistics

# What the record holds for the indexes, for S3's events and for DynamoDB is nobody's business.
_FIELDS = (
    *("id", "line", "station", "serial", "captured_at", "received_at", "inspected_at", "verdict", "severity"),
    *(
        "reasons",
        "detections",
        "image",
        "version_id",
        "image_width",
        "image_height",
        "image_bytes",
        "image_format",
    ),
    *("model", "rules_version", "quality", "timings_ms", "doubts", "review", "acknowledged"),
)


class Reason(TypedDict):
    """A reason for a verdict. detection: the index of the detection behind it."""

    code: str
    message: str
    label: NotRequired[str]
    score: NotRequired[float]
    fail_score: NotRequired[float]
    severity: NotRequired[str]
    detection: NotRequired[int]


class Detection(TypedDict):
    """What a model has found. box: x1, y1, x2, y2 in pixels of the upright image. model: which, if two have judged."""

    label: str
    score: float
    box: list[float]
    model: NotRequired[str]


class Model(TypedDict):
    """The model that has judged."""

    name: str
    version: str


class Anomaly(TypedDict):
    """How unusual the image is to a model that knows good parts.

    score: calibrated to 0..1; None if the image shows another product than the model has learned, or none. distance: as
    the model measures it. heat_map: a data URL of a small grey PNG, which is stretched over the upright image, the
    brighter the more unusual; None in lists, and if there is none.
    """

    score: float | None
    distance: float
    model: Model
    heat_map: str | None


class Done(TypedDict):
    """Who did something, and when."""

    by: str
    at: str


class Replay(TypedDict):
    """That an image was judged again (`loupe replay`): when, and which judgement this is. The first one is 1.

    Those before are in the history of the inspection, as `old` of the entries `judged_again`.
    """

    at: str
    number: int


class Inspection(TypedDict):
    """The inspection of an image version."""

    id: str
    line: str
    station: str
    serial: str
    captured_at: str
    received_at: str
    inspected_at: str
    verdict: str
    severity: NotRequired[str]
    reasons: list[Reason]
    detections: list[Detection]
    image: str
    version_id: str
    image_width: NotRequired[int]
    image_height: NotRequired[int]
    image_bytes: NotRequired[int]
    image_format: NotRequired[str]
    model: NotRequired[Model]
    anomaly: NotRequired[Anomaly]
    rules_version: NotRequired[str]
    quality: NotRequired[dict[str, float]]
    timings_ms: NotRequired[dict[str, float]]
    doubts: NotRequired[list[str]]
    review: NotRequired[dict[str, Any]]
    acknowledged: NotRequired[Done]
    replay: NotRequired[Replay]
    links: PictureLinks


def shown(record: Record) -> Inspection:
    """Return a record as lists show it."""
    known: dict[str, Any] = {name: record[name] for name in _FIELDS if name in record}
    if "anomaly" in record:
        known["anomaly"] = {"score": None, **record["anomaly"], "heat_map": None}
    if "replay" in record:
        known["replay"] = {name: record["replay"][name] for name in ("at", "number")}
    return cast(Inspection, {"detections": [], "reasons": [], **known, "links": links().of(record)})


def shown_whole(record: Record) -> Inspection:
    """Return a record as it is shown alone: with its heat map, and a picture that every browser shows."""
    inspection = shown(_views().added(record))
    if "anomaly" in inspection and (heat_map := _inspections().heat_map(record)):
        inspection["anomaly"]["heat_map"] = data_url(heat_map)
    return inspection


def existing(identity: str) -> Record:
    """Return the record of an id, as it is just now.

    Raises:
        ApiError: There is none.
    """
    record = table().by_id(identity)
    if record is None:
        raise not_found("There is no such inspection.")
    return record


@functools.cache
def _views() -> Views:
    environment = settings.Records.read()
    return Views(
        objects=Objects(aws.s3(), environment.max_image_bytes),
        s3=aws.s3(),
        inspections=_inspections(),
        artefacts_bucket=environment.artefacts_bucket,
        max_pixels=environment.max_image_pixels,
    )


@functools.cache
def _inspections() -> Inspections:
    return Inspections(aws.dynamodb(), settings.Records.read().table_name)


@functools.cache
def links() -> Links:
    """Return what signs links to pictures."""
    return Links(aws.s3(), settings.Records.read().artefacts_bucket)


@functools.cache
def table() -> Table:
    """Return the inspections table."""
    return Table(aws.dynamodb(), settings.Records.read().table_name)


@functools.cache
def search() -> Search:
    """Return the search for inspections."""
    counters = settings.Statistics.read().statistics_table
    places, statistics = Places(aws.dynamodb(), counters), Statistics(aws.dynamodb(), counters)
    return Search(table(), settings.Records.read().index_shards, CountedActivity(places, statistics))
