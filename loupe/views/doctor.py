"""How the doctor's findings are printed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.text import Text

from loupe.doctor.examination import Finding, Result
from loupe.views.console import out

_STYLES = {Result.OK: "green", Result.WARNING: "yellow", Result.PROBLEM: "bold red", Result.NOT_RUN: "dim"}


def show(title: str, findings: list[Finding]) -> None:
    """Print the findings of one part."""
    out.print(Text(title, "bold"))
    for finding in findings:
        head = Text(f"  {finding.result:<8} ", _STYLES[finding.result])
        out.print(Text.assemble(head, f"{finding.check}: {finding.text}"), soft_wrap=True)
        if finding.command:
            out.print(f"           {finding.command}", soft_wrap=True)


def show_total(findings: list[Finding]) -> None:
    """Print how many findings there are of each kind."""
    numbers = Counter(finding.result for finding in findings)
    parts = [_number(numbers[result], result) for result in Result if numbers[result]]
    out.print(", ".join(parts) + ".")


def _number(number: int, result: Result) -> str:
    plural = "s" if number > 1 and result in (Result.WARNING, Result.PROBLEM) else ""
    return f"{number} {result}{plural}"


def document(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings as JSON."""
    return {
        "healthy": all(finding.result is not Result.PROBLEM for finding in findings),
        "checks": [
            {
                "check": finding.check,
                "result": finding.result.value,
                "text": finding.text,
                "command": finding.command or None,
            }
            for finding in findings
        ],
    }
