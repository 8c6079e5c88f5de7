"""Images in S3: always the version that the event names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contract.images import UnreadableError
from contract.inspections import timestamp

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "404", "405"})  # 405: a delete marker


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One object version.

    data: its bytes; none where it stayed behind, being too large for a request: it is judged where it lies.
    captured_at: ISO 8601 in UTC, if the camera said so in the object's metadata `captured-at`.
    """

    data: bytes
    stayed_behind: bool
    size_bytes: int
    captured_at: str | None


class Objects:
    """Reads object versions, refusing large ones before their bytes travel.

    inline_bytes: of larger ones only the size is read; without it, all are read.
    """

    def __init__(self, client: S3Client, max_bytes: int, inline_bytes: int | None = None) -> None:
        self._client = client
        self._max_bytes = max_bytes
        self._inline_bytes = max_bytes if inline_bytes is None else inline_bytes

    def read(self, bucket: str, key: str, version_id: str) -> StoredImage:
        """One object version.

        Raises:
            UnreadableError: it is gone, or larger than the limit.
        """
        try:
            if version_id == "null":
                reply = self._client.get_object(Bucket=bucket, Key=key)
            else:
                reply = self._client.get_object(Bucket=bucket, Key=key, VersionId=version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise UnreadableError("deleted", "the image was deleted before it could be read") from error
            raise
        with reply["Body"] as body:
            size = reply["ContentLength"]
            if size > self._max_bytes:
                raise UnreadableError("too_large", f"{size:,} bytes, the limit is {self._max_bytes:,}")
            stays = size > self._inline_bytes
            return StoredImage(
                b"" if stays else body.read(), stays, size, _captured_at(reply.get("Metadata", {}))
            )


def _captured_at(metadata: dict[str, str]) -> str | None:
    """None also for what is no time: a camera's mistake must not keep its images from being judged."""
    try:
        return timestamp(datetime.fromisoformat(metadata["captured-at"]))
    except (KeyError, ValueError, OverflowError):
        return None
