"""What the programs accept: the command, its options, the target of make, the module."""

import argparse
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer._click.exceptions import MissingParameter
from typer.exceptions import Exit, TyperException

from loupe import cli
from tests.unit.docs.pages import ROOT, Command

GROUP: Any = typer.main.get_command(cli.app)


def check(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a program parse a command line, and run nothing.

    Raises:
        AssertionError: The program does not accept it.
        SystemExit: The parser of a module's options does not accept it.
    """
    program, *arguments = command.words
    if program == "loupe":
        check_loupe(command, monkeypatch)
    elif program == "make":
        check_make(arguments)
    else:
        module, *options = arguments[arguments.index("-m") + 1 :]
        check_module(module, options, monkeypatch)


def check_loupe(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse a command line as loupe does."""
    name, arguments, found = "", list(command.words[1:]), GROUP
    context = typer.Context(GROUP, info_name="loupe")
    while hasattr(found, "commands"):
        if found.invoke_without_command and (not arguments or arguments[0].startswith("-")):
            break  # a command itself, as `loupe dashboard` is
        assert arguments or command.inline, f"loupe {name} needs a command"
        if not arguments or arguments[0] in ("--help", "--version", "--install-completion"):
            return
        name, *arguments = arguments
        found = found.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
    if not arguments and command.inline:
        return  # the name of a command, in a sentence
    if name == "bench":
        check_module(f"benchmarks.bench_{arguments[0]}", arguments[1:], monkeypatch)
        return
    try:
        found.make_context(name, list(arguments), parent=context, resilient_parsing=False)
    except Exit:
        assert {"--help", "-h"} & set(arguments)
    except TyperException as error:
        if isinstance(error, MissingParameter) and command.inline:
            return  # an option that a sentence is about
        raise AssertionError(error.format_message()) from error


def check_make(words: list[str]) -> None:
    """Check that the targets exist; NAME=VALUE are settings."""
    targets = re.findall(r"^([\w./-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in words if "=" not in word and word not in targets] == []


class _ParsedError(Exception):
    pass


def check_module(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a module parse its options, and stop it then."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    if spec.submodule_search_locations:
        module = f"{module}.__main__"
        spec = importlib.util.find_spec(module)
        assert spec is not None, f"{module} is no program"
    if not arguments:
        return
    assert spec.origin is not None, f"{module} is a package"
    assert "Parser(" in Path(spec.origin).read_text(), f"{module} parses no options"
    parse = argparse.ArgumentParser.parse_args

    def parse_only(parser: argparse.ArgumentParser, *given: Any) -> None:
        parse(parser, *given)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(_ParsedError):
        importlib.import_module(module).main()
