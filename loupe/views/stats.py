"""Statistics."""

from __future__ import annotations

from datetime import datetime
from itertools import dropwhile
from typing import Any

from rich.text import Text

from contract.text import counted
from loupe.stack.statistics import Report, Totals, interval
from loupe.views.console import out, table
from loupe.views.figures import local_time

_BAR = 12
_MINUTES = 16  # characters of a time without its seconds
_WITHOUT_YEAR = 5
_HIGH, _LOW = "▲ high", "▼ low"


def show_statistics(report: Report, where: str) -> None:
    """Print the statistics: over time, by class, and by place and model if there are several.

    Args:
        report: The API's answer.
        where: What they are about, such as `line line-1`; empty for everything.
    """
    totals = report["totals"]
    if not totals["inspected"]:
        out.print(
            f"Nothing was inspected since {local_time(report['since'])[:_MINUTES]}: {where or 'all lines'}."
        )
        _show_beginning(report)
        return
    _show_time(report, where)
    share = share_text(totals["fail"], totals["inspected"])
    out.print(
        f"{counted(totals['inspected'], 'image')}: {totals['pass']} passed, {totals['fail']} failed ({share}), "
        f"{totals['review']} for review, {totals['unreadable']} unreadable.",
        soft_wrap=True,
    )
    _show_classes(totals)
    _show_groups("By station", report["lines"], ("line", "station"))
    _show_groups("By model", report["models"], ("version",))
    _show_beginning(report)


def share_text(number: int, total: int) -> str:
    """Return a share with its 95 % confidence interval.

    >>> share_text(7, 100), share_text(0, 0)
    ('7.0 % [3.4, 13.7]', '-')
    """
    if not total:
        return "-"
    low, high = interval(number, total)
    return f"{number / total:.1%} [{low * 100:.1f}, {high * 100:.1f}]".replace("%", " %")


def _show_time(report: Report, where: str) -> None:
    by_hour = report["by"] == "hour"
    unit = "hour" if by_hour else "day (UTC)"
    grid = table(
        f"{where or 'All lines'}, by {unit}", figures=(unit.partition(" ")[0], "images", "failed", "review")
    )
    for name in ("", "share [95 %]", ""):
        grid.add_column(name, no_wrap=True)
    most = max(bucket["inspected"] for bucket in report["buckets"])
    rows = _without_empty_ends(report)
    remarks = [_remark(*row) for row in rows]
    for (bucket, _, _), remark in zip(rows, remarks, strict=True):
        start = bucket["start"]
        grid.add_row(
            local_time(start)[_WITHOUT_YEAR:_MINUTES] if by_hour else start[:10],
            str(bucket["inspected"]),
            str(bucket["fail"]),
            str(bucket["review"]),
            _bar(bucket, most),
            share_text(bucket["fail"], bucket["inspected"]),
            remark,
        )
    out.print(grid)
    if any(remarks):
        out.print(
            "High and low are outside the limits of the control chart, three sigma from the mean.",
            soft_wrap=True,
        )


def _without_empty_ends(report: Report) -> list[tuple[Totals, float | None, float | None]]:
    control = report["control"]
    rows = list(zip(report["buckets"], control["upper"], control["lower"], strict=True))
    for _ in range(2):
        rows = list(dropwhile(lambda row: not row[0]["inspected"], rows))[::-1]
    return rows


def _bar(bucket: Totals, most: int) -> Text:
    """Return a bar as long as there are images; its red part are those that failed."""
    inspected, failed = bucket["inspected"], bucket["fail"]
    length = max(1, round(_BAR * inspected / most)) if inspected else 0
    red = min(length, max(1, round(length * failed / inspected))) if failed else 0
    bar = Text("█" * red, "red")
    bar.append("█" * (length - red), "green")
    return bar


def _remark(bucket: Totals, upper: float | None, lower: float | None) -> Text:
    """Return whether the share of failed images is outside the limits of the control chart."""
    if lower is None or upper is None or not bucket["inspected"]:
        return Text("")
    rate = bucket["fail"] / bucket["inspected"]
    if rate > upper:
        return Text(_HIGH, "bold red")
    return Text(_LOW, "yellow") if rate < lower else Text("")


def _show_classes(totals: Totals) -> None:
    labels = list(dict.fromkeys([*totals["defects"], *totals["doubts"]]))
    if not labels:
        return
    grid = table("By class", figures=("failed", "doubtful", "share of all images [95 %]"), names=("class",))
    for label in labels:
        failed = totals["defects"].get(label, 0)
        grid.add_row(
            str(failed), str(totals["doubts"].get(label, 0)), share_text(failed, totals["inspected"]), label
        )
    out.print(grid)


def _show_groups(title: str, groups: list[Totals], names: tuple[str, ...]) -> None:
    if len(groups) < 2:
        return
    grid = table(title, figures=("images", "failed", "review", "share of failed [95 %]"), names=names)
    for group in groups:
        figures = [str(group[name]) for name in ("inspected", "fail", "review")]
        grid.add_row(
            *figures, share_text(group["fail"], group["inspected"]), *(str(group[name]) for name in names)
        )
    out.print(grid)


def _show_beginning(report: Report) -> None:
    """Say if the stack began to count within the time span, because it then may have inspected more."""
    began: Any = report["counted_since"]
    if began is None:
        out.print("This stack has counted nothing yet.")
    elif datetime.fromisoformat(began) > datetime.fromisoformat(report["since"]):
        out.print(
            f"Counted since {local_time(began)[:_MINUTES]}; earlier images are not in these figures.",
            soft_wrap=True,
        )
