"""A heat map is a small PNG with a pixel for each place."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from training.model.anomaly import AnomalyScale
from training.model.heat_map import MAX_BYTES, heat_map

SCALE = AnomalyScale(30, 4, 25, (10.0, 60.0))


def drawn(places, scale=SCALE):
    data = heat_map(places, scale)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image), len(data)


@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.floats(0, 2**20, width=32)
    )
)
@settings(max_examples=50)
def test_it_has_a_pixel_for_each_place_and_farther_is_never_darker(places):
    grey, size = drawn(places)
    assert grey.shape == places.shape
    assert size <= MAX_BYTES
    order = np.argsort(places, axis=None)
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()
    assert (grey[places <= 10] == 0).all()
    assert (grey[places >= 60] == 255).all()


def test_noise_of_40_places_a_side_is_at_most_two_kilobytes_and_exact():
    places = np.random.default_rng(5).uniform(10, 60, (40, 40)).astype(np.float32)
    grey, size = drawn(places)
    assert size <= 2000
    assert np.abs(grey - (places - 10) / 50 * 255).max() <= 0.51


def test_a_map_of_80_places_a_side_that_is_no_noise_keeps_them_all_with_coarser_greys():
    across, down = np.meshgrid(np.linspace(0, 6, 80), np.linspace(0, 6, 80))
    rough = np.random.default_rng(5).normal(0, 0.5, (80, 80))
    places = (35 + 15 * np.sin(across) * np.cos(down) + rough).astype(np.float32)
    grey, size = drawn(places)
    assert size <= 2000
    assert grey.shape == (80, 80)
    assert np.abs(grey - (places - 10) / 50 * 255).max() <= 255 / 14


def test_a_map_of_many_places_keeps_its_defect_although_it_is_made_smaller():
    places = np.random.default_rng(5).uniform(10, 60, (333, 257)).astype(np.float32)
    places[7, 200] = 1000
    grey, size = drawn(places)
    assert size <= MAX_BYTES
    assert grey.shape[0] < 333
    assert grey.max() == 255
