"""Curves as inline SVG that takes its colours from the page, so that they suit light and dark alike.

No text of the data set is drawn here: class names stand in the HTML around, where they are escaped.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins that matplotlib can draw with, and what the page puts in their place.
_INK, _LINE, _ACCENT, _BAD, _GOOD = "#010101", "#020202", "#030303", "#040404", "#050505"
_COLOURS = {
    _INK: "currentColor",
    _LINE: "var(--line)",
    _ACCENT: "var(--accent)",
    _BAD: "var(--bad)",
    _GOOD: "var(--good)",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: smaller, and in the page's own font
    "svg.hashsalt": "loupe",  # the same figures give the same bytes
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "axes.grid": True,
}
Point = tuple[float, float]


def precision_recall(precision: Sequence[float], best: Point | None, escape: Point | None) -> str:
    """The curve of one class from its precision at recall 0, 0.01 .. 1; the operating points (recall, precision)."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("recall", "precision")
        recall = [step / 100 for step in range(len(precision))]
        axes.fill_between(recall, precision, color=_ACCENT, alpha=0.12, linewidth=0)
        axes.plot(recall, precision, color=_ACCENT, linewidth=1.8)
        for point, colour, marker in ((best, _INK, "o"), (escape, _BAD, "D")):
            if point:
                axes.plot([point[0]], [point[1]], marker, color=colour, markersize=5.5, clip_on=False)
        return _svg(figure)


def sweep(
    thresholds: Sequence[float],
    shares: Mapping[str, Sequence[float] | None],
    best: float | None,
    escape: float | None,
) -> str:
    """Escape and overkill (or false alarm) rates of one class by threshold, its operating points upright."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes("threshold", "share of images")
        alarm = shares["overkill"] or shares["false_alarm"]
        for values, colour, style in ((shares["escape"], _BAD, "-"), (alarm, _ACCENT, "-")):
            if values:
                axes.plot(thresholds, values, style, color=colour, linewidth=1.8)
        for at, colour, style in ((best, _INK, "--"), (escape, _BAD, ":")):
            if at is not None:
                axes.axvline(at, color=colour, linestyle=style, linewidth=1.3)
        return _svg(figure)


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(3.1, 2.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=across, ylabel=up)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # metadata names addresses of the web
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # no XML declaration inside HTML
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    return text.replace("<svg ", '<svg class="plot" role="img" ', 1)
