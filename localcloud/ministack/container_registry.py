"""Changes to MiniStack's ECR: layers are kept, what does not exist is refused, deletions leave nothing.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html
"""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response, request_scope
from ministack.services import ecr

from localcloud.ministack.environment import ACCOUNT, REGION

_Request = dict[str, Any]
_Handler = Callable[[_Request], Any]


def apply() -> None:
    """Patch MiniStack."""
    for name, change in (
        ("_put_image", _put_new_image),
        ("_describe_images", _describe_existing_images),
        ("_batch_delete_image", _delete_tags_alone),
        ("_delete_repository", _delete_repository_with_layers),
    ):
        setattr(ecr, name, change(getattr(ecr, name)))
    ecr._upload_layer_part = _upload_layer_part
    ecr._complete_layer_upload = _complete_layer_upload
    ecr._batch_check_layer_availability = _check_layers


def layer(repository: str, digest: str) -> bytes | None:
    """Return the bytes of a layer of the local account, or of an image's configuration; None if there is none."""
    with request_scope(ACCOUNT, REGION):
        content: bytes | None = (ecr._layer_blobs.get(repository) or {}).get(digest)
    return content


def _put_new_image(put: _Handler) -> _Handler:
    """Take the kind from the manifest if the request does not name it, and refuse an image that is there."""

    def put_new_image(request: _Request) -> Any:
        name, manifest = request.get("repositoryName", ""), request.get("imageManifest", "")
        digest, tag = ecr._image_digest(manifest), request.get("imageTag")
        try:
            kind = json.loads(manifest).get("mediaType")
        except (ValueError, AttributeError):
            return _error("InvalidParameterException", _INVALID_MANIFEST)
        if request.get("imageDigest", digest) != digest:
            return _error(
                "ImageDigestDoesNotMatchException", "The provided digest does not match the image's digest."
            )
        # Without a tag, an image that is there is the same image.
        existing = ecr._find_image(name, {"imageDigest": digest})
        if existing is not None and (tag is None or tag in existing["imageTags"]):
            tagged = f" and tag '{tag}'" if tag else ""
            return _error(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}'{tagged} already exists in the {_place(name)}",
            )
        return put({"imageManifestMediaType": kind} | request if kind else request)

    return put_new_image


_INVALID_MANIFEST = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"


def _describe_existing_images(describe: _Handler) -> _Handler:
    """Refuse to describe an image that is not there; MiniStack leaves it out."""

    def describe_existing_images(request: _Request) -> Any:
        name = request.get("repositoryName", "")
        for identity in request.get("imageIds") or [] if name in ecr._repositories else []:
            if ecr._find_image(name, identity) is None:
                digest, tag = identity.get("imageDigest", "null"), identity.get("imageTag", "null")
                return _error(
                    "ImageNotFoundException",
                    f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within "
                    f"the {_place(name)}",
                )
        return describe(request)

    return describe_existing_images


def _delete_tags_alone(delete: _Handler) -> _Handler:
    """Remove only the tag if an image is named by one of its tags; the image goes with its last one."""

    def delete_tags_alone(request: _Request) -> Any:
        name = request.get("repositoryName", "")
        if name not in ecr._repositories:
            return delete(request)
        removed, rest = [], []
        for identity in request.get("imageIds", []):
            image, tag = ecr._find_image(name, identity), identity.get("imageTag")
            if image is None or "imageDigest" in identity or len(image["imageTags"]) < 2:
                rest.append(identity)
                continue
            image["imageTags"].remove(tag)
            image["imageId"]["imageTag"] = image["imageTags"][-1]
            removed.append({"imageDigest": image["imageDigest"], "imageTag": tag})
        status, headers, body = delete(request | {"imageIds": rest})
        answer = json.loads(body)
        return status, headers, json.dumps(answer | {"imageIds": removed + answer["imageIds"]}).encode()

    return delete_tags_alone


def _delete_repository_with_layers(delete: _Handler) -> _Handler:
    """Delete a repository's layers too; MiniStack finds them again in the next repository of that name."""

    def delete_with_layers(request: _Request) -> Any:
        name = request.get("repositoryName", "")
        answer = delete(request)
        if name not in ecr._repositories:
            for store in (ecr._layer_blobs, ecr._manifest_blobs, ecr._uploads):
                store.pop(name, None)
        elif answer[0] == 400:
            return _error(
                "RepositoryNotEmptyException",
                f"The repository with name '{name}' in registry with id '{ecr._registry_id()}' cannot be deleted "
                "because it still contains images",
            )
        return answer

    return delete_with_layers


def _upload_layer_part(request: _Request) -> Any:
    """Keep a part of a layer; MiniStack forgets it."""
    uploads = ecr._uploads.setdefault(request.get("repositoryName", ""), {})
    content = uploads.setdefault(request.get("uploadId", ""), bytearray())
    content += base64.b64decode(request.get("layerPartBlob", ""))
    return json_response({**_upload(request), "lastByteReceived": len(content) - 1})


def _complete_layer_upload(request: _Request) -> Any:
    """Keep a layer under its digest."""
    name = request.get("repositoryName", "")
    content = (ecr._uploads.get(name) or {}).pop(request.get("uploadId", ""), None)
    if content is None:
        return _error("UploadNotFoundException", "The upload could not be found")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if request.get("layerDigests") not in (None, [], [digest]):
        return _error("InvalidLayerException", "The digest of the layer does not match the upload")
    ecr._layer_blobs.setdefault(name, {})[digest] = bytes(content)
    return json_response({**_upload(request), "layerDigest": digest})


def _check_layers(request: _Request) -> Any:
    """Tell which layers are there; MiniStack says none is."""
    known = ecr._layer_blobs.get(request.get("repositoryName", "")) or {}
    layers = [
        {
            "layerDigest": digest,
            "layerAvailability": "AVAILABLE" if digest in known else "UNAVAILABLE",
            "layerSize": len(known.get(digest, b"")),
        }
        for digest in request.get("layerDigests", [])
    ]
    return json_response({"layers": layers, "failures": []})


def _upload(request: _Request) -> dict[str, Any]:
    return {
        "registryId": ecr._registry_id(),
        "repositoryName": request.get("repositoryName", ""),
        "uploadId": request.get("uploadId", ""),
    }


def _place(repository: str) -> str:
    return f"repository with name '{repository}' in the registry with id '{ecr._registry_id()}'"


def _error(code: str, message: str) -> Any:
    return error_response_json(code, message, 400)
