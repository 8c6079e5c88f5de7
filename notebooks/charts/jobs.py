"""How jobs went: the curves of trainings, and what tunings tried and found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from charts.figure import GREY, INK, WIDTH, Chart, logarithmic, look, one_line, styled

_METRICS = {"loss": "training loss", "val:map": "validation mAP", "val:map50": "validation mAP50"}
# Columns of the SDK's HyperparameterTuningJobAnalytics that are no hyperparameters.
_OF_THE_JOB = {"TrainingJobName", "TrainingJobStatus", "TrainingStartTime", "TrainingEndTime"}
_OBJECTIVE = "FinalObjectiveValue"


class Frame(Protocol):
    """A pandas DataFrame, as far as it is needed here."""

    def to_dict(self, orient: str) -> Any:
        """Return the rows, if orient is "records"."""


Rows = Frame | Sequence[Mapping[str, Any]]


@styled
def curves(frames: Mapping[str, Rows]) -> Chart:
    """Draw how the loss and the validation mAP of jobs went.

    Args:
        frames: By model, rows with `metric_name` ("loss", "val:map"), `value`, and `epoch` or `timestamp` (seconds from
            the start), as the SDK's TrainingJobAnalytics gives them.
    """
    chart = Chart(figsize=(WIDTH, 3.1))
    panels = chart.subplots(1, 2)
    rows = {model: _rows(frame) for model, frame in frames.items()}
    by_epoch = all("epoch" in row for each in rows.values() for row in each)
    for axes, metric in zip(panels, ("loss", "val:map"), strict=True):
        for number, model in enumerate(rows):
            points = _points(rows[model], metric, by_epoch=by_epoch)
            # The n-th model has the n-th colour in both panels, also if it has no points here.
            line = zip(*points, strict=True) if points else ([], [])
            axes.plot(*line, label=one_line(model), **look(number))
        axes.set(xlabel="epoch" if by_epoch else "minutes", title=_METRICS[metric])
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=by_epoch))
    handles, names = panels[0].get_legend_handles_labels()
    chart.legend(handles, names, loc="outside lower center", ncols=min(len(names), 5))
    best = {
        model: max((value for _, value in _points(rows[model], "val:map", by_epoch=by_epoch)), default=None)
        for model in rows
    }
    said = ", ".join(f"{one_line(model)} {value:.3f}" for model, value in best.items() if value is not None)
    chart.alt = f"Training loss and validation mAP of each model. Best validation mAP: {said or 'none'}."
    return chart


def _rows(frame: Rows) -> list[Mapping[str, Any]]:
    return list(frame.to_dict("records") if hasattr(frame, "to_dict") else frame)


def _points(rows: Sequence[Mapping[str, Any]], metric: str, *, by_epoch: bool) -> list[tuple[float, float]]:
    """Return the places of a metric's values, in order. A loss that is no number is left out."""
    return sorted(
        (float(row["epoch"]) if by_epoch else float(row["timestamp"]) / 60, float(row["value"]))
        for row in rows
        if row["metric_name"] == metric and math.isfinite(row["value"])
    )


@styled
def tuning(frames: Mapping[str, Rows]) -> Chart:
    """Draw what tuning jobs tried and found: the objective of each job, and by each hyperparameter.

    Args:
        frames: By model, a row for each job with `FinalObjectiveValue`, `TrainingJobStatus` and the hyperparameters, as
            the SDK's HyperparameterTuningJobAnalytics gives them.
    """
    tunings = {model: _in_order(_rows(frame)) for model, frame in frames.items()}
    columns = {model: _tuned(rows) for model, rows in tunings.items()}
    most = max(map(len, columns.values()), default=0)
    chart = Chart(figsize=(WIDTH, 2.5 * max(len(tunings), 1)))
    grid = chart.subplots(max(len(tunings), 1), 1 + most, squeeze=False, sharey="row")
    for number, (model, rows) in enumerate(tunings.items()):
        first, *others = grid[number]
        _objective_by_job(first, rows, look(number))
        first.set(ylabel=f"{one_line(model)}\nvalidation mAP")
        for axes, column in zip(others, columns[model], strict=False):
            _objective_by_value(axes, rows, column, look(number))
        for axes in others[len(columns[model]) :]:
            axes.set_axis_off()
    chart.alt = "Tuning. " + " ".join(_best(model, rows, columns[model]) for model, rows in tunings.items())
    return chart


