"""How much of what a stack uses in a month: what it does for an image (calls.json), times the images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from contract.instances import UnsuitableInstanceError, instance
from loupe.cost.workload import (
    DAYS_PER_MONTH,
    HOURS_PER_MONTH,
    HOURS_PER_WEEK,
    Workload,
    count,
    memory_gb,
    template,
)

Basis = Literal["counted", "assumed"]
_GB = 1e9
_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Usage:
    """An amount of something that AWS bills.

    Attributes:
        item: The item of a price, such as s3.put; `endpoint` and so on with the instance type.
        quantity: How much in a month.
        what: For people.
        basis: Whether it is counted from the code, or rests on a figure that was assumed.
    """

    item: str
    quantity: float
    what: str
    basis: Basis = "counted"


@cache
def calls() -> Any:
    """Return calls.json."""
    return json.loads(resources.files("loupe.cost").joinpath("calls.json").read_text("utf-8"))


def usages(work: Workload) -> list[Usage]:
    """Return what a stack uses in a month."""
    parts = (_endpoint, _images, _functions, _tables, _messages, _watching, _people, _retraining, _storage)
    return [usage for part in parts for usage in part(work) if usage.quantity > 0]


def _endpoint(work: Workload) -> Iterator[Usage]:
    hours = work.endpoint_hours / HOURS_PER_WEEK * HOURS_PER_MONTH * work.running_instances
    number = work.running_instances
    what = f"{number} × {work.instance_type}, {work.endpoint_hours:g} hours a week"
    yield Usage(f"endpoint.{work.instance_type}", hours, what)
    body = 0.0 if work.by_reference else work.image_mb * 1e6
    gigabytes = work.images * (body + calls()["bytes"]["answer"]) / _GB
    yield Usage("endpoint.data", gigabytes, "images and answers through the endpoint", "assumed")


def _images(work: Workload) -> Iterator[Usage]:
    gets = _called(work, "GetObject") + (work.images if work.by_reference else 0)
    yield Usage("s3.put", work.images + _called(work, "PutObject"), "images, pictures and thumbnails stored")
    yield Usage("s3.get", gets, "images read")
    # S3 bills a list as a PUT.
    yield Usage("s3.put", _lists(work), "lists of all images, in search of those without a record")


def _functions(work: Workload) -> Iterator[Usage]:
    spent = calls()["milliseconds"]
    batches, marked = _batches(work), work.images * (work.failing + work.review)
    asked = _asked(work)
    runs = (
        ("InspectFunction", work.images, spent["inspect"] + work.model_ms),
        ("AlertFunction", marked, spent["alert"]),
        ("TrackFunction", batches, spent["track"]),
        ("ApiFunction", asked, spent["api"]),
    )
    yield Usage("lambda.request", sum(number for _, number, _ in runs), "calls of the functions")
    seconds = sum(number * ms / 1000 * memory_gb(name) for name, number, ms in runs)
    seconds += (
        _lists(work)
        * calls()["reconciliation"]["milliseconds_per_list"]
        / 1000
        * memory_gb("ReconcileFunction")
    )
    yield Usage("lambda.time", seconds, "memory times seconds of the functions", "assumed")
    yield Usage("xray.trace", sum(_traces(work, number) for _, number, _ in runs), "traces of the functions")


def _tables(work: Workload) -> Iterator[Usage]:
    writes, reads = calls()["writes"], calls()["reads"]
    marked = work.images * (work.failing + work.review)
    queued = work.images * _queued_share(work)
    units = (
        sum(work.images * share * writes["record"][verdict] for verdict, share in _shares(work).items())
        + marked * writes["mark"]
        + work.images * writes["feed"]
        + _batches(work) * writes["counters"] * _stations_of_a_batch(work)
        + work.stations * work.working_hours * _MINUTES  # when each station was seen, at most once a minute
        + queued * writes["queued"]
    )
    yield Usage("dynamodb.write", units, "records, their indexes, the feed, counters and the review queue")
    asked = _asked(work) * calls()["dashboard"]["read_units"]
    compared = work.images * calls()["reconciliation"]["reads"]
    yield Usage(
        "dynamodb.read",
        marked * reads["record"] + queued * reads["queued"] + asked + compared,
        "records and the feed",
    )


def _messages(work: Workload) -> Iterator[Usage]:
    polls = calls()["polling"]["requests_per_hour"] * HOURS_PER_MONTH * _polled_queues()
    yield Usage(
        "sqs.request", work.images * calls()["queue"]["requests"] + polls, "messages, and asking for them"
    )
    alerts = _called(work, "Publish")
    yield Usage("sns.publish", alerts, "alerts about defects")
    yield Usage("sns.email", alerts * work.subscribers, "e-mails with alerts")
    keys = calls()["keys"]
    requests = alerts * keys["requests_per_alert"] + keys["requests_per_hour"] * work.working_hours
    yield Usage("kms.key", count("AWS::KMS::Key"), "the key of the topics")
    yield Usage("kms.request", requests, "encrypted alerts and tables")


def _watching(work: Workload) -> Iterator[Usage]:
    metrics, logs = calls()["metrics"], calls()["log_bytes"]
    busy = min(work.working_hours / HOURS_PER_MONTH, 1.0) if work.images else 0.0
    series = metrics["totals"] + metrics["station"] * work.stations
    yield Usage("cloudwatch.metric", series * busy, f"{series} metrics, in the hours in which images come")
    running = 1 if work.max_instances > work.min_instances else 0
    alarms = count("AWS::CloudWatch::Alarm") + running * calls()["scaling_alarms"]["number"]
    yield Usage("cloudwatch.alarm", alarms, "alarms")
    yield Usage("cloudwatch.dashboard", count("AWS::CloudWatch::Dashboard"), "the dashboard for operations")
    marked, asked = work.images * (work.failing + work.review), _asked(work)
    written = (
        work.images * (logs["inspect"] + logs["container"])
        + marked * logs["alert"]
        + _batches(work) * logs["track"]
        + asked * logs["api"]
    ) / _GB
    yield Usage("cloudwatch.logs", written, "lines of functions, container and API")
    stored = written * work.log_days / DAYS_PER_MONTH
    yield Usage("cloudwatch.log-storage", stored, f"logs of {work.log_days:g} days")
    yield Usage("scheduler.invocation", calls()["schedules"]["per_month"], "schedules")


def _people(work: Workload) -> Iterator[Usage]:
    asked = _asked(work)
    pages = f"{work.dashboards:g} open dashboard{'' if work.dashboards == 1 else 's'}"
    yield Usage("api.request", asked, pages)
    yield Usage("cloudfront.request", asked, pages)
    yield Usage("cloudfront.data", asked * calls()["dashboard"]["response_bytes"] / _GB, pages)
    yield Usage("cognito.user", work.users, "people who sign in")


def _retraining(work: Workload) -> Iterator[Usage]:
    jobs = work.retrainings * work.families * max(work.tuning_jobs, 1)
    hours = jobs * work.training_minutes / _MINUTES
    price = 1 - work.spot_saving if work.spot else 1.0
    saved = f" at {1 - work.spot_saving:.0%} of the price" if work.spot and work.spot_saving else ""
    what = f"{jobs:g} training jobs of {work.training_minutes:g} min{saved}"
    yield Usage(f"training.{work.training_type}", hours * price, what, "assumed")
    if not _has_own_disk(work.training_type):
        yield Usage(
            "training.disk", work.training_disk_gb * hours / HOURS_PER_MONTH, "disks of the jobs", "assumed"
        )
    # The champion is measured again on the same images.
    measured = work.retrainings * (work.families + 1)
    hours = measured * work.evaluation_minutes / _MINUTES
    what = f"{measured:g} evaluation jobs of {work.evaluation_minutes:g} min"
    yield Usage(f"processing.{work.evaluation_type}", hours, what, "assumed")
    yield Usage(
        "states.transition", work.retrainings * calls()["retraining"]["transitions"], "steps of the runs"
    )
    yield Usage("ecr.storage", work.registry_gb, "container images", "assumed")


def _storage(work: Workload) -> Iterator[Usage]:
    sizes, months = calls()["bytes"], work.images / DAYS_PER_MONTH
    shown = work.failing + work.review
    images = months * work.image_days * work.image_mb * 1e6
    yield Usage("s3.storage", images / _GB, f"images of {work.image_days:g} days", "assumed")
    pictures = months * work.picture_days * shown * (sizes["picture"] + sizes["thumbnail"])
    yield Usage(
        "s3.storage", pictures / _GB + work.artefacts_gb, "pictures, models and labelled images", "assumed"
    )
    record, keys, overhead = sizes["record"], sizes["index_keys"], sizes["item_overhead"]
    base = record + overhead
    indexed = record + overhead + shown * (record + overhead) + 2 * (keys + overhead)
    queued = _queued_share(work) * (sizes["review"] + overhead) * 2
    rows = months * work.record_days
    feed = months * 2 * (sizes["feed"] + overhead)
    what = f"records of {work.record_days:g} days, with their indexes"
    yield Usage("dynamodb.storage", (rows * (base + indexed + queued) + feed) / _GB, what)
    yield Usage("dynamodb.recovery", (rows * (base + queued / 2) + feed) / _GB, "tables that can be restored")


def _shares(work: Workload) -> dict[str, float]:
    return {"pass": 1 - work.failing - work.review, "fail": work.failing, "review": work.review}


def _queued_share(work: Workload) -> float:
    """Return the share of the images that enters the review queue (functions/review/sampling.py)."""
    shares = _shares(work)
    return shares["review"] + shares["pass"] * work.queued_pass + shares["fail"] * work.queued_fail


def _called(work: Workload, operation: str) -> float:
    """Return how often the functions call an operation for the images of a month."""
    return sum(
        work.images * share * float(calls()[function].get(verdict, {}).get(operation, 0))
        for function in ("inspect", "alert")
        for verdict, share in _shares(work).items()
    )


def _batches(work: Workload) -> float:
    """Return how many batches of new records the stream delivers."""
    return work.images / _records_of_a_batch(work)


def _records_of_a_batch(work: Workload) -> float:
    """Return how many records a batch has: it collects for one second, and takes BatchSize of them at most."""
    most = template()["Resources"]["TrackFunction"]["Properties"]["Events"]["Records"]["Properties"][
        "BatchSize"
    ]
    return min(1 + work.images_per_second, float(most))


def _stations_of_a_batch(work: Workload) -> float:
    """Return of how many stations its records are, on average: each station has counters of its own."""
    return work.stations * (1 - float((1 - 1 / work.stations) ** _records_of_a_batch(work)))


def _polled_queues() -> int:
    """Return how many queues functions wait for: that of new images, and that of images that are judged again."""
    functions = (each.get("Properties", {}) for each in template()["Resources"].values())
    events = (event for properties in functions for event in properties.get("Events", {}).values())
    return sum(event["Type"] == "SQS" for event in events)


def _lists(work: Workload) -> float:
    """Return how many lists of the images bucket the comparisons of bucket and table make in a month."""
    rule = calls()["reconciliation"]
    stored = work.images / DAYS_PER_MONTH * work.image_days
    return float(stored / rule["images_per_list"] * rule["runs_per_month"])


def _asked(work: Workload) -> float:
    return work.dashboards * work.working_hours * float(calls()["dashboard"]["requests_per_hour"])


def _traces(work: Workload, number: float) -> float:
    """Return how many of a month's calls X-Ray records."""
    seconds = work.working_hours * 3600
    rule = calls()["traces"]
    below = min(number, rule["per_second"] * seconds)
    return float(below + (number - below) * rule["share_above"])


def _has_own_disk(instance_type: str) -> bool:
    """Return whether an instance has disks of its own, which cost nothing: those with a GPU of today have."""
    try:
        return instance(instance_type).gpu is not None
    except UnsuitableInstanceError:
        return False
