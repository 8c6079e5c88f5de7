"""The local cloud's images: an entry in its registry that stands for the programs of this checkout.

The local cloud runs `train`, `evaluate` and `serve` as processes of this machine, from the checkout, so nothing is
built. Its registry gets the kind of manifest that SageMaker takes, so that what checks an image finds one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account.account import Account
from loupe.account.builders.source import Target
from loupe.account.manifests import DOCKER_MANIFEST
from loupe.errors import LoupeError


class Local:
    """Puts a small manifest into the local cloud's registry.

    Attributes:
        name: "local".
    """

    name = "local"

    def available(self) -> str | None:
        """Return None: it needs nothing."""
        return None

    def build_and_push(
        self, target: Target, uri: str, account: Account, on_line: Callable[[str], None]
    ) -> None:
        """Put the manifest.

        Args:
            target: The image's target.
            uri: Its address in the local cloud's ECR, with its tag.
            account: The local cloud.
            on_line: Called with a line that says what was done.

        Raises:
            LoupeError: This account is on AWS, or the registry refuses.
        """
        if not account.local:
            raise LoupeError(
                "the builder `local` builds nothing for AWS", "Take another: docker, podman, codebuild."
            )
        name, _, tag = uri.partition("/")[2].rpartition(":")
        manifest = json.dumps(_manifest(target, tag))
        try:
            account.client("ecr").put_image(
                repositoryName=name,
                imageManifest=manifest,
                imageManifestMediaType=DOCKER_MANIFEST,
                imageTag=tag,
            )
        except (ClientError, BotoCoreError) as error:
            raise LoupeError(f"the local cloud's registry does not take {name}:{tag}: {error}") from error
        on_line(f"{name}:{tag} stands for the programs of this checkout")


def _manifest(target: Target, tag: str) -> dict[str, Any]:
    """Return a manifest without layers, whose digest depends on target and tag."""
    configuration = json.dumps({"architecture": "amd64", "os": "linux", "target": target, "tag": tag})
    return {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(configuration),
            "digest": "sha256:" + hashlib.sha256(configuration.encode()).hexdigest(),
        },
        "layers": [],
    }
