"""Reads a data set in any format: the formats give the labels, and the images are opened here."""

from __future__ import annotations

import hashlib
import io
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from contract.images import FORMATS as IMAGE_FORMATS
from contract.images import UnreadableError, upright_size
from training.datasets.dataset import Box, Dataset, Object, Sample
from training.datasets.formats import coco, ground_truth, lookout, recordio, snapshot, voc, yolo
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Format
from training.datasets.problems import DatasetError, Problem, Problems
from training.datasets.storage.files import Files
from training.datasets.storage.opening import open_files

# In the order in which a source is searched for them.
FORMATS: dict[str, Format] = {
    "snapshot": snapshot,
    "ground-truth": ground_truth,
    "lookout": lookout,
    "recordio": recordio,
    "coco": coco,
    "yolo": yolo,
    "voc": voc,
}

# Formats round a box's edge by up to half a pixel.
_ROUNDING = 0.5

Examine = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Reading:
    """A data set as far as it could be read.

    Attributes:
        dataset: The images without errors.
        format: A key of FORMATS.
        problems: What is wrong with the source.
    """

    dataset: Dataset
    format: str
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class _ImageFacts:
    sha256: str
    width: int
    height: int


def open_dataset(source: Path | str, format: str | None = None) -> Dataset:
    """Read a data set that must have no error.

    Args:
        source: A folder, a zip, one annotation file, or an `s3://` URI of one of these.
        format: A key of FORMATS; detected if it is not given.

    Raises:
        DatasetError: The first problem that is an error; the message names file and place.
    """
    return read(source, format, strict=True).dataset


def read(
    source: Path | str,
    format: str | None = None,
    *,
    strict: bool = False,
    examine: Examine | None = None,
    progress: bool = False,
) -> Reading:
    """Read a data set and collect its problems. Images with errors are left out.

    Args:
        source: A folder, a zip, one annotation file, or an `s3://` URI of one of these.
        format: A key of FORMATS; detected if it is not given.
        strict: Raise the first problem that is an error.
        examine: Called with the SHA-256 and the bytes of every image, from several threads; may raise
            UnreadableError.
        progress: Show a progress bar if standard error is a terminal.

    Raises:
        DatasetError: There is nothing to read, or `strict` is set and there is an error.
    """
    files = open_files(source)
    problems = Problems(strict)
    for problem in files.refused if files.chosen is None else ():
        problems.add(problem)
    name, annotations = _read_annotations(source, files, format, problems)
    samples = _read_samples(annotations, files, problems, examine, progress and sys.stderr.isatty())
    if not samples:
        problems.report("empty", source, "contains no labelled image that can be read")
    labels = annotations.labels
    if labels is None:
        labels = sorted({obj.label for sample in samples for obj in sample.objects})
    dropped = problems.count("zero-area-box")
    dataset = Dataset(annotations.files, tuple(labels), tuple(samples), dropped, annotations.snapshot_id)
    return Reading(dataset, name, problems.collected)


def _read_annotations(
    source: Path | str, files: Files, format: str | None, problems: Problems
) -> tuple[str, Annotations]:
    """Return the format's name and the labels. Raises DatasetError if there are none."""
    if format is not None and format not in FORMATS:
        raise DatasetError(source, f"{format!r} is not a known format; known are {', '.join(FORMATS)}")
    if files.chosen is None and not files.names:
        raise (problems.collected[0].error() if problems.collected else DatasetError(source, "is empty"))
    for name in [format] if format else FORMATS:
        found = FORMATS[name].find(files)
        if found is not None:
            return name, FORMATS[name].read(files, found, problems)
    if format:
        raise DatasetError(source, f"contains no data set in the format {format}")
    raise DatasetError(
        source,
        "contains no data set of a known format: no COCO file (annotations.json), Pascal VOC files (*.xml), YOLO"
        " (data.yaml or classes.txt), manifest (*.manifest), RecordIO file (*.rec) or snapshot",
    )


def _read_samples(
    annotations: Annotations, files: Files, problems: Problems, examine: Examine | None, show_bar: bool
) -> list[Sample]:
    samples: list[Sample] = []
    used: set[str] = set()
    total = annotations.count or None
    with tqdm(total=total, unit="image", desc="reading", disable=not show_bar, leave=False) as bar:
        for image, facts in _examine_all(annotations, problems, examine):
            used.add(image.name)
            if facts:
                samples.append(_sample(image, facts, problems))
            bar.update()
    # Next to a file that the user named, a snapshot or records, other images have nothing to do with the data set.
    if annotations.files is files and files.chosen is None:
        for name in files.images:
            if name not in used and name not in annotations.other_images:
                problems.report("unlisted-image", name, "is an image without labels")
    return samples


