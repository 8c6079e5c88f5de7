"""Rules for the retrain state machine: what Step Functions demands, and what a run that fails must still do.

Each lists what breaks it. Amazon States Language: https://states-language.net/spec.html
"""

import re
from collections.abc import Iterator
from typing import Any

import jsonata

from statemachine.definition import Definition, Scope, State, ends, scopes, ways

NOTICES = {"Notice", "NoticeFailure"}


def states(definition: Definition) -> Iterator[tuple[str, State]]:
    """Every state by its name, also those inside a Map."""
    for scope in scopes(definition):
        yield from scope.states.items()


def tasks(definition: Definition) -> Iterator[tuple[str, State]]:
    return ((name, state) for name, state in states(definition) if state["Type"] == "Task")


def texts(node: Any) -> Iterator[str]:
    """Every string in it."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for each in node.values() if isinstance(node, dict) else node:
            yield from texts(each)


def expressions(node: Any) -> Iterator[str]:
    """Every JSONata expression in it."""
    return (text[2:-2].strip() for text in texts(node) if is_expression(text))


def is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def reached(definition: Definition, start: str, stop: set[str]) -> set[str]:
    """The states that an execution may enter from `start` on, the Map's own among them, not going beyond `stop`."""
    beyond: dict[str, set[str]] = {}
    for scope in scopes(definition):
        for way in ways(scope.states):
            beyond.setdefault(way.source, set()).add(way.target)
        for name, state in scope.states.items():
            if scope.of and ends(state):
                outer = definition["States"][scope.of]
                beyond.setdefault(name, set()).add(outer.get("Next", scope.of))
        if scope.of:
            beyond.setdefault(scope.of, set()).add(scope.start)
    found, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [] if name in stop else beyond.get(name, set())
    return found


# ---------------------------------------------------------------- the rules


def failures_are_caught(definition: Definition) -> Iterator[str]:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    for name, state in states(definition):
        if state["Type"] not in ("Task", "Map"):
            continue
        if state["Type"] == "Task" and not state.get("Retry"):
            yield f"{name}: is not tried again"
        caught = [catcher["ErrorEquals"] for catcher in state.get("Catch", [])]
        if not caught or caught[-1] != ["States.ALL"]:
            yield f"{name}: some failures are not caught"
        for field in ("Retry", "Catch"):
            names = [each["ErrorEquals"] for each in state.get(field, [])]
            if any("States.ALL" in errors for errors in names[:-1]) or (
                names and "States.ALL" in names[-1] and len(names[-1]) > 1
            ):
                yield f"{name}: States.ALL stands neither alone nor last"


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


def failures_are_told(definition: Definition) -> Iterator[str]:
    """From every catcher each way to an end passes a notice; the notice of a failure is the last that is tried."""
    at_an_end = {name for name, state in definition["States"].items() if ends(state)}
    for scope in scopes(definition):
        for way in ways(scope.states):
            if way.kind != "catch" or way.source == "NoticeFailure":
                continue
            for name in sorted(reached(definition, way.target, NOTICES) & at_an_end):
                yield f"{way.source} may fail and end in {name}, and nobody is told"


def every_way_ends(definition: Definition) -> Iterator[str]:
    at_an_end = {name for name, state in definition["States"].items() if ends(state)}
    for name, _ in states(definition):
        if not reached(definition, name, set()) & at_an_end:
            yield f"{name}: no end can be reached"


def loops_have_a_bound(definition: Definition) -> Iterator[str]:
    """Each loop asks how often it went round: without the choices that count there are none."""
    for scope in scopes(definition):
        counted = {
            name
            for name, state in scope.states.items()
            if any("$polls" in rule["Condition"] for rule in state.get("Choices", []))
        }
        onward: dict[str, set[str]] = {}
        for way in ways(scope.states):
            if way.source not in counted:
                onward.setdefault(way.source, set()).add(way.target)
        for name in scope.states:
            seen, ahead = set(), list(onward.get(name, ()))
            while ahead:
                each = ahead.pop()
                if each not in seen:
                    seen.add(each)
                    ahead += onward.get(each, ())
            if name in seen:
                yield f"{name}: may go round for ever"


