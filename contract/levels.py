"""From an image of any depth and mode to 8-bit grey or RGB: one implementation for all who look at pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFile

from contract.images import SIGNIFICANT_BITS, SOURCE, UnreadableError, raw_mode
from contract.packed import PackedTiff
from contract.tiff import WHITE_IS_ZERO, Tag
from contract.webp import decode_scaled

_MAX_BITS = 16
# Rows that are converted at once: a large picture in one piece would need up to three more copies of itself.
_STRIP = 128
_SIXTEEN_BIT_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
_DEPTHS_OF_CAMERAS = (10, 12, 14)
_STATED_MAXIMA = {(1 << bits) - 1: bits for bits in _DEPTHS_OF_CAMERAS}
_COLOURS = ("RGB;", "RGBA;", "RGBX;")
# What makes 8-bit grey or RGB of a strip.
Conversion = Callable[[Image.Image], Image.Image]
_CONVERTED = ("1", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")


@dataclass(frozen=True, slots=True)
class EightBits:
    """A picture as 8-bit grey or RGB.

    Attributes:
        image: The picture, of mode L or RGB.
        unstated_bits: 10, 12 or 14 if it is a 16-bit picture that uses so few, and nothing says what its white is.
            Then it is shown as it is: very dark. The same if the lower bytes of its samples cannot be had.
    """

    image: Image.Image
    unstated_bits: int | None = None


def eight_bits(
    image: Image.Image, bit_depth: int | None = None, *, guess: bool = False, at_least: int | None = None
) -> EightBits:
    """Return an opened image as 8-bit grey or RGB. White is white, whatever the file's depth.

    Transparency becomes white. An alpha channel that is the same everywhere shows nothing, and is ignored.

    Args:
        image: As `contract.images.open_image` gives it, not loaded yet. With `at_least`, it is not to be used
            afterwards.
        bit_depth: The bits that the camera stores in a 16-bit file; the file's own statement comes first.
        guess: Whether to show a picture of unstated depth as bright as its depth seems to be: for people.
        at_least: A longer side that is enough, in pixels. A picture that is twice as large or more is made smaller
            while it is decoded, by a whole factor, so that memory never holds two of its size.

    Raises:
        UnreadableError: Its pixels have no sure meaning.
    """
    factor = 1
    if at_least is not None:
        image = _drafted(image, at_least)
        factor = max(1, max(image.size) // at_least)
    mode, raw = image.mode, raw_mode(image)
    if mode in _SIXTEEN_BIT_GREY:
        return _deep_grey(image, bit_depth, guess, factor)
    if mode == "F":
        return EightBits(_float_grey(image, factor))
    if ";16" in raw and mode in ("RGB", "RGBA"):
        return _deep_colour(image, raw, bit_depth, guess, factor)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return EightBits(_by_strips(image, factor, _flattened(image, raw)))
    if mode in ("L", "RGB"):
        image.load()
        return EightBits(image.reduce(factor) if factor > 1 else image)
    if mode in _CONVERTED:
        return EightBits(_by_strips(image, factor, lambda strip: strip.convert("RGB")))
    raise UnreadableError("unsupported_mode", f"pixels of mode {mode} are not supported")


def _drafted(image: Image.Image, at_least: int) -> Image.Image:
    """Return an opened image that will be decoded at a smaller size, if its decoder can do that."""
    factor = max(image.size) // at_least
    if factor < 2:
        return image
    if isinstance(image, PackedTiff):
        image.reduce_by(factor)
    elif image.format == "WEBP" and isinstance(source := image.info.get(SOURCE), io.BytesIO):
        size = -(-image.width // factor), -(-image.height // factor)
        # Pillow's decoder has reserved memory for two whole pictures.
        vars(image).pop("_decoder", None)
        image = decode_scaled(source.getvalue(), size) or Image.open(source, formats=["WEBP"])
    else:
        image.draft(None, (max(1, image.width // factor), max(1, image.height // factor)))
    return image


def _by_strips(
    image: Image.Image, factor: int, convert: Conversion, onto: Image.Image | None = None
) -> Image.Image:
    """Return what `convert` makes of an image, strip by strip, made smaller by a whole factor.

    Args:
        image: The image.
        factor: By which it is made smaller.
        convert: Makes 8-bit grey or RGB of a strip.
        onto: A picture of the size to return, to which the result is added, in place.
    """
    image.load()
    size = -(-image.width // factor), -(-image.height // factor)
    picture = onto or Image.new(convert(image.crop((0, 0, 1, 1))).mode, size)
    for top, strip in _strips(image, max(_STRIP // factor, 1) * factor):
        converted = convert(strip)
        if factor > 1:
            converted = converted.reduce(factor)
        place = (0, top // factor)
        if onto is not None:
            there = (*place, converted.width, place[1] + converted.height)
            converted = ImageChops.add(onto.crop(there), converted)
        picture.paste(converted, place)
    return picture


def _strips(image: Image.Image, rows: int = _STRIP) -> Iterator[tuple[int, Image.Image]]:
    """Yield the strips of an image, each with the number of its first row."""
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _set_raw_mode(image: Image.Image, old: str, new: str) -> None:
    if isinstance(image, ImageFile.ImageFile):
        image.tile = [
            tile._replace(args=(new, *tile.args[1:]) if isinstance(tile.args, tuple) else new)
            if old == (tile.args[0] if isinstance(tile.args, tuple) else tile.args)
            else tile
            for tile in image.tile
        ]


def _stated_bits(image: Image.Image) -> int | None:
    """Return the depth that a 16-bit file states: PNG's sBIT, or TIFF's MaxSampleValue if it is a camera's white."""
    stated = image.info.get(SIGNIFICANT_BITS)
    tags = getattr(image, "tag_v2", None)
    if stated is None and tags is not None:
        # Pillow decodes some TIFFs of 12 bits, to samples of 16.
        if (bits := tags.get(Tag.BITS_PER_SAMPLE, (_MAX_BITS,))[0]) < _MAX_BITS:
            return int(bits)
        maximum = tags.get(Tag.MAX_SAMPLE_VALUE)
        maximum = maximum[0] if isinstance(maximum, tuple) and maximum else maximum
        stated = _STATED_MAXIMA.get(maximum) if isinstance(maximum, int) else None
    return stated


