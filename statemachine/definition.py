"""The retrain state machine's definition as a graph, for its picture and for the rules that the tests check."""

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
    """States that can lead to one another: those of the state machine itself, or those inside one Map state.

    Attributes:
        map_state: The name of the Map state; None for the state machine itself.
        start: The name of the first state.
        states: The states by name.
    """

    map_state: str | None
    start: str
    states: dict[str, State]


@dataclass(frozen=True)
class Transition:
    """A transition from one state to another.

    Attributes:
        source: The name of the state that is left.
        target: The name of the state that is entered.
        kind: `next`, a rule of a Choice (`rule`), a Choice's default (`else`), or a failure (`catch`).
        label: The comment of a Choice's rule, or the errors that are caught.
        assigned: The variables that are set on the way.
    """

    source: str
    target: str
    kind: Literal["next", "rule", "else", "catch"]
    label: str = ""
    assigned: frozenset[str] = frozenset()


def load() -> Definition:
    """Return the definition that template.yaml deploys, with its substitutions (`${Name}`) as they are."""
    definition: Definition = json.loads(FILE.read_text())
    return definition


def scopes(definition: Definition, map_state: str | None = None) -> Iterator[Scope]:
    """Yield the state machine's own scope first, then that of each Map state."""
    yield Scope(map_state, definition["StartAt"], definition["States"])
    for name, state in definition["States"].items():
        if "ItemProcessor" in state:
            yield from scopes(state["ItemProcessor"], name)


def transitions(states: dict[str, State]) -> Iterator[Transition]:
    """Yield all transitions between these states, also those that are taken after a failure."""
    for name, state in states.items():
        assigned = frozenset(state.get("Assign", {}))
        if "Next" in state:
            yield Transition(name, state["Next"], "next", assigned=assigned)
        for rule in state.get("Choices", []):
            by_rule = frozenset(rule.get("Assign", {}))
            yield Transition(name, rule["Next"], "rule", rule.get("Comment", ""), by_rule)
        if "Default" in state:
            yield Transition(name, state["Default"], "else", assigned=assigned)
        for catcher in state.get("Catch", []):
            by_catcher = frozenset(catcher.get("Assign", {}))
            yield Transition(name, catcher["Next"], "catch", ", ".join(catcher["ErrorEquals"]), by_catcher)


def is_terminal(state: State) -> bool:
    """Return whether an execution, or a Map's iteration, ends in this state."""
    return state.get("End", False) or state["Type"] in ("Succeed", "Fail")
