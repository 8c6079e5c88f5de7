"""An account at the edge of the retrain state machine, scripted.

SageMaker, its registry, autoscaling and SNS are answered here; S3 is moto's. Jobs are done at once, and endpoints
change from one request for them to the next, so nothing waits.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from contract.s3 import split
from localcloud.sagemaker.errors import in_use, invalid
from localcloud.sagemaker.validation import validate
from retraining.documents import Documents
from tests.unit.retraining.evaluations import evaluation
from tests.unit.retraining.snapshots import snapshot

REGION, ENDPOINT = "us-east-1", "press-detector"
CHAMPION = f"{ENDPOINT}-champion"
ARN = f"arn:aws:sagemaker:{REGION}:000000000000:"
_MOVING = ("Creating", "Updating", "RollingBack", "Deleting", "SystemUpdating")


_Step = tuple[str, str, str | None]


@dataclass
class Endpoint:
    """What DescribeEndpoint tells, and what it will tell: (status, config, FailureReason), a step at each look."""

    config: str
    status: str = "InService"
    reason: str | None = None
    ahead: list[_Step] = field(default_factory=list)

    def step(self) -> None:
        if self.ahead:
            self.status, self.config, self.reason = self.ahead.pop(0)


@dataclass
class Fault:
    """What goes wrong in a state. times: None for good. lost: the service did it, but its answer was lost."""

    state: str
    error: str
    times: int | None = None
    lost: bool = False
    cause: str = "Rate exceeded (Service: SageMaker, Status Code: 400, Request ID: 0)"

    def strikes(self, state: str) -> bool:
        if state != self.state or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Account:
    """By default a champion serves, and the candidate of the one family is better.

    quality: the mAP that evaluation finds, by candidate. failing_jobs: why jobs fail, by a part of their name.
    swap, creation: what becomes of a change of the endpoint: well, fails or never ends. smoke: what the smoke
    test does. answer: what a person does with the task token. meanwhile: runs as a task's state is entered.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self.documents = Documents(s3, bucket)
        self.quality = {"champion": 0.5, "ssdlite": 0.6, "ssdlite-tuned": 0.55, "dfine_nano": 0.4}
        self.failing_jobs: dict[str, str] = {}
        self.swap = self.creation = "well"
        self.smoke: Callable[[dict[str, Any]], Any] = lambda event: {"images": 3}
        self.answer: Callable[[str], None] = lambda token: None
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.at_work: str | None = None
        self.fault: Fault | None = None
        self.visited: list[str] = []
        self.notices: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.records: dict[str, dict[str, dict[str, Any]]] = {
            kind: {} for kind in ("TrainingJob", "HyperParameterTuningJob", "ProcessingJob")
        }
        self.packages: list[dict[str, Any]] = []
        self.models = {CHAMPION: "s3://models/champion/model.tar.gz"}
        self.configs = {CHAMPION: CHAMPION}
        self.endpoint: Endpoint | None = Endpoint(CHAMPION)
        self.scaled: list[str] = []
        self.scaling = SimpleNamespace(call=self._scale)
        self._lock = threading.RLock()
        self.documents.write("labelled/snapshots/0123456789abcdef.json", snapshot(12))

    # ------------------------------------------------------------ SageMaker

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """An operation, as loupe.local.sagemaker answers it."""
        validate(name, request)
        with self._lock:
            for kind in self.records:
                if name == f"Create{kind}":
                    return self._create_job(kind, request)
                if name == f"Describe{kind}":
                    return self._job(kind, request[f"{kind}Name"])
            answer: dict[str, Any] = getattr(self, f"_{name}")(request) or {}
            return answer

    def _job(self, kind: str, name: str) -> dict[str, Any]:
        found = self.records[kind].get(name)
        if found is None:
            raise invalid("Requested resource not found.")
        return found

    def _create_job(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}Name"]
        if name in self.records[kind]:
            raise in_use(f"Job name must be unique, and {name} already exists")
        why = next((why for part, why in self.failing_jobs.items() if part in name), None)
        record = {**request, f"{kind}Status": "Failed" if why else "Completed"}
        if why:
            record["FailureReason"] = why
        elif kind == "TrainingJob":
            record |= _trained(name, request["OutputDataConfig"]["S3OutputPath"])
        elif kind == "HyperParameterTuningJob":
            best, definition = f"{name}-001-abc", request["TrainingJobDefinition"]
            self.records["TrainingJob"][best] = {
                **definition,
                "TrainingJobName": best,
                "TrainingJobStatus": "Completed",
                **_trained(best, definition["OutputDataConfig"]["S3OutputPath"]),
            }
            record |= {"BestTrainingJob": {"TrainingJobName": best}}
        else:
            uri = request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
            identity = uri.rpartition("/")[2]
            self.documents.write(f"{split(uri)[1]}/evaluation.json", evaluation(self.quality[identity]))
        self.records[kind][name] = record
        return {f"{kind}Arn": f"{ARN}job/{name}"}

    def _ListTrainingJobsForHyperParameterTuningJob(self, request: dict[str, Any]) -> dict[str, Any]:
        # Two children of an hour each, and one that was stopped before it began.
        began = 1_790_000_000.0
        times = {"TrainingStartTime": began, "TrainingEndTime": began + 3600}
        names = (f"{request['HyperParameterTuningJobName']}-{number:03}-abc" for number in (1, 2, 3))
        return {
            "TrainingJobSummaries": [
                {"TrainingJobName": name, "CreationTime": began} | (times if number < 2 else {})
                for number, name in enumerate(names)
            ]
        }

    def _CreateModel(self, request: dict[str, Any]) -> dict[str, Any]:
        self._new(self.models, request["ModelName"], "model")
        self.models[request["ModelName"]] = request["PrimaryContainer"]["ModelDataUrl"]
        return {"ModelArn": f"{ARN}model/{request['ModelName']}"}

    def _CreateEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        self._new(self.configs, request["EndpointConfigName"], "endpoint configuration")
        (variant,) = request["ProductionVariants"]
        self._known(self.models, variant["ModelName"], "model")
        self.configs[request["EndpointConfigName"]] = variant["ModelName"]
        return {"EndpointConfigArn": f"{ARN}endpoint-config/{request['EndpointConfigName']}"}

    def _CreateEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.endpoint:
            raise invalid(f'Cannot create already existing endpoint "{ARN}endpoint/{ENDPOINT}".')
        config = request["EndpointConfigName"]
        self._known(self.configs, config, "endpoint configuration")
        end: dict[str, list[_Step]] = {
            "well": [("Creating", config, None), ("InService", config, None)],
            "fails": [("Failed", config, "The container did not pass the ping health check.")],
            "never ends": [],
        }
        self.endpoint = Endpoint(config, "Creating", ahead=end[self.creation])
        return {"EndpointArn": f"{ARN}endpoint/{ENDPOINT}"}

    def _UpdateEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint, config = self._there(), request["EndpointConfigName"]
        self._known(self.configs, config, "endpoint configuration")
        self._settled(endpoint)
        if endpoint.status != "InService" or endpoint.config == config:
            raise invalid("To update an endpoint, you must create a new EndpointConfig.")
        before, alarm = endpoint.config, "An alarm went into ALARM state: [latency]"
        end: dict[str, list[_Step]] = {
            "well": [("Updating", before, None), ("InService", config, None)],
            "fails": [("RollingBack", before, alarm), ("InService", before, alarm)],
            "never ends": [],
        }
        self.endpoint = Endpoint(before, "Updating", ahead=end[self.swap])
        self.swap = "well"  # the way back goes well
        return {"EndpointArn": f"{ARN}endpoint/{ENDPOINT}"}

    def _DeleteEndpoint(self, request: dict[str, Any]) -> None:
        endpoint = self._there()
        self._settled(endpoint)
        self.endpoint = None
        self.deleted.append(endpoint.config)

    def _DescribeEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._there()
        seen = {
            "EndpointName": ENDPOINT,
            "EndpointStatus": endpoint.status,
            "EndpointConfigName": endpoint.config,
            **({"FailureReason": endpoint.reason} if endpoint.reason else {}),
        }
        endpoint.step()
        return seen

    def _there(self) -> Endpoint:
        if self.endpoint is None:
            raise invalid(f'Could not find endpoint "{ARN}endpoint/{ENDPOINT}".')
        return self.endpoint

    def _settled(self, endpoint: Endpoint) -> None:
        if endpoint.status in _MOVING:
            endpoint.step()
            raise invalid(f'Cannot update in-progress endpoint "{ARN}endpoint/{ENDPOINT}".')

    def _DescribeEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        model = self._known(self.configs, request["EndpointConfigName"], "endpoint configuration")
        return {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": model}]}

    def _ListEndpointConfigs(self, request: dict[str, Any]) -> dict[str, Any]:
        made = datetime(2026, 1, 1, tzinfo=UTC)
        return {
            "EndpointConfigs": [
                {"EndpointConfigName": name, "CreationTime": made + timedelta(n)}
                for n, name in enumerate(self.configs)
            ]
        }

    def _DescribeModel(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelName"]
        artefact = self._known(self.models, name, "model")
        return {
            "ModelName": name,
            "ModelArn": f"{ARN}model/{name}",
            "PrimaryContainer": {"ModelDataUrl": artefact},
        }

    def _ListTags(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": [{"Key": "loupe:family", "Value": "ssdlite"}]}

    def _DeleteModel(self, request: dict[str, Any]) -> None:
        del self.models[request["ModelName"]]

    def _DeleteEndpointConfig(self, request: dict[str, Any]) -> None:
        del self.configs[request["EndpointConfigName"]]

    def _CreateModelPackage(self, request: dict[str, Any]) -> dict[str, Any]:
        for package in self.packages:
            if package["ClientToken"] == request["ClientToken"]:
                return {"ModelPackageArn": package["arn"]}
        arn = f"{ARN}model-package/press-0123/{len(self.packages) + 1}"
        self.packages.append({**request, "arn": arn})
        return {"ModelPackageArn": arn}

    def _UpdateModelPackage(self, request: dict[str, Any]) -> None:
        (package,) = (each for each in self.packages if each["arn"] == request["ModelPackageArn"])
        package |= request

    def _new(self, known: dict[str, str], name: str, kind: str) -> None:
        if name in known:
            raise invalid(f'Cannot create already existing {kind} "{ARN}{name}".')

    def _known(self, known: dict[str, str], name: str, kind: str) -> str:
        if name not in known:
            raise invalid(f'Could not find {kind} "{ARN}{name}".')
        return known[name]

    def _scale(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        validate(name, request, "application-autoscaling")
        self._there()
        self.scaled.append(name)
        return {}

    # ------------------------------------------------------------ what became of it

    def settled(self) -> Endpoint | None:
        """The endpoint once what was begun has ended."""
        while self.endpoint and self.endpoint.ahead:
            self.endpoint.step()
        return self.endpoint


def _trained(name: str, output: str) -> dict[str, Any]:
    return {
        "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{name}/output/model.tar.gz"},
        "TrainingTimeInSeconds": 3600,
    }
