"""Train the starter model: `python -m training.starter --out models/starter/model.tar.gz`.

Only seeds go in: the program generates images, trains on them, measures the model on images from another seed, and
packs the artefact with both results in its model.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.datasets import open_dataset
from training.datasets.generated.synthetic import generate
from training.evaluation.detection import evaluate
from training.job.container import Container, emit, run
from training.learning.run import train
from training.model.artefact import pack, read_card
from training.model.onnx_model import OnnxModel

# The sample images have a third seed: training.datasets.generated.samples.
TRAIN_SEED, TEST_SEED = 1, 2
_TEST_IMAGES = 200


def train_starter(root: Path, target: Path, images: int, epochs: int) -> None:
    """Generate images, train, measure and pack.

    Args:
        root: The container's root folder; a killed run continues there.
        target: The artefact to write.
        images: Number of generated images to divide into the parts.
        epochs: Epochs of the run.

    Raises:
        TrainingError: The run cannot continue.
    """
    generate(root / "input/data/train", images, TRAIN_SEED)
    generate(root / "test", _TEST_IMAGES, TEST_SEED)
    settings = {"name": "starter", "input_size": "256", "epochs": str(epochs), "validate_every": "4"}
    config = root / "input/config/hyperparameters.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(settings))
    container = Container(root)
    train(container)
    scores = evaluate(OnnxModel(container.model), open_dataset(root / "test"))
    card = read_card(container.model)
    replace(card, metrics={**card.metrics, "test": scores.summary()}).write(container.model)
    target.parent.mkdir(parents=True, exist_ok=True)
    pack(container.model, target)
    emit("starter", {"path": str(target), "bytes": target.stat().st_size, "test": scores.summary()})


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options and run the job. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.starter", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/starter/model.tar.gz"))
    parser.add_argument(
        "--work", type=Path, help="folder to work in; a killed run continues there (default: temporary)"
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        root = options.work or Path(temporary)
        return run(lambda _: train_starter(root, options.out, options.images, options.epochs))


if __name__ == "__main__":
    raise SystemExit(main())
