"""Images by reference: the endpoint reads an object version from S3 with its own role.

What is the image's fault is 422, and its record says so: the version is gone, or too large. What is the
account's or the network's fault is 503, `object_unavailable`, whoever is to blame, so that images wait until
it is put right: S3 denies access, throttles, or does not answer.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from training.serving.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# 405 is a delete marker, InvalidArgument a version id that can be none. Without s3:ListBucket S3 says
# AccessDenied of keys that are not there, so the role needs that too.
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "InvalidArgument", "404", "405"})
_ARCHIVED = "InvalidObjectState"
_CHUNK = 1 << 20
_SECONDS = 30.0  # for one object: SageMaker gives up on a container's answer after 60


class Objects:
    """Reads object versions. Safe to share between threads.

    max_bytes: of one object; a larger one is refused before its bytes travel.
    """

    def __init__(self, max_bytes: int, connections: int) -> None:
        self._max_bytes, self._connections = max_bytes, connections
        self._client: S3Client | None = None

    def prepare(self) -> None:
        """Makes the client; region, endpoint and credentials come from the ordinary AWS environment.

        boto3 takes half a second to import, which most endpoints never need: not before the first reference.
        Raises RefusedError.
        """
        if self._client is not None:
            return
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

    def read(self, reference: bytes) -> bytes:
        """The bytes of the object version that `{"s3": {"bucket", "key", "version_id"}}` names.

        Raises RefusedError.
        """
        where = parse(reference)
        self.prepare()
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        assert self._client is not None  # noqa: S101 - prepare made it
        try:
            reply = self._client.get_object(**where)
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
        """All of `body`, which may be longer than S3 said and may stop arriving."""
        deadline = time.monotonic() + _SECONDS
        data = bytearray()
        while chunk := body.read(_CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                raise self._too_large("it goes on")
            if time.monotonic() > deadline:
                raise RefusedError(503, "object_unavailable", f"S3 takes longer than {_SECONDS:.0f} s")
        return bytes(data)

    def _too_large(self, found: str) -> RefusedError:
        return RefusedError(422, "object_too_large", f"{found}, the limit is {self._max_bytes:,} bytes")


def parse(reference: bytes) -> dict[str, Any]:
    """The parameters of GetObject. Raises RefusedError."""
    try:
        named = json.loads(reference)["s3"]
        bucket, key, version = named["bucket"], named["key"], named["version_id"]
        if not all(isinstance(part, str) and part for part in (bucket, key, version)):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise RefusedError(
            400, "bad_reference", 'send {"s3": {"bucket": …, "key": …, "version_id": …}}, each a string'
        ) from error
    # "null" is the version of an object that was put while its bucket kept no versions.
    return {"Bucket": bucket, "Key": key} | ({} if version == "null" else {"VersionId": version})


def _unavailable(error: Exception) -> RefusedError:
    response: Any = getattr(error, "response", {})
    said = response.get("Error", {}).get("Code") or type(error).__name__
    return RefusedError(503, "object_unavailable", f"S3 cannot be read now: {said}")
