"""What a TIFF file holds: its pages, and how the pixels of a page are stored.

Pillow names neither: a file that it cannot decode is "not a TIFF" to it, and a preview is a frame like any other.
The layout of directories is in the TIFF 6.0 specification, section 2, and in
https://libtiff.gitlab.io/libtiff/specification/bigtiff.html for BigTIFF.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property


class Tag(IntEnum):
    """The tags that say how pixels are stored."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    MAX_SAMPLE_VALUE = 281
    PLANAR_CONFIGURATION = 284
    PREDICTOR = 317
    COLOUR_MAP = 320
    TILE_WIDTH = 322
    SUB_DIRECTORIES = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339


WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
_KINDS = {
    WHITE_IS_ZERO: "grey",
    BLACK_IS_ZERO: "grey",
    RGB: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    9: "Lab",
    10: "Lab",
    32803: "Bayer pattern",
    34892: "linear raw",
}
_SAMPLES = {"grey": 1, "palette": 1, "CMYK": 4, "Bayer pattern": 1}  # other kinds have three
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_NUMBERS = {_SIGNED: "signed ", _FLOAT: "", 4: "untyped ", 5: "signed complex ", 6: "complex "}
_FAX_COMPRESSIONS, _JPEG_COMPRESSIONS = (2, 3, 4), (6, 7)

# Types of tag values that are whole numbers: bytes of one, and its format.
_TYPES = {1: (1, "B"), 3: (2, "H"), 4: (4, "I"), 13: (4, "I"), 16: (8, "Q")}
_MAX_VALUES = 768  # a colour map of 256 colours
_MAX_ENTRIES = 4096
# A file can chain hundreds of thousands of pages.
_MAX_PAGES = 64


