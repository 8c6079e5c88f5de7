"""Draw the retrain state machine into docs/retrain.md, as a Mermaid flowchart: python -m statemachine.picture

https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from statemachine.definition import (
    Definition,
    Scope,
    State,
    Transition,
    is_terminal,
    load,
    scopes,
    transitions,
)

PAGE = Path(__file__).parents[1] / "docs" / "retrain.md"
BEGIN, END = "<!-- state machine picture -->", "<!-- /state machine picture -->"
_SHAPES = {"Task": '["{}"]', "Choice": '{{"{}"}}', "Wait": '(["{}"])', "Pass": '("{}")', "Fail": '[["{}"]]'}
_TERMINAL_SHAPE = '(("{}"))'
# If more failures than this lead to one state, they are drawn as one line.
_MOST_FAILURE_LINES = 3
_LEGEND = """Boxes are tasks, diamonds are choices, rounded boxes are waits. A dotted line is a failure that remains
after all retries. A failure that has no line of its own leads to `Retract` once a version is registered, and to
`Explain` before that. A candidate's failure leads to `CandidateFailed`, and the other candidates continue."""


def picture(definition: Definition) -> str:
    """Return the state machine as a Mermaid flowchart."""
    machine, *map_scopes = scopes(definition)
    scope_of_map = {scope.map_state: scope for scope in map_scopes}
    lines = ["flowchart TD", f'  start(("start")) --> {machine.start}']
    for name, state in machine.states.items():
        if name in scope_of_map:
            scope = scope_of_map[name]
            lines += [f'  subgraph {name}["{name}: for each"]', "    direction TB"]
            lines += [f"  {_node(inner, state)}" for inner, state in scope.states.items()]
            lines += [f"  {line}" for line in _transition_lines(scope, f"{name}_failure")]
            lines.append("  end")
        else:
            lines.append(_node(name, state))
    lines += _transition_lines(machine, "failure")
    return "\n".join(lines) + "\n"


def _node(name: str, state: State) -> str:
    ends_well = is_terminal(state) and state["Type"] != "Fail"
    shape = _TERMINAL_SHAPE if ends_well else _SHAPES[state["Type"]]
    return f"  {name}{shape.format(name)}"


def _transition_lines(scope: Scope, failure_node: str) -> Iterator[str]:
    all_transitions = list(transitions(scope.states))
    failures = Counter(transition.target for transition in all_transitions if transition.kind == "catch")
    drawn_once = [target for target, count in failures.items() if count > _MOST_FAILURE_LINES]
    for target in drawn_once:
        yield f'  {failure_node}_{target}(("other failures")) -.-> {target}'
    successors = {(edge.source, edge.target) for edge in all_transitions if edge.kind == "next"}
    labels: dict[tuple[str, str, str], list[str]] = {}
    for transition in all_transitions:
        source, target = transition.source, transition.target
        is_drawn = target not in drawn_once and (source, target) not in successors
        if transition.kind == "next" or is_drawn:
            line = "-.->" if transition.kind == "catch" else "-->"
            labels.setdefault((source, line, target), []).append(_label(transition))
    for (source, line, target), parts in labels.items():
        label = " / ".join(filter(None, parts))
        yield f"  {source} {line}" + (f'|"{label}"|' if label else "") + f" {target}"


def _label(transition: Transition) -> str:
    if transition.kind == "else":
        return "else"
    if transition.kind == "catch":
        return transition.label.removeprefix("States.").removesuffix("ALL")
    return transition.label


def on_page(text: str, drawing: str) -> str:
    """Put the drawing between the page's markers.

    Args:
        text: The page, with the first marker; if the second is missing, it is added.
        drawing: A Mermaid flowchart.

    Returns:
        The page with the drawing and its legend.

    Raises:
        ValueError: The page has no marker.
    """
    before, begin, after = text.partition(BEGIN)
    if not begin:
        raise ValueError(f"{PAGE} has no {BEGIN}")
    rest = after.partition(END)[2] if END in after else after
    return f"{before}{BEGIN}\n```mermaid\n{drawing}```\n\n{_LEGEND}\n{END}{rest}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(on_page(PAGE.read_text(), picture(load())))
    sys.stdout.write(f"drawn into {PAGE}\n")


if __name__ == "__main__":
    main()