def _examine_all(
    annotations: Annotations, problems: Problems, examine: Examine | None
) -> Iterator[tuple[AnnotatedImage, _ImageFacts | None]]:
    """Yield every image with its facts, in order, from several threads; few images are in memory at a time."""
    threads = annotations.files.threads
    waiting: deque[tuple[AnnotatedImage, Future[_ImageFacts]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for image in annotations.images:
            waiting.append((image, pool.submit(_examine, annotations.files, image, examine)))
            if len(waiting) > 2 * threads:
                yield _finish(*waiting.popleft(), problems)
        while waiting:
            yield _finish(*waiting.popleft(), problems)


def _examine(files: Files, image: AnnotatedImage, examine: Examine | None) -> _ImageFacts:
    if image.sha256 is not None and image.size is not None and examine is None:
        # Dataset.read checks the bytes when they are needed.
        return _ImageFacts(image.sha256, *image.size)
    data = files.read(image.name)
    sha256 = hashlib.sha256(data).hexdigest()
    if image.sha256 not in (None, sha256):
        raise DatasetError(image.name, f"was altered: its SHA-256 is {sha256}, not {image.sha256}")
    with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as opened:
        width, height = upright_size(opened)
    if examine is not None:
        examine(sha256, data)
    return _ImageFacts(sha256, width, height)


def _finish(
    image: AnnotatedImage, future: Future[_ImageFacts], problems: Problems
) -> tuple[AnnotatedImage, _ImageFacts | None]:
    """Wait for an image's facts. If it cannot be read, a problem is reported, and the facts are None."""
    try:
        return image, future.result()
    except DatasetError as error:
        problems.report("unreadable-image", image.name, str(error).removeprefix(f"{image.name}: "))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        UnreadableError,
        Image.DecompressionBombError,
    ) as error:
        problems.report("unreadable-image", image.name, f"is not a readable image: {error}")
    return image, None


def _sample(image: AnnotatedImage, facts: _ImageFacts, problems: Problems) -> Sample:
    if image.size is not None and min(image.size) > 0 and image.size != (facts.width, facts.height):
        stated = f"{image.size[0]} x {image.size[1]}"
        message = f"is {facts.width} x {facts.height} pixels, but its labels state {stated}"
        problems.report("size-mismatch", image.name, message)
    objects: list[Object] = []
    for number, obj in enumerate(image.objects, start=1):
        box = _clipped_box(image, facts, obj.box, f"box {number} ({obj.label})", problems)
        if box is not None:
            objects.append(Object(obj.label, box))
    return Sample(image.name, facts.sha256, facts.width, facts.height, tuple(objects), image.tags, image.part)


def _clipped_box(
    image: AnnotatedImage, facts: _ImageFacts, box: Box, place: str, problems: Problems
) -> Box | None:
    """Return the part of a box that is inside the image, in pixels; None, with a problem, if there is none."""
    if not all(math.isfinite(edge) for edge in box):
        message = f"{image.name}: the box {_format(box)} has numbers that are not finite"
        problems.report("bad-annotation", image.annotation_file, message, place)
        return None
    if image.normalised:
        x1, y1, x2, y2 = box
        box = (x1 * facts.width, y1 * facts.height, x2 * facts.width, y2 * facts.height)
    clipped = _clip(box, facts.width, facts.height)
    if clipped is None:
        message = f"{_format(box)} has no area inside the image"
        problems.report("zero-area-box", image.name, message, place)
    elif max(abs(a - b) for a, b in zip(box, clipped, strict=True)) > _ROUNDING:
        problems.report("box-outside", image.name, f"{_format(box)} is partly outside the image", place)
    return clipped


def _format(box: Box) -> str:
    return "(" + ", ".join(f"{edge:g}" for edge in box) + ")"


def _clip(box: Box, width: int, height: int) -> Box | None:
    """Return the part of a box that is inside an image of this size; None if no area is.

    >>> _clip((-5, 2, 8, 30), 10, 20)
    (0.0, 2, 8, 20.0)
    """
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = min(box[2], float(width)), min(box[3], float(height))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
