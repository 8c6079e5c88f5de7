"""One scene looks the same, whatever the depth, colours, transparency and orientation of its file."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from contract.images import UnreadableError, open_image, read_header, transposition, upright_size
from contract.levels import eight_bits
from tests.tiff_files import TiffPage, tiff

Levels = NDArray[Any]
RNG = np.random.default_rng(5)
GREY: Levels = RNG.integers(0, 256, (11, 13), dtype=np.uint8)
COLOUR: Levels = RNG.integers(0, 256, (11, 13, 3), dtype=np.uint8)
GREY[0, 0] = COLOUR[0, 0] = 255
FEW = settings(max_examples=60, deadline=None)
# How a camera that was held in another way stores the scene: numpy's steps from upright to stored.
_STORED = {
    1: lambda levels: levels,
    2: lambda levels: levels[:, ::-1],
    3: lambda levels: levels[::-1, ::-1],
    4: lambda levels: levels[::-1],
    5: lambda levels: levels.swapaxes(0, 1),
    6: lambda levels: levels.swapaxes(0, 1)[::-1],
    7: lambda levels: levels[::-1, ::-1].swapaxes(0, 1),
    8: lambda levels: levels.swapaxes(0, 1)[:, ::-1],
}
ORIENTATIONS = st.sampled_from(sorted(_STORED))


def seen(data: bytes, bit_depth: int | None = None) -> tuple[Levels, int | None]:
    """Return what the model sees, upright, and the bits that nobody has stated."""
    read_header(data)
    with open_image(data) as image:
        size, turn = upright_size(image), transposition(image)
        levels = eight_bits(image, bit_depth)
        picture = levels.image if turn is None else levels.image.transpose(turn)
    assert picture.size == size
    return np.asarray(picture), levels.unstated_bits


def grey_of(levels: Levels) -> Levels:
    if levels.ndim == 3:
        assert (levels == levels[..., :1]).all()
        return levels[..., 0]
    return levels


def png(levels: Levels, *, bits: int = 16, stated: int | None = None, orientation: int = 1) -> bytes:
    """Return a PNG of [height, width] or [height, width, samples]. stated: in its chunk sBIT."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    samples = levels.shape[2] if levels.ndim == 3 else 1
    rows = levels.astype(f">u{bits // 8}").reshape(len(levels), -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, colours, 0, 0, 0)
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"sBIT", bytes([stated] * samples)) if stated else b"")
        + (chunk(b"eXIf", exif) if orientation > 1 else b"")
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


@pytest.mark.promise(21)
@FEW
@given(
    bits=st.integers(8, 16),
    photometric=st.sampled_from([0, 1]),
    compressed=st.booleans(),
    order=st.sampled_from("<>"),
    orientation=ORIENTATIONS,
    rows_per_strip=st.sampled_from([None, 4]),
)
def test_a_grey_tiff_of_any_depth(
    bits: int, photometric: int, compressed: bool, order: str, orientation: int, rows_per_strip: int | None
) -> None:
    levels = _STORED[orientation](GREY.astype(np.uint16) << bits - 8)
    if photometric == 0:
        levels = (1 << bits) - 1 - levels
    page = TiffPage(
        levels, bits, photometric, {274: orientation}, compressed=compressed, rows_per_strip=rows_per_strip
    )
    assert np.array_equal(seen(tiff(page, order=order))[0], GREY)


@pytest.mark.promise(21)
@FEW
@given(
    bits=st.sampled_from([8, 10, 12, 14, 16]),
    compressed=st.booleans(),
    order=st.sampled_from("<>"),
    orientation=ORIENTATIONS,
    planes=st.booleans(),
)
def test_an_rgb_tiff_of_any_depth(
    bits: int, compressed: bool, order: str, orientation: int, planes: bool
) -> None:
    levels = _STORED[orientation](COLOUR.astype(np.uint16) << bits - 8)
    planes = planes and bits in (8, 16)
    page = TiffPage(levels, bits, 2, {274: orientation}, compressed=compressed, planes=planes)
    assert np.array_equal(seen(tiff(page, order=order))[0], COLOUR)


@pytest.mark.promise(21)
@FEW
@given(
    colour=st.booleans(),
    alpha=st.sampled_from([None, 0, 7, 255]),
    depth=st.sampled_from([10, 12, 14, 16]),
    stated=st.booleans(),
    orientation=ORIENTATIONS,
)
def test_a_png_whose_depth_is_stated_or_set(
    colour: bool, alpha: int | None, depth: int, stated: bool, orientation: int
) -> None:
    scene = COLOUR if colour else GREY
    levels = _STORED[orientation](scene.astype(np.uint16) << depth - 8)
    if alpha is not None and (colour or depth == 16):
        levels = levels if colour else levels[..., None]
        levels = np.concatenate([levels, np.full_like(levels[..., :1], alpha * 257)], axis=2)
    data = png(levels, stated=depth if stated else None, orientation=orientation)
    picture, unstated = seen(data, None if stated else depth)
    assert np.array_equal(picture if colour else grey_of(picture), scene)
    assert unstated is None


