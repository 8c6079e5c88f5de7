"""Read labelled images in any format, check them, and write an immutable snapshot: `loupe import PATH`.

PATH is a folder, a zip, a single annotation file, or an s3:// prefix. The format is detected. Nothing is written
before everything was read. Images that a snapshot in S3 needs are written first, and the snapshot last.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from contract.keys import DATASET_NAME_RULE, DEFAULT_DATASET, is_dataset_name
from contract.text import plain, plain_lines
from training.datasets import FORMATS, Dataset, open_dataset, read
from training.datasets.checks.audit import audit
from training.datasets.checks.duplicates import Duplicate, Fingerprints, find_duplicates
from training.datasets.checks.repair import REPAIRED_BY_READING, Repair, repair
from training.datasets.export import EXPORTS, export
from training.datasets.problems import KINDS, Problem
from training.datasets.reading import Reading
from training.datasets.report import Report, shown_names
from training.datasets.snapshots.classes import ClassChange, compare_classes, rename_labels, without_unused
from training.datasets.snapshots.snapshot import Snapshot, is_unchanged, take
from training.datasets.snapshots.split import with_frozen_test
from training.datasets.snapshots.store import folder_of, local_images, upload_images, write
from training.job.errors import TrainingError

DEFAULT_OUT = "./loupe-data"


class ImportRefusedError(TrainingError):
    """Nothing was imported: the source has errors, or it belongs to another data set.

    Attributes:
        hint: What to do next; one line for each way.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return the exit status: 1 if the data set has an error or cannot be read."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.export is None) != (options.to is None):
        parser.error("--export and --to must be given together")
    if options.check and (options.export or options.out):
        parser.error("--check writes nothing: leave out --out and --export")
    program = _Import(options)
    try:
        _show(program.run(), options)
    except TrainingError as error:
        _print_error(str(error), getattr(error, "hint", ""))
        return 1
    except KeyboardInterrupt:
        _print_error(*program.interrupted())
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loupe import", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", help="folder, zip, annotation file, or s3://bucket/prefix")
    parser.add_argument("--format", choices=FORMATS, help="use this format instead of detecting it")
    parser.add_argument("--check", action="store_true", help="report, and write nothing")
    parser.add_argument("--repair", action="store_true", help="repair what needs no decision, and list it")
    parser.add_argument("--labels", help="labels that are allowed, separated by commas")
    parser.add_argument(
        "--dataset", metavar="NAME", type=_dataset_name, default=DEFAULT_DATASET, help="name of the data set"
    )
    parser.add_argument(
        "--previous", metavar="SNAPSHOT", help="the snapshot whose test images stay the test set"
    )
    parser.add_argument("--add-classes", action="store_true", help="extend a data set that has other classes")
    parser.add_argument("--yes", action="store_true", help="go on without a question")
    parser.add_argument(
        "--out", help=f"folder or s3://bucket/prefix for the snapshot (default {DEFAULT_OUT})"
    )
    parser.add_argument("--export", choices=EXPORTS, help="write the data set for other tools instead")
    parser.add_argument("--to", type=Path, help="folder for the export")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    # The command that `loupe import` recommends after the import.
    parser.add_argument("--next", help=argparse.SUPPRESS)
    return parser


def _dataset_name(text: str) -> str:
    if not is_dataset_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name for a data set: use {DATASET_NAME_RULE}")
    return text


def _show(report: Report, options: argparse.Namespace) -> None:
    """Print the report, and what to do next.

    Raises:
        ImportRefusedError: The source has errors.
    """
    sys.stdout.write(json.dumps(report.document()) + "\n" if options.json else report.text())
    if errors := report.errors:
        rest = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise ImportRefusedError(f"not imported: {errors[0].error()}{rest}", KINDS[errors[0].kind].advice)
    if not options.json and report.written_to:
        # A path may contain spaces; a URI does not.
        sys.stdout.write(f"next: {options.next or f'loupe train --dataset {report.written_to}'}\n")
    elif not options.json and options.check:
        sys.stdout.write("\nnothing was written; without --check it is imported\n")


def _print_error(message: str, hint: str = "") -> None:
    lines = [f"loupe: {plain(message)}", *(f"       {line}" for line in plain_lines(hint).splitlines())]
    sys.stderr.write("\n".join(lines) + "\n")


