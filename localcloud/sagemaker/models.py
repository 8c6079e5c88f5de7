"""Models and endpoint configurations: what an endpoint will run."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.server import STARTUP_TIMEOUT_S
from localcloud.sagemaker.storage import split

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

# What an endpoint runs, copied from its configuration and model when it is deployed, so that deleting
# those leaves a running endpoint whole, as on AWS: keys image, model_data, environment, role, variant,
# instances, instance_type, startup_timeout_s.
Plan = dict[str, Any]


class Models:
    """CreateModel, CreateEndpointConfig and their kin."""

    def __init__(self, resources: Resources, registry: Registry, roles: "Roles") -> None:
        self._resources, self._registry, self._roles = resources, registry, roles

    def operations(self) -> dict[str, Operation]:
        """By name."""
        resources = self._resources
        return {
            "CreateModel": self._create_model,
            "DescribeModel": lambda request: resources.found("Model", request["ModelName"]),
            "DeleteModel": lambda request: resources.remove("Model", request["ModelName"]),
            "ListModels": lambda request: resources.page("Model", request),
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": lambda request: resources.found(
                "EndpointConfig", request["EndpointConfigName"]
            ),
            "DeleteEndpointConfig": lambda request: resources.remove(
                "EndpointConfig", request["EndpointConfigName"]
            ),
            "ListEndpointConfigs": lambda request: resources.page("EndpointConfig", request),
        }

    def plan(self, config_name: str) -> Plan:
        """What an endpoint with this configuration runs. Raises AwsError."""
        variant = self._resources.found("EndpointConfig", config_name)["ProductionVariants"][0]
        model = self._resources.found("Model", variant["ModelName"])
        container = self._contained(model.get("PrimaryContainer") or model["Containers"][0])
        return {
            "image": container["Image"],
            "model_data": _model_data(container),
            "environment": container.get("Environment", {}),
            "role": model["ExecutionRoleArn"],
            "variant": variant["VariantName"],
            "instances": variant.get("InitialInstanceCount", 1),
            "instance_type": variant.get("InstanceType"),
            "startup_timeout_s": variant.get(
                "ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S
            ),
        }

    def _contained(self, container: dict[str, Any]) -> dict[str, Any]:
        """A container that names a model package runs that package's, with its own variables added."""
        if "ModelPackageName" not in container:
            return container
        package = self._registry.package(container["ModelPackageName"])
        packed: dict[str, Any] = _only(
            package.get("InferenceSpecification", {}).get("Containers", []), "container"
        )
        environment = packed.get("Environment", {}) | container.get("Environment", {})
        return packed | {"Environment": environment}

    def _create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        primary = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
        container = _only(primary + request.get("Containers", []), "container")
        role = request.get("ExecutionRoleArn")
        if "ModelPackageName" in container:
            package = self._registry.package(container["ModelPackageName"])
            status = package.get("ModelApprovalStatus", "Approved")
            if status != "Approved":
                raise invalid(f"Model Package {package['ModelPackageArn']} is not approved: it is {status}.")
            container = self._contained(container)
        if not container.get("Image") or not role:
            raise invalid("A model needs an Image or a ModelPackageName, and an ExecutionRoleArn.")
        self._roles.environment(role)
        data = _model_data(container)
        if data:
            bucket, key = split(data)
            try:
                self._roles.client("s3", role).head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    raise invalid(f"Could not find model data at {data}.") from error
                raise invalid(
                    f'Could not access model data at {data}. Please ensure that the role "{role}" exists and '
                    'that it has "s3:GetObject" permissions on the object.'
                ) from error
        return self._resources.add("Model", request)

    def _create_config(self, request: dict[str, Any]) -> dict[str, Any]:
        variant = _only(request["ProductionVariants"], "production variant")
        self._resources.found("Model", variant.get("ModelName", ""))
        return self._resources.add("EndpointConfig", request)


def _only(items: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if len(items) != 1:
        raise invalid(f"The local cloud runs exactly one {what} an endpoint, not {len(items)}.")
    return items[0]


def _model_data(container: dict[str, Any]) -> str | None:
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        url = container.get("ModelDataUrl")
        return str(url) if url else None
    if source["CompressionType"] != "Gzip":
        raise invalid("The local cloud reads model data as one model.tar.gz (CompressionType Gzip).")
    return str(source["S3Uri"])
