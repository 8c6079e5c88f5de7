"""What can be set of the endpoint, each by an environment variable; docs/serving.md explains them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from contract.endpoint import MAX_BODY_BYTES
from contract.images import MAX_PIXELS
from training.job.container import cores
from training.job.errors import TrainingError


class SettingError(TrainingError):
    """An environment variable or the port is not usable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the endpoint takes at most, and how it works.

    workers: images decoded at once; without batching inferred by the same thread, too.
    waiting: further images that may be inside before a 503.
    batch: images of one inference; 1: none share one.
    batch_wait_ms: how long a batch waits for images that are on their way.
    image_seconds: for decoding one image and, by tiles, judging it.
    report_seconds: between two lines of metrics; 0: never.
    """

    workers: int = 2
    waiting: int = 32
    batch: int = 1
    batch_wait_ms: float = 2.0
    max_body_bytes: int = MAX_BODY_BYTES
    max_object_bytes: int = 100 * 1024 * 1024
    max_pixels: int = MAX_PIXELS
    image_seconds: float = 20.0
    report_seconds: float = 60.0

    @classmethod
    def read(cls, gpu: bool, environment: Mapping[str, str] = os.environ) -> Settings:
        """The defaults for this machine, each overridden by LOUPE_<ITS NAME>. Raises SettingError."""
        # One more than cores on a CPU: while a worker's next image is on its way to it, another computes.
        workers = cores() if gpu else cores() + 1
        defaults = cls(workers=workers, batch=8 if gpu else 1, waiting=64 if gpu else 32)
        values: dict[str, Any] = {
            each.name: _number(environment, f"LOUPE_{each.name.upper()}", getattr(defaults, each.name))
            for each in fields(cls)
        }
        return cls(**values)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    """A setting of its default's type; those without a default of 0 or more than 0 stay positive."""
    text = environment.get(name, str(default))
    may_be_nothing = name in ("LOUPE_WAITING", "LOUPE_BATCH_WAIT_MS", "LOUPE_REPORT_SECONDS")
    try:
        value = type(default)(text)
    except ValueError:
        value = type(default)(-1)
    if not (0 <= value < float("inf")) or (value == 0 and not may_be_nothing):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise SettingError(f"{name}={text!r} must be {kind} {'from' if may_be_nothing else 'above'} 0")
    return value
