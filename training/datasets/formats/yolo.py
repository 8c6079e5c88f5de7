"""YOLO: one text file per image, one object per line: class, then centre, width and height in 0..1.

The class names are `names` in data.yaml, or the lines of classes.txt or obj.names. A line with three or more points
is a polygon, which becomes the box around it. An image without a text file is a good product.

Source: docs.ultralytics.com/datasets/detect and /segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import yaml

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_NAME_LISTS = ("classes.txt", "obj.names", "classes.names")
_NOT_LABELS = (*_NAME_LISTS, "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt")
# A coordinate beyond it is in pixels; the box does not just extend beyond the image.
_LARGEST_COORDINATE = 2.0


def find(files: Files) -> str | None:
    """Return the file with the class names: data.yaml, or else classes.txt if there are no XML files."""
    if files.chosen is not None:
        return files.chosen if files.chosen.lower().endswith((".yaml", ".yml")) else None
    yaml_files = [name for name in files.names if name.lower().endswith((".yaml", ".yml"))]
    usual = [name for name in yaml_files if PurePosixPath(name).stem in ("data", "dataset")]
    for name in (*usual, *yaml_files):
        document = _document(files, name)
        if isinstance(document, dict) and "names" in document:
            return name
    lists = [name for name in files.names if PurePosixPath(name).name.lower() in _NAME_LISTS]
    is_also_voc = any(name.lower().endswith(".xml") for name in files.names)
    return lists[0] if lists and not is_also_voc else None


def read(files: Files, names_file: str, problems: Problems) -> Annotations:
    """Return the labels of every image: those in the text file that belongs to it."""
    labels, has_keypoints = _labels(files, names_file, problems)
    texts = {
        name
        for name in files.names
        if name.lower().endswith(".txt") and PurePosixPath(name).name.lower() not in _NOT_LABELS
    }
    text_by_image = {
        image: next((text for text in _text_candidates(image) if text in texts), None)
        for image in files.images
    }
    images = _annotated_images(files, text_by_image, labels, has_keypoints, problems)
    for text in sorted(texts - set(text_by_image.values())):
        if _is_label_file(files, text):
            problems.report("missing-image", text, "has no image of the same name")
    return Annotations(files, images, len(text_by_image), labels)


def _document(files: Files, name: str) -> Any:
    try:
        return yaml.safe_load(files.read(name))
    except (yaml.YAMLError, ValueError):
        return None


def _labels(files: Files, names_file: str, problems: Problems) -> tuple[list[str], bool]:
    """Return the class names by number, and whether lines have key points after their box."""
    if PurePosixPath(names_file).name.lower() in _NAME_LISTS:
        lines = files.read(names_file).decode("utf-8-sig", "replace").splitlines()
        return [line.strip() for line in lines if line.strip()], False
    document = _document(files, names_file)
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        problems.report("no-categories", names_file, "has no `names`: a list, or numbers from 0 with names")
        return [], False
    return [str(name) for name in names], "kpt_shape" in document


def _text_candidates(image: str) -> Iterator[str]:
    """Yield where an image's text file may be: in `labels` instead of `images`, or next to the image."""
    path = PurePosixPath(image)
    folders = list(path.parts[:-1])
    for index in range(len(folders) - 1, -1, -1):
        if folders[index] == "images":
            labels_folder = PurePosixPath(*folders[:index], "labels", *folders[index + 1 :])
            yield (labels_folder / f"{path.stem}.txt").as_posix()
    yield path.with_suffix(".txt").as_posix()
    yield (path.parent / "labels" / f"{path.stem}.txt").as_posix()


def _is_label_file(files: Files, text: str) -> bool:
    first = files.read(text)[:1000].decode("utf-8", "replace").split("\n")[0].split()
    return len(first) >= 5 and all(value.replace(".", "").replace("-", "").isdigit() for value in first)


def _annotated_images(
    files: Files,
    text_by_image: dict[str, str | None],
    labels: list[str],
    has_keypoints: bool,
    problems: Problems,
) -> Iterator[AnnotatedImage]:
    for image, text in text_by_image.items():
        if text is None:
            yield AnnotatedImage(image, image, ())
            continue
        objects: list[Object] = []
        lines = files.read(text).decode("utf-8-sig", "replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            obj = _object(line, labels, has_keypoints, text, f"line {number}", problems)
            if obj is not None:
                objects.append(obj)
        yield AnnotatedImage(image, text, tuple(objects), normalised=True)


def _object(
    line: str, labels: list[str], has_keypoints: bool, text: str, place: str, problems: Problems
) -> Object | None:
    try:
        first, *rest = line.split()
        number, values = int(float(first)), [float(value) for value in rest]
        if float(first) != number:
            raise ValueError(first)
        box = _box(values[:4] if has_keypoints else values)
    except (ValueError, OverflowError):
        problems.report("bad-annotation", text, f"is not a class with a box or polygon: {line!r}", place)
        return None
    if not 0 <= number < len(labels):
        problems.report("unknown-class", text, f"class {number} is not among the {len(labels)} names", place)
        return None
    if any(abs(edge) > _LARGEST_COORDINATE for edge in box):
        problems.report("bad-annotation", text, f"is not in 0..1 of width and height: {line!r}", place)
        return None
    return Object(labels[number], box)


def _box(values: list[float]) -> Box:
    """Return (x1, y1, x2, y2) in 0..1. Raises ValueError if the values are neither a box nor a polygon.

    >>> _box([0.5, 0.5, 1.0, 0.5])
    (0.0, 0.25, 1.0, 0.75)
    >>> _box([0.1, 0.2, 0.5, 0.9, 0.3, 0.1])
    (0.1, 0.1, 0.5, 0.9)
    """
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 6 and len(values) % 2 == 0:
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    raise ValueError(f"{len(values)} values")
