"""The operations of SageMaker's API, with AWS's names, checks, defaults and errors."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.model import OperationNotFoundError

from loupe.local.sagemaker.endpoints import STARTUP_TIMEOUT_S, Endpoints, Plan
from loupe.local.sagemaker.errors import AwsError, endpoint_not_found, invalid, model_error
from loupe.local.sagemaker.server import NoAnswerError
from loupe.local.sagemaker.store import Record, Store
from loupe.local.sagemaker.validation import operation, shaped, validate

if TYPE_CHECKING:  # its import brings MiniStack's
    from loupe.local.sagemaker.roles import Roles

MAX_BODY_BYTES = 6_291_456  # of a request to a real-time endpoint
# How InvokeEndpoint is measured: namespace, name, value, unit, dimensions.
Measure = Callable[[str, str, float, str, dict[str, str]], None]
_FORWARDED = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
_TITLES = {"Model": "model", "EndpointConfig": "endpoint configuration", "Endpoint": "endpoint"}


@dataclass
class Answer:
    """What InvokeEndpoint sends back."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class SageMaker:
    """The control plane in `call`, the data plane in `invoke`; both may be called from any thread."""

    def __init__(self, folder: Path, logs: Path, repo: Path, roles: "Roles", measure: Measure) -> None:
        """`folder` keeps the state, `logs` the servers' output; `repo` holds the container's programs."""
        self._roles, self._measure = roles, measure
        self._store = Store(folder / "sagemaker.json")
        self._endpoints = Endpoints(self._store, folder / "endpoints", logs, repo, roles)
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateModel": self._create_model,
            "CreateEndpointConfig": self._create_endpoint_config,
            "CreateEndpoint": self._create_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
            "DescribeEndpoint": self._describe_endpoint,
            "DescribeModel": lambda request: self._found("Model", request["ModelName"]),
            "DescribeEndpointConfig": lambda request: self._found(
                "EndpointConfig", request["EndpointConfigName"]
            ),
            "DeleteModel": lambda request: self._delete("Model", request["ModelName"]),
            "DeleteEndpointConfig": lambda request: self._delete(
                "EndpointConfig", request["EndpointConfigName"]
            ),
            "ListModels": lambda request: self._list("Model", request),
            "ListEndpointConfigs": lambda request: self._list("EndpointConfig", request),
            "ListEndpoints": lambda request: self._list("Endpoint", request),
        }

    def resume(self) -> None:
        """Start the endpoints of an earlier run again."""
        self._endpoints.resume()

    def close(self) -> None:
        """End every model server."""
        self._endpoints.close()

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Operation `name` of the control plane. Raises AwsError."""
        try:
            operation(name)
        except OperationNotFoundError as error:
            raise AwsError("UnknownOperationException", f"Unknown operation {name}.") from error
        if name not in self._operations:
            raise AwsError(
                "UnknownOperationException", f"The local cloud does not have sagemaker:{name} yet."
            )
        validate(name, request)
        return shaped(name, self._operations[name](request))

    def invoke(self, name: str, body: bytes, headers: dict[str, str]) -> Answer:
        """InvokeEndpoint; `headers` in lower case. Raises AwsError."""
        if len(body) > MAX_BODY_BYTES:
            raise AwsError(
                "ValidationError", f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.", status=413
            )
        record = self._store.get("Endpoint", name)
        if record is None or record["EndpointStatus"] not in ("InService", "Updating"):
            raise endpoint_not_found(name, self._roles.account)
        variant = record["plan"]["variant"]
        if headers.get("x-amzn-sagemaker-target-variant", variant) != variant:
            raise AwsError("ValidationError", f"Endpoint {name} has no variant of that name.")
        forwarded = {header: headers[header] for header in _FORWARDED if header in headers}
        forwarded.setdefault("content-type", "application/octet-stream")
        with self._endpoints.lease(name) as server:
            if server is None or not server.alive():
                raise AwsError("ServiceUnavailable", f"Endpoint {name} has no healthy instance.", status=503)
            began = time.monotonic()
            try:
                answer = server.invoke(body, forwarded)
            except NoAnswerError as error:
                self._count(name, variant, 500, began)
                raise self._model_error(name, 0, str(error), "") from error
            self._count(name, variant, answer.status, began)
        if answer.status >= 300:
            text = answer.data.decode(errors="replace")
            raise self._model_error(name, answer.status, text, text)
        sent = {
            "content-type": answer.headers.get("content-type", "application/octet-stream"),
            "x-Amzn-Invoked-Production-Variant": variant,
        }
        attributes = answer.headers.get("x-amzn-sagemaker-custom-attributes")
        if attributes:
            sent["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return Answer(answer.data, sent)

    def arn(self, kind: str, name: str) -> str:
        """SageMaker writes names in lower case in its ARNs, and IAM compares those."""
        return (
            f"arn:aws:sagemaker:{self._roles.region}:{self._roles.account}:"
            f"{_TITLES[kind].replace('uration', '').replace(' ', '-')}/{name.lower()}"
        )

    def _count(self, endpoint: str, variant: str, status: int, began: float) -> None:
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        for name, value, unit in (
            ("Invocations", 1, "None"),
            ("Invocation4XXErrors", 400 <= status < 500, "None"),
            ("Invocation5XXErrors", status >= 500, "None"),
            ("ModelLatency", (time.monotonic() - began) * 1e6, "Microseconds"),
        ):
            self._measure("AWS/SageMaker", name, float(value), unit, dimensions)

    def _model_error(self, endpoint: str, status: int, reason: str, answer: str) -> AwsError:
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        return model_error(status, reason, answer, group, self._roles.region, self._roles.account)

    def _found(self, kind: str, name: str) -> Record:
        record = self._store.get(kind, name)
        if record is None:
            raise invalid(f'Could not find {_TITLES[kind]} "{self.arn(kind, name)}".')
        return record

    def _new(self, kind: str, request: dict[str, Any]) -> dict[str, str]:
        name = request[f"{kind}Name"]
        arn = self.arn(kind, name)
        if self._store.get(kind, name) is not None:
            raise invalid(f'Cannot create already existing {_TITLES[kind]} "{arn}".')
        self._store.put(kind, name, {**request, f"{kind}Arn": arn, "CreationTime": time.time()})
        return {f"{kind}Arn": arn}

    def _delete(self, kind: str, name: str) -> dict[str, Any]:
        self._found(kind, name)
        self._store.delete(kind, name)
        return {}

    def _create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        primary = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
        container = _only(primary + request.get("Containers", []), "container")
        role = request.get("ExecutionRoleArn")
        if not container.get("Image") or not role:
            raise invalid("A model needs an Image and an ExecutionRoleArn.")
        self._roles.environment(role)
        data = _model_data(container)
        if data:
            bucket, _, key = data.removeprefix("s3://").partition("/")
            try:
                self._roles.s3(role).head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    raise invalid(f"Could not find model data at {data}.") from error
                raise invalid(
                    f'Could not access model data at {data}. Please ensure that the role "{role}" exists and '
                    'that it has "s3:GetObject" permissions on the object.'
                ) from error
        return self._new("Model", request)

    def _create_endpoint_config(self, request: dict[str, Any]) -> dict[str, Any]:
        variant = _only(request["ProductionVariants"], "production variant")
        self._found("Model", variant.get("ModelName", ""))
        return self._new("EndpointConfig", request)

    def _plan(self, config_name: str) -> Plan:
        variant = self._found("EndpointConfig", config_name)["ProductionVariants"][0]
        model = self._found("Model", variant["ModelName"])
        container = model.get("PrimaryContainer") or model["Containers"][0]
        return {
            "image": container["Image"],
            "model_data": _model_data(container),
            "environment": container.get("Environment", {}),
            "role": model["ExecutionRoleArn"],
            "variant": variant["VariantName"],
            "instances": variant.get("InitialInstanceCount", 1),
            "startup_timeout_s": variant.get(
                "ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S
            ),
        }

    def _create_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        plan = self._plan(config_name)
        created = self._new("Endpoint", {**request, "EndpointStatus": "Creating", "plan": plan})
        self._endpoints.deploy(name, plan, config_name)
        return created

    def _update_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        record = self._settled(name)
        plan = self._plan(config_name)
        self._store.change("Endpoint", name, LastDeploymentConfig=request.get("DeploymentConfig"))
        self._endpoints.deploy(name, plan, config_name)
        return {"EndpointArn": record["EndpointArn"]}

    def _delete_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        self._settled(request["EndpointName"])
        self._endpoints.delete(request["EndpointName"])
        return {}

    def _settled(self, name: str) -> Record:
        record = self._found("Endpoint", name)
        if record["EndpointStatus"] not in ("InService", "Failed"):
            raise invalid(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
        return record

    def _describe_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        record = self._found("Endpoint", request["EndpointName"])
        plan = record["plan"]
        if record["EndpointStatus"] in ("InService", "Updating"):
            record["ProductionVariants"] = [
                {
                    "VariantName": plan["variant"],
                    "DeployedImages": [{"SpecifiedImage": plan["image"], "ResolvedImage": plan["image"]}],
                    "CurrentWeight": 1.0,
                    "DesiredWeight": 1.0,
                    "CurrentInstanceCount": plan["instances"],
                    "DesiredInstanceCount": plan["instances"],
                }
            ]
        return record

    def _list(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        by = "CreationTime" if request.get("SortBy", "CreationTime") == "CreationTime" else f"{kind}Name"
        # Newest first is AWS's default, names too.
        newest_first = request.get("SortOrder", "Descending") == "Descending"
        found = [
            record
            for record in sorted(self._store.all(kind), key=lambda record: record[by], reverse=newest_first)
            if request.get("NameContains", "") in record[f"{kind}Name"]
            and request.get("StatusEquals") in (None, record.get("EndpointStatus"))
        ]
        start = int(request.get("NextToken", "0"))
        end = start + request.get("MaxResults", 10)
        page: dict[str, Any] = {f"{kind}s": found[start:end]}
        return page | ({"NextToken": str(end)} if end < len(found) else {})


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
