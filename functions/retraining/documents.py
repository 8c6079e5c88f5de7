"""JSON documents in S3, and conditional writes: what the pipeline keeps between its steps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.s3 import join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef, PutObjectRequestTypeDef

_MISSING = ("NoSuchKey", "404")
_LOST = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


@dataclass(frozen=True)
class Documents:
    """The artefacts bucket, as JSON documents under keys."""

    s3: S3Client
    bucket: str

    def uri(self, key: str) -> str:
        return join(self.bucket, key)

    def find(self, key: str) -> tuple[Any, str] | None:
        """The document and its ETag; None without one. Raises ValueError for what is no JSON."""
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return json.loads(found["Body"].read()), found["ETag"]

    def write(self, key: str, document: Any, *, if_match: str | None = None, new: bool = False) -> bool:
        """False if the condition did not hold: somebody else was first.

        if_match: the ETag that must still be there; new: nothing may be there.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
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
            if (if_match or new) and error.response["Error"]["Code"] in _LOST:
                return False
            raise
        return True

    def listing(self, prefix: str) -> Iterator[ObjectTypeDef]:
        """The objects under a prefix."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            yield from page.get("Contents", [])
