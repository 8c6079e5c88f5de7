"""The container's programs as commands: what they are called with, and that they replace the process."""

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from loupe import cli
from loupe.commands import program_runner

Calls = list[tuple[str, list[str]]]


class _Replaced(BaseException):
    """The process is replaced: nothing after it runs."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the process would have become."""
    seen: Calls = []

    def become(module: str, arguments: list[str], environment: Any = None) -> NoReturn:
        seen.append((module, arguments))
        raise _Replaced

    monkeypatch.setattr(program_runner, "become_program", become)
    monkeypatch.setattr(program_runner, "require_torch", lambda: None)
    return seen


COMMANDS = [
    (
        "train --dataset d --family ssdlite --out o --validation v --epochs 3 --pretrained p --set a=1 --json "
        "--beside b",
        "training.train",
        ["--json", "--dataset=d", "--family=ssdlite", "--epochs=3", "--beside=b", "--set=a=1"],
    ),
    (
        "evaluate --model m --dataset d --split all --html h --rules r --out o --escape-rate 0 --json",
        "training.evaluate",
        ["--model=m", "--split=all", "--html=h", "--rules=r", "--out=o", "--escape-rate=0.0", "--json"],
    ),
    (
        "compare a b --dataset d --html h --escape-rate 0.1 --overkill-rate 0.05",
        "training.compare",
        ["--html=h", "--overkill-rate=0.05", "a", "b"],
    ),
    ("ensemble a b --out o --name n --dataset d --json", "training.ensemble", ["--name=n", "a", "b"]),
    ("serve --model m --port 0 --host 127.0.0.2 --json", "training.serve", ["--port=0", "--host=127.0.0.2"]),
    (
        "import d --check --repair --format voc --labels a,b --add-classes --by-hash --yes --json",
        "training.imports",
        [
            "--check",
            "--repair",
            "--format=voc",
            "--labels=a,b",
            "--add-classes",
            "--by-hash",
            "--yes",
            "--json",
            "d",
        ],
    ),
]
each = pytest.mark.parametrize(("line", "module", "arguments"), COMMANDS, ids=[row[1] for row in COMMANDS])


@each
def test_a_command_becomes_its_program_with_its_options(
    line: str, module: str, arguments: list[str], calls: Calls
):
    with pytest.raises(_Replaced):
        cli.run(line.split())
    assert calls[0][0] == module
    assert set(arguments) <= set(calls[0][1])


@each
def test_the_program_knows_every_option_that_the_command_passes_on(
    line: str, module: str, arguments: list[str], calls: Calls, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(_Replaced):
        cli.run(line.split())
    with pytest.raises(SystemExit):
        importlib.import_module(module).main(["--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    passed = {argument.partition("=")[0] for argument in calls[0][1] if argument.startswith("--")} - {"--"}
    assert passed <= known


def test_the_program_replaces_this_process_so_that_signals_reach_it(monkeypatch: pytest.MonkeyPatch):
    replaced: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *call: replaced.append(call))
    program_runner.become_program("training.serve", ["--port=1"], {"A": "b"})
    # With -P, a training.py in the user's folder does not take the place of ours.
    command = [sys.executable, "-P", "-m", "training.serve", "--port=1"]
    assert replaced == [(sys.executable, command, {"A": "b"})]


def test_training_without_torch_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(program_runner, "find_spec", lambda name: None)
    assert cli.run(["train", "--dataset", "d", "--family", "ssdlite", "--out", "o"]) == 1
    assert "make dev" in capsys.readouterr().err


def test_a_benchmark_gets_the_options_after_its_name_help_too_in_any_folder(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(_Replaced):
        cli.run(["bench", "serve", "--rounds", "1", "--help"])
    assert calls == [("benchmarks.bench_serve", ["--rounds", "1", "--help"])]


def test_the_installed_package_has_no_benchmarks_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("localcloud.sources.REPOSITORY", tmp_path)
    assert cli.run(["bench", "serve"]) == 1
    assert "in the repository, not in the installed package" in capsys.readouterr().err
