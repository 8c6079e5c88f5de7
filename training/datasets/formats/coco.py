"""COCO: JSON files with images, annotations (bbox = x, y, width, height) and categories.

Several documents, such as one for each part, are one data set: their classes are the same if their names are.

Source: cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.coco_boxes import is_corners
from training.datasets.formats.coco_shapes import has_shape, shape_box
from training.datasets.formats.contents import Contents
from training.datasets.formats.parts import part_of_file, part_of_folders, part_of_word
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_IDENTITY = "loupe_snapshot"
CROWDS = "masks or polygons marked as crowds"
_SHOWN = 120  # characters of a bad annotation


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the COCO documents, unless their boxes are corners."""
    names = documents_of(contents)
    if not names or not (is_asked or not is_corners(contents, names)):
        return None
    return Claim(names, detail=contents)


def documents_of(contents: Contents) -> tuple[str, ...]:
    """Return the JSON files with the keys of COCO: COCO itself, and JumpStart's."""
    names = [name for name, document in contents.jsons.items() if _is_coco(document)]
    instances = [name for name in names if not PurePosixPath(name).name.startswith("person_keypoints_")]
    return tuple(instances or names)


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of COCO documents.

    Raises:
        DatasetError: A document is not COCO.
    """
    return read_documents(files, claim, problems, names, has_corners=False)


def read_documents(
    files: Files, claim: Claim, problems: Problems, names: Sequence[str], *, has_corners: bool
) -> Annotations:
    """Return the labels of documents shaped as COCO.

    Args:
        files: The files of the source.
        claim: The documents; its detail is the `Contents` that has them.
        problems: Collects what is wrong.
        names: The names of the classes, if the documents have no categories.
        has_corners: Whether the boxes are corners.

    Raises:
        DatasetError: A document has not the keys of COCO.
    """
    contents: Contents = claim.detail
    documents = [_document(file, contents.document(file), has_corners, problems) for file in claim.files]
    _name_classes(documents, names, problems)
    labels = list(dict.fromkeys(label for document in documents for label in document.labels.values()))
    images = (image for document in documents for image in _annotated_images(files, document, problems))
    return Annotations(files, images, sum(len(document.images) for document in documents), labels)


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


@dataclass
class _Document:
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


def _is_coco(document: Any) -> bool:
    if not isinstance(document, dict) or _IDENTITY in document:
        return False
    first = _first(document.get("annotations"))
    if "caption" in first or ("segments_info" in first and "category_id" not in first):
        return False
    if "images" in document and "annotations" in document:
        return True
    # Of a long document only the beginning is known.
    return "file_name" in _first(document.get("images")) or {"image_id", "category_id"} <= first.keys()


def _first(value: Any) -> dict[str, Any]:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}


def _document(file: str, document: Any, has_corners: bool, problems: Problems) -> _Document:
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
    return _Document(file, has_corners, images_by_id, boxes_by_image, categories)


def _images_by_id(file: str, images: list[Any], problems: Problems) -> dict[int | str, Any]:
    images_by_id: dict[int | str, Any] = {}
    for index, image in enumerate(images):
        try:
            image_id, _ = _image_id(image["id"]), str(image["file_name"])
        except (KeyError, TypeError, ValueError):
            message = f"has no id and file_name: {_cut(image)}"
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
            problems.report("bad-annotation", file, f"has no image_id: {_cut(box)}", f"annotation {index}")
    return boxes_by_image


def _name_classes(documents: list[_Document], names: Sequence[str], problems: Problems) -> None:
    """Give each document the names of its categories, without those that only group others."""
    used = {
        category
        for document in documents
        for boxes in document.boxes.values()
        for box in boxes
        if (category := _category_of(box)) is not None
    }
    numbered = numbered_labels(used, names)
    annotated: set[str] = set()
    for document in documents:
        if document.categories is not None:
            document.labels = _labels(document.file, document.categories, problems)
            own = {_category_of(box) for boxes in document.boxes.values() for box in boxes}
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
        for number, label in list(document.labels.items()):
            if label not in annotated and _is_root(label, document.categories or []):
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
    """Return the category names by id, in the order of the ids."""
    labels: dict[int, str] = {}
    for index, category in enumerate(categories):
        try:
            number, label = _id(category["id"]), str(category["name"]).strip()
        except (KeyError, TypeError, ValueError):
            message = f"has no numeric id and name: {_cut(category)}"
            problems.report("bad-annotation", file, message, f"category {index}")
            continue
        if number in labels and labels[number] != label:
            message = f"has the id {number} of {labels[number]!r} again"
            problems.report("bad-annotation", file, message, f"category {index} ({label})")
        elif label in labels.values():
            problems.report("category-twice", file, f"has several categories with the name {label!r}")
        labels.setdefault(number, label)
    return dict(sorted(labels.items()))


def _is_root(label: str, categories: list[Any]) -> bool:
    """Return whether other categories say that they belong to this one."""
    return any(
        isinstance(category, dict)
        and category.get("supercategory") == label
        and str(category.get("name")).strip() != label
        for category in categories
    )


def _annotated_images(files: Files, document: _Document, problems: Problems) -> Iterator[AnnotatedImage]:
    file = document.file
    part = part_of_file(file)
    hint = "images" if document.has_corners else PurePosixPath(file).stem.removeprefix("instances_")
    for image_id, image in document.images.items():
        name = image_of(files, str(image["file_name"]), file, problems, f"image {image_id}", hint)
        if name is None:
            continue
        boxes = document.boxes.get(image_id, [])
        objects = [obj for box in boxes if (obj := _object(box, name, document, problems))]
        own_part = part_of_word(str(image.get("split", ""))) or part or part_of_folders(name)
        yield AnnotatedImage(
            name,
            file,
            tuple(objects),
            size=_size(image),
            source_part=own_part,
            lost=len(boxes) - len(objects),
        )


def _object(box: Any, name: str, document: _Document, problems: Problems) -> Object | None:
    place = f"annotation {box.get('id', '?')} of {name}"
    edges = _edges(box, document, problems)
    category = _category_of(box)
    if edges is None or category is None:
        message = f"is not a box with a category: {_cut(box)}"
        problems.report("bad-annotation", document.file, message, place)
        return None
    if category not in document.labels:
        message = f"is of category {category}, which has no name"
        problems.report("unknown-class", document.file, message, place)
        return None
    return Object(document.labels[category], edges)


def _edges(box: Any, document: _Document, problems: Problems) -> Box | None:
    """Return the corners of an annotation: its bbox, or the box around its shape; None if it has neither."""
    segmentation = box.get("segmentation")
    bbox = box.get("bbox")
    if has_shape(segmentation, bbox):
        what = CROWDS if box.get("iscrowd") else "masks or polygons"
        problems.tally("shape-box", document.file, f"has {what}")
    if not bbox or (segmentation and not any(bbox)):
        return shape_box(segmentation)
    try:
        x, y, third, fourth = (float(value) for value in bbox)
    except (ValueError, TypeError):
        return None
    return (x, y, third, fourth) if document.has_corners else (x, y, x + third, y + fourth)


def _category_of(box: Any) -> int | None:
    try:
        return _id(box["category_id"])
    except (KeyError, TypeError, ValueError):
        return None


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


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


def _image_id(value: Any) -> int | str:
    """Return the id of an image, which may also be a text. Raises ValueError."""
    if isinstance(value, str) and not value.strip().lstrip("-").isdigit() and value:
        return value
    return _id(value)
