"""Add, change or (`--size 0`) remove the tiles of a model artefact, or (`--any-scale`) its doubt of other scales.

python -m training.retile --model model.tar.gz --out tiled.tar.gz
python -m training.retile --model model.tar.gz --size 640 --overlap 0.2 --out tiled.tar.gz
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from contract.text import plain
from training.job import by_hand
from training.job.files import check_writable
from training.model.artefact import ANOMALY_CARD, ModelCard, pack, read_anomaly_card, unpack
from training.model.scale import ACCEPT, REVIEW
from training.model.tiling import Tiles, TilesError


def retile(
    model: Path, tiles_of: Callable[[ModelCard], Tiles | None], out: Path, outside: str = REVIEW
) -> ModelCard:
    """Write an artefact with other tiles.

    Args:
        model: The artefact to read.
        tiles_of: Returns the tiles to set; None removes them.
        out: The artefact to write.
        outside: What becomes of pictures at a scale far from the learned one (training.model.scale).

    Returns:
        The card of the model, which has a new version.

    Raises:
        ArtefactError: `model` is damaged.
        TilesError: The tiles are not usable, or the model is an anomaly model, which sees the whole picture.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        card = unpack(model, folder)
        tiles = tiles_of(card)
        if tiles is not None and card.anomaly is not None:
            raise TilesError(
                f"{model} is an anomaly model, which always sees the whole picture",
                hint="--size 0 --any-scale lets it judge pictures of every size.",
            )
        if card.anomaly_model is not None:
            beside = _with_scale(read_anomaly_card(folder), outside)
            beside.write(folder, ANOMALY_CARD)
            card = replace(card, anomaly_model={"name": beside.name, "version": beside.version})
        card = replace(_with_scale(card, outside), tiles=tiles)
        card.write(folder)
        pack(folder, out)
    return card


def _with_scale(card: ModelCard, outside: str) -> ModelCard:
    return replace(card, scale=card.scale and replace(card.scale, outside=outside))


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the tiles of an artefact. Returns the exit status."""
    parser = by_hand.Parser(prog="python -m training.retile", description=__doc__)
    parser.add_argument("--model", type=by_hand.given_path, required=True, help="model.tar.gz")
    parser.add_argument("--out", type=by_hand.given_path, required=True, help="the model.tar.gz to write")
    parser.add_argument(
        "--size",
        type=by_hand.whole_number(0),
        help="edge of a tile in pixels of the picture (default: as large as the model has learned); 0: no tiles",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.2,
        help="of neighbouring tiles, as a share of the edge, 0..0.5 (default 0.2)",
    )
    parser.add_argument("--max-tiles", type=int, default=256, help="most tiles of one picture (default 256)")
    parser.add_argument(
        "--any-scale", action="store_true", help="let pictures pass at a scale that the model has not learned"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    return by_hand.run(lambda: _retile(options))


def _retile(options: argparse.Namespace) -> int:
    check_writable(options.out)

    def tiles_of(card: ModelCard) -> Tiles | None:
        size = options.size
        if size is None:
            if card.scale is None:
                raise TilesError(f"{options.model} does not know its scale: set --size")
            size = card.scale.tile(card.input_size)
        return Tiles(size, options.overlap, options.max_tiles) if size else None

    card = retile(options.model, tiles_of, options.out, ACCEPT if options.any_scale else REVIEW)
    document = {"path": str(options.out), "name": card.name, "version": card.version}
    settings = card.tiles and asdict(card.tiles)
    if options.json:
        sys.stdout.write(json.dumps(document | {"tiles": settings}) + "\n")
    else:
        sys.stdout.write(plain(f"{options.out}: {card.name} {card.version}, tiles {settings}") + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
