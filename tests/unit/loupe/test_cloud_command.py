"""`loupe cloud create` and `update` at the command line: what they print, ask, and say when they are stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from loupe import cli
from loupe.account import creation
from loupe.account import status as account_status
from loupe.account.account import Account
from loupe.account.creation import Outcome
from loupe.account.problem import Problem
from loupe.account.settings import Settings, Wishes
from loupe.account.status import State
from loupe.account.steps import STEPS
from loupe.commands import cloud, cloud_building

SMALL = Problem("warning", "the quota 'x' is 1, and a swap needs 2", "Ask for more: aws service-quotas ...")
NO_MAKE = Problem("error", "the program make is not installed", "Debian, Ubuntu: apt-get install make")


class Looked:
    """What the checks have found, without an account."""

    problems: list[Problem]
    asked: list[Wishes]
    stack: Any = None

    def __init__(self, account: Account, wishes: Wishes) -> None:
        self.settings = Settings({}, {})
        self.asked.append(wishes)

    @property
    def failed(self) -> bool:
        return any(problem.level == "error" for problem in self.problems)

    def run(self, on_line: Any) -> None:
        on_line("names")


@pytest.fixture(autouse=True)
def on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account on AWS whose checks find nothing and whose steps do nothing."""
    account = Account(boto3.Session("a", "b", region_name="eu-central-1"), None, "loupe")
    account.__dict__["identity"] = {"Account": "123456789012"}
    monkeypatch.setattr(Looked, "problems", [], raising=False)
    monkeypatch.setattr(Looked, "asked", [], raising=False)
    monkeypatch.setattr(cloud, "open_account", lambda *_: account)
    monkeypatch.setattr(cloud_building, "Checked", Looked)
    monkeypatch.setattr(
        creation, "plan", lambda site, update: [Outcome(step, "open", step.what, 0.0) for step in STEPS]
    )
    monkeypatch.setattr(creation, "run", lambda site, update: iter([Outcome(STEPS[0], "done", "there", 1.2)]))
    monkeypatch.setattr(account_status, "per_hour", lambda *_: "$1.41 an hour")
    monkeypatch.setattr(account_status, "read", lambda _: State([("Stack", "loupe")], {"stack": "loupe"}))


def test_with_json_each_step_is_a_line_and_the_state_is_the_last(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["cloud", "create", "--yes", "--json"]) == 0
    checks, step, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert checks == {"step": "checks", "problems": []}
    assert step == {"step": "bucket", "state": "done", "text": "there", "seconds": 1.2}
    assert last == {"stack": "loupe", "status": {"stack": "loupe"}}


def test_failed_checks_are_all_shown_with_what_to_do_and_nothing_is_created(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(Looked, "problems", [NO_MAKE, SMALL])
    monkeypatch.setattr(creation, "run", lambda site, update: pytest.fail("a step ran"))
    assert cli.run(["cloud", "create", "--yes"]) == 1
    text = capsys.readouterr().err
    for part in (NO_MAKE.message, NO_MAKE.hint, SMALL.message, SMALL.hint, "1 of the checks failed"):
        assert part in text


def test_nothing_that_is_billed_is_created_without_being_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(creation, "run", lambda site, update: pytest.fail("a step ran"))
    assert cli.run(["cloud", "create"]) == 1
    text = capsys.readouterr().err
    assert "Create loupe in account 123456789012, eu-central-1? It costs $1.41 an hour." in text
    assert "--yes" in text


def test_a_plan_says_what_would_be_done_and_its_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(creation, "run", lambda site, update: pytest.fail("a step ran"))
    assert cli.run(["cloud", "create", "--plan"]) == 0
    text = capsys.readouterr().out
    assert all(f"- {step.name:<13} to do: {step.what}" in text for step in STEPS)
    assert "From then on: $1.41 an hour." in text


def test_ctrl_c_says_what_stands_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def run(site: Any, update: bool) -> Iterator[Outcome]:
        yield Outcome(STEPS[0], "done", "there", 0.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(creation, "run", run)
    assert cli.run(["cloud", "create", "--yes"]) == 130
    text = capsys.readouterr().err
    assert "Done: bucket." in text
    assert "Repeat the command" in text


def test_only_a_stack_that_exists_is_updated(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["cloud", "update", "--yes"]) == 1
    assert "there is no stack loupe to update" in capsys.readouterr().err


def test_an_environment_names_the_stack_and_its_parameters(monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    account = cloud.open_account("", None, False)  # type: ignore[arg-type]
    monkeypatch.setattr(cloud, "open_account", lambda stack, *_: (opened.append(stack), account)[1])
    options = ["-e", "dev", "-p", "KeptModels=2", "--alert-email", "a@b", "--yes"]
    assert cli.run(["cloud", "create", *options]) == 0
    assert cli.run(["cloud", "create", "-e", "dev", "--stack", "mine", "--yes"]) == 0
    assert opened == ["loupe-dev", "mine"]
    assert Looked.asked[0].environment is not None
    assert Looked.asked[0].environment.parameters["HostingInstanceType"] == "ml.c6i.xlarge"
    assert Looked.asked[0].parameters == {"KeptModels": "2", "AlertEmail": "a@b"}
