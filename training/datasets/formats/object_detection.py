"""The image format of SageMaker's built-in object detection: `train/` with images, `train_annotation/` with JSON.

A file: {"file": "a.jpg", "image_size": [{width, height, depth}], "annotations": [{class_id, left, top, width,
height}], "categories": [{class_id, name}]}.

Source: docs.aws.amazon.com/sagemaker/latest/dg/object-detection.html, "Train with the Image Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from training.datasets.dataset import Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, load_json
from training.datasets.formats.parts import part_of_folders
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_KEYS = {"file", "annotations"}


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the JSON files with these keys."""
    own = [
        name
        for name, document in contents.jsons.items()
        if isinstance(document, dict) and document.keys() >= _KEYS and isinstance(document["file"], str)
    ]
    return Claim(contents.like(own, contents.looked_at_jsons)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every JSON file."""
    return Annotations(files, _annotated_images(files, claim.files, names, problems), len(claim.files))


def _annotated_images(
    files: Files, json_files: tuple[str, ...], names: Sequence[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for file in json_files:
        try:
            document = load_json(files, file)
            boxes = document["annotations"]
            reference = str(document["file"])
            labels = {str(category["class_id"]): str(category["name"]) for category in document["categories"]}
            if not isinstance(boxes, list):
                raise TypeError("annotations are no list")
        except DatasetError as error:
            problems.report("bad-annotation", file, str(error).removeprefix(f"{file}: "))
            continue
        except (KeyError, TypeError) as error:
            message = f"has not the keys file, annotations and categories: {type(error).__name__} {error}"
            problems.report("bad-annotation", file, message)
            continue
        labels |= {str(number): name for number, name in enumerate(names) if str(number) not in labels}
        folder = PurePosixPath(file).parent.name
        hint = folder.removesuffix("_annotation").removesuffix("_annotations")
        if image := image_of(files, reference, file, problems, hint=hint):
            objects = [obj for box in boxes if (obj := _object(box, labels, file, problems))]
            part = part_of_folders(image) or part_of_folders(file)
            lost = len(boxes) - len(objects)
            yield AnnotatedImage(
                image, file, tuple(objects), size=_size(document), source_part=part, lost=lost
            )


def _object(box: Any, labels: dict[str, str], file: str, problems: Problems) -> Object | None:
    try:
        left, top, width, height = (float(box[name]) for name in ("left", "top", "width", "height"))
        number = str(int(box["class_id"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        problems.report("bad-annotation", file, f"is not a box with a class_id: {box}")
        return None
    if number not in labels:
        problems.report("unknown-class", file, f"class_id {number} is not among the categories")
        return None
    return Object(labels[number], (left, top, left + width, top + height))


def _size(document: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(document["image_size"][0]["width"]), int(document["image_size"][0]["height"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None
