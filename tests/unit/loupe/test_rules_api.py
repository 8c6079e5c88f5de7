"""`loupe rules` on a stack with the API, whose function here is the real one: who changed what, preview, propose."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from inspection.check_rules import check
from loupe import cli
from loupe.errors import LoupeError
from loupe.stack import rules
from loupe.stack.target import Target
from tests.api_support import forget
from tests.unit.inspection.factory import Factory
from tests.unit.loupe.conftest import FIRST_RULES
from tests.unit.loupe.test_api import ARN, Functions

Command = Callable[..., Result]
MINE: dict[str, Any] = {
    "version": "mine",
    "default": {"fail_score": 0.6, "review_score": 0.4, "severity": "major"},
}


@pytest.fixture
def press(stack: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """The stack with its API."""
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "RULES_PARAMETER": "/press/rules",
        "RULES_CACHE_SECONDS": "30",
        "REVIEWS_TABLE": "reviews",
        "HISTORY_TABLE": "history",
    }.items():
        monkeypatch.setenv(name, value)
    forget()
    keys = {"subject": "HASH", "at_id": "RANGE"}
    boto3.client("dynamodb").create_table(
        TableName="history",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],  # type: ignore[typeddict-item]
    )
    press = Target(stack.session, None, stack.outputs | {"ApiFunctionName": "press-api"})
    press.__dict__.update(functions=Functions(), identity=ARN)
    yield press
    forget()


@pytest.fixture
def loupe(press: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.setattr(Target, "aws", lambda name: press)
    # In this process: test_rules.py runs the program as the command does.
    monkeypatch.setattr(rules, "_ask", check)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **options: CliRunner().invoke(
        cli.app, ["rules", *arguments, "--stack", "press"], **options
    )


def file(document: Any) -> str:
    Path("rules.json").write_text(json.dumps(document))
    return "rules.json"


def outside(press: Target, document: Any) -> None:
    press.ssm.put_parameter(Name="/press/rules", Value=json.dumps(document), Type="String", Overwrite=True)


def words(result: Result) -> str:
    assert result.exception is None, result.exception
    return " ".join(result.stdout.split())


def test_a_change_keeps_who_made_it_and_why(loupe: Command, press: Target) -> None:
    assert "(version 2 of the parameter)" in words(
        loupe("set", file(MINE), "--comment", "fewer false alarms")
    )
    entry = json.loads(loupe("history", "--json").stdout)["history"][0]
    assert (entry["version"], entry["who"], entry["comment"]) == ("mine", "maria", "fewer false alarms")
    text = words(loupe("history"))
    assert "maria" in text
    assert "(“fewer" in text
    assert "Version 2 of the parameter, by maria" in words(loupe("show"))


def test_scores_and_dry_runs_work_as_without_the_api(loupe: Command, press: Target) -> None:
    scores = {"version": "steel-1", "classes": {"dent": {"fail_score": 0.42, "review_score": 0.17}}}
    assert "Nothing was changed" in words(loupe("set", "--scores", file(scores), "--dry-run"))
    assert rules.history(press)[0].number == 1
    loupe("set", "--scores", file(scores))
    assert rules.history(press)[0].document == json.loads(FIRST_RULES) | scores


def test_earlier_rules_return_under_a_name_of_their_own(loupe: Command, press: Target) -> None:
    loupe("set", file(MINE))
    result = words(loupe("restore", "1", "-m", "too strict"))
    assert "The rules 1-2 are in force (version 3 of the parameter)" in result
    entry = json.loads(loupe("history", "--json").stdout)["history"][0]
    assert (entry["who"], entry["comment"]) == ("maria", "too strict")
    assert entry["document"] == json.loads(FIRST_RULES) | {"version": "1-2"}
    assert "in force already" in words(loupe("restore", "3"))


def test_who_changes_rules_meanwhile_is_not_overwritten(
    loupe: Command, press: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = rules.history(press)
    outside(press, MINE | {"version": "theirs"})
    monkeypatch.setattr(rules, "history", lambda target: stale)
    result = loupe("set", file(MINE))
    assert isinstance(result.exception, LoupeError)
    assert "changed meanwhile" in result.exception.message
    assert "They were left as they are" in result.exception.hint
    monkeypatch.undo()
    assert (
        json.loads(press.ssm.get_parameter(Name="/press/rules")["Parameter"]["Value"])["version"] == "theirs"
    )


def test_the_history_goes_on_over_the_pages_of_the_api(loupe: Command, press: Target) -> None:
    loupe("set", file(MINE))
    for number in range(55):
        outside(press, MINE | {"version": f"run-{number}"})
    listed = json.loads(loupe("history", "--json").stdout)["history"]
    assert (len(listed), listed[-2]["who"]) == (57, "maria")


def test_rules_are_shown_also_if_the_api_fails(loupe: Command, press: Target) -> None:
    functions: Functions = press.__dict__["functions"]
    functions.answer = {"errorMessage": "Task timed out after 29.00 seconds"}
    assert "Rules 1, in force since" in words(loupe("show"))
    assert len(json.loads(loupe("history", "--json").stdout)["history"]) == 1


def test_a_comment_needs_the_api(loupe: Command, press: Target) -> None:
    del press.outputs["ApiFunctionName"]
    result = loupe("set", file(MINE), "--comment", "why")
    assert isinstance(result.exception, LoupeError)
    assert "no API yet" in result.exception.message
    assert rules.history(press)[0].number == 1


# ---------------------------------------------------------------- preview and propose


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspections with decisions. tests/integration reads them from the tables."""
    from api import rule_cases
    from inspection.rules import Rules

    cases = Factory(Rules.model_validate_json(FIRST_RULES), bad_share=0.3).cases(500)
    monkeypatch.setattr(rule_cases, "read", lambda last, line: rule_cases.Cases(cases[:last], []))


def test_a_preview_shows_verdicts_moves_and_rates(loupe: Command, inspected: None) -> None:
    text = words(loupe("preview", file(MINE), "--last", "400"))
    assert "Verdicts now proposed" in text
    assert "fail review" in text
    assert "bad parts that pass" in text
    answer = json.loads(loupe("preview", file(MINE), "--json").stdout)
    assert answer["inspected"] == 500
    assert answer["moves"]


def test_a_preview_of_no_rules_says_what_is_wrong(loupe: Command, inspected: None) -> None:
    result = loupe("preview", file({"version": "x", "clases": {}}))
    assert isinstance(result.exception, LoupeError)
    assert "clases: is not a known name" in result.exception.message


def test_a_proposal_is_shown_and_written_but_not_put_into_force(
    loupe: Command, press: Target, inspected: None
) -> None:
    text = words(loupe("propose", "--escape", "0.05", "--output", "proposed.json"))
    assert "scratch" in text
    assert "Nothing was changed. Put them into force: loupe rules set proposed.json --stack press" in text
    assert rules.history(press)[0].number == 1
    assert "are in force" in words(loupe("set", "proposed.json"))


def test_a_proposal_can_be_put_into_force_at_once(loupe: Command, press: Target, inspected: None) -> None:
    document = json.loads(loupe("propose", "--escape", "0.05", "--apply", "--json").stdout)
    assert document["parameter_version"] == 2
    assert rules.history(press)[0].document == document["document"]
    assert "1-proposed are in force" not in words(loupe("propose", "--escape", "0.05", "--apply"))


def test_a_rate_that_cannot_be_wanted_is_refused_in_words(loupe: Command, inspected: None) -> None:
    result = loupe("propose", "--escape", "2")
    assert isinstance(result.exception, LoupeError)
    assert "escape: must be below 1" in result.exception.hint
