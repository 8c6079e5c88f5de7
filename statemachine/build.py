"""Write retrain.asl.json, which template.yaml deploys, from retrain.asl.yaml: python -m statemachine.build

AWS takes a definition as JSON, which has no comments and no way to write shared parts once; YAML has both.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from statemachine.definition import FILE, Definition

SOURCE = Path(__file__).with_name("retrain.asl.yaml")
_SHARED = "x-shared"  # the key in the source under which shared parts stand


def build(source: str) -> Definition:
    """Return the definition that a YAML text describes.

    Anchors and merge keys are resolved, the shared parts are left out, and lists inside lists are flattened.

    Args:
        source: YAML in the Amazon States Language.

    Returns:
        The definition, as Step Functions takes it.

    Example:
        >>> build("{x-shared: {errors: &errors [A, B]}, ErrorEquals: [*errors, C]}")
        {'ErrorEquals': ['A', 'B', 'C']}
    """
    document: dict[str, Any] = yaml.safe_load(source)
    return {key: _flatten(value) for key, value in document.items() if key != _SHARED}


def _flatten(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _flatten(value) for key, value in node.items()}
    if not isinstance(node, list):
        return node
    flat: list[Any] = []
    for item in map(_flatten, node):
        flat += item if isinstance(item, list) else [item]
    return flat


def to_json(definition: Definition) -> str:
    """Return the text of retrain.asl.json."""
    return json.dumps(definition, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(to_json(build(SOURCE.read_text())))
    sys.stdout.write(f"{FILE} is written\n")


if __name__ == "__main__":
    main()
