"""The best recipe of NEU-DET, as long as the time allows: `python -m benchmarks.gpu.train --dataset D --out OUT`.

Two epochs show how long one takes. The run then gets as many as fit, besides export and evaluation. Checkpoints stay in
OUT/train, each epoch is a line of OUT/epochs.jsonl as it ends, and the same command continues a run that was killed.
Without --dataset it trains on generated images, which shows the speed and no accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.lines import Lines

ROOT = Path(__file__).resolve().parents[2]
_PROBED = 2  # epochs
_CYCLE = 2  # epochs of a cycle
_STARTING = 20.0  # seconds in which a run begins and exports, besides its epochs
_ROOM = 0.9  # of the time that is left for epochs: one may take longer than the other
_MOST_WORKERS = 12


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained.

    Attributes:
        family: Of the model.
        input_size: Pixels.
        batch: Images of a step.
        cycles: After the epochs.
        settings: Hyperparameters besides.
        evaluating: Seconds for the evaluation.
        images: Generated ones, without a data set.
    """

    family: str
    input_size: int
    batch: int
    cycles: int
    settings: tuple[str, ...]
    evaluating: float
    images: int

    @property
    def name(self) -> str:
        return f"{self.family}, {self.input_size} px, batch {self.batch}, {self.cycles} cycles"


# docs/benchmarks.md: the first row, with larger pictures and batches.
BEST = Recipe(
    "gfl_efficientnet_lite2",
    320,
    32,
    6,
    ("learning_rate=1e-3", "refit=true", "views=8", "seed=0"),
    60.0,
    1440,
)
TOY = Recipe("ssdlite", 128, 4, 0, ("refit=true", "seed=0"), 0.0, 12)


class PartError(Exception):
    """A step failed; the message says which and why."""


def snapshot(dataset: Path | None, recipe: Recipe, out: Path) -> Path:
    """Return a snapshot of the data set, or of generated images. Its parts are the same wherever it is made.

    Raises:
        PartError: It cannot be made.
    """
    source = dataset
    if source is None:
        source = out / "generated"
        if not source.exists():
            _step("training.generate", "surfaces", "--out", source, "--count", recipe.images, "--seed", 7)
    found = sorted((out / "data").rglob("snapshots/**/*.json"))
    if not found:
        _step("training.imports", source, "--out", out / "data", "--yes", "--json")
        found = sorted((out / "data").rglob("snapshots/**/*.json"))
    if not found:
        raise PartError("the import wrote no snapshot")
    return found[-1]


def _step(module: str, *arguments: object) -> str:
    """Run one of the programs, and return what it prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603 - our own program
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no reason"]
        raise PartError(f"{module}: {reason[0][:200]}")
    return done.stdout


def train(
    data: Path, recipe: Recipe, target: Path, epochs: int, until: float, options: argparse.Namespace,
    seen: Callable[[dict[str, Any]], None],
) -> None:  # fmt: skip
    """Train, and hand on each epoch as it ends.

    Raises:
        PartError: It failed, or the time was over before it was done.
    """
    command = [
        sys.executable,
        "-m",
        "training.train",
        "--json",
        "--dataset",
        str(data),
        "--family",
        recipe.family,
    ]
    command += ["--out", str(target), "--epochs", str(epochs)]
    workers = max(0, min(_MOST_WORKERS, (os.cpu_count() or 1) - 2))
    sizes = (f"input_size={recipe.input_size}", f"batch_size={recipe.batch}", f"workers={workers}")
    command += [f"--set={setting}" for setting in (*recipe.settings, *sizes, f"cycles={recipe.cycles}")]
    if options.pretrained:
        command += ["--pretrained", str(options.pretrained)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, env=os.environ | {"LOUPE_DEVICE": options.device}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    ending = threading.Timer(max(0.0, until - time.monotonic()), process.terminate)
    ending.start()
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        for text in process.stdout or ():
            if text.startswith("{"):
                seen(json.loads(text))
        status = process.wait()
    finally:
        ending.cancel()
        if process.poll() is None:
            process.kill()
    reader.join(5)
    if status:
        last = (errors or ["no reason"])[-1].strip()[:200]
        raise PartError(f"the training ended with status {status}: {last}")


def fitting(epoch_seconds: float, left: float, recipe: Recipe) -> tuple[int, int]:
    """Return how many epochs and cycles fit into the seconds that are left.

    >>> fitting(4.0, 220.0, BEST)
    (19, 6)
    >>> fitting(20.0, 200.0, BEST)
    (5, 0)
    """
    whole = int(_ROOM * (left - recipe.evaluating - _STARTING) / epoch_seconds)
    cycles = recipe.cycles if whole >= 2 * _CYCLE * recipe.cycles else 0
    return max(1, whole - _CYCLE * cycles), cycles


def main(arguments: list[str] | None = None) -> int:
    """Train and evaluate, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, help="NEU-DET.zip, or another data set")
    parser.add_argument("--pretrained", type=Path, help="weights to start from")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=220, help="for all of it")
    parser.add_argument("--toy", action="store_true", help="a small family, few images, one epoch")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.seconds
    lines = Lines(options.out, "train")
    try:
        _run(TOY if options.toy else BEST, options, until, lines)
    except PartError as error:
        lines.failed("the recipe", str(error))
        return 1
    return 0


def _run(recipe: Recipe, options: argparse.Namespace, until: float, lines: Lines) -> None:
    data = snapshot(options.dataset, recipe, options.out)
    about = "" if options.dataset else "generated images"
    times: list[float] = []
    train(
        data, replace(recipe, cycles=0), options.out / "probe", 1 if options.toy else _PROBED, until, options,
        lambda event: times.append(event["seconds"]) if event.get("event") == "epoch" else None,
    )  # fmt: skip
    lines.add(f"{recipe.name}: an epoch", seconds=round(times[-1], 2), why=about)
    epochs, cycles = (1, 0) if options.toy else fitting(times[-1], until - time.monotonic(), recipe)
    chosen = replace(recipe, cycles=cycles)
    began, seen = time.monotonic(), list[dict[str, Any]]()
    with (options.out / "epochs.jsonl").open("a", encoding="utf-8") as file:

        def keep(event: dict[str, Any]) -> None:
            file.write(json.dumps(event) + "\n")
            file.flush()
            if event.get("event") == "epoch":
                seen.append(event)

        train(data, chosen, options.out / "train", epochs, until - recipe.evaluating, options, keep)
    spent = round(time.monotonic() - began, 1)
    lines.add(
        f"{chosen.name}: the run", epochs=len(seen), seconds=spent, loss=seen[-1].get("loss") if seen else None,
        peak_memory_mib=seen[-1].get("peak_memory_mib") if seen else None, why=about,
    )  # fmt: skip
    model = options.out / "train" / "model.tar.gz"
    printed = _step("training.evaluate", "--model", model, "--dataset", data, "--split", "test", "--json")
    report = json.loads(printed.splitlines()[-1])
    lines.add(
        f"{chosen.name}: on its test images", map=report["map"], map50=report["map50"], epochs=len(seen),
        seconds=spent, classes=report.get("classes"), why=about,
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
