"""The model's endpoint, and requests to it."""

import json
import re

# https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
MAX_BODY_BYTES = 6 * 1024 * 1024
# What the caller knows about a picture, and the picture does not say. SageMaker passes the header on.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
BIT_DEPTHS = range(8, 17)  # of a camera whose files have 16 bits
_BIT_DEPTH = re.compile(r"(?:^|[;,\s])bit-depth=(\d{1,2})(?:$|[;,\s])")
# The alarms in template.yaml and the state machine use the same name. A canary needs a name that never changes.
VARIANT_NAME = "AllTraffic"


def attributes(bit_depth: int) -> str:
    """Return the attributes of a request for a picture of a camera with this bit depth.

    >>> attributes(12)
    'bit-depth=12'
    """
    return f"bit-depth={bit_depth}"


def bit_depth_of(text: str) -> int | None:
    """Return the bit depth in a request's attributes; None if there is none, or no possible one.

    >>> bit_depth_of("trace=7; bit-depth=12"), bit_depth_of("bit-depth=99"), bit_depth_of("")
    (12, None, None)
    """
    found = _BIT_DEPTH.search(text)
    return int(found[1]) if found and int(found[1]) in BIT_DEPTHS else None


def reference(bucket: str, key: str, version_id: str) -> tuple[bytes, str]:
    """Return the body and the content type of a request that refers to an image in S3.

    This is for images larger than MAX_BODY_BYTES. The container reads them with its own role.
    """
    location = {"bucket": bucket, "key": key, "version_id": version_id}
    return json.dumps({"s3": location}).encode(), "application/json"
