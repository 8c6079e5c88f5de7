"""COCO: one JSON file with images, annotations (bbox = x, y, width, height) and categories.

Source: cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from training.datasets.dataset import Object
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.problems import DatasetError, Problems

_USUAL_NAMES = ("annotations.json", "_annotations.coco.json")


def find(files: Files) -> str | None:
    """The name of the COCO file: the one chosen, a usual name, or the only JSON file there is."""
    if files.chosen is not None:
        return files.chosen if files.chosen.lower().endswith(".json") else None
    candidates = [name for name in files.names if name.lower().endswith(".json")]
    usual = [name for name in candidates if PurePosixPath(name).name in _USUAL_NAMES]
    if len(usual) == 1:
        return usual[0]
    return candidates[0] if len(candidates) == 1 else None


def read(files: Files, annotations: str, problems: Problems) -> Source:
    """The images of the COCO file `annotations`. Raises DatasetError if it is no COCO file at all."""
    try:
        document = json.loads(files.read(annotations))
        images, boxes = list(document["images"]), list(document["annotations"])
        categories = document.get("categories")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(annotations, f"is not a COCO file: {type(error).__name__} {error}") from error
    if not isinstance(categories, list) or (boxes and not categories):
        problems.report("no-categories", annotations, "has no list of categories")
        categories = []
    labels = _labels(annotations, categories, problems)
    wanted = _by_image(annotations, boxes, problems)
    listed = _images(annotations, images, problems)
    for number in sorted(wanted.keys() - {number for number, _ in listed}):
        problems.report(
            "bad-annotation", annotations, "is annotated but not listed among the images", f"image {number}"
        )
    entries = _entries(files, annotations, listed, wanted, labels, problems)
    return Source(files, entries, len(listed), list(labels.values()))


def categories_of(labels: Sequence[str]) -> list[dict[str, Any]]:
    """The labels as COCO's categories; their ids count from 1."""
    return [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]


def annotations_of(images: Iterable[Iterable[Object]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of one image after another as COCO's annotations; all ids count from 1."""
    categories = {label: number for number, label in enumerate(labels, start=1)}
    objects = ((image, each) for image, listed in enumerate(images, start=1) for each in listed)
    return [
        annotation(number, image, categories[each.label], each.box)
        for number, (image, each) in enumerate(objects, start=1)
    ]


def annotation(number: int, image: int, category: int, box: Sequence[float]) -> dict[str, Any]:
    """One of COCO's annotations; `box` is (x1, y1, x2, y2) in pixels.

    >>> annotation(1, 7, 2, (10, 20, 40, 60))["bbox"]
    [10, 20, 30, 40]
    """
    x1, y1, x2, y2 = box
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
    }


def _labels(annotations: str, categories: list[Any], problems: Problems) -> dict[int, str]:
    found: dict[int, str] = {}
    for index, category in enumerate(categories):
        try:
            found[_number(category["id"])] = str(category["name"])
        except (KeyError, TypeError, ValueError):
            problems.report(
                "bad-annotation", annotations, f"has no numeric id and name: {category}", f"category {index}"
            )
    return dict(sorted(found.items()))


def _by_image(annotations: str, boxes: list[Any], problems: Problems) -> dict[int, list[Any]]:
    wanted: dict[int, list[Any]] = defaultdict(list)
    for index, box in enumerate(boxes):
        try:
            if not box.get("iscrowd"):
                wanted[_number(box["image_id"])].append(box)
        except (KeyError, TypeError, ValueError, AttributeError):
            problems.report("bad-annotation", annotations, f"has no image_id: {box}", f"annotation {index}")
    return wanted


def _images(annotations: str, images: list[Any], problems: Problems) -> list[tuple[int, Any]]:
    listed: dict[int, Any] = {}
    for index, image in enumerate(images):
        try:
            number, _ = _number(image["id"]), str(image["file_name"])
        except (KeyError, TypeError, ValueError):
            message = f"has no numeric id and file_name: {image}"
            problems.report("bad-annotation", annotations, message, f"image {index}")
            continue
        if number in listed:
            problems.report("bad-annotation", annotations, f"has the id {number} again", f"image {index}")
            continue
        listed[number] = image
    return list(listed.items())


def _entries(
    files: Files,
    annotations: str,
    images: list[tuple[int, Any]],
    wanted: dict[int, list[Any]],
    labels: dict[int, str],
    problems: Problems,
) -> Iterator[Entry]:
    known = set(files.names)
    for number, image in images:
        name = (PurePosixPath(annotations).parent / str(image["file_name"])).as_posix()
        if name not in known:
            problems.report("missing-image", name, f"is named by {annotations} but not there")
            continue
        objects = (_object(box, name, annotations, labels, problems) for box in wanted[number])
        yield Entry(name, annotations, tuple(each for each in objects if each), size=_size(image))


def _object(
    box: Any, name: str, annotations: str, labels: dict[int, str], problems: Problems
) -> Object | None:
    place = f"annotation {box.get('id', '?')} of {name}"
    try:
        x, y, w, h = (float(value) for value in box["bbox"])
        category = _number(box["category_id"])
    except (ValueError, KeyError, TypeError):
        problems.report("bad-annotation", annotations, f"is no box with a category: {box}", place)
        return None
    if category not in labels:
        problems.report("unknown-class", annotations, f"is of category {category}, which has no name", place)
        return None
    return Object(labels[category], (x, y, x + w, y + h))


def _size(image: Any) -> tuple[int, int] | None:
    try:
        return int(image["width"]), int(image["height"])
    except (KeyError, TypeError, ValueError):
        return None  # optional, and only ever compared


def _number(value: Any) -> int:
    """An id: a whole number, or its digits in a string, as some exporters write it. Raises ValueError."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)
