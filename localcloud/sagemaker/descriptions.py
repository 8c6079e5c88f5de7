"""What AWS's descriptions of jobs, models and configurations have, although the request has left it out.

Clients count on it: the SageMaker SDK 2 reads `OutputDataConfig.KmsKeyId` of every training job that it attaches to
(sagemaker/estimator.py, `_prepare_init_params_from_job_description`), and a tuning job's `_tuning_objective_metric`,
`ResourceConfig` and `TrainingJobEarlyStoppingType` (sagemaker/tuner.py, `attach`).

Answers of AWS, as they were published:
https://github.com/schematical/sc-terraform/blob/main/modules/sagemaker/README.md (a training job)
"""

from typing import Any

from localcloud.sagemaker.store import Record

_SWITCHES = {
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
}
_CHANNEL = {"CompressionType": "None", "RecordWrapperType": "None"}
# The hyperparameter that AWS adds to those of a tuning job and of its children, where the objective is written.
OBJECTIVE = "_tuning_objective_metric"


def training_job(record: Record) -> Record:
    """Return the record of a training job with what AWS adds."""
    algorithm = record["AlgorithmSpecification"]
    # By default AWS keeps the values of metrics over time if the job defines metrics
    # (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AlgorithmSpecification.html).
    series = {"EnableSageMakerMetricsTimeSeries": bool(algorithm.get("MetricDefinitions"))}
    return {
        **_SWITCHES,
        "ProfilingStatus": "Disabled",
        **record,
        "AlgorithmSpecification": series | algorithm,
        "InputDataConfig": [
            _CHANNEL | _distributed(channel) for channel in record.get("InputDataConfig", [])
        ],
        "OutputDataConfig": {"KmsKeyId": "", "CompressionType": "GZIP"} | record["OutputDataConfig"],
    }


def processing_job(record: Record) -> Record:
    """Return the record of a processing job with what AWS adds."""
    described = dict(record)
    if inputs := record.get("ProcessingInputs"):
        described["ProcessingInputs"] = [
            {"AppManaged": False, **entry, "S3Input": _INPUT | entry["S3Input"]} for entry in inputs
        ]
    outputs = record.get("ProcessingOutputConfig", {})
    if outputs.get("Outputs"):
        listed = [{"AppManaged": False, **entry} for entry in outputs["Outputs"]]
        described["ProcessingOutputConfig"] = outputs | {"Outputs": listed}
    return described


def tuning_job(record: Record) -> Record:
    """Return the record of a tuning job with what AWS adds."""
    config, definition = record["HyperParameterTuningJobConfig"], record["TrainingJobDefinition"]
    objective = config["HyperParameterTuningJobObjective"]["MetricName"]
    static = definition.get("StaticHyperParameters", {}) | {OBJECTIVE: objective}
    channels = [{"CompressionType": "None"} | _distributed(channel) for channel in _channels(definition)]
    added: dict[str, Any] = {"InputDataConfig": channels} if channels else {}
    if resources := child_resources(definition):
        added["ResourceConfig"] = resources
    return record | {
        "HyperParameterTuningJobConfig": {"TrainingJobEarlyStoppingType": "Off"}
        | config
        | {"ParameterRanges": _ranges(config.get("ParameterRanges", {}))},
        "TrainingJobDefinition": {**_SWITCHES, **definition, **added, "StaticHyperParameters": static},
    }


def model(record: Record) -> Record:
    """Return the record of a model with what AWS adds."""
    described: Record = {"EnableNetworkIsolation": False} | record
    if container := record.get("PrimaryContainer"):
        described["PrimaryContainer"] = {"Mode": "SingleModel"} | container
    return described


def endpoint_config(record: Record) -> Record:
    """Return the record of an endpoint configuration with what AWS adds."""
    variants = [{"InitialVariantWeight": 1.0} | variant for variant in record["ProductionVariants"]]
    return {"EnableNetworkIsolation": False} | record | {"ProductionVariants": variants}


def child_resources(definition: dict[str, Any]) -> dict[str, Any] | None:
    """Return the ResourceConfig of a tuning job's children.

    The SDK 2 sends `HyperParameterTuningResourceConfig`, and reads `ResourceConfig` when it attaches to the job.

    Args:
        definition: A TrainingJobDefinition.
    """
    if "ResourceConfig" in definition:
        return dict(definition["ResourceConfig"])
    config = definition.get("HyperParameterTuningResourceConfig")
    if config is None:
        return None
    # AWS takes the first instance type that has capacity, and a laptop always has it.
    first: dict[str, Any] = next(iter(config.get("InstanceConfigs", [])), {})
    members = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
    return {member: value for member in members if (value := (config | first).get(member)) is not None}


_INPUT = {"S3InputMode": "File", "S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}


def _channels(definition: dict[str, Any]) -> list[dict[str, Any]]:
    return list(definition.get("InputDataConfig", []))


def _distributed(channel: dict[str, Any]) -> dict[str, Any]:
    source = channel["DataSource"]["S3DataSource"]
    source = {"S3DataDistributionType": "FullyReplicated"} | source
    return channel | {"DataSource": channel["DataSource"] | {"S3DataSource": source}}


def _ranges(ranges: dict[str, Any]) -> dict[str, Any]:
    """Return all three kinds of ranges, also those without a range: the SDK 2 reads each of them."""
    kinds = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
    every = {kind: ranges.get(kind, []) for kind in kinds}
    for kind in kinds[:2]:
        every[kind] = [{"ScalingType": "Auto"} | entry for entry in every[kind]]
    return ranges | every
