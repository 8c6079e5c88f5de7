"""Application Auto Scaling of endpoints: registrations are checked and stored; a laptop scales nothing."""

from typing import Any

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.validation import validate

SERVICE = "application-autoscaling"
_TARGET, _POLICY = "ScalableTarget", "ScalingPolicy"


class Scaling:
    """Answers RegisterScalableTarget and PutScalingPolicy for variants of endpoints."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call an operation.

        Args:
            name: The operation.
            request: Its parameters.

        Returns:
            Its answer.

        Raises:
            AwsError: If the operation is another, or the request is not valid, or the variant's endpoint or its
                registration does not exist.
        """
        operations = {"RegisterScalableTarget": self._register, "PutScalingPolicy": self._put_policy}
        if name not in operations:
            raise AwsError("UnknownOperationException", f"The local cloud does not have {SERVICE}:{name}.")
        validate(name, request, SERVICE)
        return operations[name](request)

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        kind, _, variant = str(request["ResourceId"]).partition("/")
        if kind != "endpoint" or self._resources.store.get("Endpoint", variant.partition("/")[0]) is None:
            raise AwsError("ValidationException", f"There is no {request['ResourceId']} to scale.")
        self._resources.store.put(_TARGET, request["ResourceId"], dict(request))
        return {}

    def _put_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._resources.store.get(_TARGET, request["ResourceId"]) is None:
            raise AwsError(
                "ObjectNotFoundException", f"No scalable target registered for {request['ResourceId']}."
            )
        name = f"{request['ResourceId']}/{request['PolicyName']}"
        self._resources.store.put(_POLICY, name, dict(request))
        arn = f"arn:aws:autoscaling:{self._resources.region}:{self._resources.account}:scalingPolicy:{name}"
        return {"PolicyARN": arn, "Alarms": []}
