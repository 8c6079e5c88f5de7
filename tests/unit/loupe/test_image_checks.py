"""Images in ECR: which are missing, what SageMaker would refuse, and what their tags are made of."""

from __future__ import annotations

import io
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest

from loupe.account import images, manifests
from loupe.account.account import Account
from loupe.account.builders import source
from loupe.errors import LoupeError

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Registry:
    """An account's ECR with one repository: what is in it by tag."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        session = boto3.Session("key", "secret", region_name="eu-central-1")
        self.account = Account(session, None, "trial")
        self.account.__dict__["identity"] = {"Account": "123456789012"}
        self.images: dict[str, tuple[str, str]] = {}
        events = self.account.client("ecr").meta.events
        events.register_first("before-call.ecr.BatchGetImage", self._batch_get_image)
        events.register_first("before-call.ecr.GetDownloadUrlForLayer", self._download_url)
        monkeypatch.setattr(urllib.request, "urlopen", self._open)
        self._architecture = ""

    def push(self, tag: str, kind: str = manifests.DOCKER_MANIFEST, architecture: str = "amd64") -> None:
        self.images[tag] = (kind, architecture)

    def _batch_get_image(self, params: dict[str, Any], **_: Any) -> Any:
        tag = json.loads(params["body"])["imageIds"][0]["imageTag"]
        if tag not in self.images:
            return _Answer, {"images": [], "failures": [{"failureCode": "ImageNotFound"}]}
        kind, self._architecture = self.images[tag]
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:1"}}
        return _Answer, {"images": [{"imageManifest": json.dumps(manifest), "imageManifestMediaType": kind}]}

    def _download_url(self, **_: Any) -> Any:
        return _Answer, {"downloadUrl": "https://layers.example/1"}

    def _open(self, address: str, timeout: float) -> io.BytesIO:
        assert (address, timeout > 0) == ("https://layers.example/1", True)
        return io.BytesIO(json.dumps({"os": "linux", "architecture": self._architecture}).encode())


class _Answer:
    status_code = 200


class Builder:
    """Pushes an image of a kind, and counts."""

    name = "test"

    def __init__(self, registry: Registry, **image: str) -> None:
        self.registry, self.image, self.built = registry, image, []

    def available(self) -> str | None:
        return None

    def build_and_push(self, target: str, uri: str, account: Account, on_line: Any) -> None:
        self.built.append((target, uri))
        self.registry.push(uri.rpartition(":")[2], **self.image)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    return Registry(monkeypatch)


def ensure(registry: Registry, builder: Builder) -> images.Image:
    return images.ensure(registry.account, "serve", builder, lambda _: None, "abc")


def test_a_missing_image_is_built_and_one_that_is_there_is_not(registry: Registry) -> None:
    builder = Builder(registry)
    uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/trial/serve:abc"
    assert ensure(registry, builder) == images.Image("serve", uri, built=True)
    assert ensure(registry, builder) == images.Image("serve", uri, built=False)
    assert builder.built == [("serve", uri)]


@pytest.mark.parametrize("kind", [OCI, INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"])
def test_a_manifest_that_sagemaker_refuses_is_refused_after_the_push(registry: Registry, kind: str) -> None:
    with pytest.raises(LoupeError) as raised:
        ensure(registry, Builder(registry, kind=kind))
    assert f"trial/serve:abc has a manifest of the kind {kind}" in raised.value.message


def test_an_image_for_arm_is_refused(registry: Registry) -> None:
    with pytest.raises(LoupeError, match="trial/serve:abc is for linux/arm64"):
        ensure(registry, Builder(registry, architecture="arm64"))


def test_an_image_that_was_there_already_is_checked_as_well(registry: Registry) -> None:
    registry.push("abc", OCI)
    with pytest.raises(LoupeError, match="SageMaker takes"):
        ensure(registry, Builder(registry))


def test_the_tag_is_the_last_commit_that_changed_what_the_image_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout(tmp_path, monkeypatch)
    first = checkout.commit("training/Dockerfile", "contract/x.py", "training/x.py", "requirements/serve.txt")
    assert source.tag("serve") == first[:12]
    checkout.commit("README.md", "requirements/train.txt")
    assert source.tag("serve") == first[:12]
    second = checkout.commit("contract/y.py")
    assert source.tag("serve") == second[:12]


def test_the_tag_is_a_hash_of_the_content_with_changes_that_are_not_committed_and_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout(tmp_path, monkeypatch)
    checkout.commit("training/Dockerfile", "contract/x.py", "requirements/serve.txt")
    (tmp_path / "contract/x.py").write_text("changed")
    changed = source.tag("serve")
    assert changed.startswith("content-")
    assert source.tag("serve") == changed
    (tmp_path / "contract/x.py").write_text("changed again")
    assert source.tag("serve") not in (changed, "")
    monkeypatch.setenv("PATH", "")
    (tmp_path / "contract/x.py").write_text("changed")
    assert source.tag("serve") == changed


def test_an_installed_package_cannot_build_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "REPOSITORY", tmp_path)
    with pytest.raises(LoupeError, match="images are built from a checkout"):
        source.tag("serve")


class Checkout:
    """A repository of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(source, "REPOSITORY", folder)
        self._git("init", "--quiet")

    def commit(self, *paths: str) -> str:
        """Commit files, and return the commit."""
        for path in paths:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
        self._git("add", ".")
        self._git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "m")
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.folder), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


def test_a_configuration_that_cannot_be_downloaded_is_said_in_words(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise urllib.error.URLError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    with pytest.raises(
        LoupeError, match=r"configuration of an image in trial/serve cannot be read: .*timed out"
    ):
        ensure(registry, Builder(registry))
