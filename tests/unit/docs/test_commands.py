"""Every command line in a page is one that the programs accept: the command, its options, the target, the module."""

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
from tests.unit.docs.pages import PAGES, ROOT, Command, commands

GROUP: Any = typer.main.get_command(cli.app)
# The changelog also names commands of the past.
COMMANDS = [command for page in PAGES if page.name != "CHANGELOG.md" for command in commands(page)]


def of(program: str) -> Any:
    """Return a mark that gives a test each command line of a program, once."""
    chosen = dict.fromkeys(command for command in COMMANDS if command.words[0] == program)
    return pytest.mark.parametrize("command", chosen, ids=str)


@of("loupe")
def test_a_loupe_command_is_accepted_with_its_options(command: Command, monkeypatch: pytest.MonkeyPatch):
    check(command, monkeypatch)


@of("make")
def test_a_target_of_make_exists(command: Command, monkeypatch: pytest.MonkeyPatch):
    check(command, monkeypatch)


@of("python")
def test_a_module_exists_and_accepts_its_options(command: Command, monkeypatch: pytest.MonkeyPatch):
    check(command, monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        ("loupe", "dorp", "x"),
        ("loupe", "drop"),
        ("loupe", "drop", "x", "--wiat"),
        ("loupe", "bench", "serve", "--wiat"),
        ("loupe", "bench", "sevre"),
        ("make", "demmo"),
        ("python", "-m", "training.generate", "surfaces", "--cuont", "3"),
        ("python", "-m", "training.genrate"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_noticed(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    wrong = Command("page.md", words)
    with pytest.raises((AssertionError, SystemExit)):
        check(wrong, monkeypatch)


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()
    assert [
        name for name in GROUP.commands if f"loupe {name}" not in readme and f"make {name}" not in readme
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_call_the_programs_by_their_names_as_in_an_activated_environment(page: Path):
    assert re.findall(r"\.venv/bin/(?:loupe|python) .*", page.read_text()) == []


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
