"""The result of a retraining run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loupe.views.console import err, out
from loupe.views.figures import accuracy, dollars, duration, score

_DECISIONS = {
    "promoted": "[bold green]promoted[/]: the endpoint serves the new model",
    "kept": "[bold]kept[/]: the endpoint serves the same model as before",
    "rolled_back": "[bold red]rolled back[/]: the new model failed in service; the previous one serves again",
    "rejected": "[bold yellow]rejected[/] by a person: the endpoint serves the same model as before",
    "nothing_new": "[bold]nothing new[/]: nothing was trained (--force trains all the same)",
    "already_running": "[bold yellow]already running[/]: another run is in progress, and this one did nothing",
}


def show_result(document: dict[str, Any]) -> None:
    """Print the output of an execution: the candidates, the decision and its reasons."""
    if document["status"] != "SUCCEEDED":
        out.print(f"[bold red]{document['status']}[/] {escape(str(document.get('error') or ''))}")
        out.print(escape(str(document.get("cause") or "No cause was given.")), soft_wrap=True)
        return
    if candidates := document.get("candidates") or []:
        _show_candidates(candidates, document.get("champion"), document.get("champion_before"))
    for candidate in candidates:
        _show_reasons(candidate)
    decision = document["decision"]
    out.print(f"\nDecision: {_DECISIONS.get(decision, escape(decision))}", soft_wrap=True)
    for reason in document.get("reasons") or []:
        out.print(f"  {reason}", markup=False, soft_wrap=True)
    if document.get("cost_usd") is not None:
        out.print(f"Estimated cost: {dollars(document['cost_usd'])}")
    if decision == "already_running":
        out.print("Follow the other run: loupe retrain --follow. Stop it: loupe retrain --stop.")


def _show_candidates(
    candidates: list[dict[str, Any]], champion: dict[str, Any] | None, champion_model: str | None
) -> None:
    table = Table(title="Candidates", title_justify="left", expand=False)
    for name in ("family", "tuned", "mAP", "mAP50", "time", "cost (estimate)", "gate"):
        table.add_column(name, no_wrap=name != "gate")
    for candidate in candidates:
        gate = Text("failed", "red") if candidate.get("error") else Text("not passed")
        if candidate.get("promotable"):
            gate = Text("passed", "green")
        table.add_row(
            escape(candidate["family"]),
            "yes" if candidate["tuned"] else "no",
            accuracy(candidate),
            score(candidate.get("map50")),
            duration(candidate["seconds"]) if candidate.get("seconds") is not None else "-",
            dollars(candidate.get("cost_usd")),
            gate,
        )
    if champion:
        model = Text(str(champion_model or champion.get("model")), "dim")
        table.add_row("(champion)", "", accuracy(champion), score(champion.get("map50")), "", "", model)
    out.print(table)


def _show_reasons(candidate: dict[str, Any]) -> None:
    """Print what the gate found for and against a candidate; an error is often among the reasons already."""
    reasons_for = candidate.get("for") or []
    reasons_against = list(dict.fromkeys([*(candidate.get("against") or []), candidate.get("error")]))
    for sign, style, reasons in (("+", "green", reasons_for), ("-", "red", reasons_against)):
        for reason in filter(None, reasons):
            out.print(Text.assemble((f"  {sign} ", style), f"{candidate['id']}: {reason}"), soft_wrap=True)


def show_report(uri: str, file: Path | None, quiet: bool) -> None:
    """Print where the report is.

    Args:
        uri: The report's S3 URI.
        file: The downloaded copy; None if the report could not be read.
        quiet: Print to stderr, because stdout carries JSON.
    """
    console = err if quiet else out
    if file is not None:
        console.print(f"Report: {escape(str(file))} (from {escape(uri)})", soft_wrap=True)
    else:
        console.print(f"Report: {escape(uri)}, which cannot be read from here", soft_wrap=True)
