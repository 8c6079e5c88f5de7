"""What a person sees of a retraining: where it is, what it ended with, and the registry's versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loupe.stack.jobs import Line
from loupe.stack.registry import Version
from loupe.stack.retraining import Progress
from loupe.views.terminal import err, out

_NEWS_SECONDS = 30.0  # between two plain lines on the same job
_WAITS_FOR_PERSON = "AskApproval"
_STYLES = {"done": "green", "failed": "bold red", "waiting": "dim"}
_DECISIONS = {
    "promoted": "[bold green]promoted[/]: the endpoint serves the new model",
    "kept": "[bold]kept[/]: the endpoint serves what it served before",
    "rolled_back": "[bold red]rolled back[/]: the new model failed in service, the former one serves again",
    "rejected": "[bold yellow]rejected[/]: a person said no, the endpoint serves what it served before",
    "nothing_new": "[bold]nothing new[/]: nothing was trained (--force trains all the same)",
    "already_running": "[bold yellow]already running[/]: another run is at work, and this one did nothing",
}


@contextmanager
def watch(plain: bool) -> Iterator[Callable[[Progress], None]]:
    """A live table on stderr; where that is no terminal, or for a program's sake, a line for each news."""
    if plain or not err.is_terminal:
        yield _Lines().show
        return
    with Live(console=err, refresh_per_second=4) as live:
        yield lambda progress: live.update(_table(progress))


