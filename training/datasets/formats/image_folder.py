"""Hugging Face's imagefolder: metadata.jsonl beside the images, with `file_name` and the labels.

A line: {"file_name": "a.jpg", "objects": {"bbox": [[x, y, width, height]], "categories": [0]}}, or "label" for the
whole image. A metadata.csv is a table (`formats.table`).

Source: huggingface.co/docs/datasets/image_dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from training.datasets.dataset import Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, numbered_lines
from training.datasets.formats.parts import part_of_file, part_of_folders
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_CLASSES = ("categories", "category", "labels", "label", "category_id", "class")
_KNOWN = {"file_name", "objects", "label", "width", "height", "image_id"}


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the JSON Lines files that name images by `file_name`."""
    own = [name for name, lines in contents.lines.items() if any("file_name" in line for line in lines)]
    return Claim(tuple(own)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every line."""
    return Annotations(files, _annotated_images(files, claim.files, names, problems), 0)


def _annotated_images(
    files: Files, json_files: tuple[str, ...], names: Sequence[str], problems: Problems
) -> Iterator[AnnotatedImage]:
    for file in json_files:
        is_numbered = False
        for place, text in numbered_lines(files, file):
            try:
                line = json.loads(text)
                reference = str(line["file_name"])
                objects = _objects(line.get("objects"), names)
                tags = () if line.get("label") is None else (_name(line["label"], names),)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
                message = f"is not a file_name with labels: {type(error).__name__} {error}"
                problems.report("bad-annotation", file, message, place)
                continue
            is_numbered |= not names and any(
                label.isdigit() for label in (*tags, *(o.label for o in objects))
            )
            if others := sorted(line.keys() - _KNOWN):
                problems.tally("extra-columns", file, f"has other fields: {', '.join(others[:5])}")
            if image := image_of(files, reference, file, problems, place):
                part = part_of_folders(image) or part_of_file(file)
                size = _size(line)
                yield AnnotatedImage(image, file, objects, size=size, tags=tags, source_part=part)
        if is_numbered:
            message = "has no names of the classes: they are named by their numbers"
            problems.report("no-class-names", file, message)


def _objects(objects: Any, names: Sequence[str]) -> tuple[Object, ...]:
    """Return the boxes of a line. Raises KeyError, TypeError or ValueError if they are not boxes with classes."""
    if not objects:
        return ()
    boxes = objects["bbox"]
    classes = next((objects[key] for key in _CLASSES if key in objects), None)
    if classes is None or len(classes) != len(boxes):
        raise ValueError(f"{len(boxes)} boxes have not as many classes")
    found = []
    for (x, y, width, height), label in zip(boxes, classes, strict=True):
        box = (float(x), float(y), float(x) + float(width), float(y) + float(height))
        found.append(Object(_name(label, names), box))
    return tuple(found)


def _name(label: Any, names: Sequence[str]) -> str:
    if isinstance(label, int) and not isinstance(label, bool) and names:
        return names[label] if 0 <= label < len(names) else str(label)
    return str(label).strip()


def _size(line: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(line["width"]), int(line["height"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
