"""Finds a detector family by its name, which is that of its module in `families`."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import training.detectors.families as family_modules
from training.detectors.base import Detector, PublicWeights, Recipe
from training.job.errors import TrainingError


class UnknownFamilyError(TrainingError):
    """No module of this package bears the family's name."""


def families() -> list[str]:
    """The names of all families."""
    return sorted(module.name for module in pkgutil.iter_modules(family_modules.__path__))


def recipe(family: str) -> Recipe:
    """The settings that suit the family. Raises UnknownFamilyError."""
    settings: Recipe = _module(family).RECIPE
    return settings


def public_weights(family: str) -> dict[str, PublicWeights]:
    """The published weights that suit the family, by the name that asks for them. Raises UnknownFamilyError."""
    found: dict[str, PublicWeights] = _module(family).WEIGHTS
    return found


def build(family: str, classes: int, input_size: int) -> Detector:
    """A new detector with random weights. Raises UnknownFamilyError and UnsupportedInputSizeError."""
    detector: Detector = _module(family).build(classes, input_size)
    return detector


def _module(family: str) -> ModuleType:
    if family not in families():
        raise UnknownFamilyError(f"unknown family {family!r}; known are {', '.join(families())}")
    return importlib.import_module(f"{family_modules.__name__}.{family}")
