"""What is wrong with rules, in words; other scores in them; and the program that `loupe rules` asks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.check_rules import check
from inspection.rules import ClassRule, ClassScores, Rules
from inspection.rules_document import (
    RulesDocumentError,
    notes,
    parse,
    scores_of,
    to_text,
    unused_name,
    validate,
    with_scores,
)

ROOT = Path(__file__).parents[3]
DEFAULT = {"fail_score": 0.5, "review_score": 0.3}
NEW = {"dent": ClassScores(fail_score=0.42, review_score=0.17)}


def problems(document: Any) -> list[str]:
    with pytest.raises(RulesDocumentError) as caught:
        parse(document if isinstance(document, str) else json.dumps(document))
    return caught.value.problems


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"classes": {"a": {"fail_score": 1.5}}}, "classes.a.fail_score: must be at most 1"),
        ({"classes": {"a": {"fail_score": -1}}}, "classes.a.fail_score: must be at least 0"),
        ({"classes": {"a": {"fail_score": "high"}}}, "classes.a.fail_score: must be a number"),
        ({"classes": {"a": {"allowed_count": 1.5}}}, "classes.a.allowed_count: must be a whole number"),
        (
            {"classes": {"a": {"severity": "bad"}}},
            "classes.a.severity: must be 'minor', 'major' or 'critical'",
        ),
        ({"classes": {"a": {"verdict": "pass"}}}, "classes.a.verdict: must be 'fail' or 'review'"),
        ({"lines": {"b": {"a": {"verdict": 1}}}}, "lines.b.a.verdict: must be 'fail' or 'review'"),
        ({"classes": {"a": {"fail_scor": 0.5}}}, "classes.a.fail_scor: is not a known name"),
        ({"classes": {"a": 3}}, "classes.a: must be an object"),
        ({"classes": []}, "classes: must be an object"),
        ({"version": None}, "version: must be a text"),
        ({"version": ""}, "version: must not be empty"),
        ({"version": "x" * 65}, "version: must have at most 64 characters"),
        (
            {"classes": {"a": {"fail_score": 0.2}}},
            "classes.a: review_score 0.3 must not be above fail_score 0.2",
        ),
        (
            {"lines": {"line-2": {"default": {"review_score": 0.9}}}},
            "lines.line-2.default: review_score 0.9 must not be above fail_score 0.5",
        ),
        ({"picture": {"least_exposure": 2}}, "picture.least_exposure: must be at most 1"),
    ],
)
def test_a_problem_is_named_with_its_place_in_plain_words(document: dict[str, Any], problem: str) -> None:
    (found,) = problems({"version": "1", "default": DEFAULT} | document)
    assert found == problem


def test_all_problems_are_named_at_once() -> None:
    assert problems({"classes": {"a": {"fail_score": 2, "severity": 1}}})[0] == "version: is missing"
    assert len(problems({"classes": {"a": {"fail_score": 2, "severity": 1}}})) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is not JSON: Expecting value in line 1, column 1"),
        ('{"version": "1",\n}', "in line 2, column 1"),
        ("[]", "it must be a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"version": ' + "9" * 5000 + "}", "too many digits"),
        ('{"version": "1", "classes": {"a": {}, "a": {}}}', "the name 'a' appears twice in one object"),
    ],
)
def test_a_text_that_is_no_document_is_explained(text: str, problem: str) -> None:
    assert problem in problems(text)[0]


scores = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(before=scores, line=scores, new=scores, own=st.sampled_from(["fail_score", "review_score"]))
def test_new_scores_are_valid_whatever_a_line_has_and_no_line_lets_more_pass(
    before: list[float], line: list[float], new: list[float], own: str
) -> None:
    document = {
        "version": "1",
        "classes": {"dent": {"review_score": before[0], "fail_score": before[1]}},
        "lines": {"line-2": {"dent": {"review_score": 0.0, "fail_score": 1.0}}},
    }
    document["lines"]["line-2"]["dent"] = {own: line[0] if own == "fail_score" else line[1]}  # type: ignore[index]
    try:
        parse(json.dumps(document))
    except RulesDocumentError:
        return
    proposed = {"dent": ClassScores(review_score=new[0], fail_score=new[1])}
    changed = with_scores(document, "2", proposed)
    rule = Rules.model_validate(changed).rule("line-1", "dent")
    assert rule.review_score <= new[0], "an image passes that the proposal sends to review"
    assert rule.fail_score >= new[1]


def test_new_scores_change_nothing_that_is_written_elsewhere() -> None:
    document = {
        "version": "1",
        "classes": {"dent": {"severity": "minor"}},
        "lines": {"a": {"b": {}}},
        "picture": {},
    }
    assert with_scores(document, "2", NEW) == document | {
        "version": "2",
        "classes": {"dent": {"severity": "minor", "fail_score": 0.42, "review_score": 0.17}},
    }
    assert document["version"] == "1"


def test_only_classes_with_a_score_propose_one() -> None:
    proposal = {"version": "1", "classes": {"dent": {"severity": "minor"}, "scratch": {"fail_score": 0.6}}}
    assert scores_of(proposal) == {"scratch": ClassScores(fail_score=0.6, review_score=0.3)}


def test_a_line_s_own_score_is_named() -> None:
    lines = {"line-2": {"dent": {"allowed_count": 2}}, "line-3": {"default": {"fail_score": 0.9}}}
    rules = Rules.model_validate({"version": "1", "lines": lines})
    assert notes(rules, NEW) == ["line-3 keeps its own fail_score 0.9 for the classes that it does not name"]


# ---------------------------------------------------------------- during a swap


def test_two_models_are_judged_by_their_own_scores_under_their_own_names() -> None:
    candidate = {"version": "run", "model": "new", "classes": {"dent": NEW["dent"].model_dump()}}
    rules = Rules.model_validate({"version": "1", "candidate": candidate})
    assert rules.for_model("old") is rules
    new = rules.for_model("new")
    assert (new.version, new.rule("line-1", "dent").fail_score) == ("run", 0.42)
    assert (rules.version, rules.rule("line-1", "dent").fail_score) == ("1", 0.5)


def test_new_scores_leave_zones_and_areas_as_they_are() -> None:
    zones = {"line-1": {"ignored": [[[0, 0], [0.5, 0], [0.5, 1]]]}}
    document = {"version": "1", "zones": zones, "classes": {"dent": {"largest_area": 900}}}
    changed = with_scores(document, "run", NEW)
    assert changed["zones"] == zones
    assert changed["classes"]["dent"]["largest_area"] == 900


def test_new_scores_leave_what_a_class_makes_of_the_product_as_it_is() -> None:
    document = {
        "version": "1",
        "classes": {"anomaly": {"verdict": "review"}},
        "lines": {"line-2": {"anomaly": {"verdict": "fail"}}},
    }
    scores = {"anomaly": ClassScores(fail_score=0.7, review_score=0.4)}
    changed = validate(with_scores(document, "2", scores))
    for rules in (changed, validate(document).with_scores("2", scores)):
        assert [(rule.verdict, rule.fail_score) for rule in _rules_of(rules, "anomaly")] == [
            ("review", 0.7),
            ("fail", 0.7),
        ]


def _rules_of(rules: Rules, label: str) -> list[ClassRule]:
    return [rules.rule(line, label) for line in ("line-1", "line-2")]


def test_a_document_that_no_parameter_holds_is_refused_with_what_makes_it_long() -> None:
    zones = {f"line-{number}": {"ignored": [[[0, 0], [0.5, 0], [0.5, 1]]]} for number in range(200)}
    document = {"version": "1", "zones": zones, "classes": {"dent": {}}}
    with pytest.raises(
        RulesDocumentError, match=r"it has 9,\d{3} bytes, and a parameter holds 8,192: zones has 9"
    ):
        to_text(document)
    assert "a parameter holds 8,192" in check({"new": json.dumps(document), "current": None})["problems"][0]


@pytest.mark.parametrize("character", ["a", "ä"])
def test_the_length_of_a_document_is_counted_in_bytes_as_it_is_written(character: str) -> None:
    most = (8192 - len('{"version":""}')) // len(character.encode())
    assert len(to_text({"version": character * most}).encode()) == 8192
    with pytest.raises(RulesDocumentError):
        to_text({"version": character * (most + 1)})


@given(st.text(min_size=1, max_size=64), st.integers(0, 30))
def test_a_name_is_used_once_and_never_too_long(name: str, count: int) -> None:
    used: list[str] = []
    for _ in range(count):
        used.append(unused_name(name, used))
    assert len({*used}) == count
    assert all(1 <= len(each) <= 64 for each in used)


# ---------------------------------------------------------------- the program


def test_the_program_answers_on_standard_output_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "inspection").mkdir()
    request = {"new": '{"version": "1", "classes": {"a": {"severity": "minor"}}}', "current": None}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "inspection.check_rules"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)])},
    )
    answer = json.loads(done.stdout)
    assert answer["problems"] == []
    assert answer["rules"]["classes"]["a"] == {
        "fail_score": 0.5,
        "review_score": 0.3,
        "smallest_area": 0.0,
        "allowed_count": 0,
        "severity": "minor",
        "verdict": "fail",
    }


def test_a_person_s_document_neither_adds_nor_removes_the_scores_of_a_swap() -> None:
    candidate = {"version": "run", "model": "new", "classes": {}}
    with_candidate = json.dumps({"version": "1", "candidate": candidate})
    without = json.dumps({"version": "2"})
    assert check({"new": without, "current": with_candidate})["document"]["candidate"] == candidate
    assert "candidate" not in check({"new": with_candidate, "current": without})["document"]


def test_invalid_rules_in_force_can_be_replaced_but_no_scores_put_into_them() -> None:
    new = json.dumps({"version": "2", "classes": {"dent": {"fail_score": 0.6}}})
    assert check({"new": new, "current": "{"})["document"] == json.loads(new)
    assert "in force are not valid" in check({"new": new, "current": "{", "scores_as": "3"})["problems"][0]
