"""Add, change or (`--size 0`) remove the tiles of a model artefact.

python -m training.retile --model model.tar.gz --size 640 --overlap 0.2 --out tiled.tar.gz
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from contract.text import plain
from training.job import by_hand
from training.job.files import check_writable
from training.model.artefact import ModelCard, pack, unpack
from training.model.tiling import Tiles


def retile(model: Path, tiles: Tiles | None, out: Path) -> ModelCard:
    """Write an artefact with other tiles.

    Args:
        model: The artefact to read.
        tiles: The tiles to set; None removes them.
        out: The artefact to write.

    Returns:
        The card of the model, which has a new version.

    Raises:
        ArtefactError: `model` is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        card = replace(unpack(model, Path(folder)), tiles=tiles)
        card.write(Path(folder))
        pack(Path(folder), out)
    return card


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the tiles of an artefact. Returns the exit status."""
    parser = by_hand.Parser(prog="python -m training.retile", description=__doc__)
    parser.add_argument("--model", type=by_hand.given_path, required=True, help="model.tar.gz")
    parser.add_argument("--out", type=by_hand.given_path, required=True, help="the model.tar.gz to write")
    parser.add_argument(
        "--size",
        type=by_hand.whole_number(0),
        required=True,
        help="edge of a tile in pixels of the picture; 0 removes the tiles",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.2,
        help="of neighbouring tiles, as a share of the edge, 0..0.5 (default 0.2)",
    )
    parser.add_argument("--max-tiles", type=int, default=256, help="most tiles of one picture (default 256)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    return by_hand.run(lambda: _retile(options))


def _retile(options: argparse.Namespace) -> int:
    check_writable(options.out)
    tiles = Tiles(options.size, options.overlap, options.max_tiles) if options.size else None
    card = retile(options.model, tiles, options.out)
    document = {"path": str(options.out), "name": card.name, "version": card.version}
    settings = tiles and asdict(tiles)
    if options.json:
        sys.stdout.write(json.dumps(document | {"tiles": settings}) + "\n")
    else:
        sys.stdout.write(plain(f"{options.out}: {card.name} {card.version}, tiles {settings}") + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
