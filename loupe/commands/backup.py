"""`loupe backup` and `loupe restore`: the whole local cloud in one file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from contract.text import counted
from localcloud.home.backup import Manifest, back_up
from localcloud.home.reset import parts
from localcloud.home.restoring import check
from localcloud.home.restoring import restore as bring_back
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, target_options
from loupe.errors import LoupeError
from loupe.views.console import out, print_json, progress_bar

app = commands()

Backup = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, such as loupe.backup.")]


@app.command(epilog=epilog("loupe down && loupe backup loupe.backup && loupe up --detach"))
def backup(
    home: Home,
    file: Backup,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
    json_: Json = False,
) -> None:
    """Write the local cloud into one file.

    It must not run. In the file are images, inspections, reviews, models, labels, rules, runs and logs, with checksums.
    Passwords and keys are left out: the next start makes new ones, and people get a new password (loupe users
    password). On AWS, tables and buckets keep their former versions themselves.
    """
    if file.exists() and not force:
        raise LoupeError(f"{file} exists", "Choose another name, or replace it: --force")
    if not file.parent.is_dir():
        raise LoupeError(f"there is no folder {file.parent}", "Make it first.")
    try:
        with _progress("packing") as show:
            done = back_up(home, file, metadata.version("loupe"), show)
    except OSError as error:
        raise LoupeError(
            f"{file} cannot be written: {error.strerror}", "Free some space, or choose another place."
        ) from error
    if json_:
        print_json(_document(done, home, file))
        return
    out.print(
        f"{counted(len(done.files), 'file')} ({done.size:,} bytes) of {home} are in {file}.", soft_wrap=True
    )
    out.print(f"Bring it back: loupe restore {file}", soft_wrap=True)


@app.command(
    epilog=epilog(
        "loupe restore loupe.backup",
        "loupe restore loupe.backup --home /srv/loupe --yes",
        statuses={1: "an error, or not confirmed; nothing was changed"},
    )
)
def restore(
    home: Home,
    file: Backup,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    json_: Json = False,
) -> None:
    """Bring the local cloud back from a backup.

    It must not run. Asks before it replaces one. The whole file is read and compared with its checksums before anything
    is changed.
    """
    with _progress("checking") as show:
        found = check(file, show)
    if parts(home) and not yes:
        if not sys.stdin.isatty():
            raise LoupeError(f"this replaces the state in {home}, and nobody can be asked", "Add --yes.")
        typer.confirm(
            f"Replace the state in {home} by that of {found.created_at}? It cannot be restored.",
            abort=True,
            err=True,
        )
    try:
        with _progress("unpacking") as show:
            done = bring_back(home, file, show)
    except OSError as error:
        raise LoupeError(
            f"{home} cannot be written: {error.strerror}", "Choose another folder: --home FOLDER"
        ) from error
    if json_:
        print_json(_document(done, home, file))
        return
    options = target_options(None, home)
    out.print(f"{home} is as it was at {done.created_at}. Start it: loupe up{options}", soft_wrap=True)
    out.print(
        f"Users other than admin need a new password: loupe users password NAME{options}", soft_wrap=True
    )


def _document(done: Manifest, home: Path, file: Path) -> dict[str, object]:
    return {
        "file": str(file),
        "home": str(home),
        "created_at": done.created_at,
        "version": done.version,
        "files": len(done.files),
        "bytes": done.size,
    }


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for bytes."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield show
