"""The command line as a whole: help, errors, exit statuses, and text from outside."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.panel import Panel
from rich.text import Text

from loupe import cli
from loupe.commands.group import SECTIONS
from loupe.errors import LoupeError
from loupe.views import console

GROUP = typer.main.get_command(cli.app)
NAMES = [(name, summary) for section in SECTIONS.values() for name, _, summary in section]
HOSTILE = "b].jpg [/b] [red]x[/red] \x1b[31mred\x1b[0m \x9b2J \u202egpj\x07"
SAFE = "b].jpg [/b] [red]x[/red] red  gpj"


def _commands() -> Iterator[tuple[str, Any]]:
    """Yield every command, those of groups too, as it is written."""
    for name, _ in NAMES:
        command: Any = GROUP.get_command(typer.Context(GROUP), name)  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", member) for inner, member in command.commands.items())
        else:
            yield name, command


COMMANDS = list(_commands())
each_command = pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])


@pytest.mark.parametrize(("name", "summary"), NAMES)
def test_the_summary_in_the_list_is_the_first_line_of_the_commands_own_help(name: str, summary: str):
    command: Any = GROUP.get_command(typer.Context(GROUP), name)  # type: ignore[attr-defined]
    assert command.help.splitlines()[0] == summary


@each_command
def test_every_help_has_examples_that_name_the_command_and_the_exit_statuses(name: str, command: Any):
    assert f"loupe {name}" in command.epilog
    assert "Exit status" in command.epilog


@each_command
def test_every_command_has_json_and_help_for_every_option(name: str, command: Any):
    options = {option for parameter in command.params for option in parameter.opts}
    # A benchmark has options of its own.
    assert "--json" in options or name == "bench"
    assert [parameter.name for parameter in command.params if not parameter.help] == []


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_help_has_a_short_and_a_long_option_and_80_columns_except_in_examples(
    name: str, capsys: pytest.CaptureFixture[str]
):
    assert cli.run([*name.split(), "-h"]) == 0
    short = capsys.readouterr().out
    assert cli.run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: loupe {name}" in shown
    assert short == shown
    assert [line for line in shown.splitlines() if len(line) > 80 and not line.startswith("    loupe ")] == []


def test_the_list_of_commands_is_printed_without_loading_their_code():
    code = (
        "import sys; from loupe.cli import run; run(['--help'])\n"
        "heavy = {'boto3', 'botocore', 'rich', 'samtranslator', 'localcloud', 'numpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "loupe" in done.stdout


def test_python_m_loupe_is_the_command():
    done = subprocess.run([sys.executable, "-m", "loupe", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("loupe ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspectoins"], "Did you mean 'inspections'?"),
        (["train"], "Missing option '--dataset'"),
        (["train", "--dataset", "x", "--family", "ssdlite", "--out", "y", "--epochs", "0"], "'--epochs'"),
        (["retrain", "--epochs", "0"], "'--epochs'"),
        (["export", "x", "y"], "Missing option '--format'"),
        (["serve"], "Missing option '--model'"),
        (["serve", "--model", "m", "--port", "80000"], "'--port'"),
        (["up", "--port", "80000"], "'--port'"),
        (["up", "--port", "0"], "'--port'"),
        (["evaluate", "--model", "m", "--dataset", "d", "--escape-rate", "2"], "'--escape-rate'"),
        (["drop"], "Missing argument 'PATH...'"),
        (["inspections", "--limit", "0"], "'--limit'"),
        (["drop", "--nope"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_one_message_and_the_help_to_read(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert cli.run(arguments) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("loupe: ")
    assert message in first
    assert second.startswith("       Run: loupe")
    assert second.endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspections", "--since", "2h", "--until", "3h"], "after it ends"),
        (["inspections", "--since", "yesterday"], "not a time"),
        (["inspections", "--verdict", "bad"], "not a verdict"),
        (["inspections", "--home", "{tmp}/nothing"], "No local cloud is running"),
        (["status", "--home", "{tmp}/nothing"], "No local cloud is running"),
        (["drop", "{tmp}/nothing"], "does not exist"),
        (["drop", "{tmp}", "--line", "a/b"], "--line"),
        (["bench", "nope"], "no benchmark 'nope'"),
        (["export", "nothing", "out", "--format", "coco", "--home", "{tmp}/nothing"], "no cloud runs"),
        (["import", "x", "--check", "--out", "y"], "--check writes nothing"),
    ],
)
def test_an_error_that_the_user_can_fix_is_two_lines_and_no_traceback(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    assert cli.run([argument.format(tmp=tmp_path) for argument in arguments]) == 1
    first, *hints = capsys.readouterr().err.splitlines()
    assert first.startswith("loupe: ")
    assert message in first
    assert hints
    assert all(line.startswith("       ") for line in hints)


def test_a_file_system_error_names_the_file_and_the_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert cli.run(["demo", "--pictures", "/proc/x"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "loupe: /proc/x: No such file or directory"


@pytest.mark.promise(31)
def test_an_error_message_from_outside_reaches_the_terminal_as_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> int:
        raise LoupeError(HOSTILE, HOSTILE)

    monkeypatch.setattr(cli, "app", fail)
    assert cli.run([]) == 1
    assert capsys.readouterr().err == f"loupe: {SAFE}\n       {SAFE}\n"


@pytest.mark.promise(31)
def test_names_are_printed_as_text_wherever_they_are():
    screen = console.PlainConsole(width=200, force_terminal=True, color_system="truecolor", record=True)
    grid = console.table(HOSTILE, figures=("a",), names=(HOSTILE,))
    grid.add_row(HOSTILE, Text(HOSTILE, "bold"))
    with screen.capture() as capture:
        screen.print(HOSTILE)
        screen.print(Text.assemble((HOSTILE, "red"), HOSTILE))
        screen.print(grid)
        screen.print(Panel(HOSTILE, title=Text(HOSTILE)))
        with screen.status(HOSTILE) as status:
            status.update(HOSTILE)
    printed = capture.get()
    assert printed.count("[red]x[/red]") >= 9
    assert "\x1b[31mred" not in printed
    assert not {"\x9b", "\u202e", "\x07", "\x1b[2J"} & set(printed)


@pytest.mark.promise(31)
def test_json_for_programs_holds_every_character_and_none_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
):
    console.print_json({"key": HOSTILE, "umlaut": "Öse"})
    text = capsys.readouterr().out
    assert json.loads(text) == {"key": HOSTILE, "umlaut": "Öse"}
    assert "Öse" in text
    assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(text)


def test_colours_are_off_with_no_color(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    screen = console.PlainConsole(force_terminal=True, width=80)
    with screen.capture() as capture:
        screen.print(Text("fail", "bold red"))
    assert "31" not in capture.get()
