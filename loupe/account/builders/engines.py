"""Build images with docker, podman or buildah, as SageMaker takes them.

CreateModel refuses OCI manifests and indexes ("Unsupported manifest media type"), which docker writes since it adds
provenance attestations: https://github.com/aws/amazon-sagemaker-feedback/issues/180. The options are those of
https://docs.docker.com/build/exporters/image-registry/, https://docs.docker.com/build/metadata/attestations/
and https://docs.podman.io/en/latest/markdown/podman-build.1.html (--format). An Arm laptop builds for linux/amd64, too.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from loupe.account.account import Account
from loupe.account.builders import login
from loupe.account.builders.processes import answers, follow
from loupe.account.builders.source import DOCKERFILE, PLATFORM, Target, build_arguments, root
from loupe.errors import LoupeError

OnLine = Callable[[str], None]


class Engine(ABC):
    """A program on this machine that builds images.

    Attributes:
        name: The program's name.
    """

    name: str

    @abstractmethod
    def available(self) -> str | None:
        """Return why it cannot build here; None if it can."""

    @abstractmethod
    def build(self, target: Target, image: str, git_sha: str, on_line: OnLine) -> None:
        """Build an image into the engine's own store.

        Args:
            target: The Dockerfile's target.
            image: Its name there.
            git_sha: What the image says of its own version.
            on_line: Called with each line of the build.

        Raises:
            LoupeError: The build failed.
        """

    @abstractmethod
    def build_and_push(self, target: Target, uri: str, account: Account, on_line: OnLine) -> None:
        """Build an image, and push it to the account's registry.

        Args:
            target: The Dockerfile's target.
            uri: Its address in ECR, with its tag.
            account: Whose registry it is.
            on_line: Called with each line of the build.

        Raises:
            LoupeError: The build or the push failed.
        """

    def _missing(self) -> str | None:
        return None if shutil.which(self.name) else f"{self.name} is not installed"


class Docker(Engine):
    """Docker, with buildx where it has it: a daemon builds."""

    name = "docker"

    def available(self) -> str | None:
        """Return why docker cannot build here; None if it can."""
        if reason := self._missing():
            return reason
        if not answers(["docker", "version", "--format", "{{.Server.Version}}"], os.environ):
            return "docker is installed, but its engine does not run"
        return None

    def build(self, target: Target, image: str, git_sha: str, on_line: OnLine) -> None:
        """Build an image into the engine's own store; see Engine."""
        self._build(target, image, git_sha, os.environ, on_line, output="type=docker")

    def build_and_push(self, target: Target, uri: str, account: Account, on_line: OnLine) -> None:
        """Build an image, and push it; see Engine."""
        environment = account.environment()
        with self._logged_in(account, environment, on_line):
            registry = "type=registry,oci-mediatypes=false"
            if not self._build(target, uri, _tag_of(uri), environment, on_line, output=registry):
                follow(["docker", "push", uri], root(), environment, on_line)

    def _build(
        self,
        target: Target,
        image: str,
        git_sha: str,
        environment: Mapping[str, str],
        on_line: OnLine,
        output: str,
    ) -> bool:
        """Build, and return whether the output was written as wanted: the builder from before buildx only stores."""
        with_buildx = answers(["docker", "buildx", "version"], environment)
        if with_buildx:
            command = ["docker", "buildx", "build", "--provenance=false", "--sbom=false", "--output", output]
        else:
            # It writes Docker's own manifests, and has no attestations.
            command, environment = ["docker", "build"], {**environment, "DOCKER_BUILDKIT": "0"}
        follow([*command, *_arguments(target, image, git_sha)], root(), environment, on_line)
        return with_buildx

    @contextmanager
    def _logged_in(self, account: Account, environment: Mapping[str, str], on_line: OnLine) -> Iterator[None]:
        """Keep a login in docker's own store, where its contexts and plugins are, for as long as it is needed."""
        token = login.token(account)
        had_one = token.registry in _docker_logins(environment)
        command = ["docker", "login", "--username", token.user, "--password-stdin", token.registry]
        follow(command, root(), environment, on_line, secret=token.password)
        try:
            yield
        finally:
            if not had_one:
                with suppress(LoupeError):
                    follow(["docker", "logout", token.registry], root(), environment, on_line)


class Rootless(Engine):
    """Podman or buildah: no daemon, a login in a file of its own."""

    def __init__(self, name: str) -> None:
        """Use the program `name`: podman or buildah."""
        self.name = name

    def available(self) -> str | None:
        """Return why the program cannot build here; None if it can."""
        if reason := self._missing():
            return reason
        if not answers([self.name, "info"], os.environ):
            return f"{self.name} is installed, but does not work here ({self.name} info says why)"
        return None

    def build(self, target: Target, image: str, git_sha: str, on_line: OnLine) -> None:
        """Build an image into the engine's own store; see Engine."""
        command = [self.name, "build", "--format", "docker", *_arguments(target, image, git_sha)]
        follow(command, root(), os.environ, on_line)

    def build_and_push(self, target: Target, uri: str, account: Account, on_line: OnLine) -> None:
        """Build an image, and push it; see Engine."""
        self.build(target, uri, _tag_of(uri), on_line)
        token = login.token(account)
        with tempfile.TemporaryDirectory(prefix="loupe-login-") as folder:
            logins = ["--authfile", str(Path(folder) / "auth.json")]
            environment = account.environment()
            command = [
                self.name,
                "login",
                *logins,
                "--username",
                token.user,
                "--password-stdin",
                token.registry,
            ]
            follow(command, root(), environment, on_line, secret=token.password)
            follow([self.name, "push", *logins, "--format", "v2s2", uri], root(), environment, on_line)


def _arguments(target: Target, image: str, git_sha: str) -> list[str]:
    """Return what all of them call alike."""
    arguments = ["--platform", PLATFORM, "--file", DOCKERFILE, "--target", target, "--tag", image]
    for name, value in build_arguments(git_sha).items():
        arguments += ["--build-arg", f"{name}={value}"]
    return [*arguments, "."]


def _tag_of(uri: str) -> str:
    return uri.rpartition(":")[2]


def _docker_logins(environment: Mapping[str, str]) -> set[str]:
    """Return the registries that docker already has a login for; a credential store keeps an empty entry here."""
    folder = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        return set(json.loads((folder / "config.json").read_text("utf-8")).get("auths", {}))
    except (OSError, ValueError, AttributeError):
        return set()
