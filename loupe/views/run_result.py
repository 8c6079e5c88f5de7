"""The result of a retraining run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.text import Text

from contract.text import plain
from loupe.views.console import err, out, table
from loupe.views.figures import accuracy, dollars, duration, score, share

# By decision: its style, and what it means.
_DECISIONS = {
    "promoted": ("bold green", "the endpoint serves the new model"),
    "kept": ("bold", "the endpoint serves the same model as before"),
    "rolled_back": ("bold red", "the new model failed in service; the previous one serves again"),
    "restored": ("bold green", "the endpoint serves the earlier version again"),
    "rejected": ("bold yellow", "by a person: the endpoint serves the same model as before"),
    "nothing_new": ("bold", "nothing was trained (--force trains all the same)"),
    "already_running": ("bold yellow", "another run is in progress, and this one did nothing"),
}


def show_result(document: dict[str, Any], options: str = "") -> None:
    """Print the output of an execution: the candidates, the decision and its reasons, and the rules.

    Args:
        document: The output.
        options: The options with which another command works on the same target.
    """
    if document["status"] != "SUCCEEDED":
        status = (document["status"], "bold red")
        out.print(Text.assemble(status, f" {plain(str(document.get('error') or ''))}"), soft_wrap=True)
        out.print(str(document.get("cause") or "No cause was given."), soft_wrap=True)
        return
    if candidates := document.get("candidates") or []:
        _show_candidates(candidates, document.get("champion"), document.get("champion_before"))
    for candidate in candidates:
        _show_reasons(candidate)
    decision = document["decision"]
    style, meaning = _DECISIONS.get(decision, ("bold", ""))
    name = (decision.replace("_", " "), style)
    out.print(Text.assemble("\nDecision: ", name, f": {meaning}" if meaning else ""), soft_wrap=True)
    for reason in document.get("reasons") or []:
        out.print(f"  {reason}", soft_wrap=True)
    for sentence in _about_rules(document.get("rules"), options):
        out.print(sentence, soft_wrap=True)
    if document.get("cost_usd") is not None:
        out.print(f"Estimated cost: {dollars(document['cost_usd'])}")
    if decision == "already_running":
        out.print(
            f"Follow the other run: loupe retrain --follow{options}. Stop it: loupe retrain --stop{options}.",
            soft_wrap=True,
        )


def _about_rules(rules: dict[str, Any] | None, options: str) -> list[str]:
    """Return what became of the rules; rules: from the output, None if the run did not come so far."""
    if rules is None:
        return []
    if rules["applied"]:
        before, after = rules["before"]["version"], rules["after"]["version"]
        first = f"Rules: {after} with the model's operating points are in force; before: {before}."
        return [first, *(f"  {note}" for note in rules.get("notes") or [])]
    return [
        f"Rules: the model's operating points are not in force: {rules['reason']}.",
        f"  To put them into force: loupe rules set --scores {rules['proposal']}{options}",
    ]


def _show_candidates(
    candidates: list[dict[str, Any]], champion: dict[str, Any] | None, champion_model: str | None
) -> None:
    models = [*candidates, *([champion] if champion else [])]
    # Both measures only where both kinds are: a table must fit the terminal.
    by_boxes = any(model.get("map") is not None for model in models)
    by_images = not by_boxes or any(model.get("kind") in ("anomaly", "both") for model in models)
    names = [*(["mAP", "mAP50"] if by_boxes else []), *(["AUROC", "caught"] if by_images else [])]

    def cells_of(model: dict[str, Any]) -> list[str]:
        boxes = [accuracy(model), score(model.get("map50"))] if by_boxes else []
        images = [accuracy(model, "image_auroc"), share(model.get("caught_at_zero_overkill"))]
        return [*boxes, *(images if by_images else [])]

    grid = table("Candidates", figures=(*names, "time", "cost", "gate", "tuned"), names=("family",))
    for candidate in candidates:
        gate = Text("failed", "red") if candidate.get("error") else Text("not passed")
        if candidate.get("promotable"):
            gate = Text("passed", "green")
        grid.add_row(
            *cells_of(candidate),
            duration(candidate["seconds"]) if candidate.get("seconds") is not None else "-",
            dollars(candidate.get("cost_usd")),
            gate,
            "yes" if candidate["tuned"] else "no",
            candidate["family"],
        )
    if champion:
        model = str(champion_model or champion.get("model"))
        grid.add_row(*cells_of(champion), "", "", "", "", Text(f"champion: {plain(model)}", "dim"))
    out.print(grid)


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
        console.print(f"Report: {file} (from {uri})", soft_wrap=True)
    else:
        console.print(f"Report: {uri}, which cannot be read from here", soft_wrap=True)
