"""When a model returns, its rules return with it, and nobody's change is lost."""

import json
from typing import Any

import pytest

from loupe.errors import LoupeError
from loupe.stack import rollback as rollback_module
from loupe.stack import rules
from loupe.stack.rollback import RollbackResult, rollback
from tests.unit.loupe.serving_stack import Stack, rules_document


@pytest.fixture
def promoted(press: Stack) -> Stack:
    """A stack in which `a`, then `b`, then `c` were promoted with their rules; `c` serves."""
    press.put_rules(rules_document("a"))
    press.register("a", rules=("a", "a"))
    press.register("b", before="press-a", rules=("a", "b"))
    press.register("c", before="press-b", rules=("b", "c"))
    press.put_rules(rules_document("c"))
    press.serve("press-c")
    return press


def roll_back(press: Stack, number: int | None = None, **options: Any) -> RollbackResult:
    return rollback(press.target, number, False, lambda _: None, timeout_s=1, **options)


def told(result: RollbackResult) -> str:
    assert result.rules
    return "\n".join(result.rules.sentences(" --stack press"))


def test_with_the_model_its_rules_return(promoted: Stack):
    result = roll_back(promoted)
    assert (result.model, promoted.rules) == ("press-b", rules_document("b"))
    assert told(result) == "Its rules b are in force again."


def test_with_an_older_version_its_rules_return_and_forward_again(promoted: Stack):
    assert told(roll_back(promoted, 1)) == "Its rules a are in force again."
    assert promoted.rules == rules_document("a")
    assert told(roll_back(promoted, 3)) == "Its rules c are in force again."
    assert promoted.rules == rules_document("c")


def test_what_a_person_had_changed_while_the_former_model_served_returns_too(promoted: Stack):
    tuned = rules_document("b") | {"version": "b, tuned", "picture": {"least_sharpness": 9}}
    promoted.put_json("reports/c/rules-before.json", tuned)
    roll_back(promoted)
    assert promoted.rules == tuned


def test_rules_that_a_person_has_changed_since_stay_and_the_command_is_printed(promoted: Stack):
    mine = rules_document("c") | {"version": "mine", "picture": {"least_sharpness": 9}}
    promoted.put_rules(mine)
    result = roll_back(promoted)
    assert (result.model, promoted.rules) == ("press-b", mine)
    assert "The rules mine stay in force, because they were changed since" in told(result)
    assert "loupe rules set s3://artefacts/reports/c/rules-before.json --stack press" in told(result)


def test_the_printed_command_works(promoted: Stack):
    promoted.put_rules(rules_document("c") | {"version": "mine"})
    result = roll_back(promoted)
    assert result.rules
    assert result.rules.belonging
    versions = rules.history(promoted.target)
    checked = rules.in_place_of(rules.read(result.rules.belonging, promoted.target), versions[0])
    rules.refuse_used_name(checked.document, versions)
    rules.put(promoted.target, checked.document, versions[0])
    assert promoted.rules == rules_document("b")


def test_on_request_the_rules_stay_and_are_not_even_read(promoted: Stack, monkeypatch: pytest.MonkeyPatch):
    def no_access(_: Any) -> Any:
        raise AssertionError("the rules were read")

    monkeypatch.setattr(rules, "history", no_access)
    result = roll_back(promoted, keep_rules=True)
    assert promoted.rules == rules_document("c")
    assert "The rules stay as they are (--keep-rules)." in told(result)
    assert "loupe rules set s3://artefacts/reports/c/rules-before.json" in told(result)


def test_without_a_record_the_rules_stay(press: Stack):
    press.register("a")
    press.register("b", before="press-a")
    press.serve("press-b")
    result = roll_back(press)
    assert press.rules["version"] == "1"
    assert "No run has recorded which rules belong to this model" in told(result)


def test_while_the_endpoint_changes_each_model_is_judged_by_its_own_scores(
    promoted: Stack, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Any] = []
    serve = rollback_module._serve

    def look(*arguments: Any) -> str:
        seen.append(promoted.rules)
        return serve(*arguments)

    monkeypatch.setattr(rollback_module, "_serve", look)
    roll_back(promoted)
    (during,) = seen
    candidate = during.pop("candidate")
    assert during == rules_document("c")
    assert (candidate["model"], candidate["version"]) == ("onnx-b", "b")
    assert candidate["classes"]["dent"] == {"fail_score": 0.2, "review_score": 0.1}
    assert promoted.rules == rules_document("b")


def test_if_the_endpoint_keeps_its_model_the_rules_are_those_of_before(promoted: Stack):
    promoted.status = "the container does not answer"
    with pytest.raises(LoupeError, match="kept its previous model"):
        roll_back(promoted)
    assert promoted.rules == rules_document("c")


def test_a_change_during_the_rollback_is_kept(promoted: Stack, monkeypatch: pytest.MonkeyPatch):
    serve = rollback_module._serve

    def change(*arguments: Any) -> str:
        promoted.put_rules(rules_document("d"))
        return serve(*arguments)

    monkeypatch.setattr(rollback_module, "_serve", change)
    result = roll_back(promoted)
    assert promoted.rules == rules_document("d")
    assert "The rules d stay in force" in told(result)


def test_a_version_that_serves_already_changes_no_rules(promoted: Stack):
    promoted.put_rules(rules_document("d"))
    assert roll_back(promoted, 3) == RollbackResult("press-c", 3, False)
    assert promoted.rules == rules_document("d")


def test_the_outcome_is_json(promoted: Stack):
    result = roll_back(promoted)
    assert result.rules
    assert json.loads(json.dumps(result.rules.document())) == {
        "state": "restored",
        "version": "b",
        "belonging": "s3://artefacts/reports/c/rules-before.json",
    }
