"""The rules, what changes in them, and their history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from contract.changes import Change, changes
from contract.text import counted
from loupe.stack.rules import CheckedRules, Document, RulesVersion
from loupe.views.console import out, table
from loupe.views.figures import local_time

_COLUMNS = {
    "fail_score": "fails from",
    "review_score": "review from",
    "smallest_area": "smallest area",
    "largest_area": "largest area",
    "allowed_count": "allowed",
    "severity": "severity",
    "verdict": "verdict",
}
_NO_LIMITS = {"least_sharpness": 0, "least_exposure": 0, "most_exposure": 1, "most_clipped": 1}


def show_rules(version: RulesVersion, checked: CheckedRules) -> None:
    """Print the rules in force as tables.

    Args:
        version: The version of the parameter.
        checked: Its document.
    """
    rules = checked.complete
    out.print(f"Rules {rules['version']}, in force since {local_time(version.when)}", soft_wrap=True)
    out.print(f"Version {version.number} of the parameter, by {version.who or 'somebody'}", soft_wrap=True)
    grid = table("\nClasses", figures=["class", *_COLUMNS.values()])
    for label, rule in sorted(rules["classes"].items()):
        grid.add_row(label, *_values(rule))
    grid.add_row("every other class", *_values(rules["default"]))
    out.print(grid)
    _show_lines(rules)
    _show_zones(rules)
    _show_pictures(rules)
    if candidate := (version.document or {}).get("candidate"):
        out.print(
            f"\nA swap is in progress: the answers of model {candidate['model']} are judged by its own scores "
            f"({candidate['version']}).",
            soft_wrap=True,
        )


def _values(rule: Document) -> Iterator[str]:
    return (_text(rule.get(name)) for name in _COLUMNS)


def _show_lines(rules: Document) -> None:
    if not rules["lines"]:
        return
    grid = table("\nWhat differs on a line", names=["line", "class", "values"])
    for line, classes in sorted(rules["lines"].items()):
        for label, change in classes.items():
            values = ", ".join(f"{_COLUMNS[name]} {_text(value)}" for name, value in change.items())
            grid.add_row(line, "every other class" if label == "default" else label, values)
    out.print(grid)


def _show_zones(rules: Document) -> None:
    for line, zones in sorted(rules["zones"].items()):
        parts = [
            counted(len(polygons), what)
            for what, polygons in (("region", zones["regions"]), ("ignored zone", zones["ignored"]))
            if polygons
        ]
        out.print(
            f"\nDetections on {line} count by place: {' and '.join(parts) or 'everywhere'}", soft_wrap=True
        )


def _show_pictures(rules: Document) -> None:
    limits = {"every line": rules["picture"], **rules["line_pictures"]}
    for line, picture in limits.items():
        set_limits = {name: value for name, value in picture.items() if value != _NO_LIMITS.get(name)}
        if set_limits or line != "every line":
            texts = [f"{name.replace('_', ' ')} {_text(value)}" for name, value in set_limits.items()]
            out.print(
                f"\nA picture passes on {line} with: {', '.join(texts) or 'any quality'}", soft_wrap=True
            )


def show_changes(before: Document | None, after: Document) -> None:
    """Print what changes from one document to another."""
    differences = changes(before, after)
    if not differences:
        out.print("No value changes.")
        return
    grid = table("What changes", names=["value", "before", "after"])
    for change in differences:
        grid.add_row(change.place, _side(change, "before", before), _side(change, "after", after))
    out.print(grid)


def _side(change: Change, side: str, document: Document | None) -> str | Text:
    """Return a value for a cell; a value that a class takes from `default` is named as such."""
    value = change.before if side == "before" else change.after
    if value is not None:
        return _text(value)
    place, _, name = change.place.rpartition(".")
    default = (document or {}).get("default", {}).get(name)
    if place.startswith("classes.") and default is not None:
        return Text(f"{_text(default)} (default)", "dim")
    return Text("–", "dim")


def show_notes(notes: Sequence[str]) -> None:
    """Print what a person should know about the rules."""
    for note in notes:
        out.print(f"Note: {note}", soft_wrap=True)


def show_history(versions: list[RulesVersion]) -> None:
    """Print the versions of the parameter, newest first, with what each changed."""
    grid = table("Rules, newest first", figures=["no.", "when"], names=["version", "what changed", "who"])
    for version, earlier in zip(versions, [*versions[1:], None], strict=True):
        what = summary(earlier, version) + (f" (“{version.comment}”)" if version.comment else "")
        grid.add_row(
            str(version.number), local_time(version.when), version.name or "not valid", what, version.who
        )
    out.print(grid)


def summary(earlier: RulesVersion | None, version: RulesVersion) -> str:
    """Return what a version changed, in a few words; earlier: the version before, if SSM still has it."""
    if earlier is None:
        return "the oldest that is kept"
    differences = changes(earlier.document, version.document)
    texts = [f"{change.place} {_brief(change.before)} → {_brief(change.after)}" for change in differences]
    if not texts:
        return "the name" if earlier.name != version.name else "nothing"
    more = f", and {len(texts) - 3} more" if len(texts) > 3 else ""
    return "; ".join(texts[:3]) + more


def _brief(value: Any) -> str:
    """Return a value in a few words; the only lists in a document are those of polygons."""
    return counted(len(value), "polygon") if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
