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
_INSPECTION = re.compile(r"(?:^|[;,\s])inspection=([\w-]{1,64})(?:$|[;,\s])", re.ASCII)
_HEAT_MAP = re.compile(r"(?:^|[;,\s])heat-map=([01])(?:$|[;,\s])")
_TRACE = re.compile(r"(?:^|[;,\s])trace=([\w-]{1,64})(?:$|[;,\s])", re.ASCII)
# The alarms in template.yaml and the state machine use the same name. A canary needs a name that never changes.
VARIANT_NAME = "AllTraffic"


def attributes(
    bit_depth: int | None = None,
    inspection: str | None = None,
    trace: str | None = None,
    *,
    heat_map: bool = False,
) -> str:
    """Return the attributes of a request: at most 1,024 visible ASCII characters pass through SageMaker.

    Args:
        bit_depth: Of the camera, for a picture that does not state it.
        inspection: The id of the record that the request is for.
        trace: The id of the trace that the request belongs to.
        heat_map: Whether the answer should contain the heat map of an anomaly model.

    >>> attributes(12)
    'bit-depth=12'
    >>> attributes(12, heat_map=True)
    'bit-depth=12; heat-map=1'
    >>> attributes(inspection="6d0f", trace="1-5759e988-bd86")
    'inspection=6d0f; trace=1-5759e988-bd86'
    """
    values = {
        "bit-depth": bit_depth,
        "inspection": inspection,
        "trace": trace,
        "heat-map": 1 if heat_map else None,
    }
    return "; ".join(f"{name}={value}" for name, value in values.items() if value is not None)


def bit_depth_of(text: str) -> int | None:
    """Return the bit depth in a request's attributes; None if there is none, or no possible one.

    >>> bit_depth_of("trace=7; bit-depth=12"), bit_depth_of("bit-depth=99"), bit_depth_of("")
    (12, None, None)
    """
    found = _BIT_DEPTH.search(text)
    return int(found[1]) if found and int(found[1]) in BIT_DEPTHS else None


def wants_heat_map(text: str, default: bool = False) -> bool:
    """Return whether a request's attributes ask for the heat map. default: what those mean that say nothing.

    >>> wants_heat_map("trace=7; heat-map=1"), wants_heat_map("trace=7"), wants_heat_map("heat-map=0", default=True)
    (True, False, False)
    """
    found = _HEAT_MAP.search(text)
    return found[1] == "1" if found else default


def ids_of(text: str) -> dict[str, str]:
    """Return the ids in a request's attributes by which its log lines are found.

    >>> ids_of("bit-depth=12; inspection=6d0f; trace=1-5759e988-bd86")
    {'inspection': '6d0f', 'trace': '1-5759e988-bd86'}
    """
    found = {"inspection": _INSPECTION.search(text), "trace": _TRACE.search(text)}
    return {name: match[1] for name, match in found.items() if match}


def reference(bucket: str, key: str, version_id: str) -> tuple[bytes, str]:
    """Return the body and the content type of a request that refers to an image in S3.

    This is for images larger than MAX_BODY_BYTES. The container reads them with its own role.
    """
    location = {"bucket": bucket, "key": key, "version_id": version_id}
    return json.dumps({"s3": location}).encode(), "application/json"
