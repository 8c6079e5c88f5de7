"""Models and endpoint configurations: what an endpoint will run."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.sagemaker import descriptions, refusals
from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.hosting.model_server import STARTUP_TIMEOUT_S
from localcloud.sagemaker.images import Images
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.storage import split

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

# What an endpoint runs, copied from its configuration and model when it is deployed. So a running endpoint serves on
# when they are deleted, as on AWS. Keys: image, model_data, environment, role, variant, instances, instance_type,
# serverless (its ServerlessConfig), startup_timeout_s. A plan is stored with its endpoint. A transform job has the
# first four.
Plan = dict[str, Any]


class Models:
    """Creates, describes, lists and deletes models and endpoint configurations."""

    def __init__(self, resources: Resources, registry: Registry, roles: "Roles", images: Images) -> None:
        self._resources, self._registry, self._roles, self._images = resources, registry, roles, images

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        resources = self._resources
        return {
            "CreateModel": self._create_model,
            "DescribeModel": lambda request: descriptions.model(resources.get("Model", request["ModelName"])),
            "DeleteModel": lambda request: resources.delete("Model", request["ModelName"]),
            "ListModels": lambda request: resources.list_page("Model", request),
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": lambda request: descriptions.endpoint_config(
                resources.get("EndpointConfig", request["EndpointConfigName"])
            ),
            "DeleteEndpointConfig": lambda request: resources.delete(
                "EndpointConfig", request["EndpointConfigName"]
            ),
            "ListEndpointConfigs": lambda request: resources.list_page("EndpointConfig", request),
        }

    def plan(self, config_name: str) -> Plan:
        """Return what an endpoint with this configuration runs.

        Raises:
            AwsError: ValidationException, if the configuration, its model or its package does not exist.
        """
        variant = self._resources.get("EndpointConfig", config_name)["ProductionVariants"][0]
        return {
            **self.container(variant["ModelName"]),
            "variant": variant["VariantName"],
            "instances": variant.get("InitialInstanceCount", 1),
            "instance_type": variant.get("InstanceType"),
            "serverless": variant.get("ServerlessConfig"),
            "startup_timeout_s": variant.get(
                "ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S
            ),
        }

    def container(self, model_name: str) -> Plan:
        """Return the container of a model: image, model_data, environment and role.

        Raises:
            AwsError: ValidationException, if the model or its package does not exist.
        """
        model = self._resources.get("Model", model_name)
        container = self._resolve_package(model.get("PrimaryContainer") or model["Containers"][0])
        return {
            "image": container["Image"],
            "model_data": _model_data(container),
            "environment": container.get("Environment", {}),
            "role": model["ExecutionRoleArn"],
        }

    def _resolve_package(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return the container of the package that `container` names, with its variables added; or `container`."""
        if "ModelPackageName" not in container:
            return container
        package = self._registry.package(container["ModelPackageName"])
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        packaged: dict[str, Any] = _single(containers, "container")
        environment = packaged.get("Environment", {}) | container.get("Environment", {})
        return packaged | {"Environment": environment}

    def _create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        primary = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
        container = _single(primary + request.get("Containers", []), "container")
        role = request.get("ExecutionRoleArn")
        if "ModelPackageName" in container:
            package = self._registry.package(container["ModelPackageName"])
            status = package.get("ModelApprovalStatus", "Approved")
            if status != "Approved":
                raise invalid(f"Model Package {package['ModelPackageArn']} is not approved: it is {status}.")
            container = self._resolve_package(container)
        refusals.check_container(container, self._roles.account)
        if not container.get("Image") or not role:
            raise invalid("A model needs an Image or a ModelPackageName, and an ExecutionRoleArn.")
        self._roles.environment(role)
        self._images.check_model(container["Image"], role)
        model_data = _model_data(container)
        if model_data:
            self._check_model_data(model_data, role)
        return self._resources.create("Model", request)

    def _check_model_data(self, uri: str, role: str) -> None:
        """Check that the role may read the model data. Raises AwsError."""
        bucket, key = split(uri)
        try:
            self._roles.client("s3", role).head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise invalid(f"Could not find model data at {uri}.") from error
            raise invalid(
                f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and '
                'that it has "s3:GetObject" permissions on the object.'
            ) from error

    def _create_config(self, request: dict[str, Any]) -> dict[str, Any]:
        refusals.check_endpoint_config(request)
        variant = _single(request["ProductionVariants"], "production variant")
        self._resources.get("Model", variant.get("ModelName", ""))
        return self._resources.create("EndpointConfig", request)


def _single(items: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    if len(items) != 1:
        raise invalid(f"The local cloud runs exactly one {kind} per endpoint, not {len(items)}.")
    return items[0]


def _model_data(container: dict[str, Any]) -> str | None:
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        url = container.get("ModelDataUrl")
        return str(url) if url else None
    if source["CompressionType"] != "Gzip":
        raise invalid("The local cloud reads model data as one model.tar.gz (CompressionType Gzip).")
    return str(source["S3Uri"])
