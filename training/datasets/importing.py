"""One import: read, compare with the data set, divide into parts, repair, check, and write a snapshot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from training.datasets.checks.audit import audit
from training.datasets.checks.duplicates import Duplicate, Fingerprints, find_duplicates
from training.datasets.checks.repair import REPAIRED_BY_READING, Repair, repair
from training.datasets.dataset import Dataset
from training.datasets.problems import Problem
from training.datasets.reading import Reading, open_dataset, read
from training.datasets.report import Report, shown_names, wrapped
from training.datasets.snapshots.classes import ClassChange, compare_classes, rename_labels, without_unused
from training.datasets.snapshots.snapshot import Snapshot, is_unchanged, take
from training.datasets.snapshots.split import Division, divide, take_over_test_images
from training.datasets.snapshots.store import folder_of, local_files, upload, write
from training.job.errors import TrainingError

_ERROR_WIDTH = 73  # an error's lines are indented


class ImportRefusedError(TrainingError):
    """Nothing was imported: the source has errors, or it belongs to another data set."""


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and where to.

    Attributes:
        path: A folder, a zip, an annotation file, or an S3 URI.
        dataset: The name of the data set.
        out: A folder or an S3 URI for the snapshot; "" to write none.
        format: The format of the source; None to detect it.
        repair: Whether to repair what needs no decision.
        labels: The labels that are allowed, and the names of the classes where the source has numbers only; None for
            all.
        previous: The snapshot whose test images stay the test set.
        by_hash: Whether not to use the parts that the source has itself.
        confirm: Asked whether classes that the data set does not have are to be added to it.
    """

    path: str
    dataset: str
    out: str
    format: str | None = None
    repair: bool = False
    labels: Sequence[str] | None = None
    previous: str | None = None
    by_hash: bool = False
    confirm: Callable[[ClassChange], bool] = lambda change: False


@dataclass(frozen=True)
class _Examined:
    dataset: Dataset
    division: Division
    duplicates: Sequence[Duplicate]
    problems: list[Problem]
    repairs: Sequence[Repair]


