"""The requests of a run's training and tuning jobs, as SageMaker takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract.instances import takes_volume_key
from contract.keys import CHECKPOINTS, MODELS
from retraining.documents import Documents
from retraining.errors import InvalidRequestError
from retraining.families import FAMILIES, kind
from retraining.request import Request
from retraining.settings import Settings

_OBJECTIVE = "val:map"
_METRICS = [
    {"Name": _OBJECTIVE, "Regex": "val:map=([0-9.]+)"},
    {"Name": "val:map50", "Regex": "val:map50=([0-9.]+)"},
    {"Name": "loss", "Regex": "loss=([0-9.]+)"},
]
HYPERBAND_EPOCHS = 60  # unless the request sets epochs: the most that the recipe of any family takes


def channel(name: str, uri: str) -> dict[str, Any]:
    """Return an input channel of a job."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


@dataclass(frozen=True)
class JobRequests:
    """Builds the requests of one run.

    Attributes:
        settings: What every job runs on.
        documents: The artefacts bucket.
        request: The input of the execution.
        run: The run's name.
    """

    settings: Settings
    documents: Documents
    request: Request
    run: str

    def training_job(
        self, name: str, hyperparameters: dict[str, str], channels: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the request of sagemaker:CreateTrainingJob."""
        return {
            "TrainingJobName": name,
            "HyperParameters": hyperparameters,
            "Tags": self._tags(),
            **self._training(name, hyperparameters["family"], channels),
        }

    def tuning_job(
        self, name: str, hyperparameters: dict[str, str], channels: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the request of sagemaker:CreateHyperParameterTuningJob.

        Args:
            name: The job's name.
            hyperparameters: Those that are not tuned, `family` among them.
            channels: The input channels of each training.

        Raises:
            InvalidRequestError: The request sets all hyperparameters that could be tuned, or an invalid number of
                epochs.
        """
        static, family = hyperparameters, hyperparameters["family"]
        if self._hyperband:
            # Hyperband counts values of the objective, and stops a training that has reported as many as it has
            # epochs.
            static = {"validate_every": "1", **hyperparameters, "epochs": str(self._hyperband_epochs())}
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                **self._strategy(),
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": _OBJECTIVE},
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": self.tuning_jobs,
                    "MaxParallelTrainingJobs": min(self.tuning_jobs, self.settings.tuning_parallel_jobs),
                },
                "ParameterRanges": {"ContinuousParameterRanges": self._ranges(family)},
                # Hyperband stops trainings itself.
                "TrainingJobEarlyStoppingType": "Off" if self._hyperband else "Auto",
                "RandomSeed": 0,
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": static,
                **self._training(name, family, channels),
            },
            "Tags": self._tags(),
        }

    @property
    def tuning_jobs(self) -> int:
        """The number of trainings of each tuning job."""
        return self.request.tuning_jobs or self.settings.tuning_jobs

    @property
    def _hyperband(self) -> bool:
        return self.settings.tuning_strategy == "Hyperband"

    def _hyperband_epochs(self) -> int:
        epochs = self.request.hyperparameters.get("epochs", "0")
        if not epochs.isdecimal():
            raise InvalidRequestError(
                f"hyperparameters.epochs: Hyperband needs a whole number of epochs, not {epochs!r}"
            )
        return int(epochs) or HYPERBAND_EPOCHS

    def _strategy(self) -> dict[str, Any]:
        strategy: dict[str, Any] = {"Strategy": self.settings.tuning_strategy}
        if self._hyperband:
            epochs = self._hyperband_epochs()
            band = {"MinResource": max(1, epochs // 9), "MaxResource": epochs}
            strategy["StrategyConfig"] = {"HyperbandStrategyConfig": band}
        return strategy

    def _ranges(self, family: str) -> list[dict[str, str]]:
        ranges = [
            {
                "Name": name,
                "MinValue": str(limits["min"]),
                "MaxValue": str(limits["max"]),
                "ScalingType": limits["scaling"],
            }
            for name, limits in FAMILIES[family].items()
            if name not in self.request.hyperparameters
        ]
        if not ranges:
            raise InvalidRequestError("the hyperparameters of the request leave nothing to tune")
        return ranges

    def _training(self, name: str, family: str, channels: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what a training job and the trainings of a tuning job have in common."""
        settings = self.settings
        # A GPU would be idle: what takes the time of an anomaly model is ONNX Runtime on the CPU.
        instance = (
            settings.cpu_instance_type if kind(family) == "anomaly" else settings.training_instance_type
        )
        spot, seconds, key = settings.spot, settings.training_max_seconds, settings.encryption_key
        stopping = {"MaxRuntimeInSeconds": seconds}
        if spot:
            stopping["MaxWaitTimeInSeconds"] = 2 * seconds
        return {
            "AlgorithmSpecification": {
                "TrainingImage": self.settings.training_image_uri,
                "TrainingInputMode": "File",
                "MetricDefinitions": _METRICS,
            },
            "InputDataConfig": channels,
            "CheckpointConfig": {"S3Uri": self.documents.uri(f"{CHECKPOINTS}{name}/")},
            "RoleArn": self.settings.role_arn,
            "OutputDataConfig": {
                "S3OutputPath": self.documents.uri(f"{MODELS}{self.run}"),
                # Without it SageMaker encrypts with AWS's key for S3, whatever the bucket's key is.
                **({"KmsKeyId": key} if key else {}),
            },
            "ResourceConfig": {
                "InstanceType": instance,
                "InstanceCount": 1,
                "VolumeSizeInGB": self.settings.volume_gib,
                **({"VolumeKmsKeyId": key} if key and takes_volume_key(instance) else {}),
            },
            "StoppingCondition": stopping,
            "EnableManagedSpotTraining": spot,
        }

    def _tags(self) -> list[dict[str, str]]:
        return [{"Key": "loupe:run", "Value": self.run}]
