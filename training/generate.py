"""The program `generate`: draws images from a seed, so that everything can be tried without real data.

    python -m training.generate surfaces --out DIR --count 300 --seed 7 [--size 200] [--defect-size N]
    python -m training.generate samples --out samples

`surfaces` writes labelled steel surfaces, `DIR/images/*.jpg` and `DIR/annotations.json` (COCO). `samples` writes
the images of the demo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.datasets.generated import samples, synthetic
from training.job import by_hand


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the images that the options ask for. Returns the exit status."""
    parser = by_hand.Parser(prog="python -m training.generate", description="Draw images from a seed.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    surfaces = kinds.add_parser("surfaces", help="labelled steel surfaces with defects")
    surfaces.add_argument("--out", type=by_hand.given_path, required=True, help="folder to write to")
    surfaces.add_argument("--count", type=by_hand.whole_number(1), required=True, help="number of images")
    surfaces.add_argument("--seed", type=int, required=True, help="the same seed draws the same images")
    surfaces.add_argument(
        "--size", type=by_hand.whole_number(1), default=200, help="edge of an image in pixels (default 200)"
    )
    surfaces.add_argument(
        "--defect-size",
        type=by_hand.whole_number(1),
        help="edge of the square that contains each defect, in pixels",
    )
    demo = kinds.add_parser("samples", help="the images of the demo")
    demo.add_argument("--out", type=Path, default=Path("samples"), help="folder (default samples)")
    options = parser.parse_args(arguments)
    if options.kind == "surfaces" and not synthetic.are_valid_sizes(options.size, options.defect_size):
        surfaces.error(
            f"--size and --defect-size must be at least {synthetic.SMALLEST}, and --defect-size at most --size"
        )
    return by_hand.run(lambda: _draw(options), outcome="the images so far are there")


def _draw(options: argparse.Namespace) -> int:
    if options.kind == "samples":
        samples.write(options.out)
    else:
        synthetic.generate(
            options.out, options.count, options.seed, options.size, defect_size=options.defect_size
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
