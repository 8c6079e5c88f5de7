"""What pretrained weights bring when there are few labels: `loupe bench pretraining --dataset PATH [--json]`.

Trains one family from each start (from scratch, from a model of generated images, …) on 10 %, 30 % and all of the
train part, always for the same number of steps, and evaluates each model on the same test part. A run whose model
exists is not repeated, so a benchmark that was killed continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from training.datasets import open_dataset
from training.detectors.registry import recipe

SHARES = (0.1, 0.3, 1.0)
# In each run.
_VALIDATIONS = 5


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train and evaluate every run.

    Returns:
        A row for each run: start, share, images, epochs, seconds, mAP and mAP50 on the test part.
    """
    train_images = len(open_dataset(options.dataset).part("train").samples)
    batch_size = recipe(options.family).batch_size
    rows = []
    for share in SHARES:
        epochs = max(1, round(options.steps * batch_size / (train_images * share)))
        for start in ["scratch", *options.start]:
            folder = options.work / f"{Path(start).name.split('.')[0]}-{share:.0%}".replace("%", "")
            if not (folder / "model.tar.gz").exists():
                _train(options, folder, start, share, epochs)
            rows.append(_row(options, folder, start, share, epochs))
    return rows


def _train(options: argparse.Namespace, folder: Path, start: str, share: float, epochs: int) -> None:
    settings = {
        "train_share": share,
        "input_size": options.input_size,
        "validate_every": max(1, epochs // _VALIDATIONS),
        "seed": options.seed,
    }
    command = ["training.train", "--dataset", options.dataset, "--family", options.family]
    command += ["--out", folder, "--epochs", epochs]
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    if start != "scratch":
        command += ["--pretrained", start]
    _run_program(command)


def _row(options: argparse.Namespace, folder: Path, start: str, share: float, epochs: int) -> dict[str, Any]:
    """Evaluate a run's model, and return the run's row."""
    model = folder / "model.tar.gz"
    command = ["training.evaluate", "--model", model, "--dataset", options.dataset, "--json"]
    scores = json.loads(_run_program(command))
    card = json.loads((folder / "model" / "model.json").read_text())
    return {
        "start": start,
        "share": share,
        "images": card["dataset"]["train"],
        "epochs": epochs,
        "seconds": card["metrics"]["training"]["seconds"],
        "map": scores["map"],
        "map50": scores["map50"],
        "per_class": scores["per_class"],
    }


def _run_program(arguments: Sequence[object]) -> str:
    """Run `python -m` with these arguments, and return its standard output."""
    command = [sys.executable, "-m", *map(str, arguments)]
    sys.stderr.write(" ".join(command[2:]) + "\n")
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(prog="loupe bench pretraining", description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--family", default="ssdlite")
    parser.add_argument(
        "--start", action="append", default=None, help="weights to start from; can be repeated"
    )
    parser.add_argument("--steps", type=int, default=500, help="training steps of every run")
    parser.add_argument("--input-size", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/pretraining"), help="folder for the models")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.start = options.start or ["models/starter/model.tar.gz"]
    rows = measure(options)
    if options.json:
        sys.stdout.write(json.dumps({"steps": options.steps, "family": options.family, "runs": rows}) + "\n")
        return
    table = Table("start", "share", "images", "epochs", "minutes", "mAP", "mAP50")
    for row in rows:
        minutes = f"{row['seconds'] / 60:.1f}"
        scores = f"{row['map']:.3f}", f"{row['map50']:.3f}"
        table.add_row(
            row["start"], f"{row['share']:.0%}", str(row["images"]), str(row["epochs"]), minutes, *scores
        )
    Console().print(table)


if __name__ == "__main__":
    main()
