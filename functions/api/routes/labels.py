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
from retraining import datasets
from retraining.documents import Documents
from retraining.errors import LabelledDataError
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
    counts = dict(_imported(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"))
    store, labelled = UsualStore(queue().client, queue().table_name), Counter[str]()
    for line in queue().lines():
        labelled.update(store.labelled(line))
    # The newest snapshot has most of them already.
    for name in labelled.keys() | _found():
        counts[name] = max(counts.get(name, 0), labelled[name])
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return {"items": [{"name": name, "images": counts[name]} for name in ordered]}


# minute: so that an answer is at most a minute old. A snapshot of many images takes a second to read.
@functools.lru_cache(maxsize=1)
def _imported(minute: str) -> dict[str, int]:
    """Return by class how many images of the newest snapshot show it."""
    documents = Documents(aws.s3(), Records.read().artefacts_bucket)
    try:
        newest = datasets.describe(documents, Retraining.read().dataset_name, limit=1)
    except LabelledDataError:
        # A damaged snapshot stops the training, which says so; it need not stop who reviews.
        newest = []
    labels: dict[str, Any] = newest[0]["labels"] if newest else {}
    return {name: sum(described["images"].values()) for name, described in labels.items()}


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
