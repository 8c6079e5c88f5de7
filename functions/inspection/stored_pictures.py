"""Small pictures that are made once for an image, and kept in the artefacts bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def keep(s3: S3Client, bucket: str, key: str, jpeg: bytes) -> str:
    """Store a picture that never changes, so that a browser asks for it once. Return its key."""
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=jpeg,
        ContentType="image/jpeg",
        CacheControl="private, max-age=31536000, immutable",
    )
    return key
