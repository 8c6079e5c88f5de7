"""Scores for a wanted escape rate, from what people have decided."""

from dataclasses import replace
from typing import Any

import pytest

from inspection.cases import Case, case_of
from inspection.proposing import Proposal, Wish, fewest, propose
from inspection.rules import Rules
from inspection.rules_document import validate
from tests.inspection_support import detection, prediction
from tests.unit.inspection.factory import BOX, Factory, record_of

DOCUMENT: dict[str, Any] = {
    "version": "7",
    "default": {"fail_score": 0.6, "review_score": 0.45, "severity": "minor"},
    "classes": {"dent": {"severity": "critical"}},
    "zones": {"line-2": {"ignored": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}},
}
RULES = Rules.model_validate(DOCUMENT)


def bad(*scores: float, label: str = "dent", **answer: Any) -> list[Case]:
    """Bad parts that people have decided about. A score of 0 is a part in which the model has found nothing."""
    return [
        case(score, {"verdict": "fail", "objects": [{"label": label}]}, label, **answer) for score in scores
    ]


def good(*scores: float, label: str = "dent", **answer: Any) -> list[Case]:
    return [case(score, {"verdict": "pass", "objects": []}, label, **answer) for score in scores]


def case(
    score: float, decision: dict[str, Any] | None, label: str = "dent", line: str = "line-1", **answer: Any
) -> Case:
    detections = [detection(label, score, BOX)] if score else []
    return case_of(record_of(RULES, prediction(*detections, **answer), line=line), decision)


def proposal(cases: list[Case], escape: float = 0.02, **wish: Any) -> Proposal:
    return propose(DOCUMENT, cases, Wish(escape, **wish))


def scores(made: Proposal, label: str = "dent") -> tuple[float, float]:
    rule = validate(made.document).rule("line-1", label)
    return rule.review_score, rule.fail_score


# ---------------------------------------------------------------- the scores


def test_a_class_goes_to_review_where_the_wanted_share_of_bad_parts_escapes_and_fails_where_it_is_right() -> (
    None
):
    parts = bad(0.2, *[0.35] * 9, *[0.8] * 90) + good(*[0.1] * 60, *[0.5] * 40)
    made = proposal(parts, 0.01)
    assert scores(made) == (0.35, 0.8)
    assert made.by_label["dent"]["escape"]["value"] == 0.01
    assert made.by_label["dent"]["overkill"]["value"] == 0.0
    assert made.by_label["dent"]["decided"] == 100


def test_a_wanted_overkill_rate_sets_where_a_class_fails() -> None:
    parts = bad(*[0.35] * 50, *[0.8] * 50) + good(*[0.1] * 90, *[0.5] * 6, *[0.7] * 4)
    assert scores(proposal(parts, overkill=0.1)) == (0.35, 0.35)
    assert scores(proposal(parts, overkill=0.05)) == (0.35, 0.7)
    assert scores(proposal(parts, overkill=0.02)) == (0.35, 0.8)
    assert scores(proposal(bad(*[0.6] * 100) + good(*[0.6] * 100), overkill=0.02)) == (0.6, 0.6001)


def test_images_count_as_many_as_they_stand_for() -> None:
    # People look at each passed image, and at every second or each failed one: 2 of 102 bad parts pass, or 2 of 52.
    passed = bad(0.3, 0.4) + good(*[0.1] * 98)
    assert scores(proposal(passed + bad(*[0.8] * 50) + [case(0.8, None) for _ in range(50)], 0.03))[0] == 0.8
    assert scores(proposal(passed + bad(*[0.8] * 50), 0.03))[0] == 0.4


def test_all_but_the_scores_and_the_name_stays() -> None:
    made = proposal(bad(*[0.8] * 60) + good(*[0.1] * 60))
    changed = {**DOCUMENT["classes"]["dent"], "fail_score": 0.8, "review_score": 0.8}
    assert made.document == DOCUMENT | {"version": "7-proposed", "classes": {"dent": changed}}
    used = propose(DOCUMENT, bad(*[0.8] * 60) + good(*[0.1] * 60), Wish(0.02), {"7-proposed"})
    assert used.document["version"] == "7-proposed-2"


def test_a_proposal_for_a_line_sets_its_own_scores_and_keeps_what_it_had() -> None:
    document = DOCUMENT | {"lines": {"line-2": {"default": {"allowed_count": 0, "fail_score": 0.9}}}}
    made = propose(document, bad(*[0.8] * 60) + good(*[0.1] * 60), Wish(0.02, line="line-2"))
    assert made.document["classes"] == DOCUMENT["classes"]
    assert made.document["lines"]["line-2"] == {
        "default": {"allowed_count": 0, "fail_score": 0.9},
        "dent": {"allowed_count": 0, "fail_score": 0.8, "review_score": 0.8},
    }
    assert validate(made.document).rule("line-2", "dent").severity == "critical"


def test_a_proposal_leaves_the_scores_of_a_swap_to_the_swap() -> None:
    candidate = {"version": "run", "model": "8", "classes": {}}
    made = propose(DOCUMENT | {"candidate": candidate}, bad(*[0.8] * 60) + good(*[0.1] * 60), Wish(0.02))
    assert "candidate" not in made.document


