"""A scripted AWS account for the retrain state machine.

SageMaker, its registry, autoscaling and SNS are answered here; S3 is moto's. Jobs end at once, and an endpoint
changes from one request to the next, so nothing waits.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from contract.s3 import split
from inspection.rules import Rules
from localcloud.sagemaker.aws_errors import AwsError, in_use, invalid
from localcloud.sagemaker.validation import validate
from retraining.documents import Documents
from tests.unit.retraining.evaluations import evaluation, proposal
from tests.unit.retraining.snapshots import snapshot

REGION, ENDPOINT = "us-east-1", "press-detector"
CHAMPION = f"{ENDPOINT}-champion"
# The versions of the models, and the scores from which a dent fails and goes to review.
CHAMPION_VERSION, NEW_VERSION = "c" * 12, "0123456789ab"
CHAMPION_SCORES, NEW_SCORES = (0.5, 0.3), (0.42, 0.17)
ARN = f"arn:aws:sagemaker:{REGION}:000000000000:"
_MOVING = ("Creating", "Updating", "RollingBack", "Deleting", "SystemUpdating")


_Step = tuple[str, str, str | None]


@dataclass
class Endpoint:
    """What DescribeEndpoint answers now, and in `upcoming` what it answers next: (status, config, FailureReason)."""

    config: str
    status: str = "InService"
    reason: str | None = None
    instances: int = 2
    upcoming: list[_Step] = field(default_factory=list)

    def step(self) -> None:
        if self.upcoming:
            self.status, self.config, self.reason = self.upcoming.pop(0)


@dataclass
class Fault:
    """A fault in a state.

    Attributes:
        state: The name of the state.
        error: The error's name.
        times: How many times the state still fails; None for every time.
        lost: Whether the service did its work, but its answer was lost.
        cause: The error's cause.
    """

    state: str
    error: str
    times: int | None = None
    lost: bool = False
    cause: str = "Rate exceeded (Service: SageMaker, Status Code: 400, Request ID: 0)"

    def occurs_in(self, state: str) -> bool:
        """Return whether the state fails now; this counts as one of `times`."""
        if state != self.state or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class EndedError(BaseException):
    """The execution has ended. No state of it acts any more."""


class Account:
    """An account in which a champion serves; by default the candidate of the only family is better.

    Attributes:
        quality: The mAP that an evaluation reports, by candidate.
        reports: Evaluations that report something else, by candidate.
        failing_jobs: The reasons for which jobs fail, by a part of their name.
        swap: How an update of the endpoint ends: `well`, `fails` or `never ends`.
        creation: How the creation of an endpoint ends, in the same words.
        smoke: What the smoke test does.
        answer: What a person does with the task token.
        meanwhile: What happens when a task's state is entered, by its name.
        ends_after: The task after which the execution ends, as when a person stops it.
        has_ended: Whether it has ended so. Its other branches go no further.
        running_execution: The ARN of another execution that is running.
        applies_rules: The stack's setting.
        alarms: The alarms that are on, at each look at them; the last entry stays.
        champion_type: What the champion runs on.
        refusals: For how many requests of a kind SageMaker has no instance, and what it says.
        requests: Every request, by its operation.
        tuning_ends: Whether tuning jobs end.
    """

    def __init__(self, s3: Any, bucket: str, ssm: Any, rules_parameter: str) -> None:
        self.documents = Documents(s3, bucket)
        self._ssm, self.rules_parameter, self.applies_rules = ssm, rules_parameter, True
        self.set_rules({"version": "1", "classes": {"dent": {"severity": "critical"}}})
        self.reports: dict[str, dict[str, Any]] = {}
        self.quality = {"champion": 0.5, "ssdlite": 0.6, "ssdlite-tuned": 0.55, "dfine_nano": 0.4}
        self.failing_jobs: dict[str, str] = {}
        self.swap = self.creation = "well"
        self.smoke: Callable[[dict[str, Any]], Any] = lambda event: {"images": 3}
        self.answer: Callable[[str], None] = lambda token: None
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.ends_after: str | None = None
        self.has_ended = False
        self.running_execution: str | None = None
        self.fault: Fault | None = None
        self.visited: list[str] = []
        self.notices: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.records: dict[str, dict[str, dict[str, Any]]] = {
            kind: {} for kind in ("TrainingJob", "HyperParameterTuningJob", "ProcessingJob")
        }
        self.packages: list[dict[str, Any]] = []
        self.models = {CHAMPION: "s3://models/champion/model.tar.gz"}
        self.champion_dataset: str | None = None
        self.new_tags: dict[str, str] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.configs = {CHAMPION: CHAMPION}
        self.endpoint: Endpoint | None = Endpoint(CHAMPION)
        self.registered = False
        self.scaled: list[str] = []
        self.scores_at_the_swap: list[tuple[float, float]] = []
        self.scaling = SimpleNamespace(call=self._scale)
        self._lock = threading.RLock()
        self.alarms: list[list[str]] = [[]]
        self.champion_type = "ml.c6i.xlarge"
        self.refusals: dict[str, tuple[int, str]] = {}
        self.tuning_ends = True
        self.requests: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.documents.write("labelled/snapshots/0123456789abcdef.json", snapshot(12))

    # ------------------------------------------------------------ SageMaker

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation, as localcloud.sagemaker does."""
        validate(name, request)
        with self._lock:
            self.requests[name].append(request)
            self._refuse_for_quota(name)
            for kind in self.records:
                if name == f"Create{kind}":
                    return self._create_job(kind, request)
                if name == f"Describe{kind}":
                    return self._job(kind, request[f"{kind}Name"])
            answer: dict[str, Any] = getattr(self, f"_{name}")(request) or {}
            return answer

    def _refuse_for_quota(self, name: str) -> None:
        times, words = self.refusals.get(name, (0, ""))
        if times:
            self.refusals[name] = (times - 1, words)
            raise AwsError("ResourceLimitExceeded", words)

    def describe_alarms(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer CloudWatch's DescribeAlarms."""
        on = self.alarms.pop(0) if len(self.alarms) > 1 else self.alarms[0]
        return {"MetricAlarms": [{"AlarmName": name} for name in request["AlarmNames"] if name in on]}

    def _StopHyperParameterTuningJob(self, request: dict[str, Any]) -> None:
        self.records["HyperParameterTuningJob"][request["HyperParameterTuningJobName"]][
            "HyperParameterTuningJobStatus"
        ] = "Stopped"

    def _job(self, kind: str, name: str) -> dict[str, Any]:
        record = self.records[kind].get(name)
        if record is None:
            raise invalid("Requested resource not found.")
        return record

    def _create_job(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}Name"]
        if name in self.records[kind]:
            raise in_use(f"Job name must be unique, and {name} already exists")
        reason = next((reason for part, reason in self.failing_jobs.items() if part in name), None)
        record = {**request, f"{kind}Status": "Failed" if reason else "Completed"}
        if reason:
            record["FailureReason"] = reason
        elif kind == "TrainingJob":
            record |= self._trained(name, request["OutputDataConfig"]["S3OutputPath"])
        elif kind == "HyperParameterTuningJob" and not self.tuning_ends:
            record[f"{kind}Status"] = "InProgress"
        elif kind == "HyperParameterTuningJob":
            best, definition = f"{name}-001-abc", request["TrainingJobDefinition"]
            self.records["TrainingJob"][best] = {
                **definition,
                "TrainingJobName": best,
                "TrainingJobStatus": "Completed",
                **self._trained(best, definition["OutputDataConfig"]["S3OutputPath"]),
            }
            record |= {"BestTrainingJob": {"TrainingJobName": best}}
        else:
            uri = request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
            identity = uri.rpartition("/")[2]
            version = CHAMPION_VERSION if identity == "champion" else NEW_VERSION
            figures = self.reports.get(identity) or evaluation(self.quality[identity])
            figures = {**figures, "model": {**figures["model"], "version": version}}
            self.documents.write(f"{split(uri)[1]}/evaluation.json", figures)
            self.documents.write(f"{split(uri)[1]}/rules.json", proposal())
        self.records[kind][name] = record
        return {f"{kind}Arn": f"{ARN}job/{name}"}

    def _trained(self, name: str, output: str) -> dict[str, Any]:
        artefact = f"{output}/{name}/output/model.tar.gz"
        self.documents.write(split(artefact)[1], {})
        return {"ModelArtifacts": {"S3ModelArtifacts": artefact}, "TrainingTimeInSeconds": 3600}

    def _ListTrainingJobsForHyperParameterTuningJob(self, request: dict[str, Any]) -> dict[str, Any]:
        # Two training jobs of an hour each, and one that was stopped before it started.
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
        self._refuse_duplicate(self.models, request["ModelName"], "model")
        self.models[request["ModelName"]] = request["PrimaryContainer"]["ModelDataUrl"]
        self.new_tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        self.tags[request["ModelName"]] = request["Tags"]
        return {"ModelArn": f"{ARN}model/{request['ModelName']}"}

    def _CreateEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        self._refuse_duplicate(self.configs, request["EndpointConfigName"], "endpoint configuration")
        (variant,) = request["ProductionVariants"]
        self._require(self.models, variant["ModelName"], "model")
        self.configs[request["EndpointConfigName"]] = variant["ModelName"]
        return {"EndpointConfigArn": f"{ARN}endpoint-config/{request['EndpointConfigName']}"}

    def _CreateEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.endpoint:
            raise invalid(f'Cannot create already existing endpoint "{ARN}endpoint/{ENDPOINT}".')
        config = request["EndpointConfigName"]
        self._require(self.configs, config, "endpoint configuration")
        self.scores_at_the_swap.append(self.scores_for(NEW_VERSION))
        end: dict[str, list[_Step]] = {
            "well": [("Creating", config, None), ("InService", config, None)],
            "fails": [("Failed", config, "The container did not pass the ping health check.")],
            "never ends": [],
        }
        self.endpoint = Endpoint(config, "Creating", upcoming=end[self.creation])
        return {"EndpointArn": f"{ARN}endpoint/{ENDPOINT}"}

    def _UpdateEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint, config = self._existing_endpoint(), request["EndpointConfigName"]
        self._require(self.configs, config, "endpoint configuration")
        self._refuse_in_progress(endpoint)
        if endpoint.status != "InService" or endpoint.config == config:
            raise invalid("To update an endpoint, you must create a new EndpointConfig.")
        if self.registered and self._type_of(config) != self._type_of(endpoint.config):
            raise invalid("You cannot change the instance type of a variant that is a scalable target.")
        self.scores_at_the_swap += [self.scores_for(NEW_VERSION)] if config != CHAMPION else []
        deployment = request.get("DeploymentConfig", {})
        self._check_canary(endpoint, deployment)
        before, alarm = endpoint.config, "An alarm went into ALARM state: [latency]"
        end: dict[str, list[_Step]] = {
            "well": [("Updating", before, None), ("InService", config, None)],
            "fails": [("RollingBack", before, alarm), ("InService", before, alarm)],
            "never ends": [],
        }
        instances = endpoint.instances if request.get("RetainAllVariantProperties") else 1
        watching = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        trips = any(alarm["AlarmName"] in self.alarms[0] for alarm in watching)
        self.endpoint = Endpoint(before, "Updating", None, instances, end["fails" if trips else self.swap])
        self.swap = "well"  # the rollback goes well
        return {"EndpointArn": f"{ARN}endpoint/{ENDPOINT}"}

    def _type_of(self, config: str) -> str:
        return self.champion_type if config == CHAMPION else "ml.c6i.xlarge"

    def _check_canary(self, endpoint: Endpoint, deployment: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-canary.html"""
        routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
        if routing.get("Type") == "CANARY" and 2 * routing["CanarySize"]["Value"] > endpoint.instances:
            raise invalid("The canary is larger than half of the variant's instances.")

    def _DeleteEndpoint(self, request: dict[str, Any]) -> None:
        endpoint = self._existing_endpoint()
        self._refuse_in_progress(endpoint)
        self.endpoint = None
        self.deleted.append(endpoint.config)

    def _DescribeEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._existing_endpoint()
        description = {
            "EndpointName": ENDPOINT,
            "EndpointStatus": endpoint.status,
            "LastModifiedTime": 1_790_000_000.0,
            "EndpointConfigName": endpoint.config,
            "ProductionVariants": [
                {
                    "VariantName": "AllTraffic",
                    "CurrentInstanceCount": endpoint.instances,
                    "DesiredInstanceCount": endpoint.instances,
                }
            ],
            **({"FailureReason": endpoint.reason} if endpoint.reason else {}),
        }
        endpoint.step()
        return description

    def _existing_endpoint(self) -> Endpoint:
        if self.endpoint is None:
            raise invalid(f'Could not find endpoint "{ARN}endpoint/{ENDPOINT}".')
        return self.endpoint

    def _refuse_in_progress(self, endpoint: Endpoint) -> None:
        if endpoint.status in _MOVING:
            endpoint.step()
            raise invalid(f'Cannot update in-progress endpoint "{ARN}endpoint/{ENDPOINT}".')

    def _DescribeEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        model = self._require(self.configs, request["EndpointConfigName"], "endpoint configuration")
        variant = {"VariantName": "AllTraffic", "ModelName": model}
        return {
            "ProductionVariants": [variant | {"InstanceType": self._type_of(request["EndpointConfigName"])}]
        }

    def _ListEndpointConfigs(self, request: dict[str, Any]) -> dict[str, Any]:
        first = datetime(2026, 1, 1, tzinfo=UTC)
        return {
            "EndpointConfigs": [
                {"EndpointConfigName": name, "CreationTime": first + timedelta(n)}
                for n, name in enumerate(self.configs)
            ]
        }

    def _DescribeModel(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelName"]
        artefact = self._require(self.models, name, "model")
        return {
            "ModelName": name,
            "ModelArn": f"{ARN}model/{name}",
            "PrimaryContainer": {"ModelDataUrl": artefact},
        }

    def _ListTags(self, request: dict[str, Any]) -> dict[str, Any]:
        if made := self.tags.get(request["ResourceArn"].rpartition("/")[2]):
            return {"Tags": made}
        tags = [{"Key": "loupe:family", "Value": "ssdlite"}]
        if self.champion_dataset:
            tags.append({"Key": "loupe:dataset", "Value": self.champion_dataset})
        return {"Tags": tags}

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

    def _ListModelPackages(self, request: dict[str, Any]) -> dict[str, Any]:
        began = datetime(2026, 1, 1, tzinfo=UTC)
        return {
            "ModelPackageSummaryList": [
                {
                    "ModelPackageArn": package["arn"],
                    "ModelPackageVersion": number,
                    "CreationTime": began,
                    "ModelPackageStatus": "Completed",
                }
                for number, package in enumerate(self.packages, 1)
            ]
        }

    def _DescribeModelPackage(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["ModelPackageName"]
        (package,) = (version for version in self.packages if version["arn"] == arn)
        names = ("ModelApprovalStatus", "InferenceSpecification", "CustomerMetadataProperties")
        return {
            "ModelPackageArn": arn,
            "ModelPackageVersion": int(arn.rpartition("/")[2]),
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            **{name: package[name] for name in names},
        }

    def register(self, approval: str = "Approved", **metadata: str) -> None:
        """Add version 1, whose run has recorded its evaluation: an earlier model of the version NEW_VERSION."""
        folder = "reports/abcdef012345/ssdlite"
        self.documents.write(
            f"{folder}/evaluation.json", evaluation(self.quality["ssdlite"], model={"version": NEW_VERSION})
        )
        self.documents.write(f"{folder}/rules.json", proposal())
        recorded = {
            "run": "abcdef012345",
            "family": "ssdlite",
            "dataset": "default",
            "rules_proposal": self.documents.uri(f"{folder}/rules.json"),
        }
        artefact = "s3://models/earlier/model.tar.gz"
        self.packages.append(
            {
                "arn": f"{ARN}model-package/press-0123/1",
                "ClientToken": "earlier",
                "ModelApprovalStatus": approval,
                "InferenceSpecification": {"Containers": [{"Image": "serve", "ModelDataUrl": artefact}]},
                "CustomerMetadataProperties": recorded | metadata,
            }
        )

    def _UpdateModelPackage(self, request: dict[str, Any]) -> None:
        (package,) = (version for version in self.packages if version["arn"] == request["ModelPackageArn"])
        package |= request

    def _refuse_duplicate(self, known: dict[str, str], name: str, kind: str) -> None:
        if name in known:
            raise invalid(f'Cannot create already existing {kind} "{ARN}{name}".')

    def _require(self, known: dict[str, str], name: str, kind: str) -> str:
        if name not in known:
            raise invalid(f'Could not find {kind} "{ARN}{name}".')
        return known[name]

    def _scale(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        validate(name, request, "application-autoscaling")
        self._existing_endpoint()
        if name == "DeregisterScalableTarget" and not self.registered:
            raise AwsError("ObjectNotFoundException", "No scalable target registered for the variant")
        self.registered = name != "DeregisterScalableTarget"
        self.scaled.append(name)
        return {}

    # ------------------------------------------------------------ the rules

    def set_rules(self, document: dict[str, Any]) -> None:
        """Change the rules, as a person does."""
        self._ssm.put_parameter(
            Name=self.rules_parameter, Value=json.dumps(document), Type="String", Overwrite=True
        )

    @property
    def rules(self) -> dict[str, Any]:
        """The rules in force."""
        document: dict[str, Any] = json.loads(
            self._ssm.get_parameter(Name=self.rules_parameter)["Parameter"]["Value"]
        )
        return document

    # ------------------------------------------------------------ for the tests

    def scores_for(self, model: str) -> tuple[float, float]:
        """The scores from which a dent fails and goes to review, if this version of a model finds it."""
        rule = Rules.model_validate(self.rules).for_model(model).rule("line-1", "dent")
        return rule.fail_score, rule.review_score

    def settle_endpoint(self) -> Endpoint | None:
        """Let every change of the endpoint end, and return it."""
        while self.endpoint and self.endpoint.upcoming:
            self.endpoint.step()
        return self.endpoint
