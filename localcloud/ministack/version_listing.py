"""Changes to MiniStack's S3: ListObjectVersions writes any key, as the other listings do.

XML has no character for some keys, and reads a carriage return as a line feed. So clients ask for encoding-type=url,
and MiniStack does so for ListObjects alone:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from ministack.services import s3

_ENCODED = {"Delimiter", "Key", "KeyMarker", "NextKeyMarker", "Prefix"}
_encodes = contextvars.ContextVar("encodes", default=False)


def apply() -> None:
    """Patch MiniStack."""
    list_versions: Callable[..., Any] = s3._list_object_versions
    xml_body: Callable[[Element], bytes] = s3._xml_body

    def list_and_encode(bucket: str, query: dict[str, Any]) -> Any:
        token = _encodes.set(s3._qp(query, "encoding-type") == "url")
        try:
            return list_versions(bucket, query)
        finally:
            _encodes.reset(token)

    def encoded_body(root: Element) -> bytes:
        if _encodes.get():
            for element in root.iter():
                if element.tag in _ENCODED and element.text:
                    element.text = s3._url_encode(element.text)
            SubElement(root, "EncodingType").text = "url"
        return xml_body(root)

    s3._list_object_versions, s3._xml_body = list_and_encode, encoded_body
