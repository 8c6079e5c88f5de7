"""The coreset and the memory: what stands for all places of the good pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from training.learning.anomalies.coreset import coreset
from training.learning.anomalies.memory import Memory, MemoryBank


def cloud(count: int, channels: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, channels)).astype(np.float32)


def radius(features: np.ndarray, chosen: np.ndarray) -> float:
    """How far the farthest feature is from the nearest chosen one, computed by the definition."""
    gaps = np.linalg.norm(features[:, None].astype(np.float64) - chosen[None], axis=2)
    return float(gaps.min(1).max())


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 60), most=st.integers(1, 80), seed=st.integers(0, 1000))
def test_a_coreset_takes_each_feature_once_and_no_more_than_it_may(count, most, seed):
    chosen = coreset(cloud(count, seed=seed), most, seed)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, most)


@settings(max_examples=30, deadline=None)
@given(most=st.integers(1, 12), seed=st.integers(0, 1000))
def test_no_feature_is_farther_from_a_greedy_coreset_than_any_two_of_the_coreset(most, seed):
    """The farthest-first rule, which makes the coreset at most twice as far as the best one (Gonzalez 1985)."""
    features = cloud(50, seed=seed)
    chosen = features[coreset(features, most, seed)]
    gaps = np.linalg.norm(chosen[:, None] - chosen[None], axis=2)[np.triu_indices(len(chosen), 1)]
    assert radius(features, chosen) <= gaps.min(initial=np.inf) + 1e-4


def test_a_coreset_of_copies_has_one_of_each():
    features = np.repeat(cloud(5), 20, axis=0)
    assert len(np.unique(features[coreset(features, 50, 0)], axis=0)) == len(coreset(features, 50, 0)) == 5


def test_the_same_seed_chooses_the_same():
    features = cloud(300, 152)
    assert coreset(features, 40, 3).tolist() == coreset(features, 40, 3).tolist()
    assert coreset(features, 40, 3).tolist() != coreset(features, 40, 4).tolist()


def test_a_coreset_covers_far_better_than_chance():
    """Rare features, such as the edges of a hole, are what a random choice misses."""
    features = np.concatenate([cloud(2000, 152) * 0.1, cloud(20, 152, seed=1) * 3])
    chosen = features[coreset(features, 60, 0)]
    random = features[np.random.default_rng(0).permutation(len(features))[:60]]
    assert radius(features, chosen) < 0.5 * radius(features, random)


def test_a_memory_of_many_pictures_stays_small_and_still_covers_all_of_them():
    features = [cloud(100, seed=number) + number for number in range(30)]
    bank = MemoryBank(50, 0, pool=400)
    for number, picture in enumerate(features):
        bank.add(picture, number)
        assert bank.waiting <= 400
    memory = bank.reduced()
    everything = np.concatenate(features)
    at_once = everything[coreset(everything, 50, 0)]
    assert len(memory.owners) == 50
    assert radius(everything, memory.features) <= 2 * radius(everything, at_once)
    # Each feature is still that of its picture.
    for owner, feature in zip(memory.owners, memory.features, strict=True):
        assert (features[owner] == feature).all(axis=1).any()


def test_a_memory_forgets_a_picture_and_knows_the_others_by_their_new_numbers():
    bank = MemoryBank(100, 0)
    features = [cloud(5, seed=number) for number in range(4)]
    for number, picture in enumerate(features):
        bank.add(picture, number)
    memory = bank.reduced().forget([1])
    assert sorted(memory.owners.tolist()) == [0] * 5 + [1] * 5 + [2] * 5
    kept = [features[0], features[2], features[3]]
    for owner, feature in zip(memory.owners, memory.features, strict=True):
        assert (kept[owner] == feature).all(axis=1).any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), without=st.none() | st.integers(0, 3))
def test_a_distance_is_that_of_the_nearest_feature_of_another_picture(seed, without):
    known, seen = cloud(40, seed=seed) + 20, cloud(15, seed=seed + 1) + 20
    owners = np.arange(40) % 4
    kept = known[owners != without] if without is not None else known
    expected = np.linalg.norm(seen[:, None].astype(np.float64) - kept[None], axis=2).min(1)
    assert Memory(known, owners).distances(seen, without) == pytest.approx(expected, abs=1e-3)
