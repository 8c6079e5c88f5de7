"""Draws the retrain state machine into docs/retrain.md, as Mermaid: python -m statemachine.picture

https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from statemachine.definition import Definition, Scope, State, Way, ends, load, scopes, ways

PAGE = Path(__file__).parents[1] / "docs" / "retrain.md"
BEGIN, END = "<!-- state machine picture -->", "<!-- /state machine picture -->"
_SHAPES = {"Task": '["{}"]', "Choice": '{{"{}"}}', "Wait": '(["{}"])', "Pass": '("{}")', "Fail": '[["{}"]]'}
_MANY = 3  # failures that lead to one state: more are drawn as one
_LEGEND = """Boxes are tasks, diamonds choices, rounded boxes waits. Dotted lines are failures, after what can be tried
again was. A failure without a line of its own goes to `Retract` once a version is registered, else to
`Explain`; that of a candidate goes to `CandidateFailed`, and the others go on."""


def picture(definition: Definition) -> str:
    """A flowchart."""
    machine, *inner = scopes(definition)
    within = {scope.of: scope for scope in inner}
    lines = ["flowchart TD", f'  start(("start")) --> {machine.start}']
    for name, state in machine.states.items():
        if name in within:
            lines += [f'  subgraph {name}["{name}: for each"]', "    direction TB"]
            lines += [f"  {line}" for line in _drawn(within[name], f"{name}_failure")]
            lines.append("  end")
        else:
            lines.append(f"  {name}{_shape(state).format(name)}")
    lines += _drawn(machine, "failure")
    return "\n".join(lines) + "\n"


def _shape(state: State) -> str:
    return _SHAPES[state["Type"]] if not ends(state) or state["Type"] == "Fail" else '(("{}"))'


def _drawn(scope: Scope, failure: str) -> Iterator[str]:
    """The lines of a scope: inside a Map its states, too."""
    if scope.of:
        for name, state in scope.states.items():
            yield f"  {name}{_shape(state).format(name)}"
    every = list(ways(scope.states))
    caught = Counter(way.target for way in every if way.kind == "catch")
    last = [target for target, count in caught.items() if count > _MANY]
    for target in last:
        yield f'  {failure}_{target}(("other failures")) -.-> {target}'
    told: dict[tuple[str, str, str], list[str]] = {}
    for way in every:
        onward = any(
            (each.source, each.target, each.kind) == (way.source, way.target, "next") for each in every
        )
        if way.kind == "next" or (way.target not in last and not onward):
            line = "-.->" if way.kind == "catch" else "-->"
            told.setdefault((way.source, line, way.target), []).append(_label(way))
    for (source, line, target), labels in told.items():
        label = " / ".join(filter(None, labels))
        yield f"  {source} {line}" + (f'|"{label}"|' if label else "") + f" {target}"


def _label(way: Way) -> str:
    if way.kind == "else":
        return "else"
    return way.says.removeprefix("States.").removesuffix("ALL") if way.kind == "catch" else way.says


def on_page(text: str, drawing: str) -> str:
    """The page with the drawing between its markers; the second marker is set where it is missing."""
    before, begin, after = text.partition(BEGIN)
    if not begin:
        raise ValueError(f"{PAGE} has no {BEGIN}")
    rest = after.partition(END)[2] if END in after else after
    return f"{before}{BEGIN}\n```mermaid\n{drawing}```\n\n{_LEGEND}\n{END}{rest}"


def main() -> None:
    PAGE.write_text(on_page(PAGE.read_text(), picture(load())))
    sys.stdout.write(f"drawn into {PAGE}\n")


if __name__ == "__main__":
    main()
