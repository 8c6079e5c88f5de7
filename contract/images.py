"""Image files: the accepted formats, the check of the header, and the EXIF orientation."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageFile, ImagePalette, TiffImagePlugin, UnidentifiedImageError

from contract.endpoint import BIT_DEPTHS
from contract.packed import TURNS, PackedTiff
from contract.tiff import Page, Tag, Tiff

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 100_000_000
MIN_SIDE = 8  # pixels; a smaller image cannot show a product

# `open_image` checks the size itself. Pillow's own check warns, and to silence a warning is not thread-safe.
Image.MAX_IMAGE_PIXELS = None

# Pillow's decoders are meant to raise OSError, but damaged files make their header parsers raise others, too.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
# In an image's `info`: the depth that a 16-bit PNG states; the file of a picture that may be decoded in another way
# than Pillow's, and what Pillow forgets of it once it is loaded.
SIGNIFICANT_BITS, SOURCE, _RAW_MODE = "significant_bits", "source", "raw_mode"
_SIDEWAYS = (5, 6, 7, 8)
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8"
# Frame headers of JPEG, and the kinds that no decoder here knows.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_JPEG_KINDS = {0xC3: "lossless JPEG", 0xCB: "lossless JPEG", 0xF7: "JPEG-LS"}
# Pillow lacks this one of four kinds of 16-bit grey. It leaves all of them as they are stored.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))


class UnreadableError(Exception):
    """The image cannot be inspected, now or later.

    Attributes:
        code: Stable, for programs: `empty_image`, `unsupported_format`, `corrupt_image`, `too_many_pixels`,
            `multiple_frames`, `too_small`, `unsupported_mode`, `timed_out`, `too_large`, `deleted`, or a code of
            a container of another version.
        message: For people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size and format of an image, from its header.

    Attributes:
        width: Pixels as stored, before the EXIF orientation is applied.
        height: Pixels as stored.
        format: One of FORMATS, detected from the content.
    """

    width: int
    height: int
    format: str

    @property
    def content_type(self) -> str:
        """The MIME type."""
        return f"image/{self.format.lower()}"


@contextmanager
def open_image(source: bytes | io.BytesIO, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Check an image's header, and open the image. No pixel is decoded yet.

    Decoder errors inside the `with` block become UnreadableError, too. `contract.levels.eight_bits` decodes it.

    Args:
        source: The file's bytes, or a stream of them, which may be changed.
        max_pixels: The most pixels that the image may have.

    Yields:
        The opened image.

    Raises:
        UnreadableError: The file is empty, of another format or damaged, or the image has several frames, too many
            pixels, or pixels whose meaning is not sure.
    """
    if source == b"":
        raise UnreadableError("empty_image", "the file is empty")
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        tiff = _tiff_page(stream, max_pixels)
        with _opened(stream, tiff) as image:
            # First of all, because any further access may decode the image.
            _check_size(*image.size, max_pixels)
            if image.format != "TIFF" and format_of(image) != "JPEG" and getattr(image, "n_frames", 1) > 1:
                raise _several_frames()
            yield image
    except UnidentifiedImageError as error:
        if reason := _jpeg_refusal(stream):
            raise UnreadableError("unsupported_mode", reason) from error
        raise UnreadableError("unsupported_format", f"not one of {', '.join(FORMATS)}") from error
    except DECODER_ERRORS as error:
        reason = str(error) if str(error).startswith("Unsupported BMP") else _jpeg_refusal(stream)
        if reason:
            raise UnreadableError("unsupported_mode", reason) from error
        raise UnreadableError("corrupt_image", f"the image is damaged or cut short: {error}") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UnreadableError("too_many_pixels", f"{width} x {height} pixels, the limit is {max_pixels:,}")


def _several_frames() -> UnreadableError:
    return UnreadableError("multiple_frames", "the file holds several frames or pages; send one still image")


def _opened(stream: io.BytesIO, tiff: tuple[Tiff, Page] | None) -> Image.Image:
    """Return the opened image, with what Pillow overlooks."""
    if tiff is not None and tiff[1].is_packed:
        return PackedTiff(stream, *tiff)
    stream.seek(0)
    try:
        image = Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError as error:
        if tiff is None or 0 in tiff[1].size:
            raise
        raise UnreadableError(
            "unsupported_mode", f"{tiff[1].description} cannot be read; send 8- or 16-bit grey or RGB"
        ) from error
    if tiff is not None:
        _mend_tiff(image, *tiff)
    elif image.format == "PNG" and (bits := _significant_bits(stream)):
        image.info[SIGNIFICANT_BITS] = bits
    if ";16" in (raw := raw_mode(image)) or image.format == "WEBP":
        image.info |= {SOURCE: stream, _RAW_MODE: raw}
    return image


def raw_mode(image: Image.Image) -> str:
    """Return how the file of an opened image stores its pixels, in Pillow's words; empty if that is not known."""
    tile = image.tile[0] if isinstance(image, ImageFile.ImageFile) and image.tile else None
    arguments = tile.args if tile else image.info.get(_RAW_MODE, "")
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments or "")


