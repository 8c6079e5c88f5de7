"""Labelled images in, from any format, audited, as an immutable snapshot: `loupe import PATH`.

PATH is a folder, a zip, a single annotation file, or an s3:// prefix. The format is found by itself. Nothing
is written before everything was read: images go first, where they are needed in S3, and the snapshot last.
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
from training.datasets.audit import audit
from training.datasets.dataset import Sample
from training.datasets.duplicates import Fingerprints, find
from training.datasets.formats.export import EXPORTS, export
from training.datasets.problems import Problem
from training.datasets.publish import local_images, upload_images, write
from training.datasets.repair import Repair, repair
from training.datasets.report import Report
from training.datasets.snapshot import Snapshot, take, with_frozen_test
from training.job.errors import TrainingError

DEFAULT_OUT = "./loupe-data"
_REPAIRED = ("box-outside", "zero-area-box")  # by clipping, which reading does anyway


class ImportRefusedError(TrainingError):
    """The data set has errors; nothing was written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. Returns the exit status: 1 if there is an error in the data set."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.export is None) != (options.to is None):
        parser.error("--export and --to go together")
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
    parser.add_argument("--format", choices=FORMATS, help="do not guess")
    parser.add_argument("--check", action="store_true", help="report, and write nothing")
    parser.add_argument("--repair", action="store_true", help="repair what needs no judgement, and list it")
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
    fingerprints = Fingerprints()
    previous = open_dataset(options.previous, "snapshot") if options.previous else None
    reading = read(options.path, options.format, examine=fingerprints.examine, progress=True)
    dataset, taken = with_frozen_test(reading.dataset, previous)
    for sample in taken:
        fingerprints.examine(sample.sha256, dataset.read(sample))
    duplicates, crowded = find(dataset, fingerprints)
    problems, repairs = list(reading.problems), list[Repair]()
    if options.repair:
        dataset, repairs = repair(dataset, duplicates, problems)
        problems = [problem for problem in problems if problem.kind not in _REPAIRED]
        duplicates, crowded = find(dataset, fingerprints)
    known = [label.strip() for label in options.labels.split(",")] if options.labels else None
    problems += _taken_over(taken)
    problems += audit(dataset, duplicates, crowded, known)
    snapshot = take(dataset, duplicates, format=reading.format, previous=previous)
    kept = replace(dataset, samples=snapshot.samples)
    report = Report(reading.format, len(reading.dataset.samples), kept, problems, repairs, snapshot.left_out)
    if options.check or report.errors:
        return report
    if options.export:
        with _bar("exporting", len(kept.samples)) as bar:
            files = export(kept, options.export, options.to, bar.update)
        report = replace(report, exported=[str(path) for path in files])
        if not options.out:
            return report
    out = options.out or DEFAULT_OUT
    if out.startswith("s3://"):
        uris = _upload(dataset, snapshot, out)
        snapshot = take(dataset, duplicates, format=reading.format, previous=previous, uris=uris)
    return replace(report, snapshot=snapshot.id, written_to=write(snapshot, out))


def _taken_over(taken: Sequence[Sample]) -> list[Problem]:
    message = "is in the frozen test set, but not in this source"
    return [Problem("missing-test-image", sample.name, "", message) for sample in taken]


def _upload(dataset: Dataset, snapshot: Snapshot, out: str) -> dict[str, str]:
    images = local_images(snapshot)
    with _bar("uploading", len(images)) as bar:
        return upload_images(dataset, images, out, bar.update)


def _bar(what: str, total: int) -> tqdm[NoReturn]:
    return tqdm(total=total, unit="image", desc=what, disable=not sys.stderr.isatty(), leave=False)


if __name__ == "__main__":
    raise SystemExit(main())
