"""Rules for the retrain state machine: what Step Functions requires, and what a failed run must still do.

Each rule yields the violations in a definition. Amazon States Language: https://states-language.net/spec.html
"""

import re
from collections.abc import Iterator
from typing import Any

import jsonata

from statemachine.definition import Definition, Scope, State, is_terminal, scopes, transitions

NOTICES = {"Notice", "NoticeFailure"}
# The variables that count the rounds of a loop.
COUNTERS = ("$polls", "$waits", "$looks")


def states(definition: Definition) -> Iterator[tuple[str, State]]:
    """Yield every state with its name, also those inside a Map."""
    for scope in scopes(definition):
        yield from scope.states.items()


def tasks(definition: Definition) -> Iterator[tuple[str, State]]:
    return ((name, state) for name, state in states(definition) if state["Type"] == "Task")


def texts(node: Any) -> Iterator[str]:
    """Yield every string in a part of a definition."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from texts(child)


def expressions(node: Any) -> Iterator[str]:
    """Yield every JSONata expression in a part of a definition."""
    return (text[2:-2].strip() for text in texts(node) if is_expression(text))


def is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def reachable(definition: Definition, start: str, stop: set[str]) -> set[str]:
    """Return the states that an execution may enter from `start` on, also inside a Map.

    The search does not continue after a state in `stop`.
    """
    successors: dict[str, set[str]] = {}
    for scope in scopes(definition):
        for transition in transitions(scope.states):
            successors.setdefault(transition.source, set()).add(transition.target)
        for name, state in scope.states.items():
            if scope.map_state and is_terminal(state):
                outer = definition["States"][scope.map_state]
                successors.setdefault(name, set()).add(outer.get("Next", scope.map_state))
        if scope.map_state:
            successors.setdefault(scope.map_state, set()).add(scope.start)
    visited, pending = set(), [start]
    while pending:
        name = pending.pop()
        if name not in visited:
            visited.add(name)
            pending += [] if name in stop else successors.get(name, set())
    return visited


# ---------------------------------------------------------------- the rules


def failures_are_caught(definition: Definition) -> Iterator[str]:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    for name, state in states(definition):
        if state["Type"] not in ("Task", "Map"):
            continue
        if state["Type"] == "Task" and not state.get("Retry"):
            yield f"{name}: has no Retry"
        caught = [catcher["ErrorEquals"] for catcher in state.get("Catch", [])]
        if not caught or caught[-1] != ["States.ALL"]:
            yield f"{name}: some failures are not caught"
        for field in ("Retry", "Catch"):
            names = [handler["ErrorEquals"] for handler in state.get(field, [])]
            if any("States.ALL" in errors for errors in names[:-1]) or (
                names and "States.ALL" in names[-1] and len(names[-1]) > 1
            ):
                yield f"{name}: States.ALL must be alone and last"


def retriers_are_in_order(definition: Definition) -> Iterator[str]:
    for name, state in states(definition):
        for retrier in state.get("Retry", []):
            longest = retrier.get("MaxDelaySeconds", 10**6)
            if not (
                longest > retrier["IntervalSeconds"] > 0
                and retrier["BackoffRate"] >= 1
                and 0 < retrier["MaxAttempts"] <= 99_999_999
                and retrier["JitterStrategy"] in ("FULL", "NONE")
            ):
                yield f"{name}: {retrier}"


def failures_are_reported(definition: Definition) -> Iterator[str]:
    """Every path from a catcher to an end passes a notice. Only the notice of a failure may fail in silence."""
    terminal = {name for name, state in definition["States"].items() if is_terminal(state)}
    for scope in scopes(definition):
        for transition in transitions(scope.states):
            if transition.kind != "catch" or transition.source == "NoticeFailure":
                continue
            for name in sorted(reachable(definition, transition.target, NOTICES) & terminal):
                yield f"{transition.source} may fail and end in {name} without a notice"


def every_path_ends(definition: Definition) -> Iterator[str]:
    terminal = {name for name, state in definition["States"].items() if is_terminal(state)}
    for name, _ in states(definition):
        if not reachable(definition, name, set()) & terminal:
            yield f"{name}: no end can be reached"


def loops_have_a_bound(definition: Definition) -> Iterator[str]:
    """Each loop counts its rounds: without the choices that read the counter there are no loops."""
    for scope in scopes(definition):
        counted = {
            name
            for name, state in scope.states.items()
            if any(counter in rule["Condition"] for rule in state.get("Choices", []) for counter in COUNTERS)
        }
        successors: dict[str, set[str]] = {}
        for transition in transitions(scope.states):
            if transition.source not in counted:
                successors.setdefault(transition.source, set()).add(transition.target)
        for name in scope.states:
            visited, pending = set(), list(successors.get(name, ()))
            while pending:
                successor = pending.pop()
                if successor not in visited:
                    visited.add(successor)
                    pending += successors.get(successor, ())
            if name in visited:
                yield f"{name}: may loop for ever"


def states_are_linked(definition: Definition) -> Iterator[str]:
    names: list[str] = [name for name, _ in states(definition)]
    for name in {name for name in names if names.count(name) > 1}:
        yield f"{name}: two states have this name"
    for name in set(names) - reachable(definition, definition["StartAt"], set()):
        yield f"{name}: cannot be reached"
    for scope in scopes(definition):
        if scope.start not in scope.states:
            yield f"{scope.map_state}: starts at {scope.start}, which does not exist"
        for transition in transitions(scope.states):
            if transition.target not in scope.states:
                yield f"{transition.source}: leads to {transition.target}, which does not exist"
        for name, state in scope.states.items():
            exits = {"Next", "End", "Choices"} & state.keys() if not is_terminal(state) else {"End"}
            if len(exits) != 1 or (is_terminal(state) and "Next" in state):
                yield f"{name}: has {len(exits)} exits"
            if len(name) > 80:
                yield f"{name}: the name is too long"
            if state["Type"] == "Choice" and ("Default" not in state or "Assign" in state):
                # AWS and the language's specification differ on when a Choice's own Assign takes effect.
                yield f"{name}: has no Default, or has an Assign that belongs to its rules"
            if state["Type"] == "Succeed":
                yield f"{name}: the local cloud's engine ignores the Output of a Succeed; use a Pass with End"


def variables(scope: Scope) -> set[str]:
    return {name for transition in transitions(scope.states) for name in transition.assigned}


def used(node: Any) -> set[str]:
    """Return the state machine's variables that the expressions in a part of a definition use."""
    names: set[str] = set()
    for expression in expressions(node):
        own = set(re.findall(r"\$(\w+)\s*:=", expression))
        names |= set(re.findall(r"\$([A-Za-z]\w*)\b(?!\s*\()", expression)) - own - {"states"}
    return names


