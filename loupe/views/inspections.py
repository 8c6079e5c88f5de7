"""Inspections and alerts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from rich.panel import Panel
from rich.text import Text

from contract.inspections import Verdict
from loupe.stack.inspections import Inspection
from loupe.views.console import out, table
from loupe.views.figures import local_time

_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.REVIEW: "yellow",
    Verdict.UNREADABLE: "magenta",
}
_SHOWN_REASONS = 3


def styled(verdict: str) -> Text:
    """Return a verdict in its colour."""
    return Text(verdict, _STYLES.get(verdict, ""))  # type: ignore[call-overload]


def show_inspections(records: Iterable[Inspection], title: str) -> None:
    """Print the records as a table."""
    grid = table(title, figures=("received", "verdict"), names=("line", "station", "serial", "why"))
    for record in records:
        verdict = styled(record["verdict"])
        if severity := record.get("severity"):
            verdict.append(f" {severity}", "dim")
        grid.add_row(
            local_time(record["received_at"]),
            verdict,
            record["line"],
            record["station"],
            record["serial"],
            explanation(record),
        )
    out.print(grid)


def explanation(record: Inspection) -> str:
    """Return what decided, as `scratches 0.93, inclusion 0.51`; without a detection the first reason.

    What passed has none; then it is how unusual an anomaly model found it.
    """
    reasons = record.get("reasons", [])
    # A message is `defect: scratches 0.93`, with as many digits as decide.
    detections = [reason["message"].rpartition(": ")[2] for reason in reasons if reason.get("label")]
    if not detections:
        return str(reasons[0]["message"]) if reasons else _unusual(record)
    shown = ", ".join(detections[:_SHOWN_REASONS])
    return f"{shown} …" if len(detections) > _SHOWN_REASONS else shown


def _unusual(record: Inspection) -> str:
    score = (record.get("anomaly") or {}).get("score")
    # Of another product, or of none, there is no score.
    return "" if score is None else f"(anomaly score {score:.3f})"


def show_alert(envelope: dict[str, Any]) -> None:
    """Print an SNS message with all that its receivers get."""
    attributes = {name: value["Value"] for name, value in envelope.get("MessageAttributes", {}).items()}
    body = Text(envelope["Message"])
    with contextlib.suppress(ValueError):
        body = Text(json.dumps(json.loads(envelope["Message"]), indent=2, ensure_ascii=False))
    body.append(f"\n\nMessage attributes: {json.dumps(attributes, ensure_ascii=False)}", "dim")
    out.print(Panel(body, title=Text(envelope.get("Subject", "alert"), "bold red"), title_align="left"))
