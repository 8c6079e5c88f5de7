"""Images in S3: always the version that the event names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from botocore.config import Config
from botocore.exceptions import ClientError

from inspection.errors import UnreadableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "404", "405"})  # 405: a delete marker


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Bytes of one object version, and when it was captured, if the camera said so (`captured-at`)."""

    data: bytes
    captured_at: str | None


class Objects:
    """Reads object versions, refusing large ones before their bytes travel."""

    # Ten images at a time, each call a few seconds at most, three attempts with jitter.
    CONFIG: ClassVar[Config] = Config(
        connect_timeout=2,
        read_timeout=5,
        max_pool_connections=16,
        retries={"mode": "standard", "total_max_attempts": 3},
    )

    def __init__(self, client: S3Client, max_bytes: int) -> None:
        self._client = client
        self._max_bytes = max_bytes

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
            if reply["ContentLength"] > self._max_bytes:
                raise UnreadableError(
                    "too_large", f"{reply['ContentLength']:,} bytes, the limit is {self._max_bytes:,}"
                )
            return StoredImage(body.read(), reply.get("Metadata", {}).get("captured-at"))
