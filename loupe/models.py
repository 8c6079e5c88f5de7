"""Put a model behind the endpoint: artefact to S3, then SageMaker's model, endpoint config and endpoint."""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from loupe.errors import LoupeError
from loupe.target import Target

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

_Reply = TypeVar("_Reply")

LOCAL_IMAGE_URI = "loupe/serve:local"
STARTER = Path(__file__).parent.parent / "models" / "starter" / "model.tar.gz"
# SageMaker's names are 63 characters of letters, digits and hyphens.
_NAME_LIMIT = 63


@dataclass(frozen=True)
class Hosting:
    """What the endpoint runs on; the local cloud ignores all but the image's name."""

    image_uri: str = LOCAL_IMAGE_URI
    instance_type: str = "ml.g5.xlarge"
    instance_count: int = 1
    inference_ami_version: str | None = None


def read_card(artefact: Path) -> dict[str, Any]:
    """`model.json` of a model.tar.gz.

    Raises:
        LoupeError: the file is missing, no tar, or holds no model.json.
    """
    try:
        with tarfile.open(artefact, "r:gz") as archive:
            member = archive.extractfile("model.json")
            if member is None:
                raise KeyError("model.json")
            card: dict[str, Any] = json.load(member)
            return card
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise LoupeError(
            f"{artefact} is no model: {error}",
            "A model is a model.tar.gz that holds model.onnx and model.json (docs/models.md).",
        ) from error


def deploy(
    target: Target,
    artefact: Path,
    hosting: Hosting,
    on_status: Callable[[str], None],
    patience: float = 1800.0,
) -> str:
    """Make the endpoint serve this artefact, and wait until it does.

    Returns:
        The name of the SageMaker model.

    Raises:
        LoupeError: the artefact is no model, or the endpoint did not come into service.
    """
    card = read_card(artefact)
    payload = artefact.read_bytes()
    digest = hashlib.sha256(payload).hexdigest()
    name = f"{target.output('EndpointName')}-{digest[:12]}"[-_NAME_LIMIT:].lstrip("-")
    bucket, key = target.output("ArtefactsBucketName"), f"models/{digest[:12]}/model.tar.gz"
    on_status(f"uploading {card.get('name', artefact.name)}")
    target.s3.put_object(Bucket=bucket, Key=key, Body=payload)
    if not _described(lambda: target.sagemaker.describe_model(ModelName=name)):
        target.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": hosting.image_uri, "ModelDataUrl": f"s3://{bucket}/{key}"},
            ExecutionRoleArn=target.output("SageMakerRoleArn"),
        )
    variant: Any = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": hosting.instance_type,
        "InitialInstanceCount": hosting.instance_count,
    }
    if hosting.inference_ami_version:
        variant["InferenceAmiVersion"] = hosting.inference_ami_version
    settings = hashlib.sha256(json.dumps(variant, sort_keys=True).encode()).hexdigest()[:6]
    config = f"{name[: _NAME_LIMIT - 7]}-{settings}"
    if not _described(lambda: target.sagemaker.describe_endpoint_config(EndpointConfigName=config)):
        target.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
    _point_endpoint(target, config)
    _await_in_service(target, config, on_status, patience)
    return name


def endpoint_status(target: Target) -> str | None:
    """SageMaker's status of the stack's endpoint, or None while there is none."""
    described = _endpoint(target)
    return described["EndpointStatus"] if described else None


def _endpoint(target: Target) -> DescribeEndpointOutputTypeDef | None:
    return _described(lambda: target.sagemaker.describe_endpoint(EndpointName=target.output("EndpointName")))


def _described(describe: Callable[[], _Reply]) -> _Reply | None:
    """What SageMaker says of a name; None for one that it does not know, which it calls a ValidationException."""
    try:
        return describe()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return None
        raise


def _point_endpoint(target: Target, config: str) -> None:
    name, described = target.output("EndpointName"), _endpoint(target)
    if described and described["EndpointStatus"] == "Failed":
        target.sagemaker.delete_endpoint(EndpointName=name)
        while described := _endpoint(target):
            time.sleep(0.5)
    if described is None:
        target.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    elif described["EndpointConfigName"] != config:
        target.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)


def _await_in_service(target: Target, config: str, on_status: Callable[[str], None], patience: float) -> None:
    endpoint, deadline = target.output("EndpointName"), time.monotonic() + patience
    while time.monotonic() < deadline:
        described = target.sagemaker.describe_endpoint(EndpointName=endpoint)
        status = described["EndpointStatus"]
        on_status(f"endpoint {endpoint}: {status}")
        if status == "InService":
            if described["EndpointConfigName"] == config:
                return
            raise LoupeError(
                f"the endpoint {endpoint} kept its former model: {described.get('FailureReason', '')}",
                "Look at the container's log.",
            )
        if status in ("Failed", "OutOfService", "UpdateRollbackFailed"):
            raise LoupeError(
                f"the endpoint {endpoint} is {status}: {described.get('FailureReason', 'no reason given')}",
                "Look at the container's log, mend the model, and deploy again.",
            )
        time.sleep(0.2 if target.endpoint_url else 10)
    raise LoupeError(f"the endpoint {endpoint} is still {status} after {patience:.0f} s", "Ask again later.")
