"""Hostile and damaged files, in the checks that `inspect` makes before it calls the model."""

import contextlib
import io
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.images import UnreadableError, read_header
from tests.inspection_support import jpeg, picture

MAX_PIXELS = 100_000_000
ALLOWED = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")


def png_header(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
        + struct.pack(">I", 4) + b"IDAT" + b"junk" + struct.pack(">I", zlib.crc32(b"IDATjunk"))
    )  # fmt: skip


def endless_tiff(pages: int) -> bytes:
    """Return a TIFF of minimal pages. Each directory points at the next."""
    entries = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
               (278, 3, 1, 16), (279, 4, 1, 256)]  # fmt: skip
    size = 2 + 12 * len(entries) + 4
    data = io.BytesIO()
    data.write(b"II*\0" + struct.pack("<I", 264) + bytes(256))
    for page in range(pages):
        after = 264 + (page + 1) * size if page + 1 < pages else 0
        data.write(struct.pack("<H", len(entries)))
        data.write(b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", after))
    return data.getvalue()


def reason(data: bytes, max_pixels: int = MAX_PIXELS) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_header(data, max_pixels)
    return caught.value.code


@pytest.mark.parametrize("kind", ALLOWED)
def test_each_allowed_format_is_detected_from_its_content(kind: str) -> None:
    header = read_header(picture(kind, 64, 48), MAX_PIXELS)
    assert (header.format, header.width, header.height) == (kind, 64, 48)
    assert header.content_type == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_image"),
        (b"this is a shopping list", "unsupported_format"),
        (picture("GIF"), "unsupported_format"),
        (b"%PDF-1.7\n" + jpeg(), "unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (jpeg()[:20], "unsupported_format"),
        (picture("PNG", 1, 1), "too_small"),
        (jpeg(200, 7), "too_small"),
        (png_header(30_000, 30_000), "too_many_pixels"),
        (png_header(2**31 - 1, 2**31 - 1), "too_many_pixels"),
        (endless_tiff(2), "multiple_frames"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}-bytes",
)
def test_a_file_that_cannot_be_inspected_is_refused_with_a_code(data: bytes, code: str) -> None:
    assert reason(data) == code


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_an_image_with_several_frames_is_refused(kind: str) -> None:
    frames = [Image.new("L", (64, 64), shade) for shade in (1, 100, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    assert reason(buffer.getvalue()) == "multiple_frames"


def test_a_jpeg_with_a_preview_behind_it_counts_as_jpeg() -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 48)).save(buffer, "MPO", save_all=True, append_images=[Image.new("L", (32, 24))])
    assert read_header(buffer.getvalue(), MAX_PIXELS).content_type == "image/jpeg"


def test_a_chain_of_a_hundred_thousand_tiff_pages_is_refused_at_once() -> None:
    assert reason(endless_tiff(50_000)) == "multiple_frames"


def test_the_pixel_limit_itself_is_allowed() -> None:
    assert read_header(jpeg(100, 50), max_pixels=5_000).width == 100
    assert reason(jpeg(100, 51), max_pixels=5_000) == "too_many_pixels"


@pytest.mark.parametrize(
    "data", [png_header(30_000, 30_000), png_header(9_999, 9_999)], ids=["bomb", "large"]
)
def test_no_pixel_is_decoded(data: bytes) -> None:
    tracemalloc.start()
    with contextlib.suppress(UnreadableError):
        read_header(data, MAX_PIXELS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


SAMPLES = [picture(kind, 40, 30) for kind in ALLOWED]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_file_gives_a_header_or_an_unreadable_error(sample: bytes, data: st.DataObject) -> None:
    """Cut anywhere, bytes changed anywhere; never another exception."""
    damaged = bytearray(sample[: data.draw(st.integers(0, len(sample)))])
    for _ in range(data.draw(st.integers(0, 8))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadableError):
        assert read_header(bytes(damaged), MAX_PIXELS).width > 0
