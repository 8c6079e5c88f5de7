"""Looks at the pictures that somebody gives for learning: what they show, and what is kept aside to measure by.

Most people have pictures of good products alone, in a folder. Everything else that `loupe import` reads is read, too.
The result is a snapshot, from which the training and the evaluation read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from contract.images import SUFFIXES
from contract.snapshots import Part
from contract.text import listed
from training.datasets.checks.duplicates import Fingerprints, find_duplicates
from training.datasets.dataset import Dataset, Sample
from training.datasets.formats import good
from training.datasets.problems import DatasetError, Problem
from training.datasets.reading import Reading, read
from training.datasets.snapshots.snapshot import take
from training.datasets.snapshots.split import divide
from training.datasets.snapshots.store import write
from training.datasets.storage.files import Files
from training.datasets.storage.opening import open_files

# Folders whose pictures are not good, also where no folder beside them is called good.
_BAD = {"anomaly", "anomalies", "anomalous", "abnormal", "bad", "defect", "defects", "defective", "ng", "nok"}
_BAD |= {
    "nio",
    "not ok",
    "not good",
    "broken",
    "damaged",
    "fail",
    "failed",
    "reject",
    "rejected",
    "scrap",
    "faulty",
}
_SHOWN = 3
# With fewer of a kind, what would be kept aside to measure by is missed where it would be learned from.
_GOOD_TO_MEASURE, _DEFECTIVE_TO_MEASURE = 10, 2
# One of so many good pictures is kept aside, and one of so many defective ones, which teach little.
_GOOD_EACH, _DEFECTIVE_EACH = 5, 2


class NothingToLearnError(DatasetError):
    """The source has no pictures that tell what good looks like."""

    def __init__(self, source: object, reason: str, hint: str) -> None:
        super().__init__(source, reason)
        self.hint = hint


@dataclass(frozen=True)
class Survey:
    """What there is to learn from.

    Attributes:
        dataset: The pictures, each in its part.
        format: How they are labelled; `good` for pictures alone.
        copies: The number of pictures that are left out, because another one has the same bytes.
        problems: What is wrong with the source.
    """

    dataset: Dataset
    format: str
    copies: int
    problems: list[Problem]

    @property
    def has_boxes(self) -> bool:
        """Whether somebody has drawn boxes; the areas of masks do not count."""
        return any(sample.objects and not sample.masks for sample in self.dataset.samples)

    def write(self, out: Path, name: str) -> str:
        """Write the snapshot, and return its path."""
        return write(take(self.dataset, (), format=self.format, name=name), str(out))


def survey(source: str, format: str | None = None, *, all_good: bool = False) -> Survey:
    """Read a source, and put its pictures into parts.

    Args:
        source: What `loupe import` reads, or pictures of good products alone.
        format: The format; None to detect it.
        all_good: Whether every picture shows a good product, whatever its folder is called.

    Raises:
        DatasetError: It cannot be read, or nothing tells which pictures are good.
    """
    reading = _reading(source, good.TAG if all_good else format)
    unique = {sample.sha256: sample for sample in reversed(reading.dataset.samples)}
    samples = tuple(reversed(unique.values()))
    if not samples:
        raise _unreadable(source, reading)
    dataset = replace(reading.dataset, samples=samples)
    copies = len(reading.dataset.samples) - len(samples)
    found = Survey(dataset, reading.format, copies, reading.problems)
    divided = _by_pictures(dataset) if found.has_boxes else _by_kind(dataset)
    return replace(found, dataset=divided)


def _reading(source: str, format: str | None) -> Reading:
    """Read the labels, or else the pictures of a folder as those of good products."""
    if not source.startswith("s3://") and not Path(source).exists():
        raise NothingToLearnError(source, "no such file or folder", _GIVE)
    if source.lower().endswith(SUFFIXES) and not Path(source).is_dir():
        raise NothingToLearnError(source, "is one picture, from which nothing can be learned", _GIVE)
    if format is not None:
        return read(source, format)
    files = open_files(source)
    if not files.images and files.chosen is None:
        raise NothingToLearnError(source, f"has no picture ({_content(files)})", _KINDS_OF_PICTURES)
    try:
        reading = read(source)
    except DatasetError as error:
        if _may_be_labelled(files):
            error.hint = error.hint or "If there are no labels, and all pictures are good: add --all-good."
            raise
        _refuse_unclear_folders(source, files)
        return read(source, good.TAG)
    return reading


_GIVE = "Give a folder or a zip of good pictures, or labelled images."
_KINDS_OF_PICTURES = "Pictures are JPEG, PNG, BMP, TIFF and WebP files. Take stills from a video first."


def _may_be_labelled(files: Files) -> bool:
    """Return whether there are files that may be labels, so that an error in them must not be passed over."""
    if files.chosen is not None:
        return True
    others = set(files.names) - set(files.images)
    return any(
        name.lower().endswith((".json", ".jsonl", ".manifest", ".xml", ".csv", ".tsv")) for name in others
    )


def _content(files: Files) -> str:
    """Return what a source has instead of pictures."""
    suffixes = Counter(PurePosixPath(name).suffix.lower() or "without suffix" for name in files.names)
    return ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(_SHOWN)) or "it is empty"


def _refuse_unclear_folders(source: str, files: Files) -> None:
    """Refuse pictures whose folders may mean that they are not good.

    Raises:
        NothingToLearnError: They do.
    """
    folders = Counter(str(PurePosixPath(name).parent) for name in files.images)
    own = Path(source).name if not source.startswith("s3://") else source.rstrip("/").rpartition("/")[2]
    names = [PurePosixPath(folder).name or own for folder in folders]
    hint = "If all of them are good: add --all-good. Else give the folder of the good ones alone."
    if bad := [name for name in names if name.replace("_", " ").replace("-", " ").casefold() in _BAD]:
        raise NothingToLearnError(
            source,
            f"pictures in a folder {bad[0]} are not good ones, and there is no folder of good ones",
            hint,
        )
    if len(folders) > 1:
        shown = listed(
            [f"{name} ({count})" for name, count in zip(names, folders.values(), strict=True)], _SHOWN
        )
        raise NothingToLearnError(
            source, f"nothing tells which of its folders have good pictures: {shown}", hint
        )


def _unreadable(source: str, reading: Reading) -> NothingToLearnError:
    first = next((problem for problem in reading.problems if problem.severity == "error"), None)
    reason = str(first.error()) if first else "it is empty"
    return NothingToLearnError(source, f"no picture can be read: {reason}", _KINDS_OF_PICTURES)


def _by_pictures(dataset: Dataset) -> Dataset:
    """Put pictures with boxes into parts as an import does."""
    fingerprints = Fingerprints()
    for sample in dataset.samples:
        fingerprints.add(sample.sha256, dataset.read(sample))
    duplicates, _ = find_duplicates(dataset, fingerprints)
    return divide(dataset, duplicates)[0]


def _by_kind(dataset: Dataset) -> Dataset:
    """Keep good and defective pictures aside to measure by, if there are enough of both.

    The parts of the source count. Its test part is the only one that matters: nothing is chosen by a validation part.
    """
    kept = _aside(dataset.samples)

    def part(sample: Sample) -> Part:
        return "test" if sample.sha256 in kept else "train"

    return replace(dataset, samples=tuple(replace(sample, part=part(sample)) for sample in dataset.samples))


def _aside(samples: tuple[Sample, ...]) -> set[str]:
    """Return the SHA-256 of the pictures that are kept aside. The hashes decide, so that the same ones always are."""
    good_ones = sorted(sample.sha256 for sample in samples if sample.is_good)
    defective = sorted(sample.sha256 for sample in samples if sample.is_defective)
    stated = {sample.sha256 for sample in samples if sample.source_part == "test"}
    if stated.intersection(good_ones) and stated.intersection(defective) and set(good_ones) - stated:
        return stated
    if len(good_ones) < _GOOD_TO_MEASURE or len(defective) < _DEFECTIVE_TO_MEASURE:
        return set()
    return {*good_ones[::_GOOD_EACH], *defective[::_DEFECTIVE_EACH]}
