"""Every file of one picture gives the same pixels; anything but one whole still image is a typed error."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from contract.images import FORMATS, UnreadableError
from training.model.pixels import decode, quality, to_original

SIZE = 32
_STORED_AS = {  # EXIF orientation → how the camera stored the upright scene
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


@pytest.mark.promise(21)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_exif_orientation_gives_the_upright_picture(scene, encode, orientation, kind):
    stored = scene
    for step in _STORED_AS.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}

    picture = decode(encode(stored, kind, exif=exif, **options), SIZE)

    assert (picture.width, picture.height) == (60, 40)
    upright = decode(encode(scene), SIZE)
    corners = (slice(4, -4, SIZE - 9), slice(4, -4, SIZE - 9))
    difference = picture.pixels[corners].astype(int) - upright.pixels[corners]
    assert np.abs(difference).max() < 25


@pytest.mark.parametrize("kind", FORMATS)
def test_every_allowed_format_decodes(scene, encode, kind):
    picture = decode(encode(scene, kind), SIZE)

    assert picture.format == kind
    assert picture.pixels.shape == (SIZE, SIZE, 3)
    assert picture.pixels.dtype == np.uint8


_MODES = (
    "L:PNG 1:PNG P:PNG LA:PNG RGBA:PNG I;16:PNG I;16:TIFF CMYK:JPEG CMYK:TIFF L:JPEG RGBA:WEBP L:BMP P:BMP"
)


@pytest.mark.parametrize(("mode", "kind"), [case.split(":") for case in _MODES.split()])
def test_every_mode_keeps_the_brightness(encode, mode, kind):
    levels = np.zeros((64, 64), np.uint8)
    levels[:, 32:] = 255
    if mode == "I;16":
        image = Image.fromarray(levels.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(levels).convert("RGB").convert(mode)

    pixels = decode(encode(image, kind), SIZE).pixels

    assert pixels[:, 2:12].mean() < 12
    assert pixels[:, 20:30].mean() > 243


def test_transparency_becomes_white_and_an_opaque_alpha_changes_nothing(scene, encode):
    opaque = scene.convert("RGBA")
    assert np.array_equal(decode(encode(opaque), SIZE).pixels, decode(encode(scene), SIZE).pixels)

    half, on_white = opaque.copy(), scene.copy()
    half.paste((0, 0, 0, 0), (30, 0, 60, 40))
    on_white.paste("white", (30, 0, 60, 40))
    assert np.array_equal(decode(encode(half), SIZE).pixels, decode(encode(on_white), SIZE).pixels)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the damage
@pytest.mark.parametrize("kind", FORMATS)
def test_truncation_at_any_length_is_refused_or_loses_no_pixel(scene, encode, kind):
    data = encode(scene.resize((30, 20)), kind)  # every length of a larger file takes seconds
    whole = decode(data, SIZE).pixels

    for length in range(len(data)):
        try:
            picture = decode(data[:length], SIZE)
        except UnreadableError:
            continue
        assert np.array_equal(picture.pixels, whole), f"{length} of {len(data)} bytes gave other pixels"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the damage
@pytest.mark.parametrize("kind", FORMATS)
def test_a_flipped_byte_anywhere_gives_a_picture_or_a_typed_error(scene, encode, kind):
    data = encode(scene.resize((30, 20)), kind)
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        try:
            decode(bytes(damaged), SIZE, max_pixels=1_000_000)
        except UnreadableError:
            continue


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_image"),
        (b"not an image", "unsupported_format"),
        (b"%PDF-1.7", "unsupported_format"),
        (b"\xff\xd8\xff", "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n", "unsupported_format"),
    ],
)
def test_data_that_is_not_an_image_is_refused(data, code):
    with pytest.raises(UnreadableError) as caught:
        decode(data, SIZE)
    assert caught.value.code == code


def test_a_phone_s_jpeg_with_a_preview_behind_it_is_that_jpeg(scene, encode):
    """The Lambda function accepts it, so the container must, too."""
    picture = decode(encode(scene, "MPO", save_all=True, append_images=[scene.resize((30, 20))]), 32)
    assert (picture.format, picture.width, picture.height) == ("JPEG", 60, 40)


def test_a_gif_is_refused_even_when_it_is_still(scene, encode):
    with pytest.raises(UnreadableError) as caught:
        decode(encode(scene.convert("P"), "GIF"), SIZE)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(scene, encode, kind):
    other = scene.transpose(Image.Transpose.ROTATE_180)
    with pytest.raises(UnreadableError) as caught:
        decode(encode(scene, kind, save_all=True, append_images=[other]), SIZE)
    assert caught.value.code == "multiple_frames"


@pytest.mark.parametrize("side", [10_001, 30_000])  # the first is below the limit of Pillow's own
def test_a_png_bomb_is_refused_by_its_header(side: int):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )

    with pytest.raises(UnreadableError) as caught:
        decode(bomb, SIZE)
    assert caught.value.code == "too_many_pixels"


def test_the_pixel_cap_is_exact(scene, encode):
    assert decode(encode(scene), SIZE, max_pixels=2400).width == 60
    with pytest.raises(UnreadableError) as caught:
        decode(encode(scene), SIZE, max_pixels=2399)
    assert caught.value.code == "too_many_pixels"


def test_a_single_pixel_is_a_picture(encode):
    picture = decode(encode(Image.new("RGB", (1, 1), "red")), SIZE)
    assert (picture.width, picture.height) == (1, 1)
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]


def test_a_large_jpeg_decoded_at_reduced_size_looks_as_the_png_does(encode):
    gradient = Image.linear_gradient("L").resize((2000, 1000)).convert("RGB")
    reduced = decode(encode(gradient, "JPEG", quality=95), SIZE)
    assert (reduced.width, reduced.height) == (2000, 1000)
    assert np.abs(reduced.pixels.astype(int) - decode(encode(gradient), SIZE).pixels).max() <= 4


def test_a_box_survives_the_round_trip_to_pixels_of_the_original():
    boxes = np.array([[10, 20, 110, 220], [0, 0, 640, 480]], np.float32)
    scale = np.array([640, 480, 640, 480], np.float32)
    assert np.allclose(to_original(boxes / scale, 640, 480), boxes, atol=1e-3)


def test_quality_distinguishes_a_blurred_from_a_sharp_picture_and_counts_clipped_pixels():
    rng = np.random.default_rng(0)
    sharp = rng.integers(60, 200, (64, 64, 3)).astype(np.uint8)
    blurred = np.full_like(sharp, 128)
    assert quality(sharp)["sharpness"] > 100 > quality(blurred)["sharpness"]
    assert quality(blurred)["exposure"] == pytest.approx(0.502, abs=0.001)
    assert quality(np.full((8, 8, 3), 255, np.uint8))["clipped"] == 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("mode", "kind"), [case.split(":") for case in _MODES.split()])
def test_full_resolution_and_the_models_input_are_one_picture(encode, mode, kind, orientation):
    rng = np.random.default_rng(7)
    smooth = Image.fromarray(rng.integers(0, 255, (5, 4, 3), dtype=np.uint8)).resize((48, 60), Image.BICUBIC)
    grey = np.asarray(smooth.convert("L")).astype(np.uint16) * 257
    stored = Image.fromarray(grey) if mode == "I;16" else smooth.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, kind) if kind == "BMP" else encode(stored, kind, exif=exif)

    plain, both = decode(data, SIZE), decode(data, SIZE, full_above=40)

    assert plain.full is None
    assert both.full is not None
    assert both.full.size == (both.width, both.height) == (plain.width, plain.height)
    assert np.array_equal(both.pixels, plain.pixels)
    again = both.full.resize((SIZE, SIZE), Image.Resampling.BILINEAR).convert("RGB")
    assert np.abs(np.asarray(again).astype(int) - plain.pixels).max() <= 2  # resized before or after turning


def test_full_resolution_is_kept_only_above_the_given_side(scene, encode):
    assert decode(encode(scene), SIZE, full_above=60).full is None
    assert decode(encode(scene), SIZE, full_above=59).full.size == (60, 40)


def test_transparency_of_a_tall_picture_is_flattened_without_a_seam(encode):
    levels = np.tile(np.arange(256, dtype=np.uint8), (1200, 1))
    image = Image.fromarray(np.stack([levels] * 4, axis=-1))
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    assert np.array_equal(np.asarray(decode(encode(image), SIZE, full_above=1).full), np.asarray(white))


def test_decoding_ends_at_its_deadline(encode):
    noise = encode(Image.effect_noise((2000, 2000), 90), "PNG", compress_level=1)
    with pytest.raises(UnreadableError) as caught:
        decode(noise, SIZE, seconds=0.001)
    assert caught.value.code == "timed_out"
    assert decode(noise, SIZE, seconds=60).width == 2000


def _scan_bomb(encode: Callable[..., bytes], scans: int) -> bytes:
    """A small JPEG whose decoder must process all pixels again for every 20 bytes."""
    data = encode(Image.new("L", (3000, 3000), 99), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_jpeg_with_thousands_of_scans_ends_in_time(encode):
    bomb = _scan_bomb(encode, 20_000)
    assert len(bomb) < 6 * 1024 * 1024
    started = time.monotonic()
    with pytest.raises(UnreadableError) as caught:
        decode(bomb, SIZE, seconds=0.2)
    assert caught.value.code in ("timed_out", "corrupt_image")
    assert time.monotonic() - started < 15


def test_sharpness_compares_between_cameras_and_models_of_any_resolution(encode):
    scene = Image.effect_noise((1600, 1600), 80).filter(ImageFilter.GaussianBlur(12))
    cameras = [encode(scene.resize((side, side)), compress_level=1) for side in (640, 1600)]
    sharpness = [
        quality(decode(data, size).pixels)["sharpness"] for data in cameras for size in (256, 320, 640)
    ]
    assert max(sharpness) < 1.5 * min(sharpness)
    blurred = scene.filter(ImageFilter.GaussianBlur(24))
    assert quality(decode(encode(blurred, compress_level=1), 320).pixels)["sharpness"] < min(sharpness) / 2


@pytest.mark.parametrize("light", [(200, 0, 0), (0, 0, 200)], ids=["red", "blue"])
def test_a_picture_in_coloured_light_is_not_dark(light):
    measures = quality(np.full((10, 10, 3), light, np.uint8))
    assert measures["exposure"] > 0.08
    assert measures["clipped"] == 0


def test_clipped_pixels_are_counted_as_dark_and_bright():
    pixels = np.full((10, 10, 3), 128, np.uint8)
    pixels[:2], pixels[2:5] = 0, 255
    measures = quality(pixels)
    assert (measures["dark"], measures["bright"], measures["clipped"]) == (0.2, 0.3, 0.5)
