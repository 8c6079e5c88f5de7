"""The seam to CloudFormation: AWS::SageMaker::ModelPackageGroup in a template."""

from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import provisioners

from localcloud.sagemaker.errors import AwsError

if TYPE_CHECKING:
    from localcloud.sagemaker.api import SageMaker

_MEMBERS = ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")


def connect(sagemaker: "SageMaker") -> None:
    """Register the resource type in MiniStack."""

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        name = properties.get("ModelPackageGroupName") or f"{stack}-{logical_id}"[:63]
        given = {member: properties[member] for member in _MEMBERS if member in properties}
        try:
            arn = sagemaker.call("CreateModelPackageGroup", given | {"ModelPackageGroupName": name})[
                "ModelPackageGroupArn"
            ]
        except AwsError as error:
            raise ValueError(error.message) from error  # what MiniStack makes a stack event's reason of
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
