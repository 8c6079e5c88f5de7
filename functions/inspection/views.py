"""Views: pictures of images that a browser does not show, or does not show as they are judged.

A browser shows no TIFF. It shows twelve bits in sixteen as black, and a picture whose alpha channel is empty as
nothing. A view is made once, when somebody first looks at such an image.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from contract.images import UnreadableError, format_of, open_image, transposition
from contract.keys import THUMBNAILS
from contract.levels import eight_bits
from contract.s3 import split
from inspection.memory import bounded
from inspection.objects import Objects
from inspection.records import Record
from inspection.store import Inspections
from inspection.stored_pictures import keep

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LONGEST = 4096  # pixels; a page scales a view to the size that the record states
_QUALITY = 90
_SHOWN_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_SHOWN_MODES = ("1", "L", "P", "RGB", "YCbCr")
_NONE = ""  # what a record says of an image that needs no view, or can have none
_logger = logging.getLogger(__name__)


def view(data: bytes, max_pixels: int) -> bytes | None:
    """Return an image as an upright JPEG of 8 bits. None if every browser shows the file itself as it is judged.

    Args:
        data: The image file.
        max_pixels: The most pixels that the image may have.

    Raises:
        UnreadableError: The image cannot be decoded.
    """
    with open_image(data, max_pixels) as image:
        if format_of(image) in _SHOWN_FORMATS and image.mode in _SHOWN_MODES:
            return None
        turn = transposition(image)
        picture = eight_bits(image, guess=True, at_least=_LONGEST).image
        picture.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
        picture = (picture if turn is None else picture.transpose(turn)).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


@dataclass(frozen=True)
class Views:
    """Makes the view of an image, if it needs one.

    Attributes:
        objects: Reads images.
        s3: Stores views.
        inspections: The records, which name their view.
        artefacts_bucket: Where views are stored, beside the thumbnails.
        max_pixels: The most pixels that an image may have.
    """

    objects: Objects
    s3: S3Client
    inspections: Inspections
    artefacts_bucket: str
    max_pixels: int

    def added(self, record: Record) -> Record:
        """Return a record with the key of its view in `view_key`: empty if it needs none, or can have none."""
        if "view_key" in record:
            return record
        try:
            key = self._made(record)
        # It is tried again when somebody looks again; until then the file itself must do.
        except (ClientError, BotoCoreError) as error:
            _logger.warning("no view of the inspection %s: %s", record["id"], error)
            return record
        self.inspections.mark_view(record, key)
        return {**record, "view_key": key}

    def _made(self, record: Record) -> str:
        try:
            stored = self.objects.read(*split(record["image"]), record["version_id"])
            with bounded():
                picture = view(stored.data, self.max_pixels)
        except UnreadableError:
            return _NONE
        except (ClientError, BotoCoreError):
            raise
        # A picture whose decoder fails in a way of its own must not keep the facts about it from a person.
        except Exception:
            _logger.warning("no view of the inspection %s", record["id"], exc_info=True)
            return _NONE
        if picture is None:
            return _NONE
        key = f"{THUMBNAILS}{record['id']}-view.jpg"
        return keep(self.s3, self.artefacts_bucket, key, picture)
