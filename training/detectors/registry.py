"""Find a family of detectors or anomaly models by its name, which is the name of its module in `families`."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Literal

import training.detectors.families as family_modules
from training.detectors.base import AnomalyNetwork, AnomalyRecipe, Detector, PublicWeights, Recipe
from training.job.errors import TrainingError


class UnknownFamilyError(TrainingError):
    """No module in `families` has this name."""


Kind = Literal["detector", "anomaly"]

# Only the name says it, so that it is known without an import of torch.
_ANOMALY_PREFIX = "patchcore_"


def families(of: Kind | None = None) -> list[str]:
    """Return the names of all families, or of those of one kind."""
    names = sorted(module.name for module in pkgutil.iter_modules(family_modules.__path__))
    return [name for name in names if of in (None, _kind(name))]


def kind(family: str) -> Kind:
    """Return whether a family is one of detectors, which learn labelled defects, or of anomaly models.

    Raises:
        UnknownFamilyError: There is no such family.
    """
    _check_known(family)
    return _kind(family)


def _kind(family: str) -> Kind:
    return "anomaly" if family.startswith(_ANOMALY_PREFIX) else "detector"


def recipe(family: str) -> Recipe:
    """Return the default hyperparameters of a family of detectors.

    Raises:
        UnknownFamilyError: There is no such family of detectors.
    """
    settings: Recipe = _module(family, "detector").RECIPE
    return settings


def anomaly_recipe(family: str) -> AnomalyRecipe:
    """Return the default hyperparameters of a family of anomaly models.

    Raises:
        UnknownFamilyError: There is no such family of anomaly models.
    """
    settings: AnomalyRecipe = _module(family, "anomaly").RECIPE
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
        UnknownFamilyError: There is no such family of detectors.
        UnsupportedInputSizeError: The family does not take this size.
    """
    detector: Detector = _module(family, "detector").build(classes, input_size)
    return detector


def build_anomaly(family: str, input_size: int) -> AnomalyNetwork:
    """Return a new network of an anomaly model with random weights and without a memory.

    Args:
        family: Name of the family.
        input_size: Side of the square input, in pixels.

    Raises:
        UnknownFamilyError: There is no such family of anomaly models.
        UnsupportedInputSizeError: The family does not take this size.
    """
    network: AnomalyNetwork = _module(family, "anomaly").build(input_size)
    return network


def _module(family: str, of: Kind | None = None) -> ModuleType:
    _check_known(family)
    if of not in (None, _kind(family)):
        wanted = "a detector" if of == "detector" else "an anomaly model"
        raise UnknownFamilyError(f"{family} is not {wanted}; such families are {', '.join(families(of))}")
    return importlib.import_module(f"{family_modules.__name__}.{family}")


def _check_known(family: str) -> None:
    if family not in families():
        raise UnknownFamilyError(f"unknown family {family!r}; known are {', '.join(families())}")