def test_detections_that_do_not_count_by_place_decide_nothing() -> None:
    parts = [*bad(*[0.8] * 60), *good(*[0.1] * 60)]
    ignored = [case(0.9, {"verdict": "pass", "objects": []}, line="line-2") for _ in range(60)]
    assert scores(proposal(parts + ignored, overkill=0.02)) == (0.8, 0.8)


# ---------------------------------------------------------------- when too little is known


def test_a_class_keeps_its_scores_with_fewer_decisions_than_the_rate_needs() -> None:
    parts = bad(*[0.9] * 49) + good(*[0.1] * 100)
    made = proposal(parts)
    assert made.document == DOCUMENT
    assert made.notes == ["dent keeps its scores: 49 decided images with it, and 2 % needs 50."]
    assert proposal(parts + bad(0.9)).document != DOCUMENT
    assert [fewest(share) for share in (0.5, 0.02, 0.0007)] == [30, 50, 1429]


def test_nothing_passes_that_did_not_without_looks_at_what_passes() -> None:
    failed = bad(*[0.9] * 80) + good(*[0.7] * 60)
    passed = [case(0.1, None) for _ in range(100)]
    made = proposal(failed + passed)
    assert scores(made)[0] == 0.45
    assert any("does not pass more than now: 0 passed images decided" in note for note in made.notes)
    looked = good(*[0.1] * 50)
    assert scores(proposal(failed + passed + looked))[0] == 0.9


def test_a_class_is_made_stricter_also_without_looks_at_what_passes() -> None:
    parts = [*bad(*[0.25] * 5, *[0.9] * 75), case(0, None)]
    assert scores(proposal(parts, 0.03))[0] == 0.25


def test_few_good_images_leave_the_fail_score_as_it_is() -> None:
    made = proposal(bad(*[0.9] * 30, *[0.5] * 30) + good(*[0.1] * 29))
    assert scores(made)[1] == 0.6
    assert (
        "dent keeps its fail_score, as far as it can: 29 decided good images, and it needs 30." in made.notes
    )


def test_a_class_that_never_fails_a_product_keeps_its_fail_score_and_has_no_overkill() -> None:
    document = DOCUMENT | {"classes": {"dent": {"verdict": "review"}}}
    parts = bad(*[0.35] * 10, *[0.65] * 90) + good(*[0.1] * 60, *[0.7] * 40)
    made = propose(document, parts, Wish(0.02))
    rule = validate(made.document).rule("line-1", "dent")
    assert (rule.review_score, rule.fail_score, rule.verdict) == (0.35, 0.6, "review")
    assert made.by_label["dent"]["overkill"]["value"] == 0
    assert propose(DOCUMENT, parts, Wish(0.02)).by_label["dent"]["overkill"]["value"] > 0


def test_what_the_model_does_not_see_cannot_be_reached_by_scores_and_is_said() -> None:
    made = proposal(bad(*[0.0] * 10, *[0.3] * 10, *[0.8] * 80) + good(*[0.1] * 60))
    assert scores(made)[0] == 0.3
    assert made.by_label["dent"]["escape"]["value"] == 0.1
    assert any("cannot reach 2 % by scores: in 10 % of its parts" in note for note in made.notes)


def test_scores_are_those_of_the_model_that_serves_now() -> None:
    newest = bad(*[0.8] * 60, model={"name": "steel", "version": "8"})
    newest += good(*[0.1] * 60, model={"name": "steel", "version": "8"})
    made = proposal(newest + bad(*[0.2] * 200))
    assert scores(made) == (0.8, 0.8)
    assert made.notes[0].startswith("200 images left out, because model 8 did not inspect them")


def test_without_decisions_nothing_is_proposed() -> None:
    made = proposal([case(0.9, None)])
    assert (made.document, made.by_label) == (DOCUMENT, {})
    assert made.notes == ["Nobody has decided about any of these images yet, so the scores stay."]


def test_lines_that_keep_their_own_scores_are_named() -> None:
    document = DOCUMENT | {"lines": {"line-2": {"dent": {"fail_score": 0.95}}}}
    made = propose(document, bad(*[0.8] * 60) + good(*[0.1] * 60), Wish(0.02))
    assert "line-2 keeps its own fail_score 0.95 for dent." in made.notes


# ---------------------------------------------------------------- a factory


@pytest.mark.parametrize(("wanted", "missed", "seed"), [(0.05, 0.0, 1), (0.08, 0.03, 3)])
def test_a_proposal_reaches_the_wanted_escape_rate_on_parts_to_come(
    wanted: float, missed: float, seed: int
) -> None:
    document = DOCUMENT | {"version": "1", "classes": {}}
    factory = Factory(Rules.model_validate(document), bad_share=0.2, missed=missed, seed=seed)
    before, parts = factory.escape(factory.rules, 5000)
    assert before / parts > wanted, "the rules in force do not reach it"
    cases = factory.cases(1500)
    made = propose(document, cases, Wish(wanted))
    rate = made.by_label["scratch"]["escape"]
    assert rate["value"] <= wanted
    escaped, parts = factory.escape(validate(made.document), 10_000)
    assert rate["low"] <= escaped / parts <= rate["high"]
    assert made == propose(document, [replace(each) for each in cases], Wish(wanted)), (
        "the same from the same"
    )
