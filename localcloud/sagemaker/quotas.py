"""Quotas: how many instances of a type may run at once, by use, as "ml.g5.xlarge for endpoint usage".

https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
"""

import hashlib
import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import StringShape

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.store import Record, Store

ENDPOINT, TRAINING, SPOT, PROCESSING, TRANSFORM = (
    "endpoint usage",
    "training job usage",
    "spot training job usage",
    "processing job usage",
    "transform job usage",
)
_DEFAULTS_FILE = Path(__file__).with_name("quotas.json")
_RUNNING = ("InProgress", "Stopping")


class Quotas:
    """The account's quotas, and what is used of them."""

    def __init__(self, store: Store, file: Path) -> None:
        """Initialize the quotas.

        Args:
            store: The records of every kind: what runs counts.
            file: The values other than the defaults, {"ml.g5.xlarge for endpoint usage": 0}. It need not exist. It
                is read at each request, so that it can be edited while the cloud runs.
        """
        self._store, self._file = store, file
        # For a check with the creation that follows: two creations at once must not both get the last instance.
        self.lock = threading.RLock()

    def value(self, name: str) -> float:
        """Return a quota's applied value.

        Raises:
            AwsError: InternalFailure, if the file with the values is damaged.
        """
        return self._changed().get(name, defaults()[name])

    def set_value(self, name: str, value: float) -> None:
        """Change a quota's applied value."""
        with self.lock:
            changed = self._changed() | {name: value}
            temporary = self._file.with_suffix(".part")
            temporary.write_text(json.dumps(changed, indent=1, sort_keys=True))
            temporary.replace(self._file)

    def check_endpoint(self, plan: dict[str, Any]) -> None:
        """Check that the instances of a plan can start beside all that run.

        A blue/green deployment needs them while the old fleet still serves.

        Raises:
            AwsError: ResourceLimitExceeded, if the quota is too small.
        """
        # A serverless variant has no instances.
        if plan["instance_type"]:
            self._check(ENDPOINT, plan["instance_type"], plan["instances"])

    def check_training(self, request: dict[str, Any], at_once: int = 1) -> None:
        """Check that a training job can start, or the jobs that a tuning job runs at once.

        Args:
            request: The parameters of CreateTrainingJob.
            at_once: The number of jobs.

        Raises:
            AwsError: ResourceLimitExceeded, if the quota is too small.
        """
        resources = request["ResourceConfig"]
        use = SPOT if request.get("EnableManagedSpotTraining") else TRAINING
        self._check(use, resources.get("InstanceType", ""), resources.get("InstanceCount", 1) * at_once)

    def check_processing(self, request: dict[str, Any]) -> None:
        """Check that a processing job can start.

        Raises:
            AwsError: ResourceLimitExceeded, if the quota is too small.
        """
        cluster = request["ProcessingResources"]["ClusterConfig"]
        self._check(PROCESSING, cluster["InstanceType"], cluster["InstanceCount"])

    def check_transform(self, request: dict[str, Any]) -> None:
        """Check that a transform job can start.

        Raises:
            AwsError: ResourceLimitExceeded, if the quota is too small.
        """
        resources = request["TransformResources"]
        self._check(TRANSFORM, resources["InstanceType"], resources["InstanceCount"])

    def _check(self, use: str, instance_type: str, delta: int) -> None:
        name = f"{instance_type} for {use}"
        if name not in defaults():
            return
        limit, used = self.value(name), self._used(use).get(instance_type, 0)
        if used + delta > limit:
            # The text is in aws-samples/sagemaker-custom-project-templates#51 and amazon-sagemaker-examples#307.
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{name}' is {limit:g} Instances, with current utilization of "
                f"{used} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to "
                "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support "
                "to request an increase for this quota.",
            )

    def _used(self, use: str) -> dict[str, int]:
        """Return how many instances of each type are in use."""
        used: dict[str, int] = {}
        for instance_type, count in _instances(self._store, use):
            used[instance_type] = used.get(instance_type, 0) + count
        return used

    def _changed(self) -> dict[str, float]:
        try:
            values = json.loads(self._file.read_text())
            return {str(name): float(value) for name, value in values.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise AwsError("InternalFailure", f"{self._file} is not valid: {error}", status=500) from error


def _instances(store: Store, use: str) -> list[tuple[str, int]]:
    """Return type and number of the instances that are in use, for each job or fleet."""
    if use == ENDPOINT:
        return [
            (plan["instance_type"], plan["instances"])
            for endpoint in store.all("Endpoint")
            if endpoint["EndpointStatus"] != "Failed"
            for plan in _plans(endpoint)
        ]
    if use == PROCESSING:
        return [
            (cluster["InstanceType"], cluster["InstanceCount"])
            for job in store.all("ProcessingJob")
            if job["ProcessingJobStatus"] in _RUNNING
            for cluster in [job["ProcessingResources"]["ClusterConfig"]]
        ]
    if use == TRANSFORM:
        return [
            (job["TransformResources"]["InstanceType"], job["TransformResources"]["InstanceCount"])
            for job in store.all("TransformJob")
            if job["TransformJobStatus"] in _RUNNING
        ]
    return [
        (job["ResourceConfig"].get("InstanceType", ""), job["ResourceConfig"].get("InstanceCount", 1))
        for job in store.all("TrainingJob")
        if job["TrainingJobStatus"] in _RUNNING
        and bool(job.get("EnableManagedSpotTraining")) == (use == SPOT)
    ]


def _plans(endpoint: Record) -> list[dict[str, Any]]:
    """Return what an endpoint runs: during a deployment also the new fleet."""
    pending = endpoint.get("pending")
    return [endpoint["plan"], *([pending["plan"]] if pending else [])]


@cache
def defaults() -> dict[str, float]:
    """Return the default value of every quota, by name."""
    uses = json.loads(_DEFAULTS_FILE.read_text())["uses"]
    model = botocore.session.Session().get_service_model("sagemaker")
    quotas: dict[str, float] = {}
    for use, entry in uses.items():
        instance_types = model.shape_for(entry["instance_types"])
        assert isinstance(instance_types, StringShape)  # noqa: S101 - an enumeration
        quotas |= {f"{name} for {use}": float(entry["instances"]) for name in instance_types.enum}
    return quotas


@cache
def names() -> dict[str, str]:
    """Return the name of every quota, by its code. The codes are ours: AWS documents none, so search for the name."""
    return {f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}": name for name in defaults()}
