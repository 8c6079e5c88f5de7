"""Environment variables in the language of a shell, so that it can evaluate them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from enum import StrEnum

from contract.text import plain
from loupe.errors import LoupeError


class Shell(StrEnum):
    """The languages."""

    SH = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"


# How each shell evaluates what a command prints.
_USE = {
    Shell.SH: 'eval "$({})"',
    Shell.FISH: "{} | source",
    Shell.POWERSHELL: "{} | Out-String | Invoke-Expression",
}
# PowerShell ends a string at a typographic quote too, and takes each one twice for itself:
# https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules
_QUOTES_OF_POWERSHELL = "'\u2018\u2019\u201a\u201b"


def script(
    shell: Shell, variables: Mapping[str, str], unset: Iterable[str] = (), notes: Iterable[str] = ()
) -> str:
    """Return what the shell evaluates to set the variables.

    Comments come last: `eval $(...)` without quotes makes one line of all, and a comment ends no earlier than its line.

    Args:
        shell: The shell.
        variables: Name -> value.
        unset: Variables to remove, before.
        notes: Comments.

    Raises:
        LoupeError: A value has a control character, which no name or path needs.
    """
    for name, value in variables.items():
        if plain(value) != value:
            raise LoupeError(
                f"the value of {name} has control characters: {plain(value)}",
                "Choose a folder without them: --home FOLDER",
            )
    lines = [_removed(shell, name) for name in unset]
    lines += [_assigned(shell, name, value) for name, value in variables.items()]
    lines += [f"# {plain(note)}" for note in notes]
    return "".join(f"{line}\n" for line in lines)


def use(shell: Shell, command: str) -> str:
    """Return how a shell evaluates what a command prints.

    >>> use(Shell.FISH, "loupe env --shell fish")
    'loupe env --shell fish | source'
    """
    return _USE[shell].format(command)


def _assigned(shell: Shell, name: str, value: str) -> str:
    if shell == Shell.FISH:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}';"
    if shell == Shell.POWERSHELL:
        escaped = "".join(letter * 2 if letter in _QUOTES_OF_POWERSHELL else letter for letter in value)
        return f"$env:{name} = '{escaped}';"
    return f"export {name}={shlex.quote(value)};"


def _removed(shell: Shell, name: str) -> str:
    if shell == Shell.FISH:
        return f"set -e {name};"
    if shell == Shell.POWERSHELL:
        return f"Remove-Item -ErrorAction SilentlyContinue Env:{name};"
    return f"unset {name};"
