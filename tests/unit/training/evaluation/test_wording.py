"""A rate never stands alone where it deceives: words and counts say what it hides."""

from __future__ import annotations

import pytest

from training.evaluation.wording import NO_GOOD, counts, point_warning, verdict_warnings


def rate(count: int, of: int) -> dict:
    return {"value": count / of, "count": count, "of": of, "interval": [0, 1]}


NOTHING = rate(0, 10)
VERDICTS = {"escape_rate": NOTHING, "overkill_rate": NOTHING, "review_rate": NOTHING, "fail_rate": NOTHING}
POINT = {"escape_rate": NOTHING, "overkill_rate": NOTHING, "false_alarm_rate": NOTHING}


def test_a_rate_has_its_counts_or_the_reason_why_there_is_none():
    assert counts(rate(1, 8), NO_GOOD) == "12.5 % (1 of 8)"
    assert counts(None, NO_GOOD) == "not measurable: no good images"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("overkill_rate", "fail nearly every good product (9 of 10): the escape rate says nothing"),
        ("escape_rate", "pass nearly every defective product (9 of 10): the overkill rate says nothing"),
        ("review_rate", "send nearly every image to review (9 of 10): people would decide"),
    ],
)
def test_rules_that_decide_alike_for_nearly_every_image_are_called_so(name, words):
    (text,) = verdict_warnings(VERDICTS | {name: rate(9, 10)})
    assert words in text
    assert verdict_warnings(VERDICTS | {name: rate(8, 10)}) == []
    assert verdict_warnings(VERDICTS | {name: None}) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("overkill_rate", "fails nearly every good image (10 of 10)"),
        ("false_alarm_rate", "fails nearly every image without this defect (10 of 10)"),
        ("escape_rate", "passes nearly every image with this defect (10 of 10)"),
    ],
)
def test_a_point_that_decides_alike_for_nearly_every_image_is_called_so(name, words):
    assert point_warning(POINT | {name: rate(10, 10)}) == words
    assert point_warning(POINT | {name: None}) == ""
