"""Connects SageMaker with MiniStack's CloudFormation: AWS::SageMaker::ModelPackageGroup in a template."""

from typing import Any

from ministack.services.cloudformation import provisioners

from localcloud.sagemaker.api import SageMaker
from localcloud.sagemaker.aws_errors import AwsError

_PROPERTIES = ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")


def connect(sagemaker: SageMaker) -> None:
    """Register the resource type in MiniStack."""

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        name = properties.get("ModelPackageGroupName") or f"{stack}-{logical_id}"[:63]
        request = {member: properties[member] for member in _PROPERTIES if member in properties}
        request["ModelPackageGroupName"] = name
        try:
            arn = sagemaker.call("CreateModelPackageGroup", request)["ModelPackageGroupArn"]
        except AwsError as error:
            # MiniStack writes the message of a ValueError into the stack's events.
            raise ValueError(error.message) from error
        return arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"}

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        try:
            sagemaker.call("DeleteModelPackageGroup", {"ModelPackageGroupName": physical_id})
        except AwsError as error:
            if "does not exist" not in error.message:
                raise ValueError(error.message) from error

    provisioners._RESOURCE_HANDLERS["AWS::SageMaker::ModelPackageGroup"] = {
        "create": create,
        "delete": delete,
    }
