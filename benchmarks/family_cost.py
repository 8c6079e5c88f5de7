"""The cost of each detector family: its size, and the time and memory of a training step and of an inference.

python -m benchmarks.family_cost [--json] [FAMILY ...]

Each family runs in a new process on one core, at its recipe's input size with a batch of four, on noise with three
boxes in each image. Times are CPU times, so that a busy machine changes them little. Peak memory is the process's
largest resident set after its training steps. It contains the interpreter and the libraries (`base_mb`), 16 bytes
for each parameter (weight, gradient and AdamW's two moments), and the activations of four images. `training.train`
adds 4 bytes for each parameter for the moving average, and its cache of decoded images.
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from training.detectors import Detector

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
    """Return the cost of a family, measured in this process, which should be new.

    Sizes are in MB of 10^6 bytes, times in milliseconds.
    """
    import torch

    from training.detectors.registry import build, recipe

    torch.set_num_threads(1)
    torch.manual_seed(0)
    input_size = recipe(family).input_size
    base_mb = _peak_mb()
    detector = build(family, _CLASSES, input_size).train().to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (_BATCH, input_size, input_size, 3), dtype=torch.uint8)
    train_ms = _training_ms(detector, images)
    peak_mb = _peak_mb()
    onnx_mb, infer_ms = _inference_cost(family, detector, images[:1])
    return {
        "family": family,
        "input_size": input_size,
        "parameters_m": round(sum(tensor.numel() for tensor in detector.parameters()) / 1e6, 1),
        "onnx_mb": round(onnx_mb, 1),
        "train_ms": round(train_ms),
        "infer_ms": round(infer_ms, 1),
        "peak_mb": round(peak_mb),
        "base_mb": round(base_mb),
    }


def _training_ms(detector: Detector, images: torch.Tensor) -> float:
    """Return the milliseconds of a training step for each image of the batch."""
    import torch

    from training.detectors import Target

    optimiser = torch.optim.AdamW(detector.parameters(), 1e-5)
    boxes = torch.tensor([[0.1, 0.1, 0.3, 0.4], [0.5, 0.2, 0.9, 0.5], [0.4, 0.6, 0.6, 0.9]])
    targets = [Target(boxes, torch.tensor([0, 1, 2]))] * _BATCH

    def step() -> None:
        loss = torch.stack(list(detector.losses(images, targets).values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return _cpu_ms(step, min_calls=1) / _BATCH


def _inference_cost(family: str, detector: Detector, image: torch.Tensor) -> tuple[float, float]:
    """Return the size of the ONNX file, and the milliseconds of an inference with ONNX Runtime."""
    import numpy as np
    import torch

    from training.learning.export import export
    from training.model.artefact import ModelCard, file_sha256
    from training.model.onnx_model import OnnxModel

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = export(detector.to(memory_format=torch.contiguous_format), folder)
        card = ModelCard(
            name="cost",
            family=family,
            labels=tuple("abcdef"),
            input_size=image.shape[1],
            normalisation=detector.normalisation,
            postprocess=detector.postprocess,
            onnx_sha256=file_sha256(path),
        )
        card.write(folder)
        model = OnnxModel(folder, threads=1)
        pixels = np.ascontiguousarray(image.numpy())
        return path.stat().st_size / 1e6, _cpu_ms(lambda: model.raw(pixels), min_calls=5)


def _cpu_ms(call: Callable[[], object], min_calls: int) -> float:
    """Return the milliseconds of CPU time of the fastest call, after one to warm up.

    Args:
        call: What to measure.
        min_calls: A slow call is measured so many times; a fast one up to 20 times.
    """
    call()
    times: list[float] = []
    while len(times) < min_calls or (sum(times) < _ENOUGH_SECONDS and len(times) < 20):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times) * 1000


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _measure_in_new_process(family: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.family_cost", "--here", family]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    measured = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if measured.returncode:
        raise SystemExit(f"{family} failed:\n{measured.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(measured.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure the given families, or all, and print a table or one JSON document."""
    from training.detectors.registry import families

    parser = argparse.ArgumentParser(prog="python -m benchmarks.family_cost", description=__doc__)
    parser.add_argument("family", nargs="*", help="families to measure (default: all detectors)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        sys.stdout.write(json.dumps(measure(options.family[0])) + "\n")
        return
    rows = []
    for family in options.family or families("detector"):
        sys.stderr.write(f"{family} ...\n")
        rows.append(_measure_in_new_process(family))
    if options.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    lines = [_COLUMNS.values(), ["---", *["---:"] * (len(_COLUMNS) - 1)]]
    lines += [[str(row[name]) for name in _COLUMNS] for row in rows]
    sys.stdout.writelines("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
