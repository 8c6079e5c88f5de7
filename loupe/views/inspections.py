"""Inspections and alerts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contract.inspections import Verdict
from loupe.stack.inspections import Inspection
from loupe.views.console import out

_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.REVIEW: "yellow",
    Verdict.UNREADABLE: "magenta",
}
_SHOWN_DETECTIONS = 3


def show_inspections(records: Iterable[Inspection], title: str) -> None:
    """Print the records as a table."""
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
            _explanation(record),
        )
    out.print(table)


def _explanation(record: Inspection) -> str:
    """Return the detections that decided, as `scratches 0.93, inclusion 0.51`; without one the first reason."""
    reasons = record.get("reasons", [])
    detections = [
        f"{reason['label']} {float(reason['score']):.2f}"
        for reason in reasons
        if reason.get("label") and reason.get("score") is not None
    ]
    if detections:
        return ", ".join(detections[:_SHOWN_DETECTIONS]) + (
            " …" if len(detections) > _SHOWN_DETECTIONS else ""
        )
    return reasons[0]["message"] if reasons else ""


def show_alert(envelope: dict[str, Any]) -> None:
    """Print an SNS message with all that its receivers get."""
    attributes = {name: value["Value"] for name, value in envelope.get("MessageAttributes", {}).items()}
    body = Text(envelope["Message"])
    with contextlib.suppress(ValueError):
        body = Text(json.dumps(json.loads(envelope["Message"]), indent=2, ensure_ascii=False))
    body.append(f"\n\nMessage attributes: {json.dumps(attributes, ensure_ascii=False)}", "dim")
    out.print(Panel(body, title=Text(envelope.get("Subject", "alert"), "bold red"), title_align="left"))
