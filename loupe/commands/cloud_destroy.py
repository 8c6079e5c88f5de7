"""`loupe cloud destroy`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from loupe.account import destroy as account_destroy
from loupe.account import inventory
from loupe.account.account import Account
from loupe.account.holdings.scope import Item
from loupe.account.inventory import Inventory
from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json
from loupe.errors import LoupeError
from loupe.views import leaving
from loupe.views.console import err, out, print_json

app = commands()


@app.command(
    epilog=epilog(
        "loupe cloud destroy --stack trial --plan",
        "loupe cloud destroy --stack trial",
        "loupe cloud destroy --stack trial --data --yes",
        statuses={1: "an error, not confirmed, or something could not be deleted"},
    )
)
def destroy(
    home: Home,
    stack: Annotated[str, typer.Option("--stack", metavar="NAME", help="The stack's name.")],
    local: Annotated[
        bool, typer.Option("--local", help="In the local cloud of --home instead of AWS.")
    ] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Delete the buckets, the tables and the people's accounts too.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what goes and what stays; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    json_: Json = False,
) -> None:
    """Delete a stack with everything around it.

    That is: endpoint, models, scaling, jobs, runs, the CloudFormation stack, logs, images in ECR, deployment files.
    Lists first what goes and what stays, and asks for the stack's name. Images, inspections and the people's
    accounts stay without --data. Repeat it after an interruption.
    """
    account = Account.open(stack, home if local else None)
    with err.status(f"asking the account what belongs to {stack}"):
        found = inventory.take(account)
    if plan:
        print_json(leaving.document(found, data)) if json_ else _show(found, data)
        return
    if not found.going(data):
        _show_nothing(found, data, json_)
        return
    account_destroy.check_protection(found)
    if not json_:
        _show(found, data)
    if not yes:
        _confirm(stack, data)
    _destroy(account, found, data, json_)


def _show(found: Inventory, data: bool) -> None:
    if found.items:
        leaving.show_plan(found, data)
    else:
        out.print(f"Nothing of a stack {found.stack} is in this account and region.")
        leaving.show_remains(found)


def _show_nothing(found: Inventory, data: bool, json_: bool) -> None:
    if json_:
        print_json(leaving.result_document(account_destroy.Result([], found, []), data))
        return
    _show(found, data)
    if found.items:
        out.print("Nothing else is left of it.")


def _confirm(stack: str, data: bool) -> None:
    if not _is_asked():
        raise LoupeError(f"this deletes the stack {stack}, and nobody can be asked", "Add --yes.")
    extent = "everything, your data included" if data else "what goes"
    answer = typer.prompt(
        f"Type the stack's name to delete {extent}", default="", show_default=False, err=True
    )
    if answer.strip() != stack:
        raise typer.Abort


def _is_asked() -> bool:
    """Return whether somebody sits at the terminal."""
    return sys.stdin.isatty()


def _destroy(account: Account, found: Inventory, data: bool, json_: bool) -> None:
    def show_deleted(item: Item) -> None:
        if not json_:
            out.print(f"deleted: {item.kind} {item.name}", soft_wrap=True)

    with (
        interrupts.explained("Not everything is deleted yet. Repeat the command."),
        err.status("deleting") as status,
    ):
        result = account_destroy.destroy(
            account, found, data=data, on_step=status.update, on_deleted=show_deleted
        )
    if json_:
        print_json(leaving.result_document(result, data))
    elif not result.left.going(data):
        _show_nothing(result.left, data, json_)
    if result.left.going(data):
        names = ", ".join(f"{item.kind} {item.name}" for item in result.left.going(data))
        why = f": {'; '.join(result.problems)}" if result.problems else ""
        raise LoupeError(f"not deleted: {names}{why}", "Repeat the command, or delete these by hand.")
    if result.left.unseen:
        raise LoupeError(
            f"not everything could be looked at: {'; '.join(result.left.unseen)}",
            "If you lack a permission, repeat the command as somebody who has it.",
        )
