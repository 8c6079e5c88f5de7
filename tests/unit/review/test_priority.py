"""In which order people look at what waits."""

import heapq
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.inspections import timestamp
from review.priority import ENOUGH_LABELLED, PATIENCE, due, priority
from review.sampling import Cause, Selection
from review.usual import Usual
from tests.unit.review.desk import START, reason, record

DOUBTFUL, DRAWN = Selection(Cause.VERDICT, 1.0), Selection(Cause.SAMPLE, 0.01)
KNOWN = Usual(labelled={"scratch": ENOUGH_LABELLED})


def of(inspected: dict[str, Any], usual: Usual = KNOWN) -> float:
    return priority(inspected, DOUBTFUL, usual).value


def steady(pictures: int = 100) -> Usual:
    usual = KNOWN
    for number in range(pictures):
        quality = {"exposure": 0.5 + 0.01 * (number % 3), "sharpness": 120.0 + number % 5}
        usual = usual.after(record(quality=quality))
    return usual


def test_a_score_close_to_the_failing_one_comes_before_a_low_score() -> None:
    close = record(reasons=[reason("doubtful", score=0.1), reason("doubtful", score=0.49)])
    far = record(reasons=[reason("doubtful", score=0.31)])

    assert of(close) > of(far)
    assert priority(close, DOUBTFUL, KNOWN).reasons == (
        "the score 0.49 of scratch is below 0.50, which fails",
    )


def test_an_image_is_not_said_to_be_below_the_failing_score_if_only_its_class_keeps_it_from_failing() -> None:
    suspected = record(reasons=[reason("doubtful", "anomaly", score=0.97)])

    first, *_ = priority(suspected, DOUBTFUL, KNOWN).reasons
    assert first == "the score 0.97 of anomaly would fail, but a person decides"
    assert of(suspected) >= of(record(reasons=[reason("doubtful", "anomaly", score=0.49)]))


def test_an_image_on_which_the_model_failed_comes_before_a_bad_picture() -> None:
    unanswered = record(reasons=[{"code": "model_error", "message": "m"}])
    del unanswered["detections"]
    bad = record(reasons=[{"code": "bad_picture", "message": "too dark"}])

    assert of(unanswered) > of(bad)


def test_a_class_that_few_have_labelled_on_the_line_comes_first() -> None:
    rare, usual = record(reasons=[reason("doubtful", "dent")]), record()

    assert of(rare) > of(usual)
    assert "0 images with dent were labelled on line-1" in priority(rare, DOUBTFUL, KNOWN).reasons


def test_an_anomaly_is_unlike_everything_that_has_a_name_however_many_were_seen() -> None:
    suspected = record(reasons=[reason("doubtful", "anomaly")])
    many = Usual(labelled={"anomaly": 1, "scratch": ENOUGH_LABELLED})

    assert of(suspected, many) > of(record(), many)
    assert priority(suspected, DOUBTFUL, many).reasons[1:] == (
        "no class is known for what the anomaly model has found",
    )


@pytest.mark.parametrize(
    "quality", [{"exposure": 0.2, "sharpness": 121.0}, {"exposure": 0.51, "sharpness": 9.0}]
)
def test_a_picture_unlike_those_of_its_line_comes_first(quality: dict[str, float]) -> None:
    usual = steady()
    strange, ordinary = record(quality=quality), record(quality={"exposure": 0.51, "sharpness": 121.0})

    assert of(strange, usual) > of(ordinary, usual) == of(ordinary)


def test_nothing_is_unlike_the_first_pictures_of_a_line() -> None:
    strange = record(quality={"exposure": 0.1, "sharpness": 9.0})

    assert of(strange, steady(5)) == of(strange)


def test_a_sample_comes_by_lot_whatever_the_model_thinks_of_it() -> None:
    certain = record(verdict="pass")
    doubtful = certain | {"reasons": [reason("doubtful", score=0.49)], "quality": {"exposure": 0.01}}

    assert priority(certain, DRAWN, steady()) == priority(doubtful, DRAWN, KNOWN)


@given(first=st.floats(0, 1), second=st.floats(0, 1), days=st.floats(3, 30))
def test_nothing_waits_for_ever_behind_what_comes_after_it(first: float, second: float, days: float) -> None:
    assert days >= PATIENCE.days
    later = f"2026-03-{1 + int(days):02d}T08:00:00.001Z"

    assert due("2026-03-01T08:00:00.000Z", first) < due(later, second)


def test_samples_are_neither_starved_nor_crowd_out_what_is_doubtful() -> None:
    """In ten days twice as much comes in as people can look at; a quarter of it are samples."""
    drawing = Random(7)  # noqa: S311 - no secret
    waiting, taken = list[tuple[str, str]](), list[str]()
    for hour in range(240):
        received = timestamp(START + timedelta(hours=hour))
        for number in range(20):
            drawn = number % 4 == 0
            value = drawing.random() if drawn else drawing.uniform(0.7, 1)
            heapq.heappush(waiting, (due(received, value), "sample" if drawn else "verdict"))
        taken += [heapq.heappop(waiting)[1] for _ in range(10)]

    assert 0.15 < taken.count("sample") / len(taken) < 0.25
