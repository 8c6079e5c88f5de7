"""How well anomaly models tell good from bad, and what they cost: `loupe bench anomaly --dataset PATH [--json]`.

For each seed, random good pictures are learned from, by `training.train` in a process of its own, and the model judges
all others. With `--class-as-good` each class of a data set is taken as good in turn and the others as bad, as a stress:
such "defects" differ from each other in texture only.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.output import machine, say
from training.datasets import Dataset, Sample, open_dataset
from training.model.anomaly import AnomalyModel
from training.model.artefact import read_card
from training.model.pixels import decode

FAMILY = "patchcore_efficientnet_lite0"
_COLUMNS = {
    "good": "good",
    "seed": "seed",
    "image_auroc": "image AUROC",
    "caught_at_zero_overkill": "caught at zero overkill",
    "overkill": "overkill at the threshold",
    "escape": "escape at the threshold",
    "seconds": "training, s",
    "peak_memory_mib": "peak memory, MiB",
    "endpoint_ms": "judging on one core, ms",
    "artefact_mb": "artefact, MB",
}


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the figures of each seed, and of each class with `--class-as-good`."""
    dataset = open_dataset(options.dataset)
    for name, good, bad in _sides(dataset, options.class_as_good):
        for seed in range(options.seeds):
            drawn = random.Random(seed).sample(good, len(good))  # noqa: S311 - a benchmark's choice
            learned, further = drawn[: options.learn], drawn[options.learn :]
            say(f"{name}, seed {seed}: {len(learned)} good pictures to learn from")
            with tempfile.TemporaryDirectory() as folder:
                yield {"good": name, "seed": seed} | _measure(
                    dataset, learned, further[: options.most], bad[: options.most], Path(folder), seed
                )


def _sides(dataset: Dataset, by_class: bool) -> list[tuple[str, list[Sample], list[Sample]]]:
    """Return what counts as good, and what as bad."""
    if not by_class:
        good = [sample for sample in dataset.samples if sample.is_good]
        return [("good", good, [sample for sample in dataset.samples if sample.is_defective])]
    classes = {label: [s for s in dataset.samples if _only(s, label)] for label in dataset.labels}
    mixed = random.Random(0)  # noqa: S311 - a benchmark's choice
    sides = []
    for label, own in classes.items():
        others = [sample for other, samples in classes.items() if other != label for sample in samples]
        sides.append((label, own, mixed.sample(others, len(others))))
    return sides


def _only(sample: Sample, label: str) -> bool:
    return {thing.label for thing in sample.objects} == {label}


def _measure(
    dataset: Dataset, learned: list[Sample], good: list[Sample], bad: list[Sample], folder: Path, seed: int
) -> dict[str, Any]:
    # All of two channels is learned from: the parts by hash would leave a fifth for the evaluation.
    for name, samples in (("train", learned[1:]), ("validation", learned[:1])):
        (folder / name / "good").mkdir(parents=True)
        for number, sample in enumerate(samples):
            path = folder / name / "good" / f"{number}{Path(sample.name).suffix}"
            path.write_bytes(dataset.read(sample))
    command = [sys.executable, "-m", "training.train", "--family", FAMILY, "--json", "--set", f"seed={seed}"]
    command += ["--dataset", str(folder / "train"), "--validation", str(folder / "validation")]
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603
        [*command, "--out", str(folder / "out")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds = time.perf_counter() - started
    model = AnomalyModel(folder / "out/model", threads=1)
    scores, times = _judge(model, dataset, [*good, *bad])
    usual, unusual = scores[: len(good)], scores[len(good) :]
    training = read_card(folder / "out/model").metrics["training"]
    return {
        "image_auroc": round(_auroc(usual, unusual), 4),
        "caught_at_zero_overkill": round(float((unusual > usual.max()).mean()), 4),
        "overkill": round(float((usual >= model.scale.threshold).mean()), 4),
        "escape": round(float((unusual < model.scale.threshold).mean()), 4),
        "seconds": round(seconds, 1),
        "peak_memory_mib": training["peak_memory_mib"],
        "endpoint_ms": round(statistics.median(times), 1),
        "artefact_mb": round((folder / "out/model.tar.gz").stat().st_size / 1e6, 1),
    }


def _judge(
    model: AnomalyModel, dataset: Dataset, samples: Sequence[Sample]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], list[float]]:
    """Return the distance of each picture, and the CPU milliseconds of decoding and judging it."""
    distances, times = [], []
    for sample in samples:
        data = dataset.read(sample)
        started = time.process_time()
        distances.append(model.judge([decode(data, model.card.input_size).pixels])[0].distance)
        times.append((time.process_time() - started) * 1000)
    return np.array(distances), times


def _auroc(
    good: np.ndarray[tuple[int], np.dtype[np.float64]], bad: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    """Return the share of pairs in which the bad picture is farther; equal ones count half."""
    above, equal = bad[:, None] > good, bad[:, None] == good
    return float(above.mean() + equal.mean() / 2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options, measure, and print. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="loupe bench anomaly", description=__doc__)
    parser.add_argument("--dataset", required=True, help="a data set with good and bad pictures")
    parser.add_argument("--learn", type=int, default=29, help="good pictures to learn from (default: 29)")
    parser.add_argument("--seeds", type=int, default=3, help="random choices of them (default: 3)")
    parser.add_argument("--most", type=int, default=1000, help="the most good and bad pictures to judge")
    parser.add_argument("--class-as-good", action="store_true", help="take each class as good in turn")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args(arguments)
    rows = list(measure(options))
    if options.json:
        sys.stdout.write(json.dumps({"machine": machine(), "rows": rows}) + "\n")
        return 0
    table = Table(*_COLUMNS.values())
    for row in rows:
        table.add_row(*(str(row[name]) for name in _COLUMNS))
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
