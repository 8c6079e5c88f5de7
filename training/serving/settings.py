"""The endpoint's settings, each read from an environment variable. docs/serving.md explains them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from contract.endpoint import BIT_DEPTHS, MAX_BODY_BYTES
from contract.images import MAX_PIXELS
from training.job.container import cores
from training.job.errors import TrainingError
from training.serving.batch_transform import MAX_MB, in_batch_transform, requests_at_once

_MAY_BE_ZERO = (
    "LOUPE_WAITING",
    "LOUPE_BATCH_WAIT_MS",
    "LOUPE_REPORT_SECONDS",
    "LOUPE_SLOW_MS",
    "LOUPE_LOG_REQUESTS",
    "LOUPE_HEAT_MAP",
    "LOUPE_BIT_DEPTH",
    "LOUPE_ANSWER_UNREADABLE",
)


class SettingError(TrainingError):
    """An environment variable or the port is not usable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The endpoint's limits, and how it works.

    Attributes:
        workers: Images decoded at once. Without batching, the same thread runs the inference, too.
        waiting: Further images that may be inside before the endpoint answers 429.
        batch: The most images that share one inference; 1: none share one.
        batch_wait_ms: How long a batch waits for images that are on their way.
        max_body_bytes: Of a request.
        max_object_bytes: Of an image by reference.
        max_pixels: Of an image, checked before a pixel is decoded.
        image_seconds: For decoding one image and running the inference of its tiles.
        report_seconds: Between two lines of metrics; 0: never.
        slow_ms: A request that takes longer gets a line in the log; 0: none does.
        log_requests: 1 for a line about every request; 0: about failed and slow ones.
        heat_map: 1 for the heat map in every JSON answer of an anomaly model; 0: where a request asks for it.
        bit_depth: Of the camera, for 16-bit files that do not state it where the request does not either; 0: not known.
        answer_unreadable: 1 for a status of 200 with the error as the answer to an image that cannot be read. Any other
            status fails a transform job.
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
    slow_ms: float = 2000.0
    log_requests: int = 0
    heat_map: int = 0
    bit_depth: int = 0
    answer_unreadable: int = 0

    @classmethod
    def read(cls, gpu: bool, environment: Mapping[str, str] = os.environ) -> Settings:
        """Return the defaults for this machine, each overridden by LOUPE_<ITS NAME>.

        Args:
            gpu: Whether to take the defaults of a GPU.
            environment: Where to read from.

        Raises:
            SettingError: A value is out of range; the message names the variable.
        """
        # On a CPU one more than there are cores: while one worker waits for its next image, another one computes.
        workers = cores() if gpu else cores() + 1
        defaults = cls(workers=workers, batch=8 if gpu else 1, waiting=64 if gpu else 32)
        if in_batch_transform(environment):
            # A transform job has larger requests than an endpoint, and none of them may hear that all places are taken.
            waiting = max(defaults.waiting, requests_at_once(environment))
            defaults = replace(defaults, max_body_bytes=MAX_MB * 1024 * 1024, waiting=waiting)
        values: dict[str, Any] = {
            setting.name: _number(
                environment, f"LOUPE_{setting.name.upper()}", getattr(defaults, setting.name)
            )
            for setting in fields(cls)
        }
        depth = values["bit_depth"]
        if depth and depth not in BIT_DEPTHS:
            raise SettingError(
                f"LOUPE_BIT_DEPTH={depth} must be from {BIT_DEPTHS[0]} to {BIT_DEPTHS[-1]}, or 0: not known"
            )
        return cls(**values)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    """Read a setting of its default's type."""
    text = environment.get(name, str(default))
    may_be_zero = name in _MAY_BE_ZERO
    try:
        value = type(default)(text)
    except ValueError:
        value = type(default)(-1)
    if not (0 <= value < float("inf")) or (value == 0 and not may_be_zero):
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise SettingError(f"{name}={text!r} must be {kind} {'from' if may_be_zero else 'above'} 0")
    return value
