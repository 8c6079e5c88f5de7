"""How commands are declared, and how their help ends: examples, and the exit statuses."""

from __future__ import annotations

import typer

_STATUSES = {
    0: "done",
    1: "an error; the message tells what to do next",
    2: "a wrong command line",
    130: "Ctrl+C",
}


def epilog(*examples: str, statuses: dict[int, str] | None = None) -> str:
    r"""Return the end of a command's help.

    Args:
        *examples: Command lines.
        statuses: What an exit status means for this command, where that differs from the usual.

    >>> print(epilog("loupe demo").replace("\b", ""))
    <BLANKLINE>
    Examples:
      loupe demo
    <BLANKLINE>
    <BLANKLINE>
    Exit status:
      0    done
      1    an error; the message tells what to do next
      2    a wrong command line
      130  Ctrl+C
    """
    meanings = [f"  {status:<3}  {meaning}" for status, meaning in (_STATUSES | (statuses or {})).items()]
    # \b keeps the lines of a paragraph as they are.
    return "\n".join(
        ["\b", "Examples:", *(f"  {line}" for line in examples), "", "\b", "Exit status:", *meanings]
    )


def commands(summary: str | None = None) -> typer.Typer:
    """Return an empty list of commands, with plain help as `loupe --help` has it.

    Args:
        summary: The help of the list itself, if it is a group such as `loupe rules`.
    """
    return typer.Typer(rich_markup_mode=None, help=summary, no_args_is_help=True)
