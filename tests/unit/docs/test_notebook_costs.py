"""What the page of the notebook says about budgets follows from the notebook's plans and the dated prices."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

import billing
from tests.unit.docs.pages import ROOT

PAGE = (ROOT / "docs" / "notebook.md").read_text("utf-8")


def plans() -> dict[str, dict[str, Any]]:
    notebook = json.loads((ROOT / "notebooks" / "fine_tune_and_compare.ipynb").read_text("utf-8"))
    [cell] = [cell for cell in notebook["cells"] if cell.get("id") == "budget"]
    [plan] = [
        node.value
        for node in ast.parse("".join(cell["source"])).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PLANS"
    ]
    found: dict[str, dict[str, Any]] = ast.literal_eval(plan)
    return found


def test_the_page_has_every_budget() -> None:
    assert [f"| `{name}` |" in PAGE for name in plans()] == [True] * 3


@pytest.mark.parametrize("name", plans())
def test_a_budget_costs_at_most_what_the_page_says(name: str) -> None:
    plan = plans()[name]
    jobs = len(plan["families"]) + 2 * plan["tuning_jobs"]
    price = billing.price("training", "ml.g5.xlarge", "us-east-1")
    assert price is not None
    assert f"US$ {price.dollars:g} an hour on {price.as_of}" in PAGE
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert f" {jobs} training jobs of " in row
    assert f"US$ {jobs * plan['max_seconds'] / 3600 * price.dollars:.2f} |" in row
