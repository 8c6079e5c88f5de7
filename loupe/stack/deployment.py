"""Deploy a model archive: upload it, create the SageMaker model, and switch the endpoint to it."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract import instances, model_card
from contract.endpoint import VARIANT_NAME
from contract.instances import UnsuitableInstanceError
from contract.keys import MODELS
from contract.s3 import join, split
from localcloud.sources import REPOSITORY
from loupe.errors import LoupeError
from loupe.stack import endpoint
from loupe.stack.endpoint import TIMEOUT_SECONDS, EndpointDescription
from loupe.stack.target import Target

LOCAL_IMAGE_URI = "loupe/serve:local"
STARTER = REPOSITORY / "models" / "starter" / "model.tar.gz"
# Of a SageMaker model that was deployed by hand: what came out of its trial.
TRIAL_TAG = "loupe:trial"
_MAX_CARD_BYTES = 64 << 20


@dataclass(frozen=True)
class Hosting:
    """What the endpoint runs on. The local cloud ignores everything except the image's name.

    Attributes:
        image_uri: The serving container.
        instance_type: SageMaker's name for it.
        instance_count: At the start; autoscaling may change it.
        inference_ami_version: The host's machine image, which a container with CUDA 12.4 or newer needs.
        encryption_key: The ARN of the key that encrypts the stack's data; None for AWS's own keys.
    """

    image_uri: str = LOCAL_IMAGE_URI
    instance_type: str = "ml.g5.xlarge"
    instance_count: int = 1
    inference_ami_version: str | None = None
    encryption_key: str | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        image_uri: str | None = None,
        instance_type: str | None = None,
        instance_count: int | None = None,
        inference_ami_version: str | None = None,
    ) -> Hosting:
        """Return what the stack was deployed with, except for what is given here.

        Raises:
            LoupeError: The stack was deployed without a serving container, and none is given.
        """
        outputs = target.outputs
        image = image_uri or outputs.get("ServingImageUri") or (LOCAL_IMAGE_URI if target.local_cloud else "")
        if not image:
            raise LoupeError(
                "the endpoint needs a serving container, and the stack was deployed without one",
                "Give it one: loupe cloud update --stack NAME. Or name it here: --image-uri URI",
            )
        kind = instance_type or outputs.get("HostingInstanceType") or cls.instance_type
        ami = inference_ami_version
        if ami is None and kind == outputs.get("HostingInstanceType"):
            ami = outputs.get("InferenceAmiVersion")
        if ami is None:
            with suppress(UnsuitableInstanceError):
                ami = instances.instance(kind).host_image
        count = instance_count or int(outputs.get("EndpointMinInstances", cls.instance_count))
        return cls(image, kind, count, ami, outputs.get("EncryptionKeyArn"))

    def unsuitable(self) -> str | None:
        """Return why this container does not run on this instance; None if it does, or is not one of ours.

        >>> Hosting("1.dkr.ecr.eu-central-1.amazonaws.com/loupe/serve:1", "ml.g5.xlarge").unsuitable()
        'ml.g5.xlarge has a GPU, which the image serve does not use: it needs serve-gpu'
        >>> Hosting("1.dkr.ecr.eu-central-1.amazonaws.com/loupe/serve-gpu:1", "ml.g5.xlarge").unsuitable()
        """
        registry, *path = self.image_uri.split("/")
        name = re.split("[:@]", path[-1])[0].removeprefix("loupe-") if path else ""
        # A name without a registry is one of the local cloud's, which runs the program of this installation.
        if "." not in registry or name not in ("serve", "serve-gpu"):
            return None
        try:
            needed = instances.instance(self.instance_type, "endpoint").serving_image
        except UnsuitableInstanceError as error:
            return str(error)
        if needed == name:
            return None
        has = "has a GPU, which the image serve does not use" if needed == "serve-gpu" else "has no GPU"
        return f"{self.instance_type} {has}: it needs {needed}"

    def config_request(self) -> dict[str, Any]:
        """Return the CreateEndpointConfig request without its name and the model's."""
        variant: dict[str, Any] = {
            "VariantName": VARIANT_NAME,
            "InstanceType": self.instance_type,
            "InitialInstanceCount": self.instance_count,
        }
        if self.inference_ami_version:
            variant["InferenceAmiVersion"] = self.inference_ami_version
        key = self.encryption_key if instances.takes_volume_key(self.instance_type) else None
        return {"ProductionVariants": [variant], **({"KmsKeyId": key} if key else {})}