@pytest.mark.parametrize("depth", [10, 12, 14])
@pytest.mark.parametrize("kind", ["grey png", "colour png", "grey tiff", "negative tiff", "colour tiff"])
def test_a_16_bit_file_that_uses_fewer_bits_and_does_not_say_so_is_known_by_that(
    depth: int, kind: str
) -> None:
    scene = (COLOUR if "colour" in kind else GREY).astype(np.uint16) << depth - 8
    data = {
        "grey png": lambda: png(scene),
        "colour png": lambda: png(scene),
        "grey tiff": lambda: tiff(TiffPage(scene, 16)),
        "negative tiff": lambda: tiff(TiffPage(scene, 16, 0)),
        "colour tiff": lambda: tiff(TiffPage(scene, 16, 2)),
    }[kind]()
    assert seen(data)[1] == depth
    assert seen(data, bit_depth=depth)[1] is None
    assert seen(data, bit_depth=16)[1] is None


def test_a_12_bit_tiff_in_tiles_looks_the_same() -> None:
    scene = np.zeros((16, 16), np.uint16)
    scene[:11, :13] = GREY.astype(np.uint16) << 4
    packed = TiffPage(scene, 12, tags={322: 16, 323: 16, 324: 8, 325: 16 * 16 * 12 // 8})
    assert np.array_equal(seen(tiff(packed))[0], scene >> 4)


def test_where_the_lower_bytes_cannot_be_had_the_picture_is_doubted_and_not_believed_dark() -> None:
    planes = tiff(TiffPage(COLOUR.astype(np.uint16) << 4, 16, 2, planes=True))
    with_alpha = np.stack([GREY.astype(np.uint16) << 4, np.full(GREY.shape, 65535, np.uint16)], axis=2)
    for data in (planes, png(with_alpha)):
        assert seen(data, bit_depth=12)[1] == 12


def test_bits_at_the_upper_end_are_not_shifted_once_more() -> None:
    scene = GREY.astype(np.uint16) << 8
    for data in (png(scene, stated=12), tiff(TiffPage(scene, 16, tags={281: 4095}))):
        assert np.array_equal(seen(data)[0], GREY)
    assert np.array_equal(seen(png(scene), bit_depth=12)[0], GREY)


def test_a_16_bit_tiff_that_states_a_camera_s_white_is_read_by_it() -> None:
    page = TiffPage(GREY.astype(np.uint16) << 4, 16, tags={281: 4095})
    picture, unstated = seen(tiff(page))
    assert np.array_equal(picture, GREY)
    assert unstated is None


def test_a_full_16_bit_picture_is_not_doubted() -> None:
    assert seen(png(GREY.astype(np.uint16) * 257))[1] is None


@pytest.mark.parametrize("extra", [0, 1, 2], ids=["unspecified", "premultiplied", "separate"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [0, 128])
def test_an_alpha_channel_of_a_tiff_that_is_the_same_everywhere_is_ignored(
    extra: int, bits: int, alpha: int
) -> None:
    levels = np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], alpha)], axis=2).astype(np.uint16)
    page = TiffPage(levels << bits - 8, bits, 2, {338: extra})
    assert np.array_equal(seen(tiff(page))[0], COLOUR)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_empty_alpha_channel_is_ignored(kind: str, mode: str) -> None:
    if (kind, mode) == ("WEBP", "LA"):
        pytest.skip("WebP has no grey")
    picture = Image.fromarray(COLOUR).convert(mode)
    picture.putalpha(0)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    expected = np.asarray(picture.convert("L" if mode == "LA" else "RGB"))
    levels = seen(buffer.getvalue())[0]
    assert np.array_equal(grey_of(levels) if mode == "LA" else levels, expected)


def test_premultiplied_colours_are_laid_on_white() -> None:
    levels = np.full((9, 9, 4), [100, 50, 0, 128], np.uint8)
    levels[0] = [10, 20, 30, 255]
    picture = seen(tiff(TiffPage(levels, 8, 2, {338: 1})))[0]
    assert picture[1, 0].tolist() == [227, 177, 127]
    assert picture[0, 0].tolist() == [10, 20, 30]


def test_a_palette_that_shows_nothing_but_transparency_is_still_a_picture() -> None:
    picture = Image.fromarray(COLOUR).quantize(8)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes(8))
    assert np.array_equal(seen(buffer.getvalue())[0], np.asarray(picture.convert("RGB")))


