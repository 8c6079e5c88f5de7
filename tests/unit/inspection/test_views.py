"""Which images need a view, and that it shows what was judged."""

import io
from typing import Any

import pytest
from PIL import Image

from contract.images import UnreadableError
from inspection.views import view

_PIXELS = 10**9


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _grey(data: bytes | None) -> int:
    assert data is not None
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        value = picture.convert("L").getpixel((30, 25))
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_what_every_browser_shows_as_it_is_needs_no_view(kind: str) -> None:
    assert view(_file(Image.new("RGB", (40, 30), (9, 99, 199)), kind), _PIXELS) is None


def test_twelve_bits_in_sixteen_are_not_black() -> None:
    deep = Image.new("I;16", (40, 30), 2048)
    deep.putpixel((0, 0), 4095)
    assert _grey(view(_file(deep, "PNG"), _PIXELS)) == pytest.approx(128, abs=3)


def test_a_picture_whose_alpha_is_empty_is_seen() -> None:
    assert _grey(view(_file(Image.new("RGBA", (40, 30), (90, 90, 90, 0)), "PNG"), _PIXELS)) == pytest.approx(
        90, abs=3
    )


def test_a_tiff_is_turned_upright_and_at_most_4096_pixels_long() -> None:
    image = Image.new("L", (6000, 300), 120)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = view(_file(image, "TIFF", exif=exif), _PIXELS)
    assert data is not None
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (205, 4096)


def test_what_cannot_be_decoded_has_no_view() -> None:
    with pytest.raises(UnreadableError):
        view(b"II*\0 no TIFF", _PIXELS)
