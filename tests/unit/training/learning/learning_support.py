"""Pieces that the tests of `training.learning` and of the program `train` share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from training.detectors import Target
from training.job.container import Container

SIZE = 128
torch.set_num_threads(1)  # small tensors: threads would only wait for each other


def job(root: Path, data: Path, **hyperparameters: object) -> Container:
    """A job in the folder `root` whose channel `train` is `data`."""
    channel = root / "input/data/train"
    if not channel.exists():
        channel.parent.mkdir(parents=True)
        channel.symlink_to(data)
    config = root / "input/config/hyperparameters.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    settings = {"input_size": SIZE, "epochs": 2, "batch_size": 8, "validate_every": 1, "workers": 0}
    config.write_text(json.dumps({name: str(value) for name, value in (settings | hyperparameters).items()}))
    return Container(root)


def images(count: int = 2, size: int = SIZE) -> torch.Tensor:
    """Noise, uint8 [count, size, size, 3]."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 255, (count, size, size, 3), dtype=np.uint8))


def target(
    boxes: tuple[tuple[float, float, float, float], ...] = ((0.1, 0.1, 0.6, 0.6),),
    classes: tuple[int, ...] = (1,),
) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(classes, dtype=torch.int64)
    )


def no_objects() -> Target:
    return target((), ())
