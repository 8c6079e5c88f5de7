"""What comes to a stack, and what the stack is set to: what a limit is computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contract.instances import instance
from loupe.cost.usage import calls
from loupe.cost.workload import defaults, template
from loupe.scale.quotas import assumed, measured, value

# SageMaker's instance types are named as EC2's: large has 2 vCPUs, xlarge 4, and nxlarge 4n.
_VCPUS = {"medium": 1, "large": 2, "xlarge": 4}
_DEFAULT_MODEL = "gfl_efficientnet_lite0"  # RetrainFamilies


@dataclass(frozen=True, slots=True)
class Load:
    """What comes to a stack.

    Attributes:
        rate: Images a second.
        image_mb: Megabytes of an image file.
        failing: Share of the images that fail.
        review: Share of the images that a person must judge.
        lines: Production lines, each of which sends as many.
        stations: Stations of a line.
        dashboards: Dashboard pages that are open.
        region: The AWS region.
    """

    rate: float
    image_mb: float = 1.0
    failing: float = 0.02
    review: float = 0.03
    lines: int = 1
    stations: int = 1
    dashboards: float = 1.0
    region: str = "us-east-1"

    @classmethod
    def of(cls, rate: float, **changes: Any) -> Load:
        """Return a load with as many lines as usually send so many images.

        >>> Load.of(1000).lines, Load.of(1).lines
        (100, 1)
        """
        lines = max(1, math.ceil(rate / assumed("images_per_s_of_a_line")))
        return cls(rate, **{"lines": lines} | changes)

    @property
    def marked(self) -> float:
        """Share of the images that get a picture: those that did not pass."""
        return self.failing + self.review

    @property
    def places(self) -> int:
        """Number of stations."""
        return self.lines * self.stations

    def at(self, rate: float) -> Load:
        """Return the same with another rate."""
        return replace(self, rate=rate)


@dataclass(frozen=True, slots=True)
class Stack:
    """What a stack is set to. The template's parameters have their names in `parameters`.

    Attributes:
        instance_type: The endpoint's.
        per_instance: Images a second that an instance is given.
        rate_from: Where that figure is from.
        target: InvocationsPerInstance for that rate.
        max_instances: Most instances.
        concurrency: Most batches that are inspected at the same time.
        batch: Images in a batch.
        inspect_mb: Memory of the inspect function.
        inspect_ms: Milliseconds for an image, besides the model's.
        model_ms: Milliseconds of the model for an image.
        shards: Partitions of each index for a line and day.
        rules_seconds: Seconds for which a function keeps the rules.
        alert_ms: Milliseconds of the alert function for an image.
        alert_parallel: Concurrent batches of a shard.
        track_batch: Records in a batch of the counting function.
        track_window: Seconds for which it collects a batch.
        track_ms: Milliseconds for a batch.
        track_parallel: Concurrent batches of a shard.
        api_requests: Requests a second that the API takes.
        image_days: Days for which an image is stored, as a former version included.
        compared_a_day: How often a day images without a record are looked for.
        queued_pass: Share of the passed images that people also see.
        queued_fail: Share of the failed ones.
    """

    instance_type: str
    per_instance: float
    rate_from: str
    target: int
    max_instances: int
    concurrency: int
    batch: int
    inspect_mb: float
    inspect_ms: float
    model_ms: float
    shards: int
    rules_seconds: float
    alert_ms: float
    alert_parallel: int
    track_batch: int
    track_window: float
    track_ms: float
    track_parallel: int
    api_requests: float
    image_days: float
    compared_a_day: float
    queued_pass: float
    queued_fail: float

    @classmethod
    def of(
        cls,
        parameters: Mapping[str, str] | None = None,
        per_instance: float | None = None,
        model_ms: float = 100.0,
    ) -> Stack:
        """Return what a stack with these template parameters is set to; the template's defaults fill the rest.

        Args:
            parameters: Template parameters by name.
            per_instance: Images a second that an instance was measured to take; None for what is known of the type.
            model_ms: Milliseconds of the model for an image.

        Raises:
            UnsuitableInstanceError: The endpoint cannot run on the instance type.
        """
        chosen = defaults() | dict(parameters or {})
        kind = chosen["HostingInstanceType"]
        given, said = _per_instance(kind, int(chosen["InvocationsPerInstance"]), per_instance)
        alert, track = _mapping("AlertFunction"), _mapping("TrackFunction")
        spent = calls()["milliseconds"]
        throttle = _properties("ApiStage")["DefaultRouteSettings"]
        return cls(
            instance_type=kind,
            per_instance=given,
            rate_from=said,
            target=math.floor(given * 60),
            max_instances=int(chosen["EndpointMaxInstances"]),
            concurrency=int(chosen["InspectConcurrency"]),
            batch=int(_mapping("InspectFunction", "Images")["BatchSize"]),
            inspect_mb=float(_properties("InspectFunction")["MemorySize"]),
            inspect_ms=float(spent["inspect"]),
            model_ms=model_ms,
            shards=int(chosen["IndexShards"]),
            rules_seconds=float(chosen["RulesCacheSeconds"]),
            alert_ms=float(spent["alert"]),
            alert_parallel=int(alert.get("ParallelizationFactor", 1)),
            track_batch=int(track["BatchSize"]),
            track_window=float(track.get("MaximumBatchingWindowInSeconds", 0)),
            track_ms=float(spent["track"]),
            track_parallel=int(track.get("ParallelizationFactor", 1)),
            api_requests=float(throttle["ThrottlingRateLimit"]),
            image_days=2 * float(chosen["ImageRetentionDays"]),
            compared_a_day=_times_a_day(chosen["ReconcileSchedule"]),
            queued_pass=float(chosen["ReviewPassShare"]),
            queued_fail=float(chosen["ReviewFailShare"]),
        )

    @property
    def batch_seconds(self) -> float:
        """Seconds for a full batch: its images wait at the same time, and share the function's processor."""
        share = self.inspect_mb / value("lambda.mb-of-a-core")
        cpu = measured()["inspect_cpu_ms"]["value"] / share
        return float(self.inspect_ms + self.model_ms + (self.batch - 1) * cpu) / 1000

    def batches(self, load: Load) -> float:
        """Return how many full batches are inspected at the same time on average (Little's law)."""
        return load.rate * self.batch_seconds / self.batch

    def instances(self, load: Load) -> int:
        """Return how many instances the images need."""
        return max(1, math.ceil(load.rate / self.per_instance))

    def queued(self, load: Load) -> float:
        """Return the share of the images that enters the review queue (functions/review/sampling.py)."""
        passing = 1 - load.failing - load.review
        return load.review + passing * self.queued_pass + load.failing * self.queued_fail


