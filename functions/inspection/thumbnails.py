"""Thumbnails: small pictures for lists, made once for each image."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from PIL import Image

from contract.images import UnreadableError, open_image, transposition
from contract.keys import THUMBNAILS
from contract.levels import eight_bits
from contract.s3 import split
from inspection.objects import Objects
from inspection.records import Record
from inspection.store import Inspections
from inspection.stored_pictures import keep

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIDES = (160, 120)  # pixels
MAX_BYTES = 6_000
_NONE = ""  # what a record says of an image that can have no thumbnail, so that it is not tried again
_LONGEST = max(SIDES)
_QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10)
_READERS = 4
_SECONDS = 15.0  # for a page of them; the function has 29
_logger = logging.getLogger(__name__)


def thumbnail(data: bytes, max_pixels: int) -> bytes:
    """Return a small upright picture as a JPEG of at most MAX_BYTES, that fits into SIDES.

    Args:
        data: The image file.
        max_pixels: The most pixels that the image may have.

    Raises:
        UnreadableError: The image cannot be decoded.
    """
    with open_image(data, max_pixels) as image:
        turn = transposition(image)
        picture = eight_bits(image, guess=True, at_least=2 * _LONGEST).image
        picture.thumbnail((_LONGEST, _LONGEST))
        picture = (picture if turn is None else picture.transpose(turn)).convert("RGB")
    picture.thumbnail(SIDES)
    return _saved(picture)


def _saved(picture: Image.Image) -> bytes:
    """Return a picture as a JPEG, as good as its size allows. Of noise, the last quality still takes 4 kB."""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


@dataclass(frozen=True)
class Thumbnails:
    """Makes the thumbnails that are missing.

    Attributes:
        objects: Reads images.
        s3: Stores thumbnails.
        inspections: The records, which name their thumbnail.
        artefacts_bucket: Where thumbnails are stored.
        max_pixels: The most pixels that an image may have.
        decoding: Is held while an image is decoded. A picture of a hundred megapixels and 16 bits takes 700 MB, so
            images are read side by side, and decoded in turn.
    """

    objects: Objects
    s3: S3Client
    inspections: Inspections
    artefacts_bucket: str
    max_pixels: int
    decoding: Lock = field(default_factory=Lock, repr=False)

    def of(self, records: Sequence[Record]) -> dict[str, str | None]:
        """Return the keys of thumbnails by the ids of their inspections; None for an image that has none.

        An inspection for whose thumbnail there was no time is left out.
        """
        deadline = time.monotonic() + _SECONDS
        with ThreadPoolExecutor(_READERS) as pool:
            keys = list(pool.map(lambda record: self._of(record, deadline), records))
        found = zip((record["id"] for record in records), keys, strict=True)
        return {identity: key or None for identity, key in found if key is not None}

    def _of(self, record: Record, deadline: float) -> str | None:
        """Return the key of a thumbnail, or _NONE; None if there is no time."""
        if (known := record.get("thumbnail")) is not None:
            return str(known)
        if time.monotonic() > deadline:
            return None
        bucket, key = split(record["image"])
        try:
            data = self.objects.read(bucket, key, record["version_id"]).data
        except UnreadableError:
            made = _NONE
        else:
            made = self.store(record, data)
        self.inspections.mark_thumbnail(record, made)
        return made

    def store(self, record: Record, data: bytes) -> str:
        """Make and store the thumbnail of an image. Return its key; empty if there can be none."""
        key = f"{THUMBNAILS}{record['id']}.jpg"
        try:
            with self.decoding:
                picture = thumbnail(data, self.max_pixels)
        except UnreadableError:
            return _NONE
        # A picture whose decoder fails in a way of its own must not fail the page of which it is one.
        except Exception:
            _logger.warning("no thumbnail of the inspection %s", record["id"], exc_info=True)
            return _NONE
        return keep(self.s3, self.artefacts_bucket, key, picture)
