"""How a transform job reads an object: unpacked, split into records, and packed into requests.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformInput.html
"""

import zlib
from typing import Any

from localcloud.sagemaker.storage import StoredObject
from localcloud.sagemaker.transform.requests import MB, Settings


class ObjectError(Exception):
    """An object cannot be sent; the message is for the job's log."""


def output_name(source: StoredObject, uri: str, kind: str) -> str:
    """Return the part of an output's key after S3OutputPath.

    It is the part of the object's key after the prefix, with .out at its end. Where the prefix ends within a name, the
    name stays whole.

    Args:
        source: The object.
        uri: The prefix, or the manifest.
        kind: "S3Prefix" or "ManifestFile".
    """
    name = source.name
    if kind == "S3Prefix":
        prefix = uri.partition("://")[2].partition("/")[2]
        whole_names = source.key[len(prefix) :].startswith("/") or prefix.endswith("/") or not prefix
        if not whole_names:
            name = source.key[prefix.rfind("/") + 1 :]
    return f"{name}.out"


def read(s3: Any, source: StoredObject, compression: str, limit: int | None) -> bytes:
    """Return an object's content.

    Args:
        s3: A client with the permissions of the model's role.
        source: The object.
        compression: "Gzip", or "None".
        limit: The most bytes, unpacked; None: any.

    Raises:
        ObjectError: It is larger, or not packed as it should be.
        botocore.exceptions.ClientError: S3 refuses it.
    """
    answer = s3.get_object(Bucket=source.bucket, Key=source.key)
    body = answer["Body"]
    if compression == "Gzip":
        return _unpack(body.read(), limit)
    if limit is not None and answer["ContentLength"] > limit:
        raise _too_large(answer["ContentLength"], limit)
    return bytes(body.read())


def _unpack(data: bytes, limit: int | None) -> bytes:
    unpacker = zlib.decompressobj(31)
    try:
        content = unpacker.decompress(data, limit + 1) if limit is not None else unpacker.decompress(data)
    except zlib.error as error:
        raise ObjectError(f"ClientError: the object is not gzip: {error}") from error
    if limit is not None and len(content) > limit:
        raise _too_large(len(content), limit)
    if not unpacker.eof:
        raise ObjectError("ClientError: the object is not gzip: it ends too early")
    return content


def batches(content: bytes, split_type: str, settings: Settings) -> list[list[bytes]]:
    """Return the records of an object, by request.

    Args:
        content: The object's content.
        split_type: "None": the object is one record; "Line": each line is one.
        settings: How many records a request has.

    Raises:
        ObjectError: A record is larger than a request may be.
    """
    records = [content]
    if split_type == "Line":
        records = [line.rstrip(b"\r") for line in content.split(b"\n") if line.strip()]
    limit = settings.payload_mb * MB
    if limit and (largest := max(map(len, records), default=0)) > limit:
        raise _too_large(largest, limit)
    if settings.strategy == "SINGLE_RECORD":
        return [[record] for record in records]
    packed: list[list[bytes]] = []
    size = 0
    for record in records:
        if packed and (not limit or size + len(record) + 1 <= limit):
            packed[-1].append(record)
            size += len(record) + 1
        else:
            packed.append([record])
            size = len(record)
    return packed


def _too_large(size: int, limit: int) -> ObjectError:
    return ObjectError(
        f"ClientError: {size:,} bytes are more than MaxPayloadInMB allows ({limit // MB} MB, {limit:,} bytes)"
    )
