"""What each detector family costs: its size, and the time and memory of a training step and of an inference.

python -m benchmarks.family_cost [--json] [FAMILY ...]

Each family runs in a fresh process on one core, at its recipe's input size with a batch of four, on noise with
three boxes an image. Times are of the CPU, so that a busy machine changes them little. Peak memory is the
process's largest resident set after its training steps: interpreter and libraries (`base_mb`), 16 bytes a
parameter (weight, gradient and AdamW's two moments), and the activations of four images; `training.train`
adds 4 bytes a parameter for the moving average, and its cache of decoded images.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BATCH = 4
_CLASSES = 6
_ENOUGH_SECONDS = 10.0
_COLUMNS = {
    "family": "family",
    "input_size": "input px",
    "parameters_m": "parameters, M",
    "onnx_mb": "ONNX, MB",
    "train_ms": "training, ms an image",
    "infer_ms": "ONNX Runtime, ms an image",
    "peak_mb": "peak memory of a step, MB",
}


def measure(family: str) -> dict[str, Any]:
    """The cost of one family, in this process, which should be fresh. Sizes in MB of 10^6 bytes, times in ms."""
    import numpy as np
    import torch

    from training.detectors import Target
    from training.detectors.registry import build, recipe
    from training.learning.export import export
    from training.model.artefact import ModelCard, file_sha256
    from training.model.onnx_model import OnnxModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    suits = recipe(family)
    base = _peak_mb()
    detector = build(family, _CLASSES, suits.input_size).train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(detector.parameters(), 1e-5)
    images = torch.randint(0, 256, (_BATCH, suits.input_size, suits.input_size, 3), dtype=torch.uint8)
    boxes = torch.tensor([[0.1, 0.1, 0.3, 0.4], [0.5, 0.2, 0.9, 0.5], [0.4, 0.6, 0.6, 0.9]])
    targets = [Target(boxes, torch.tensor([0, 1, 2]))] * _BATCH

    def step() -> None:
        loss = torch.stack(list(detector.losses(images, targets).values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    train_ms = _ms(step, at_least=1) / _BATCH
    peak = _peak_mb()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = export(detector.to(memory_format=torch.contiguous_format), folder)
        card = ModelCard(
            name="cost",
            family=family,
            labels=tuple("abcdef"),
            input_size=suits.input_size,
            normalisation=detector.normalisation,
            postprocess=detector.postprocess,
            onnx_sha256=file_sha256(path),
        )
        card.write(folder)
        model = OnnxModel(folder, threads=1)
        picture = np.ascontiguousarray(images[:1].numpy())
        infer_ms = _ms(lambda: model.raw(picture), at_least=5)
        onnx_mb = path.stat().st_size / 1e6
    return {
        "family": family,
        "input_size": suits.input_size,
        "parameters_m": round(sum(each.numel() for each in detector.parameters()) / 1e6, 1),
        "onnx_mb": round(onnx_mb, 1),
        "train_ms": round(train_ms),
        "infer_ms": round(infer_ms, 1),
        "peak_mb": round(peak),
        "base_mb": round(base),
    }


def _ms(run: Callable[[], object], at_least: int) -> float:
    """Milliseconds of CPU for one call, after one to warm up: the fastest of several, or of `at_least`."""
    run()
    times: list[float] = []
    while len(times) < at_least or (sum(times) < _ENOUGH_SECONDS and len(times) < 20):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times) * 1000


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _fresh(family: str) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.family_cost", "--here", family]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise SystemExit(f"{family} failed:\n{ran.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measures the families asked for, or all, and writes a table or one JSON document."""
    from training.detectors.registry import families

    parser = argparse.ArgumentParser(prog="python -m benchmarks.family_cost", description=__doc__)
    parser.add_argument("family", nargs="*", help="families to measure (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        sys.stdout.write(json.dumps(measure(options.family[0])) + "\n")
        return
    rows = []
    for family in options.family or families():
        sys.stderr.write(f"{family} ...\n")
        rows.append(_fresh(family))
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    lines = [_COLUMNS.values(), ["---", *["---:"] * (len(_COLUMNS) - 1)]]
    lines += [[str(row[name]) for name in _COLUMNS] for row in rows]
    sys.stdout.writelines("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
