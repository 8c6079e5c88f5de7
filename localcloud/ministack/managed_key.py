"""S3 takes AWS's managed key for `aws:kms` if a request names none, instead of refusing the request.

"If you specify x-amz-server-side-encryption:aws:kms or aws:kms:dsse, but do not provide
x-amz-server-side-encryption-aws-kms-key-id, Amazon S3 uses the AWS managed key (aws/s3) to protect the data":
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

from ministack.services import kms, s3

_ALIAS = "alias/aws/s3"
_ALGORITHM = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_KMS, _TWO_LAYERS = "aws:kms", "aws:kms:dsse"
_DESCRIPTION = "Default key that protects my S3 objects when no other key is defined"
_lock = threading.Lock()


def apply() -> None:
    """Patch what MiniStack's S3 stores about the encryption of an object, and what its KMS tells about the key."""
    resolve, of_bucket, describe = (
        s3._resolve_sse_write_headers,
        s3._bucket_default_sse_headers,
        kms._key_metadata,
    )

    def resolve_with_managed_key(headers: Mapping[str, str], bucket: str) -> Any:
        algorithm = headers.get(_ALGORITHM, "")
        if algorithm not in (_KMS, _TWO_LAYERS):
            return resolve(headers, bucket)
        # MiniStack knows one layer only. The answer names what was asked for.
        named = {**headers, _ALGORITHM: _KMS, _KEY: headers.get(_KEY) or _arn()}
        stored, error = resolve(named, bucket)
        return (None, error) if error else ({**stored, _ALGORITHM: algorithm}, None)

    def default_with_managed_key(bucket: str) -> dict[str, str]:
        found: dict[str, str] = of_bucket(bucket)
        if found.get(_ALGORITHM) in (_KMS, _TWO_LAYERS) and not found.get(_KEY):
            return {**found, _KEY: _arn()}
        return found

    def describe_with_manager(record: dict[str, Any]) -> dict[str, Any]:
        description: dict[str, Any] = describe(record)
        managed = kms._aliases.get(kms._alias_arn(_ALIAS)) == record["KeyId"]
        return {**description, "KeyManager": "AWS"} if managed else description

    s3._resolve_sse_write_headers = resolve_with_managed_key
    s3._bucket_default_sse_headers = default_with_managed_key
    kms._key_metadata = describe_with_manager


def _arn() -> str:
    """Return the ARN of the account's key in this region, which exists from its first use on."""
    alias = kms._alias_arn(_ALIAS)
    with _lock:
        record = kms._keys.get(kms._aliases.get(alias, ""))
        if record is None:
            _, _, answer = kms._create_key({"Description": _DESCRIPTION})
            kms._aliases[alias] = json.loads(answer)["KeyMetadata"]["KeyId"]
            record = kms._keys[kms._aliases[alias]]
    return str(record["Arn"])
