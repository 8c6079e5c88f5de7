"""Inspections: searching, one of them, those of a part, their thumbnails, and who has seen a defect."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from api import aws, settings
from api.access import CurrentCaller, Group, allow
from api.asked import EVER, Asked
from api.inspections import Inspection, existing, links, shown, shown_whole, table
from api.times import LONGEST
from contract.inspections import Verdict
from inspection.objects import Objects
from inspection.store import Inspections
from inspection.thumbnails import Thumbnails
from review import queue
from review.acknowledgement import ACKNOWLEDGED, acknowledge
from review.history import History, inspection_subject
from review.queue import ReviewQueue

router = APIGatewayHttpRouter()
MOST_THUMBNAILS = 48  # a page of the gallery
Name = Annotated[str | None, Query(min_length=1, max_length=1024)]
Time = Annotated[str | None, Query(max_length=LONGEST)]
Cursor = Annotated[str | None, Query(max_length=500)]
Identity = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class InspectionPage(TypedDict):
    """Inspections, newest first. A page may hold less than was asked for although more follow: see `next`."""

    items: list[Inspection]
    next: str | None


class InspectionDetails(Inspection):
    """An inspection, what people did with it, and its place in the review queue."""

    history: list[dict[str, Any]]
    queue: dict[str, Any] | None


class Thumbnail(TypedDict):
    """The thumbnail of an inspection; None if its image has none."""

    id: str
    thumbnail: str | None


class ThumbnailList(TypedDict):
    """Thumbnails. An image for which there was no time is left out: ask again."""

    items: list[Thumbnail]


class WantedThumbnails(BaseModel):
    """Whose thumbnails."""

    ids: list[Annotated[str, Field(pattern="^[0-9a-f]{32}$")]] = Field(
        min_length=1, max_length=MOST_THUMBNAILS
    )


@router.get("/inspections", summary="Search inspections", compress=True)
@allow(Group.VIEWER)
def find(
    line: Name = None,
    station: Name = None,
    serial: Name = None,
    verdict: Annotated[Verdict | None, Query()] = None,
    defect: Name = None,
    model: Name = None,
    since: Time = "7d",
    until: Time = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 48,
    cursor: Cursor = None,
) -> InspectionPage:
    """Return the inspections that fit, newest first: by default those of the last 7 days.

    `defect` is a class for which an image failed or went to review, and `model` a version of the model. Times are
    ISO 8601, or `15m`, `2h`, `7d` ago.
    """
    asked = Asked(line, station, serial, verdict, defect, model, since, until)
    page, following = asked.page(limit, cursor)
    return {"items": [shown(record) for record in page.records], "next": following}


@router.get("/inspections/<identity>", summary="Show an inspection")
@allow(Group.VIEWER)
def show(identity: Identity, caller: CurrentCaller) -> InspectionDetails:
    """Return an inspection with its history and its place in the review queue."""
    record, item = existing(identity), _queue().find(identity)
    queued = queue.shown(item, caller.name, datetime.now(UTC)) if item else None
    return {**shown_whole(record), "history": _history().read(inspection_subject(identity)), "queue": queued}


@router.get("/serials/<serial>", summary="Show what is known of a part")
@allow(Group.VIEWER)
def show_part(
    serial: Annotated[str, Path(min_length=1, max_length=1024)],
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
    cursor: Cursor = None,
) -> InspectionPage:
    """Return all inspections of a serial, of all lines and stations and times, newest first."""
    page, following = Asked(serial=serial, since=EVER).page(limit, cursor)
    return {"items": [shown(record) for record in page.records], "next": following}


@router.post("/inspections/thumbnails", summary="Make thumbnails that are missing")
@allow(Group.VIEWER)
def make_thumbnails(wanted: WantedThumbnails) -> ThumbnailList:
    """Return the thumbnails of some inspections. What has none yet gets one, once and for all."""
    records = table().by_ids(list(dict.fromkeys(wanted.ids)))
    made = _thumbnails().of(records)
    return {"items": [{"id": identity, "thumbnail": links().artefact(key)} for identity, key in made.items()]}


@router.post("/inspections/<identity>/acknowledgement", summary="Say that a defect was seen")
@allow(Group.OPERATOR)
def acknowledge_defect(identity: Identity, caller: CurrentCaller) -> Inspection:
    """Note who has seen the inspection first. Repeating it changes nothing."""
    record = existing(identity)
    if ACKNOWLEDGED not in record:
        acknowledge(aws.dynamodb(), settings.Records.read().table_name, _history(), record, caller.name)
        record = existing(identity)
    return shown_whole(record)


@functools.cache
def _history() -> History:
    return History(aws.dynamodb(), settings.Reviews.read().history_table)


@functools.cache
def _queue() -> ReviewQueue:
    return ReviewQueue(aws.dynamodb(), settings.Reviews.read().reviews_table)


@functools.cache
def _thumbnails() -> Thumbnails:
    environment = settings.Records.read()
    return Thumbnails(
        objects=Objects(aws.s3(), environment.max_image_bytes),
        s3=aws.s3(),
        inspections=Inspections(aws.dynamodb(), environment.table_name),
        artefacts_bucket=environment.artefacts_bucket,
        max_pixels=environment.max_image_pixels,
    )
