"""Loupe in an AWS account, from an empty account on: `loupe cloud status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loupe.account.account import Account
from loupe.commands import cloud_destroy
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json
from loupe.views.console import out, print_json

app = commands("Create, update, show and remove Loupe in an AWS account.")
app.add_typer(cloud_destroy.app)

StackName = Annotated[str, typer.Option("--stack", metavar="NAME", help="The stack's name.")]
Local = Annotated[
    bool,
    typer.Option(
        "--local", help="In the local cloud of --home instead of AWS: a rehearsal (loupe up --empty)."
    ),
]


def open_account(stack: str, home: Path, local: bool) -> Account:
    """Return the account that the options choose.

    Raises:
        LoupeError: There is no such AWS profile.
        NotRunningError: No local cloud runs on `home`.
    """
    return Account.open(stack, home if local else None)


@app.command(epilog=epilog("loupe cloud status --stack loupe", "loupe cloud status --stack trial --local"))
def status(home: Home, stack: StackName = "loupe", local: Local = False, json_: Json = False) -> None:
    """Show the stack and what belongs to it."""
    account = open_account(stack, home, local)
    outputs = account.target().outputs
    if json_:
        print_json({"stack": stack, "outputs": outputs})
        return
    for name, value in outputs.items():
        out.print(f"{name:<24} {value}", soft_wrap=True)
