"""A heat map over its picture: what is cold is untouched, what is hot is red, and the order is seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.heat_map import COLD, colour, overlay

GREY = Image.new("RGB", (40, 30), (120, 120, 120))


def lightness(value: int) -> float:
    red, green, blue, _ = colour(value)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@given(st.integers(0, COLD))
def test_what_is_cold_leaves_the_picture_as_it_is(value):
    heat = Image.new("L", (5, 5), value)
    assert overlay(GREY, heat).tobytes() == GREY.tobytes()


def test_what_is_hot_is_red_and_lets_the_picture_show():
    bright, dark = (
        overlay(Image.new("RGB", (9, 9), grey), Image.new("L", (2, 2), 255)) for grey in ("white", "black")
    )
    for drawn in (bright, dark):
        red, green, blue = drawn.getpixel((4, 4))
        assert red > 1.5 * max(green, blue)
    assert bright.getpixel((4, 4)) != dark.getpixel((4, 4))


@given(st.integers(COLD + 1, 254))
def test_a_hotter_place_is_denser_and_darker(value):
    assert colour(value + 1)[3] >= colour(value)[3] > 0
    assert lightness(value + 1) <= lightness(value)


def test_a_small_map_is_stretched_over_the_whole_picture():
    heat = Image.new("L", (2, 1), 0)
    heat.putpixel((1, 0), 255)
    drawn = overlay(GREY, heat)
    assert drawn.size == GREY.size
    assert drawn.getpixel((2, 15)) == (120, 120, 120)
    assert drawn.getpixel((37, 15))[0] > 180


def test_pictures_and_maps_of_every_mode_are_drawn_and_stay_unchanged():
    for mode in ("1", "L", "P", "RGBA", "CMYK", "I;16"):
        picture, before = Image.new(mode, (8, 8)), Image.new(mode, (8, 8)).tobytes()
        assert overlay(picture, Image.new("RGB", (3, 3), "white")).mode == "RGB"
        assert picture.tobytes() == before
