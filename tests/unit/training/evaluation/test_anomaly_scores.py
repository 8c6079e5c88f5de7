"""Whole images: AUROC, what is caught at zero overkill, and F1, against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.anomalies import scores
from training.evaluation.anomalies.scores import FIGURES, by_score, image_figures
from training.evaluation.bootstrap import resample

# Few values, so that many are equal.
LABELLED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({flag for _, flag in rows}) == 2
)

FEW = settings(max_examples=30)


def figures(rows, weights=None):
    values, defective = (np.array(column) for column in zip(*rows, strict=True))
    weights = resample(len(rows), 20) if weights is None else weights
    return image_figures(values.astype(float), ~defective, defective, weights)


def split(rows):
    return [value for value, flag in rows if not flag], [value for value, flag in rows if flag]


def best_f1(good, bad):
    """The definition, threshold by threshold."""
    points = []
    for threshold in {*good, *bad}:
        true, false = (sum(value >= threshold for value in values) for values in (bad, good))
        points.append(2 * true / (true + false + len(bad)))
    return max(points)


@FEW
@given(LABELLED)
def test_auroc_is_the_statistic_of_mann_and_whitney(rows):
    # It takes a second to import, also in processes that run none of these tests.
    from scipy.stats import mannwhitneyu

    good, bad = split(rows)
    expected = mannwhitneyu(bad, good).statistic / (len(good) * len(bad))
    assert figures(rows)["image_auroc"].value == pytest.approx(expected)


@FEW
@given(LABELLED)
def test_what_is_caught_at_zero_overkill_is_above_every_good_image(rows):
    good, bad = split(rows)
    expected = sum(value > max(good) for value in bad) / len(bad)
    assert figures(rows)["caught_at_zero_overkill"].value == pytest.approx(expected)


@FEW
@given(LABELLED)
def test_f1_max_is_the_best_of_all_thresholds(rows):
    assert figures(rows)["f1_max"].value == pytest.approx(best_f1(*split(rows)))


@FEW
@given(LABELLED)
def test_no_figure_depends_on_the_scale_of_the_scores(rows):
    stretched = [(np.exp(value / 2.0) - 5, flag) for value, flag in rows]
    for name, figure in figures(rows).items():
        other = figures(stretched)[name]
        assert figure.value == other.value
        assert np.array_equal(figure.samples, other.samples, equal_nan=True)


@FEW
@given(LABELLED, st.integers(0, 1000))
def test_a_resample_gives_what_the_repeated_images_give(rows, seed):
    weights = resample(len(rows), 1, seed)
    repeated = [row for row, count in zip(rows, weights[0], strict=True) for _ in range(count)]
    sampled = figures(rows, weights)
    for name in FIGURES:
        value = sampled[name].samples[0]
        if len({flag for _, flag in repeated}) == 2:
            assert value == pytest.approx(figures(repeated)[name].value)
        else:
            assert np.isnan(value)


@FEW
@given(LABELLED)
def test_every_interval_contains_its_figure(rows):
    for figure in figures(rows).values():
        assert 0 <= figure.interval[0] <= figure.value <= figure.interval[1] <= 1


@pytest.mark.parametrize("flag", [True, False])
def test_without_both_kinds_of_images_there_is_no_figure(flag):
    assert figures([(1, flag), (2, flag)]) == dict.fromkeys(FIGURES)


def test_images_that_are_all_told_apart_do_not_make_the_figures_certain():
    """Each resample of these agrees, as 8 coins that fall alike do."""
    rows = [(0, False)] * 8 + [(1, True)] * 20
    for figure in figures(rows, resample(28, 200)).values():
        assert figure.value == 1
        assert figure.interval == (pytest.approx(0.025 ** (1 / 8)), 1)


def test_a_large_set_is_resampled_in_pieces_that_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        (float(value), bool(flag))
        for value, flag in zip(rng.normal(size=50), rng.random(50) < 0.3, strict=True)
    ]
    whole = figures(rows, resample(50, 40))
    monkeypatch.setattr(scores, "_CHUNK", 70)
    for name, figure in figures(rows, resample(50, 40)).items():
        assert np.array_equal(figure.samples, whole[name].samples)


def test_images_are_counted_by_rising_score():
    values, flags = np.array([3.0, 1.0, 3.0, 2.0]), np.array([True, True, False, False])
    good, defective = by_score(values, ~flags, flags, np.array([[1, 1, 1, 1], [2, 0, 1, 1]]))
    assert good.tolist() == [[0, 1, 1], [0, 1, 1]]
    assert defective.tolist() == [[1, 0, 1], [0, 0, 2]]
