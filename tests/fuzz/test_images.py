"""A few seconds of `python -m tests.fuzz.images`; hypothesis shrinks what it finds."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.images import MAX_MIB, broken_promise, mutate, peak_mib, seeds
from training.model.pixels import decode

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_file_is_a_whole_picture_before_it_is_mutated():
    assert len(seeds()) > 40
    for data in seeds():
        assert decode(data, 32).width in (24, 31)


@given(st.integers(0, 10**6), st.integers(0, 10**9))
@settings(FEW, max_examples=600)
def test_a_mutated_file_gives_a_picture_or_a_typed_error(index, seed):
    before = peak_mib()
    rng = random.Random(seed)  # noqa: S311 - not a secret
    assert broken_promise(mutate(seeds()[index % len(seeds())], rng)) is None
    assert peak_mib() - before < MAX_MIB


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"RIFF"]),
)
@FEW
def test_any_bytes_behind_any_magic_give_a_typed_error_or_a_picture(data, magic):
    assert broken_promise(magic + data) is None


@given(st.integers(0, 10**6), st.data())
@FEW
def test_a_polyglot_of_two_files_is_decoded_as_one_or_refused(index, data):
    other = data.draw(st.sampled_from(seeds()))
    assert broken_promise(seeds()[index % len(seeds())] + other) is None