@dataclass(frozen=True)
class Page:
    """One directory of a TIFF file.

    Attributes:
        offset: Of the directory.
        tags: The whole numbers of each tag in Tag.
        entries: The entries themselves, as the file has them, by tag.
    """

    offset: int
    tags: dict[int, tuple[int, ...]]
    entries: dict[int, bytes]

    def get(self, tag: Tag, default: int) -> int:
        """Return the first value of a tag."""
        values = self.tags.get(tag, ())
        return values[0] if values else default

    @property
    def is_preview(self) -> bool:
        """Whether it is a smaller copy of another page, or a mask for one."""
        reduced, mask = 1, 4
        return (
            bool(self.get(Tag.NEW_SUBFILE_TYPE, 0) & (reduced | mask)) or self.get(Tag.SUBFILE_TYPE, 1) == 2
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.get(Tag.WIDTH, 0), self.get(Tag.HEIGHT, 0)

    @property
    def photometric(self) -> int:
        """What a sample means. Pillow's default, too."""
        return self.get(Tag.PHOTOMETRIC, WHITE_IS_ZERO)

    @property
    def kind(self) -> str:
        """The colours, in words."""
        return _KINDS.get(self.photometric, f"colour type {self.photometric}")

    @property
    def samples(self) -> int:
        """The samples of a pixel."""
        jpeg = self.get(Tag.COMPRESSION, 1) in _JPEG_COMPRESSIONS and self.kind in ("RGB", "YCbCr")
        return self.get(Tag.SAMPLES_PER_PIXEL, 3 if jpeg else 1)

    @property
    def sample_format(self) -> int:
        """What kind of numbers the samples are."""
        formats = set(self.tags.get(Tag.SAMPLE_FORMAT, (_UNSIGNED,))[: max(self.samples, 1)])
        return formats.pop() if len(formats) == 1 else 0

    @cached_property
    def bits(self) -> int:
        """The bits of a sample; 0 if the samples differ."""
        depths = set(self.tags.get(Tag.BITS_PER_SAMPLE, (1,))[: max(self.samples, 1)])
        return depths.pop() if len(depths) == 1 else 0

    @property
    def is_packed(self) -> bool:
        """Whether it has samples of 9 to 15 bits, one right behind the other."""
        return (
            8 < self.bits < 16
            and self.sample_format == _UNSIGNED
            and (self.kind, self.samples) in (("grey", 1), ("RGB", 3))
            and self.get(Tag.PLANAR_CONFIGURATION, 1) == 1
            and self.get(Tag.FILL_ORDER, 1) == 1
            and self.get(Tag.PREDICTOR, 1) == 1
            and Tag.TILE_WIDTH not in self.tags
        )

    @property
    def refusal(self) -> str | None:
        """Why its pixels cannot be judged, although Pillow may decode them."""
        # A fax is black on white, and a JPEG is YCbCr.
        sure = (*_FAX_COMPRESSIONS, *_JPEG_COMPRESSIONS)
        if Tag.PHOTOMETRIC not in self.tags and self.get(Tag.COMPRESSION, 1) not in sure:
            return "a TIFF that does not say whether black or white is zero"
        if self.sample_format == _FLOAT and self.kind == "grey" and self.samples == 1 and self.bits == 32:
            return None
        if self.sample_format != _UNSIGNED or self.bits > 16 or self.bits == 0:
            return self.description
        return None

    @property
    def description(self) -> str:
        """How the pixels are stored, such as "32-bit float RGB" or "5 samples per pixel"."""
        usual = _SAMPLES.get(self.kind, 3)
        if self.samples != usual:
            return f"{self.samples} samples per pixel, where {self.kind} has {usual}"
        if self.bits == 0 or self.sample_format == 0:
            return f"samples of different kinds in one {self.kind} pixel"
        number = _NUMBERS.get(self.sample_format, "")
        suffix = {_FLOAT: " float", _UNSIGNED: " integer" if self.bits > 16 else ""}.get(
            self.sample_format, ""
        )
        return f"{number}{self.bits}-bit{suffix} {self.kind}"


class Tiff:
    """The pages of a TIFF file.

    Attributes:
        order: `<` or `>`, as for struct.
        is_big: Whether it is a BigTIFF.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        """Read the header.

        Raises:
            struct.error: The file is too short.
            ValueError: It is no TIFF.
        """
        self._stream = stream
        stream.seek(0)
        head = stream.read(16)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        (version,) = struct.unpack_from(f"{self.order}H", head, 2)
        if not self.order or version not in (42, 43):
            raise ValueError("not a TIFF")
        self.is_big = version == 43
        self._offset = f"{self.order}{'Q' if self.is_big else 'I'}"
        (self._first,) = struct.unpack_from(self._offset, head, self.first_at)

    @property
    def first_at(self) -> int:
        """Where in the file the place of the first page stands."""
        return 8 if self.is_big else 4

    def place(self, offset: int) -> bytes:
        """Return the bytes of a place in the file."""
        return struct.pack(self._offset, offset)

    def entry(self, tag: Tag, value: int) -> bytes:
        """Return a directory's entry with one number."""
        return struct.pack(
            f"{self.order}HH{'QQ' if self.is_big else 'II'}", tag, 16 if self.is_big else 4, 1, value
        )

    def directory(self, entries: dict[int, bytes]) -> bytes:
        """Return a last directory with these entries."""
        count = struct.pack(f"{self.order}{'Q' if self.is_big else 'H'}", len(entries))
        return count + b"".join(entries[tag] for tag in sorted(entries)) + self.place(0)

    def pages(self) -> Iterator[Page]:
        """Yield the pages, at most 64 of them.

        Raises:
            struct.error: A directory is cut short.
        """
        offset, seen = self._first, set[int]()
        while offset and offset not in seen and len(seen) < _MAX_PAGES:
            seen.add(offset)
            page, offset = self._page(offset)
            yield page

    def _page(self, offset: int) -> tuple[Page, int]:
        """Return the page at an offset, and the offset of the next."""
        counter = f"{self.order}{'Q' if self.is_big else 'H'}"
        length = 20 if self.is_big else 12
        (count,) = struct.unpack(counter, self._read(offset, struct.calcsize(counter)))
        body = self._read(offset + struct.calcsize(counter), min(count, _MAX_ENTRIES) * length)
        entries = [body[at : at + length] for at in range(0, len(body) - length + 1, length)]
        by_tag = {struct.unpack_from(f"{self.order}H", entry)[0]: entry for entry in reversed(entries)}
        tags: dict[int, tuple[int, ...]] = {tag: self._values(by_tag[tag]) for tag in Tag if tag in by_tag}
        at = offset + struct.calcsize(counter) + count * length
        following = self._read(at, struct.calcsize(self._offset))
        # A file may end right behind its last directory.
        complete = len(following) == struct.calcsize(self._offset)
        return Page(offset, tags, by_tag), struct.unpack(self._offset, following)[0] if complete else 0

    def _values(self, entry: bytes) -> tuple[int, ...]:
        field = 8 if self.is_big else 4
        kind, count = struct.unpack_from(f"{self.order}H{'Q' if self.is_big else 'I'}", entry, 2)
        size, code = _TYPES.get(kind, (0, ""))
        count = min(count, _MAX_VALUES)
        if not size:
            return ()
        data = entry[-field:]
        if size * count > field:
            data = self._read(struct.unpack(self._offset, data)[0], size * count)
        whole = len(data) // size
        return struct.unpack_from(f"{self.order}{min(count, whole)}{code}", data)

    def _read(self, offset: int, length: int) -> bytes:
        self._stream.seek(min(offset, 1 << 62))
        return self._stream.read(length)
