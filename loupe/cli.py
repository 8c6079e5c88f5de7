"""The `loupe` command, for the local cloud and for AWS."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from contract.text import error_text, system_error
from loupe.commands.group import CommandGroup
from loupe.commands.help import epilog
from loupe.errors import LoupeError

_OBJECTS_BETWEEN_COLLECTIONS = 50_000

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: rich alone takes longer to import than the rest of `loupe --help`.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog("loupe demo", "loupe up", "loupe learn bottles/normal", "loupe drop line-1/top --wait"),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"loupe {version('loupe')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Visual inspection for the production line: on this laptop, or with --stack on AWS."""


def main() -> None:
    """Run the command, and exit with its status."""
    # Imports and AWS's service descriptions make many objects that all stay: to look for garbage among them is a
    # seventh of a short command's time.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; an error is printed as text, never as a traceback.

    Returns:
        The exit status: 0 done, 1 an error that the user can fix, 2 a wrong command line, 130 Ctrl+C.
    """
    try:
        return app(arguments, prog_name="loupe", standalone_mode=False) or 0
    except typer.Abort:
        _print_error("cancelled; nothing was changed")
    except TyperException as error:
        return _print_usage_error(error)
    except LoupeError as error:
        _print_error(str(error), error.hint)
    except Exception as error:
        if not _is_users(error):
            raise
        message = system_error(error) if isinstance(error, OSError) else str(error)
        _print_error(message, getattr(error, "hint", ""))
    return 1


def _print_usage_error(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
    else:
        _print_error(message, f"Run: {context.command_path} --help" if context else "Run: loupe --help")
    return error.exit_code


def _is_users(error: Exception) -> bool:
    """Return whether an error comes from outside: the local cloud, AWS, or the file system."""
    # Imported after the error has occurred, because they take long to import.
    from botocore.exceptions import BotoCoreError, ClientError

    from localcloud.errors import LocalCloudError

    return isinstance(error, (LocalCloudError, BotoCoreError, ClientError, OSError))


def _print_error(message: str, hint: str = "") -> None:
    # Not by rich: an error must not be wrapped, because programs and people search for it.
    typer.echo(error_text(message, hint), err=True, nl=False)
