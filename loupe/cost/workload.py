"""What a stack has to do: the figures that its cost depends on, with defaults from template.yaml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from localcloud.sources import REPOSITORY

HOURS_PER_MONTH = 730.0
DAYS_PER_MONTH = 365 / 12
HOURS_PER_WEEK = 168.0
# S3 bills in GB of 2^30 bytes and a model takes a body of at most 6 MiB, but cameras' files are given in MB of 10^6.
_MB_IN_A_REQUEST = 6.291456


@dataclass(frozen=True, slots=True)
class Workload:
    """What a stack has to do in a month. What is called assumed was measured nowhere.

    Attributes:
        images_per_day: On each day on which the line works.
        region: The AWS region.
        image_mb: Megabytes of an image file, assumed.
        failing: Share of the images that fail, assumed.
        review: Share of the images that a person must judge, assumed.
        hours_per_day: Hours in which the line works.
        days_per_week: Days on which the line works.
        stations: Stations that inspect; CloudWatch keeps metrics of each.
        endpoint_hours: Hours a week in which the endpoint runs.
        instance_type: The endpoint's.
        instances: The endpoint's instances; None for as many as the images need, between the next two.
        min_instances: Fewest instances.
        max_instances: Most instances.
        invocations_per_instance: Images a minute for which autoscaling starts one instance.
        model_ms: Milliseconds of the model for an image, assumed.
        image_days: Days for which an image is stored, those as a former version included.
        picture_days: The same of pictures and thumbnails.
        record_days: Days for which a record is stored.
        log_days: Days for which logs are stored.
        dashboards: Dashboard pages that are open while the line works.
        users: People who use the dashboard in a month.
        subscribers: E-mail addresses that receive each alert.
        retrainings: A month.
        families: Families that a retraining trains.
        tuning_jobs: Training jobs of the search for each family; 0 without tuning.
        training_type: Instance type of the training jobs.
        training_minutes: Of a training job, assumed.
        evaluation_type: Instance type of the evaluation jobs.
        evaluation_minutes: Of an evaluation job, assumed.
        spot: Whether training runs on spot instances.
        spot_saving: Share of the price that spot instances save; 0 is the price on demand.
        training_disk_gb: Disk of a training job.
        registry_gb: Container images in the registry, assumed.
        artefacts_gb: Models, reports, labelled images and checkpoints, assumed.
    """

    images_per_day: float
    region: str
    instance_type: str
    min_instances: int
    max_instances: int
    invocations_per_instance: int
    image_days: float
    picture_days: float
    record_days: float
    log_days: float
    training_type: str
    evaluation_type: str
    training_disk_gb: float
    families: int
    spot: bool
    tuning_jobs: int = 0
    image_mb: float = 1.0
    failing: float = 0.02
    review: float = 0.03
    hours_per_day: float = 24.0
    days_per_week: float = 7.0
    endpoint_hours: float = HOURS_PER_WEEK
    stations: int = 1
    instances: int | None = None
    model_ms: float = 100.0
    dashboards: float = 1.0
    users: int = 5
    subscribers: int = 1
    retrainings: float = 1.0
    training_minutes: float = 60.0
    evaluation_minutes: float = 10.0
    spot_saving: float = 0.0
    registry_gb: float = 12.0
    artefacts_gb: float = 5.0
    queued_pass: float = 0.01
    queued_fail: float = 0.05

    @classmethod
    def of(
        cls, images_per_day: float, region: str, parameters: Mapping[str, str] | None = None, **changes: Any
    ) -> Workload:
        """Return a workload for a stack with these template parameters; the template's defaults fill the rest.

        Args:
            images_per_day: Images on each working day.
            region: The AWS region.
            parameters: Template parameters by name.
            changes: Other fields.
        """
        chosen = defaults() | dict(parameters or {})
        image_days = float(chosen["ImageRetentionDays"])
        fields: dict[str, Any] = {
            "instance_type": chosen["HostingInstanceType"],
            "min_instances": int(chosen["EndpointMinInstances"]),
            "max_instances": int(chosen["EndpointMaxInstances"]),
            "invocations_per_instance": int(chosen["InvocationsPerInstance"]),
            "image_days": image_days + kept_after_expiry("ImagesBucket", chosen),
            "picture_days": image_days + kept_after_expiry("ArtefactsBucket", chosen),
            "record_days": float(chosen["RecordRetentionDays"]),
            "log_days": float(chosen["LogRetentionDays"]),
            "training_type": chosen["TrainingInstanceType"],
            "evaluation_type": chosen["EvaluationInstanceType"],
            "training_disk_gb": float(chosen["TrainingVolumeGiB"]),
            "families": len(chosen["RetrainFamilies"].split(",")),
            "spot": chosen["UseSpotTraining"] == "true",
            "queued_pass": float(chosen["ReviewPassShare"]),
            "queued_fail": float(chosen["ReviewFailShare"]),
        }
        return cls(images_per_day, region, **fields | changes)

    @property
    def images(self) -> float:
        """Images in a month."""
        return self.images_per_day * self.days_per_week / 7 * DAYS_PER_MONTH

    @property
    def working_hours(self) -> float:
        """Hours in a month in which the line works."""
        return self.hours_per_day * self.days_per_week / HOURS_PER_WEEK * HOURS_PER_MONTH

    @property
    def images_per_second(self) -> float:
        """Images a second while the line works."""
        return self.images_per_day / (self.hours_per_day * 3600) if self.hours_per_day else 0.0

    @property
    def running_instances(self) -> int:
        """Instances of the endpoint, on average while it runs."""
        if self.instances is not None:
            return self.instances
        needed = math.ceil(self.images_per_second * 60 / self.invocations_per_instance)
        return min(max(needed, self.min_instances), max(self.max_instances, self.min_instances))

    @property
    def overloaded(self) -> bool:
        """Whether autoscaling would start more instances than it may."""
        needed = math.ceil(self.images_per_second * 60 / self.invocations_per_instance)
        return self.instances is None and needed > self.max_instances

    @property
    def by_reference(self) -> bool:
        """Whether an image is too large for a request, so that the container reads it from the bucket."""
        return self.image_mb > _MB_IN_A_REQUEST


@cache
def template() -> dict[str, Any]:
    """Return template.yaml, with its short forms expanded."""
    from localcloud.template import parse

    document: dict[str, Any] = parse((REPOSITORY / "template.yaml").read_text("utf-8"))
    return document


def defaults() -> dict[str, str]:
    """Return the template's parameters with their default values."""
    return {
        name: str(parameter["Default"])
        for name, parameter in template()["Parameters"].items()
        if "Default" in parameter
    }


def count(resource_type: str) -> int:
    """Return how many resources of a type every stack has; a key of one's own, for example, is not among them."""
    declared = template()["Resources"].values()
    return sum(resource["Type"] == resource_type and "Condition" not in resource for resource in declared)


def memory_gb(function: str) -> float:
    """Return a function's memory in GB."""
    return int(template()["Resources"][function]["Properties"]["MemorySize"]) / 1024


def kept_after_expiry(bucket: str, parameters: Mapping[str, str]) -> float:
    """Return for how many days a bucket keeps an object after its expiry.

    In a bucket with versions, expiry only puts a delete marker over the object. It is billed until the rule for former
    versions deletes it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    rules = template()["Resources"][bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    days = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in rules
        if "NoncurrentVersionExpiration" in rule and "Prefix" not in rule
    ]
    values = [parameters[day["Ref"]] if isinstance(day, dict) else day for day in days]
    return min((float(value) for value in values), default=0.0)
