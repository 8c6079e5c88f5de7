"""Check an image in ECR as SageMaker will: the kind of its manifest, and the processor it is for."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account.account import Account
from loupe.errors import LoupeError

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# All kinds, so that ECR answers with what is there. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
_ALL = (
    DOCKER_MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_MAX_CONFIGURATION = 1 << 20
_REBUILD = "Build it again by `loupe cloud create`, or by the commands in docs/serving.md."


def exists(account: Account, repository: str, tag: str) -> bool:
    """Whether an image with this tag is in a repository.

    Raises:
        LoupeError: ECR refuses, or there is no such repository.
    """
    return _image(account, repository, tag) is not None


def check(account: Account, repository: str, tag: str) -> None:
    """Refuse an image that SageMaker would refuse.

    Raises:
        LoupeError: It is not there, its manifest is not Docker's version 2, or it is not for linux/amd64.
    """
    image = _image(account, repository, tag)
    if image is None:
        raise LoupeError(f"{repository}:{tag} is not in ECR", _REBUILD)
    manifest = json.loads(image["imageManifest"])
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Image.html: imageManifestMediaType may be missing.
    kind = image.get("imageManifestMediaType") or manifest.get("mediaType")
    if kind != DOCKER_MANIFEST:
        raise LoupeError(
            f"{repository}:{tag} has a manifest of the kind {kind}; SageMaker takes {DOCKER_MANIFEST} only",
            _REBUILD,
        )
    if account.local:
        # Its registry keeps manifests only.
        return
    configuration = _configuration(account, repository, manifest["config"]["digest"])
    found = f"{configuration.get('os')}/{configuration.get('architecture')}"
    if found != "linux/amd64":
        raise LoupeError(
            f"{repository}:{tag} is for {found}, and SageMaker's instances are linux/amd64", _REBUILD
        )


def _image(account: Account, repository: str, tag: str) -> dict[str, Any] | None:
    answer = _ask(
        lambda: account.client("ecr").batch_get_image(
            repositoryName=repository, imageIds=[{"imageTag": tag}], acceptedMediaTypes=list(_ALL)
        ),
        f"ECR does not show {repository}:{tag}",
    )
    images: list[dict[str, Any]] = answer["images"]
    return images[0] if images else None


def _configuration(account: Account, repository: str, digest: str) -> dict[str, Any]:
    """Return the image's configuration, a JSON document that ECR keeps as it keeps layers."""
    answer = _ask(
        lambda: account.client("ecr").get_download_url_for_layer(
            repositoryName=repository, layerDigest=digest
        ),
        f"ECR does not show the configuration of an image in {repository}",
    )
    try:
        with urllib.request.urlopen(answer["downloadUrl"], timeout=30) as response:  # noqa: S310 - ECR's own address
            configuration: dict[str, Any] = json.loads(response.read(_MAX_CONFIGURATION))
    except (OSError, ValueError) as error:
        raise LoupeError(f"the configuration of an image in {repository} cannot be read: {error}") from error
    return configuration


def _ask(call: Callable[[], dict[str, Any]], problem: str) -> dict[str, Any]:
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        raise LoupeError(f"{problem}: {error}", "Your AWS profile needs ecr:BatchGetImage there.") from error
