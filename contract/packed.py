"""TIFF pictures of 9 to 15 bits per sample, which Pillow decodes in one case of many (12-bit grey)."""

from __future__ import annotations

import io
from math import gcd

from PIL import Image, ImageChops, ImageFile

from contract.tiff import WHITE_IS_ZERO, Page, Tag, Tiff

_STRIP = 128  # rows that are unpacked at once
_COPIED = (Tag.HEIGHT, Tag.COMPRESSION, Tag.STRIP_OFFSETS, Tag.ROWS_PER_STRIP, Tag.STRIP_BYTE_COUNTS)
# EXIF's and TIFF's orientation: what turns the picture upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PackedTiff(ImageFile.ImageFile):
    """A page of a TIFF file whose samples stand one right behind the other. It loads as 8 bits, upright.

    Like Pillow's own images it has a size at once, and pixels only when they are needed.
    """

    format = "TIFF"
    format_description = "TIFF of 9 to 15 bits"

    def __init__(self, stream: io.BytesIO, tiff: Tiff, page: Page) -> None:
        """Take mode and size from a page for which `is_packed` is true."""
        self._stream, self._tiff, self._page = stream, tiff, page
        self._turn = TURNS.get(page.get(Tag.ORIENTATION, 1))
        self._unpacked = False
        self._factor = 1
        super().__init__(stream)

    def _open(self) -> None:
        width, height = self._page.size
        sideways = self._page.get(Tag.ORIENTATION, 1) >= 5 and self._turn is not None
        self._size = (height, width) if sideways else (width, height)
        self._mode = "RGB" if self._page.samples == 3 else "L"
        self.tile = []

    def reduce_by(self, factor: int) -> None:
        """Load the picture made smaller by a whole factor, so that memory never holds all of its samples."""
        self._factor = factor
        self._size = -(-self.size[0] // factor), -(-self.size[1] // factor)

    def load(self):  # type: ignore[no-untyped-def] # Pillow's type for it is private
        """Decode the pixels."""
        if not self._unpacked:
            picture = self._picture(self._rows())
            self.im = (picture if self._turn is None else picture.transpose(self._turn)).im
            self._unpacked = True
        return Image.Image.load(self)

    def _picture(self, rows: Image.Image) -> Image.Image:
        """Return the page's picture as it is stored, from its rows of packed samples."""
        width, height = self._page.size
        samples, factor = self._page.samples, self._factor
        picture = Image.new(self._mode, (-(-width // factor), -(-height // factor)))
        step = max(_STRIP // factor, 1) * factor
        for top in range(0, height, step):
            strip = rows.crop((0, top, rows.width, min(top + step, height)))
            data = unpack(strip, width * samples, self._page.bits)
            strip = Image.frombytes(self._mode, (width, strip.height), data)
            if self._page.photometric == WHITE_IS_ZERO:
                strip = ImageChops.invert(strip)
            picture.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
        return picture

    def _rows(self) -> Image.Image:
        """Return the rows of the page as 8-bit grey, a pixel for each byte: what Pillow decompresses."""
        width, _ = self._page.size
        tiff, page = self._tiff, self._page
        entries: dict[int, bytes] = {tag: page.entries[tag] for tag in _COPIED if tag in page.entries}
        changed = {
            Tag.WIDTH: (width * page.samples * page.bits + 7) // 8,
            Tag.BITS_PER_SAMPLE: 8,
            Tag.PHOTOMETRIC: 1,
            Tag.SAMPLES_PER_PIXEL: 1,
        }
        entries |= {tag: tiff.entry(tag, value) for tag, value in changed.items()}
        data = bytearray(self._stream.getvalue())
        # A directory starts at an even place.
        data += bytes(len(data) % 2)
        place = tiff.place(len(data))
        data[tiff.first_at : tiff.first_at + len(place)] = place
        data += tiff.directory(entries)
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as rows:
            rows.load()
            return rows


def unpack(rows: Image.Image, width: int, bits: int) -> bytes:
    """Return the upper eight bits of each sample.

    Args:
        rows: 8-bit grey, a pixel for each byte of a row. Each row starts with a new byte.
        width: Samples in a row.
        bits: Of a sample, 9 to 15.
    """
    # Samples and bytes come in groups that start and end together: 4 samples of 10 bits in 5 bytes.
    samples = 8 // gcd(bits, 8)
    group = bits * samples // 8
    groups = -(-width // samples)
    data = rows.crop((0, 0, groups * group, rows.height)).tobytes()
    values = bytearray(groups * samples * rows.height)
    for number in range(samples):
        first, shift = divmod(number * bits, 8)
        values[number::samples] = _shifted(data[first::group], data[first + 1 :: group], shift)
    whole = Image.frombytes("L", (groups * samples, rows.height), bytes(values))
    return whole.crop((0, 0, width, rows.height)).tobytes()


def _shifted(high: bytes, low: bytes, shift: int) -> bytes:
    """Return the eight bits from `shift` on of each byte of `high` and the byte of `low` behind it."""
    left = high.translate(bytes(value << shift & 0xFF for value in range(256)))
    right = low.translate(bytes(value >> 8 - shift for value in range(256)))
    joined = int.from_bytes(left, "little") | int.from_bytes(right, "little")
    return joined.to_bytes(len(left), "little")
