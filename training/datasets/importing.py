"""One import: read, compare with the data set, repair, check, and write an export or a snapshot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from training.datasets.checks.audit import audit
from training.datasets.checks.duplicates import Duplicate, Fingerprints, find_duplicates
from training.datasets.checks.repair import REPAIRED_BY_READING, Repair, repair
from training.datasets.dataset import Dataset
from training.datasets.export import EXPORTS, export
from training.datasets.problems import Problem
from training.datasets.reading import Reading, open_dataset, read
from training.datasets.report import Report, shown_names, wrapped
from training.datasets.snapshots.classes import ClassChange, compare_classes, rename_labels, without_unused
from training.datasets.snapshots.snapshot import Snapshot, is_unchanged, take
from training.datasets.snapshots.split import with_frozen_test
from training.datasets.snapshots.store import folder_of, local_images, upload_images, write
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
        labels: The labels that are allowed; None for all.
        previous: The snapshot whose test images stay the test set.
        export: The format of an export.
        to: The folder of the export.
        confirm: Asked whether classes that the data set does not have are to be added to it.
    """

    path: str
    dataset: str
    out: str
    format: str | None = None
    repair: bool = False
    labels: Sequence[str] | None = None
    previous: str | None = None
    export: str | None = None
    to: Path | None = None
    confirm: Callable[[ClassChange], bool] = lambda change: False


@dataclass
class Import:
    """One import.

    Attributes:
        options: What to import, and where to.
        images_to_upload: 0 before the upload starts.
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
        if options.export and options.export not in EXPORTS:
            known = ", ".join(EXPORTS)
            raise ImportRefusedError(
                f"{options.export!r} is not a format for an export", hint=f"Use {known}."
            )
        previous = open_dataset(options.previous, "snapshot") if options.previous else None
        reading = read(options.path, options.format, examine=self._fingerprints.add, progress=True)
        reading, change, renamed = self._compare(reading, previous)
        dataset, frozen = with_frozen_test(reading.dataset, previous)
        dataset, unused = without_unused(dataset)
        for sample in frozen.taken_over:
            self._fingerprints.add(sample.sha256, dataset.read(sample))
        dataset, duplicates, problems, repairs = self._examine(dataset, reading.problems)
        problems += [
            Problem("unused-class", options.path, f"class {label!r}", "has no object") for label in unused
        ]
        snapshot = take(dataset, duplicates, format=reading.format, name=options.dataset, previous=previous)
        report = Report(
            reading.format,
            len(reading.dataset.samples),
            replace(dataset, samples=snapshot.samples),
            problems,
            [*renamed, *repairs],
            snapshot.left_out,
            name=options.dataset,
            change=change,
            frozen=frozen,
            not_in_source=_not_in_source(previous, dataset),
        )
        if not report.errors and options.export and options.to:
            report = self._export(report, options.export, options.to)
        if report.errors or not options.out:
            return report
        return self._write(report, snapshot, dataset, duplicates, previous)

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

    def _examine(
        self, dataset: Dataset, found: Sequence[Problem]
    ) -> tuple[Dataset, list[Duplicate], list[Problem], list[Repair]]:
        """Find duplicates and problems, and repair them if that is asked for.

        Args:
            dataset: What to examine.
            found: The problems that reading found.
        """
        duplicates, fixed_scene = find_duplicates(dataset, self._fingerprints)
        problems, repairs = list(found), list[Repair]()
        if self.options.repair:
            dataset, repairs = repair(dataset, duplicates, problems)
            problems = [problem for problem in problems if problem.kind not in REPAIRED_BY_READING]
            duplicates, fixed_scene = find_duplicates(dataset, self._fingerprints)
        problems += audit(dataset, duplicates, fixed_scene, self.options.labels)
        return dataset, list(duplicates), problems, repairs

    def _export(self, report: Report, format: str, folder: Path) -> Report:
        with _bar("exporting", len(report.dataset.samples)) as bar:
            files = export(report.dataset, format, folder, bar.update)
        return replace(report, exported=[str(path) for path in files])

    def _write(
        self,
        report: Report,
        snapshot: Snapshot,
        dataset: Dataset,
        duplicates: Sequence[Duplicate],
        previous: Dataset | None,
    ) -> Report:
        """Write the snapshot, and if it goes to S3, first the images that are on this machine only."""
        options = self.options
        if options.out.startswith("s3://"):
            uris = self._upload(dataset, snapshot)
            # With the URIs of the uploaded images, it is another document with another id.
            snapshot = take(
                dataset, duplicates, format=report.format, name=options.dataset, previous=previous, uris=uris
            )
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
        images = local_images(snapshot)
        self.images_to_upload = len(images)
        with _bar("uploading", len(images)) as bar:

            def count() -> None:
                self.uploaded_images += 1
                bar.update()

            return upload_images(dataset, images, self.options.out, count)


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
