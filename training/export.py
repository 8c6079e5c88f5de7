"""Write a data set for other tools: `loupe export --format jumpstart SNAPSHOT OUT`.

SNAPSHOT is a snapshot that `loupe import` wrote, its folder, or an s3:// URI of these. The images, boxes, classes and
parts are those of the snapshot. OUT is a new folder; it is written whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.job import by_hand
from training.job.stopping import finishing

if TYPE_CHECKING:
    from training.datasets.dataset import Dataset

FORMATS = ("jumpstart", "coco", "recordio", "yolo", "voc")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return the exit status: 1 if the snapshot cannot be read, or OUT cannot be written."""
    options = options_parser().parse_args(arguments)
    return by_hand.run(lambda: _export(options))


def options_parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = by_hand.Parser(
        prog="loupe export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", required=True, choices=FORMATS, help="what the other tool reads")
    parser.add_argument(
        "snapshot", metavar="SNAPSHOT", type=by_hand.given, help="snapshot, its folder, or s3:// URI"
    )
    parser.add_argument("out", metavar="OUT", type=by_hand.given_path, help="new folder for the export")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


# The libraries take a second to import. Until a function needs them, a signal already ends in words.


def _export(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from training.datasets import open_dataset
    from training.datasets.export import export, for_detectors
    from training.datasets.snapshots.finding import find_snapshot

    source = find_snapshot(options.snapshot)
    snapshot = open_dataset(source, "snapshot")
    dataset = for_detectors(snapshot)
    bar = tqdm(
        total=len(dataset.samples),
        unit="image",
        desc="exporting",
        disable=not sys.stderr.isatty(),
        leave=False,
    )
    with bar:
        files = export(dataset, options.format, options.out, bar.update)
    with finishing():
        _show(_document(options, source, snapshot, dataset, files), as_json=options.json)
    return 0


def _document(
    options: argparse.Namespace, source: str, snapshot: Dataset, dataset: Dataset, files: Sequence[Path]
) -> dict[str, Any]:
    """Return what was exported, as JSON values."""
    from contract.snapshots import PARTS

    return {
        "format": options.format,
        "source": source,
        "snapshot": snapshot.snapshot_id,
        "out": str(options.out),
        "files": [str(file) for file in files],
        "images": len(dataset.samples),
        "objects": sum(len(sample.objects) for sample in dataset.samples),
        "labels": list(dataset.labels),
        "parts": {part: len(dataset.part(part).samples) for part in PARTS},
        "left_out": len(snapshot.samples) - len(dataset.samples),
    }


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    from contract.text import counted, plain

    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
        return
    parts = ", ".join(f"{number} {part}" for part, number in document["parts"].items())
    images = counted(document["images"], "image")
    boxes = counted(document["objects"], "box", "boxes")
    classes = counted(len(document["labels"]), "class", "classes")
    sys.stdout.write(f"snapshot: {plain(document['source'])}\n")
    sys.stdout.write(f"exported: {images} ({parts}), {boxes}, {classes}, format {document['format']}\n")
    if left_out := document["left_out"]:
        what = "image that shows" if left_out == 1 else "images that show"
        sys.stdout.write(
            f"left out: {left_out} {what} a defect without a box: {document['format']} has boxes only\n"
        )
    for file in document["files"]:
        sys.stdout.write(f"  {plain(file)}\n")


if __name__ == "__main__":
    raise SystemExit(main())
