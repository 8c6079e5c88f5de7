"""Reviews of the stack: what waits, decisions, rates and labels, by its HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.text import counted
from loupe.errors import LoupeError
from loupe.stack import api
from loupe.stack.api import ApiError
from loupe.stack.target import Target

Review = dict[str, Any]
Box = tuple[float, float, float, float]
_FOUND = ("defect", "doubtful")  # reasons that frame a detection as a defect


@dataclass(frozen=True)
class ReviewList:
    """A part of the queue.

    Attributes:
        reviews: The most useful ones first.
        waiting: How many are open.
        is_least: Whether there may be more open ones than counted.
        more: Whether more follow.
    """

    reviews: list[Review]
    waiting: int
    is_least: bool
    more: bool


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        images: The number of images.
        objects: The number of their objects.
        left_out: Images that show a defect without a box: in COCO they would count as good ones.
    """

    images: int
    objects: int
    left_out: int


def listed(target: Target, line: str | None, state: str, limit: int) -> ReviewList:
    """Return reviews. state: `open`, `decided` or `disagreement`."""
    answer = api.call(target, "GET", "/reviews", {"line": line, "state": state, "limit": limit})
    return ReviewList(answer["items"], answer["count"], answer["count_is_least"], answer["next"] is not None)


def boxes(labels: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the objects that the options --label and --box name, which come in pairs.

    Raises:
        LoupeError: One lacks the other, or a box is not four numbers.
    """
    if len(labels) != len(texts):
        raise LoupeError(
            f"{counted(len(labels), 'label')} and {counted(len(texts), 'box', 'boxes')}",
            "Give each defect as --label NAME --box X1,Y1,X2,Y2.",
        )
    return [{"label": label, "box": _box(text)} for label, text in zip(labels, texts, strict=True)]


def _box(text: str) -> Box:
    try:
        x1, y1, x2, y2 = map(float, text.split(","))
    except ValueError:
        raise LoupeError(
            f"{text} is not a box", "Write X1,Y1,X2,Y2 in pixels of the picture, such as 10,20,60,80."
        ) from None
    return x1, y1, x2, y2


def decide(
    target: Target,
    identity: str,
    verdict: str,
    objects: list[dict[str, Any]],
    *,
    found: bool = False,
    comment: str | None = None,
) -> Review:
    """Claim an image, decide about it, and return the review.

    Args:
        target: The stack.
        identity: The id of the inspection.
        verdict: `pass`, `fail` or `unusable`.
        objects: The defects.
        found: Add those that the model has framed.
        comment: For the history.

    Raises:
        LoupeError: There is no such image, somebody else works on it, or the decision is not valid.
    """
    path = f"/reviews/{identity}"
    try:
        review = api.call(target, "POST", f"{path}/claim")
    except ApiError as error:
        raise LoupeError(str(error), error.hint or "What waits: loupe review") from error
    try:
        marked = [*objects, *_found(review)] if found else objects
        body = {"version": review["version"], "verdict": verdict, "objects": marked, "comment": comment}
        decided: Review = api.call(target, "POST", f"{path}/decision", body=body)
    except LoupeError:
        api.call(target, "DELETE", f"{path}/claim")
        raise
    return decided


def _found(review: Review) -> Iterator[dict[str, Any]]:
    """Yield the defects that the model has framed.

    Raises:
        LoupeError: It has framed none.
    """
    inspection = review["inspection"] or {"reasons": [], "detections": []}
    indexes = [reason["detection"] for reason in inspection["reasons"] if reason["code"] in _FOUND]
    if not indexes:
        raise LoupeError("the model has framed no defect in this picture", "Give --label and --box.")
    for index in indexes:
        detection = inspection["detections"][index]
        yield {"label": detection["label"], "box": detection["box"]}


def rates(target: Target, since: str, until: str | None, line: str | None) -> dict[str, Any]:
    """Return escape and overkill rate of the images of a time span."""
    answer: dict[str, Any] = api.call(
        target, "GET", "/statistics/rates", {"since": since, "until": until, "line": line}
    )
    return answer


def export(target: Target, path: Path) -> Exported:
    """Write the labels of people's decisions as a COCO file.

    Raises:
        LoupeError: The file exists already, or cannot be written.
    """
    document = _joined(_documents(target))
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False)
    except FileExistsError as error:
        raise LoupeError(f"{path} exists already", "Give a new name.") from error
    except OSError as error:
        raise LoupeError(f"{path} cannot be written: {error.strerror}", "Give another place.") from error
    return Exported(len(document["images"]), len(document["annotations"]), len(document["left_out"]))


def _documents(target: Target) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        document, cursor = api.page(target, "/exports/labels.coco.json", {"cursor": cursor})
        yield document
        if cursor is None:
            return


def _joined(documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Return COCO documents as one, with new numbers: each of them counts from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}
    for document in documents:
        names = {category["id"]: category["name"] for category in document["categories"]}
        first = len(images)
        left_out += [{**image, "id": len(left_out) + image["id"]} for image in document["left_out"]]
        images += [{**image, "id": first + image["id"]} for image in document["images"]]
        for annotation in document["annotations"]:
            number = numbers.setdefault(names[annotation["category_id"]], len(numbers) + 1)
            annotations.append(
                {
                    **annotation,
                    "id": len(annotations) + 1,
                    "image_id": first + annotation["image_id"],
                    "category_id": number,
                }
            )
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"images": images, "annotations": annotations, "categories": categories, "left_out": left_out}
