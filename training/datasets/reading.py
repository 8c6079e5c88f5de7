"""Reads a data set in any format: the formats give the labels, and the images are opened here."""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from contract.images import UnreadableError, open_image, transposition, upright_size
from contract.snapshots import Part
from training.datasets import bounds
from training.datasets.dataset import Dataset, Sample
from training.datasets.formats.annotations import AnnotatedImage, Annotations
from training.datasets.formats.detection import FORMATS, detect
from training.datasets.formats.parts import higher
from training.datasets.formats.placing import Corners, ImageFacts, is_text, place
from training.datasets.problems import DatasetError, Problem, Problems
from training.datasets.storage.files import Files
from training.datasets.storage.opening import ARCHIVE_SUFFIXES, open_files

__all__ = ["FORMATS", "Reading", "open_dataset", "read"]

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
    class_names: Sequence[str] = (),
    strict: bool = False,
    examine: Examine | None = None,
    progress: bool = False,
) -> Reading:
    """Read a data set and collect its problems. Images with errors are left out.

    Args:
        source: A folder, a zip, one annotation file, or an `s3://` URI of one of these.
        format: A key of FORMATS; detected if it is not given.
        class_names: The names of the classes in their order, for a source that has numbers only.
        strict: Raise the first problem that is an error.
        examine: Called with the SHA-256 and the bytes of every image, from several threads; may raise
            UnreadableError.
        progress: Show a progress bar if standard error is a terminal.

    Raises:
        DatasetError: There is nothing to read, or `strict` is set and there is an error.
    """
    try:
        return _read(source, format, class_names, strict, examine, progress)
    # Every reader knows what its labels may look like. What is beyond all of that ends here, in words.
    except RecursionError as error:
        raise DatasetError(source, "has labels that are nested too deeply to be read") from error
    except OverflowError as error:
        raise DatasetError(source, f"has a number that is too large to be read: {error}") from error
    except MemoryError as error:
        raise DatasetError(source, "needs more memory than there is: divide it into several parts") from error


def _read(
    source: Path | str,
    format: str | None,
    class_names: Sequence[str],
    strict: bool,
    examine: Examine | None,
    progress: bool,
) -> Reading:
    files = open_files(source)
    problems = Problems(strict)
    for problem in files.refused if files.chosen is None else ():
        problems.add(problem)
    if files.chosen is None and not files.names:
        raise (problems.collected[0].error() if problems.collected else DatasetError(source, "is empty"))
    name, claim = detect(source, files, format, problems)
    annotations = FORMATS[name].read(files, claim, problems, class_names)
    samples = _read_samples(annotations, files, problems, examine, progress and sys.stderr.isatty())
    if not samples:
        problems.report("empty", source, "contains no labelled image that can be read")
    labels = annotations.labels
    if labels is None:
        labels = sorted({obj.label for sample in samples for obj in sample.objects})
    labels = [label for label in labels if is_text(label)]
    if len(labels) > bounds.CLASSES:
        raise DatasetError(
            source, f"has {len(labels):,} classes, more than {bounds.CLASSES:,}: check its labels"
        )
    dropped = problems.count("zero-area-box")
    dataset = Dataset(annotations.files, tuple(labels), tuple(samples), dropped, annotations.snapshot_id)
    return Reading(dataset, name, problems.collected)


def _read_samples(
    annotations: Annotations, files: Files, problems: Problems, examine: Examine | None, show_bar: bool
) -> list[Sample]:
    samples: list[Sample] = []
    once, corners = _Once(problems), Corners()
    total = annotations.count or None
    with tqdm(total=total, unit="image", desc="reading", disable=not show_bar, leave=False) as bar:
        for image, facts in _examine_all(annotations, once, problems, examine):
            if facts and (sample := place(image, facts, problems, corners)):
                samples.append(sample)
            bar.update()
    if once.first:
        corners.report(next(iter(once.first.values()))[0], problems)
    # Next to a file that the user named, a snapshot or records, other images have nothing to do with the data set.
    if annotations.files is files and files.chosen is None:
        for name in files.images:
            if name not in once.first and name not in annotations.other_images:
                problems.report("unlisted-image", name, "is an image without labels")
        for name in files.names:
            if name.lower().endswith(ARCHIVE_SUFFIXES):
                problems.report("unread-archive", name, "is an archive beside the data set")
    return _with_parts(samples, once.parts)


