"""Models beside each other: their mAP, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

import costs
from charts.figure import BLUE, GREY, WIDTH, Chart, logarithmic, one_line, styled


@styled
def comparison_bars(rows: Sequence[Mapping[str, Any]], *, data: str) -> Chart:
    """Draw the mAP of each model with its 95 % interval, and its mAP50.

    Args:
        rows: As `costs.comparison_table` takes them. A row without `map` is left out.
        data: The pictures on which the models were evaluated. Beside those of NEU-DET stand the origin's models.
    """
    found = [
        (one_line(row["model"]), row["map"], row.get("map50"), row.get("map_interval"), False)
        for row in rows
        if row.get("map") is not None
    ]
    if costs.is_origins(data):
        found += [(f"origin: {row.model}", row.map, row.map50, None, True) for row in costs.origin()]
    found.sort(key=lambda each: each[1])
    chart = Chart(figsize=(WIDTH, 0.9 + 0.34 * max(len(found), 1)))
    axes = chart.subplots()
    for place, (_, value, value50, interval, is_origin) in enumerate(found):
        colour = GREY if is_origin else BLUE
        if interval:
            axes.plot(
                interval,
                [place, place],
                color=colour,
                linewidth=5,
                alpha=0.35,
                marker="",
                solid_capstyle="butt",
            )
        axes.plot([value], [place], "o", color=colour, markersize=7, clip_on=False)
        if value50 is not None:
            axes.plot(
                [value50], [place], "o", color=colour, markersize=7, markerfacecolor="white", clip_on=False
            )
        axes.annotate(
            f"{value:.3f}", (value, place), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_yticks(range(len(found)), [name for name, *_ in found])
    axes.set(xlim=(0, 1), ylim=(-0.6, len(found) - 0.3))
    chart.supxlabel(
        f"{one_line(data)}. Filled: mAP [.5:.95] with its 95 % interval; hollow: mAP50", fontsize=9
    )
    axes.grid(axis="y", visible=False)
    chart.alt = f"mAP on {data}: " + ", ".join(f"{name} {value:.3f}" for name, value, *_ in reversed(found))
    return chart


@styled
def cost_against_map(table: costs.Table) -> Chart:
    """Draw the mAP of each model against what it cost, with a panel for each set of pictures.

    Args:
        table: The comparison. Where nothing costs dollars, as on a laptop, it is drawn against billable hours.
    """
    in_dollars = any(row.dollars for row in table.ours)
    places: list[_Place] = []
    for row in table.rows:
        if row.map is not None:
            cost = row.dollars if in_dollars else row.billable_hours
            places.append(_Place(len(places) + 1, row, row.map, cost))
    groups: dict[str, list[_Place]] = {}
    for place in places:
        group = costs.ORIGINS_PICTURES if costs.is_origins(place.row.pictures) else place.row.pictures
        groups.setdefault(group, []).append(place)
    chart = Chart(figsize=(WIDTH, 2.7 + 0.17 * math.ceil(len(places) / 2)))
    panels = chart.subplots(1, max(len(groups), 1), squeeze=False, sharey=True)[0]
    for axes, (pictures, members) in zip(panels, groups.items(), strict=False):
        _draw_places(axes, members)
        axes.set(title=pictures, xlabel="US$" if in_dollars else "billable hours")
    panels[0].set(ylabel="mAP [.5:.95]")
    panels[0].set_ylim(bottom=0)
    names = [
        Line2D([], [], linestyle="", marker="", label=f"{each.number}  {_title(each.row)}") for each in places
    ]
    chart.legend(handles=names, loc="outside lower center", ncols=2, handlelength=0, handletextpad=0)
    unit = "US$" if in_dollars else "billable hours"
    chart.alt = "mAP against cost: " + "; ".join(
        f"{_title(each.row)} {each.map:.3f} for {each.cost:.2f} {unit}"
        for each in places
        if each.cost is not None
    )
    return chart


@dataclass(frozen=True, slots=True)
class _Place:
    """A model in the chart.

    Attributes:
        number: In the chart and in its key.
        row: The model.
        map: Its mAP.
        cost: US dollars or hours; None if no price is recorded.
    """

    number: int
    row: costs.Row
    map: float
    cost: float | None


def _title(row: costs.Row) -> str:
    return f"origin: {row.model}" if row.is_origin else one_line(row.model)


def _draw_places(axes: Axes, places: Sequence[_Place]) -> None:
    known = [(each.cost, each) for each in places if each.cost is not None]
    for cost, each in known:
        colour = GREY if each.row.is_origin else BLUE
        axes.plot([cost], [each.map], "o", color=colour, markersize=13, clip_on=False)
        axes.annotate(
            str(each.number),
            (cost, each.map),
            color="white",
            ha="center",
            va="center_baseline",
            fontweight="bold",
        )
    least, most = (extreme((cost for cost, _ in known), default=0.0) for extreme in (min, max))
    if least > 0 and most > 8 * least:
        logarithmic(axes, least, most)
    else:
        axes.set_xlim(0, most * 1.2 or 1)
        axes.xaxis.set_major_locator(MaxNLocator(5))
