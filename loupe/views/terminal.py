"""What a person sees in the terminal: results on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from loupe.stack.inspections import Inspection

out = Console()
if not out.is_terminal:
    out = Console(width=120)  # a log or a pipe has no width of its own, and 80 would break the tables
err = Console(stderr=True)
_STYLES = {"pass": "green", "fail": "bold red", "review": "yellow", "unreadable": "magenta"}


def as_json(document: Any) -> None:
    """One JSON document on stdout, and nothing else there."""
    json.dump(document, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.write("\n")


def progress() -> Progress:
    """A bar on stderr; quiet where stderr is no terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )


def findings(record: Inspection) -> str:
    """The detections that count, best first, else why there are none: `scratches 0.93, inclusion 0.51`."""
    reasons = record.get("reasons", [])
    named = [
        f"{r['label']} {float(r['score']):.2f}"
        for r in reasons
        if r.get("label") and r.get("score") is not None
    ]
    if named:
        return ", ".join(named[:3]) + (" …" if len(named) > 3 else "")
    return reasons[0]["message"] if reasons else ""


def inspections(records: Iterable[Inspection], title: str) -> None:
    """The records as a table of verdicts."""
    table = Table(title=title, title_justify="left", expand=False)
    for name in ("received", "line", "station", "serial", "verdict", "severity"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="fold")
    for record in records:
        verdict = record["verdict"]
        table.add_row(
            record["received_at"][11:23],
            record["line"],
            record["station"],
            record["serial"],
            Text(verdict, _STYLES.get(verdict, "")),
            record.get("severity") or "",
            findings(record),
        )
    out.print(table)


def alert(envelope: dict[str, Any]) -> None:
    """One SNS message in full, as its receivers get it."""
    attributes = {name: value["Value"] for name, value in envelope.get("MessageAttributes", {}).items()}
    body = Text(envelope["Message"])
    with contextlib.suppress(ValueError):
        body = Text(json.dumps(json.loads(envelope["Message"]), indent=2, ensure_ascii=False))
    body.append(f"\n\nMessage attributes: {json.dumps(attributes, ensure_ascii=False)}", "dim")
    out.print(Panel(body, title=Text(envelope.get("Subject", "alert"), "bold red"), title_align="left"))
