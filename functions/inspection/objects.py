"""Images in S3, read in the version that the event names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contract.images import UnreadableError
from contract.inspections import timestamp

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DELETED = "deleted"  # the code of the reason
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "404", "405"})  # 405: a delete marker


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One object version.

    Attributes:
        data: The bytes. Empty if `by_reference`.
        by_reference: Whether the image is too large for a request to the endpoint. The container then reads it
            from S3 itself.
        size_bytes: The size of the object.
        captured_at: ISO 8601 in UTC, if the camera wrote it into the object's metadata `captured-at`.
    """

    data: bytes
    by_reference: bool
    size_bytes: int
    captured_at: str | None


class Objects:
    """Reads object versions. Refuses a too large object before any of its bytes are transferred."""

    def __init__(self, client: S3Client, max_bytes: int, max_inline_bytes: int | None = None) -> None:
        """Make a reader.

        Args:
            client: The S3 client.
            max_bytes: The largest object that is accepted.
            max_inline_bytes: Of a larger object only the size is read. By default all objects are read.
        """
        self._client = client
        self._max_bytes = max_bytes
        self._max_inline_bytes = max_bytes if max_inline_bytes is None else max_inline_bytes

    def read(self, bucket: str, key: str, version_id: str) -> StoredImage:
        """Read one object version.

        Raises:
            UnreadableError: The version was deleted, or is larger than the limit.
        """
        try:
            if version_id == "null":
                reply = self._client.get_object(Bucket=bucket, Key=key)
            else:
                reply = self._client.get_object(Bucket=bucket, Key=key, VersionId=version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise UnreadableError(DELETED, "the image was deleted before it could be read") from error
            raise
        with reply["Body"] as body:
            size = reply["ContentLength"]
            if size > self._max_bytes:
                raise UnreadableError("too_large", f"{size:,} bytes, the limit is {self._max_bytes:,}")
            by_reference = size > self._max_inline_bytes
            data = b"" if by_reference else body.read()
            return StoredImage(data, by_reference, size, _captured_at(reply.get("Metadata", {})))


def _captured_at(metadata: dict[str, str]) -> str | None:
    """Return the camera's time. None if it is not a time: a camera's mistake must not stop the inspection."""
    try:
        return timestamp(datetime.fromisoformat(metadata["captured-at"]))
    except (KeyError, ValueError, OverflowError):
        return None
