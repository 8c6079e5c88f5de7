"""Put a model behind the endpoint: artefact to S3, then SageMaker's model, endpoint config and endpoint."""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from contract.keys import MODELS
from contract.s3 import join, split
from loupe.errors import LoupeError
from loupe.stack.target import Target

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

_Reply = TypeVar("_Reply")

LOCAL_IMAGE_URI = "loupe/serve:local"
STARTER = Path(__file__).parents[2] / "models" / "starter" / "model.tar.gz"
# SageMaker's names are 63 characters of letters, digits and hyphens.
_NAME_LIMIT = 63
# How it calls a name that it does not know, by operation.
_UNKNOWN = ("ValidationException", "ResourceNotFound")


@dataclass(frozen=True)
class Hosting:
    """What the endpoint runs on; the local cloud ignores all but the image's name."""

    image_uri: str = LOCAL_IMAGE_URI
    instance_type: str = "ml.g5.xlarge"
    instance_count: int = 1
    inference_ami_version: str | None = None

    def settings(self) -> dict[str, Any]:
        """The request for an endpoint config, without its name and the model's."""
        variant: dict[str, Any] = {
            "VariantName": "AllTraffic",
            "InstanceType": self.instance_type,
            "InitialInstanceCount": self.instance_count,
        }
        if self.inference_ami_version:
            variant["InferenceAmiVersion"] = self.inference_ami_version
        return {"ProductionVariants": [variant]}


@dataclass(frozen=True)
class Serving:
    """What the endpoint serves: SageMaker's descriptions of the endpoint, its config and its model."""

    endpoint: dict[str, Any]
    config: dict[str, Any]
    model: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.endpoint["EndpointStatus"])

    @property
    def name(self) -> str:
        """Of the SageMaker model."""
        return str(self.model["ModelName"])

    @property
    def container(self) -> dict[str, Any]:
        """The model's container, which a model may also have as the only one of a list."""
        found: dict[str, Any] = self.model.get("PrimaryContainer") or self.model["Containers"][0]
        return found


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
    name, uri = upload(target, artefact, on_status)
    if not described(lambda: target.sagemaker.describe_model(ModelName=name)):
        target.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": hosting.image_uri, "ModelDataUrl": uri},
            ExecutionRoleArn=target.output("SageMakerRoleArn"),
            # So that retraining knows what it may start from.
            Tags=[{"Key": "loupe:family", "Value": str(read_card(artefact).get("family", ""))}],
        )
    switch(target, name, hosting.settings(), on_status, patience)
    return name


def upload(target: Target, artefact: Path, on_status: Callable[[str], None]) -> tuple[str, str]:
    """Bring a model.tar.gz to the artefacts bucket, under its hash.

    Returns:
        The name for a SageMaker model of it, and its S3 URI.

    Raises:
        LoupeError: it is no model.
    """
    card = read_card(artefact)
    payload = artefact.read_bytes()
    digest = hashlib.sha256(payload).hexdigest()[:12]
    bucket, key = target.output("ArtefactsBucketName"), f"{MODELS}{digest}/model.tar.gz"
    on_status(f"uploading {card.get('name', artefact.name)}")
    target.s3.put_object(Bucket=bucket, Key=key, Body=payload)
    return model_name(target, digest), join(bucket, key)


def model_name(target: Target, digest: str) -> str:
    """What a SageMaker model of this stack's endpoint is called."""
    return f"{target.output('EndpointName')}-{digest}"[-_NAME_LIMIT:].lstrip("-")


def serving(target: Target) -> Serving | None:
    """What the stack's endpoint serves; None while there is no endpoint."""
    endpoint = _endpoint(target)
    if endpoint is None:
        return None
    config = target.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = target.sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return Serving(dict(endpoint), dict(config), dict(model))


def serve_artefact(
    target: Target,
    now: Serving,
    uri: str,
    tags: Mapping[str, str],
    on_status: Callable[[str], None],
    patience: float = 1800.0,
) -> str:
    """Make the endpoint serve the artefact at an S3 URI, in the container and on the hosting that it has now.

    Args:
        tags: of the SageMaker model, should it have to be made.

    Returns:
        The name of the SageMaker model, which is made where there is none.

    Raises:
        LoupeError: the artefact is gone, or the endpoint did not come into service.
    """
    bucket, key = split(uri)
    try:
        target.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise LoupeError(f"the artefact {uri} cannot be read: {error}", "Was it deleted?") from error
    container = {**now.container, "ModelDataUrl": uri}
    container.pop("ModelDataSource", None)
    name = model_name(target, hashlib.sha256(f"{uri} {container['Image']}".encode()).hexdigest()[:12])
    if not described(lambda: target.sagemaker.describe_model(ModelName=name)):
        request = _request(target, "CreateModel", now.model)
        request |= {"ModelName": name, "PrimaryContainer": container}
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        request.pop("Containers", None)
        target.sagemaker.create_model(**request)
    return serve_model(target, now, name, on_status, patience)


