"""How long one image takes on this machine: decode, inference and postprocessing, one image at a time."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from training.datasets import Dataset
from training.job.container import cores
from training.model import tiling
from training.model.onnx_model import OnnxModel
from training.model.pixels import decode

_WARM_UP = 5  # the first runs allocate memory and are slower than all that follow
_LEAST, _MOST, _SECONDS = 30, 200, 15.0  # enough for a p95, and bounded for a slow family


def measure(model: OnnxModel, dataset: Dataset) -> dict[str, Any]:
    """p50 and p95 of decode + inference + postprocessing in milliseconds, batch 1, and the machine.

    At most 200 images, or 15 seconds; reading the file is not counted. Images are judged again where
    there are fewer than 30.
    """
    samples = (dataset.samples * (_LEAST // len(dataset.samples) + 1))[:_MOST]
    size, tiles, full_above = model.card.input_size, model.card.tiles, model.card.full_above
    for sample in samples[:_WARM_UP]:
        tiling.detect_in_tiles(model.detect, decode(dataset.read(sample), size, full_above=full_above), tiles)
    decoding, whole = [], []
    deadline = time.perf_counter() + _SECONDS
    for sample in samples:
        data = dataset.read(sample)
        started = time.perf_counter()
        picture = decode(data, size, full_above=full_above)
        decoded = time.perf_counter()
        tiling.detect_in_tiles(model.detect, picture, tiles)
        ended = time.perf_counter()
        decoding.append(decoded - started)
        whole.append(ended - started)
        if ended > deadline:
            break
    p50, p95 = np.percentile(whole, [50, 95]) * 1000
    return {
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "decode_p50_ms": round(float(np.median(decoding)) * 1000, 2),
        "images": len(whole),
        "cores": cores(),
        "processor": _processor(),
        "provider": model.provider,
    }


def _processor() -> str:
    """The processor's name; platform.processor() is empty on most Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else os.uname().machine
