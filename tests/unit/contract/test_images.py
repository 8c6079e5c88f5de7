"""Hostile and damaged files, in the checks that `inspect` makes before it calls the model."""

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.images import SUFFIXES, UnreadableError, open_image, read_header, transposition, upright_size
from contract.levels import eight_bits
from tests.inspection_support import jpeg, picture
from tests.tiff_files import TiffPage, tiff

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


SCENE = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
SMALL = TiffPage(SCENE[::2, ::2], 8, tags={254: 1})
OLD_SMALL = TiffPage(SCENE[::2, ::2], 8, tags={255: 2})
MASK = TiffPage(SCENE > 99, 1, tags={254: 4})
ODD_SMALL = TiffPage(SCENE[::2, ::2].astype(np.float64), 64, tags={254: 1, 339: 3})
WHOLE = TiffPage(SCENE, 8, tags={254: 0})


@pytest.mark.parametrize(
    "pages",
    [
        (WHOLE, SMALL),
        (SMALL, WHOLE),
        (WHOLE, OLD_SMALL, MASK),
        (ODD_SMALL, MASK, WHOLE),
        (SMALL, MASK, WHOLE, MASK),
    ],
    ids=["behind", "before", "old tag", "of another kind", "around"],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_previews_and_masks_of_a_tiff_are_no_pages(pages: tuple[TiffPage, ...], order: str) -> None:
    data = tiff(*pages, order=order)
    header = read_header(data)
    assert (header.width, header.height) == (30, 20)
    with open_image(data) as image:
        assert np.array_equal(np.asarray(eight_bits(image).image), SCENE)


@pytest.mark.parametrize(
    "pages", [(WHOLE, WHOLE), (SMALL, WHOLE, WHOLE), (WHOLE, TiffPage(SCENE, 8, tags={254: 2}))]
)
def test_a_second_real_page_of_a_tiff_is_refused(pages: tuple[TiffPage, ...]) -> None:
    assert reason(tiff(*pages)) == "multiple_frames"


def test_a_tiff_of_nothing_but_a_preview_is_that_picture() -> None:
    assert read_header(tiff(SMALL)).width == 15


def test_a_raw_file_is_not_judged_by_its_preview() -> None:
    raw = TiffPage(SCENE[::2, ::2], 8, tags={254: 1, 330: 8})
    with pytest.raises(UnreadableError, match="raw file"):
        read_header(tiff(raw))


@pytest.mark.parametrize("deep", [False, True])
def test_a_bigtiff_with_a_preview_is_its_picture(deep: bool) -> None:
    small, whole = Image.new("L", (8, 8)), Image.fromarray(SCENE.astype(np.uint16) * 257 if deep else SCENE)
    buffer = io.BytesIO()
    small.save(buffer, "TIFF", big_tiff=True, save_all=True, append_images=[whole], tiffinfo={254: 1})
    data = bytearray(buffer.getvalue())
    # Pillow calls both a preview: the second is made a page. Type LONG, one value.
    data[data.rindex(struct.pack("<HHQ", 254, 4, 1)) + 12] = 0
    with open_image(bytes(data)) as image:
        assert np.array_equal(np.asarray(eight_bits(image).image), SCENE)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("cut", range(20, 120, 7))
def test_a_damaged_list_of_previews_does_not_cost_the_jpeg(cut: int) -> None:
    buffer = io.BytesIO()
    scene = Image.new("L", (64, 48), 90)
    scene.save(buffer, "MPO", save_all=True, append_images=[scene.resize((32, 24))])
    data = bytearray(buffer.getvalue())
    at = data.index(b"MPF\0")
    data[at + cut % 80 + 4] ^= 0xFF
    with open_image(bytes(data)) as image:
        assert eight_bits(image).image.size == (64, 48)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (TiffPage(np.zeros((9, 9, 3), np.float32), 32, 2, {339: 3}), "32-bit float RGB"),
        (TiffPage(np.zeros((9, 9), np.float64), 64, 1, {339: 3}), "64-bit float grey"),
        (TiffPage(np.zeros((9, 9), np.int16), 16, 1, {339: 2}), "signed 16-bit grey"),
        (TiffPage(np.zeros((9, 9), np.int8), 8, 1, {339: 2}), "signed 8-bit grey"),
        (TiffPage(np.zeros((9, 9), np.uint32), 32), "32-bit integer grey"),
        (TiffPage(np.zeros((9, 9, 5), np.uint8), 8, 2), "5 samples per pixel"),
        (TiffPage(np.zeros((9, 9, 2), np.uint8), 8), "2 samples per pixel"),
        (TiffPage(np.zeros((9, 9), np.uint16), 10, tags={322: 16, 323: 16}), "10-bit grey"),
        (TiffPage(np.zeros((9, 9), np.uint8), 8, 32803), "8-bit Bayer pattern"),
        (TiffPage(np.zeros((9, 9), np.uint8), 8, tags={259: 34892}), "compression 34892"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_that_cannot_be_judged_is_refused_for_what_it_is(
    page: TiffPage, name: str, order: str
) -> None:
    with pytest.raises(UnreadableError, match=name) as caught, open_image(tiff(page, order=order)) as image:
        eight_bits(image)
    assert caught.value.code == "unsupported_mode"


def test_a_tiff_that_does_not_say_what_is_white_is_refused() -> None:
    named, unknown = struct.pack("<H", 262), struct.pack("<H", 261)
    data = tiff(WHOLE).replace(named + struct.pack("<HI", 3, 1), unknown + struct.pack("<HI", 3, 1))
    with pytest.raises(UnreadableError, match="whether black or white is zero") as caught:
        read_header(data)
    assert caught.value.code == "unsupported_mode"


def test_a_12_bit_jpeg_is_refused_for_what_it_is() -> None:
    data = bytearray(jpeg())
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnreadableError, match="12-bit JPEG") as caught:
        read_header(bytes(data))
    assert caught.value.code == "unsupported_mode"


def exif(*entries: tuple[int, int, int, int], order: bytes = b"II", count: int | None = None) -> bytes:
    mark = "<" if order == b"II" else ">"
    directory = b"".join(struct.pack(f"{mark}HHII", *entry) for entry in entries)
    return (
        b"Exif\0\0"
        + order
        + struct.pack(f"{mark}HIH", 42, 8, len(entries) if count is None else count)
        + directory
        + bytes(4)
    )


SIDEWAYS = (274, 3, 1, 6)
DAMAGED = {
    "empty": b"Exif\0\0",
    "twice": b"Exif\0\0" + exif(SIDEWAYS),
    "no byte order": b"Exif\0\0XX" + exif(SIDEWAYS)[8:],
    "orientation of two": exif((274, 3, 2, 6 | 6 << 16)),
    "orientation as text": exif((274, 2, 4, 0x36)),
    "orientation 0": exif((274, 3, 1, 0)),
    "orientation 9": exif((274, 3, 1, 9)),
    "orientation as 1/0": exif((274, 5, 1, 26)) + struct.pack("<II", 1, 0),
    "orientation of no type": exif((274, 7, 1, 6)),
    "directory outside": b"Exif\0\0II*\0" + struct.pack("<I", 60000),
    "EXIF directory outside": exif((0x8769, 4, 1, 60000), SIDEWAYS),
    "GPS directory outside": exif((0x8825, 4, 1, 60000), SIDEWAYS),
    "cut short behind the orientation": exif(SIDEWAYS, count=5),
    "cut short in the orientation": exif(SIDEWAYS)[:-8],
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("block", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_exif_block_means_upright_and_the_pixels_are_judged(kind: str, block: bytes) -> None:
    if kind == "WEBP" and block == DAMAGED["twice"]:
        pytest.skip("Pillow writes it once")
    data = picture(kind, 40, 30, exif=block)
    assert read_header(data).width == 40
    with open_image(data) as image:
        assert (upright_size(image), transposition(image)) == ((40, 30), None)
        assert eight_bits(image).image.size == (40, 30)


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_a_sound_exif_block_turns_the_picture(order: bytes) -> None:
    value = 6 if order == b"II" else 6 << 16
    with open_image(picture("JPEG", 40, 30, exif=exif((274, 3, 1, value), order=order))) as image:
        assert upright_size(image) == (30, 40)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "entry", [(274, 3, 1, 0), (274, 3, 1, 99), (34665, 4, 1, 60000), (34853, 4, 1, 60000)]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_orientation_or_directory_of_a_tiff_does_not_cost_the_picture(
    entry: tuple[int, int, int, int], compressed: bool
) -> None:
    with open_image(tiff(TiffPage(SCENE, 8, tags={entry[0]: entry[3]}, compressed=compressed))) as image:
        assert np.array_equal(np.asarray(eight_bits(image).image), SCENE)


def test_a_picture_of_a_browser_s_jpeg_suffix_is_a_picture() -> None:
    assert ".jfif" in SUFFIXES


@pytest.mark.promise(20)
def test_a_chain_of_a_hundred_thousand_tiff_pages_is_refused_at_once() -> None:
    assert reason(endless_tiff(50_000)) == "multiple_frames"


@pytest.mark.promise(20)
def test_the_pixel_limit_itself_is_allowed() -> None:
    assert read_header(jpeg(100, 50), max_pixels=5_000).width == 100
    assert reason(jpeg(100, 51), max_pixels=5_000) == "too_many_pixels"


@pytest.mark.promise(20)
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


@pytest.mark.promise(20)
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