def _is_negative(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(Tag.PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO


def _grey_planes(strip: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the upper and the lower bytes of 16-bit grey."""
    data = strip.tobytes()
    big = strip.mode == "I;16B"
    high, low = (data[start::2] for start in ((0, 1) if big else (1, 0)))
    return Image.frombytes("L", strip.size, high), Image.frombytes("L", strip.size, low)


def _deep_grey(image: Image.Image, bit_depth: int | None, guess: bool, factor: int) -> EightBits:
    """Return 16-bit grey as its eight bits below white."""
    # Loading turns a TIFF upright.
    image.load()
    brightest = max(_brightest(_grey_planes(strip)[0]) for _, strip in _strips(image))
    shift, unstated = _shift(image, brightest, bit_depth, guess)
    negative = _is_negative(image)

    def convert(strip: Image.Image) -> Image.Image:
        high, low = _grey_planes(strip)
        if shift is not None:
            left, right = _tables(shift, 1)
            high = ImageChops.add(high.point(left), low.point(right))
        return ImageChops.invert(high) if negative else high

    return EightBits(_by_strips(image, factor, convert), unstated)


def _shift(
    image: Image.Image, brightest: int, bit_depth: int | None, guess: bool
) -> tuple[int | None, int | None]:
    """Return by how many bits 16-bit samples are above the eight that count, and the bits that nobody has stated.

    Args:
        image: The opened image.
        brightest: The brightest of the upper bytes of its samples.
        bit_depth: As for `eight_bits`.
        guess: As for `eight_bits`.

    Returns:
        The shift; None if the upper bytes are the picture. The bits; None if they are known.
    """
    depth, unstated = _stated_bits(image) or bit_depth, None
    if depth is None:
        unstated = next((bits for bits in _DEPTHS_OF_CAMERAS if brightest < 1 << bits - 8), None)
        depth = unstated if guess else None
    # Brighter samples than the depth has room for: the camera stores its bits at the upper end.
    is_shifted = depth is not None and depth < _MAX_BITS and brightest < 1 << depth - 8
    return depth - 8 if depth is not None and is_shifted else None, unstated


def _tables(shift: int, bands: int) -> tuple[list[int], list[int]]:
    """Return what the upper and the lower bytes add to (256 * upper + lower) >> shift, which has eight bits."""
    left = [value << 8 - shift & 0xFF for value in range(256)]
    return left * bands, [value >> shift for value in range(256)] * bands


def _brightest(picture: Image.Image) -> int:
    return max(int(band.getextrema()[1]) for band in picture.split())  # type: ignore[arg-type]


def _deep_colour(image: Image.Image, raw: str, bit_depth: int | None, guess: bool, factor: int) -> EightBits:
    """Return RGB of 16 bits, of which Pillow keeps the upper eight: the lower ones need a decoding of their own."""
    flatten = _flattened(image, raw) if image.mode == "RGBA" else _as_it_is
    image.load()
    brightest = max(_brightest(flatten(strip)) for _, strip in _strips(image))
    shift, unstated = _shift(image, brightest, bit_depth, guess)
    size, negative = image.size, _is_negative(image)
    twin = None if shift is None else _lower_bytes(image, raw)
    if shift is None or twin is None:
        picture = _by_strips(image, factor, flatten)
        unstated = unstated if shift is None else shift + 8
    else:
        left, right = _tables(shift, 3)
        picture = _by_strips(image, factor, lambda strip: flatten(strip).point(left))
        # Two pictures of the full size are enough.
        image.close()
        with twin:
            twin.load()
            if twin.size != size:
                raise UnreadableError("unsupported_mode", "the two bytes of its samples differ in size")
            _by_strips(twin, factor, lambda strip: strip.convert("RGB").point(right), onto=picture)
    return EightBits(ImageChops.invert(picture) if negative else picture, unstated)


def _lower_bytes(image: Image.Image, raw: str) -> Image.Image | None:
    """Return the image opened again, so that it loads the lower bytes of its samples; None if it cannot."""
    stream = image.info.get(SOURCE)
    swapped = {"B": "L", "L": "B", "N": "B"}.get(raw[-1:])
    if swapped is None or not isinstance(stream, io.BytesIO) or not raw.startswith(_COLOURS):
        return None
    twin = Image.open(io.BytesIO(stream.getvalue()), formats=[str(image.format)])
    _set_raw_mode(twin, raw, raw[:-1] + swapped)
    return twin


def _as_it_is(strip: Image.Image) -> Image.Image:
    return strip


def _float_grey(image: Image.Image, factor: int) -> Image.Image:
    image.load()
    darkest, brightest = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    # The mean is not finite if any pixel is not.
    mean = float(image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))  # type: ignore[arg-type]
    if not (math.isfinite(mean) and darkest >= 0 and brightest <= 1):
        raise UnreadableError(
            "unsupported_mode",
            f"32-bit float grey from {darkest:g} to {brightest:g}; only levels from 0 to 1 have a sure meaning",
        )
    negative = _is_negative(image)

    def convert(strip: Image.Image) -> Image.Image:
        # Without the half, conversion would cut 199.99 to 199.
        picture = strip.point(lambda level: level * 255 + 0.5).convert("L")
        return ImageChops.invert(picture) if negative else picture

    return _by_strips(image, factor, convert)


def _flattened(image: Image.Image, raw: str) -> Conversion:
    """Return what lays a strip with transparency on white. If transparency is the same everywhere, it is dropped."""
    # Pillow would divide colours by an alpha of 0, and lose them.
    premultiplied = raw == "RGBa" or raw.startswith("RGBa;16")
    if premultiplied:
        _set_raw_mode(image, raw, raw.replace("a", "A"))
    image.load()
    alphas: set[int] = set()
    for _, strip in _strips(image):
        alphas |= {int(bound) for bound in _rgba(strip).getchannel("A").getextrema()}  # type: ignore[arg-type]
        if len(alphas) > 1:
            break

    def flatten(strip: Image.Image) -> Image.Image:
        flat = _rgba(strip)
        return (_on_white(flat, premultiplied) if len(alphas) > 1 else flat).convert("RGB")

    return flatten


def _rgba(strip: Image.Image) -> Image.Image:
    # The only mode that Pillow does not convert in one step.
    return (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")


def _on_white(strip: Image.Image, premultiplied: bool) -> Image.Image:
    if premultiplied:
        missing = ImageChops.invert(strip.getchannel("A"))
        return ImageChops.add(strip.convert("RGB"), Image.merge("RGB", [missing] * 3))
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
