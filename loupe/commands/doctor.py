"""`loupe doctor`."""

from __future__ import annotations

from pathlib import Path

import typer
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import NotRunningError
from loupe.account.account import Account
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.doctor import aws, laptop, local_cloud, patient
from loupe.doctor import stack as stack_checks
from loupe.doctor.examination import Check, Finding, Result, examine
from loupe.doctor.laptop import Laptop
from loupe.doctor.patient import Patient
from loupe.errors import LoupeError
from loupe.views import doctor as view
from loupe.views.console import err, print_json

app = commands()


@app.command(
    epilog=epilog(
        "loupe doctor", "loupe doctor --stack loupe", statuses={1: "there is a problem, or an error"}
    )
)
def doctor(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Find what is wrong, and what mends it.

    Looks at this machine and its local cloud; with --stack at a stack on AWS.
    """
    with err.status("looking"):
        parts = _stack_parts(home, stack) if stack else _laptop_parts(home)
    findings = [finding for part in parts.values() for finding in part]
    if json_:
        print_json(view.document(findings))
    else:
        for title, part in parts.items():
            view.show(title, part)
        view.show_total(findings)
    if any(finding.result is Result.PROBLEM for finding in findings):
        raise typer.Exit(1)


def _laptop_parts(home: Path) -> dict[str, list[Finding]]:
    parts = {"This machine": examine(laptop.CHECKS, Laptop(home))}
    try:
        target = open_target(None, home)
    except (NotRunningError, LoupeError):
        # Whether one should run is among the findings above.
        return parts
    account = Account(target.session, target.endpoint_url, target.name, home)
    found = _examine_stack(account, None, home, (*local_cloud.CHECKS, *stack_checks.CHECKS))
    return parts | {f"The local cloud on {target.endpoint_url}": found}


def _stack_parts(home: Path, name: str) -> dict[str, list[Finding]]:
    try:
        target = open_target(name, home)
    except LoupeError as error:
        return {f"Stack {name}": [patient.unreachable(error)]}
    options = target_options(name, home)
    # The home counts only if it was given: see open_target.
    account = Account(target.session, target.endpoint_url, name, home if "--home" in options else None)
    return {f"Stack {name}": _examine_stack(account, name, home, (*aws.CHECKS, *stack_checks.CHECKS))}


def _examine_stack(
    account: Account, name: str | None, home: Path, checks: tuple[Check[Patient], ...]
) -> list[Finding]:
    try:
        read = Patient.read(account, open_target(name, home), target_options(name, home))
    except (BotoCoreError, ClientError, LoupeError) as error:
        return [patient.unreachable(error)]
    return examine(checks, read)
