"""Exports: inspections for a spreadsheet, and the labels that people have given, for other tools."""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws, cursors, settings
from api.access import Group, allow
from api.asked import Asked
from api.routes.inspections import Cursor, Name, Time
from contract.inspections import Verdict
from contract.keys import LABELS
from contract.s3 import join
from contract.spreadsheets import csv_text
from contract.tags import is_good
from review.labels import Labels

router = APIGatewayHttpRouter()
MOST_ROWS = 10_000
_PAGE = 1_000
_SECONDS = 15.0  # for all pages; the function has 29
# A function's answer has at most 6 MB, and a page of long names and reasons 2 MB.
_MOST_CHARACTERS = 2_000_000
_MOST_LABELS = 1_000
_CSV = "text/csv; charset=utf-8"
NEXT = "X-Next-Cursor"


class CocoImage(TypedDict):
    """An image. uri: where the artefacts bucket keeps it."""

    id: int
    file_name: str
    uri: str
    width: int
    height: int


class CocoLeftOut(CocoImage):
    """An image that shows a defect without a box. tags: labels of the whole image."""

    tags: list[str]


class CocoAnnotation(TypedDict):
    """A labelled object. bbox: x, y, width, height in pixels of the upright image."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int


class CocoCategory(TypedDict):
    """A class."""

    id: int
    name: str


class Coco(TypedDict):
    """Labels as COCO: https://cocodataset.org/#format-data

    COCO has boxes only. An image that shows a defect without a box would count as a good one, so it is in `left_out`.
    """

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    left_out: list[CocoLeftOut]


@router.get(
    "/exports/inspections.csv",
    summary="Export inspections for a spreadsheet",
    responses={200: {"description": "CSV", "content": {"text/csv": {"schema": {"type": "string"}}}}},
    compress=True,
)
@allow(Group.VIEWER)
def inspections(
    line: Name = None,
    station: Name = None,
    serial: Name = None,
    verdict: Annotated[Verdict | None, Query()] = None,
    defect: Name = None,
    model: Name = None,
    since: Time = "7d",
    until: Time = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = MOST_ROWS,
    cursor: Cursor = None,
) -> Response[str]:
    """Return inspections as CSV, newest first. If there are more, the header X-Next-Cursor says where to go on."""
    asked = Asked(line, station, serial, verdict, defect, model, since, until)
    text, rows, following = csv_text([]), 0, cursor
    deadline = time.monotonic() + _SECONDS
    while rows < limit and len(text) < _MOST_CHARACTERS:
        page, following = asked.page(min(_PAGE, limit - rows), following)
        rows += len(page.records)
        text += csv_text(page.records).partition("\n")[2]
        if following is None or time.monotonic() > deadline:
            break
    headers: dict[str, str | list[str]] = {"Content-Disposition": 'attachment; filename="inspections.csv"'}
    if following:
        headers[NEXT] = following
    return Response(200, _CSV, text, headers)


@router.get("/exports/labels.coco.json", summary="Export the labels that people have given", compress=True)
@allow(Group.VIEWER)
def labels(
    limit: Annotated[int, Query(ge=1, le=_MOST_LABELS)] = _MOST_LABELS, cursor: Cursor = None
) -> Response[Coco]:
    """Return reviewed images with their labels as COCO. If there are more, X-Next-Cursor says where to go on."""
    scope = {"list": "labels"}
    after = cursors.decode(cursor, scope)
    # A position is a key below the labels, whoever has made it.
    if after is not None and not after.startswith(LABELS):
        raise cursors.invalid_cursor()
    stored = Labels(aws.s3(), settings.Records.read().artefacts_bucket)
    documents, last = stored.page(limit, after)
    following = cursors.encode(last, scope)
    headers: dict[str, str | list[str]] = {"Content-Disposition": 'attachment; filename="labels.coco.json"'}
    if following:
        headers[NEXT] = following
    return Response(200, "application/json", coco(documents), headers)


def coco(documents: list[dict[str, Any]]) -> Coco:
    """Return label documents as COCO."""
    unplaced = [document for document in documents if _has_unplaced_defect(document)]
    documents = [document for document in documents if not _has_unplaced_defect(document)]
    names = sorted({item["label"] for document in documents for item in document["objects"]})
    categories = {name: number for number, name in enumerate(names, start=1)}
    annotations: list[CocoAnnotation] = []
    for number, document in enumerate(documents, start=1):
        for item in document["objects"]:
            x1, y1, x2, y2 = item["box"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories[item["label"]],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [_image(number, document) for number, document in enumerate(documents, start=1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
        "left_out": [
            {**_image(number, document), "tags": document["tags"]}
            for number, document in enumerate(unplaced, start=1)
        ],
    }


def _has_unplaced_defect(document: dict[str, Any]) -> bool:
    return not document["objects"] and not all(map(is_good, document.get("tags", ())))


def _image(number: int, document: dict[str, Any]) -> CocoImage:
    stored = document["image"]
    return {
        "id": number,
        "file_name": PurePosixPath(stored["key"]).name,
        "uri": join(stored["bucket"], stored["key"]),
        "width": document["width"],
        "height": document["height"],
    }