def _table(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in progress.steps:
        sign = Text("✗", "red") if step.failed else Text("✓", "green") if step.ended else Text("●", "cyan")
        note = ""
        if step.ended is None and step.name == _WAITS_FOR_PERSON:
            note = f"waits for a person: {_asks(progress)}"
        table.add_row(sign, step.name, duration(step.seconds()), note)
        if step.name == "Candidates":
            for line in progress.jobs:
                table.add_row(
                    "",
                    f"  {escape(line.label)}",
                    Text(line.stage, _STYLES.get(line.stage, "")),
                    escape(line.detail),
                )
    return table


def _asks(progress: Progress) -> str:
    run = progress.run or "RUN"
    return f"loupe approve {run}, or loupe reject {run}"


class _Lines:
    """News as plain lines."""

    def __init__(self) -> None:
        self._steps: set[tuple[str, bool]] = set()
        self._jobs: dict[str, tuple[Line, float]] = {}

    def show(self, progress: Progress) -> None:
        """Tells what has changed since the last time; of a step in a loop, its first round."""
        for step in progress.steps:
            ended = step.ended is not None
            if (step.name, ended) in self._steps:
                continue
            self._steps.add((step.name, ended))
            what = (
                f"{'failed' if step.failed else 'done'} in {duration(step.seconds())}" if ended else "begun"
            )
            self._say(f"{step.name}: {what}")
            if step.name == _WAITS_FOR_PERSON and not ended:
                self._say(f"waits for a person: {_asks(progress)}")
        for line in progress.jobs:
            if self._is_news(line):
                self._jobs[line.label] = line, time.monotonic()
                self._say(f"{line.label}: {line.stage}{': ' if line.detail else ''}{line.detail}")

    def _is_news(self, line: Line) -> bool:
        before, at = self._jobs.get(line.label, (None, 0.0))
        if before is None or before.stage != line.stage:
            return True
        return before != line and time.monotonic() - at >= _NEWS_SECONDS

    def _say(self, text: str) -> None:
        err.print(f"{datetime.now():%H:%M:%S} {text}", soft_wrap=True, markup=False, highlight=False)  # noqa: DTZ005 - the reader's clock


def result(document: dict[str, Any]) -> None:
    """What an execution ended with: the candidates, the decision and its reasons."""
    if document["status"] != "SUCCEEDED":
        out.print(f"[bold red]{document['status']}[/] {escape(str(document.get('error') or ''))}")
        out.print(escape(str(document.get("cause") or "No cause was given.")), soft_wrap=True)
        return
    if candidates := document.get("candidates") or []:
        _candidates(candidates, document.get("champion"), document.get("champion_before"))
    for each in candidates:
        against = list(dict.fromkeys([*(each.get("against") or []), each.get("error")]))
        for sign, style, reasons in (("+", "green", each.get("for") or []), ("-", "red", against)):
            for reason in filter(None, reasons):
                out.print(Text.assemble((f"  {sign} ", style), f"{each['id']}: {reason}"), soft_wrap=True)
    decision = document["decision"]
    out.print(f"\nDecision: {_DECISIONS.get(decision, escape(decision))}", soft_wrap=True)
    for reason in document.get("reasons") or []:
        out.print(f"  {reason}", markup=False, soft_wrap=True)
    if document.get("cost_usd") is not None:
        out.print(f"Estimated cost: {dollars(document['cost_usd'])}")
    if decision == "already_running":
        out.print("Follow the run at work: loupe retrain --follow. Stop it: loupe retrain --stop.")


def _candidates(candidates: list[dict[str, Any]], champion: dict[str, Any] | None, model: str | None) -> None:
    table = Table(title="Candidates", title_justify="left", expand=False)
    for name in ("family", "tuned", "mAP", "mAP50", "time", "cost (estimate)", "gate"):
        table.add_column(name, no_wrap=name != "gate")
    for each in candidates:
        verdict = Text("failed", "red") if each.get("error") else Text("not passed")
        if each.get("promotable"):
            verdict = Text("passed", "green")
        table.add_row(
            escape(each["family"]),
            "yes" if each["tuned"] else "no",
            accuracy(each),
            _number(each.get("map50")),
            duration(each["seconds"]) if each.get("seconds") is not None else "-",
            dollars(each.get("cost_usd")),
            verdict,
        )
    if champion:
        before = Text(str(model or champion.get("model")), "dim")
        table.add_row("(champion)", "", accuracy(champion), _number(champion.get("map50")), "", "", before)
    out.print(table)


def report(uri: str, file: Path | None, quiet: bool) -> None:
    """Where the report lies, and its copy; on stderr where stdout is a program's."""
    console = err if quiet else out
    if file is not None:
        console.print(f"Report: {escape(str(file))} (from {escape(uri)})", soft_wrap=True)
    else:
        console.print(f"Report: {escape(uri)}, which cannot be read from here", soft_wrap=True)


def versions(found: list[Version], group: str, serves: str | None) -> None:
    """The registry's versions, and what serves."""
    if not found:
        out.print(
            f"The registry {escape(group)} has no version yet. Bring in labelled images (loupe import PATH), "
            "then start a run (loupe retrain --wait).",
            soft_wrap=True,
        )
    else:
        table = Table(title=f"Versions in {group}", title_justify="left", expand=False)
        for name in ("version", "status", "family", "tuned", "mAP", "created", "run", "serves"):
            table.add_column(name, no_wrap=True)
        for version in found:
            document = version.document()
            table.add_row(
                str(version.number),
                version.status,
                escape(document["family"] or "-"),
                {True: "yes", False: "no", None: "-"}[document["tuned"]],
                _number(version.map),
                f"{version.created:%Y-%m-%d %H:%M}",
                escape(document["run"] or "-"),
                Text("now", "bold green") if version.serving else "",
            )
        out.print(table)
    if serves is None:
        out.print("There is no endpoint yet.")
    elif not any(version.serving for version in found):
        out.print(f"The endpoint serves {escape(serves)}, which is no version: it was deployed by hand.")


def accuracy(scores: dict[str, Any]) -> str:
    """mAP with its interval, as `0.412 [0.371, 0.455]`; `-` without one."""
    interval = scores.get("map_interval")
    if scores.get("map") is None or not interval:
        return _number(scores.get("map"))
    return f"{scores['map']:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(9), duration(75), duration(7500)
    ('9 s', '1 min 15 s', '2 h 5 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def dollars(amount: float | None) -> str:
    """US dollars; `-` where nothing is known, as on a laptop."""
    return "-" if amount is None else f"${amount:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
