"""Label Studio: one JSON file with tasks and their results. Coordinates are in percent of the image.

Source: labelstud.io/guide/export and labelstud.io/guide/task_format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from training.datasets.dataset import Box, Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, load_json
from training.datasets.formats.parts import part_of_folders
from training.datasets.formats.shapes import around, ellipse, rotated, scaled
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_UPLOADED = re.compile(r"^[0-9a-z]{1,12}-(?=.)")
_LABELLED = ("annotations", "completions")
_WITH_AREA = ("rectanglelabels", "polygonlabels", "ellipselabels")


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the JSON files that are lists of tasks."""
    own = [name for name, document in contents.jsons.items() if _is_tasks(document)]
    return Claim(tuple(own)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every task that somebody has finished."""
    tasks = {file: load_json(files, file) for file in claim.files}
    images = (image for file in tasks for image in _annotated_images(files, file, tasks[file], problems))
    return Annotations(files, images, sum(len(listed) for listed in tasks.values()))


def _is_tasks(document: Any) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return (
        isinstance(first, dict)
        and isinstance(first.get("data"), dict)
        and any(isinstance(first.get(key), list) for key in _LABELLED)
    )


def _annotated_images(
    files: Files, file: str, tasks: list[Any], problems: Problems
) -> Iterator[AnnotatedImage]:
    for number, task in enumerate(tasks, start=1):
        place = f"task {task.get('id', number)}" if isinstance(task, dict) else f"task {number}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            problems.report("bad-annotation", file, "is not a task with data", place)
            continue
        results = _results(task, file, problems)
        if results is None:
            # Nobody has looked at it yet: the image stays among those without labels.
            continue
        reference = _reference(files, file, task["data"])
        name = image_of(files, reference, file, problems, place)
        if name is not None:
            yield _annotated(name, file, place, results, problems)


def _results(task: dict[str, Any], file: str, problems: Problems) -> list[Any] | None:
    """Return the results of the latest annotation of a task; None if it has none."""
    listed: list[Any] = next((task[key] for key in _LABELLED if isinstance(task.get(key), list)), [])
    done = [entry for entry in listed if isinstance(entry, dict) and not entry.get("was_cancelled")]
    if not done:
        return None
    if len(done) > 1:
        problems.tally("other-job", file, "has tasks that several people annotated", len(done) - 1)
    result = max(done, key=lambda entry: str(entry.get("updated_at", ""))).get("result")
    return result if isinstance(result, list) else []


def _reference(files: Files, file: str, data: dict[str, Any]) -> str:
    """Return the image of a task: the value of "image", or the first one that names a file that is there."""
    texts = [str(value) for _, value in sorted(data.items(), key=lambda item: item[0] != "image")]
    texts = [text for text in texts if text]
    for text in texts:
        folder, _, last = text.rpartition("/")
        # Uploaded files get a prefix, which the image on this machine may not have.
        for spelling in (text, f"{folder}/{_UPLOADED.sub('', last)}"):
            if files.matching(spelling, file):
                return spelling
    return texts[0] if texts else ""


def _annotated(name: str, file: str, place: str, results: list[Any], problems: Problems) -> AnnotatedImage:
    objects: list[Object] = []
    tags: list[str] = []
    size: tuple[int, int] | None = None
    lost = 0
    for result in results:
        if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
            # Relations between results have no value.
            continue
        value, kind = result["value"], str(result.get("type", ""))
        if isinstance(value.get("choices"), list):
            tags += [str(choice) for choice in value["choices"]]
        elif kind in _WITH_AREA:
            size = _size(result) or size
            if obj := _object(kind, value, file, place, size, problems):
                objects.append(obj)
            else:
                lost += 1
        elif any(isinstance(value.get(key), list) for key in (kind, "points", "rle")):
            problems.tally("lost-shape", file, f"has results of the kind {kind}")
            lost += 1
    return AnnotatedImage(
        name,
        file,
        tuple(objects),
        normalised=True,
        size=size,
        tags=tuple(tags),
        source_part=part_of_folders(name),
        lost=lost,
    )


def _object(
    kind: str,
    value: dict[str, Any],
    file: str,
    place: str,
    size: tuple[int, int] | None,
    problems: Problems,
) -> Object | None:
    try:
        box = _box(kind, value, size or (1, 1))
        labels = value[kind]
        if not isinstance(labels, list) or len(labels) != 1:
            raise ValueError(f"its labels are {labels!r}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        problems.report(
            "bad-annotation", file, f"has a result that is not a shape with one label: {error}", place
        )
        return None
    if kind != "rectanglelabels" or value.get("rotation"):
        kind = "turned boxes" if kind == "rectanglelabels" else kind
        problems.tally("shape-box", file, f"has results of the kind {kind}")
    return Object(str(labels[0]), scaled(box, 0.01, 0.01))


def _box(kind: str, value: dict[str, Any], size: tuple[int, int]) -> Box:
    """Return the box around a shape, in percent. Raises KeyError, TypeError or ValueError if it is none."""
    if kind == "polygonlabels":
        points = value["points"]
        return around([float(point[0]) for point in points], [float(point[1]) for point in points])
    x, y = float(value["x"]), float(value["y"])
    if kind == "ellipselabels":
        return ellipse(x, y, float(value["radiusX"]), float(value["radiusY"]))
    box = (x, y, x + float(value["width"]), y + float(value["height"]))
    degrees = float(value.get("rotation") or 0)
    if not degrees:
        return box
    # It turns about the upper left corner, in pixels.
    pixels = scaled(box, *size)
    return scaled(rotated(pixels, degrees, (pixels[0], pixels[1])), 1 / size[0], 1 / size[1])


def _size(result: dict[str, Any]) -> tuple[int, int] | None:
    try:
        width, height = int(result["original_width"]), int(result["original_height"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (width, height) if min(width, height) > 0 else None
