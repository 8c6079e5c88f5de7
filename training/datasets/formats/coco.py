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
from training.datasets.formats.annotations import AnnotatedImage, Annotations
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_USUAL_NAMES = ("annotations.json", "_annotations.coco.json")


def find(files: Files) -> str | None:
    """Return the name of the COCO file: the chosen one, one with a usual name, or the only JSON file."""
    if files.chosen is not None:
        return files.chosen if files.chosen.lower().endswith(".json") else None
    candidates = [name for name in files.names if name.lower().endswith(".json")]
    usual = [name for name in candidates if PurePosixPath(name).name in _USUAL_NAMES]
    if len(usual) == 1:
        return usual[0]
    return candidates[0] if len(candidates) == 1 else None


def read(files: Files, file: str, problems: Problems) -> Annotations:
    """Return the labels of a COCO file.

    Raises:
        DatasetError: The file is not a COCO file.
    """
    try:
        document = json.loads(files.read(file))
        images, boxes = list(document["images"]), list(document["annotations"])
        categories = document.get("categories")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(file, f"is not a COCO file: {type(error).__name__} {error}") from error
    if not isinstance(categories, list) or (boxes and not categories):
        problems.report("no-categories", file, "has no list of categories")
        categories = []
    labels = _labels(file, categories, problems)
    boxes_by_image = _boxes_by_image(file, boxes, problems)
    images_by_id = _images_by_id(file, images, problems)
    for image_id in sorted(boxes_by_image.keys() - images_by_id.keys()):
        message = "has annotations but is not in the list of images"
        problems.report("bad-annotation", file, message, f"image {image_id}")
    annotated = _annotated_images(files, file, images_by_id, boxes_by_image, labels, problems)
    return Annotations(files, annotated, len(images_by_id), list(labels.values()))


def categories_of(labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the labels as COCO categories; their ids start at 1."""
    return [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]


def annotations_of(images: Iterable[Iterable[Object]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the objects of several images as COCO annotations.

    Args:
        images: The objects of each image. The images' ids start at 1.
        labels: The class names, in the order of `categories_of`.
    """
    categories = {label: number for number, label in enumerate(labels, start=1)}
    objects = ((image_id, obj) for image_id, listed in enumerate(images, start=1) for obj in listed)
    return [
        annotation(number, image_id, categories[obj.label], obj.box)
        for number, (image_id, obj) in enumerate(objects, start=1)
    ]


def annotation(number: int, image: int, category: int, box: Sequence[float]) -> dict[str, Any]:
    """Return one COCO annotation.

    Args:
        number: The annotation's id.
        image: The image's id.
        category: The category's id.
        box: (x1, y1, x2, y2) in pixels.

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


def _labels(file: str, categories: list[Any], problems: Problems) -> dict[int, str]:
    """Return the category names by id, in the order of the ids."""
    labels: dict[int, str] = {}
    for index, category in enumerate(categories):
        try:
            labels[_id(category["id"])] = str(category["name"])
        except (KeyError, TypeError, ValueError):
            message = f"has no numeric id and name: {category}"
            problems.report("bad-annotation", file, message, f"category {index}")
    return dict(sorted(labels.items()))


def _boxes_by_image(file: str, boxes: list[Any], problems: Problems) -> dict[int, list[Any]]:
    boxes_by_image: dict[int, list[Any]] = defaultdict(list)
    for index, box in enumerate(boxes):
        try:
            if not box.get("iscrowd"):
                boxes_by_image[_id(box["image_id"])].append(box)
        except (KeyError, TypeError, ValueError, AttributeError):
            problems.report("bad-annotation", file, f"has no image_id: {box}", f"annotation {index}")
    return boxes_by_image


def _images_by_id(file: str, images: list[Any], problems: Problems) -> dict[int, Any]:
    images_by_id: dict[int, Any] = {}
    for index, image in enumerate(images):
        try:
            image_id, _ = _id(image["id"]), str(image["file_name"])
        except (KeyError, TypeError, ValueError):
            message = f"has no numeric id and file_name: {image}"
            problems.report("bad-annotation", file, message, f"image {index}")
            continue
        if image_id in images_by_id:
            problems.report("bad-annotation", file, f"has the id {image_id} again", f"image {index}")
            continue
        images_by_id[image_id] = image
    return images_by_id


def _annotated_images(
    files: Files,
    file: str,
    images_by_id: dict[int, Any],
    boxes_by_image: dict[int, list[Any]],
    labels: dict[int, str],
    problems: Problems,
) -> Iterator[AnnotatedImage]:
    known = set(files.names)
    for image_id, image in images_by_id.items():
        name = (PurePosixPath(file).parent / str(image["file_name"])).as_posix()
        if name not in known:
            problems.report("missing-image", name, f"is listed in {file} but does not exist")
            continue
        objects = (_object(box, name, file, labels, problems) for box in boxes_by_image[image_id])
        yield AnnotatedImage(name, file, tuple(obj for obj in objects if obj), size=_size(image))


def _object(box: Any, name: str, file: str, labels: dict[int, str], problems: Problems) -> Object | None:
    place = f"annotation {box.get('id', '?')} of {name}"
    try:
        x, y, w, h = (float(value) for value in box["bbox"])
        category = _id(box["category_id"])
    except (ValueError, KeyError, TypeError):
        problems.report("bad-annotation", file, f"is not a box with a category: {box}", place)
        return None
    if category not in labels:
        problems.report("unknown-class", file, f"is of category {category}, which has no name", place)
        return None
    return Object(labels[category], (x, y, x + w, y + h))


def _size(image: Any) -> tuple[int, int] | None:
    try:
        return int(image["width"]), int(image["height"])
    except (KeyError, TypeError, ValueError):
        # Optional, and only compared with the size of the image itself.
        return None


def _id(value: Any) -> int:
    """Return an id: a whole number, or its digits in a string, as some exporters write it. Raises ValueError."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)
