"""SageMaker's two APIs: the control plane, and InvokeEndpoint."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from botocore.model import OperationNotFoundError

from contract.endpoint import MAX_BODY_BYTES
from localcloud.sagemaker import refusals
from localcloud.sagemaker.aws_errors import AwsError, endpoint_not_found, model_error
from localcloud.sagemaker.ended_jobs import EndedJobs
from localcloud.sagemaker.hosting.endpoints import SERVING, Endpoints
from localcloud.sagemaker.hosting.model_server import NoAnswerError
from localcloud.sagemaker.hosting.models import Models, Plan
from localcloud.sagemaker.hosting.scaling import Scaling
from localcloud.sagemaker.images import Images
from localcloud.sagemaker.jobs.processing_jobs import ProcessingJobs
from localcloud.sagemaker.jobs.program_job import end_leftovers
from localcloud.sagemaker.jobs.queue import JobQueue
from localcloud.sagemaker.jobs.training_jobs import TrainingJobs
from localcloud.sagemaker.jobs.training_records import TrainingRecords
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.resources import KINDS, Operation, Resources
from localcloud.sagemaker.service_quotas import ServiceQuotas
from localcloud.sagemaker.services import Services
from localcloud.sagemaker.store import Store
from localcloud.sagemaker.transform.transform_jobs import TransformJobs
from localcloud.sagemaker.tuning.tuning_jobs import TuningJobs
from localcloud.sagemaker.validation import operation, shape_answer, validate

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

# The variable with the number of jobs that run at once.
JOBS_AT_ONCE = "LOUPE_LOCAL_JOBS"
_FORWARDED_HEADERS = (
    "content-type",
    "accept",
    "x-amzn-sagemaker-custom-attributes",
    "x-amzn-sagemaker-inference-id",
)
_DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass
class Answer:
    """An HTTP answer.

    Attributes:
        body: The body.
        headers: The headers.
    """

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class SageMaker:
    """The control plane in `call`, InvokeEndpoint in `invoke`; both may be called from any thread.

    Attributes:
        scaling: The autoscaling of endpoints.
        service_quotas: The API of the account's quotas.
    """

    def __init__(
        self,
        folder: Path,
        logs: Path,
        repo: Path,
        roles: "Roles",
        services: Services,
        quotas_file: Path,
    ) -> None:
        """Read the state, but start nothing yet.

        Args:
            folder: The folder for the state, and for the files of running jobs and endpoints.
            logs: The folder for the programs' output.
            repo: The folder that contains training/, the container's programs.
            roles: The account's roles.
            services: The account's other services.
            quotas_file: The quotas that have other values than the defaults.

        Raises:
            ValueError: If the number of jobs in LOUPE_LOCAL_JOBS, or the file with the state, is not valid.
        """
        self._roles, self._record_metric = roles, services.record_metric
        self._jobs_folder = folder / "jobs"
        images = Images(roles, services.read_layer)
        machine = Machine(logs, repo, roles, images)
        self._resources = Resources(Store(folder / "sagemaker.json"), roles.region, roles.account)
        registry = Registry(self._resources)
        models = Models(self._resources, registry, roles, images)
        store = self._resources.store
        quotas = Quotas(store, quotas_file)
        self.service_quotas = ServiceQuotas(store, quotas, roles.region, roles.account)
        self.scaling = Scaling(self._resources, services.alarms)
        self._endpoints = Endpoints(
            self._resources, models, self.scaling, quotas, folder / "endpoints", machine
        )
        self._queue = JobQueue(_jobs_at_once())
        folders = {
            kind: self._jobs_folder / KINDS[kind].arn_segment
            for kind in ("TrainingJob", "ProcessingJob", "TransformJob")
        }
        records = TrainingRecords(self._resources, folders["TrainingJob"], machine, services.record_metric)
        self._training = TrainingJobs(records, self._queue, quotas)
        self._processing = ProcessingJobs(
            self._resources, self._queue, quotas, folders["ProcessingJob"], machine
        )
        self._transform = TransformJobs(
            self._resources, models, self._queue, quotas, folders["TransformJob"], machine
        )
        self._tuning = TuningJobs(self._resources, self._training, quotas)
        self._operations: dict[str, Operation] = {
            **self._resources.operations(),
            **registry.operations(),
            **models.operations(),
            **self._endpoints.operations(),
            **self._training.operations(),
            **self._processing.operations(),
            **self._transform.operations(),
            **self._tuning.operations(),
            **EndedJobs(self._resources).operations(),
        }

    def resume(self) -> None:
        """Start the endpoints and jobs of an earlier run of the cloud again."""
        end_leftovers(self._jobs_folder)
        self._endpoints.resume()
        self._training.resume()
        self._processing.resume()
        self._transform.resume()
        self._tuning.resume()

    def running_jobs(self) -> int:
        """Return how many training, processing and transform jobs run or wait."""
        return self._queue.running()

    def close_jobs(self) -> bool:
        """End every job's program; the jobs start again with the next cloud. The state is saved as it is now.

        Returns:
            Whether all jobs' threads have ended too.
        """
        self._resources.store.close()
        self._tuning.close()
        return self._queue.close()

    def close_endpoints(self) -> bool:
        """End every model server; the endpoints start again with the next cloud.

        Returns:
            Whether all endpoints' threads have ended too.
        """
        self._resources.store.close()
        return self._endpoints.close()

    def close(self) -> None:
        """End every job's program and every model server."""
        self.close_jobs()
        self.close_endpoints()

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call an operation of the control plane.

        Args:
            name: The operation.
            request: Its parameters.

        Returns:
            Its answer.

        Raises:
            AwsError: If the operation does not exist, or refuses the request.
        """
        try:
            operation(name)
        except OperationNotFoundError as error:
            raise AwsError("UnknownOperationException", f"Unknown operation {name}.") from error
        if name not in self._operations:
            raise refusals.unknown_operation(name)
        validate(name, request)
        return shape_answer(name, self._operations[name](request))

    def invoke(self, name: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Answer InvokeEndpoint.

        Args:
            name: The endpoint.
            body: The body for the container.
            headers: The request's headers, with names in lower case.

        Returns:
            The container's answer.

        Raises:
            AwsError: If the body is too large, the endpoint does not serve, or the container fails.
        """
        if len(body) > MAX_BODY_BYTES:
            raise AwsError(
                "ValidationError", f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.", status=413
            )
        record = self._resources.store.get("Endpoint", name)
        if record is None or record["EndpointStatus"] not in SERVING:
            raise endpoint_not_found(name, self._roles.account)
        with self._endpoints.lease(name) as (server, plan):
            if server is None or not server.alive():
                raise AwsError("ServiceUnavailable", f"Endpoint {name} has no healthy instance.", status=503)
            variant = plan["variant"]
            if headers.get("x-amzn-sagemaker-target-variant", variant) != variant:
                raise AwsError("ValidationError", f"Endpoint {name} has no variant of that name.")
            forwarded = {header: headers[header] for header in _FORWARDED_HEADERS if header in headers}
            forwarded.setdefault("content-type", _DEFAULT_CONTENT_TYPE)
            began = time.monotonic()
            try:
                answer = server.invoke(body, forwarded)
            except NoAnswerError as error:
                self._measure_invocation(name, plan, 500, began)
                raise self._model_error(name, 0, str(error), "") from error
            self._measure_invocation(name, plan, answer.status, began)
        if answer.status >= 300:
            text = answer.data.decode(errors="replace")
            raise self._model_error(name, answer.status, text, text)
        return Answer(answer.data, _answer_headers(answer, variant))

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource."""
        return self._resources.arn(kind, name)

    def resource(self, operation: str, request: dict[str, Any]) -> str:
        """Return the ARN that policies are compared with: the most specific one in the request, "*" for lists."""
        for member in ("ResourceArn", "ModelPackageArn"):
            if isinstance(request.get(member), str):
                return str(request[member])
        for kind in sorted(KINDS, key=len, reverse=True):
            name = request.get(f"{kind}Name")
            if operation.endswith(kind) and isinstance(name, str):
                return name if name.startswith("arn:") else self.arn(kind, name)
        group = request.get("ModelPackageGroupName")
        if operation in ("CreateModelPackage", "ListModelPackages") and isinstance(group, str):
            return self.arn("ModelPackage", f"{group.rsplit('/', 1)[-1]}/*")
        return "*"

    def _measure_invocation(self, endpoint: str, plan: Plan, status: int, began: float) -> None:
        """Record what CloudWatch shows of an invocation, as far as alarms and autoscaling look at it.

        https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html#cloudwatch-metrics-endpoint-invocation
        """
        dimensions = {"EndpointName": endpoint, "VariantName": plan["variant"]}
        for name, value, unit in (
            ("Invocations", 1, "None"),
            ("InvocationsPerInstance", 1 / plan["instances"], "None"),
            ("Invocation4XXErrors", 400 <= status < 500, "None"),
            ("Invocation5XXErrors", status >= 500, "None"),
            ("ModelLatency", (time.monotonic() - began) * 1e6, "Microseconds"),
        ):
            self._record_metric("AWS/SageMaker", name, float(value), unit, dimensions)

    def _model_error(self, endpoint: str, status: int, reason: str, answer: str) -> AwsError:
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        return model_error(status, reason, answer, group, self._roles.region, self._roles.account)


def _answer_headers(answer: urllib3.BaseHTTPResponse, variant: str) -> dict[str, str]:
    headers = {
        "content-type": answer.headers.get("content-type", _DEFAULT_CONTENT_TYPE),
        "x-Amzn-Invoked-Production-Variant": variant,
    }
    attributes = answer.headers.get("x-amzn-sagemaker-custom-attributes")
    if attributes:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return headers


def _jobs_at_once() -> int:
    number = os.environ.get(JOBS_AT_ONCE) or str(os.cpu_count() or 1)
    if not number.isdecimal() or int(number) < 1:
        raise ValueError(f"{JOBS_AT_ONCE} must be a whole number of at least 1, not {number!r}.")
    return int(number)
