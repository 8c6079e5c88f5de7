"""template.yaml, read once in each process."""

from __future__ import annotations

import functools
from typing import Any

from localcloud.sources import REPOSITORY
from localcloud.template import parse


@functools.cache
def stack_template() -> dict[str, Any]:
    """Return the template, with its short forms written in full. All tests share it: who changes it takes a copy."""
    template: dict[str, Any] = parse((REPOSITORY / "template.yaml").read_text())
    return template
