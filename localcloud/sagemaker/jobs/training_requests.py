"""Checks a CreateTrainingJob request: what AWS checks beyond the request's shape, and what cannot run here."""

import re
from pathlib import Path
from typing import Any

from localcloud.sagemaker import programs
from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.jobs.training_job import PROGRAM


def check(request: dict[str, Any], repo: Path) -> None:
    """Check a request.

    Args:
        request: The parameters of CreateTrainingJob.
        repo: The folder that contains training/.

    Raises:
        AwsError: ValidationException, if the request cannot be accepted.
    """
    _check_algorithm(request["AlgorithmSpecification"], repo)
    _check_resources(request.get("ResourceConfig", {}))
    if request["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
        raise invalid("The local cloud packs the model as model.tar.gz (CompressionType GZIP).")
    checkpoints = request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
    if not checkpoints.startswith("/opt/ml/"):
        raise invalid(f"The local cloud keeps checkpoints under /opt/ml, not in {checkpoints}.")
    _check_time_limits(request.get("StoppingCondition", {}), request.get("EnableManagedSpotTraining", False))
    _check_channels(request.get("InputDataConfig", []), request["AlgorithmSpecification"])


def _check_algorithm(algorithm: dict[str, Any], repo: Path) -> None:
    if not algorithm.get("TrainingImage") and not algorithm.get("AlgorithmName"):
        raise invalid("You must specify either TrainingImage or AlgorithmName in AlgorithmSpecification.")
    programs.command(algorithm, PROGRAM, repo)
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise invalid(f"The regex of the metric {definition['Name']} is not valid: {error}.") from error


def _check_resources(config: dict[str, Any]) -> None:
    if not config.get("InstanceType") and not config.get("InstanceGroups"):
        raise invalid("ResourceConfig must have an InstanceType, InstanceCount and VolumeSizeInGB.")
    if config.get("InstanceCount", 1) != 1:
        raise invalid("The local cloud trains on exactly one instance.")


def _check_time_limits(condition: dict[str, Any], spot: bool) -> None:
    max_wait_s, max_runtime_s = condition.get("MaxWaitTimeInSeconds"), condition.get("MaxRuntimeInSeconds", 0)
    if max_wait_s is not None and not spot:
        raise invalid("MaxWaitTimeInSeconds is for jobs with EnableManagedSpotTraining.")
    if spot and (max_wait_s is None or max_wait_s < max_runtime_s):
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds."
        )


def _check_channels(channels: list[dict[str, Any]], algorithm: dict[str, Any]) -> None:
    names = [channel["ChannelName"] for channel in channels]
    if len(names) != len(set(names)):
        raise invalid("Channel names must be unique within a training job.")
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        mode = channel.get("InputMode", algorithm["TrainingInputMode"])
        if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile") or mode == "Pipe":
            raise invalid(
                f"Channel {channel['ChannelName']}: the local cloud reads S3Prefix and ManifestFile in File mode."
            )
        if channel.get("CompressionType", "None") != "None":
            raise invalid("CompressionType is for Pipe mode.")
