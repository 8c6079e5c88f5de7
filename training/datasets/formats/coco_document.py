"""A COCO document by images, with the names of its classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.datasets import bounds
from training.datasets.problems import DatasetError, Problems

_SHOWN = 120  # characters of a bad annotation


@dataclass
class Document:
    """One document.

    Attributes:
        file: Its name.
        has_corners: Whether its boxes are corners.
        images: The images by id.
        boxes: The annotations by the id of their image.
        categories: Its list of categories; None if it has none.
        labels: The name of each category, by id.
    """

    file: str
    has_corners: bool
    images: dict[int | str, Any]
    boxes: dict[int | str, list[Any]]
    categories: list[Any] | None
    labels: dict[int, str] = field(default_factory=dict)


def document_of(file: str, document: Any, has_corners: bool, problems: Problems) -> Document:
    """Return a document by images. Raises DatasetError if it has not the keys of COCO."""
    try:
        images, boxes = list(document["images"]), list(document["annotations"])
        categories = document.get("categories")
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(file, f"is not a COCO file: {type(error).__name__} {error}") from error
    if not isinstance(categories, list) or (boxes and not categories):
        categories = None
    images_by_id = _images_by_id(file, images, problems)
    boxes_by_image = _boxes_by_image(file, boxes, problems)
    for image_id in sorted(boxes_by_image.keys() - images_by_id.keys(), key=str):
        message = "has annotations but is not in the list of images"
        problems.report("bad-annotation", file, message, f"image {image_id}")
    return Document(file, has_corners, images_by_id, boxes_by_image, categories)


def _images_by_id(file: str, images: list[Any], problems: Problems) -> dict[int | str, Any]:
    images_by_id: dict[int | str, Any] = {}
    for index, image in enumerate(images):
        try:
            image_id, _ = _image_id(image["id"]), str(image["file_name"])
        except (KeyError, TypeError, ValueError):
            message = f"has no id and file_name: {cut(image)}"
            problems.report("bad-annotation", file, message, f"image {index}")
            continue
        if image_id in images_by_id:
            problems.report("bad-annotation", file, f"has the id {image_id} again", f"image {index}")
            continue
        images_by_id[image_id] = image
    return images_by_id


def _boxes_by_image(file: str, boxes: list[Any], problems: Problems) -> dict[int | str, list[Any]]:
    boxes_by_image: dict[int | str, list[Any]] = defaultdict(list)
    for index, box in enumerate(boxes):
        try:
            boxes_by_image[_image_id(box["image_id"])].append(box)
        except (KeyError, TypeError, ValueError):
            problems.report("bad-annotation", file, f"has no image_id: {cut(box)}", f"annotation {index}")
    return boxes_by_image


def name_classes(documents: list[Document], names: Sequence[str], problems: Problems) -> None:
    """Give each document the names of its categories, without those that only group others."""
    used = {
        category
        for document in documents
        for boxes in document.boxes.values()
        for box in boxes
        if (category := category_of(box)) is not None
    }
    numbered = numbered_labels(used, names)
    annotated: set[str] = set()
    for document in documents:
        if document.categories is not None:
            document.labels = _labels(document.file, document.categories, problems)
            own = {category_of(box) for boxes in document.boxes.values() for box in boxes}
            annotated |= {label for number, label in document.labels.items() if number in own}
        elif document.has_corners or (names and document.boxes):
            document.labels = dict(numbered)
            annotated |= set(numbered.values())
            if not names:
                message = "has no names of the classes: they are named by their numbers"
                problems.report("no-class-names", document.file, message)
        else:
            problems.report("no-categories", document.file, "has no list of categories")
    for document in documents:
        roots = _roots(document.categories or [])
        for number, label in list(document.labels.items()):
            if label not in annotated and label in roots:
                del document.labels[number]
                message = f"has the category {label!r}, which no box has and other categories belong to"
                problems.report("root-category", document.file, message)


def numbered_labels(numbers: Iterable[int], names: Sequence[str]) -> dict[int, str]:
    """Return a name for each class number: those that the user gave, or the numbers themselves.

    The names count from 0, or from 1 if there is no class 0 and one number for each name from 1 on.

    >>> numbered_labels({1, 2}, ["dent", "scratch"]), numbered_labels({0, 1}, ["dent", "scratch"])
    ({1: 'dent', 2: 'scratch'}, {0: 'dent', 1: 'scratch'})
    >>> numbered_labels({0, 2}, [])
    {0: '0', 2: '2'}
    """
    ordered = sorted(set(numbers))
    if not names:
        return {number: str(number) for number in ordered}
    start = 1 if ordered and ordered[0] >= 1 and ordered[-1] == len(names) else 0
    return {number: names[number - start] for number in ordered if 0 <= number - start < len(names)}


def _labels(file: str, categories: list[Any], problems: Problems) -> dict[int, str]:
    """Return the category names by id, in the order of the ids. Raises DatasetError if there are too many."""
    if len(categories) > bounds.CLASSES:
        raise DatasetError(file, f"has {len(categories):,} categories, more than {bounds.CLASSES:,}")
    labels: dict[int, str] = {}
    names: set[str] = set()
    for index, category in enumerate(categories):
        try:
            number, label = _id(category["id"]), str(category["name"]).strip()
        except (KeyError, TypeError, ValueError):
            message = f"has no numeric id and name: {cut(category)}"
            problems.report("bad-annotation", file, message, f"category {index}")
            continue
        if number in labels and labels[number] != label:
            message = f"has the id {number} of {labels[number]!r} again"
            problems.report("bad-annotation", file, message, f"category {index} ({label})")
        elif label in names:
            problems.report("category-twice", file, f"has several categories with the name {label!r}")
        labels.setdefault(number, label)
        names.add(label)
    return dict(sorted(labels.items()))


def _roots(categories: list[Any]) -> set[str]:
    """Return the names to which other categories say that they belong."""
    return {
        category["supercategory"]
        for category in categories
        if isinstance(category, dict)
        and isinstance(category.get("supercategory"), str)
        and str(category.get("name")).strip() != category["supercategory"]
    }


def category_of(box: Any) -> int | None:
    """Return the category of an annotation; None if it has none."""
    try:
        return _id(box["category_id"])
    except (KeyError, TypeError, ValueError):
        return None


def cut(value: Any) -> str:
    """Return a value as text that is short enough for a message."""
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _id(value: Any) -> int:
    """Return an id: a whole number, or its digits in a string, as some exporters write it. Raises ValueError."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    try:
        return int(value)
    except OverflowError as error:
        raise ValueError(value) from error


def _image_id(value: Any) -> int | str:
    """Return the id of an image, which may also be a text. Raises ValueError."""
    if isinstance(value, str) and not value.strip().lstrip("-").isdigit() and value:
        return value
    return _id(value)
