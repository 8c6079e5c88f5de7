"""`loupe status`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from contract.text import counted, plain
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.stack import laptop as stack_laptop
from loupe.stack import status as stack_status
from loupe.stack.laptop import Laptop
from loupe.stack.status import Status
from loupe.stack.target import Target

app = commands()


@app.command(
    epilog=epilog(
        "loupe status", "loupe status --stack loupe", statuses={1: "no local cloud runs, or an error"}
    )
)
def status(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Show what runs, serves and waits, and the alarms."""
    target = open_target(stack, home)
    state, laptop = stack_status.read(target), stack_laptop.read(target, home)
    if json_:
        # Not by rich, which takes longer to import than the status to read.
        from loupe.views.console import print_json

        print_json(_document(target, home, state, laptop))
        return
    rows = _rows(target, stack, home, state, laptop)
    sys.stdout.write("".join(f"{name:<11} {plain(text)}\n" for name, text in rows))


def _rows(
    target: Target, stack: str | None, home: Path, state: Status, laptop: Laptop
) -> list[tuple[str, str]]:
    options = target_options(stack, home)
    where = f"the local cloud on {target.endpoint_url}, state in {home}"
    named = f"stack {stack} in {where}" if target.local_cloud else f"stack {stack} on AWS"
    rows = [("Loupe", named if stack else where), ("Endpoint", _endpoint(state, options))]
    if address := target.outputs.get("DashboardUrl"):
        rows.append(("Dashboard", f"{address}, opened by: loupe dashboard{options}"))
    rows.append(("Images", _images(state, options)))
    if laptop.full_disk:
        rows.append(("Disk", laptop.full_disk))
    if laptop.inspected_again:
        again = counted(laptop.inspected_again, "image")
        rows.append(("Restart", f"{again} inspected again: the cloud was killed before they were saved"))
    rows += [
        ("Retraining", f"{arn.rpartition(':')[2]} runs: loupe retrain --follow{options}")
        for arn in state.runs
    ]
    rows += [
        ("Approval", f"version {request['version']} waits: loupe approve {request['version']}{options}")
        for request in state.approvals
    ]
    rows += [("Alarm", f"{alarm.name}: {alarm.reason}") for alarm in state.alarms]
    return rows if state.alarms else [*rows, ("Alarms", "none")]


def _endpoint(state: Status, options: str) -> str:
    if state.rest:
        return f"{state.rest.text}, and images wait: loupe endpoint start{options}"
    if state.endpoint is None:
        return f"none yet, so images wait: loupe deploy MODEL{options}"
    model = state.endpoint.model_name
    if state.version:
        figures = {"mAP": state.version.map, "image AUROC": state.version.image_auroc}
        accuracy = "".join(f", {name} {value:.3f}" for name, value in figures.items() if value is not None)
        model = f"version {state.version.number} ({state.version.metadata.get('family', model)}{accuracy})"
    tried = f" ({state.trial})" if state.trial else ""
    return f"{state.endpoint.status}, serves {model}{tried}"


def _images(state: Status, options: str) -> str:
    waiting = f"{state.waiting} wait for a verdict" if state.waiting else "none waits"
    if not state.failed:
        return waiting
    return f"{waiting}; {state.failed} could not be processed: loupe dlq{options}"


def _document(target: Target, home: Path, state: Status, laptop: Laptop) -> dict[str, Any]:
    endpoint = state.endpoint
    return {
        "endpoint_url": target.endpoint_url,
        "home": str(home) if target.endpoint_url else None,
        "dashboard": target.outputs.get("DashboardUrl"),
        "endpoint": {
            "name": target.output("EndpointName"),
            "status": endpoint.status if endpoint else None,
            "model": endpoint.model_name if endpoint else None,
            "version": state.version.number if state.version else None,
            "trial": state.trial,
            "rests": bool(state.rest),
            "rests_until": state.rest.until.isoformat() if state.rest and state.rest.until else None,
        },
        "waiting": state.waiting,
        "dead_letters": state.failed,
        "inspected_again": laptop.inspected_again,
        "full_disk": laptop.full_disk,
        "retraining": state.runs,
        "approvals": state.approvals,
        "alarms": [{"name": alarm.name, "reason": alarm.reason} for alarm in state.alarms],
    }