def _with_parts(samples: list[Sample], parts: dict[str, Part | None]) -> list[Sample]:
    """Return the samples with the parts of the source: an image may be listed in several."""
    return [
        sample
        if sample.source_part == parts[sample.name]
        else replace(sample, source_part=parts[sample.name])
        for sample in samples
    ]


class _Once:
    """Lets each image pass once; a source may list one in several files.

    Attributes:
        first: The label file of each image, and a digest of its labels.
        parts: The part of each image in the source.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.first: dict[str, tuple[str, int]] = {}
        self.parts: dict[str, Part | None] = {}

    def filter(self, images: Iterator[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        """Yield the images that were not there yet, and report the others."""
        for image in images:
            content = hash((frozenset(image.objects), frozenset(image.tags)))
            if image.name not in self.first:
                self.first[image.name] = image.annotation_file, content
                self.parts[image.name] = image.source_part
                yield image
                continue
            self._again(image, content)

    def _again(self, image: AnnotatedImage, content: int) -> None:
        file, known = self.first[image.name]
        where = f"in {file}" if image.annotation_file == file else f"in {file} and in {image.annotation_file}"
        if content != known:
            self._problems.report("labelled-twice", image.name, f"has other labels the second time, {where}")
            return
        self._problems.report("listed-twice", image.name, f"is twice {where}")
        part = self.parts[image.name]
        if part and image.source_part and part != image.source_part:
            message = f"is in {part} and in {image.source_part}"
            self._problems.report("two-parts", image.name, message)
        self.parts[image.name] = higher(part, image.source_part)


def _examine_all(
    annotations: Annotations, once: _Once, problems: Problems, examine: Examine | None
) -> Iterator[tuple[AnnotatedImage, ImageFacts | None]]:
    """Yield every image with its facts, in order, from several threads; few images are in memory at a time."""
    threads = annotations.files.threads
    waiting: deque[tuple[AnnotatedImage, Future[ImageFacts]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for image in once.filter(annotations.images):
            waiting.append((image, pool.submit(_examine, annotations.files, image, examine)))
            if len(waiting) > 2 * threads:
                yield _finish(*waiting.popleft(), problems)
        while waiting:
            yield _finish(*waiting.popleft(), problems)


def _examine(files: Files, image: AnnotatedImage, examine: Examine | None) -> ImageFacts:
    if image.sha256 is not None and image.size is not None and examine is None:
        # Dataset.read checks the bytes when they are needed.
        return ImageFacts(image.sha256, *image.size)
    data = files.read(image.name)
    sha256 = hashlib.sha256(data).hexdigest()
    if image.sha256 not in (None, sha256):
        raise DatasetError(image.name, f"was altered: its SHA-256 is {sha256}, not {image.sha256}")
    with open_image(data) as opened:
        width, height = upright_size(opened)
        # The boxes of a snapshot are on the upright image.
        turn = None if image.sha256 else transposition(opened)
    if examine is not None:
        examine(sha256, data)
    return ImageFacts(sha256, width, height, turn)


def _finish(
    image: AnnotatedImage, future: Future[ImageFacts], problems: Problems
) -> tuple[AnnotatedImage, ImageFacts | None]:
    """Wait for an image's facts. If it cannot be read, a problem is reported, and the facts are None."""
    try:
        return image, future.result()
    except DatasetError as error:
        problems.report("unreadable-image", image.name, str(error).removeprefix(f"{image.name}: "))
    except UnreadableError as error:
        problems.report("unreadable-image", image.name, f"is not a readable image: {error}")
    return image, None
