"""One way from every format to a data set: formats tell what is labelled, here the images are looked at."""

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
from types import ModuleType
from typing import cast

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from contract.images import FORMATS as IMAGE_FORMATS
from contract.images import UnreadableError, upright_size
from training.datasets import snapshot
from training.datasets.dataset import Box, Dataset, Object, Sample
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.formats import coco, ground_truth, lookout, recordio, voc, yolo
from training.datasets.opening import open_files
from training.datasets.problems import DatasetError, Problem, Problems

# In the order in which they are looked for; each is a module with `find` and `read`.
FORMATS: dict[str, ModuleType] = {
    "snapshot": snapshot,
    "ground-truth": ground_truth,
    "lookout": lookout,
    "recordio": recordio,
    "coco": coco,
    "yolo": yolo,
    "voc": voc,
}


@dataclass(frozen=True)
class Reading:
    """A data set as far as it could be read, and what is wrong with it."""

    dataset: Dataset
    format: str
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class _Look:
    sha256: str
    width: int
    height: int


Examine = Callable[[str, bytes], None]


def open_dataset(path: Path | str, format: str | None = None) -> Dataset:
    """Reads a folder, a zip or an `s3://` prefix in any of FORMATS; found by itself if not named.

    Raises DatasetError, naming file and place, at the first problem that is an error.
    """
    return read(path, format, strict=True).dataset


def read(
    path: Path | str,
    format: str | None = None,
    *,
    strict: bool = False,
    examine: Examine | None = None,
    progress: bool = False,
) -> Reading:
    """As `open_dataset`; unless `strict`, problems are collected and what has errors is left out.

    examine: called with SHA-256 and bytes of every image, from several threads; may raise UnreadableError.
    Raises DatasetError where there is nothing to read, and at once where `strict`.
    """
    files = open_files(path)
    problems = Problems(strict)
    for problem in files.refused if files.chosen is None else ():
        problems.add(problem)
    name, source = _source(path, files, format, problems)
    samples: list[Sample] = []
    used: set[str] = set()
    with tqdm(
        total=source.count or None, unit="image", desc="reading", disable=not _shown(progress), leave=False
    ) as bar:
        for entry, look in _look_at_all(source, problems, examine):
            used.add(entry.image)
            if look:
                samples.append(_sample(entry, look, problems))
            bar.update()
    # Beside a file that was named, and around a snapshot or records, there may be images of anything.
    for image in files.images if source.files is files and files.chosen is None else ():
        if image not in used and image not in source.others:
            problems.report("unlisted-image", image, "is an image without labels of its own")
    if not samples:
        problems.report("empty", path, "holds no labelled image that can be read")
    labels = source.labels
    if labels is None:
        labels = sorted({each.label for sample in samples for each in sample.objects})
    dropped = problems.count("zero-area-box")
    dataset = Dataset(source.files, tuple(labels), tuple(samples), dropped, source.snapshot_id)
    return Reading(dataset, name, problems.found)


def _shown(progress: bool) -> bool:
    return progress and sys.stderr.isatty()


def _source(path: Path | str, files: Files, format: str | None, problems: Problems) -> tuple[str, Source]:
    if format is not None and format not in FORMATS:
        raise DatasetError(path, f"{format!r} is no known format; known are {', '.join(FORMATS)}")
    if files.chosen is None and not files.names:
        raise (problems.found[0].error() if problems.found else DatasetError(path, "is empty"))
    for name in [format] if format else FORMATS:
        module = FORMATS[name]
        if (found := module.find(files)) is not None:
            return name, cast(Source, module.read(files, found, problems))
    if format:
        raise DatasetError(path, f"holds no data set in the format {format}")
    raise DatasetError(
        path,
        "holds no data set of a known format: no COCO file (annotations.json), Pascal VOC files (*.xml), YOLO"
        " (data.yaml or classes.txt), manifest (*.manifest), RecordIO file (*.rec) or snapshot",
    )


def _look_at_all(
    source: Source, problems: Problems, examine: Examine | None
) -> Iterator[tuple[Entry, _Look | None]]:
    """Every entry with its image's facts, in order; few images are in memory at a time."""
    threads = source.files.threads
    waiting: deque[tuple[Entry, Future[_Look]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for entry in source.entries:
            waiting.append((entry, pool.submit(_look, source.files, entry, examine)))
            if len(waiting) > 2 * threads:
                yield _finish(*waiting.popleft(), problems)
        while waiting:
            yield _finish(*waiting.popleft(), problems)


def _look(files: Files, entry: Entry, examine: Examine | None) -> _Look:
    if entry.sha256 is not None and entry.size is not None and examine is None:
        return _Look(entry.sha256, *entry.size)  # Dataset.read checks the bytes when they are needed
    data = files.read(entry.image)
    sha256 = hashlib.sha256(data).hexdigest()
    if entry.sha256 not in (None, sha256):
        raise DatasetError(entry.image, f"was altered: its SHA-256 is {sha256}, not {entry.sha256}")
    with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
        width, height = upright_size(image)
    if examine is not None:
        examine(sha256, data)
    return _Look(sha256, width, height)


def _finish(entry: Entry, future: Future[_Look], problems: Problems) -> tuple[Entry, _Look | None]:
    try:
        return entry, future.result()
    except DatasetError as error:
        problems.report("unreadable-image", entry.image, str(error).removeprefix(f"{entry.image}: "))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        UnreadableError,
        Image.DecompressionBombError,
    ) as error:
        problems.report("unreadable-image", entry.image, f"is not a readable image: {error}")
    return entry, None


def _sample(entry: Entry, look: _Look, problems: Problems) -> Sample:
    if entry.size is not None and min(entry.size) > 0 and entry.size != (look.width, look.height):
        stated = f"{entry.size[0]} x {entry.size[1]}"
        problems.report(
            "size-mismatch", entry.image, f"is {look.width} x {look.height} pixels, its labels say {stated}"
        )
    kept: list[Object] = []
    for number, each in enumerate(entry.objects, start=1):
        box = each.box
        place = f"box {number} ({each.label})"
        if not all(math.isfinite(edge) for edge in box):
            message = f"{entry.image}: the box {_shorten(box)} is not of finite numbers"
            problems.report("bad-annotation", entry.labelled_in, message, place)
            continue
        if entry.normalised:
            box = (box[0] * look.width, box[1] * look.height, box[2] * look.width, box[3] * look.height)
        clipped = clip(box, look.width, look.height)
        if clipped is None:
            problems.report(
                "zero-area-box", entry.image, f"{_shorten(box)} has no area inside the image", place
            )
            continue
        # Half a pixel is how formats round, not somebody's mistake.
        if max(abs(a - b) for a, b in zip(box, clipped, strict=True)) > 0.5:
            problems.report("box-outside", entry.image, f"{_shorten(box)} is partly outside the image", place)
        kept.append(Object(each.label, clipped))
    return Sample(entry.image, look.sha256, look.width, look.height, tuple(kept), entry.tags, entry.part)


def _shorten(box: Box) -> str:
    return "(" + ", ".join(f"{edge:g}" for edge in box) + ")"


def clip(box: Box, width: int, height: int) -> Box | None:
    """The part of the box inside the image; None if there is none."""
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = min(box[2], float(width)), min(box[3], float(height))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