def _per_instance(
    instance_type: str, invocations_per_minute: int, measured_rate: float | None
) -> tuple[float, str]:
    """Return the images a second that an instance is given, and where the figure is from."""
    room = assumed("headroom")
    kind = instance(instance_type, "endpoint")
    if measured_rate is not None:
        return room * measured_rate, f"{room:.0%} of the {measured_rate:g} that it takes"
    if kind.gpu is not None:
        return invocations_per_minute / 60, "InvocationsPerInstance: no GPU was measured"
    model = next(row for row in measured()["models"] if row["name"] == _DEFAULT_MODEL)
    rate = model["images_per_s"] * vcpus(instance_type) / model["cores"]
    said = f"{room:.0%} of {rate:g}: {model['name']}, {model['images_per_s']:g} on {model['cores']} cores"
    return room * rate, said


def vcpus(instance_type: str) -> int:
    """Return the vCPUs that the size of an instance type stands for.

    >>> vcpus("ml.m5.large"), vcpus("ml.c5.9xlarge")
    (2, 36)
    """
    size = instance_type.rpartition(".")[2]
    return _VCPUS[size] if size in _VCPUS else 4 * int(size.removesuffix("xlarge"))


def _properties(resource: str) -> dict[str, Any]:
    properties: dict[str, Any] = template()["Resources"][resource]["Properties"]
    return properties


def _mapping(function: str, event: str = "Records") -> dict[str, Any]:
    properties: dict[str, Any] = _properties(function)["Events"][event]["Properties"]
    return properties


def _times_a_day(schedule: str) -> float:
    """Return how often a day a schedule comes; what is not a rate counts as once.

    >>> _times_a_day("rate(1 hour)"), _times_a_day("rate(2 days)"), _times_a_day("")
    (24.0, 0.5, 0.0)
    """
    if not schedule:
        return 0.0
    kind, _, rest = schedule.rstrip(")").partition("(")
    if kind != "rate":
        return 1.0
    number, _, unit = rest.partition(" ")
    return {"minute": 1440, "hour": 24, "day": 1}[unit.removesuffix("s")] / float(number)