@dataclass
class Import:
    """One import.

    Attributes:
        options: What to import, and where to.
        images_to_upload: The number of images and masks to upload; 0 before the upload starts.
        uploaded_images: How many of them are in S3.
    """

    options: ImportOptions
    images_to_upload: int = 0
    uploaded_images: int = 0
    _fingerprints: Fingerprints = field(default_factory=Fingerprints)

    def run(self) -> Report:
        """Read, check, repair, and write what the options ask for. With errors, nothing is written.

        Raises:
            TrainingError: The data set cannot be read or written, or it is refused.
        """
        options = self.options
        previous = open_dataset(options.previous, "snapshot") if options.previous else None
        reading = read(
            options.path,
            options.format,
            class_names=options.labels or (),
            examine=self._fingerprints.add,
            progress=True,
        )
        reading, change, renamed = self._compare(reading, previous)
        dataset, taken_over = take_over_test_images(reading.dataset, previous)
        dataset, unused = without_unused(dataset)
        for sample in taken_over:
            self._fingerprints.add(sample.sha256, dataset.read(sample))
        found = self._examine(dataset, reading.problems, previous)
        found.problems.extend(
            Problem("unused-class", options.path, f"class {label!r}", "has no object") for label in unused
        )
        freeze = partial(
            take,
            found.dataset,
            found.duplicates,
            format=reading.format,
            name=options.dataset,
            previous=previous,
            has_own_parts=found.division.is_own,
        )
        snapshot = freeze()
        report = Report(
            reading.format,
            len(reading.dataset.samples),
            replace(found.dataset, samples=snapshot.samples),
            found.problems,
            [*renamed, *found.repairs],
            snapshot.left_out,
            name=options.dataset,
            change=change,
            division=found.division,
            taken_over=len(taken_over),
            not_in_source=_not_in_source(previous, found.dataset),
        )
        if report.errors or not options.out:
            return report
        if options.out.startswith("s3://"):
            # With the URIs of the uploaded images, it is another document with another id.
            snapshot = freeze(uris=self._upload(found.dataset, snapshot))
        return self._write(report, snapshot, previous)

    def _compare(
        self, reading: Reading, previous: Dataset | None
    ) -> tuple[Reading, ClassChange, list[Repair]]:
        """Compare the classes with those of the previous snapshot. A repair uses that one's spelling.

        Raises:
            ImportRefusedError: The source has other classes, and they are not to be added.
        """
        if previous is None:
            return reading, ClassChange(), []
        change, repairs = compare_classes(reading.dataset, previous), list[Repair]()
        if self.options.repair and change.likely_typos:
            dataset, repairs = rename_labels(reading.dataset, change.likely_typos)
            reading, change = replace(reading, dataset=dataset), compare_classes(dataset, previous)
        if change.is_other_data and self.options.out and not self.options.confirm(change):
            raise _refusal(self.options.dataset, change)
        return reading, change, repairs

    def _examine(self, dataset: Dataset, found: Sequence[Problem], previous: Dataset | None) -> _Examined:
        """Find duplicates and problems, divide the data set into parts, and repair it if that is asked for.

        Args:
            dataset: What to examine.
            found: The problems that reading found.
            previous: The snapshot whose test images are the test part.
        """
        duplicates, fixed_scene = find_duplicates(dataset, self._fingerprints)
        dataset, division = divide(dataset, duplicates, previous, by_hash=self.options.by_hash)
        problems, repairs = list(found), list[Repair]()
        if self.options.repair:
            dataset, repairs = repair(dataset, duplicates, problems)
            problems = [problem for problem in problems if problem.kind not in REPAIRED_BY_READING]
            duplicates, fixed_scene = find_duplicates(dataset, self._fingerprints)
        problems += audit(dataset, duplicates, fixed_scene, self.options.labels)
        return _Examined(dataset, division, duplicates, problems, repairs)

    def _write(self, report: Report, snapshot: Snapshot, previous: Dataset | None) -> Report:
        """Write the snapshot, unless it is the previous one."""
        options = self.options
        if previous and self._is_in_place(options.previous) and is_unchanged(snapshot, previous):
            # Written again, it would get another id, and count as new data.
            return replace(
                report, snapshot=previous.snapshot_id, written_to=options.previous, is_unchanged=True
            )
        return replace(report, snapshot=snapshot.id, written_to=write(snapshot, options.out))

    def _is_in_place(self, previous: str | None) -> bool:
        """Return whether a snapshot is where this import puts its own."""
        folder = folder_of(self.options.out, self.options.dataset)
        return previous is not None and Path(previous).parent == Path(folder)

    def _upload(self, dataset: Dataset, snapshot: Snapshot) -> dict[str, str]:
        files = local_files(snapshot)
        self.images_to_upload = len(files)
        with _bar("uploading", len(files)) as bar:

            def count() -> None:
                self.uploaded_images += 1
                bar.update()

            return upload(dataset, files, self.options.out, count)


def _refusal(name: str, change: ClassChange) -> ImportRefusedError:
    """Return the error for a source of other classes: what is on both sides, and the ways on."""
    lines = [
        f"not imported: this source shows other classes than the data set {name}",
        *wrapped(f"This source: {shown_names(change.now)}", width=_ERROR_WIDTH),
        *wrapped(f"The data set: {shown_names(change.before)}", width=_ERROR_WIDTH),
    ]
    for label, known in change.likely_typos.items():
        lines += wrapped(f"{label!r} is probably {known!r}: --repair renames it", width=_ERROR_WIDTH)
    lines.append(f"To extend the data set {name} with these classes: --add-classes")
    return ImportRefusedError(
        "\n".join(lines), hint="To import this source as a data set of its own: --dataset NEWNAME"
    )


def _not_in_source(previous: Dataset | None, dataset: Dataset) -> int:
    """Return how many images of the previous snapshot the new data set lacks."""
    if previous is None:
        return 0
    present = {sample.sha256 for sample in dataset.samples}
    return len({sample.sha256 for sample in previous.samples} - present)


def _bar(description: str, total: int) -> tqdm[NoReturn]:
    return tqdm(total=total, unit="image", desc=description, disable=not sys.stderr.isatty(), leave=False)
