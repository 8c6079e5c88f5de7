"""Deploy a model archive: upload it, create the SageMaker model, and switch the endpoint to it."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract import model_card
from contract.endpoint import VARIANT_NAME
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
    """

    image_uri: str = LOCAL_IMAGE_URI
    instance_type: str = "ml.g5.xlarge"
    instance_count: int = 1
    inference_ami_version: str | None = None

    def config_request(self) -> dict[str, Any]:
        """Return the CreateEndpointConfig request without its name and the model's."""
        variant: dict[str, Any] = {
            "VariantName": VARIANT_NAME,
            "InstanceType": self.instance_type,
            "InitialInstanceCount": self.instance_count,
        }
        if self.inference_ami_version:
            variant["InferenceAmiVersion"] = self.inference_ami_version
        return {"ProductionVariants": [variant]}


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
) -> str:
    """Make the endpoint serve a model archive, and wait until it does.

    Args:
        target: The stack.
        archive: A model.tar.gz.
        hosting: What the endpoint runs on.
        on_status: Receives a text for each step.
        timeout_s: How long to wait for the endpoint.
        trial: What came out of the model's trial, for its tag; None if there was none.

    Returns:
        The name of the SageMaker model.

    Raises:
        LoupeError: The file is not a model, or the endpoint did not come into service.
    """
    card = read_card(archive)
    on_status(f"uploading {card['name']}")
    digest, uri = _upload(target, archive)
    name = endpoint.model_name(target, digest)
    # Retraining starts from a model of the same family, and finds the family here.
    tags = {"loupe:family": str(card["family"])} | ({TRIAL_TAG: trial} if trial else {})
    tag_list: Any = [{"Key": tag, "Value": value} for tag, value in tags.items()]
    created = endpoint.describe_or_none(lambda: target.sagemaker.describe_model(ModelName=name))
    if created:
        target.sagemaker.add_tags(ResourceArn=created["ModelArn"], Tags=tag_list)
    else:
        target.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": hosting.image_uri, "ModelDataUrl": uri},
            ExecutionRoleArn=target.output("SageMakerRoleArn"),
            Tags=tag_list,
        )
    endpoint.switch(target, name, hosting.config_request(), on_status, timeout_s)
    return name


def trial_of(target: Target, model: dict[str, Any]) -> str | None:
    """Return what came out of the trial of a SageMaker model; None if it had none."""
    tags = target.sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"]
    return next((tag["Value"] for tag in tags if tag["Key"] == TRIAL_TAG), None)


def _upload(target: Target, archive: Path) -> tuple[str, str]:
    """Put an archive into the artefacts bucket under its hash; return the hash and the S3 URI."""
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    bucket, key = target.output("ArtefactsBucketName"), f"{MODELS}{digest}/model.tar.gz"
    target.s3.put_object(Bucket=bucket, Key=key, Body=content)
    return digest, join(bucket, key)


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
    digest = hashlib.sha256(f"{uri} {container['Image']}".encode()).hexdigest()[:12]
    name = endpoint.model_name(target, digest)
    if not endpoint.describe_or_none(lambda: target.sagemaker.describe_model(ModelName=name)):
        request = endpoint.copy_request(target, "CreateModel", current.model)
        request |= {"ModelName": name, "PrimaryContainer": container}
        request["Tags"] = [{"Key": tag, "Value": value} for tag, value in tags.items()]
        request.pop("Containers", None)
        target.sagemaker.create_model(**request)
    endpoint.switch_model(target, current, name, on_status, timeout_s)
    return name
