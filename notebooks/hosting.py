"""A model behind an endpoint for as long as the notebook asks it, and the champion's way into service."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

import cleaning
from place import NotebookError, Place, split

_VARIANT = "AllTraffic"


@contextmanager
def endpoint(place: Place, label: str, artefact: str) -> Iterator[Any]:
    """Host a model, give the block its endpoint, and delete endpoint, configuration and model at its end.

    One endpoint at a time needs one instance of the quota, and none is forgotten. What an interrupted run has left
    under these names is deleted first.

    Args:
        place: Where.
        label: The model's name in the notebook.
        artefact: The S3 address of its model.tar.gz.

    Raises:
        NotebookError: The endpoint does not come into service.
    """
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model
    from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

    name = f"{place.name}-{'-'.join(re.findall('[a-z0-9]+', label.lower()))}"
    cleaning.delete_hosting(place, name)
    try:
        container = ContainerDefinition(image=place.variables["LOUPE_SERVING_IMAGE"], model_data_url=artefact)
        Model.create(model_name=name, primary_container=container, execution_role_arn=place.serving_role)
        variant = ProductionVariant(
            variant_name=_VARIANT,
            model_name=name,
            initial_instance_count=1,
            instance_type=place.variables["LOUPE_HOSTING_INSTANCE_TYPE"],
            **_host_image(place),
        )
        EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])
        hosted = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
        description = cleaning.settled(place, name)
        if description["EndpointStatus"] != "InService":
            reason = description.get("FailureReason", description["EndpointStatus"])
            raise NotebookError(
                f"the endpoint {name} is not in service: {reason}",
                f"Its log: CloudWatch, group /aws/sagemaker/Endpoints/{name}",
            )
        yield hosted
    finally:
        cleaning.delete_hosting(place, name)


def _host_image(place: Place) -> dict[str, str]:
    """Return the host image with the driver that the container needs on a GPU; none elsewhere."""
    name = place.variables.get("LOUPE_INFERENCE_AMI_VERSION")
    return {"inference_ami_version": name} if name else {}


def detect(hosted: Any, picture: Image.Image) -> list[dict[str, Any]]:
    """Ask an endpoint about a picture; return `label`, `score` and `box` of what it finds, the best first."""
    body = io.BytesIO()
    picture.convert("RGB").save(body, "PNG")
    answer = hosted.invoke(body=body.getvalue(), content_type="image/png", accept="application/json")
    return list(json.loads(answer.body.read())["detections"])


def keep(place: Place, artefact: str) -> str:
    """Copy a model to where the stack keeps its models, which the clean-up does not touch; return its S3 address.

    It is where `loupe deploy` puts the same file, so that `loupe models` knows which version serves.
    """
    file = fetch(place, artefact, place.folder / "champion" / "model.tar.gz")
    key = f"models/{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}/model.tar.gz"
    place.s3.upload_file(str(file), place.bucket, key)
    return f"s3://{place.bucket}/{key}"


def fetch(place: Place, uri: str, file: Path) -> Path:
    """Download an object, and return the file."""
    bucket, key = split(uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    place.s3.download_file(bucket, key, str(file))
    return file


def registered(place: Place, artefact: str) -> int | None:
    """Return the newest version of the stack's group that is this model; None if there is none."""
    for package in cleaning.packages(place):
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        if containers and containers[0].get("ModelDataUrl") == artefact:
            return int(package["ModelPackageVersion"])
    return None
