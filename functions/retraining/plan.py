"""What a run does: whether there is anything to do, and the request of every job, under deterministic names.

The run's name is the hash of the data, the settings and the model that serves, so a second trigger finds the
jobs of the first by name, and what was trained or evaluated is not made again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.keys import CHECKPOINTS, LAST_RUN, MODELS, PRETRAINED, REPORTS
from retraining import champion, labelled, lock
from retraining.champion import Champion
from retraining.documents import Documents
from retraining.errors import InvalidRequestError, LabelledDataError, RetrainingError
from retraining.jobs import Jobs
from retraining.labelled import Snapshot
from retraining.request import FAMILIES, Request
from retraining.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

METRICS = [
    {"Name": "val:map", "Regex": "val:map=([0-9.]+)"},
    {"Name": "val:map50", "Regex": "val:map50=([0-9.]+)"},
    {"Name": "loss", "Regex": "loss=([0-9.]+)"},
]
_SHORT = 12
_EPOCHS = 60  # of a job that Hyperband may stop early: the most that any family's recipe takes


@dataclass(frozen=True)
class Planner:
    """Plans one execution."""

    settings: Settings
    documents: Documents
    sagemaker: SageMakerClient
    states: SFNClient

    def plan(self, given: dict[str, Any], execution: str) -> dict[str, Any]:
        """The plan for the state machine: `status` is train, nothing_new or already_running.

        Raises RetrainingError where the stack has no training container, InvalidRequestError and
        LabelledDataError.
        """
        request = Request.read(given)
        if not self.settings.training_image_uri:
            raise RetrainingError(
                "the stack has no training container: push the one that `make images` builds to ECR, and set "
                "the stack's parameter TrainingImageUri to it"
            )
        if other := lock.acquire(self.documents, self.states, execution):
            reason = f"another run is at work: {other}"
            return {"status": "already_running", "result": _stop("already_running", reason)}
        snapshot = labelled.current(self.documents)
        snapshot.check()
        serving = champion.find(self.sagemaker, self.settings.endpoint_name)
        families = request.families or list(dict.fromkeys(self.settings.families))
        if unknown := [name for name in families if name not in FAMILIES]:
            raise InvalidRequestError(
                f"the stack's parameter RetrainFamilies names {unknown[0]!r}; known are {', '.join(FAMILIES)}"
            )
        asked = self._asked(request, families)
        run = _short({**asked, "snapshot": snapshot.id, "champion": serving.artefact if serving else None})
        last = (self.documents.find(LAST_RUN) or (None, ""))[0]
        new = snapshot.new_since(self._earlier(last) if last else None)
        about: dict[str, Any] = {
            "id": snapshot.id,
            "uri": snapshot.uri,
            "images": sum(snapshot.parts.values()),
            **{part: snapshot.parts[part] for part in ("train", "validation", "test")},
            "labels": sorted(snapshot.labels_in("train", "validation", "test")),
            "new_labels": new,
        }
        settings = _short(asked)
        why = _nothing_new(request, new, last, {"snapshot": snapshot.uri, "settings": settings})
        if why and not request.force:
            result = _stop("nothing_new", why) | {"run": run, "snapshot": about}
            return {"status": "nothing_new", "result": result | {"report": last["report"] if last else None}}
        reigning = self._family_of(serving) if serving else None
        inputs = {family: self._inputs(family, snapshot, serving, reigning) for family in families}
        candidates = [
            self._candidate(run, family, tuned, request, inputs[family])
            for family in families
            for tuned in ([False, True] if request.tune else [False])
        ]
        approval = self.settings.approval if request.approval is None else request.approval
        return {
            "status": "train",
            "run": run,
            "request": request.model_dump(),
            "snapshot": about,
            "candidates": candidates,
            "champion": self._evaluation_of(serving, reigning, run) if serving else None,
            "approval": approval,
            "settings": settings,
        }

    def _asked(self, request: Request, families: list[str]) -> dict[str, Any]:
        """All that decides, beside the data and the champion, what comes of a run."""
        tuning = {
            "jobs": request.tuning_jobs or self.settings.tuning_jobs,
            "strategy": self.settings.tuning_strategy,
        }
        return {
            "families": sorted(families),
            "hyperparameters": request.hyperparameters,
            "tuning": tuning if request.tune else None,
            "image": self.settings.training_image_uri,
        }

    def _earlier(self, last: dict[str, Any]) -> Snapshot | None:
        key = str(last["snapshot"]).removeprefix(self.documents.uri(""))
        try:
            return labelled.read(self.documents, key)
        except LabelledDataError:  # it was deleted: then all labels are new
            return None

    def _candidate(
        self,
        run: str,
        family: str,
        tuned: bool,
        request: Request,
        inputs: list[dict[str, Any]],
    ) -> dict[str, Any]:
        jobs, identity = Jobs(self.sagemaker), f"{family}-tuned" if tuned else family
        common: dict[str, Any] = {
            "id": identity,
            "family": family,
            "tuned": tuned,
            "evaluation": self._evaluation(run, identity),
        }
        static = {**request.hyperparameters, "family": family, "name": identity, "tuned": str(tuned).lower()}
        if not tuned:
            found = jobs.training(f"{self.settings.name_prefix}-{run}-{family.replace('_', '-')}"[:60])
            common |= {"name": found.name}
            if found.done:
                return common | {"kind": "reuse"}
            return common | {"kind": "train", "job": self._training_job(run, found.name, static, inputs)}
        # A tuning job's name has 32 characters at most, and its children add to it.
        short = hashlib.sha256(f"{run}-{family}".encode()).hexdigest()[:8]
        found = jobs.tuning(f"{self.settings.name_prefix}-{short}-hpo")
        common |= {"name": found.name}
        if found.done and (best := found.done.get("BestTrainingJob")):
            return common | {"kind": "reuse", "name": best["TrainingJobName"], "tuning": found.name}
        return common | {"kind": "tune", "job": self._tuning_job(run, found.name, request, static, inputs)}

    def _inputs(
        self, family: str, snapshot: Snapshot, serving: Champion | None, reigning: str | None
    ) -> list[dict[str, Any]]:
        """The channels: the snapshot, whose images the job fetches itself, and weights to start from."""
        channels = [_channel("train", snapshot.uri)]
        if start := self._start(family, serving, reigning):
            channels.append(_channel("pretrained", start))
        return channels

    def _start(self, family: str, serving: Champion | None, reigning: str | None) -> str | None:
        """The champion if it is of this family; else what lies in pretrained/<family>/; None for from scratch."""
        if serving and reigning == family:
            return serving.artefact
        prefix = f"{PRETRAINED}{family}/"
        there = next(iter(self.documents.listing(prefix)), None)
        return self.documents.uri(prefix) if there else None

    def _family_of(self, serving: Champion) -> str | None:
        tags = self.sagemaker.list_tags(ResourceArn=serving.model_arn)["Tags"]
        return next((tag["Value"] for tag in tags if tag["Key"] == "loupe:family"), None)

    def _training_job(
        self, run: str, name: str, static: dict[str, str], inputs: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": self._algorithm(),
            "HyperParameters": static,
            "InputDataConfig": inputs,
            "CheckpointConfig": {"S3Uri": self.documents.uri(f"{CHECKPOINTS}{name}/")},
            "Tags": self._tags(run),
            **self._resources(run),
        }

    def _tuning_job(
        self,
        run: str,
        name: str,
        request: Request,
        static: dict[str, str],
        inputs: list[dict[str, Any]],
    ) -> dict[str, Any]:
        jobs = request.tuning_jobs or self.settings.tuning_jobs
        hyperband = self.settings.tuning_strategy == "Hyperband"
        strategy: dict[str, Any] = {"Strategy": self.settings.tuning_strategy}
        if hyperband:
            epochs = _epochs(request)
            strategy["StrategyConfig"] = {
                "HyperbandStrategyConfig": {"MinResource": max(1, epochs // 9), "MaxResource": epochs}
            }
            # It counts values of the objective, and stops whoever has given as many as it takes epochs.
            static = {"validate_every": "1", **static, "epochs": str(epochs)}
        ranges = [
            {
                "Name": each,
                "MinValue": str(about["min"]),
                "MaxValue": str(about["max"]),
                "ScalingType": about["scaling"],
            }
            for each, about in FAMILIES[static["family"]].items()
            if each not in request.hyperparameters
        ]
        if not ranges:
            raise InvalidRequestError("the hyperparameters given leave nothing to tune")
        resources = self._resources(run)
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                **strategy,
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val:map"},
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": jobs,
                    "MaxParallelTrainingJobs": min(jobs, self.settings.tuning_parallel_jobs),
                },
                "ParameterRanges": {"ContinuousParameterRanges": ranges},
                # Hyperband stops children itself.
                "TrainingJobEarlyStoppingType": "Off" if hyperband else "Auto",
                "RandomSeed": 0,
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": static,
                "AlgorithmSpecification": self._algorithm(),
                "InputDataConfig": inputs,
                "CheckpointConfig": {"S3Uri": self.documents.uri(f"{CHECKPOINTS}{name}/")},
                **resources,
            },
            "Tags": self._tags(run),
        }

    def _algorithm(self) -> dict[str, Any]:
        return {
            "TrainingImage": self.settings.training_image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": METRICS,
        }

    def _resources(self, run: str) -> dict[str, Any]:
        spot, seconds = self.settings.spot, self.settings.training_max_seconds
        stopping = {"MaxRuntimeInSeconds": seconds}
        if spot:
            stopping["MaxWaitTimeInSeconds"] = 2 * seconds
        return {
            "RoleArn": self.settings.role_arn,
            "OutputDataConfig": {"S3OutputPath": self.documents.uri(f"{MODELS}{run}")},
            "ResourceConfig": {
                "InstanceType": self.settings.training_instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": self.settings.volume_gib,
            },
            "StoppingCondition": stopping,
            "EnableManagedSpotTraining": spot,
        }

    def _tags(self, run: str) -> list[dict[str, str]]:
        return [{"Key": "loupe:run", "Value": run}]

    def _evaluation(self, run: str, identity: str) -> dict[str, Any]:
        """The evaluation's job name, where its report goes, and whether it is there already."""
        found = Jobs(self.sagemaker).processing(
            f"{self.settings.name_prefix}-{run}-eval-{identity.replace('_', '-')}"[:60]
        )
        return {
            "name": found.name,
            "output": self.documents.uri(f"{REPORTS}{run}/{identity}"),
            "done": found.done is not None,
        }

    def _evaluation_of(self, serving: Champion, reigning: str | None, run: str) -> dict[str, Any]:
        return serving.document() | {
            "id": "champion",
            "kind": "champion",
            "name": serving.model,
            "family": reigning or "",
            "tuned": False,
            "evaluation": self._evaluation(run, "champion"),
        }


def _nothing_new(request: Request, new: int, last: dict[str, Any] | None, same: dict[str, str]) -> str | None:
    if new < request.minimum_new_labels:
        return f"{new} images were labelled since the last run; {request.minimum_new_labels} are wanted"
    if last and {name: last.get(name) for name in same} == same:
        return f"data and settings are those of the run {last['run']} of {last['finished_at']}"
    return None


def _epochs(request: Request) -> int:
    given = request.hyperparameters.get("epochs", "0")
    if not given.isdecimal():
        raise InvalidRequestError(
            f"hyperparameters.epochs: Hyperband needs a whole number of epochs, not {given!r}"
        )
    return int(given) or _EPOCHS


def _short(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:_SHORT]


def _stop(decision: str, reason: str) -> dict[str, Any]:
    return {"status": "SUCCEEDED", "decision": decision, "reasons": [reason]}


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
