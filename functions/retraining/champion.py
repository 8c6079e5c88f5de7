"""The model that serves now, as the endpoint tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True)
class Champion:
    """model, config: SageMaker's names; artefact: s3:// address of its model.tar.gz."""

    model: str
    model_arn: str
    config: str
    artefact: str

    def document(self) -> dict[str, Any]:
        """For the state machine."""
        return asdict(self)


def find(sagemaker: SageMakerClient, endpoint: str) -> Champion | None:
    """None where there is no endpoint, or one that never came up."""
    try:
        described = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return None
        raise
    if described["EndpointStatus"] in ("Creating", "Failed", "OutOfService", "Deleting"):
        return None
    config = described["EndpointConfigName"]
    variant = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    return Champion(model["ModelName"], model["ModelArn"], config, model["PrimaryContainer"]["ModelDataUrl"])
