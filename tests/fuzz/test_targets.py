"""About a second of each of the fuzzer's targets."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import targets
from tests.fuzz.worker import peak_mib, wrong_with

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
TARGETS = [
    pytest.param(target, marks=pytest.mark.promise(*target.promises), id=target.name) for target in targets()
]


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_of_a_target_break_no_promise(target, tried):
    assert target.seeds()
    for data in target.seeds():
        assert wrong_with(target, data) is None
    tried(inputs=len(target.seeds()))


@pytest.mark.parametrize("target", TARGETS)
def test_no_mutated_input_breaks_a_promise(target, tmp_path, monkeypatch, tried):
    monkeypatch.chdir(tmp_path)
    before = peak_mib()

    @given(st.integers(0, 10**9))
    @settings(max_examples=target.examples, deadline=None, suppress_health_check=list(HealthCheck))
    def try_one(seed):
        tried(inputs=1)
        assert wrong_with(target, target.input(seed)) is None

    try_one()
    assert peak_mib() - before < target.mib
