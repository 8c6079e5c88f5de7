"""Labels: the classes in use."""

from __future__ import annotations

import functools
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws
from api.access import Group, allow
from api.reviews import queue
from api.settings import Records, Retraining, Statistics
from api.times import parse_time
from retraining.documents import Documents
from retraining.errors import LabelledDataError
from retraining.labelled import last_import
from review.usual import UsualStore
from tracking import statistics
from tracking.counters import DEFECT, DOUBT
from tracking.spans import By, Span

router = APIGatewayHttpRouter()
_RECENT = "30d"


class Label(TypedDict):
    """A class of defect. images: how many labelled images show it."""

    name: str
    images: int


class LabelList(TypedDict):
    """The classes in use, the most labelled first."""

    items: list[Label]


@router.get("/labels", summary="List the classes of defects")
@allow(Group.VIEWER)
def show_all() -> LabelList:
    """Return the classes of the imported data, of people's decisions, and of what was found in the last 30 days."""
    counts: Counter[str] = Counter(_imported(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"))
    store = UsualStore(queue().client, queue().table_name)
    for line in queue().lines():
        counts.update(store.labelled(line))
    for name in _found():
        counts.setdefault(name, 0)
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return {"items": [{"name": name, "images": max(0, counts[name])} for name in ordered]}


# minute: so that an answer is at most a minute old. A snapshot of many images takes a second to read.
@functools.lru_cache(maxsize=1)
def _imported(minute: str) -> dict[str, int]:
    """Return by class how many images of the last import show it."""
    dataset = Retraining.read().dataset_name
    try:
        document = last_import(Documents(aws.s3(), Records.read().artefacts_bucket), dataset).document
    except LabelledDataError:
        # Nothing was imported yet.
        return {}
    names: dict[Any, str] = {item["id"]: str(item["name"]) for item in document["categories"]}
    shown = {(item["image_id"], item["category_id"]) for item in document["annotations"]}
    counts = Counter(names[category] for _, category in shown)
    return {name: counts[name] for name in names.values()}


def _found() -> set[str]:
    now = datetime.now(UTC)
    span = Span.around(parse_time(_RECENT, now), now, By.DAY)
    cells = statistics.Statistics(aws.dynamodb(), Statistics.read().statistics_table).counts(span)
    prefixes = (DEFECT, DOUBT)
    return {
        name.removeprefix(prefix)
        for _, counts in cells
        for name in counts
        for prefix in prefixes
        if name.startswith(prefix)
    }
