"""Reviews, and the rates that follow from them."""

from __future__ import annotations

from typing import Any

from contract.text import counted
from loupe.stack.reviews import Review, ReviewList
from loupe.views.console import out, table
from loupe.views.figures import local_time
from loupe.views.inspections import styled

_TITLES = {
    "open": "Waiting for a person",
    "decided": "Decided",
    "disagreement": "People disagree",
}


def show_reviews(found: ReviewList, state: str) -> None:
    """Print reviews as a table. state: which ones they are."""
    grid = table(
        _TITLES[state],
        figures=("received", "verdict", "id"),
        names=("line", "serial", "why" if state == "open" else "decided"),
    )
    for review in found.reviews:
        grid.add_row(
            local_time(review["received_at"]),
            styled(review["verdict"]),
            review["id"],
            review["line"],
            review["serial"],
            _why(review) if state == "open" else _decided(review),
        )
    out.print(grid)


def waiting(found: ReviewList) -> str:
    """Return how much waits, as a sentence."""
    images = counted(found.waiting, "image")
    return f"{'At least ' if found.is_least else ''}{images} waiting."


def _why(review: Review) -> str:
    why = "; ".join(review["why"])
    claim = review["claim"]
    return f"{claim['by']} is working on it; {why}" if claim else why


def _decided(review: Review) -> str:
    return "; ".join(f"{entry['verdict']} by {entry['by']}" for entry in review["decisions"])


def show_rates(found: dict[str, Any]) -> None:
    """Print escape and overkill rate, with their 95 % intervals."""
    grid = table("Escape and overkill rate, with 95 % intervals", figures=("", "escape", "overkill"))
    grid.add_row("all", _rate(found["escape"]), _rate(found["overkill"]))
    for group, name in (("by_line", "line"), ("by_label", "label"), ("by_model", "version")):
        for item in found[group]:
            grid.add_row(f"{name} {item[name]}", _rate(item["escape"]), _rate(item["overkill"]))
    out.print(grid)
    decided, differ = counted(found["decided"], "image"), counted(found["disagreements"], "image")
    out.print(f"{decided} decided; people disagree about {differ}.", soft_wrap=True)
    for reason in dict.fromkeys(found[rate]["reason"] for rate in ("escape", "overkill")):
        if reason:
            out.print(reason, soft_wrap=True)


def _rate(rate: dict[str, Any]) -> str:
    """Return a rate, as `1.2% [0.4%, 3.1%]`."""
    if rate["value"] is None:
        return "-"
    return "{:.1%} [{:.1%}, {:.1%}]".format(rate["value"], rate["low"], rate["high"])
