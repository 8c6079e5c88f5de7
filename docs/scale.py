"""Writes the tables and the chart of docs/scale.md: python -m docs.scale"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docs.cost import printed
from loupe.scale import quotas
from loupe.scale.capacity import DECADES, Reached, limits
from loupe.scale.load import Load, Stack

PAGE = Path(__file__).with_name("scale.md")
CHART = PAGE.parent / "pictures" / "scale.svg"
RUN = PAGE.with_name("scale-run.json")  # what loupe bench simulation --out has written
_STYLE = PAGE.parents[1] / "training" / "evaluation" / "reports" / "loupe.mplstyle"
_SHOWN = re.compile(r"(```\n\$ loupe ([^\n]+)\n).*?(```)", re.S)
_RATE = 1000.0
_ON_THE_CHART = 1e5
_COLOURS = {"setting": 0, "template": 1, "quota": 2, "stacks": 3, "nothing": 6}
# By limit: the table, the key, and what has this key.
_KEYS = {
    "line_index": ("inspections, `by_line_time`", "`<line>#<day>#<shard>`", "a line's records of a day"),
    "verdict_index": ("inspections, `by_verdict_time`", "`<verdict>#<day>#<shard>`", "what did not pass, of all lines"),
    "feed": ("statistics", "`feed#<line>`", "a short record of each image, in the order of time"),
    "feed_reads": ("statistics", "`feed#<line>`", "its last 8 s, which each open page reads every second"),
    "counters": ("statistics", "`hour#<day>`, `day#<month>`", "the counters of all stations"),
    "counter_conflicts": ("statistics", "an item of `hour#<day>`", "a station's counters; one transaction at a time"),
    "places": ("statistics", "`places`", "the stations, each with the time of its last image"),
    "review_queue": ("reviews, `by_queue`", "`open#<line>`", "what waits for people on a line"),
}  # fmt: skip


def main() -> None:
    """Write the page and the chart anew."""
    text = _SHOWN.sub(lambda shown: shown[1] + printed(shown[2]) + shown[3], PAGE.read_text("utf-8"))
    PAGE.write_text(with_tables(text), "utf-8")
    CHART.write_text(chart(), "utf-8")


def with_tables(text: str) -> str:
    """Return the page with its generated tables."""
    tables = {"keys": keys_table(), "quotas": quotas_table(), "run": run_table()}
    for name, table in tables.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        text = f"{before}<!-- {name} -->\n{table}<!-- /{name} -->{rest.partition(f'<!-- /{name} -->')[2]}"
    return text


def keys_table() -> str:
    """Return the busiest partitions, and at how many images a second each is full."""
    rows = []
    for name, (table, key, what) in _KEYS.items():
        figures = [_capacity(name, Load.of(rate)) for rate in DECADES[2:]]
        rows.append((table, key, what, *figures, _capacity(name, Load.of(_RATE, lines=1))))
    heads = ("table", "key", "holds", "full at, 10 lines", "100 lines", "1,000 lines", "one line")
    return _table(heads, rows)


def _capacity(name: str, load: Load) -> str:
    found = next(reached for reached in limits(load, Stack.of()) if reached.limit.name == name)
    return "never" if found.capacity is None else f"{_rounded(found.capacity):,}"


def _rounded(number: float) -> int:
    """Return a number with two digits that are not zero: the model is no more exact than that."""
    return int(float(f"{number:.1e}"))


def quotas_table() -> str:
    """Return AWS's quotas, each with the page that states it."""
    rows = []
    for name in quotas.names():
        found = quotas.quota(name, "us-east-1")
        more = f"; {found.note}" if found.note else ""
        page = found.page.removeprefix("https://")
        raised = "yes" if found.adjustable else "no"
        rows.append(
            (f"{found.value:,.0f} {found.unit}{more}", raised, f"[{_short(page)}]({found.page})", found.as_of)
        )
    return _table(("quota", "raised on request", "page", "looked up"), rows)


def _short(page: str) -> str:
    return page.rpartition("/")[2].removesuffix(".html")


def run_table() -> str:
    """Return what the simulation has predicted of the recorded run, and what was measured."""
    if not RUN.is_file():
        return "No run is recorded yet.\n"
    run: dict[str, Any] = json.loads(RUN.read_text("utf-8"))
    rows = [
        (row["what"], f"{row['measured']:g}", f"{row['predicted']:g}", f"{row['error']:+.0%}")
        for row in run["compared"]
    ]
    return f"{run['about']}\n\n" + _table(("", "measured", "predicted", "error"), rows)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def chart() -> str:
    """Return the chart of the limits as SVG: the same figures give the same bytes."""
    reached = [one for one in limits(Load.of(_RATE), Stack.of()) if one.capacity is not None]
    shown = [one for one in reached if _at(one) <= _ON_THE_CHART][::-1]
    # It takes a second to import, also for those who only want the tables.
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    with mpl.rc_context(fname=_STYLE):
        colours = [row["color"] for row in mpl.rcParams["axes.prop_cycle"]]
        figure = Figure(figsize=(7.6, 0.24 * len(shown) + 0.9))
        axes = figure.subplots()
        for by, number in _COLOURS.items():
            places = [place for place, one in enumerate(shown) if one.limit.by == by]
            axes.barh(
                places, [_at(shown[place]) for place in places], color=colours[number], height=0.62, label=by
            )
        axes.set_yticks(range(len(shown)), [one.limit.title for one in shown])
        axes.grid(axis="y", visible=False)
        axes.set_xscale("log")
        axes.set_xlim(0.1, 1.6 * _ON_THE_CHART)
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("images/s at which each limit is reached, with 100 lines")
        axes.legend(title="lifted by", loc="upper right", frameon=True)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return "".join(line.rstrip() + "\n" for line in svg.getvalue().splitlines())


def _at(one: Reached) -> float:
    return one.capacity or 0.0


if __name__ == "__main__":
    main()
