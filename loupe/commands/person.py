"""A person's data: `person export` and `person remove`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from contract.text import counted
from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.errors import LoupeError
from loupe.stack.persons import export as exporting
from loupe.stack.persons.person import Person, check_pseudonym, find
from loupe.stack.persons.places import Found, look
from loupe.stack.persons.removal import begin
from loupe.views.console import err, out, print_json

app = commands("Export what is stored about a person, or remove the person's name.")

_Who = Annotated[
    str, typer.Argument(metavar="NAME|EMAIL", help="What the person signs in with, or the address.")
]
_WORDS = {
    "history": "entry of the history",
    "reviews": "review",
    "records": "inspection record",
    "labels": "label",
    "reports": "report",
    "models": "note about a model",
    "mentions": "comment that mentions the name",
}


@app.command(
    epilog=epilog(
        "loupe person export maria",
        "loupe person export maria@example.com --stack loupe --json > maria.json",
    )
)
def export(
    home: Home,
    who: _Who,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Show where a person's name stands; with --json, print everything that the stack has about the person.

    That is the user, what the person decided, acknowledged, changed and said, and comments that mention the name.
    """
    target = open_target(stack, home)
    person = find(target, who)
    with err.status("looking where the name stands"):
        found = look(target, person)
        document = exporting.document(target, person, found)
    if json_:
        print_json(document)
    else:
        out.print(f"{person.name}: {_summary(found)}. All of it: --json", soft_wrap=True)


@app.command(
    epilog=epilog(
        "loupe person remove maria --plan",
        "loupe person remove maria --stack loupe",
        "loupe person remove maria --mentions --yes",
        "loupe person remove maria --as person-0a1b2c3d --yes",
        statuses={1: "an error, or not confirmed"},
    )
)
def remove(
    home: Home,
    who: _Who,
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="PSEUDONYM", help="That of an earlier removal; without it a new one."),
    ] = None,
    mentions: Annotated[
        bool,
        typer.Option("--mentions", help="Replace the name in comments, too, where it is a word of its own."),
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show where the name stands; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Remove a user, and put a pseudonym in the place of the name.

    What was decided, when, and by the same person, stays. The name stays in backups and logs until they expire: see
    docs/security.md. Repeat it after an interruption.
    """
    if as_ is not None:
        check_pseudonym(as_)
    target = open_target(stack, home)
    person = find(target, who)
    with err.status("looking where the name stands"):
        found = look(target, person, mentions)
    if plan:
        _show_plan(person, found, json_)
        return
    if not json_:
        out.print(f"{person.name}: {_summary(found)}.", soft_wrap=True)
    if not yes:
        _confirm(person)
    removal = begin(target, person, as_, mentions)
    with (
        interrupts.explained("Not everything is replaced yet. Repeat the command."),
        err.status("") as status,
    ):
        stood = removal.run(status.update)
    if json_:
        print_json({"removed": person.name, "pseudonym": removal.pseudonym, **stood.counts()})
        return
    out.print(f"Replaced by {removal.pseudonym}.", soft_wrap=True)
    if stood.mentions and not mentions:
        out.print(
            f"{counted(len(stood.mentions), _WORDS['mentions'])}: repeat it with --mentions.", soft_wrap=True
        )
    out.print(
        f"A page that is open may work for up to an hour. Repeat it then with --as {removal.pseudonym}.",
        soft_wrap=True,
    )


def _show_plan(person: Person, found: Found, json_: bool) -> None:
    if json_:
        print_json({"person": person.name, **found.counts()})
        return
    out.print(f"{person.name}: {_summary(found)}.", soft_wrap=True)


def _summary(found: Found) -> str:
    numbers: dict[str, Any] = found.counts()
    parts = [f"{number:,} x {_WORDS[name]}" for name, number in numbers.items() if number]
    return ", ".join(parts) or "the name stands nowhere"


def _confirm(person: Person) -> None:
    if not sys.stdin.isatty():
        raise LoupeError("this replaces the name for ever, and nobody can be asked", "Add --yes.")
    answer = typer.prompt("Type the name to replace it for ever", default="", show_default=False, err=True)
    if answer.strip() != person.name:
        raise typer.Abort
