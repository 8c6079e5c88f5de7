"""COCO: JSON files with images, annotations (bbox = x, y, width, height) and categories.

Several documents, such as one for each part, are one data set: their classes are the same if their names are.

Source: cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.coco_boxes import is_corners
from training.datasets.formats.coco_document import Document, category_of, cut, document_of, name_classes
from training.datasets.formats.coco_shapes import has_shape, shape_box
from training.datasets.formats.contents import Contents
from training.datasets.formats.parts import part_of_file, part_of_folders, part_of_word
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_IDENTITY = "loupe_snapshot"
CROWDS = "masks or polygons marked as crowds"


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
    documents = [document_of(file, contents.document(file), has_corners, problems) for file in claim.files]
    name_classes(documents, names, problems)
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


def _annotated_images(files: Files, document: Document, problems: Problems) -> Iterator[AnnotatedImage]:
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


def _object(box: Any, name: str, document: Document, problems: Problems) -> Object | None:
    place = f"annotation {box.get('id', '?')} of {name}"
    edges = _edges(box, document, problems)
    category = category_of(box)
    if edges is None or category is None:
        message = f"is not a box with a category: {cut(box)}"
        problems.report("bad-annotation", document.file, message, place)
        return None
    if category not in document.labels:
        message = f"is of category {category}, which has no name"
        problems.report("unknown-class", document.file, message, place)
        return None
    return Object(document.labels[category], edges)


def _edges(box: Any, document: Document, problems: Problems) -> Box | None:
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
    except (ValueError, TypeError, OverflowError):
        return None
    return (x, y, third, fourth) if document.has_corners else (x, y, x + third, y + fourth)


def _size(image: Any) -> tuple[int, int] | None:
    try:
        return int(image["width"]), int(image["height"])
    except (KeyError, TypeError, ValueError):
        # Optional, and only compared with the size of the image itself.
        return None