def test_a_palette_of_8_bit_colours_is_not_black() -> None:
    levels = np.arange(99, dtype=np.uint8).reshape(9, 11)
    colours = [value for _ in range(3) for value in range(256)]
    for scale in (1, 257):
        page = TiffPage(levels, 8, 3, {320: [value * scale for value in colours]})
        assert np.array_equal(grey_of(seen(tiff(page))[0]), levels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_float_grey_from_0_to_1_is_judged(order: str, photometric: int) -> None:
    levels = GREY.astype(np.float32) / 255
    page = TiffPage(levels if photometric else 1 - levels, 32, photometric, {339: 3})
    assert np.abs(seen(tiff(page, order=order))[0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("value", [255.0, -1.0, float("nan"), float("inf")])
def test_float_grey_of_another_range_is_refused_by_name(value: float) -> None:
    levels = GREY.astype(np.float32) / 255
    levels[3, 3] = value
    with pytest.raises(UnreadableError, match="32-bit float grey from") as caught:
        seen(tiff(TiffPage(levels, 32, 1, {339: 3})))
    assert caught.value.code == "unsupported_mode"


def tall(rows: int = 300, samples: int = 1) -> Levels:
    """Return a picture of more rows than are converted at once, as 16 bits."""
    shape = (rows, 12) if samples == 1 else (rows, 12, samples)
    return (RNG.integers(0, 256, shape) << 8).astype(np.uint16)


@cache
def tall_files() -> dict[str, tuple[bytes, Levels]]:
    """Return files of every way in which pixels are converted, each with what it shows."""
    grey, colour = tall(), tall(samples=3)
    opaque = np.concatenate([colour, np.full_like(colour[..., :1], 65535)], axis=2)
    eight = (colour >> 8).astype(np.uint8)
    files = {
        "16-bit grey PNG": (png(grey), grey),
        "16-bit grey TIFF": (tiff(TiffPage(grey, 16), order=">"), grey),
        "negative TIFF": (tiff(TiffPage(65535 - grey, 16, 0)), grey),
        "16-bit RGB PNG": (png(colour), colour),
        "16-bit RGBA PNG": (png(opaque), colour),
        "12-bit grey PNG": (png(grey >> 4, stated=12), grey),
        "12-bit RGB PNG": (png(colour >> 4, stated=12), colour),
        "12-bit RGB TIFF": (tiff(TiffPage(colour >> 4, 16, 2, tags={281: 4095})), colour),
        "packed grey": (tiff(TiffPage(grey >> 6, 10)), grey),
        "packed RGB": (tiff(TiffPage(colour >> 4, 12, 2, compressed=True)), colour),
        "float": (tiff(TiffPage((grey >> 8) / np.float32(255), 32, 1, {339: 3})), grey),
    }
    for kind, mode in (("PNG", "RGBA"), ("TIFF", "RGBA"), ("WEBP", "RGBA"), ("WEBP", "RGB"), ("PNG", "RGB")):
        buffer = io.BytesIO()
        Image.fromarray(eight).convert(mode).save(
            buffer, kind, **({"lossless": True} if kind == "WEBP" else {})
        )
        files[f"{mode} {kind}"] = buffer.getvalue(), colour
    return {name: (data, (levels >> 8).astype(np.uint8)) for name, (data, levels) in files.items()}


@pytest.mark.promise(21)
@pytest.mark.parametrize("name", tall_files())
def test_a_picture_of_many_strips_is_the_same_in_one_piece(name: str) -> None:
    data, expected = tall_files()[name]
    picture = seen(data)[0]
    assert np.abs(picture.astype(int) - (expected if picture.ndim == 3 else grey_of(expected))).max() <= 1


@pytest.mark.promise(21)
@pytest.mark.parametrize("name", tall_files())
@pytest.mark.parametrize("at_least", [299, 150, 75])
def test_a_picture_that_is_made_smaller_while_it_is_decoded_shows_the_same(name: str, at_least: int) -> None:
    data, expected = tall_files()[name]
    factor = 300 // at_least
    with open_image(data) as image:
        picture = eight_bits(image, at_least=at_least).image
    smaller = Image.fromarray(expected).reduce(factor)
    assert picture.size == smaller.size
    difference = np.asarray(picture.convert("RGB")).astype(int) - np.asarray(smaller.convert("RGB"))
    # WebP's own decoder rounds in its own way.
    assert np.abs(difference).max() <= 3


@pytest.mark.promise(21)
@pytest.mark.parametrize("orientation", sorted(_STORED))
def test_a_jpeg_with_further_pictures_behind_it_is_seen_as_one_without_them(orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(_STORED[orientation](COLOUR.repeat(8, 0).repeat(8, 1))))
    exif = Image.Exif()
    exif[274] = orientation
    files = []
    for kind, more in (("JPEG", {}), ("MPO", {"save_all": True, "append_images": [stored.resize((16, 16))]})):
        buffer = io.BytesIO()
        stored.save(buffer, kind, quality=90, exif=exif, **more)
        files.append(buffer.getvalue())
    alone, several = (seen(data)[0] for data in files)
    assert len(files[1]) > len(files[0])
    assert alone.shape == (88, 104, 3)
    assert np.array_equal(alone, several)
