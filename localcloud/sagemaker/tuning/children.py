"""The children of a tuning job: ordinary training jobs, which the search has proposed."""

import os
from typing import Any

from localcloud.sagemaker.descriptions import OBJECTIVE, child_resources
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.store import Record

KIND = "HyperParameterTuningJob"
CHILD_KIND = "TrainingJob"
# AWS does not say whether the children of a tuning job share its checkpoint prefix. With this variable set to "shared"
# they do, as the worse of both cases; otherwise each child has its own.
CHECKPOINTS = "LOUPE_LOCAL_TUNING_CHECKPOINTS"
# The members that a child's definition and a training job have in common.
_COPIED = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "VpcConfig",
    "RetryStrategy",
    "Environment",
)


def parent_names(request: dict[str, Any]) -> list[str]:
    """Return the names of the tuning jobs whose results a tuning job starts with."""
    parents = request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [str(parent[f"{KIND}Name"]) for parent in parents]


def child_request(request: dict[str, Any], name: str, hyperparameters: dict[str, str]) -> dict[str, Any]:
    """Return the CreateTrainingJob request of a child.

    Args:
        request: The parameters of CreateHyperParameterTuningJob.
        name: The child's name.
        hyperparameters: The tuned hyperparameters.
    """
    definition = request["TrainingJobDefinition"]
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    child = {member: definition[member] for member in _COPIED if member in definition}
    child |= {
        "TrainingJobName": name,
        "HyperParameters": definition.get("StaticHyperParameters", {})
        | hyperparameters
        | {OBJECTIVE: objective["MetricName"]},
        "ResourceConfig": child_resources(definition) or {},
    }
    if "CheckpointConfig" in definition:
        config = definition["CheckpointConfig"]
        shared = os.environ.get(CHECKPOINTS) == "shared"
        own = config if shared else config | {"S3Uri": f"{config['S3Uri'].rstrip('/')}/{name}"}
        child["CheckpointConfig"] = own
    return child


def children_of(resources: Resources, arn: str) -> list[Record]:
    """Return the training jobs of a tuning job, as summaries, in the order of their creation."""
    children = [record for record in resources.store.all(CHILD_KIND) if record.get("TuningJobArn") == arn]
    return [_summary(child) for child in sorted(children, key=lambda child: child["CreationTime"])]


def objective_value(child: Record) -> float | None:
    """Return the final value of a child's objective metric; None if there is none (yet)."""
    value: float | None = child.get("FinalObjectiveMetricValue")
    return value


def best_child(children: list[Record]) -> Record | None:
    """Return the best of the completed children, since a stopped one may have left no model; None if there is none."""
    completed = [
        child
        for child in children
        if child["TrainingJobStatus"] == "Completed" and objective_value(child) is not None
    ]
    if not completed:
        return None
    best = max if completed[0]["objective"]["Type"] == "Maximize" else min
    return best(completed, key=lambda child: child["FinalObjectiveMetricValue"])


def _summary(child: Record) -> Record:
    """Return a child's record with the members of a HyperParameterTrainingJobSummary."""
    objective = child["objective"]
    metrics = {metric["MetricName"]: metric["Value"] for metric in child.get("FinalMetricDataList", [])}
    value = metrics.get(objective["MetricName"])
    running = child["TrainingJobStatus"] in ("InProgress", "Stopping")
    failed = child["TrainingJobStatus"] == "Failed" or value is None
    summary = {
        **child,
        "TunedHyperParameters": child["tuned"],
        "ObjectiveStatus": "Pending" if running else "Failed" if failed else "Succeeded",
    }
    if value is not None and not running:
        summary["FinalObjectiveMetricValue"] = value
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = objective | {"Value": value}
    return summary
