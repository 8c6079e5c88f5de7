"""The notebook's environment has the SageMaker SDK and not Loupe, so its modules import nothing of ours."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import billing

FOLDER = Path(billing.__file__).parent
OURS = {path.parent.name for path in FOLDER.parent.glob("*/__init__.py")} | {
    path.parent.name for path in FOLDER.parent.glob("functions/*/__init__.py")
}


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.stem)
def test_a_module_of_the_notebook_imports_nothing_of_ours(file: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert {"contract", "loupe", "training", "inspection"} <= OURS
    assert imported & OURS == set()
