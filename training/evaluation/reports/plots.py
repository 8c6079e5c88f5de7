"""Curves as inline SVG that takes its colours from the page, for its light and its dark theme.

No text of the data set is drawn here: class names are in the HTML around, where they are escaped.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Placeholders that matplotlib can draw with, and the CSS colours that replace them.
_INK, _LINE, _ACCENT, _BAD, _GOOD = "#010101", "#020202", "#030303", "#040404", "#050505"
_COLOURS = {
    _INK: "currentColor",
    _LINE: "var(--line)",
    _ACCENT: "var(--accent)",
    _BAD: "var(--bad)",
    _GOOD: "var(--good)",
}
# Of the style file of all charts, what a page decides: its colours, and the size of the letters beside its own.
_OF_THE_PAGE: dict[Any, Any] = {
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    # Curves of so many points have no marks.
    "axes.prop_cycle": cycler(color=[_ACCENT]),
}
Point = tuple[float, float]
_LEAST_LOG_ODDS, _MOST_LOG_ODDS = 3.0, 14.0
_HISTOGRAM_BINS = 48
_SCORE_TICKS = (0.00001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.99999)
# "best" is a detector's best F1.
_LINES = {
    "best": (_INK, "--"),
    "card": (_INK, "--"),
    "best_f1": (_ACCENT, "-"),
    "escape": (_BAD, ":"),
    "overkill": (_GOOD, "-."),
}


def precision_recall(precision: Sequence[float], best: Point | None, escape: Point | None) -> str:
    """Draw the precision-recall curve of one class.

    Args:
        precision: At recall 0, 0.01 .. 1.
        best: The best F1 point as (recall, precision).
        escape: The escape point as (recall, precision).

    Returns:
        An SVG element.
    """
    with _style():
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
    own: float | None = None,
) -> str:
    """Draw the escape and the overkill (or else false alarm) rate of one class by threshold.

    Args:
        thresholds: Of the x axis.
        shares: The rates at each threshold, as `operating_points.sweep` returns them.
        best: The threshold of the best F1 point, a vertical line.
        escape: The threshold of the escape point, a vertical line.
        own: The anomaly model's own threshold; its chart has the colours and the lines of `histogram`.

    Returns:
        An SVG element.
    """
    names = ("best", "escape") if own is None else ("best_f1", "escape", "card")
    with _style():
        figure, axes = _axes("threshold", "share of images")
        alarm = shares["overkill"] or shares["false_alarm"]
        for values, colour in ((shares["escape"], _BAD), (alarm, _ACCENT if own is None else _GOOD)):
            if values:
                axes.plot(thresholds, values, "-", color=colour, linewidth=1.8)
        for threshold, name in zip((best, escape, own), names, strict=False):
            if threshold is not None:
                colour, style = _LINES[name]
                axes.axvline(threshold, color=colour, linestyle=style, linewidth=1.3)
        return _svg(figure)


def histogram(
    good: Sequence[float], defective: Sequence[float], lines: Sequence[tuple[float | None, str]]
) -> str:
    """Draw how many good and how many defective images have each score.

    The scale is that of log-odds, on which scores near 0 and near 1 are apart. What is beyond it is at its ends.

    Args:
        good: The log-odds of the scores of the good images.
        defective: As good.
        lines: Scores for a vertical line each, with the name of its colour and style in _LINES.

    Returns:
        An SVG element.
    """
    values = np.clip([*good, *defective], -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
    low, high = min(-_LEAST_LOG_ODDS, values.min()), max(_LEAST_LOG_ODDS, values.max())
    with _style():
        figure = Figure(figsize=(6.4, 2.4), layout="constrained")
        axes = figure.subplots()
        edges = np.linspace(low, high, _HISTOGRAM_BINS + 1).tolist()
        for scores, colour in ((good, _GOOD), (defective, _BAD)):
            # One shape for all bins: as bars the chart takes three times as long.
            counts, _ = np.histogram(np.clip(scores, low, high), edges)
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.55, linewidth=0)
        for score, name in lines:
            if score is not None:
                colour, style = _LINES[name]
                axes.axvline(_log_odds(score), color=colour, linestyle=style, linewidth=1.4)
        ticks = [score for score in _SCORE_TICKS if low <= _log_odds(score) <= high]
        axes.set(xlim=(low, high), xlabel="score", ylabel="images")
        axes.set_xticks([_log_odds(score) for score in ticks], [f"{score:g}".lstrip("0") for score in ticks])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="x", visible=False)
        return _svg(figure)


@contextmanager
def _style() -> Iterator[None]:
    file = resources.files("training.evaluation.reports") / "loupe.mplstyle"
    with resources.as_file(file) as path, mpl.rc_context(_OF_THE_PAGE, path):
        yield


def _log_odds(score: float) -> float:
    share = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(share / (1 - share))


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(3.1, 2.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    # The metadata would contain web addresses and the date.
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]  # no XML declaration inside HTML
    for placeholder, colour in _COLOURS.items():
        text = text.replace(placeholder, colour)
    return text.replace("<svg ", '<svg class="plot" role="img" ', 1)