def serve_model(
    target: Target, now: Serving, name: str, on_status: Callable[[str], None], patience: float = 1800.0
) -> str:
    """Make the endpoint serve a SageMaker model on the hosting that it has now. Returns the model's name.

    Raises:
        LoupeError: the endpoint did not come into service.
    """
    settings = _request(target, "CreateEndpointConfig", now.config)
    del settings["EndpointConfigName"]
    settings.pop("ShadowProductionVariants", None)
    switch(target, name, settings, on_status, patience, retain=True)
    return name


def _request(target: Target, operation: str, description: dict[str, Any]) -> dict[str, Any]:
    """The members of a description that a request of the operation takes, empty ones left out."""
    shape = target.sagemaker.meta.service_model.operation_model(operation).input_shape
    members: Any = shape.members if shape else {}
    return {name: description[name] for name in members if description.get(name)}


def switch(
    target: Target,
    name: str,
    settings: dict[str, Any],
    on_status: Callable[[str], None],
    patience: float,
    retain: bool = False,
) -> None:
    """Make the endpoint serve a SageMaker model, and wait until it does.

    Args:
        settings: the request for an endpoint config, but for its name and the model's.
        retain: keep the number of instances that run now, which autoscaling may have changed.

    Raises:
        LoupeError: the endpoint did not come into service.
    """
    settings = {**settings, "ProductionVariants": [{**settings["ProductionVariants"][0], "ModelName": name}]}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]
    config = f"{name[: _NAME_LIMIT - 7]}-{digest}"
    if not described(lambda: target.sagemaker.describe_endpoint_config(EndpointConfigName=config)):
        target.sagemaker.create_endpoint_config(EndpointConfigName=config, **settings)
    _point_endpoint(target, config, retain)
    _await_in_service(target, config, on_status, patience)


def endpoint_status(target: Target) -> str | None:
    """SageMaker's status of the stack's endpoint, or None while there is none."""
    found = _endpoint(target)
    return found["EndpointStatus"] if found else None


def _endpoint(target: Target) -> DescribeEndpointOutputTypeDef | None:
    return described(lambda: target.sagemaker.describe_endpoint(EndpointName=target.output("EndpointName")))


def described(describe: Callable[[], _Reply]) -> _Reply | None:
    """What SageMaker says of a name; None for one that it does not know."""
    try:
        return describe()
    except ClientError as error:
        if error.response["Error"]["Code"] in _UNKNOWN:
            return None
        raise


def _point_endpoint(target: Target, config: str, retain: bool) -> None:
    name, found = target.output("EndpointName"), _endpoint(target)
    if found and found["EndpointStatus"] == "Failed":
        target.sagemaker.delete_endpoint(EndpointName=name)
        while found := _endpoint(target):
            time.sleep(0.5)
    if found is None:
        target.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    elif found["EndpointConfigName"] != config:
        target.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=config, RetainAllVariantProperties=retain
        )


def _await_in_service(target: Target, config: str, on_status: Callable[[str], None], patience: float) -> None:
    endpoint, deadline = target.output("EndpointName"), time.monotonic() + patience
    while time.monotonic() < deadline:
        found = target.sagemaker.describe_endpoint(EndpointName=endpoint)
        status = found["EndpointStatus"]
        on_status(f"endpoint {endpoint}: {status}")
        if status == "InService":
            if found["EndpointConfigName"] == config:
                return
            raise LoupeError(
                f"the endpoint {endpoint} kept its former model: {found.get('FailureReason', '')}",
                "Look at the container's log.",
            )
        if status in ("Failed", "OutOfService", "UpdateRollbackFailed"):
            raise LoupeError(
                f"the endpoint {endpoint} is {status}: {found.get('FailureReason', 'no reason given')}",
                "Look at the container's log, mend the model, and deploy again.",
            )
        time.sleep(0.2 if target.endpoint_url else 10)
    raise LoupeError(f"the endpoint {endpoint} is still {status} after {patience:.0f} s", "Ask again later.")