def _in_order(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the jobs in the order of their starts, if all are known; the SDK's order is that of the objective."""
    starts: list[Any] = [row.get("TrainingStartTime") for row in rows]
    if any(start is None or start != start for start in starts):
        return rows  # a job has not begun: None, NaN or NaT
    return [rows[number] for number in sorted(range(len(rows)), key=lambda number: starts[number])]


def _objective(row: Mapping[str, Any]) -> float | None:
    value = row.get(_OBJECTIVE)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _number(value: Any) -> float | None:
    """Return the number that a hyperparameter is, or None; the API gives them as text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _tuned(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the hyperparameters that are not the same in all jobs."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [
        name
        for name in names
        if name not in _OF_THE_JOB and name != _OBJECTIVE and not name.startswith("TrainingElapsedTime")
        if len({str(row.get(name)) for row in rows}) > 1
    ][:3]


def _objective_by_job(axes: Axes, rows: Sequence[Mapping[str, Any]], look: Mapping[str, Any]) -> None:
    found = [(place, value) for place, row in enumerate(rows, 1) if (value := _objective(row)) is not None]
    best = [max(value for _, value in found[: count + 1]) for count in range(len(found))]
    axes.plot(*zip(*found, strict=True) if found else ([], []), linestyle="", **look)
    axes.step([place for place, _ in found], best, where="post", color=look["color"], linewidth=1, marker="")
    _mark_best(axes, found)
    failed = [place for place, row in enumerate(rows, 1) if _objective(row) is None]
    # A line without points that is not clipped has a place of its own, and the layout would make room for it.
    if failed:
        axes.plot(failed, [0] * len(failed), "x", color=GREY, clip_on=False)
    axes.set(xlabel="job", title="best so far", xlim=(0.5, max(len(rows), 1) + 0.5))
    # Room for the mark of the best one.
    axes.set_ylim(0, 1.15 * max(best, default=0) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _objective_by_value(
    axes: Axes, rows: Sequence[Mapping[str, Any]], column: str, look: Mapping[str, Any]
) -> None:
    jobs = [(row.get(column), value) for row in rows if (value := _objective(row)) is not None]
    numbers = [_number(value) for value, _ in jobs]
    if None in numbers:
        choices = sorted({str(value) for value, _ in jobs})
        places = [float(choices.index(str(value))) for value, _ in jobs]
        axes.set_xticks(range(len(choices)), [one_line(choice) for choice in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
    else:
        places = [number for number in numbers if number is not None]
        if places and min(places) > 0 and max(places) > 8 * min(places):
            logarithmic(axes, min(places), max(places))
        else:
            axes.margins(x=0.12)
            axes.xaxis.set_major_locator(MaxNLocator(3))
    points = list(zip(places, (objective for _, objective in jobs), strict=True))
    axes.plot(*zip(*points, strict=True) if points else ([], []), linestyle="", **look)
    _mark_best(axes, points)
    axes.set(xlabel=one_line(column))


def _mark_best(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    if points:
        x, y = max(points, key=lambda point: point[1])
        axes.plot([x], [y], "o", markersize=12, markerfacecolor="none", markeredgecolor=INK)


def _best(model: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    found = [(value, row) for row in rows if (value := _objective(row)) is not None]
    if not found:
        return f"{one_line(model)}: no job of {len(rows)} has a result."
    value, row = max(found, key=lambda pair: pair[0])
    values = ", ".join(f"{one_line(name)} {_short(row.get(name, ''))}" for name in columns)
    return f"{one_line(model)}: the best of {len(rows)} jobs has {value:.3f}" + (
        f" with {values}." if values else "."
    )


def _short(value: Any) -> str:
    number = _number(value)
    return one_line(value) if number is None else f"{number:.3g}"
