"""Detector families. A family is one module here, with a `build` function and a `RECIPE`; nothing else
names it. Modules whose name begins with an underscore hold what families share.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from torch import Tensor, nn

from training.decoding import Postprocess
from training.errors import TrainingError


class UnknownFamilyError(TrainingError):
    """No module of this package bears the family's name."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is in one image: boxes [N, 4] as (x1, y1, x2, y2) in 0..1, classes [N] from 0. N may be 0."""

    boxes: Tensor
    classes: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings that suit a family; a hyperparameter of the same name overrides each."""

    input_size: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int


class Detector(nn.Module, ABC):
    """What every family offers to training, export and evaluation."""

    family: str
    input_size: int
    normalisation: dict[str, list[float]]
    postprocess: Postprocess

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, size, size, 3] → boxes [N, A, 4] in 0..1, scores [N, A, C] without background.

        This is the graph that is exported.
        """

    @abstractmethod
    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The parts of the loss, each a scalar; their sum is minimised. Same images as `forward`."""


def families() -> list[str]:
    """The names of all families."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def recipe(family: str) -> Recipe:
    """The settings that suit the family. Raises UnknownFamilyError."""
    settings: Recipe = _module(family).RECIPE
    return settings


def build(family: str, classes: int, input_size: int) -> Detector:
    """A new detector with random weights. Raises UnknownFamilyError."""
    detector: Detector = _module(family).build(classes, input_size)
    return detector


def _module(family: str) -> ModuleType:
    if family not in families():
        raise UnknownFamilyError(f"unknown family {family!r}; known are {', '.join(families())}")
    return importlib.import_module(f"{__name__}.{family}")
