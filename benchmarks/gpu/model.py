"""Writes the model that is measured: `python -m benchmarks.gpu.model --out dfine.tar.gz [--size 640]`. Needs torch.

D-FINE-small with random weights: an inference takes as long as with trained ones.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from training.detectors.registry import build
from training.learning.export import export
from training.model.artefact import MODEL, ModelCard, file_sha256, pack

FAMILY, SIZE = "dfine_small", 640
_LABELS = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")


def write(target: Path, family: str = FAMILY, size: int = SIZE) -> Path:
    """Write the model.tar.gz, and return its path."""
    torch.manual_seed(0)
    network = build(family, len(_LABELS), size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(network, folder)
        ModelCard(
            name=f"{family}-{size}",
            family=family,
            labels=_LABELS,
            input_size=size,
            normalisation=network.normalisation,
            postprocess=network.postprocess,
            onnx_sha256=file_sha256(folder / MODEL),
        ).write(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        return pack(folder, target)


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.model", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", default=FAMILY)
    parser.add_argument("--size", type=int, default=SIZE)
    options = parser.parse_args()
    write(options.out, options.family, options.size)


if __name__ == "__main__":
    main()
