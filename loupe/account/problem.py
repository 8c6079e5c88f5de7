"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do.

    Attributes:
        level: `error` if nothing can be created with it, `warning` if something will not work later.
        message: What is wrong, in one sentence.
        hint: What to do.
    """

    level: Literal["error", "warning"]
    message: str
    hint: str
