"""Inspections and alerts."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from rich.panel import Panel
from rich.text import Text

from contract.inspections import Verdict
from contract.text import plain
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
_CSV_FIELDS = (
    *("received_at", "line", "station", "serial", "verdict", "severity", "why"),
    *("model", "model_version", "rules_version", "image", "version_id"),
)


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
    """Return what decided, as `scratches 0.93, inclusion 0.51`; without a detection the first reason."""
    reasons = record.get("reasons", [])
    # A message is `defect: scratches 0.93`, with as many digits as decide.
    detections = [reason["message"].rpartition(": ")[2] for reason in reasons if reason.get("label")]
    if not detections:
        return str(reasons[0]["message"]) if reasons else ""
    shown = ", ".join(detections[:_SHOWN_REASONS])
    return f"{shown} …" if len(detections) > _SHOWN_REASONS else shown


def csv_text(records: Iterable[Inspection]) -> str:
    """Return the records as CSV with a header, for a spreadsheet.

    A cell that a spreadsheet would run as a formula begins with an apostrophe
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        model = record.get("model") or {}
        row = record | {
            "why": "; ".join(reason["message"] for reason in record.get("reasons", [])),
            "model": model.get("name"),
            "model_version": model.get("version"),
        }
        writer.writerow({name: _cell(row.get(name)) for name in _CSV_FIELDS})
    return text.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else plain(str(value))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def show_alert(envelope: dict[str, Any]) -> None:
    """Print an SNS message with all that its receivers get."""
    attributes = {name: value["Value"] for name, value in envelope.get("MessageAttributes", {}).items()}
    body = Text(envelope["Message"])
    with contextlib.suppress(ValueError):
        body = Text(json.dumps(json.loads(envelope["Message"]), indent=2, ensure_ascii=False))
    body.append(f"\n\nMessage attributes: {json.dumps(attributes, ensure_ascii=False)}", "dim")
    out.print(Panel(body, title=Text(envelope.get("Subject", "alert"), "bold red"), title_align="left"))
