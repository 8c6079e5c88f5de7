"""SageMaker and Step Functions in memory, below the clients: botocore checks and serializes every request."""

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3

ENDPOINT = "press-detector"
BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
_ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
_STATUSES = ("TrainingJobStatus", "HyperParameterTuningJobStatus", "ProcessingJobStatus")
_PAGE = 2  # entries of a list's page


class RefusedError(Exception):
    """An error of the service."""

    def __init__(self, code: str, message: str = "refused") -> None:
        super().__init__(message)
        self.code, self.message = code, message


def model_arn(name: str) -> str:
    return f"{_ARN}:model/{name}"


@functools.cache
def _clients() -> tuple[Any, Any]:
    """Return shared clients, because to make them takes half a second. They serve one account at a time."""
    clients = boto3.client("sagemaker"), boto3.client("stepfunctions")
    for client in clients:
        client.meta.events.register_first(
            "before-call", lambda model, params, **_: _active[0].answer(model, params)
        )
    return clients


_active: "list[Account]" = []


class Account:
    """The resources of an account, and the calls to it.

    Attributes:
        jobs: Descriptions by name, of all kinds of jobs.
        endpoints: Descriptions by name.
        configs: Endpoint configurations by name.
        models: Descriptions by name.
        tags: By ARN.
        executions: Status by ARN.
        endings: `error` and `cause` of an execution, by ARN.
        stopped: Names of jobs that were stopped.
        calls: Operations with their requests.
        answers: A test's own answers, by operation.
    """

    def __init__(self) -> None:
        self.sagemaker, self.states = _clients()
        _active[:] = [self]
        self.jobs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.executions: dict[str, str] = {}
        self.endings: dict[str, dict[str, str]] = {}
        self.stopped: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def job(self, name: str, status: str, **members: Any) -> None:
        """Add a job, as one of every kind."""
        self.jobs[name] = dict.fromkeys(_STATUSES, status) | members

    def deployed(
        self,
        name: str,
        day: int = 0,
        *,
        family: str | None = None,
        dataset: str | None = None,
        config: str = "",
        artefact: str = "",
    ) -> None:
        """Add a model and its endpoint configuration, created on a day."""
        self.models[name] = {
            "ModelName": name,
            "ModelArn": model_arn(name),
            "PrimaryContainer": {"ModelDataUrl": artefact or f"s3://artefacts/models/{name}/model.tar.gz"},
        }
        self.configs[config or name] = {
            "EndpointConfigName": config or name,
            "CreationTime": BEGAN + timedelta(days=day),
            "ProductionVariants": [{"ModelName": name}],
        }
        tags = {"loupe:family": family, "loupe:dataset": dataset}
        self.tags[model_arn(name)] = [{"Key": key, "Value": value} for key, value in tags.items() if value]

    def serve(self, config: str, status: str = "InService", endpoint: str = ENDPOINT) -> None:
        self.endpoints[endpoint] = {
            "EndpointName": endpoint,
            "EndpointConfigName": config,
            "EndpointStatus": status,
        }

    def operations(self) -> set[str]:
        """Return the operations called so far."""
        return {name for name, _ in self.calls}

    def answer(self, model: Any, params: dict[str, Any]) -> Any:
        """Return the answer to an operation, as a handler of `before-call` gives it to botocore."""
        request = json.loads(params["body"])
        self.calls.append((model.name, request))
        try:
            answer = self.answers.get(model.name) or getattr(self, f"_{model.name}")
            return SimpleNamespace(status_code=200), answer(request)
        except RefusedError as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            return SimpleNamespace(status_code=400), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }

    def _DescribeTrainingJob(self, request: dict[str, Any]) -> Any:
        return _find(self.jobs, request["TrainingJobName"], "Requested resource not found.")

    def _DescribeProcessingJob(self, request: dict[str, Any]) -> Any:
        return _find(self.jobs, request["ProcessingJobName"], "Could not find requested job")

    def _DescribeHyperParameterTuningJob(self, request: dict[str, Any]) -> Any:
        return _find(self.jobs, request["HyperParameterTuningJobName"], "not found", code="ResourceNotFound")

    def _stop(self, request: dict[str, Any]) -> Any:
        ((member, name),) = request.items()
        self.stopped.append(name)
        if name in self.jobs:
            self.jobs[name][member.removesuffix("Name") + "Status"] = "Stopping"
        return {}

    def _list(self, kind: str, request: dict[str, Any]) -> Any:
        names = [
            name
            for name, job in self.jobs.items()
            if request["NameContains"] in name
            and job[f"{kind}Status"] == request["StatusEquals"]
            and job.get("CreationTime", BEGAN).timestamp() <= request["CreationTimeBefore"]
        ]
        return {f"{kind}Summaries": [{f"{kind}Name": name} for name in names]}

    def _ListTrainingJobs(self, request: dict[str, Any]) -> Any:
        return self._list("TrainingJob", request)

    def _ListHyperParameterTuningJobs(self, request: dict[str, Any]) -> Any:
        return self._list("HyperParameterTuningJob", request)

    def _ListProcessingJobs(self, request: dict[str, Any]) -> Any:
        return self._list("ProcessingJob", request)

    _StopTrainingJob = _StopHyperParameterTuningJob = _StopProcessingJob = _stop

    def _DescribeEndpoint(self, request: dict[str, Any]) -> Any:
        return _find(self.endpoints, request["EndpointName"], "Could not find endpoint")

    def _DescribeEndpointConfig(self, request: dict[str, Any]) -> Any:
        return _find(self.configs, request["EndpointConfigName"], "Could not find endpoint configuration")

    def _DescribeModel(self, request: dict[str, Any]) -> Any:
        return _find(self.models, request["ModelName"], "Could not find model")

    def _ListTags(self, request: dict[str, Any]) -> Any:
        return {"Tags": self.tags.get(request["ResourceArn"], [])}

    def _ListModelPackages(self, request: dict[str, Any]) -> Any:
        return {"ModelPackageSummaryList": []}

    def _ListEndpointConfigs(self, request: dict[str, Any]) -> Any:
        after = request.get("NextToken", "")
        names = [name for name in sorted(self.configs) if request["NameContains"] in name and name > after]
        more = {"NextToken": names[_PAGE - 1]} if len(names) > _PAGE else {}
        return {"EndpointConfigs": [self.configs[name] for name in names[:_PAGE]], **more}

    def _DeleteEndpointConfig(self, request: dict[str, Any]) -> Any:
        _find(self.configs, request["EndpointConfigName"], "Could not find endpoint configuration")
        del self.configs[request["EndpointConfigName"]]
        return {}

    def _DeleteModel(self, request: dict[str, Any]) -> Any:
        _find(self.models, request["ModelName"], "Could not find model")
        del self.models[request["ModelName"]]
        return {}

    def _DescribeExecution(self, request: dict[str, Any]) -> Any:
        arn = request["executionArn"]
        status = _find(self.executions, arn, "forgotten", code="ExecutionDoesNotExist")
        ended = {} if status == "RUNNING" else {"stopDate": BEGAN + timedelta(days=1)}
        return {"name": arn.rpartition(":")[2], "status": status, **ended, **self.endings.get(arn, {})}


def _find(resources: dict[str, Any], name: str, message: str, code: str = "ValidationException") -> Any:
    if name not in resources:
        raise RefusedError(code, message)
    return resources[name]
