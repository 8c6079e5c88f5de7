"""Read labelled images in any format, check them, and write an immutable snapshot: `loupe import PATH`.

PATH is a folder, a zip, a single annotation file, or an s3:// prefix. The format is detected. Nothing is written
before everything was read. Images that a snapshot in S3 needs are written first, and the snapshot last.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from training.datasets import FORMATS, Dataset, open_dataset, read
from training.datasets.checks.audit import audit
from training.datasets.checks.duplicates import Duplicate, Fingerprints, find_duplicates
from training.datasets.checks.repair import REPAIRED_BY_READING, Repair, repair
from training.datasets.dataset import Sample
from training.datasets.export import EXPORTS, export
from training.datasets.problems import Problem
from training.datasets.report import Report
from training.datasets.snapshots.snapshot import Snapshot, take
from training.datasets.snapshots.split import with_frozen_test
from training.datasets.snapshots.store import local_images, upload_images, write
from training.job.errors import TrainingError

DEFAULT_OUT = "./loupe-data"


class ImportRefusedError(TrainingError):
    """The data set has errors; nothing was written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return the exit status: 1 if the data set has an error or cannot be read."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.export is None) != (options.to is None):
        parser.error("--export and --to must be given together")
    if options.check and (options.export or options.out):
        parser.error("--check writes nothing: leave out --out and --export")
    try:
        report = _import(options)
        sys.stdout.write(json.dumps(report.document()) + "\n" if options.json else report.text())
        if errors := report.errors:
            rest = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
            raise ImportRefusedError(f"not imported: {errors[0].error()}{rest}")
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
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
        "--previous", metavar="SNAPSHOT", help="the snapshot whose test images stay the test set"
    )
    parser.add_argument(
        "--out", help=f"folder or s3://bucket/prefix for the snapshot (default {DEFAULT_OUT})"
    )
    parser.add_argument("--export", choices=EXPORTS, help="write the data set for other tools instead")
    parser.add_argument("--to", type=Path, help="folder for the export")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def _import(options: argparse.Namespace) -> Report:
    """Read, check, repair, and write what the options ask for.

    Raises:
        TrainingError: The data set cannot be read or written.
    """
    fingerprints = Fingerprints()
    previous = open_dataset(options.previous, "snapshot") if options.previous else None
    reading = read(options.path, options.format, examine=fingerprints.add, progress=True)
    dataset, taken_over = with_frozen_test(reading.dataset, previous)
    for sample in taken_over:
        fingerprints.add(sample.sha256, dataset.read(sample))
    duplicates, fixed_scene = find_duplicates(dataset, fingerprints)
    problems, repairs = list(reading.problems), list[Repair]()
    if options.repair:
        dataset, repairs = repair(dataset, duplicates, problems)
        problems = [problem for problem in problems if problem.kind not in REPAIRED_BY_READING]
        duplicates, fixed_scene = find_duplicates(dataset, fingerprints)
    known_labels = [label.strip() for label in options.labels.split(",")] if options.labels else None
    problems += _missing_test_images(taken_over)
    problems += audit(dataset, duplicates, fixed_scene, known_labels)
    snapshot = take(dataset, duplicates, format=reading.format, previous=previous)
    kept = replace(dataset, samples=snapshot.samples)
    report = Report(reading.format, len(reading.dataset.samples), kept, problems, repairs, snapshot.left_out)
    if options.check or report.errors:
        return report
    if options.export:
        report = _export(report, options.export, options.to)
        if not options.out:
            return report
    return _write_snapshot(report, snapshot, dataset, duplicates, previous, options.out or DEFAULT_OUT)


def _missing_test_images(taken_over: Sequence[Sample]) -> list[Problem]:
    message = "is in the frozen test set, but not in this source"
    return [Problem("missing-test-image", sample.name, "", message) for sample in taken_over]


def _export(report: Report, kind: str, folder: Path) -> Report:
    with _bar("exporting", len(report.dataset.samples)) as bar:
        files = export(report.dataset, kind, folder, bar.update)
    return replace(report, exported=[str(path) for path in files])


def _write_snapshot(
    report: Report,
    snapshot: Snapshot,
    dataset: Dataset,
    duplicates: Sequence[Duplicate],
    previous: Dataset | None,
    out: str,
) -> Report:
    """Write the snapshot, and if it goes to S3, first the images that are on this machine only."""
    if out.startswith("s3://"):
        images = local_images(snapshot)
        with _bar("uploading", len(images)) as bar:
            uris = upload_images(dataset, images, out, bar.update)
        # With the URIs of the uploaded images, it is another document with another id.
        snapshot = take(dataset, duplicates, format=report.format, previous=previous, uris=uris)
    return replace(report, snapshot=snapshot.id, written_to=write(snapshot, out))


def _bar(description: str, total: int) -> tqdm[NoReturn]:
    return tqdm(total=total, unit="image", desc=description, disable=not sys.stderr.isatty(), leave=False)


if __name__ == "__main__":
    raise SystemExit(main())
