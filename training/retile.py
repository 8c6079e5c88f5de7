"""Add, change or (`--size 0`) remove the tiles of a model artefact.

python -m training.retile --model model.tar.gz --size 640 --overlap 0.2 --out tiled.tar.gz
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from training.job.errors import TrainingError
from training.model.artefact import pack, unpack
from training.model.tiling import Tiles


def retile(model: Path, tiles: Tiles | None, out: Path) -> str:
    """Write an artefact with other tiles.

    Args:
        model: The artefact to read.
        tiles: The tiles to set; None removes them.
        out: The artefact to write.

    Returns:
        The model's name and its new version.

    Raises:
        ArtefactError: `model` is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        card = replace(unpack(model, Path(folder)), tiles=tiles)
        card.write(Path(folder))
        pack(Path(folder), out)
    return f"{card.name} {card.version}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the tiles of an artefact. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.retile", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.tar.gz")
    parser.add_argument("--out", type=Path, required=True, help="the model.tar.gz to write")
    parser.add_argument(
        "--size", type=int, required=True, help="edge of a tile in pixels of the picture; 0 removes the tiles"
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.2,
        help="of neighbouring tiles, as a share of the edge, 0..0.5 (default 0.2)",
    )
    parser.add_argument("--max-tiles", type=int, default=256, help="most tiles of one picture (default 256)")
    options = parser.parse_args(arguments)
    try:
        tiles = Tiles(options.size, options.overlap, options.max_tiles) if options.size else None
        name = retile(options.model, tiles, options.out)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"{options.out}: {name}, tiles {tiles and asdict(tiles)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
