"""The examples in docstrings: they are what people read first, so they must hold."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("contract", "functions", "training", "loupe", "localcloud", "statemachine", "docs", "notebooks")
# Their modules are imported without the name of the folder.
PATHS = ("functions", "notebooks")
_EXAMPLE = re.compile(r"^ *>>> ", re.MULTILINE)


def modules() -> list[str]:
    """Return the modules with examples, by the names that they are imported by."""
    found = []
    for folder in FOLDERS:
        top = ROOT / folder if folder in PATHS else ROOT
        for file in sorted((ROOT / folder).rglob("*.py")):
            if _EXAMPLE.search(file.read_text(encoding="utf-8")):
                name = ".".join(file.relative_to(top).with_suffix("").parts)
                found.append(name.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("module", modules())
def test_the_examples_of_a_module_hold(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0, "see above"
