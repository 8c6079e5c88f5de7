"""LabelMe: one JSON file per image, with its shapes. X-AnyLabeling and Anylabeling write the same.

Source: github.com/wkentaro/labelme, labelme/label_file.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, load_json
from training.datasets.formats.parts import part_of_folders
from training.datasets.formats.shapes import around, ellipse
from training.datasets.problems import DatasetError, Problems
from training.datasets.storage.files import Files

_BOXES = ("rectangle", "")
_WITH_AREA = ("polygon", "circle", "mask", "rotation", "oriented_rectangle")


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the JSON files with LabelMe's keys."""
    own = [name for name, document in contents.jsons.items() if _is_labelme(document)]
    # Of a file with an image inside, the beginning may be the image.
    return Claim(contents.like(own, contents.looked_at_jsons)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every JSON file."""
    return Annotations(files, _annotated_images(files, claim.files, problems), len(claim.files))


def _is_labelme(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and isinstance(document.get("shapes"), list)
        and (not document.keys().isdisjoint(("imagePath", "imageData", "imageHeight", "version")))
    )


def _annotated_images(files: Files, names: tuple[str, ...], problems: Problems) -> Iterator[AnnotatedImage]:
    for file in names:
        try:
            document = load_json(files, file)
        except DatasetError as error:
            problems.report("bad-annotation", file, str(error).removeprefix(f"{file}: "))
            continue
        if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
            problems.report("bad-annotation", file, "is not LabelMe's: it has no list of shapes")
            continue
        image = image_of(files, _reference(files, file, document), file, problems)
        if image is None:
            continue
        shapes = document["shapes"]
        objects = [
            obj for i, shape in enumerate(shapes, start=1) if (obj := _object(shape, i, file, problems))
        ]
        yield AnnotatedImage(
            image,
            file,
            tuple(objects),
            size=_size(document),
            tags=_flags(document),
            source_part=part_of_folders(image),
            lost=len(shapes) - len(objects),
        )


def _reference(files: Files, file: str, document: dict[str, Any]) -> str:
    """Return the path of the image, or the name of the file itself if that path leads nowhere."""
    path = str(document.get("imagePath") or "")
    stem = PurePosixPath(file).stem
    return path if path and (files.matching(path, file) or not files.matching(stem, file)) else stem


def _object(shape: Any, number: int, file: str, problems: Problems) -> Object | None:
    try:
        kind = str(shape.get("shape_type") or "")
        label = str(shape["label"] if shape["label"] is not None else "").strip()
        if kind not in _BOXES and kind not in _WITH_AREA:
            problems.tally("lost-shape", file, f"has shapes of the kind {kind}")
            return None
        box = _box(kind, shape["points"])
        if not label:
            raise ValueError("it has no label")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        problems.report("bad-annotation", file, f"is not a shape with a label: {error}", f"shape {number}")
        return None
    if kind not in _BOXES:
        problems.tally("shape-box", file, f"has shapes of the kind {kind}")
    return Object(label, box)


def _box(kind: str, points: Any) -> Box:
    if kind == "circle":
        (x, y), edge = (float(value) for value in points[0]), points[1]
        radius = math.dist((x, y), (float(edge[0]), float(edge[1])))
        return ellipse(x, y, radius, radius)
    return around([float(point[0]) for point in points], [float(point[1]) for point in points])


def _flags(document: dict[str, Any]) -> tuple[str, ...]:
    flags = document.get("flags")
    return (
        tuple(str(name) for name, is_set in flags.items() if is_set is True)
        if isinstance(flags, dict)
        else ()
    )


def _size(document: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return int(document["imageWidth"]), int(document["imageHeight"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