def _tiff_page(stream: io.BytesIO, max_pixels: int) -> tuple[Tiff, Page] | None:
    """Return the page of a TIFF file that is its picture, and make it the file's first; None if it is no TIFF.

    Pages that are previews of another, or masks for it, are no pictures.
    """
    stream.seek(0)
    if stream.read(4) not in _TIFF_MAGICS:
        return None
    picture: Page | None = None
    first: Page | None = None
    tiff = Tiff(stream)
    # What is cut short is Pillow's to judge.
    with suppress(struct.error):
        for found in tiff.pages():
            first = first or found
            if found.is_preview:
                continue
            if picture is not None:
                raise _several_frames()
            picture = found
    page = picture or first
    if page is None:
        return None
    _check_size(*page.size, max_pixels)
    if picture is None and Tag.SUB_DIRECTORIES in page.tags:
        raise UnreadableError(
            "unsupported_mode", "a camera's raw file, of which only the preview can be read"
        )
    if reason := page.refusal:
        raise UnreadableError("unsupported_mode", f"{reason} cannot be judged; send 8- or 16-bit grey or RGB")
    if (compression := page.get(Tag.COMPRESSION, 1)) not in TiffImagePlugin.COMPRESSION_INFO:
        raise UnreadableError("unsupported_mode", f"TIFF compression {compression} cannot be read")
    if page is not first:
        stream.seek(tiff.first_at)
        stream.write(tiff.place(page.offset))
    return tiff, page


def _mend_tiff(image: Image.Image, tiff: Tiff, page: Page) -> None:
    """Correct how Pillow would decode two kinds of TIFF."""
    colours = page.tags.get(Tag.COLOUR_MAP, ())
    # A palette of 16-bit colours, of which Pillow takes the upper bytes. Some programs write 8-bit colours.
    if image.mode in ("P", "PA") and 0 < max(colours, default=0) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))
    # It takes planes of 16-bit samples for planes of 8-bit samples.
    if isinstance(image, TiffImagePlugin.TiffImageFile) and page.bits == 16:
        order = "L" if tiff.order == "<" else "B"
        image.tile = [
            tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:]))
            if isinstance(tile.args, tuple) and str(tile.args[0]) in tuple("RGBACMYK")
            else tile
            for tile in image.tile
        ]


def _significant_bits(stream: io.BytesIO) -> int | None:
    """Return the depth that a 16-bit PNG states in its chunk sBIT, which stands before its pixels."""
    head, place = stream.getvalue()[:33], stream.tell()
    if head[:8] != _PNG_MAGIC or head[24:25] != b"\x10":
        return None
    colours = {0: 1, 4: 1}.get(head[25], 3)
    data, at, bits = stream.getvalue(), 33, None
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"sBIT":
            stated = max(data[at + 8 : at + 8 + min(length, colours)], default=0)
            bits = stated if stated in BIT_DEPTHS else None
        at += 12 + length
    stream.seek(place)
    return bits


def _jpeg_refusal(stream: io.BytesIO) -> str | None:
    """Return what a JPEG is that cannot be decoded for what it is; None if it is no JPEG, or a usual one."""
    data = stream.getvalue()
    at = 2
    while data[:2] == _JPEG_MAGIC and at + 10 <= len(data) and data[at] == 0xFF:
        marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_FRAMES:
            precision, components = data[at + 4], data[at + 9]
            if marker in _JPEG_KINDS:
                return f"{precision}-bit {_JPEG_KINDS[marker]} cannot be read"
            if precision != 8:
                return f"{precision}-bit JPEG cannot be read"
            return None if components in (1, 3, 4) else f"JPEG of {components} components cannot be read"
        at += 2 + length
    return None


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read an image's header.

    Raises:
        UnreadableError: As for `open_image`, or a side has fewer than MIN_SIDE pixels.
    """
    with open_image(data, max_pixels) as image:
        header = ImageHeader(*image.size, format_of(image))
    if min(header.width, header.height) < MIN_SIDE:
        raise UnreadableError(
            "too_small", f"{header.width} x {header.height} pixels; each side needs {MIN_SIDE}"
        )
    return header


def format_of(image: Image.Image) -> str:
    """Return one of FORMATS. A JPEG with further pictures behind the first (MPO: previews, depth) counts as JPEG."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an opened image with its EXIF orientation applied.

    Call it before the image's pixels are loaded. For a PNG it decodes the whole image, because Pillow looks for
    EXIF after the pixels.
    """
    width, height = image.size
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def transposition(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that turns an opened image upright, or None if it is upright.

    Call it before the image's pixels are loaded.
    """
    return TURNS.get(_orientation(image))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the EXIF block is damaged, because the pixels need not be."""
    # Pillow turns a TIFF upright when it loads it, and reports the upright size before that.
    if image.format == "TIFF":
        return 1
    # Pillow would decode a PNG when it looks for EXIF. Errors of its pixels are no errors of its EXIF.
    if image.format == "PNG" and "exif" not in image.info:
        image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    # Pillow's parser raises whatever the damage leads to.
    except Exception:  # noqa: BLE001
        return 1
    if not isinstance(orientation, int) or orientation not in TURNS:
        return 1
    return orientation if _is_whole(image.info.get("exif")) else 1


def _is_whole(exif: object) -> bool:
    """Return whether an EXIF block has all entries of its first directory, and is of one mind about the orientation."""
    if not isinstance(exif, bytes):
        return True  # the orientation is from elsewhere
    block = exif.removeprefix(b"Exif\0\0")
    order = "<" if block[:2] == b"II" else ">"
    with suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        entries = [
            struct.unpack_from(f"{order}HHII", block, start + 2 + 12 * number) for number in range(count)
        ]
        pointers = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
        return all(value < len(block) for tag, _, _, value in entries if tag in pointers) and all(
            values == 1 for tag, _, values, _ in entries if tag == ExifTags.Base.Orientation
        )
    return False