def scopes_do_not_mix(definition: Definition) -> Iterator[str]:
    outer, *inner = scopes(definition)
    for scope in inner:
        for name in variables(scope) & variables(outer):
            yield f"${name}: is assigned inside and outside of {scope.map_state}"
    if "states" in set().union(*map(variables, scopes(definition))):
        yield "$states: is reserved"


def variables_are_assigned_before_they_are_used(definition: Definition) -> Iterator[str]:
    """On every path to a state. An unassigned variable fails the state, also states that cannot have a Catch."""
    outer, *inner = scopes(definition)
    known = assigned_on_every_path(outer, frozenset())
    yield from unassigned(outer, known)
    for scope in inner:
        assert scope.map_state
        yield from unassigned(scope, assigned_on_every_path(scope, known[scope.map_state]))


def assigned_on_every_path(scope: Scope, before: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return for each state the variables that are assigned on every path to it."""
    every = frozenset(variables(scope)) | before
    known = dict.fromkeys(scope.states, every) | {scope.start: before}
    while True:
        after = dict(known)
        for transition in transitions(scope.states):
            if transition.target in after:
                after[transition.target] &= known[transition.source] | transition.assigned
        if after == known:
            return known
        known = after


def unassigned(scope: Scope, known: dict[str, frozenset[str]]) -> Iterator[str]:
    for name, state in scope.states.items():
        own = {field: value for field, value in state.items() if field != "ItemProcessor"}
        for variable in sorted(used(own) - known[name]):
            yield f"{name}: ${variable} may not be assigned yet"


def assignments_do_not_see_one_another(definition: Definition) -> Iterator[str]:
    """AWS reads the values from before the state, the local cloud's engine those from the line before."""
    for name, state in states(definition):
        for holder in [state, *state.get("Catch", []), *state.get("Choices", [])]:
            earlier: set[str] = set()
            for variable, value in holder.get("Assign", {}).items():
                if dependencies := used(value) & earlier:
                    yield f"{name}: ${variable} depends on {dependencies}"
                earlier.add(variable)


def expressions_are_jsonata(definition: Definition) -> Iterator[str]:
    for name, state in states(definition):
        own = {field: value for field, value in state.items() if field != "ItemProcessor"}
        if any("{%" in text or "%}" in text for text in texts(own) if not is_expression(text)):
            yield f"{name}: an expression is not the whole string"
        for expression in expressions(own):
            try:
                jsonata.Jsonata.jsonata(expression)
            except jsonata.JException as error:
                yield f"{name}: {error}: {expression}"


def results_and_errors_are_read_where_they_are(definition: Definition) -> Iterator[str]:
    """$states.result in a task's Assign and Output, $states.errorOutput in a catcher: AWS refuses them elsewhere."""
    for name, state in states(definition):
        caught = state.get("Catch", [])
        if any("$states.result" in text for text in texts(caught)):
            yield f"{name}: a catcher has no result"
        rest = {field: value for field, value in state.items() if field not in ("Catch", "ItemProcessor")}
        if any("$states.errorOutput" in text for text in texts(rest)):
            yield f"{name}: has no error"
        if state["Type"] in ("Task", "Map"):
            rest = {field: value for field, value in rest.items() if field not in ("Assign", "Output")}
        if any("$states.result" in text for text in texts(rest)):
            yield f"{name}: has no result"


def the_tasks_fit_into_the_executions_time(definition: Definition) -> Iterator[str]:
    """An execution that runs out of its own time sends no notice. A loop takes five hours at most."""
    seconds: dict[str, int] = {}
    for scope in reversed(list(scopes(definition))):
        inner = longest(scope, seconds)
        if scope.map_state:
            # 40 is the most that an inline Map runs at once; there are fewer candidates.
            if definition["States"][scope.map_state]["MaxConcurrency"] < 40:
                yield f"{scope.map_state}: some candidates wait for others"
            seconds[scope.map_state] = inner
        elif inner + 3 * 5 * 3600 >= definition["TimeoutSeconds"]:
            yield f"it may take {inner / 86400:.1f} days and three loops"


def longest(scope: Scope, map_seconds: dict[str, int]) -> int:
    """Return the most seconds that tasks take on a path that enters no state twice."""
    successors: dict[str, set[str]] = {}
    for transition in transitions(scope.states):
        successors.setdefault(transition.source, set()).add(transition.target)

    def seconds_from(name: str, visited: frozenset[str]) -> int:
        own: int = map_seconds[name] if name in map_seconds else scope.states[name].get("TimeoutSeconds", 0)
        pending = [
            successor
            for successor in successors.get(name, ())
            if successor not in visited and successor in scope.states
        ]
        return own + max((seconds_from(successor, visited | {name}) for successor in pending), default=0)

    return seconds_from(scope.start, frozenset())
