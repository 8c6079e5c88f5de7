"""Every command line in a page is one that the programs accept: the command, its options, the target, the module."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.docs.accepted import GROUP, check
from tests.unit.docs.pages import PAGES, ROOT, Command, commands

# The changelog also names commands of the past.
COMMANDS = [command for page in PAGES if page.name != "CHANGELOG.md" for command in commands(page)]


def of(program: str) -> Any:
    """Return a mark that gives a test each command line of a program, once, with the names of its pages."""
    pages: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for command in COMMANDS:
        if command.words[0] == program:
            pages.setdefault((command.words, command.inline), []).append(command.page)
    chosen = [
        Command(", ".join(dict.fromkeys(names)), words, inline) for (words, inline), names in pages.items()
    ]
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
