"""How long one image takes on this machine: decoding, inference and postprocessing, one image at a time."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from training.datasets import Dataset
from training.job import stopping
from training.job.container import cores
from training.model.models import Models, decode_for, findings
from training.model.tiling import detect_in_tiles

_WARM_UP = 5  # the first runs allocate memory, and are slower than all that follow
_MIN_IMAGES, _MAX_IMAGES = 30, 200  # enough for a p95
_MAX_SECONDS = 15.0  # for a slow family


def measure(models: Models, dataset: Dataset) -> dict[str, Any]:
    """Measure decoding, inference and postprocessing with a batch of 1, of all models of an artefact together.

    At most 200 images, or 15 seconds. Fewer than 30 images are repeated. Reading the file does not count.

    Returns:
        p50 and p95 in milliseconds, the p50 of decoding, how many images were measured, and the machine.
    """
    samples = (dataset.samples * (_MIN_IMAGES // len(dataset.samples) + 1))[:_MAX_IMAGES]
    for sample in samples[:_WARM_UP]:
        _answer(models, dataset.read(sample))
    decode_seconds, total_seconds = [], []
    deadline = time.perf_counter() + _MAX_SECONDS
    for sample in samples:
        stopping.check()
        data = dataset.read(sample)
        started = time.perf_counter()
        decode_seconds.append(_answer(models, data))
        ended = time.perf_counter()
        total_seconds.append(ended - started)
        if ended > deadline:
            break
    p50, p95 = np.percentile(total_seconds, [50, 95]) * 1000
    return {
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "decode_p50_ms": round(float(np.median(decode_seconds)) * 1000, 2),
        "images": len(total_seconds),
        "cores": cores(),
        "processor": _processor(),
        "provider": models.provider,
    }


def _answer(models: Models, data: bytes) -> float:
    """Do with an image what the endpoint does; return the seconds of the decoding."""
    started = time.perf_counter()
    views = decode_for(models, data)
    seconds = time.perf_counter() - started
    detector, anomaly = models.detector, models.anomaly
    found = None if detector is None else detect_in_tiles(detector.detect, views.picture, models.card.tiles)
    judgement = None if anomaly is None else anomaly.judge([views.anomaly])[0]
    findings(models, views.picture, found, judgement)
    return seconds


def _processor() -> str:
    """The processor's name. platform.processor() is empty on most Linux distributions."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else os.uname().machine
