"""The local ECR answers as AWS's: about what is missing, what is there already, and after deletions."""

import base64
import hashlib
import json
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import ecr

from localcloud.ministack import container_registry

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's ECR with one repository, changed as in the local cloud."""
    for name, value in vars(ecr).copy().items():
        if callable(value):
            monkeypatch.setattr(ecr, name, value)
    for store in ("_repositories", "_images", "_layer_blobs", "_manifest_blobs", "_uploads"):
        monkeypatch.setattr(ecr, store, AccountRegionScopedDict())
    container_registry.apply()
    ecr._create_repository({"repositoryName": "r"})


def call(operation: str, **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(getattr(ecr, operation)({"repositoryName": "r", **request})[2])
    return answer


def manifest(number: int, kind: str = DOCKER) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "number": number})


def test_an_image_has_the_kind_that_its_manifest_says() -> None:
    call("_put_image", imageManifest=manifest(1, "application/vnd.oci.image.index.v1+json"), imageTag="a")
    (image,) = call("_batch_get_image", imageIds=[{"imageTag": "a"}])["images"]
    assert image["imageManifestMediaType"] == "application/vnd.oci.image.index.v1+json"
    assert call("_put_image", imageManifest="no JSON")["__type"] == "InvalidParameterException"


def test_an_image_is_put_once_and_tagged_again() -> None:
    digest = call("_put_image", imageManifest=manifest(1), imageTag="a")["image"]["imageId"]["imageDigest"]
    again = call("_put_image", imageManifest=manifest(1), imageTag="a")
    assert again["__type"] == "ImageAlreadyExistsException"
    assert again["message"] == (
        f"Image with digest '{digest}' and tag 'a' already exists in the repository with name 'r' in the registry "
        "with id '000000000000'"
    )
    call("_put_image", imageManifest=manifest(1), imageTag="b")
    (image,) = call("_describe_images")["imageDetails"]
    assert image["imageTags"] == ["a", "b"]


def test_only_an_image_that_is_there_is_described() -> None:
    answer = call("_describe_images", imageIds=[{"imageTag": "a"}])
    assert answer["__type"] == "ImageNotFoundException"
    assert answer["message"] == (
        "The image with imageId {imageDigest:'null', imageTag:'a'} does not exist within the repository with name "
        "'r' in the registry with id '000000000000'"
    )


def test_an_image_goes_with_its_last_tag() -> None:
    for tag in ("a", "b"):
        call("_put_image", imageManifest=manifest(1), imageTag=tag)
    call("_batch_delete_image", imageIds=[{"imageTag": "a"}])
    assert [image["imageTags"] for image in call("_describe_images")["imageDetails"]] == [["b"]]
    call("_batch_delete_image", imageIds=[{"imageTag": "b"}])
    assert call("_describe_images")["imageDetails"] == []


def test_a_repository_is_deleted_with_everything_in_it_only_by_force() -> None:
    layer = b"configuration"
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    upload = call("_initiate_layer_upload")["uploadId"]
    for part in (layer[:5], layer[5:]):
        call("_upload_layer_part", uploadId=upload, layerPartBlob=base64.b64encode(part).decode())
    call("_complete_layer_upload", uploadId=upload, layerDigests=[digest])
    assert container_registry.layer("r", digest) == layer
    (known,) = call("_batch_check_layer_availability", layerDigests=[digest])["layers"]
    assert (known["layerAvailability"], known["layerSize"]) == ("AVAILABLE", len(layer))
    call("_put_image", imageManifest=manifest(1), imageTag="a")

    refused = call("_delete_repository")
    assert refused["__type"] == "RepositoryNotEmptyException"
    assert "cannot be deleted because it still contains images" in refused["message"]
    call("_delete_repository", force=True)
    assert call("_describe_repositories") == {"repositories": []}
    assert container_registry.layer("r", digest) is None
    assert call("_delete_repository", force=True)["__type"] == "RepositoryNotFoundException"
