"""Hyperparameter tuning jobs: ordinary training jobs as children, and the search that names them."""

import threading
import time
from typing import Any

from localcloud.sagemaker.children import KIND, best, final_value, parents, request_of, summary
from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.training_jobs import TrainingJobs
from localcloud.sagemaker.tuner import Tuner

_CHILD = "TrainingJob"


class TuningJobs:
    """The records; a thread for each job that runs."""

    def __init__(self, resources: Resources, training: TrainingJobs) -> None:
        self.resources, self.training = resources, training
        self.closing = threading.Event()

    def operations(self) -> dict[str, Operation]:
        """By name."""
        return {
            "CreateHyperParameterTuningJob": self._create,
            "DescribeHyperParameterTuningJob": lambda request: self._describe(
                request["HyperParameterTuningJobName"]
            ),
            "StopHyperParameterTuningJob": self._stop,
            "ListHyperParameterTuningJobs": self._list,
            "ListTrainingJobsForHyperParameterTuningJob": self._list_children,
        }

    def resume(self) -> None:
        """Go on with the jobs of an earlier run of the cloud; their children go on by themselves."""
        for record in self.resources.store.all(KIND):
            if record[f"{KIND}Status"] in ("InProgress", "Stopping"):
                self._start(record[f"{KIND}Name"])

    def close(self) -> None:
        """Start no more children."""
        self.closing.set()

    def children(self, arn: str) -> list[Record]:
        """The training jobs of a tuning job, as summaries, in the order of their creation."""
        found = [each for each in self.resources.store.all(_CHILD) if each.get("TuningJobArn") == arn]
        return [summary(each) for each in sorted(found, key=lambda each: each["CreationTime"])]

    def _create(self, request: dict[str, Any]) -> dict[str, str]:
        from localcloud.sagemaker import search  # Optuna takes its time to import

        config, definition = request["HyperParameterTuningJobConfig"], request.get("TrainingJobDefinition")
        if definition is None or "TrainingJobDefinitions" in request or "Autotune" in request:
            raise invalid("The local cloud tunes exactly one TrainingJobDefinition, without Autotune.")
        ranges = search.ranges(config.get("ParameterRanges", {}))
        objective = config.get("HyperParameterTuningJobObjective")
        metrics = [each["Name"] for each in definition["AlgorithmSpecification"].get("MetricDefinitions", [])]
        if objective is None or objective["MetricName"] not in metrics:
            raise invalid("The objective metric must be among the MetricDefinitions of the training job.")
        limits = config["ResourceLimits"]
        if config["Strategy"] == "Grid":
            limits = limits | {"MaxNumberOfTrainingJobs": len(search.grid(ranges))}
        if "MaxNumberOfTrainingJobs" not in limits:
            raise invalid("ResourceLimits must have MaxNumberOfTrainingJobs.")
        if config["Strategy"] == "Hyperband" and config.get("TrainingJobEarlyStoppingType") == "Auto":
            raise invalid("Hyperband stops jobs by itself: TrainingJobEarlyStoppingType must be Off.")
        band = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        if band.get("MinResource", 1) > band.get("MaxResource", float("inf")):
            raise invalid("MinResource must be less than or equal to MaxResource.")
        criteria = config.get("TuningJobCompletionCriteria", {})
        if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
            raise invalid("The local cloud does not detect convergence (ConvergenceDetected).")
        both = {each.name for each in ranges} & set(definition.get("StaticHyperParameters", {}))
        if both:
            raise invalid(f"Hyperparameters are either static or tuned, not both: {', '.join(sorted(both))}.")
        for parent in parents(request):
            status = self.resources.found(KIND, parent)[f"{KIND}Status"]
            if status in ("InProgress", "Stopping"):
                raise invalid(f"The parent tuning job {parent} is {status}.")
        name = request[f"{KIND}Name"]
        self.training.check(request_of(request, f"{name}-000", {}))
        created = self.resources.add(
            KIND,
            request | {"HyperParameterTuningJobConfig": config | {"ResourceLimits": limits}},
            HyperParameterTuningJobStatus="InProgress",
        )
        self._start(name)
        return created

    def _start(self, name: str) -> None:
        tuner = Tuner(self, name)
        threading.Thread(target=tuner.run, daemon=True, name="loupe-tuning").start()

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{KIND}Name"]
        self.resources.store.change_from(
            KIND,
            name,
            f"{KIND}Status",
            "InProgress",
            HyperParameterTuningJobStatus="Stopping",
            LastModifiedTime=time.time(),
        )
        status = self.resources.found(KIND, name)[f"{KIND}Status"]
        if status != "Stopping":
            raise invalid(f"The request was rejected because the tuning job is in status {status}.")
        return {}

    def _described(self, record: Record) -> Record:
        children = self.children(record[f"{KIND}Arn"])
        config = record["HyperParameterTuningJobConfig"]
        end = record.get("HyperParameterTuningEndTime", time.time())
        record |= {
            "Strategy": config["Strategy"],
            "ResourceLimits": config["ResourceLimits"],
            "TrainingJobStatusCounters": {
                "Completed": _count(children, "TrainingJobStatus", "Completed"),
                "InProgress": _count(children, "TrainingJobStatus", "InProgress", "Stopping"),
                "RetryableError": 0,
                "NonRetryableError": _count(children, "TrainingJobStatus", "Failed"),
                "Stopped": _count(children, "TrainingJobStatus", "Stopped"),
            },
            "ObjectiveStatusCounters": {
                status: _count(children, "ObjectiveStatus", status)
                for status in ("Succeeded", "Pending", "Failed")
            },
            "ConsumedResources": {"RuntimeInSeconds": round(end - record["CreationTime"])},
        }
        if leader := best(children):
            record["BestTrainingJob"] = record["OverallBestTrainingJob"] = leader
        if record.get("WarmStartConfig", {}).get("WarmStartType") == "IdenticalDataAndAlgorithm":
            for parent in parents(record):
                children += self.children(self.resources.arn(KIND, parent))
            if leader := best(children):
                record["OverallBestTrainingJob"] = leader
        return record

    def _describe(self, name: str) -> Record:
        return self._described(self.resources.found(KIND, name))

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        records = [self._described(record) for record in self.resources.store.all(KIND)]
        return self.resources.page(KIND, request, records)

    def _list_children(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = self.resources.found(KIND, request[f"{KIND}Name"])[f"{KIND}Arn"]
        children = self.children(arn)
        if request.get("SortBy") == "FinalObjectiveMetricValue":  # lists only those that have one
            children = [child for child in children if final_value(child) is not None]
        return self.resources.page(_CHILD, {"SortBy": "Name"} | request, children)


def _count(children: list[Record], member: str, *wanted: str) -> int:
    return sum(child[member] in wanted for child in children)
