"""The champion: the model that serves now."""

from __future__ import annotations

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


def find(sagemaker: SageMakerClient, endpoint: str) -> Champion | None:
    """Return the champion. None if there is no endpoint, or if the endpoint never came into service."""
    try:
        description = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return None
        raise
    if description["EndpointStatus"] in ("Creating", "Failed", "OutOfService", "Deleting"):
        return None
    config = description["EndpointConfigName"]
    variant = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    return Champion(model["ModelName"], model["ModelArn"], config, model["PrimaryContainer"]["ModelDataUrl"])
