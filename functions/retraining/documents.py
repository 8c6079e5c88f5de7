"""JSON documents in S3, with conditional writes: the state that the pipeline keeps between its steps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.s3 import join, split
from retraining.errors import BrokenReportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef, PutObjectRequestTypeDef

_MISSING = ("NoSuchKey", "404")
_CONDITION_FAILED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


@dataclass(frozen=True)
class Documents:
    """JSON documents in the artefacts bucket.

    Attributes:
        s3: The S3 client.
        bucket: The bucket's name.
    """

    s3: S3Client
    bucket: str

    def uri(self, key: str) -> str:
        return join(self.bucket, key)

    def find(self, key: str) -> tuple[Any, str] | None:
        """Return the document under a key and its ETag, or None if there is none.

        Raises:
            ValueError: The object is not JSON.
        """
        try:
            reply = self.s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return json.loads(reply["Body"].read()), reply["ETag"]

    def read(self, uri: str, kind: str = "document") -> Any:
        """Return the document that an S3 URI names.

        Args:
            uri: The S3 URI.
            kind: What it is, for the message if it is missing.

        Raises:
            BrokenReportError: There is no such document, or it is not JSON.
        """
        try:
            stored = self.find(split(uri)[1])
        except ValueError as error:
            raise BrokenReportError(f"{uri} is not a JSON document: {error}") from error
        if stored is None:
            raise BrokenReportError(f"there is no {kind} {uri}")
        return stored[0]

    def write(self, key: str, document: Any, *, if_match: str | None = None, new: bool = False) -> bool:
        """Write a document, under a condition if one is given.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

        Args:
            key: The key.
            document: What JSON can represent, without NaN.
            if_match: Write only if the object still has this ETag.
            new: Write only if there is no object under the key.

        Returns:
            Whether it was written: False if the condition did not hold, because another writer was faster.
        """
        request: PutObjectRequestTypeDef = {
            "Bucket": self.bucket,
            "Key": key,
            "Body": json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(),
            "ContentType": "application/json",
        }
        if if_match:
            request["IfMatch"] = if_match
        elif new:
            request["IfNoneMatch"] = "*"
        try:
            self.s3.put_object(**request)
        except ClientError as error:
            if (if_match or new) and error.response["Error"]["Code"] in _CONDITION_FAILED:
                return False
            raise
        return True

    def listing(self, prefix: str) -> Iterator[ObjectTypeDef]:
        """Yield the objects under a prefix."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            yield from page.get("Contents", [])
