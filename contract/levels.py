"""From an image of any depth and mode to 8-bit grey or RGB: one implementation for all who look at pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFile

from contract.images import DEEP_SOURCE, SIGNIFICANT_BITS, UnreadableError, raw_mode
from contract.tiff import WHITE_IS_ZERO, Tag

_MAX_BITS = 16
# Rows that are flattened at once: flattening a large picture in one piece would need three more copies of it.
_STRIP = 512
_SIXTEEN_BIT_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
_DEPTHS_OF_CAMERAS = (10, 12, 14)
_STATED_MAXIMA = {(1 << bits) - 1: bits for bits in _DEPTHS_OF_CAMERAS}
_COLOURS = ("RGB;", "RGBA;", "RGBX;")
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


def eight_bits(image: Image.Image, bit_depth: int | None = None, *, guess: bool = False) -> EightBits:
    """Return an opened image as 8-bit grey or RGB. White is white, whatever the file's depth.

    Transparency becomes white. An alpha channel that is the same everywhere shows nothing, and is ignored.

    Args:
        image: As `contract.images.open_image` gives it, not loaded yet.
        bit_depth: The bits that the camera stores in a 16-bit file; the file's own statement comes first.
        guess: Whether to show a picture of unstated depth as bright as its depth seems to be: for people.

    Raises:
        UnreadableError: Its pixels have no sure meaning.
    """
    mode, raw = image.mode, raw_mode(image)
    if mode in _SIXTEEN_BIT_GREY:
        high, low = _grey_planes(image)
        return _deep(image, high, lambda: low, bit_depth, guess)
    if mode == "F":
        return EightBits(_float_grey(image))
    if ";16" in raw and mode in ("RGB", "RGBA"):
        return _deep_colour(image, raw, bit_depth, guess)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return EightBits(_opaque(image, raw))
    if mode in ("L", "RGB"):
        image.load()
        return EightBits(image)
    if mode in _CONVERTED:
        return EightBits(image.convert("RGB"))
    raise UnreadableError("unsupported_mode", f"pixels of mode {mode} are not supported")


def is_thumbnail_safe(image: Image.Image) -> bool:
    """Return whether an opened image may be made smaller before `eight_bits` sees it."""
    raw = raw_mode(image)
    return image.mode in ("L", "RGB", "RGBA", "LA", *_CONVERTED) and ";16" not in raw and "a" not in raw


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


def _grey_planes(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the upper and the lower bytes of 16-bit grey."""
    # Loading turns a TIFF upright, so the size comes after it.
    image.load()
    data = image.tobytes()
    big = image.mode == "I;16B"
    high, low = (data[start::2] for start in ((0, 1) if big else (1, 0)))
    return Image.frombytes("L", image.size, high), Image.frombytes("L", image.size, low)


def _deep(
    image: Image.Image,
    high: Image.Image,
    lower_bytes: Callable[[], Image.Image | None],
    bit_depth: int | None,
    guess: bool,
) -> EightBits:
    """Return the eight bits below the white of a picture of 16-bit samples.

    Args:
        image: The opened image.
        high: The upper bytes of its samples.
        lower_bytes: Returns the lower bytes; None if they cannot be had.
        bit_depth: As for `eight_bits`.
        guess: As for `eight_bits`.
    """
    brightest = _brightest(high)
    depth = _stated_bits(image) or bit_depth
    picture, unstated = high, None
    if depth is None:
        unstated = next((bits for bits in _DEPTHS_OF_CAMERAS if brightest < 1 << bits - 8), None)
        depth = unstated if guess else None
    # Brighter samples than the depth has room for: the camera stores its bits at the upper end.
    if depth is not None and depth < _MAX_BITS and brightest < 1 << depth - 8:
        low = lower_bytes()
        if low is None:
            unstated = depth
        else:
            picture = _joined(high, low, depth - 8)
    if _is_negative(image):
        picture = ImageChops.invert(picture)
    return EightBits(picture, unstated)


def _joined(high: Image.Image, low: Image.Image, shift: int) -> Image.Image:
    """Return (256 * high + low) >> shift, of which only the last eight bits may be set."""
    left = [value << 8 - shift & 0xFF for value in range(256)] * len(high.getbands())
    right = [value >> shift for value in range(256)] * len(low.getbands())
    return ImageChops.add(high.point(left), low.point(right))


def _brightest(picture: Image.Image) -> int:
    return max(int(band.getextrema()[1]) for band in picture.split())  # type: ignore[arg-type]


def _deep_colour(image: Image.Image, raw: str, bit_depth: int | None, guess: bool) -> EightBits:
    """Return RGB of 16 bits, of which Pillow keeps the upper eight: the lower ones need a decoding of their own."""
    stream, file_format = image.info.get(DEEP_SOURCE), str(image.format)

    def lower_bytes() -> Image.Image | None:
        swapped = {"B": "L", "L": "B", "N": "B"}.get(raw[-1:])
        if swapped is None or not isinstance(stream, io.BytesIO) or not raw.startswith(_COLOURS):
            return None
        with Image.open(io.BytesIO(stream.getvalue()), formats=[file_format]) as twin:
            _set_raw_mode(twin, raw, raw[:-1] + swapped)
            twin.load()
            low = twin.convert("RGB")
        return low if low.size == high.size else None

    high = _opaque(image, raw) if image.mode == "RGBA" else image
    high.load()
    return _deep(image, high, lower_bytes, bit_depth, guess)


def _float_grey(image: Image.Image) -> Image.Image:
    image.load()
    darkest, brightest = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    # The mean is not finite if any pixel is not.
    mean = float(image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))  # type: ignore[arg-type]
    if not (math.isfinite(mean) and darkest >= 0 and brightest <= 1):
        raise UnreadableError(
            "unsupported_mode",
            f"32-bit float grey from {darkest:g} to {brightest:g}; only levels from 0 to 1 have a sure meaning",
        )
    # Without the half, conversion would cut 199.99 to 199.
    picture = image.point(lambda level: level * 255 + 0.5).convert("L")
    return ImageChops.invert(picture) if _is_negative(image) else picture


def _opaque(image: Image.Image, raw: str) -> Image.Image:
    """Lay an image with transparency on white. If its transparency is the same everywhere, drop it."""
    # Pillow would divide colours by an alpha of 0, and lose them.
    premultiplied = raw == "RGBa" or raw.startswith("RGBa;16")
    if premultiplied:
        _set_raw_mode(image, raw, raw.replace("a", "A"))
    image.load()
    strips = [(top, min(top + _STRIP, image.height)) for top in range(0, image.height, _STRIP)]
    alphas: set[int] = set()
    for top, bottom in strips:
        extrema = _rgba(image, top, bottom).getchannel("A").getextrema()
        alphas |= {int(bound) for bound in extrema}  # type: ignore[arg-type]
        if len(alphas) > 1:
            break
    flat = Image.new("RGB", image.size)
    for top, bottom in strips:
        strip = _rgba(image, top, bottom)
        if len(alphas) > 1:
            strip = _on_white(strip, premultiplied)
        flat.paste(strip.convert("RGB"), (0, top))
    return flat


def _rgba(image: Image.Image, top: int, bottom: int) -> Image.Image:
    strip = image.crop((0, top, image.width, bottom))
    # The only mode that Pillow does not convert in one step.
    return (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")


def _on_white(strip: Image.Image, premultiplied: bool) -> Image.Image:
    if premultiplied:
        missing = ImageChops.invert(strip.getchannel("A"))
        return ImageChops.add(strip.convert("RGB"), Image.merge("RGB", [missing] * 3))
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