def states_are_linked(definition: Definition) -> Iterator[str]:
    names: list[str] = [name for name, _ in states(definition)]
    for name in {name for name in names if names.count(name) > 1}:
        yield f"{name}: the name is given twice"
    for name in set(names) - reached(definition, definition["StartAt"], set()):
        yield f"{name}: cannot be reached"
    for scope in scopes(definition):
        if scope.start not in scope.states:
            yield f"{scope.of}: starts at {scope.start}, which is not there"
        for way in ways(scope.states):
            if way.target not in scope.states:
                yield f"{way.source}: leads to {way.target}, which is not there"
        for name, state in scope.states.items():
            exits = {"Next", "End", "Choices"} & state.keys() if not ends(state) else {"End"}
            if len(exits) != 1 or (ends(state) and "Next" in state):
                yield f"{name}: has {len(exits)} ways out"
            if len(name) > 80:
                yield f"{name}: is too long a name"
            if state["Type"] == "Choice" and ("Default" not in state or "Assign" in state):
                # AWS and the language's specification differ on when a Choice's own Assign counts.
                yield f"{name}: lacks a Default, or assigns where its rules should"
            if state["Type"] == "Succeed":
                yield f"{name}: the local cloud's engine ignores the Output of a Succeed; a Pass with End does it"


def variables(scope: Scope) -> set[str]:
    return {name for way in ways(scope.states) for name in way.assigns}


def used(node: Any) -> set[str]:
    """The state machine's variables in the expressions in it."""
    names: set[str] = set()
    for expression in expressions(node):
        own = set(re.findall(r"\$(\w+)\s*:=", expression))
        names |= set(re.findall(r"\$([A-Za-z]\w*)\b(?!\s*\()", expression)) - own - {"states"}
    return names


def scopes_do_not_mix(definition: Definition) -> Iterator[str]:
    outer, *inner = scopes(definition)
    for scope in inner:
        for name in variables(scope) & variables(outer):
            yield f"${name}: is assigned inside and outside of {scope.of}"
    if "states" in set().union(*map(variables, scopes(definition))):
        yield "$states: is reserved"


def variables_are_there_before_they_are_used(definition: Definition) -> Iterator[str]:
    """On every way to a state; to use one that is not fails the state, also where no catcher can be."""
    outer, *inner = scopes(definition)
    known = settled(outer, frozenset())
    yield from unknown(outer, known)
    for scope in inner:
        assert scope.of
        yield from unknown(scope, settled(scope, known[scope.of]))


def settled(scope: Scope, before: frozenset[str]) -> dict[str, frozenset[str]]:
    """The variables that are assigned whichever way a state was reached."""
    every = frozenset(variables(scope)) | before
    known = dict.fromkeys(scope.states, every) | {scope.start: before}
    while True:
        after = dict(known)
        for way in ways(scope.states):
            if way.target in after:
                after[way.target] &= known[way.source] | way.assigns
        if after == known:
            return known
        known = after


def unknown(scope: Scope, known: dict[str, frozenset[str]]) -> Iterator[str]:
    for name, state in scope.states.items():
        own = {field: value for field, value in state.items() if field != "ItemProcessor"}
        for variable in sorted(used(own) - known[name]):
            yield f"{name}: ${variable} may not be there yet"


def assignments_do_not_see_one_another(definition: Definition) -> Iterator[str]:
    """AWS takes the values from before the state, the local cloud's engine those from the line before."""
    for name, state in states(definition):
        for holder in [state, *state.get("Catch", []), *state.get("Choices", [])]:
            earlier: set[str] = set()
            for variable, value in holder.get("Assign", {}).items():
                if found := used(value) & earlier:
                    yield f"{name}: ${variable} depends on {found}"
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
    """$states.result in Assign and Output of a task, $states.errorOutput in a catcher: AWS refuses it elsewhere."""
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


def it_ends_before_its_time_does(definition: Definition) -> Iterator[str]:
    """What runs out of the execution's own time ends without a notice. Loops are bounded to five hours at most."""
    seconds: dict[str, int] = {}
    for scope in reversed(list(scopes(definition))):
        inner = longest(scope, seconds)
        if scope.of:
            if (
                definition["States"][scope.of]["MaxConcurrency"] < 40
            ):  # the most at once, and more than there are
                yield f"{scope.of}: some wait for the others"
            seconds[scope.of] = inner
        elif inner + 3 * 5 * 3600 >= definition["TimeoutSeconds"]:
            yield f"it may take {inner / 86400:.1f} days and three loops"


def longest(scope: Scope, given: dict[str, int]) -> int:
    """The most seconds that tasks take on a way which passes no state twice."""
    onward: dict[str, set[str]] = {}
    for way in ways(scope.states):
        onward.setdefault(way.source, set()).add(way.target)

    def from_here(name: str, passed: frozenset[str]) -> int:
        own: int = given[name] if name in given else scope.states[name].get("TimeoutSeconds", 0)
        ahead = [each for each in onward.get(name, ()) if each not in passed and each in scope.states]
        return own + max((from_here(each, passed | {name}) for each in ahead), default=0)

    return from_here(scope.start, frozenset())
