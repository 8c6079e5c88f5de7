"""What CreateTransformJob accepts, and what a job's settings are once its container has been asked.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
"""

import json
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.storage import StorageError, split
from localcloud.sagemaker.transform.filters import FilterError, parse

MB = 1024 * 1024
_MAX_MB = 100
_MAX_INSTANCES = 100
_DEFAULT_PAYLOAD_MB = 6
_DEFAULT_TIMEOUT_S, _DEFAULT_RETRIES = 600, 3
_FORMATS = ("application/json", "application/jsonlines")
_STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}
# How DescribeTransformJob returns what the request has left out.
_PROCESSING = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}


def check(request: dict[str, Any]) -> None:
    """Check a request beyond its shape.

    Args:
        request: The parameters of CreateTransformJob.

    Raises:
        AwsError: ValidationException, if AWS or the local cloud cannot run it.
    """
    source, output = request["TransformInput"], request["TransformOutput"]
    kind = source["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in ("S3Prefix", "ManifestFile"):
        raise invalid(f"A transform job reads S3DataType S3Prefix or ManifestFile, not {kind}.")
    for uri in (source["DataSource"]["S3DataSource"]["S3Uri"], output["S3OutputPath"]):
        try:
            split(uri)
        except StorageError as error:
            raise invalid(str(error)) from error
    if source.get("SplitType", "None") not in ("None", "Line"):
        raise invalid(f"The local cloud splits objects by Line or not at all, not by {source['SplitType']}.")
    if "DataCaptureConfig" in request:
        raise invalid("The local cloud captures no data: leave DataCaptureConfig out, and keep the outputs.")
    if request["TransformResources"]["InstanceCount"] > _MAX_INSTANCES:
        raise invalid(f"A transform job runs on at most {_MAX_INSTANCES} instances.")
    _check_payload(request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms"))
    _check_processing(request)


def _check_payload(payload: int | None, concurrent: int | None) -> None:
    if payload is not None and payload > _MAX_MB:
        raise invalid(f"MaxPayloadInMB must be at most {_MAX_MB}, not {payload}.")
    if (payload or 0) * (concurrent or 0) > _MAX_MB:
        raise invalid(
            f"MaxConcurrentTransforms * MaxPayloadInMB must be at most {_MAX_MB}, "
            f"not {concurrent} * {payload}."
        )


def _check_processing(request: dict[str, Any]) -> None:
    """Check DataProcessing.

    https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html: "You can use input files in
    JSON and CSV format only", and ContentType and Accept must both say so.
    """
    processing = _PROCESSING | request.get("DataProcessing", {})
    if processing == _PROCESSING:
        return
    types = request["TransformInput"].get("ContentType"), request["TransformOutput"].get("Accept")
    if not all(media_type in _FORMATS for media_type in types):
        raise invalid(
            f"DataProcessing needs ContentType and Accept to be {' or '.join(_FORMATS)}, not {types[0]} and "
            f"{types[1]}: an image has no fields to filter or to join. An output has its input's key in its name."
        )
    for member in ("InputFilter", "OutputFilter"):
        try:
            parse(processing[member])
        except FilterError as error:
            raise invalid(f"{member}: {error}") from error


def completed(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the values that AWS gives to what it leaves out.

    Args:
        request: The parameters of CreateTransformJob.
    """
    source = {"CompressionType": "None", "SplitType": "None"} | request["TransformInput"]
    output = {"AssembleWith": "None", "KmsKeyId": ""} | request["TransformOutput"]
    processing = _PROCESSING | request.get("DataProcessing", {})
    return request | {"TransformInput": source, "TransformOutput": output, "DataProcessing": processing}


def variables(request: dict[str, Any]) -> dict[str, str]:
    """Return what SageMaker tells the container in its environment: only what the request says.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html

    Args:
        request: The parameters of CreateTransformJob.
    """
    told = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in request:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(request["MaxPayloadInMB"])
    if "BatchStrategy" in request:
        told["SAGEMAKER_BATCH_STRATEGY"] = _STRATEGIES[request["BatchStrategy"]]
    if request.get("MaxConcurrentTransforms"):
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(request["MaxConcurrentTransforms"])
    return told


@dataclass(frozen=True)
class Settings:
    """How a job sends its objects.

    Attributes:
        concurrent: How many requests are under way at once.
        payload_mb: The most megabytes of a request; 0: any, sent in chunks.
        strategy: SINGLE_RECORD or MULTI_RECORD.
        timeout_s: How long an answer may take.
        retries: How often a request that fails is sent again.
    """

    concurrent: int
    payload_mb: int
    strategy: str
    timeout_s: int
    retries: int

    @classmethod
    def of(cls, request: dict[str, Any], answer: bytes | None) -> "Settings":
        """Return the settings: first what the request says, then what the container says, then the defaults.

        Args:
            request: The parameters of CreateTransformJob.
            answer: The container's answer to GET /execution-parameters, if there is one.
        """
        container = _object(answer)
        client = request.get("ModelClientConfig", {})
        payload = request.get("MaxPayloadInMB", _whole(container.get("MaxPayloadInMB"), _DEFAULT_PAYLOAD_MB))
        concurrent = request.get("MaxConcurrentTransforms") or _whole(
            container.get("MaxConcurrentTransforms"), 1
        )
        strategy = str(container.get("BatchStrategy"))
        if "BatchStrategy" in request:
            strategy = _STRATEGIES[request["BatchStrategy"]]
        return cls(
            max(1, min(concurrent, _MAX_MB)),
            min(payload, _MAX_MB),
            strategy if strategy in _STRATEGIES.values() else "MULTI_RECORD",
            client.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_S),
            client.get("InvocationsMaxRetries", _DEFAULT_RETRIES),
        )


def _object(answer: bytes | None) -> dict[str, Any]:
    try:
        document = json.loads(answer or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default
