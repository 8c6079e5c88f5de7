"""Rates among all images, from those that people have looked at."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.estimates import Stratum, rate


def test_a_decided_image_stands_for_those_that_nobody_has_seen() -> None:
    escape = rate([Stratum(1000, 100, 1)], [Stratum(100, 50, 45)])
    assert escape.value == pytest.approx(10 / (10 + 90))
    assert (escape.wrong, escape.reviewed, escape.of) == (1, 100, 1000)
    assert escape.low is not None
    assert escape.high is not None
    assert 0 < escape.low < 0.1 < escape.high < 0.5


def test_what_everybody_has_looked_at_is_still_a_sample_of_what_is_to_come() -> None:
    answer = rate([Stratum(100, 100, 2)], [Stratum(18, 18, 18)])
    assert (answer.value, answer.wrong, answer.reviewed, answer.of) == (0.1, 2, 100, 100)
    assert answer.low == pytest.approx(0.025, abs=0.02)
    assert answer.high == pytest.approx(0.3, abs=0.05)


def test_nothing_found_is_no_proof_that_nothing_escapes() -> None:
    few, many = (rate([Stratum(10_000, seen, 0)], [Stratum(300, 300, 300)]) for seen in (10, 1000))
    assert few.value == many.value == 0
    assert few.high is not None
    assert many.high is not None
    assert few.high > 0.5 > 0.1 > many.high > 0


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ([Stratum(100, 0, 0)], [Stratum(10, 10, 10)]),
        ([Stratum(100, 50, 0)], [Stratum(10, 0, 0)]),
        ([Stratum(100, 50, 0)], [Stratum(10, 10, 0)]),
        ([], []),
    ],
    ids=["nobody looked at what passes", "nor at what fails", "nothing is defective", "nothing at all"],
)
def test_without_knowledge_there_is_no_rate(wrong: list[Stratum], right: list[Stratum]) -> None:
    answer = rate(wrong, right)
    assert (answer.value, answer.low, answer.high) == (None, None, None)


def test_images_that_nobody_has_seen_are_taken_to_be_as_others_of_their_verdict() -> None:
    whole = Stratum(1000, 100, 10)
    assert rate([Stratum(50, 0, 0, like=whole)], [Stratum(950, 100, 10)]).value == pytest.approx(5 / (5 + 95))


COUNTS = st.integers(0, 200)


@settings(max_examples=20)
@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_value_lies_in_its_interval_and_both_are_shares(
    images: int, decided: int, found: int, others: int
) -> None:
    decided = min(decided, images)
    found = min(found, decided)
    answer = rate([Stratum(images, decided, found)], [Stratum(others, others, others)])
    if answer.value is not None and answer.low is not None and answer.high is not None:
        assert 0 <= answer.low <= answer.value <= answer.high <= 1
    assert answer == rate([Stratum(images, decided, found)], [Stratum(others, others, others)])


@pytest.mark.parametrize(("bad", "escaping", "share"), [(0.1, 0.02, 0.3), (0.05, 0.2, 0.2), (0.3, 0.0, 0.2)])
def test_nearly_all_intervals_contain_the_truth(bad: float, escaping: float, share: float) -> None:
    generator, hits, size = random.Random(5), 0, 1000  # noqa: S311 - statistics, no secret

    def count(images: int, likely: float) -> int:
        return sum(generator.random() < likely for _ in range(images))

    for _ in range(25):
        bad_parts = count(size, bad)
        escaped = count(bad_parts, escaping)
        stopped = bad_parts - escaped
        passed, failed = size - stopped, stopped + count(50, 0.5)
        seen = generator.sample([True] * escaped + [False] * (passed - escaped), int(passed * share))
        looked = generator.sample([True] * stopped + [False] * (failed - stopped), int(failed * share) + 1)
        answer = rate([Stratum(passed, len(seen), sum(seen))], [Stratum(failed, len(looked), sum(looked))])
        assert answer.low is not None
        assert answer.high is not None
        hits += answer.low <= escaping <= answer.high
    assert hits >= 20


@settings(max_examples=8)
@given(st.integers(1, 50))
def test_more_decisions_make_the_interval_narrower(found: int) -> None:
    def width(decided: int) -> float:
        answer = rate([Stratum(10_000, decided, found * decided // 100)], [Stratum(500, 500, 500)])
        assert answer.low is not None
        assert answer.high is not None
        return answer.high - answer.low

    assert width(1000) < width(100)
