"""Find a detector family by its name, which is the name of its module in `families`."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import training.detectors.families as family_modules
from training.detectors.base import Detector, PublicWeights, Recipe
from training.job.errors import TrainingError


class UnknownFamilyError(TrainingError):
    """No module in `families` has this name."""


def families() -> list[str]:
    """Return the names of all families."""
    return sorted(module.name for module in pkgutil.iter_modules(family_modules.__path__))


def recipe(family: str) -> Recipe:
    """Return the default hyperparameters of a family.

    Raises:
        UnknownFamilyError: There is no such family.
    """
    settings: Recipe = _module(family).RECIPE
    return settings


def public_weights(family: str) -> dict[str, PublicWeights]:
    """Return the published weights that a family can start from, by name.

    Raises:
        UnknownFamilyError: There is no such family.
    """
    weights: dict[str, PublicWeights] = _module(family).WEIGHTS
    return weights


def build(family: str, classes: int, input_size: int) -> Detector:
    """Return a new detector with random weights.

    Args:
        family: Name of the family.
        classes: Number of labels.
        input_size: Side of the square input, in pixels.

    Raises:
        UnknownFamilyError: There is no such family.
        UnsupportedInputSizeError: The family does not take this size.
    """
    detector: Detector = _module(family).build(classes, input_size)
    return detector


def _module(family: str) -> ModuleType:
    if family not in families():
        raise UnknownFamilyError(f"unknown family {family!r}; known are {', '.join(families())}")
    return importlib.import_module(f"{family_modules.__name__}.{family}")
