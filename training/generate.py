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


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the images that the options ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m training.generate", description="Draw images from a seed."
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    surfaces = kinds.add_parser("surfaces", help="labelled steel surfaces with defects")
    surfaces.add_argument("--out", type=Path, required=True, help="folder to write to")
    surfaces.add_argument("--count", type=int, required=True, help="number of images")
    surfaces.add_argument("--seed", type=int, required=True, help="the same seed draws the same images")
    surfaces.add_argument("--size", type=int, default=200, help="edge of an image in pixels (default 200)")
    surfaces.add_argument(
        "--defect-size", type=int, help="edge of the square that contains each defect, in pixels"
    )
    demo = kinds.add_parser("samples", help="the images of the demo")
    demo.add_argument("--out", type=Path, default=Path("samples"), help="folder (default samples)")
    options = parser.parse_args(arguments)
    if options.kind == "samples":
        samples.write(options.out)
        return
    if not synthetic.are_valid_sizes(options.size, options.defect_size):
        surfaces.error(
            f"--size and --defect-size must be at least {synthetic.SMALLEST}, and --defect-size at most --size"
        )
    synthetic.generate(
        options.out, options.count, options.seed, options.size, defect_size=options.defect_size
    )


if __name__ == "__main__":
    main()
