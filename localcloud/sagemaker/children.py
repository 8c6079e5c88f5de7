"""The children of a tuning job: training jobs like any other, seen as what the search has tried."""

from typing import Any

from localcloud.sagemaker.store import Record

KIND = "HyperParameterTuningJob"
# Of a child's definition, what a training job has under the same name.
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


def parents(request: dict[str, Any]) -> list[str]:
    parents = request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [str(parent[f"{KIND}Name"]) for parent in parents]


def request_of(request: dict[str, Any], name: str, tuned: dict[str, str]) -> dict[str, Any]:
    definition = request["TrainingJobDefinition"]
    metric = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    resource = definition.get("ResourceConfig")
    if resource is None:
        about = definition.get("HyperParameterTuningResourceConfig", {})
        resource = next(iter(about.get("InstanceConfigs", [])), about)
    child = {member: definition[member] for member in _COPIED if member in definition}
    static = definition.get("StaticHyperParameters", {})
    child |= {
        "TrainingJobName": name,
        "HyperParameters": static | tuned | {"_tuning_objective_metric": metric},
        "ResourceConfig": resource,
    }
    if "CheckpointConfig" in definition:  # each child has checkpoints of its own
        config = definition["CheckpointConfig"]
        child["CheckpointConfig"] = config | {"S3Uri": f"{config['S3Uri'].rstrip('/')}/{name}"}
    return child


def summary(child: Record) -> Record:
    """A child with the members of a HyperParameterTrainingJobSummary."""
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


def final_value(child: Record) -> float | None:
    value: float | None = child.get("FinalObjectiveMetricValue")
    return value


def best(children: list[Record]) -> Record | None:
    """Of those that ran to their end: a stopped one may have left no model."""
    done = [
        child
        for child in children
        if child["TrainingJobStatus"] == "Completed" and final_value(child) is not None
    ]
    if not done:
        return None
    pick = max if done[0]["objective"]["Type"] == "Maximize" else min
    return pick(done, key=lambda child: child["FinalObjectiveMetricValue"])
