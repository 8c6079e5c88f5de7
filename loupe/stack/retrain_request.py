"""What a retraining run is asked to do: the input of an execution."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loupe.errors import LoupeError


@dataclass(frozen=True)
class RetrainRequest:
    """The options of a run. The stack's own settings apply where a field is None or empty.

    Attributes:
        families: The detector families.
        tune: Whether to tune the hyperparameters, too.
        tuning_jobs: The training jobs of each tuning.
        hyperparameters: For every training, by name.
        approval: Whether a person must approve the new model.
        force: Whether to train although nothing is new.
        dataset: The data set to train on.
    """

    families: list[str] = field(default_factory=list)
    tune: bool = False
    tuning_jobs: int | None = None
    hyperparameters: dict[str, str] = field(default_factory=dict)
    approval: bool | None = None
    force: bool = False
    dataset: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the execution's input."""
        lists = {"families": self.families, "hyperparameters": self.hyperparameters}
        document: dict[str, Any] = {name: value for name, value in lists.items() if value}
        if self.tuning_jobs is not None:
            document["tuning_jobs"] = self.tuning_jobs
        if self.dataset is not None:
            document["dataset"] = self.dataset
        if self.approval is not None:
            document["approval"] = self.approval
        return {**document, "tune": self.tune, "force": self.force, "trigger": "manual"}


def parse_families(text: str | None) -> list[str]:
    """Return the families that --families names, separated by commas; without the option none.

    Raises:
        LoupeError: The text does not name a family, or an unknown one.
    """
    if text is None:
        return []
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = known_families()
    if not names:
        raise LoupeError("--families does not name a family", f"Known families: {', '.join(known)}.")
    if unknown := [name for name in names if name not in known]:
        raise LoupeError(f"unknown family {unknown[0]!r}", f"Known families: {', '.join(known)}.")
    return names


def parse_hyperparameters(epochs: int | None, settings: Sequence[str]) -> dict[str, str]:
    """Return the hyperparameters by name.

    Args:
        epochs: The value of --epochs.
        settings: The values of --set, each NAME=VALUE.

    Raises:
        LoupeError: A setting has no name or no value, is given twice, or sets the family.
    """
    hyperparameters: dict[str, str] = {} if epochs is None else {"epochs": str(epochs)}
    for setting in settings:
        name, _, value = setting.partition("=")
        if not (name and value):
            raise LoupeError(f"--set {setting} is not NAME=VALUE", "For example: --set patience=5.")
        if name == "family":
            raise LoupeError("--set cannot set the family", "Use --families NAME.")
        if name in hyperparameters:
            raise LoupeError(f"the hyperparameter {name} is given twice", "Give it once.")
        hyperparameters[name] = value
    return hyperparameters


def known_families() -> list[str]:
    """Return the detector families in this checkout.

    They are listed by the names of their modules, because importing them would load torch.
    """
    spec = find_spec("training")
    packages = (spec.submodule_search_locations or []) if spec else []
    folders = [str(Path(package) / "detectors" / "families") for package in packages]
    return sorted(module.name for module in pkgutil.iter_modules(folders))
