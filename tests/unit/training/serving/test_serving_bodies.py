"""Packed bodies: unpacked within the limit, or refused for what they are."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from tests.unit.training.serving.serving_support import Brightness, ask, png
from training.serving.bodies import unpack
from training.serving.refusals import RefusedError
from training.serving.settings import Settings

LIMIT = 1_000_000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(png(40))),
        ("x-gzip", gzip.compress(png(40))),
        ("deflate", zlib.compress(png(40))),
        ("GZIP", gzip.compress(png(40))),
        ("identity", png(40)),
        ("", png(40)),
    ],
    ids=["gzip", "x-gzip", "deflate", "GZIP", "identity", "none"],
)
def test_a_packed_image_is_answered_as_the_image_itself(encoding, packed):
    (plain,) = ask(Brightness(), png(40))
    (answer,) = ask(Brightness(), packed, encoding=encoding)
    assert answer.status == 200
    assert answer.document["detections"] == plain.document["detections"]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "compress", "gzip, br"])
def test_an_unknown_or_a_repeated_encoding_is_refused_with_those_that_are_known(encoding):
    (answer,) = ask(Brightness(), gzip.compress(png(40)), encoding=encoding)
    assert (answer.status, answer.code) == (415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "damaged",
    [
        png(40),
        gzip.compress(png(40))[:-9],
        gzip.compress(png(40)) + b"more",
        gzip.compress(b"") * 1000,
        b"",
    ],
    ids=["not packed", "cut", "more behind", "many members", "empty"],
)
def test_a_damaged_body_is_refused(damaged):
    (answer,) = ask(Brightness(), damaged, encoding="gzip")
    assert (answer.status, answer.code) == (400, "corrupt_encoding")


def test_a_bomb_is_refused_once_it_exceeds_the_limit():
    bomb = gzip.compress(bytes(50_000_000), 1)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError) as caught:
            unpack(bomb, "gzip", LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (caught.value.status, caught.value.code) == (413, "body_too_large")
    assert peak < 4 * LIMIT


def test_content_of_exactly_the_limit_is_taken_and_one_byte_more_is_not():
    assert len(unpack(gzip.compress(bytes(LIMIT)), "gzip", LIMIT)) == LIMIT
    with pytest.raises(RefusedError):
        unpack(gzip.compress(bytes(LIMIT + 1)), "gzip", LIMIT)


def test_the_packed_bytes_have_the_same_limit():
    (answer,) = ask(Brightness(), b"x" * 5000, encoding="gzip", settings=Settings(max_body_bytes=1000))
    assert (answer.status, answer.code) == (413, "body_too_large")
