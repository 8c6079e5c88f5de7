"""What other rules would have decided, and the scores that people's decisions speak for."""

from __future__ import annotations

from typing import Any

from contract.inspections import Verdict
from loupe.stack.rules import Document
from loupe.views.console import out, table
from loupe.views.rules import show_changes, show_notes

_WHAT = {"escape": "bad parts that pass", "overkill": "good parts that fail"}


def show_preview(answer: Document) -> None:
    """Print what other rules would have decided beside the rules in force."""
    grid = table("Verdicts", figures=["", "now", "proposed"])
    for verdict in Verdict:
        grid.add_row(verdict.value, *(str(answer[side][verdict]) for side in ("current", "proposed")))
    out.print(grid)
    _show_moves(answer["moves"])
    grid = table("Rates, by people's decisions", figures=["", "now", "proposed"])
    for rate, what in _WHAT.items():
        grid.add_row(what, *(_rate(answer[rate][side]) for side in ("current", "proposed")))
    out.print(grid)
    show_notes(answer["notes"])


def _show_moves(moves: list[Document]) -> None:
    if not moves:
        out.print("No verdict changes.")
        return
    grid = table("What changes", figures=["from", "to", "images"], names=["such as"])
    for move in moves:
        grid.add_row(move["from"], move["to"], str(move["count"]), ", ".join(move["ids"][:2]))
    out.print(grid)


def show_proposal(answer: Document, current: Document | None) -> None:
    """Print proposed rules: what changes in them, their rates by class, and what they would have decided.

    Args:
        answer: The API's answer.
        current: The rules in force.
    """
    grid = table(
        "Classes with the proposed scores",
        figures=["class", "review from", "fails from", "escape", "overkill", "decided"],
    )
    for label, proposed in answer["by_label"].items():
        scores = (f"{proposed[name]:g}" for name in ("review_score", "fail_score"))
        rates = (_rate(proposed[name]) for name in _WHAT)
        grid.add_row(label, *scores, *rates, str(proposed["decided"]))
    out.print(grid)
    show_changes(current, answer["document"])
    show_notes(answer["notes"])
    show_preview(answer["preview"])


def _rate(rate: dict[str, Any]) -> str:
    """Return a rate with its interval, such as `1.2 % (0.4 to 3.1)`."""
    if rate["value"] is None:
        return "not known"
    value, low, high = (f"{100 * rate[name]:.2g}" for name in ("value", "low", "high"))
    return f"{value} % ({low} to {high})"
