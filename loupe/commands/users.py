"""Who may use the dashboard: `users add`, `list`, `group`, `password` and `remove`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.stack import dashboard, users
from loupe.stack.target import Target
from loupe.stack.users import Group
from loupe.views.console import out, print_json, table

app = commands("Add, list and remove the people who may use the dashboard.")

_Name = Annotated[str, typer.Argument(help="What the user signs in with.")]
_STATES = {
    "CONFIRMED": "",
    "FORCE_CHANGE_PASSWORD": "has a temporary password",
}


@app.command(
    epilog=epilog(
        "loupe users add maria --group reviewer",
        "loupe users add maria --group admin --email maria@example.com --stack loupe",
    )
)
def add(
    home: Home,
    name: _Name,
    group: Annotated[
        Group, typer.Option(help="What the user may do: each group may do what those before it may.")
    ] = Group.VIEWER,
    email: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="For your records; nothing is sent to it.")
    ] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Add a user, and print a temporary password."""
    target = open_target(stack, home)
    password = users.add(target, name, group, email)
    if not json_:
        out.print(f"Added {name} to the group {group}.", soft_wrap=True)
    _show_password(target, name, password, json_)


@app.command("list", epilog=epilog("loupe users list", "loupe users list --stack loupe --json"))
def list_(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """List the users and their groups."""
    found = users.users(open_target(stack, home))
    if json_:
        print_json([asdict(user) for user in found])
        return
    grid = table("Users", figures=("group", "since"), names=("name", "e-mail", "state"))
    for user in found:
        state = _STATES.get(user.state, user.state) if user.enabled else "disabled"
        groups = ", ".join(user.groups) or "none"
        grid.add_row(groups, user.since[:10], user.name, user.email or "", state)
    out.print(grid)


@app.command(epilog=epilog("loupe users group maria admin", "loupe users group maria viewer --stack loupe"))
def group(
    home: Home,
    name: _Name,
    to: Annotated[Group, typer.Argument(metavar="GROUP", help="viewer, operator, reviewer or admin.")],
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Change what a user may do; it is effective within an hour."""
    users.move(open_target(stack, home), name, to)
    if json_:
        print_json({"user": name, "group": to})
    else:
        out.print(f"{name} is in the group {to}; it is effective within an hour.", soft_wrap=True)


@app.command(epilog=epilog("loupe users password maria"))
def password(home: Home, name: _Name, stack: Stack = None, json_: Json = False) -> None:
    """Give a user a new temporary password."""
    target = open_target(stack, home)
    _show_password(target, name, users.reset_password(target, name), json_)


@app.command(epilog=epilog("loupe users remove maria", "loupe users remove maria --stack loupe"))
def remove(home: Home, name: _Name, stack: Stack = None, json_: Json = False) -> None:
    """Remove a user; a page that is open may work for up to an hour."""
    users.remove(open_target(stack, home), name)
    if json_:
        print_json({"removed": name})
    else:
        out.print(f"Removed {name}. A page that is open may work for up to an hour.", soft_wrap=True)


def _show_password(target: Target, name: str, password: str, json_: bool) -> None:
    address = dashboard.address(target)
    if json_:
        print_json({"user": name, "temporary_password": password, "dashboard": address})
        return
    out.print(f"Temporary password, shown only now: {password}", soft_wrap=True)
    out.print(f"Next: {name} signs in at {address} within seven days, and chooses another.", soft_wrap=True)
