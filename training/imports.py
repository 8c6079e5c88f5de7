"""Read labelled images in any format, check them, and write an immutable snapshot: `loupe import PATH`.

PATH is a folder, a zip, a single annotation file, or an s3:// prefix. The format is detected. Nothing is written
before everything was read. Images that a snapshot in S3 needs are written first, and the snapshot last.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.keys import DATASET_NAME_RULE, DEFAULT_DATASET, is_dataset_name
from training.job import by_hand
from training.job.stopping import Stopped, finishing

if TYPE_CHECKING:
    from training.datasets.importing import Import
    from training.datasets.report import Report
    from training.datasets.snapshots.classes import ClassChange

DEFAULT_OUT = "./loupe-data"
_AGAIN = "Run the same command again: images that are uploaded already are skipped."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return the exit status: 1 if the data set has an error or cannot be read."""
    parser = options_parser()
    options = parser.parse_args(arguments)
    if options.check and options.out:
        parser.error("--check writes nothing: leave out --out")
    return by_hand.run(lambda: _import(options), again=_AGAIN)


def options_parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = by_hand.Parser(
        prog="loupe import", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    text = by_hand.given
    parser.add_argument("path", type=text, help="folder, zip, annotation file, or s3://bucket/prefix")
    parser.add_argument("--format", type=text, help="use this format instead of detecting it")
    parser.add_argument("--check", action="store_true", help="report, and write nothing")
    parser.add_argument("--repair", action="store_true", help="repair what needs no decision, and list it")
    parser.add_argument("--labels", help="labels that are allowed, separated by commas")
    parser.add_argument(
        "--dataset", metavar="NAME", type=_dataset_name, default=DEFAULT_DATASET, help="name of the data set"
    )
    parser.add_argument(
        "--previous", metavar="SNAPSHOT", help="the snapshot whose test images stay the test set"
    )
    parser.add_argument("--by-hash", action="store_true", help="divide by image hash, not as the source does")
    parser.add_argument("--add-classes", action="store_true", help="extend a data set that has other classes")
    parser.add_argument("--yes", action="store_true", help="answer yes to every question")
    parser.add_argument(
        "--out", type=text, help=f"folder or s3://bucket/prefix for the snapshot (default {DEFAULT_OUT})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    # What `loupe import` recommends after the import.
    parser.add_argument("--next", help=argparse.SUPPRESS)
    return parser


def _dataset_name(text: str) -> str:
    if not is_dataset_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name for a data set: use {DATASET_NAME_RULE}")
    return text


# The libraries take a second to import. Until a function needs them, a signal already ends in words.


def _import(options: argparse.Namespace) -> int:
    from training.datasets.importing import Import, ImportOptions

    work = Import(
        ImportOptions(
            path=options.path,
            dataset=options.dataset,
            out="" if options.check else options.out or DEFAULT_OUT,
            format=options.format,
            repair=options.repair,
            labels=[label.strip() for label in options.labels.split(",")] if options.labels else None,
            previous=options.previous,
            by_hash=options.by_hash,
            confirm=lambda change: _confirm(options, change),
        )
    )
    try:
        report = work.run()
    except Stopped as stop:
        _describe(stop, work)
        raise
    with finishing():
        _show(report, options)
    return 0


def _confirm(options: argparse.Namespace, change: ClassChange) -> bool:
    """Return whether other classes are to be added to the data set; without a terminal nobody is asked."""
    from training.datasets.report import shown_names, wrapped

    if options.add_classes or options.yes:
        return True
    if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    known = wrapped(f"The data set {options.dataset} has other classes: {shown_names(change.before)}.")
    question = wrapped(f"Add the classes {shown_names(change.added)} to it? [y/N]")
    sys.stderr.write("\n".join([*known, *question]) + " ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _describe(stop: Stopped, work: Import) -> None:
    """Say how far the import got."""
    if work.images_to_upload:
        stop.done = f"after {work.uploaded_images} of {work.images_to_upload} images were uploaded"
        stop.outcome = "no snapshot was written"


def _show(report: Report, options: argparse.Namespace) -> None:
    """Print the report, and what to do next.

    Raises:
        ImportRefusedError: The source has errors.
    """
    from training.datasets.importing import ImportRefusedError
    from training.datasets.problems import KINDS

    sys.stdout.write(json.dumps(report.document()) + "\n" if options.json else report.text())
    if errors := report.errors:
        rest = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise ImportRefusedError(
            f"not imported: {errors[0].error()}{rest}", hint=KINDS[errors[0].kind].advice
        )
    if options.json:
        return
    if report.written_to:
        sys.stdout.write(f"next: {options.next or f'loupe train --dataset {report.written_to}'}\n")
    elif options.check:
        sys.stdout.write("\nnothing was written; without --check it is imported\n")


if __name__ == "__main__":
    raise SystemExit(main())
