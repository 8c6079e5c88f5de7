"""Reviews as the API shows them, and what the routes about them work with."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from api import aws, settings
from api.errors import ApiError, conflict, invalid_request, not_found, unavailable
from api.inspections import Inspection, links, shown_whole, table
from api.links import PictureLinks
from inspection.index_reading import key_of
from inspection.store import Inspections
from review.decisions import Decisions
from review.errors import (
    AlreadyClaimedError,
    BusyError,
    InvalidDecisionError,
    NotQueuedError,
    QueueEmptyError,
    ReviewError,
)
from review.history import History
from review.items import to_item
from review.labels import Labels
from review.lists import Item
from review.queue import ReviewQueue, shown
from tracking.transactions import Transactions


class Claim(TypedDict):
    """Who works on an image, and until when if he does not renew the claim."""

    by: str
    until: str


class DecidedObject(TypedDict):
    """A defect. box: x1, y1, x2, y2 in pixels of the upright picture."""

    label: str
    box: list[float]


class DecisionMade(TypedDict):
    """A decision. version: of the review that it was made about."""

    by: str
    at: str
    version: int
    verdict: str
    objects: list[DecidedObject]
    comment: NotRequired[str]


class Review(TypedDict):
    """An image in the review queue.

    `cause` is `verdict` for an image that the model is unsure about, and `sample` for one that was drawn from the
    passed or failed ones, with the `share`. `why` says what the priority comes of. `version` grows with each decision.
    """

    id: str
    image: str
    version_id: str
    line: str
    station: str
    serial: str
    verdict: str
    cause: str
    share: float
    priority: float
    why: list[str]
    received_at: str
    state: str
    version: int
    decisions: list[DecisionMade]
    decided_at: NotRequired[str]
    disagreement: bool
    claim: Claim | None
    claimable: bool


class LinkedReview(Review):
    """A review in a list. links: None if the record was deleted."""

    links: PictureLinks | None


class ReviewedInspection(LinkedReview):
    """A review with the inspection that it is about; None if its record was deleted."""

    inspection: Inspection | None


class Outcome(ReviewedInspection):
    """A review after a decision. label: the label's URI; None if there is none, and then `no_label` says why."""

    label: str | None
    no_label: str | None


def linked(items: Sequence[Item], by: str) -> list[LinkedReview]:
    """Return items of the queue as a list shows them. by: who looks at them."""
    keys = [key_of(to_item(item)) for item in items]
    records = {record["id"]: record for record in table().records(keys)}
    now = datetime.now(UTC)
    return [
        cast(
            LinkedReview,
            {
                **shown(item, by, now),
                "links": links().of(records[item["id"]]) if item["id"] in records else None,
            },
        )
        for item in items
    ]


def with_inspection(item: Item, by: str) -> ReviewedInspection:
    """Return an item of the queue with its inspection. by: who looks at it."""
    record = store().get(item["image"], item["version_id"])
    inspection = shown_whole(record) if record else None
    known: Mapping[str, Any] = shown(item, by, datetime.now(UTC))
    pictures = inspection["links"] if inspection else None
    return cast(ReviewedInspection, {**known, "links": pictures, "inspection": inspection})


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the queue refuses into the API's errors.

    Raises:
        ApiError: The caller cannot do this, now or ever.
    """
    try:
        yield
    except AlreadyClaimedError as error:
        raise conflict(error.code, str(error), [{"by": error.by, "until": error.until}]) from None
    except QueueEmptyError as error:
        raise ApiError(HTTPStatus.NOT_FOUND, error.code, str(error)) from None
    except NotQueuedError as error:
        raise not_found(str(error)) from None
    except InvalidDecisionError as error:
        raise invalid_request("The decision is not valid.", error.problems) from None
    except BusyError as error:
        raise unavailable(str(error)) from None
    except ReviewError as error:
        raise conflict(error.code, str(error)) from None


@functools.cache
def queue() -> ReviewQueue:
    """Return the review queue."""
    return ReviewQueue(aws.dynamodb(), settings.Reviews.read().reviews_table)


@functools.cache
def store() -> Inspections:
    """Return the records."""
    return Inspections(aws.dynamodb(), settings.Records.read().table_name)


@functools.cache
def labels() -> Labels:
    """Return the labels that come of decisions."""
    return Labels(aws.s3(), settings.Records.read().artefacts_bucket)


@functools.cache
def decisions() -> Decisions:
    """Return what writes decisions."""
    statistics_table = settings.Statistics.read().statistics_table
    return Decisions(
        queue=queue(),
        inspections=store(),
        inspections_table=settings.Records.read().table_name,
        statistics_table=statistics_table,
        history=History(aws.dynamodb(), settings.Reviews.read().history_table),
        labels=labels(),
        transactions=Transactions(aws.dynamodb(), statistics_table),
    )
