"""SageMaker's two faces: the control plane, one operation a call, and InvokeEndpoint."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.model import OperationNotFoundError

from contract.endpoint import MAX_BODY_BYTES
from localcloud.sagemaker.endpoints import SERVING, Endpoints
from localcloud.sagemaker.errors import AwsError, endpoint_not_found, model_error
from localcloud.sagemaker.job_logs import Measure
from localcloud.sagemaker.jobs import Jobs, end_leftovers
from localcloud.sagemaker.models import Models
from localcloud.sagemaker.processing_jobs import ProcessingJobs
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.resources import KINDS, Operation, Resources
from localcloud.sagemaker.scaling import Scaling
from localcloud.sagemaker.server import NoAnswerError
from localcloud.sagemaker.store import Store
from localcloud.sagemaker.training_jobs import TrainingJobs
from localcloud.sagemaker.tuning import TuningJobs
from localcloud.sagemaker.validation import operation, shaped, validate

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

JOBS_AT_ONCE = "LOUPE_LOCAL_JOBS"  # the variable that says how many jobs run side by side
_FORWARDED = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")


@dataclass
class Answer:
    """What InvokeEndpoint sends back."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class SageMaker:
    """The control plane in `call`, the data plane in `invoke`; both may be called from any thread."""

    def __init__(self, folder: Path, logs: Path, repo: Path, roles: "Roles", measure: Measure) -> None:
        """`folder` keeps the state, `logs` the programs' output; `repo` holds the container's programs."""
        self._roles, self._measure = roles, measure
        self._store = Store(folder / "sagemaker.json")
        self._folder = folder / "jobs"
        self._resources = Resources(self._store, roles.region, roles.account)
        registry = Registry(self._resources)
        models = Models(self._resources, registry, roles)
        self._endpoints = Endpoints(self._resources, models, folder / "endpoints", logs, repo, roles)
        self._jobs = Jobs(_jobs_at_once())
        folders = {kind: self._folder / KINDS[kind].segment for kind in ("TrainingJob", "ProcessingJob")}
        self._training = TrainingJobs(
            self._resources, self._jobs, folders["TrainingJob"], logs, repo, roles, measure
        )
        self._processing = ProcessingJobs(
            self._resources, self._jobs, folders["ProcessingJob"], logs, repo, roles
        )
        self._tuning = TuningJobs(self._resources, self._training)
        self.scaling = Scaling(self._resources)
        self._operations: dict[str, Operation] = {}
        for part in (
            self._resources,
            models,
            self._endpoints,
            self._training,
            self._processing,
            self._tuning,
            registry,
        ):
            self._operations |= part.operations()

    def resume(self) -> None:
        """Start the endpoints and jobs of an earlier run again."""
        end_leftovers(self._folder)
        self._endpoints.resume()
        self._training.resume()
        self._processing.resume()
        self._tuning.resume()

    def close(self) -> None:
        """End every model server and every job's program; the jobs go on at the next start."""
        self._tuning.close()
        self._jobs.close()
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
        if record is None or record["EndpointStatus"] not in SERVING:
            raise endpoint_not_found(name, self._roles.account)
        forwarded = {header: headers[header] for header in _FORWARDED if header in headers}
        forwarded.setdefault("content-type", "application/octet-stream")
        with self._endpoints.lease(name) as (server, plan):
            if server is None or not server.alive():
                raise AwsError("ServiceUnavailable", f"Endpoint {name} has no healthy instance.", status=503)
            variant = plan["variant"]
            if headers.get("x-amzn-sagemaker-target-variant", variant) != variant:
                raise AwsError("ValidationError", f"Endpoint {name} has no variant of that name.")
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
        """The ARN of a thing of that kind and name."""
        return self._resources.arn(kind, name)

    def resource(self, operation: str, request: dict[str, Any]) -> str:
        """The ARN that policies name: the most specific thing in the request, "*" for lists."""
        for member in ("ResourceArn", "ModelPackageArn"):
            if isinstance(request.get(member), str):
                return str(request[member])
        for kind in sorted(KINDS, key=len, reverse=True):
            name = request.get(f"{kind}Name")
            if operation.endswith(kind) and isinstance(name, str):
                return name if name.startswith("arn:") else self.arn(kind, name)
        group = request.get("ModelPackageGroupName")
        if operation == "CreateModelPackage" and isinstance(group, str):
            return self.arn("ModelPackage", f"{group.rsplit('/', 1)[-1]}/*")
        return "*"

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


def _jobs_at_once() -> int:
    wanted = os.environ.get(JOBS_AT_ONCE) or str(os.cpu_count() or 1)
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"{JOBS_AT_ONCE} must be a whole number of at least 1, not {wanted!r}.")
    return int(wanted)
