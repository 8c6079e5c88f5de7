"""The champion: the model that serves now, or serves again when the endpoint's hours begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True)
class Champion:
    """The model that serves now.

    Attributes:
        model: SageMaker's name of the model.
        model_arn: Its ARN.
        config: SageMaker's name of the endpoint configuration.
        artefact: The S3 URI of the model's model.tar.gz.
    """

    model: str
    model_arn: str
    config: str
    artefact: str

    def document(self) -> dict[str, Any]:
        """Return the champion for the state machine."""
        return asdict(self)


def find(
    sagemaker: SageMakerClient, endpoint: str, remembered: Callable[[], str | None] = lambda: None
) -> Champion | None:
    """Return the champion.

    Args:
        sagemaker: The SageMaker client.
        endpoint: The endpoint's name.
        remembered: Returns the configuration with which an endpoint that rests comes back; None if it does not rest.

    Returns:
        The champion. None if there is no endpoint, and none rests, or if it never came into service.
    """
    config = _serving(sagemaker, endpoint) or remembered()
    if config is None:
        return None
    variant = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    return Champion(model["ModelName"], model["ModelArn"], config, model["PrimaryContainer"]["ModelDataUrl"])


def _serving(sagemaker: SageMakerClient, endpoint: str) -> str | None:
    """Return the configuration that serves; None if none does."""
    try:
        description = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return None
        raise
    if description["EndpointStatus"] in ("Creating", "Failed", "OutOfService", "Deleting"):
        return None
    return description["EndpointConfigName"]