def read_card(archive: Path) -> dict[str, Any]:
    """Return the `model.json` of a model.tar.gz.

    Raises:
        LoupeError: The file is missing, is not a tar archive, or contains no model.json of a model that can judge.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.extractfile("model.json")
            if member is None:
                raise KeyError("model.json is not a file")
            return model_card.parse(member.read(_MAX_CARD_BYTES))
    except model_card.CardError as error:
        raise LoupeError(
            f"{archive} is not a model that can judge: model.json: {error}",
            "Take the archive as loupe train, retrain or ensemble wrote it (docs/models.md).",
        ) from error
    except (OSError, tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise LoupeError(
            f"{archive} is not a model: {error}",
            "A model is a model.tar.gz that contains model.onnx and model.json (docs/models.md).",
        ) from error


def deploy(
    target: Target,
    archive: Path,
    hosting: Hosting,
    on_status: Callable[[str], None],
    timeout_s: float = TIMEOUT_SECONDS,
    trial: str | None = None,
    keep_instance_count: bool = False,
) -> str:
    """Make the endpoint serve a model archive, and wait until it does.

    Args:
        target: The stack.
        archive: A model.tar.gz.
        hosting: What the endpoint runs on.
        on_status: Receives a text for each step.
        timeout_s: How long to wait for the endpoint.
        trial: What came out of the model's trial, for its tag; None if there was none.
        keep_instance_count: Keep the number of instances of an endpoint that exists; autoscaling may have changed it.

    Returns:
        The name of the SageMaker model.

    Raises:
        LoupeError: The file is not a model, or the endpoint did not come into service.
    """
    card = read_card(archive)
    on_status(f"uploading {card['name']}")
    uri = _upload(target, archive)
    container: Any = {"Image": hosting.image_uri, "ModelDataUrl": uri}
    name = endpoint.model_name(target, _digest(container))
    # Retraining starts from a model of the same family, and finds the family here.
    tags = {"loupe:family": str(card["family"])} | ({TRIAL_TAG: trial} if trial else {})
    tag_list: Any = [{"Key": tag, "Value": value} for tag, value in tags.items()]
    created = endpoint.describe_or_none(lambda: target.sagemaker.describe_model(ModelName=name))
    if created:
        target.sagemaker.add_tags(ResourceArn=created["ModelArn"], Tags=tag_list)
    else:
        target.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer=container,
            ExecutionRoleArn=target.output("SageMakerRoleArn"),
            Tags=tag_list,
        )
    endpoint.switch(target, name, hosting.config_request(), on_status, timeout_s, keep_instance_count)
    return name


def trial_of(target: Target, model: dict[str, Any]) -> str | None:
    """Return what came out of the trial of a SageMaker model; None if it had none."""
    return next((tag["Value"] for tag in _tags(target, model) if tag["Key"] == TRIAL_TAG), None)


def _digest(container: Mapping[str, Any]) -> str:
    """Return what tells a SageMaker model from others: artefact, image and environment."""
    artefact = container.get("ModelDataUrl") or container.get("ModelDataSource")
    parts = [artefact, container["Image"], container.get("Environment", {})]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def artefact_key(content: bytes) -> str:
    """Return the key of a model archive in the artefacts bucket, which has the archive's hash."""
    return f"{MODELS}{hashlib.sha256(content).hexdigest()[:12]}/model.tar.gz"


def _upload(target: Target, archive: Path) -> str:
    """Put an archive into the artefacts bucket; return its S3 URI."""
    content = archive.read_bytes()
    bucket, key = target.output("ArtefactsBucketName"), artefact_key(content)
    target.s3.put_object(Bucket=bucket, Key=key, Body=content)
    return join(bucket, key)


def deploy_uri(
    target: Target,
    current: EndpointDescription,
    uri: str,
    tags: Mapping[str, str],
    on_status: Callable[[str], None],
    timeout_s: float = TIMEOUT_SECONDS,
) -> str:
    """Make the endpoint serve an archive that is in S3, in the container and on the instances that it has now.

    Args:
        target: The stack.
        current: What the endpoint serves now.
        uri: The archive's S3 URI.
        tags: Tags of the SageMaker model if it has to be created.
        on_status: Receives a text for each step.
        timeout_s: How long to wait for the endpoint.

    Returns:
        The name of the SageMaker model.

    Raises:
        LoupeError: The archive cannot be read, or the endpoint did not come into service.
    """
    bucket, key = split(uri)
    try:
        target.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise LoupeError(
            f"the artefact {uri} cannot be read: {error}", "Check whether it was deleted."
        ) from error
    container = {**current.container, "ModelDataUrl": uri}
    container.pop("ModelDataSource", None)
    name = _copy_model(target, current, container, tags)
    endpoint.switch_model(target, current, name, on_status, timeout_s)
    return name


def rehost(
    target: Target,
    current: EndpointDescription,
    hosting: Hosting,
    on_status: Callable[[str], None],
    timeout_s: float = TIMEOUT_SECONDS,
) -> str:
    """Serve the same model in another container or on other instances, and wait until that is so.

    Args:
        target: The stack.
        current: What the endpoint serves now.
        hosting: What it is to run on. The number of instances stays.
        on_status: Receives a text for each step.
        timeout_s: How long to wait for the endpoint.

    Returns:
        The name of the SageMaker model.

    Raises:
        LoupeError: The endpoint did not come into service.
    """
    container = {**current.container, "Image": hosting.image_uri}
    tags = {tag["Key"]: tag["Value"] for tag in _tags(target, current.model)}
    name = _copy_model(target, current, container, tags)
    endpoint.switch(target, name, hosting.config_request(), on_status, timeout_s, keep_instance_count=True)
    return name


def _copy_model(
    target: Target, current: EndpointDescription, container: dict[str, Any], tags: Mapping[str, str]
) -> str:
    """Create the current model again with another container, unless there is that model; return its name."""
    name = endpoint.model_name(target, _digest(container))
    if not endpoint.describe_or_none(lambda: target.sagemaker.describe_model(ModelName=name)):
        request = endpoint.copy_request(target, "CreateModel", current.model)
        request |= {"ModelName": name, "PrimaryContainer": container}
        # SageMaker refuses tags of AWS's own, which nobody may set.
        own = {tag: value for tag, value in tags.items() if not tag.startswith("aws:")}
        request["Tags"] = [{"Key": tag, "Value": value} for tag, value in own.items()]
        request.pop("Containers", None)
        target.sagemaker.create_model(**request)
    return name


def _tags(target: Target, model: dict[str, Any]) -> list[Any]:
    return list(target.sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"])
