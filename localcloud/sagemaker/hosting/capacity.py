"""How many instances a variant has: what an update keeps of it, and what UpdateEndpointWeightsAndCapacities changes."""

from typing import Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.hosting.models import Plan


def retained(plan: Plan, running: Plan, request: dict[str, Any]) -> Plan:
    """Return the plan of an UpdateEndpoint, with the instances that the endpoint has now if the request keeps them.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
    (RetainAllVariantProperties): without it, autoscaling's count is lost.

    Args:
        plan: What the new configuration says.
        running: What the endpoint runs.
        request: The parameters of UpdateEndpoint.
    """
    excluded = [item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])]
    if not request.get("RetainAllVariantProperties"):
        return plan
    if plan["variant"] != running["variant"] or "DesiredInstanceCount" in excluded:
        return plan
    return plan | {"instances": running["instances"]}


def changed(plan: Plan, request: dict[str, Any]) -> Plan:
    """Return a plan with the capacity of an UpdateEndpointWeightsAndCapacities.

    Args:
        plan: What the endpoint runs.
        request: The parameters of UpdateEndpointWeightsAndCapacities.

    Raises:
        AwsError: ValidationException, if there is no such variant.
    """
    for change in request["DesiredWeightsAndCapacities"]:
        if change["VariantName"] != plan["variant"]:
            raise invalid(
                f'The variant name(s) "{change["VariantName"]}" is/are not present within endpoint configuration.'
            )
        plan = plan | {"instances": change.get("DesiredInstanceCount", plan["instances"])}
    return plan
