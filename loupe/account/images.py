"""The account's container images: who builds them, which are missing, and whether SageMaker will take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loupe.account import manifests
from loupe.account.account import Account
from loupe.account.builders.codebuild import CodeBuild
from loupe.account.builders.engines import Docker, Rootless
from loupe.account.builders.local import Local
from loupe.account.builders.source import TARGETS, Target, tag
from loupe.errors import LoupeError

__all__ = ["TARGETS", "Builder", "Image", "Target", "builders", "choose", "ensure", "tag"]


class Builder(Protocol):
    """Builds images, and pushes them to ECR.

    Attributes:
        name: What a user calls it.
    """

    name: str

    def available(self) -> str | None:
        """Return why it cannot build here; None if it can."""

    def build_and_push(
        self, target: Target, uri: str, account: Account, on_line: Callable[[str], None]
    ) -> None:
        """Build a target, and push it to `uri`. `on_line` gets each line of the build. Raises LoupeError."""


@dataclass(frozen=True)
class Image:
    """An image in the account's registry.

    Attributes:
        target: The Dockerfile's target.
        uri: Its address, with its tag.
        built: Whether it was built now; an image that was there already is not built again.
    """

    target: Target
    uri: str
    built: bool


def builders() -> list[Builder]:
    """Return the builders for AWS, in the order in which they are tried: this machine's first, then the account's."""
    return [Docker(), Rootless("podman"), Rootless("buildah"), CodeBuild()]


def choose(wanted: str | None, account: Account) -> Builder:
    """Return who builds the images.

    Args:
        wanted: A builder's name; None for the first that can.
        account: Where the images go. The local cloud has a builder of its own, since it needs no images.

    Raises:
        LoupeError: There is no such builder, or it cannot build; the message says why.
    """
    known: list[Builder] = [Local()] if account.local else builders()
    names = ", ".join(builder.name for builder in known)
    if wanted is not None:
        known = [builder for builder in known if builder.name == wanted]
        if not known:
            raise LoupeError(f"there is no builder {wanted!r} for this account", f"There is {names}.")
    reasons = []
    for builder in known:
        reason = builder.available()
        if reason is None:
            return builder
        reasons.append(reason)
    raise LoupeError(
        f"the images cannot be built: {'; '.join(reasons)}", f"Choose a builder that works: {names}."
    )


def ensure(
    account: Account,
    target: Target,
    builder: Builder,
    on_line: Callable[[str], None],
    tag_of_image: str | None = None,
) -> Image:
    """Have an image in the account's registry that SageMaker takes. Its repository must exist.

    Args:
        account: Where the image goes.
        target: The Dockerfile's target.
        builder: Who builds it if it is missing.
        on_line: Called with each line of a build.
        tag_of_image: Its tag; None for that of what it is made of.

    Raises:
        LoupeError: The build or the push failed, or SageMaker would refuse the image.
    """
    chosen = tag_of_image or tag(target)
    uri, repository = account.image_uri(target, chosen), account.name(target)
    missing = not manifests.exists(account, repository, chosen)
    if missing:
        builder.build_and_push(target, uri, account, on_line)
    manifests.check(account, repository, chosen)
    return Image(target, uri, missing)
