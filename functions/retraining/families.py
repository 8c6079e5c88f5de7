"""The families that a run can train: their kind, and what of their hyperparameters it tunes and sets."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any, Literal

from contract.families import ANOMALY_FAMILIES

Kind = Literal["detector", "anomaly"]

_DOCUMENT = json.loads(resources.files("retraining").joinpath("families.json").read_text())
# Family → hyperparameter → `min`, `max` and `scaling` of its range. There is nothing to tune in an anomaly model.
FAMILIES: dict[str, dict[str, Any]] = {
    family: ranges | _DOCUMENT["every_family"] for family, ranges in _DOCUMENT["families"].items()
} | {family: {} for family in ANOMALY_FAMILIES}
# Of anomaly families: those that no detector has, and those that detectors have, too.
_OWN, _SHARED = (frozenset(_DOCUMENT["anomaly_hyperparameters"][name]) for name in ("own", "shared"))


def kind(family: str) -> Kind:
    """Return the kind of a family."""
    return "anomaly" if family in ANOMALY_FAMILIES else "detector"


def kinds(families: Collection[str]) -> set[Kind]:
    """Return the kinds of families."""
    return {kind(family) for family in families}


def meant_for(family: str, families: Collection[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the hyperparameters of a request that a family gets.

    In a run with families of one kind each gets all of them, and its job refuses what it does not know. If both kinds
    are trained, each gets those of its kind.

    Args:
        family: The family.
        families: All families of the run.
        given: The request's hyperparameters.
    """
    if len(kinds(families)) == 1:
        return dict(given)
    is_meant = (_OWN | _SHARED).__contains__ if kind(family) == "anomaly" else lambda name: name not in _OWN
    return {name: value for name, value in given.items() if is_meant(name)}
