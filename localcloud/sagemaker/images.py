"""The images of models and jobs, as far as they are in the account's own ECR.

The local cloud runs no images. It checks them as SageMaker does, so that an image that SageMaker refuses is refused
here too. Names without a registry, such as loupe/serve:local, are not checked; for those of other accounts, see
refusals.py.
"""

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.services import ReadLayer

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# All kinds, so that ECR answers with what is there.
_KINDS = (
    _DOCKER_MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[a-z0-9._/-]+?)(:(?P<tag>[\w][\w.-]*))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# The families with Arm processors end with a g after their generation: ml.m7g.large, ml.c6gn.xlarge.
_ARM_INSTANCE = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")


_PULL = "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"


class _Image(NamedTuple):
    """An image in the account's ECR."""

    uri: str
    repository: str
    identity: dict[str, str]


class _RepositoryError(Exception):
    """The image's repository does not exist, or the role may not read it; the message is ECR's code."""


class Images:
    """Looks images up with the permissions of the role that SageMaker pulls them with."""

    def __init__(self, roles: "Roles", read_layer: ReadLayer) -> None:
        """Initialize.

        Args:
            roles: The account's roles.
            read_layer: Reads a layer in ECR.
        """
        self._roles, self._read_layer = roles, read_layer

    def check_model(self, uri: str, role: str) -> None:
        """Check the image of a model, as CreateModel does: it must exist, and its manifest must be Docker's.

        That the role may not read the image is noticed by the endpoint.
        https://github.com/aws/amazon-sagemaker-feedback/issues/180 and
        https://github.com/aws-samples/easy-amazon-sagemaker-deployments/issues/4 have the messages.

        Args:
            uri: The image.
            role: The model's role.

        Raises:
            AwsError: ValidationException, if SageMaker would refuse the image.
        """
        if (image := self._own(uri)) is None:
            return
        try:
            manifest = self._manifest(image, role)
        except _RepositoryError as error:
            if "NotFound" in str(error):
                raise invalid(f"Requested image {uri} not found.") from error
            return
        if manifest is None:
            raise invalid(f"Requested image {uri} not found.")
        kind = manifest.get("imageManifestMediaType") or json.loads(manifest["imageManifest"]).get(
            "mediaType"
        )
        if kind != _DOCKER_MANIFEST:
            raise invalid(
                f"Unsupported manifest media type {kind} for image {uri}. Ensure that valid manifest media type "
                "is used for specified image."
            )

    def check_job(self, uri: str, role: str) -> None:
        """Check the image of a training or processing job: it must exist, and the role must be allowed to pull it.

        https://github.com/aws/amazon-sagemaker-examples/issues/2534 has the messages.

        Args:
            uri: The image.
            role: The job's role.

        Raises:
            AwsError: ValidationException, if not.
        """
        if (image := self._own(uri)) is None:
            return
        place = f"repository: {image.repository} in registry ID: {self._roles.account}"
        try:
            if self._manifest(image, role) is None:
                raise invalid(f"Requested image {uri} not found.")
        except _RepositoryError as error:
            if "NotFound" in str(error):
                raise invalid(
                    f"Cannot find {place} Please check if your ECR repository exists and role {role} has proper "
                    f"pull permissions for SageMaker: {_PULL}"
                ) from error
            raise invalid(
                f"Access denied for {place}. Please check if your ECR repository and image exist and role {role} "
                f"has proper pull permissions for SageMaker: {_PULL}"
            ) from error

    def pull(self, uri: str, role: str) -> bool:
        """Return whether an endpoint can pull its image with the model's role."""
        image = self._own(uri)
        try:
            return image is None or self._manifest(image, role) is not None
        except _RepositoryError:
            return False

    def exec_error(self, uri: str, role: str, instance_type: str | None) -> str | None:
        """Return what the container prints if its image is for another processor than the instance has.

        None if it can run, or its configuration cannot be read.

        Args:
            uri: The image.
            role: The role that may pull it.
            instance_type: The instance type; None without instances.
        """
        image = self._own(uri)
        manifest = self._manifest(image, role) if image is not None else None
        if image is None or manifest is None or instance_type is None:
            return None
        config = json.loads(manifest["imageManifest"]).get("config", {}).get("digest")
        layer = self._read_layer(image.repository, config) if config else None
        architecture = json.loads(layer).get("architecture") if layer else None
        needed = "arm64" if _ARM_INSTANCE.match(instance_type) else "amd64"
        if architecture in (None, needed):
            return None
        return (
            f"exec format error: the image is for linux/{architecture}, and {instance_type} is linux/{needed}"
        )

    def _own(self, uri: str) -> _Image | None:
        """Return the image if it is in the account's own ECR."""
        match = _URI.fullmatch(uri)
        if match is None or (match["account"], match["region"]) != (self._roles.account, self._roles.region):
            return None
        digest, tag = match["digest"], match["tag"] or "latest"
        return _Image(uri, match["repository"], {"imageDigest": digest} if digest else {"imageTag": tag})

    def _manifest(self, image: _Image, role: str) -> dict[str, Any] | None:
        """Return what ECR has about an image, or None. Raises _RepositoryError."""
        try:
            answer = self._roles.client("ecr", role).batch_get_image(
                repositoryName=image.repository, imageIds=[image.identity], acceptedMediaTypes=list(_KINDS)
            )
        except ClientError as error:
            raise _RepositoryError(error.response["Error"]["Code"]) from error
        found: list[dict[str, Any]] = answer["images"]
        return found[0] if found else None
