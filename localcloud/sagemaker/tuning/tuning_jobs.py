"""The API's operations on hyperparameter tuning jobs."""

import threading
import time
from typing import Any

from localcloud.sagemaker import descriptions
from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.jobs.training_jobs import TrainingJobs
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.tuning.children import (
    CHILD_KIND,
    KIND,
    best_child,
    child_request,
    children_of,
    objective_value,
    parent_names,
)
from localcloud.sagemaker.tuning.tuner import Tuner


class TuningJobs:
    """Creates, stops, describes and lists tuning jobs; each running one has a thread."""

    def __init__(self, resources: Resources, training: TrainingJobs, quotas: Quotas) -> None:
        self._resources, self._training, self._quotas = resources, training, quotas
        self._closing = threading.Event()

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {
            "CreateHyperParameterTuningJob": self._create,
            "DescribeHyperParameterTuningJob": self._describe,
            "StopHyperParameterTuningJob": self._stop,
            "ListHyperParameterTuningJobs": self._list,
            "ListTrainingJobsForHyperParameterTuningJob": self._list_children,
        }

    def resume(self) -> None:
        """Continue the jobs of an earlier run of the cloud; their children continue by themselves."""
        for record in self._resources.store.all(KIND):
            if record[f"{KIND}Status"] in ("InProgress", "Stopping"):
                self._start(record[f"{KIND}Name"])

    def close(self) -> None:
        """Start no more children."""
        self._closing.set()

    def _create(self, request: dict[str, Any]) -> dict[str, str]:
        limits = _check(request)
        for parent in parent_names(request):
            status = self._resources.get(KIND, parent)[f"{KIND}Status"]
            if status in ("InProgress", "Stopping"):
                raise invalid(f"The parent tuning job {parent} is {status}.")
        name, config = request[f"{KIND}Name"], request["HyperParameterTuningJobConfig"]
        child = child_request(request, f"{name}-000", {})
        self._training.check(child)
        self._resources.check_name_free(KIND, name)
        self._quotas.check_training(child, at_once=limits["MaxParallelTrainingJobs"])
        created = self._resources.create(
            KIND,
            request | {"HyperParameterTuningJobConfig": config | {"ResourceLimits": limits}},
            HyperParameterTuningJobStatus="InProgress",
        )
        self._start(name)
        return created

    def _start(self, name: str) -> None:
        tuner = Tuner(self._resources, self._training, self._closing, name)
        threading.Thread(target=tuner.run, daemon=True, name="loupe-tuning").start()

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{KIND}Name"]
        self._resources.store.change_if(
            KIND,
            name,
            f"{KIND}Status",
            "InProgress",
            HyperParameterTuningJobStatus="Stopping",
            LastModifiedTime=time.time(),
        )
        status = self._resources.get(KIND, name)[f"{KIND}Status"]
        if status != "Stopping":
            raise invalid(f"The request was rejected because the tuning job is in status {status}.")
        return {}

    def _describe(self, request: dict[str, Any]) -> Record:
        record = self._resources.get(KIND, request[f"{KIND}Name"])
        return self._description(descriptions.tuning_job(record))

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        records = [self._description(record) for record in self._resources.store.all(KIND)]
        return self._resources.list_page(KIND, request, records)

    def _list_children(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = self._resources.get(KIND, request[f"{KIND}Name"])[f"{KIND}Arn"]
        children = children_of(self._resources, arn)
        # Sorted by the objective, children without a value of it are not listed.
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            children = [child for child in children if objective_value(child) is not None]
        return self._resources.list_page(CHILD_KIND, {"SortBy": "Name"} | request, children)

    def _description(self, record: Record) -> Record:
        """Return a record with the members that follow from its children."""
        children = children_of(self._resources, record[f"{KIND}Arn"])
        config = record["HyperParameterTuningJobConfig"]
        end = record.get("HyperParameterTuningEndTime", time.time())
        description = record | {
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
        if best := best_child(children):
            description["BestTrainingJob"] = description["OverallBestTrainingJob"] = best
        if record.get("WarmStartConfig", {}).get("WarmStartType") == "IdenticalDataAndAlgorithm":
            for parent in parent_names(record):
                children += children_of(self._resources, self._resources.arn(KIND, parent))
            if best := best_child(children):
                description["OverallBestTrainingJob"] = best
        return description


def _check(request: dict[str, Any]) -> dict[str, Any]:
    """Check a CreateHyperParameterTuningJob request beyond its shape.

    Returns:
        The ResourceLimits; for a grid search with the number of its combinations.

    Raises:
        AwsError: ValidationException, if the request cannot be accepted.
    """
    from localcloud.sagemaker.tuning import search  # Optuna takes long to import

    config, definition = request["HyperParameterTuningJobConfig"], request.get("TrainingJobDefinition")
    if definition is None or "TrainingJobDefinitions" in request or "Autotune" in request:
        raise invalid("The local cloud tunes exactly one TrainingJobDefinition, without Autotune.")
    ranges = search.read_ranges(config.get("ParameterRanges", {}))
    objective = config.get("HyperParameterTuningJobObjective")
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    if objective is None or objective["MetricName"] not in [metric["Name"] for metric in metrics]:
        raise invalid("The objective metric must be among the MetricDefinitions of the training job.")
    limits: dict[str, Any] = config["ResourceLimits"]
    if config["Strategy"] == "Grid":
        limits = limits | {"MaxNumberOfTrainingJobs": len(search.grid(ranges))}
    if "MaxNumberOfTrainingJobs" not in limits:
        raise invalid("ResourceLimits must have MaxNumberOfTrainingJobs.")
    _check_early_stopping(config)
    both = {tuned.name for tuned in ranges} & set(definition.get("StaticHyperParameters", {}))
    if both:
        raise invalid(f"Hyperparameters are either static or tuned, not both: {', '.join(sorted(both))}.")
    return limits


def _check_early_stopping(config: dict[str, Any]) -> None:
    if config["Strategy"] == "Hyperband" and config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise invalid("Hyperband stops jobs by itself: TrainingJobEarlyStoppingType must be Off.")
    hyperband = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if hyperband.get("MinResource", 1) > hyperband.get("MaxResource", float("inf")):
        raise invalid("MinResource must be less than or equal to MaxResource.")
    criteria = config.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise invalid("The local cloud does not detect convergence (ConvergenceDetected).")


def _count(children: list[Record], member: str, *values: str) -> int:
    return sum(child[member] in values for child in children)
