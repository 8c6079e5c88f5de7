"""The origin's figures for training and tuning, beside ours."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def training_costs() -> Any:
    """Return training.json: `origin` and `ours`, each with `source`, `machine` and `rows`."""
    return json.loads(resources.files("loupe.cost").joinpath("training.json").read_text("utf-8"))
