"""Inspections as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from contract.text import plain

FIELDS = (
    *("received_at", "line", "station", "serial", "verdict", "severity", "why"),
    *("model", "model_version", "rules_version", "image", "version_id", "anomaly_score"),
)
_FORMULAS = ("=", "+", "-", "@")


def csv_text(records: Iterable[Mapping[str, Any]]) -> str:
    """Return inspection records as CSV, with a header.

    A cell that a spreadsheet would run as a formula begins with an apostrophe
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        model = record.get("model") or {}
        row = {
            **record,
            "why": "; ".join(reason["message"] for reason in record.get("reasons", [])),
            "model": model.get("name"),
            "model_version": model.get("version"),
            "anomaly_score": (record.get("anomaly") or {}).get("score"),
        }
        writer.writerow({name: cell(row.get(name)) for name in FIELDS})
    return text.getvalue()


def cell(value: Any) -> str:
    """Return the text of a cell, on one line, which no spreadsheet takes for a formula.

    >>> cell("=1+1"), cell(None), cell("two\\nlines")
    ("'=1+1", '', 'two lines')
    """
    text = "" if value is None else plain(str(value))
    # Some programs look past spaces.
    return f"'{text}" if text.lstrip().startswith(_FORMULAS) else text
