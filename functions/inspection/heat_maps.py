"""Heat maps: where an anomaly model sees what it has not learned, as small grey PNGs.

A heat map is looked at with its own inspection alone, and records are listed and searched by the thousand. So it is no
part of the record, but an item of the same table under a key of its own. The item has none of the attributes that the
table's indexes are keyed by, so no index holds it:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-general-sparse-indexes.html

The key contains the hash of the heat map, and the record names that hash. The item is written before its record, so no
record names what is not there, and two deliveries of an image never mix their heat maps.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from contract.images import UnreadableError, open_image

MAX_BYTES = 4096
_MAX_PIXELS = 256 * 256
_MODE = "L"  # Pillow's name of 8-bit grey
_OWNER = "heat-map#"
_DIGITS = 16


def _decoded(value: object) -> bytes:
    """Return the heat map of an answer, checked.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, (str, bytes)):
        raise ValueError("a heat map is a PNG in base64")
    try:
        heat_map = base64.b64decode(value, validate=True)
    # Also for text that is not ASCII.
    except ValueError as error:
        raise ValueError(f"a heat map is a PNG in base64: {error}") from error
    if len(heat_map) > MAX_BYTES:
        raise ValueError(f"the heat map has {len(heat_map):,} bytes, and at most {MAX_BYTES:,} are allowed")
    try:
        # What is stored can be shown, so all of it is decoded.
        with open_image(heat_map, _MAX_PIXELS) as image:
            image.load()
            if image.format != "PNG" or image.mode != _MODE:
                raise ValueError(f"the heat map is {image.format} {image.mode}, and no grey PNG of 8 bits")
    except UnreadableError as error:
        raise ValueError(f"the heat map is no picture: {error.message}") from error
    return heat_map


# In JSON it is base64. Here it is the bytes of the PNG.
HeatMap = Annotated[bytes, BeforeValidator(_decoded)]


def digest(heat_map: bytes) -> str:
    """Return the name by which a record refers to its heat map."""
    return hashlib.sha256(heat_map).hexdigest()[:_DIGITS]


def name_in(record: Mapping[str, Any]) -> str | None:
    """Return the name of a record's heat map; None if it has none."""
    return (record.get("anomaly") or {}).get("heat_map")


def key_of(record: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the key of the item with a heat map.

    Args:
        record: The inspection record.
        name: Of the heat map.
    """
    return {"image": f"{_OWNER}{record['id']}", "version_id": name}


def data_url(heat_map: bytes) -> str:
    """Return a heat map as a URL that a browser shows: https://www.rfc-editor.org/rfc/rfc2397."""
    return f"data:image/png;base64,{base64.b64encode(heat_map).decode()}"
