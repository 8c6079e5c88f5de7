"""Every command line in a page is one that the programs accept: the command, its options, the target, the module."""

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.unit.docs.accepted import GROUP, check
from tests.unit.docs.pages import PAGES, ROOT, Command, commands

# The changelog also names commands of the past.
COMMANDS = {page.name: list(commands(page)) for page in PAGES if page.name != "CHANGELOG.md"}


@functools.cache
def problem(words: tuple[str, ...], inline: bool) -> str:
    """Return why a program does not accept a command line; empty if it does."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            check(Command("", words, inline), patch)
    except (AssertionError, SystemExit) as error:
        return f"{shlex.join(words)}: {error}"
    return ""


def of(program: str) -> Any:
    """Return a mark that gives a test each page with command lines of a program."""
    chosen = {
        page: [(command.words, command.inline) for command in listed if command.words[0] == program]
        for page, listed in COMMANDS.items()
    }
    return pytest.mark.parametrize(
        "lines", [pytest.param(lines, id=page) for page, lines in chosen.items() if lines]
    )


Lines = list[tuple[tuple[str, ...], bool]]


@of("loupe")
def test_each_loupe_command_is_accepted_with_its_options(lines: Lines):
    assert list(filter(None, (problem(*line) for line in lines))) == []


@of("make")
def test_each_target_of_make_exists(lines: Lines):
    assert list(filter(None, (problem(*line) for line in lines))) == []


@of("python")
def test_each_module_exists_and_accepts_its_options(lines: Lines):
    assert list(filter(None, (problem(*line) for line in lines))) == []


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
def test_a_wrong_command_line_is_noticed(words: tuple[str, ...]):
    assert problem(words, False)


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()
    assert [
        name for name in GROUP.commands if f"loupe {name}" not in readme and f"make {name}" not in readme
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_call_the_programs_by_their_names_as_in_an_activated_environment(page: Path):
    assert re.findall(r"\.venv/bin/(?:loupe|python) .*", page.read_text()) == []
