"""SageMaker's instance types: which of our images runs there, on which host image, or why none does.

The table is instances.json. Its families are those of the API's lists of instance types, and `uses` says in which list
a family stands. CUDA 13, which our GPU images contain, needs driver 580 and a GPU of the Turing generation or newer.
On endpoints the host image brings the driver, and the default of most families is older:
https://docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

# The families whose hosts have disks of their own. Hardware encrypts these, and SageMaker refuses a key for them:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html (VolumeKmsKeyId). The state machine
# has the same expression.
LOCAL_DISKS = r"^ml[.]([a-z]+[0-9]+[a-z]*d[a-z]*|gr?[5-9]e?|p[5-9][a-z0-9-]*|trn[0-9]n?|dl1|i[0-9][a-z]*)[.]"

Use = Literal["endpoint", "training", "processing"]
ServingImage = Literal["serve", "serve-gpu"]


class UnsuitableInstanceError(ValueError):
    """Our images cannot run on this instance type; the message says why."""


@dataclass(frozen=True)
class Instance:
    """An instance type that runs our images.

    Attributes:
        type: SageMaker's name, such as ml.g5.xlarge.
        family: Its middle part, such as g5.
        gpu: The name of its GPU; None without one.
        serving_image: The image that an endpoint of this type needs.
        host_image: The InferenceAmiVersion that an endpoint of this type needs; None if none.
    """

    type: str
    family: str
    gpu: str | None
    serving_image: ServingImage
    host_image: str | None


def instance(instance_type: str, use: Use | None = None) -> Instance:
    """Look an instance type up.

    Args:
        instance_type: SageMaker's name for it.
        use: What it is for; None does not check that SageMaker offers its family for it.

    Returns:
        What it needs of us.

    Raises:
        UnsuitableInstanceError: Our images do not run there, it is not offered for this use, or it is unknown.

    >>> instance("ml.g5.xlarge").serving_image, instance("ml.c6i.large").serving_image
    ('serve-gpu', 'serve')
    """
    prefix, _, rest = instance_type.partition(".")
    family, _, size = rest.partition(".")
    families = _table()["families"]
    if prefix != "ml" or not size:
        raise UnsuitableInstanceError(
            f"{instance_type} is not an instance type of SageMaker, such as ml.g5.xlarge"
        )
    if family not in families:
        raise UnsuitableInstanceError(
            f"the family of {instance_type} is not known: {', '.join(suitable_families(use))} are"
        )
    entry = families[family]
    if "refused" in entry:
        raise UnsuitableInstanceError(f"{instance_type} cannot run the images: {entry['refused']}")
    if use is not None and use not in entry["uses"]:
        raise UnsuitableInstanceError(f"SageMaker does not offer {instance_type} for {use}")
    gpu = entry.get("gpu")
    return Instance(
        instance_type, family, gpu, "serve-gpu" if gpu else "serve", host_image() if gpu else None
    )


def takes_volume_key(instance_type: str) -> bool:
    """Return whether SageMaker encrypts the volume of an instance type with a key that a request names.

    >>> takes_volume_key("ml.c5.2xlarge"), takes_volume_key("ml.g5.xlarge"), takes_volume_key("ml.c5d.large")
    (True, False, False)
    """
    return not re.match(LOCAL_DISKS, instance_type)


def host_image() -> str:
    """Return the InferenceAmiVersion whose driver runs our CUDA 13 image."""
    name: str = _table()["host_image"]["name"]
    return name


def suitable_families(use: Use | None = None) -> list[str]:
    """Return the families that run our images, in alphabetical order."""
    return [
        name
        for name, entry in _table()["families"].items()
        if "refused" not in entry and (use is None or use in entry["uses"])
    ]


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(
        resources.files("contract").joinpath("instances.json").read_text("utf-8")
    )
    return table