@dataclass
class _Import:
    """One import.

    Attributes:
        options: The command line.
        images_to_upload: 0 before the upload starts.
        uploaded_images: How many of them are in S3.
    """

    options: argparse.Namespace
    images_to_upload: int = 0
    uploaded_images: int = 0
    _fingerprints: Fingerprints = field(default_factory=Fingerprints)

    def run(self) -> Report:
        """Read, check, repair, and write what the options ask for.

        Raises:
            TrainingError: The data set cannot be read or written, or it is refused.
        """
        options = self.options
        previous = open_dataset(options.previous, "snapshot") if options.previous else None
        reading = read(options.path, options.format, examine=self._fingerprints.add, progress=True)
        reading, change, renamed = self._compare(reading, previous)
        dataset, frozen = with_frozen_test(reading.dataset, previous)
        dataset, unused = without_unused(dataset)
        for sample in frozen.taken_over:
            self._fingerprints.add(sample.sha256, dataset.read(sample))
        duplicates, fixed_scene = find_duplicates(dataset, self._fingerprints)
        problems, repairs = list(reading.problems), list[Repair]()
        if options.repair:
            dataset, repairs = repair(dataset, duplicates, problems)
            problems = [problem for problem in problems if problem.kind not in REPAIRED_BY_READING]
            duplicates, fixed_scene = find_duplicates(dataset, self._fingerprints)
        known_labels = [label.strip() for label in options.labels.split(",")] if options.labels else None
        problems += [
            Problem("unused-class", options.path, f"class {label!r}", "has no object") for label in unused
        ]
        problems += audit(dataset, duplicates, fixed_scene, known_labels)
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
        return self._write(report, snapshot, dataset, duplicates, previous)

    def _compare(
        self, reading: Reading, previous: Dataset | None
    ) -> tuple[Reading, ClassChange, list[Repair]]:
        """Compare the classes with those of the previous snapshot; with --repair, use its spelling.

        Raises:
            ImportRefusedError: The source has other classes, and nobody wants to add them.
        """
        if previous is None:
            return reading, ClassChange(), []
        change, repairs = compare_classes(reading.dataset, previous), list[Repair]()
        if self.options.repair and change.likely_typos:
            dataset, repairs = rename_labels(reading.dataset, change.likely_typos)
            reading, change = replace(reading, dataset=dataset), compare_classes(dataset, previous)
        writes_snapshot = self.options.out or not (self.options.check or self.options.export)
        if change.is_other_data and writes_snapshot and not self.options.add_classes:
            self._ask(change)
        return reading, change, repairs

    def _ask(self, change: ClassChange) -> None:
        """Ask whether other classes are to be added.

        Raises:
            ImportRefusedError: The answer is not yes, or there is nobody to ask.
        """
        name = self.options.dataset
        if self.options.yes:
            return
        if not self.options.json and sys.stdin.isatty() and sys.stderr.isatty():
            sys.stderr.write(
                f"The data set {name} has other classes: {shown_names(change.before)}.\n"
                f"Add the classes {shown_names(change.added)} to it? [y/N] "
            )
            sys.stderr.flush()
            if sys.stdin.readline().strip().lower() in ("y", "yes"):
                return
        hints = [
            f"It has: {shown_names(change.before)}.",
            "To import this as a data set of its own: --dataset NEWNAME",
            f"To extend the data set {name} with these classes: --add-classes",
        ]
        hints += [
            f"{label!r} is probably {known!r}: --repair renames it."
            for label, known in change.likely_typos.items()
        ]
        raise ImportRefusedError(
            f"not imported: the data set {name} has other classes than this source, which shows"
            f" {shown_names(change.now)}",
            "\n".join(map(plain, hints)),
        )

    def _write(
        self,
        report: Report,
        snapshot: Snapshot,
        dataset: Dataset,
        duplicates: Sequence[Duplicate],
        previous: Dataset | None,
    ) -> Report:
        """Write an export or the snapshot. For a snapshot in S3, local images are uploaded first."""
        options = self.options
        if options.check or report.errors:
            return report
        if options.export:
            with _bar("exporting", len(report.dataset.samples)) as bar:
                files = export(report.dataset, options.export, options.to, bar.update)
            report = replace(report, exported=[str(path) for path in files])
            if not options.out:
                return report
        out = options.out or DEFAULT_OUT
        if out.startswith("s3://"):
            uris = self._upload(dataset, snapshot, out)
            # With the URIs of the uploaded images, it is another document with another id.
            snapshot = take(
                dataset, duplicates, format=report.format, name=options.dataset, previous=previous, uris=uris
            )
        if previous and is_unchanged(snapshot, previous):
            # Written again, it would get another id, and count as new data.
            is_in_place = Path(options.previous).parent == Path(folder_of(out, options.dataset))
            if is_in_place:
                there = {"snapshot": previous.snapshot_id, "written_to": options.previous}
                return replace(report, **there, is_unchanged=True)
        return replace(report, snapshot=snapshot.id, written_to=write(snapshot, out))

    def _upload(self, dataset: Dataset, snapshot: Snapshot, out: str) -> dict[str, str]:
        images = local_images(snapshot)
        self.images_to_upload = len(images)
        with _bar("uploading", len(images)) as bar:

            def count() -> None:
                self.uploaded_images += 1
                bar.update()

            return upload_images(dataset, images, out, count)

    def interrupted(self) -> tuple[str, str]:
        """Return what is done and what is not, after Ctrl+C, and what to do next."""
        if self.images_to_upload:
            done = (
                f"uploaded {self.uploaded_images} of {self.images_to_upload} images; no snapshot was written"
            )
            return (
                f"cancelled: {done}",
                "The same command goes on: it uploads only the images that are not there yet.",
            )
        if self.options.export:
            return "cancelled: the export is not complete", f"Delete {self.options.to} before the next try."
        return "cancelled: nothing was written", ""


def _not_in_source(previous: Dataset | None, dataset: Dataset) -> int:
    """Return how many images of the previous snapshot the new data set lacks."""
    if previous is None:
        return 0
    present = {sample.sha256 for sample in dataset.samples}
    return len({sample.sha256 for sample in previous.samples} - present)


def _bar(description: str, total: int) -> tqdm[NoReturn]:
    return tqdm(total=total, unit="image", desc=description, disable=not sys.stderr.isatty(), leave=False)


if __name__ == "__main__":
    raise SystemExit(main())
