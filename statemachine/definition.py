"""The retrain state machine's definition as a graph: for its picture, and for the rules that it must keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).with_name("retrain.asl.json")
Definition = dict[str, Any]
State = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """States that lead to one another: the machine's own, or those inside the Map state `of`."""

    of: str | None
    start: str
    states: dict[str, State]


@dataclass(frozen=True)
class Way:
    """From one state to another. says: a choice rule's comment. assigns: variables that are set on the way."""

    source: str
    target: str
    kind: Literal["next", "rule", "else", "catch"]
    says: str = ""
    assigns: frozenset[str] = frozenset()


def load() -> Definition:
    """The definition as it lies in the repository, its substitutions unfilled."""
    definition: Definition = json.loads(FILE.read_text())
    return definition


def scopes(definition: Definition, of: str | None = None) -> Iterator[Scope]:
    """The machine's own scope first."""
    yield Scope(of, definition["StartAt"], definition["States"])
    for name, state in definition["States"].items():
        if "ItemProcessor" in state:
            yield from scopes(state["ItemProcessor"], name)


def ways(states: dict[str, State]) -> Iterator[Way]:
    """All ways out of these states; a catcher's way counts where its state has failed."""
    for name, state in states.items():
        assigned = frozenset(state.get("Assign", {}))
        if "Next" in state:
            yield Way(name, state["Next"], "next", assigns=assigned)
        for rule in state.get("Choices", []):
            yield Way(name, rule["Next"], "rule", rule.get("Comment", ""), frozenset(rule.get("Assign", {})))
        if "Default" in state:
            yield Way(name, state["Default"], "else", assigns=assigned)
        for catcher in state.get("Catch", []):
            caught = frozenset(catcher.get("Assign", {}))
            yield Way(name, catcher["Next"], "catch", ", ".join(catcher["ErrorEquals"]), caught)


def ends(state: State) -> bool:
    """Whether an execution, or a Map's iteration, ends here."""
    return state.get("End", False) or state["Type"] in ("Succeed", "Fail")
