"""The options of every evaluation by hand."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from contract.snapshots import Part
from training.job import by_hand

PARTS = get_args(Part)
ESCAPE_RATE, OVERKILL_RATE = 0.02, 0.01


@dataclass(frozen=True)
class Rates:
    """What the operating points are for.

    Attributes:
        escape: The share of the images with a defect that may pass.
        overkill: The share of the good images that may fail.
    """

    escape: float = ESCAPE_RATE
    overkill: float = OVERKILL_RATE


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every evaluation: the part of the data set, the rates, and the output."""
    parser.add_argument(
        "--dataset",
        type=by_hand.given,
        required=True,
        help="labelled images: folder, zip, snapshot or s3:// prefix",
    )
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data set (default test)")
    parser.add_argument(
        "--escape-rate",
        type=_share,
        default=ESCAPE_RATE,
        metavar="SHARE",
        help="share of the images with a defect of a class that may pass (default 0.02)",
    )
    parser.add_argument(
        "--overkill-rate",
        type=_share,
        default=OVERKILL_RATE,
        metavar="SHARE",
        help="share of the good images that an anomaly model may fail (default 0.01)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    parser.add_argument(
        "--out", type=by_hand.given_path, metavar="FILE", help="write everything that was measured, as JSON"
    )
    parser.add_argument(
        "--html", type=by_hand.given_path, metavar="FILE", help="write an HTML page with figures and images"
    )


def files(options: argparse.Namespace) -> dict[str, Path]:
    """Return the files that the options ask for, by their kind."""
    targets = {kind: getattr(options, kind, None) for kind in ("out", "html", "rules")}
    names = {"out": "full"}
    return {names.get(kind, kind): path for kind, path in targets.items() if path is not None}


def rates(options: argparse.Namespace) -> Rates:
    """Return what the operating points are for."""
    return Rates(options.escape_rate, options.overkill_rate)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0 and below 1")
    return value
