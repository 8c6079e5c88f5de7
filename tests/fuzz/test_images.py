"""Kinds of files beside the mutated ones of `test_targets.py`; hypothesis shrinks what it finds."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.images import broken, seeds
from training.model.pixels import decode

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.promise(20)]  # Pillow's, about the damage
FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_file_is_a_whole_picture_before_it_is_mutated():
    assert len(seeds()) > 40
    for data in seeds():
        assert decode(data, 32).width in (24, 31)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"RIFF"]),
)
@FEW
def test_any_bytes_behind_any_magic_give_a_typed_error_or_a_picture(data, magic):
    assert broken(magic + data) is None


@given(st.integers(0, 10**6), st.data())
@FEW
def test_a_polyglot_of_two_files_is_decoded_as_one_or_refused(index, data):
    other = data.draw(st.sampled_from(seeds()))
    assert broken(seeds()[index % len(seeds())] + other) is None
