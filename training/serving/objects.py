"""Images by reference: the endpoint reads an object version from S3 with its own role.

An error of the image is 422, and ends its inspection: the version was deleted, or is too large. An error of the account
or the network is 503 `object_unavailable`, so that images wait until somebody fixes it: S3 denies access, throttles, or
does not answer.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from training.serving.refusals import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# 405 is a delete marker, InvalidArgument a version id that cannot exist. Without s3:ListBucket S3 answers AccessDenied
# for keys that do not exist, so the role needs that, too.
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "InvalidArgument", "404", "405"})
_ARCHIVED = "InvalidObjectState"
_CHUNK = 1 << 20
# For one object: SageMaker stops waiting for a container's answer after 60 s.
_SECONDS = 30.0


class ObjectReader:
    """Reads object versions from S3. Safe to share between threads."""

    def __init__(self, max_bytes: int, connections: int) -> None:
        """Prepare without importing boto3.

        Args:
            max_bytes: Of one object; a larger one is refused before its bytes are transferred.
            connections: The most objects that are read at once.
        """
        self._max_bytes, self._connections = max_bytes, connections
        self._client: S3Client | None = None

    def _s3(self) -> S3Client:
        """Return the client. Region, endpoint and credentials come from the ordinary AWS environment.

        boto3 takes half a second to import and most endpoints never need it, so the first reference imports it.

        Raises:
            RefusedError: boto3 is missing, or the environment gives it no region.
        """
        if self._client is not None:
            return self._client
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise RefusedError(
                503, "object_unavailable", "this container has no boto3 to read S3 with"
            ) from error
        try:
            self._client = boto3.client(
                "s3",
                config=Config(
                    connect_timeout=3,
                    read_timeout=10,
                    retries={"mode": "standard", "total_max_attempts": 3},
                    max_pool_connections=self._connections,
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise _unavailable(error) from error
        return self._client

    def read(self, reference: bytes) -> bytes:
        """Return the bytes of the object version that `{"s3": {"bucket", "key", "version_id"}}` names.

        Raises:
            RefusedError: It is no such reference, there is no such object version, it is too large, or S3 cannot be
                read now.
        """
        parameters = parse_reference(reference)
        client = self._s3()
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        try:
            reply = client.get_object(**parameters)
            with reply["Body"] as body:
                if reply["ContentLength"] > self._max_bytes:
                    raise self._too_large(f"{reply['ContentLength']:,} bytes")
                return self._read(body)
        except ParamValidationError as error:
            raise RefusedError(400, "bad_reference", "the bucket, key or version cannot exist") from error
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                raise RefusedError(422, "object_not_found", "there is no such object version") from error
            if code == _ARCHIVED:
                raise RefusedError(422, "object_not_found", "the object version is archived") from error
            raise _unavailable(error) from error
        except (BotoCoreError, OSError) as error:
            raise _unavailable(error) from error

    def _read(self, body: Any) -> bytes:
        """Read all of `body`, which may be longer than S3 declared and may stop arriving."""
        deadline = time.monotonic() + _SECONDS
        data = bytearray()
        while chunk := body.read(_CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                raise self._too_large("it goes on")
            if time.monotonic() > deadline:
                raise RefusedError(503, "object_unavailable", f"S3 takes longer than {_SECONDS:.0f} s")
        return bytes(data)

    def _too_large(self, size: str) -> RefusedError:
        return RefusedError(422, "object_too_large", f"{size}, the limit is {self._max_bytes:,} bytes")


def parse_reference(reference: bytes) -> dict[str, Any]:
    """Return the parameters of GetObject.

    Raises:
        RefusedError: `reference` is not the JSON of an object version.
    """
    try:
        location = json.loads(reference)["s3"]
        bucket, key, version = location["bucket"], location["key"], location.get("version_id", "null")
        if not all(isinstance(part, str) and part for part in (bucket, key, version)):
            raise TypeError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError(
            400, "bad_reference", 'send {"s3": {"bucket": …, "key": …, "version_id": …}}, each a string'
        ) from error
    # "null" is the version of an object that was put while versioning was off. Without a version it is the newest.
    return {"Bucket": bucket, "Key": key} | ({} if version == "null" else {"VersionId": version})


def _unavailable(error: Exception) -> RefusedError:
    response: Any = getattr(error, "response", {})
    reason = response.get("Error", {}).get("Code") or type(error).__name__
    return RefusedError(503, "object_unavailable", f"S3 cannot be read now: {reason}")
